"""Measures walship beside its peers; test/bench/run calls it.  Prints Markdown, and says on stderr what it does."""
import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from walship_testing import proc

proc.drop_root()

from . import cases_base, cases_dump, cases_growth, cases_process, cases_wal, report  # noqa: E402
from .bench import Bench, Patience  # noqa: E402
from .data import Data  # noqa: E402
from .measure import adopt_orphans, end_orphans  # noqa: E402
from .peers import NAMES, SLOW  # noqa: E402
from .stores import Stores  # noqa: E402

ROOT = Path(__file__).parents[3]
CASES = {
    "push-directory": cases_wal.one_push_to_a_directory,
    "push-s3": cases_wal.one_push_to_s3,
    "backlog-s3": cases_wal.backlog_to_s3,
    "backlog-sink": cases_wal.backlog_to_the_sink,
    "fetch-loop": cases_wal.fetches_by_a_loop,
    "fetch-replay": cases_wal.fetches_by_replay,
    "backup-directory": cases_base.backup_to_a_directory,
    "restore-directory": cases_base.restore_from_a_directory,
    "restore-s3": cases_base.backup_and_restore_on_s3,
    "many-files": cases_base.many_files,
    "restore-s3-limited": cases_base.restore_over_limited_connections,
    "dumps": cases_dump.dumps,
    "requests": cases_wal.requests,
    "starts": cases_process.starts,
    "memory": cases_process.memory,
    "calls": cases_wal.calls_for_each_kind_of_wal,
    "growth-segments": cases_growth.growth_of_segments,
    "growth-archives": cases_growth.growth_of_archives,
    "growth-databases": cases_growth.growth_of_databases,
}
SHORT = {  # what there is a bar for beside the best peer, and what takes a moment: the seconds of three rounds
    "push-directory": 60,
    "push-s3": 80,
    "fetch-loop": 310,
    "fetch-replay": 360,
    "restore-s3": 300,
    "restore-directory": 270,
    "backup-directory": 320,
    "backlog-s3": 420,
    "requests": 30,
    "starts": 30,
}
OTHERS_TAKE = 300


def main():
    options = parse()
    adopt_orphans()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    with contextlib.ExitStack() as cleanup:  # in the reverse order, each of them whatever becomes of the others
        lock = cleanup.enter_context(open(options.cache / "lock", "w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"test/bench/run: another run works in {options.cache}; WALSHIP_BENCH_CACHE names another place")
        for left in options.cache.glob("work-*"):  # of a run that was killed
            shutil.rmtree(left)
        work = options.cache / f"work-{os.getpid()}"
        cleanup.callback(shutil.rmtree, work, ignore_errors=True)
        cleanup.callback(end_orphans, (), patience=2)
        work.mkdir(parents=True)
        data = Data(options.cache, quick=options.quick)
        cleanup.callback(data.close)
        stores = Stores(work)
        cleanup.callback(stores.close)
        rounds = options.rounds or (1 if options.quick else 2 if options.short else 3)
        patience = Patience(options.patience or (20 if options.quick else 60))
        bench = Bench(data, stores, work, options.quick, rounds, patience, options.peers, options.short)
        began = time.monotonic()
        missing = report.missing(bench.missing())
        print(missing, file=sys.stderr, end="", flush=True)
        print(report.heading(bench.rounds, ROOT) + missing, flush=True)
        names = options.cases or list(SHORT if options.short else CASES)
        for number, name in enumerate(names):
            if options.minutes and time.monotonic() - began > options.minutes * 60:
                bench.case = name
                bench.fail("the case", f"not begun: {options.minutes:g} minutes are over")
                continue
            if options.minutes:
                bench.until = end_of_first(names[number:], began + options.minutes * 60)
            bench.run(name, CASES[name])
        print(report.bars(bench.bars) + report.failures(bench.failures) + report.tools(bench.tools.values()), flush=True)
    return 1 if bench.failures else 0


def end_of_first(names, end):
    """Of the time that is left, each case has a part, as long as it takes; what one does not need is for the next ones."""
    now = time.monotonic()
    parts = [SHORT.get(name, OTHERS_TAKE) for name in names]
    return now + (end - now) * parts[0] / sum(parts)


def end(number, _):
    """Everything is taken down; what else is asked meanwhile would only disturb that."""
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    print(f"test/bench/run: ends, {signal.Signals(number).name}", file=sys.stderr, flush=True)
    sys.exit(128 + number)


def parse():
    lines = "".join(f"\n  {name:18} {case.__doc__}" for name, case in CASES.items())
    parser = argparse.ArgumentParser(
        prog="test/bench/run",
        description=f"Measures walship and its peers side by side.\n\ncases:{lines}",
        epilog="Exits with 1 when anything failed; the figures of everything else stand.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="default: all")
    parser.add_argument("--quick", action="store_true", help="little data, one round: shows that everything works")
    parser.add_argument("--short", action="store_true",
                        help=f"{', '.join(SHORT)}: two rounds, of each peer its default and its best, without "
                             f"{', '.join(SLOW)}; about 25 minutes")
    parser.add_argument("--minutes", type=float, help="for all cases together: each has its part, in which it does as many "
                        "rounds as it can; which did not begin in time is said")
    parser.add_argument("--rounds", type=int, help="interleaved runs of each tool; default 3, or 1")
    parser.add_argument("--patience", type=int, metavar="SECONDS",
                        help="for one call of a program; backups get 30 times as much; default 60, or 20")
    parser.add_argument("--peers", type=peer_names, metavar="LIST",
                        help=f"who is measured beside walship: some of {','.join(NAMES)}, or none; default: all that are in PATH")
    parser.add_argument("--cache", type=Path, required=True, help="for data, kept between runs")
    options = parser.parse_args()
    if options.peers is None:
        options.peers = tuple(name for name in NAMES if not (options.short and name in SLOW))
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}")
    return options


def peer_names(text):
    names = tuple(name for name in text.lower().split(",") if name and name != "none")
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such peer: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return names


sys.exit(main())

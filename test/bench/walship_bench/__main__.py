"""Measures walship beside its peers; test/bench/run calls it.  Prints Markdown, and says on stderr what it does."""
import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

from walship_testing import proc

proc.drop_root()

from . import cases_base, cases_process, cases_wal, report  # noqa: E402
from .bench import Bench  # noqa: E402
from .data import Data  # noqa: E402
from .measure import adopt_orphans, end_orphans  # noqa: E402
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
    "restore-s3": cases_base.restore_from_s3,
    "requests": cases_wal.requests,
    "starts": cases_process.starts,
    "memory": cases_process.memory,
    "calls": cases_wal.calls_for_each_kind_of_wal,
    "base-barman": cases_base.base_against_barman,
}


def main():
    options = parse()
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = options.cache / f"work-{os.getpid()}"
    work.mkdir(parents=True)
    data = Data(options.cache, quick=options.quick)
    stores = Stores(work)
    bench = Bench(data, stores, work, options.quick, options.rounds or (1 if options.quick else 3))
    print(report.heading(bench.rounds, ROOT), flush=True)
    try:
        for name in options.cases or CASES:
            bench.run(name, CASES[name])
        print(report.bars(bench.bars) + report.tools(bench.tools.values()), flush=True)
    finally:
        bench.drop_archives()
        stores.close()
        data.close()
        end_orphans(())
        shutil.rmtree(work, ignore_errors=True)
    return 1 if bench.failures else 0


def parse():
    lines = "".join(f"\n  {name:18} {case.__doc__}" for name, case in CASES.items())
    parser = argparse.ArgumentParser(
        prog="test/bench/run",
        description=f"Measures walship and its peers side by side.\n\ncases:{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="default: all")
    parser.add_argument("--quick", action="store_true", help="little data, one round: shows that everything works")
    parser.add_argument("--rounds", type=int, help="interleaved runs of each tool; default 3, or 1")
    parser.add_argument("--cache", type=Path, required=True, help="for data, kept between runs")
    options = parser.parse_args()
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}")
    return options


sys.exit(main())

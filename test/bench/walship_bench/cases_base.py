"""Base backups of gigabytes, and what it takes to get them back."""
import contextlib
import filecmp
import shutil
from pathlib import Path

from .measure import Failed, run_measured
from .tools import OURS, BarmanCloud, PgBackRest, WalG, peers

PATIENCE = 1800
THEIRS = tuple(PgBackRest(n) for n in (1, 2, 4))


def backup_to_a_directory(bench):
    """A base backup of the big database into a directory."""
    with running_big(bench) as server:

        def run(tool):
            bound = bench.at(tool, "directory", pgdata=server.pgdata, server=server)
            figures = take_backup(bound)
            bench.drop(bound)
            return figures

        best = bench.best_of(peers(*THEIRS), run)
        found = bench.interleaved([*OURS, *([best] if best else []), *peers(WalG())], run, rounds=few(bench))
    bench.table("Base backup, directory", found, unit="backup", facts=("stored bytes",))
    bench.compare("base backup, directory: wall", found, at_most={"brotli": 0.9, "zstd": 0.8})
    compare_sizes(bench, found)


def base_against_barman(bench):
    """Base backup and restore, S3, 20 ms, beside barman-cloud, which takes minutes: once."""
    bench.drop_archives()
    restored = {}
    with running_big(bench) as server:

        def run(tool):
            bound = bench.at(tool, "s3", rtt=20, pgdata=server.pgdata, server=server)
            figures = take_backup(bound)
            restored[tool] = restore(bench, bound)
            bench.drop(bound)
            return figures

        taken = bench.interleaved([*OURS, *peers(BarmanCloud())], run, rounds=1)
    bench.table("Base backup, S3 over TLS, 20 ms", taken, unit="backup", facts=("stored bytes",))
    bench.table("Restore of it", restored, unit="backup")
    bench.compare_slow("base backup, S3, 20 ms", taken)
    bench.compare_slow("restore, S3, 20 ms", restored)


def restore_from_a_directory(bench):
    """The restore of that backup from a directory."""
    found = restore_with_all(bench, "directory", 0, [*OURS], THEIRS)
    bench.table("Restore, directory", found, unit="backup")
    bench.compare("restore, directory: wall", found, at_most={"brotli": 1.15, "zstd": 0.9})


def restore_from_s3(bench):
    """The restore of that backup from S3, 20 ms."""
    found = restore_with_all(bench, "s3", 20, [*OURS], THEIRS)
    bench.table("Restore, S3 over TLS, 20 ms", found, unit="backup")
    bench.compare("restore, S3, 20 ms: wall", found, at_most={"brotli": 0.9, "zstd": 0.8})


def few(bench):
    return min(bench.rounds, 3)


@contextlib.contextmanager
def running_big(bench):
    server = bench.data.server(bench.data.big(), archive_mode="on", archive_command="/bin/true", shared_buffers="128MB")
    server.configure()
    server.start(timeout=120)
    try:
        yield server
    finally:
        server.stop(timeout=120)


def take_backup(bound):
    figures = run_measured(bound.backup(), env=bound.env, timeout=PATIENCE)
    figures.facts["stored bytes"] = bound.place.stored(containing=bound.BACKUPS)
    return figures


def compare_sizes(bench, found):
    theirs = [figures for tool, figures in found.items() if tool.label.startswith("pgBackRest")]
    for tool, figures in found.items():
        if theirs and tool.is_ours:
            ratio = figures.facts["stored bytes"] / min(each.facts["stored bytes"] for each in theirs)
            bench.bar("base backup: stored bytes", tool.codec, "<= 1.00 x", ratio, "x", ratio <= 1)


def restore_with_all(bench, kind, rtt, tools, theirs):
    """Each from its own backup; pgBackRest's configurations share one."""
    bench.drop_archives()  # the S3 server keeps everything in memory
    backups = {}
    with running_big(bench) as server:
        for tool in [*tools, *peers(theirs[1])]:
            bench.say(f"  {tool} takes a backup to restore")
            bound = bench.at(tool, kind, pgdata=server.pgdata, server=server)
            run_measured(bound.backup(), env=bound.env, timeout=PATIENCE)
            backups[family(tool)] = bound
    source, compared = bench.data.big(), set()  # the latter: tools of which one restore was compared with the source

    def run(tool):
        backup = backups[family(tool)]
        bound = bench.moved(tool.at(backup.place, bench.new_directory(), pgdata=source), rtt)
        figures = restore(bench, bound, compare=tool.label not in compared)
        compared.add(tool.label)
        return figures

    best = bench.best_of(peers(*theirs), run)
    found = bench.interleaved([*tools, *([best] if best else [])], run, rounds=few(bench))
    for bound in backups.values():
        bench.drop(bound)
    return found


def restore(bench, bound, *, compare=True):
    target = bench.new_directory() / "restored"
    if not bound.is_ours:
        target.mkdir()
    figures = run_measured(bound.restore(target), env=bound.env, timeout=PATIENCE)
    if compare:
        compare_trees(bench.data.big(), target)
    shutil.rmtree(target.parent)
    return figures


def family(tool):
    return tool.label.partition(" x")[0]


def compare_trees(source, target):
    """The tables' files: nobody has written since the backup.  Hint bits and statistics may differ."""
    n = 0
    for path in (Path(source) / "base").rglob("*"):
        name = path.relative_to(source)
        if path.is_file() and path.stat().st_size > 1 << 20:
            n += 1
            if not filecmp.cmp(path, Path(target) / name, shallow=False):
                raise Failed(f"{name} was restored with other contents")
    if n == 0:
        raise Failed("there is nothing to compare")

"""Base backups of gigabytes, and what it takes to get them back."""
import contextlib
import filecmp
import os
import shutil
from pathlib import Path

from .measure import Failed, run_measured
from .peers import BARMAN_BACKUPS, PGBACKREST, WALG, WALRUS
from .tools import AUTO, ONE_PART

MANY_FILES, QUICK_MANY_FILES = 100_000, 1_000
PAGE = 8192  # bytes


def backup_to_a_directory(bench):
    """A base backup of the big database into a directory, every peer that stores there."""
    with running_big(bench) as server:

        def run(tool):
            bound = bench.at(tool, "directory", pgdata=server.pgdata, server=server)
            figures = take_backup(bench, bound)
            bench.drop(bound)
            return figures

        best = bench.with_best(PGBACKREST, run)
        theirs = [*best, *bench.peers(*(tool.with_codec("lz4") for tool in best), *WALG), *bench.peers(*WALRUS, minor=True)]
        found = bench.interleaved([*bench.ours("base"), *theirs], run)
    bench.table("Base backup, directory", found, unit="backup")
    bench.compare("base backup, directory: wall", found, at_most={"brotli": 0.9, "zstd": 0.8})
    bench.compare_with_best("base backup, directory", found, {"auto": 0.90})
    bench.compare_at_equal_bytes("base backup, directory", found)
    bench.compare_bytes("base backup", found, {tool.codec: 1.0 for tool in bench.ours("base")})


def restore_from_a_directory(bench):
    """Restores of a backup from a directory, every peer that stores there."""
    _, found = restore_with_all(bench, "directory", 0, ())
    bench.table("Restore, directory", found, unit="backup")
    bench.compare("restore, directory: wall", found, at_most={"brotli": 1.15, "zstd": 0.9})
    bench.compare_with_best("restore, directory", found, {"auto": 0.45})
    bench.compare_at_equal_bytes("restore, directory", found)


def backup_and_restore_on_s3(bench):
    """A base backup to S3, 20 ms, and restores of it, every peer; barman-cloud, which takes minutes, once."""
    bench.drop_archives()  # the S3 server keeps everything in memory
    taken, found = restore_with_all(bench, "s3", 20, BARMAN_BACKUPS)
    bench.table("Base backup, S3 over TLS, 20 ms", taken, unit="backup")
    bench.compare_slow("base backup, S3, 20 ms", taken)
    bench.compare_at_equal_bytes("base backup, S3, 20 ms", taken)
    bench.table("Restore, S3 over TLS, 20 ms", found, unit="backup")
    bench.compare("restore, S3, 20 ms: wall", found, at_most={"brotli": 0.9, "zstd": 0.8})
    bench.compare_with_best("restore, S3, 20 ms", found, {"auto": 0.60, "brotli": 0.85})
    bench.compare_at_equal_bytes("restore, S3, 20 ms", found)


def restore_over_limited_connections(bench):
    """Restores of a backup from S3, 20 ms, where one connection has 40 MB/s, every peer; of ours with one part, too."""
    bench.drop_archives()
    _, found = restore_with_all(bench, "s3", 20, (), rate=40_000_000, ours=(AUTO, ONE_PART))
    bench.table("Restore, S3 over TLS, 20 ms, one connection limited to 40 MB/s", found, unit="backup")


def many_files(bench):
    """A base backup of 100,000 relations of one page into a directory, and restores of it, every peer that stores there."""
    n = QUICK_MANY_FILES if bench.quick else MANY_FILES
    server = bench.data.factory.new(fsync="off", autovacuum="off", archive_mode="on", archive_command="/bin/true")
    server.start()
    folder = server.pgdata / "base" / str(server.sql("SELECT oid FROM pg_database WHERE datname = 'postgres'")[0][0])
    page = next(path for path in folder.iterdir() if path.stat().st_size == PAGE).read_bytes()
    for number in range(10_000_000, 10_000_000 + n):  # the server does not know them, but backups take them
        (folder / str(number)).write_bytes(page)
    places, taken, restored = {}, {}, {}

    def back_up(tool):
        places[tool] = bench.at(tool, "directory", pgdata=server.pgdata, server=server)
        return take_backup(bench, places[tool])

    def bring_back(tool):
        bound = tool.at(places[tool].place, bench.new_directory(), pgdata=server.pgdata)
        return restore(bench, bound, compare=lambda target: compare_folders(folder, target / folder.relative_to(server.pgdata)))

    for tool in (*bench.ours("base")[:1], *bench.peers(PGBACKREST.with_processes(2), *WALG, *WALRUS)):
        for run, found in ((back_up, taken), (bring_back, restored)):
            figures = bench.attempt(tool, run)
            if not figures:
                break
            found[tool] = figures
        if tool in places:
            bench.drop(places.pop(tool))
    server.stop()
    shutil.rmtree(server.pgdata)
    bench.table(f"Base backup of {n:,} files of {PAGE} bytes, directory", taken, unit="backup")
    bench.table(f"Restore of {n:,} files of {PAGE} bytes, directory", restored, unit="backup")


@contextlib.contextmanager
def running_big(bench):
    server = bench.data.server(bench.data.big(), archive_mode="on", archive_command="/bin/true", shared_buffers="128MB")
    server.configure()
    server.start(timeout=120)
    try:
        yield server
    finally:
        server.stop(timeout=120)


def take_backup(bench, bound):
    os.sync()  # not what an earlier one has left to be written
    figures = run_measured(["sh", "-c", bound.backup()], timeout=bench.patience.backup)
    figures.facts["stored bytes"] = bound.place.stored(bound.BACKUPS)
    if not figures.facts["stored bytes"]:
        raise Failed("says that it has taken a backup, but nothing of it is in the store")
    return figures


def restore_with_all(bench, kind, rtt, slow, *, rate=0, ours=None):
    """({tool: figures of its backup}, {tool: figures of its restores}).  Each restores its own; pgBackRest's
    configurations of one codec share one.  "rate": of bench.at()."""
    taken, backups, compared = {}, {}, set()  # the latter: of whom one restore was compared with the source
    with running_big(bench) as server:

        def compare_with_big(target):
            compare_trees(server.pgdata, target)

        def run(tool):
            if tool.archive not in backups:
                bench.say(f"  {tool} takes a backup to restore")
                bound = bench.at(tool, kind, rtt=rtt, rate=rate, pgdata=server.pgdata, server=server)
                taken[tool] = take_backup(bench, bound)
                backups[tool.archive] = bound, taken[tool].facts
            backup, facts = backups[tool.archive]
            bound = tool.at(backup.place, bench.new_directory(), pgdata=server.pgdata)
            figures = restore(bench, bound, compare=None if tool in compared else compare_with_big)
            compared.add(tool)
            figures.facts.update(facts)
            return figures

        best = bench.with_best(PGBACKREST, run)
        tools = [*(ours or bench.ours("base")), *best, *bench.peers(*(tool.with_codec("lz4") for tool in best), *WALG, *WALRUS, *slow)]
        found = {}
        # In S3, which keeps everything in memory, there is one backup at a time.
        for group in bench.in_shares([tools] if kind == "directory" else [[tool] for tool in tools]):
            found.update(bench.interleaved(group, run))
            for archive in {tool.archive for tool in group} & set(backups):
                bench.drop(backups.pop(archive)[0])
    return taken, found


def restore(bench, bound, *, compare):
    """"compare": called with what was restored, or None."""
    target = bench.new_directory() / "restored"
    if not bound.is_ours:
        target.mkdir()
    os.sync()
    figures = run_measured(["sh", "-c", bound.restore(target)], timeout=bench.patience.backup)
    if compare:
        compare(target)
    shutil.rmtree(target.parent)
    return figures


def compare_folders(source, target):
    names = [path.name for path in source.iterdir() if path.stat().st_size == PAGE]
    same, other, missing = filecmp.cmpfiles(source, target, names, shallow=False)
    if other or missing:
        raise Failed(f"of {len(names)} files {len(missing)} were not restored, and {len(other)} with other contents")


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

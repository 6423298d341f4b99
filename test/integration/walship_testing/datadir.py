"""Data directories and WAL for push and fetch, without a server in them."""
import shutil

from . import server as pg
from . import wal


class DataDirectory:
    """What push and fetch look at in a data directory, without a server in it."""

    def __init__(self, path, template):
        self.path = path
        self.wal = path / "pg_wal"
        (self.wal / "archive_status").mkdir(parents=True)
        (path / "global").mkdir()
        shutil.copy(template / "global/pg_control", path / "global/pg_control")
        shutil.copy(template / "PG_VERSION", path / "PG_VERSION")
        self.major = int((path / "PG_VERSION").read_text())
        self.system = int.from_bytes((path / "global/pg_control").read_bytes()[:8], "little")

    def segment(self, timeline, segno, *, name=None, **options):
        """Makes a segment in pg_wal, with the options of wal.write_segment(); returns its name."""
        name = name or wal.segment_name(timeline, segno, options.get("segment_size", 16 * wal.MIB))
        options.setdefault("major", self.major)
        wal.write_segment(self.wal / name, self.system, timeline, segno, **options)
        return name

    def history(self, timeline, *switches):
        name = f"{timeline:08X}.history"
        (self.wal / name).write_text(wal.history_text(*switches))
        return name

    def key(self, name):
        """Of a segment, history or backup file."""
        folder = "" if name.endswith(".history") else name[:8] + "/"
        suffix = ".tar" if len(name) == 24 else ""
        return f"{self.system}/wal/{folder}{name}{suffix}"

    def push(self, walship, name, expected=0, **options):
        return walship.fails(expected, "push", f"pg_wal/{name}", cwd=self.path, **options)

    def fetch(self, walship, name, expected=0, *flags, **options):
        target = "pg_wal/RECOVERYHISTORY" if name.endswith(".history") else "pg_wal/RECOVERYXLOG"
        return walship.fails(expected, "fetch", *flags, name, target, cwd=self.path, **options)

    @property
    def fetched(self):
        return self.wal / "RECOVERYXLOG"


class RealWal:
    """Segments that a server wrote."""

    def __init__(self, directory):
        self.segments = sorted(path for path in directory.iterdir() if len(path.name) == 24)
        self.control = directory / "pg_control"

    def into(self, datadir):
        """Puts the segments and their pg_control in place; returns the names."""
        shutil.copy(self.control, datadir.path / "global/pg_control")
        datadir.system = int.from_bytes(self.control.read_bytes()[:8], "little")
        for segment in self.segments:
            shutil.copy(segment, datadir.wal / segment.name)
        return [segment.name for segment in self.segments]


def make_real_wal(cache, kept):
    work = cache / "real-wal.work"
    work.mkdir()
    factory = pg.ServerFactory(work, cache)
    try:
        server = factory.new(wal_keep_size="1GB")
        server.start()
        names = []
        for _ in range(3):
            server.write_rows(30000)
            names.append(server.switch_wal())
        server.stop()
        unfinished = work / "kept"
        unfinished.mkdir()
        for name in names:
            shutil.copy(server.pgdata / "pg_wal" / name, unfinished / name)
        shutil.copy(server.pgdata / "global/pg_control", unfinished / "pg_control")
        unfinished.rename(kept)
    finally:
        factory.close()
        shutil.rmtree(work, ignore_errors=True)

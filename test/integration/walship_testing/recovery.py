"""Base backups, recoveries, and an archive with a known story to recover from."""
import json
import shutil
import signal
import time
from dataclasses import asdict, dataclass

from . import server as pg
from .proc import locked, wait_until
from .store import DirectoryStore, create_store
from .walship import Walship

UNFINISHED = "walship_recover_unfinished"  # in a data directory while walship restores into it
COPY_NOTICE = "NOT ARCHIVED: this is a copy"


def take_backup(walship, server, *options, expected=0, timeout=30):
    """Its record.  No two of a program's backups begin in the same second: their ids tell which came first."""
    before = getattr(walship, "last_backup_id", "")[:16]
    while time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) == before:
        time.sleep(0.05)
    result = walship.fails(
        expected, "backup", "--fast", "--json", *options, env=server.pg_environment, timeout=timeout
    )
    record = json.loads(result.out)
    walship.last_backup_id = record.get("id", before)
    return record


@dataclass
class Moment:
    """What the tables held, and where that was."""

    time: str
    lsn: str
    tables: dict


def note_moment(server):
    """Between two transactions: nothing commits at the moment itself."""
    tables = server.checksums()
    moment = Moment(server.now(), server.value("SELECT pg_current_wal_insert_lsn()::text"), tables)
    time.sleep(0.005)
    return moment


class Recoveries:
    """Data directories made by "walship recover"."""

    def __init__(self, walship, servers):
        self.walship = walship
        self.servers = servers

    def place(self, name=None, *, major=None):
        """A server whose data directory is yet to come."""
        return self.servers.empty(name=name, major=major)

    def recover(self, *options, name=None, into=None, major=None, timeout=30):
        """Not started.  The output is kept in .recovery."""
        server = into or self.place(name, major=major)
        server.recovery = self.walship.ok("recover", "--pgdata", server.pgdata, *options, timeout=timeout)
        return server

    def copy(self, *options, **more):
        """Started, and paused at its target."""
        server = self.recover(*options, **more)
        server.start(wait=False)
        server.wait_paused()
        return server

    def live(self, *options, **more):
        """Started, and promoted at its target."""
        server = self.recover(*options, **more)
        server.start()
        server.wait_promoted()
        return server

    def plan(self, *options):
        return json.loads(self.walship.ok("recover", "--plan", "--json", *options).out)

    def refused(self, expected, *options, says=(), name="refused"):
        """Expects this exit code, these texts, and that nothing was touched; returns the result."""
        pgdata = self.servers.directory / name
        assert not pgdata.exists()
        result = self.walship.fails(expected, "recover", "--pgdata", pgdata, *options)
        for text in [says] if isinstance(says, str) else says:
            assert text in result.err, f"expected {text!r} on stderr: {result}"
        assert not pgdata.exists(), str(result)
        return result


def snapshot_of(directory):
    """{path: (kind and permissions, size, mtime)}, to see that nothing was touched."""
    found = {}
    for path in [directory, *sorted(directory.rglob("*"))]:
        status = path.lstat()
        found[str(path.relative_to(directory))] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


def interrupt_when(process, condition, signal_number, *, timeout=20):
    """Stops the process as soon as condition() holds, and sends it the signal; returns its exit status.

    None: it had ended by itself before."""
    deadline = time.monotonic() + timeout
    while not condition():
        if process.poll() is not None:
            return None
        assert time.monotonic() < deadline, "the moment to interrupt never came"
        time.sleep(0.0005)
    process.send_signal(signal_number)
    process.communicate(timeout=timeout)
    return process.returncode


@dataclass
class Archive:
    """What a server left behind in a store: made once, and copied into the store of each test."""

    facts: dict
    kept: DirectoryStore

    @property
    def system(self):
        return self.facts["system"]

    @property
    def backups(self):
        """Records, oldest first."""
        return self.facts["backups"]

    def moment(self, name):
        return Moment(**self.facts["moments"][name])

    def into(self, store):
        for key in self.kept.keys(f"{self.system}/"):
            store.write(key, self.kept.read(key))


def segment_key(system, name):
    return f"{system}/wal/{name[:8]}/{name}.tar"


def backup_key(record, name):
    return f"{record['system_id']}/base/{record['id']}/{name}"


def load_archive(cache, name, tell):
    """Made by tell(walship, factory), which returns the facts, when nobody in this run has made it."""
    kept = cache / name
    with locked(f"{kept}.lock"):
        if not kept.exists():
            make_archive(cache, kept, tell)
    return Archive(json.loads((kept / "facts.json").read_text()), DirectoryStore(kept))


def make_archive(cache, kept, tell):
    work = cache / f"{kept.name}.work"
    work.mkdir()
    store = DirectoryStore(work / "store")
    create_store(store, work)
    factory = pg.ServerFactory(work, cache)
    try:
        facts = tell(Walship(work / "walship", store.settings), factory)
        (store.directory / "facts.json").write_text(json.dumps(facts))
        store.directory.rename(kept)
    finally:
        factory.close()
        shutil.rmtree(work, ignore_errors=True)


def tell_story(walship, factory):
    """One timeline with two backups.

    before     nothing is in the archive yet
    (backup 1)
    morning    table "rows"
    noon       more rows, and restore point "noon"
    (backup 2)
    evening    still more rows; then table "other"
    mistake    the last good moment: the next commit is that of DROP TABLE rows
    night      more in table "other"; the last thing archived is a later commit
    """
    server = factory.new()
    server.archive_with(walship)
    server.start()
    moments = {"before": asdict(note_moment(server))}
    backups = [take_backup(walship, server)]
    server.write_rows(1000)
    moments["morning"] = asdict(note_moment(server))
    server.switch_wal()
    server.write_rows(1000)
    noon_xid = xid_of(server, "INSERT INTO rows (filling) VALUES ('noon')")
    moments["noon"] = asdict(note_moment(server))
    server.sql("SELECT pg_create_restore_point('noon')")
    server.write_rows(1000)
    server.switch_wal()
    backups.append(take_backup(walship, server))
    server.write_rows(1000)
    moments["evening"] = asdict(note_moment(server))
    server.switch_wal()
    server.write_rows(100, table="other")
    moments["mistake"] = asdict(note_moment(server))
    server.sql("DROP TABLE rows")
    server.write_rows(100, table="other")
    moments["night"] = asdict(note_moment(server))
    server.write_rows(1, table="later")
    return {
        "last_segment": server.switch_and_archive(),
        "system": server.system_identifier(),
        "moments": moments,
        "backups": backups,
        "noon_xid": noon_xid,
    }


def tell_branches(walship, factory):
    """Timeline 1 with one backup, and timeline 2 that a recovery to "split" began.

    morning    both timelines have it
    split      the last moment that both have
    old        on timeline 1 only
    old_end    its end
    new        on timeline 2 only
    new_end    its end
    """
    server = factory.new()
    server.archive_with(walship)
    server.start()
    moments = {}
    backup = take_backup(walship, server)
    server.write_rows(100)
    moments["morning"] = asdict(note_moment(server))
    server.switch_wal()
    server.write_rows(100)
    split = note_moment(server)
    server.write_rows(100, table="mistake")
    moments["old"] = asdict(note_moment(server))
    server.write_rows(1, table="last_of_old")
    moments["old_end"] = asdict(note_moment(server))
    server.switch_and_archive()
    server.destroy()

    rejoined = Recoveries(walship, factory).recover("--target-time", split.time, "--rejoin", name="rejoined")
    rejoined.archive_with(walship)
    rejoined.start()
    rejoined.wait_promoted()
    rejoined.write_rows(100, table="better")
    moments["split"] = asdict(split)
    moments["new"] = asdict(note_moment(rejoined))
    rejoined.write_rows(1, table="last_of_new")
    moments["new_end"] = asdict(note_moment(rejoined))
    rejoined.switch_and_archive()
    return {"system": int(backup["system_id"]), "moments": moments, "backups": [backup]}


def xid_of(server, statement):
    """Runs the statement in a transaction; returns its transaction id."""
    connection = server.connect()
    connection.autocommit = False
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.execute("SELECT txid_current() % (2^32)::bigint")
            xid = int(cursor.fetchone()[0])
        connection.commit()
    finally:
        connection.close()
    return xid


def wait_no_backup(server, *, timeout=20):
    """The server has noticed that the backup's client is gone: no walsender, no slot, no backup in progress."""

    def clean():
        return server.sql("SELECT 1 FROM pg_stat_replication") == [] and (
            server.sql("SELECT 1 FROM pg_replication_slots") == []
        )

    wait_until(clean, "the server has ended the backup", timeout=timeout)


SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}

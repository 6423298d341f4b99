"""The four things that walship does with an S3 server, each with what must hold after it went well, and after it did not."""
import hashlib
import json
import shutil
from dataclasses import dataclass, field

from . import faultproxy as fault

UNFINISHED = "walship_recover_unfinished"
NOT_COMPARED = ("postgresql.auto.conf", UNFINISHED)  # holds paths and names of this test


@dataclass
class Case:
    """A fault, to which requests it happens, and how the program must end."""

    name: str
    what: object
    rc: int = 0
    says: str = ""
    most: float = 20  # seconds
    which: dict = field(default_factory=dict)  # of FaultProxy.add()
    idle_limit: float = None

    def __str__(self):
        return self.name

    def apply(self, proxy, **which):
        if self.idle_limit:
            proxy.idle_limit = self.idle_limit
        return proxy.add(self.what, **{**which, **self.which})


def transient():
    """Each happens twice, and then it is over: the program must not fail by it."""
    faults = {
        "delay": fault.delay(1),
        "500 InternalError": fault.answer(500, "InternalError"),
        "502 without a body": fault.answer(502),
        "503 SlowDown": fault.answer(503, "SlowDown"),
        "503 SlowDown with Retry-After": fault.answer(503, "SlowDown", headers={"Retry-After": "1"}),
        "429 TooManyRequests with Retry-After": fault.answer(429, "TooManyRequests", headers={"Retry-After": "1"}),
        "409 OperationAborted": fault.answer(409, "OperationAborted"),
        "400 RequestTimeout": fault.answer(400, "RequestTimeout"),
        "reset before the body": fault.reset_before_body,
        "reset after the body": fault.reset_after_body,
        "end after the body": fault.hang_up_after_body,
        "lost response": fault.lose_response,
    }
    return [Case(name, what, which={"times": 2}) for name, what in faults.items()]


def always(name, what, rc, says="", **more):
    return Case(name, what, rc, says, which={"times": None, **more.pop("which", {})}, **more)


class Push:
    """One segment."""

    def __init__(self, walship, store, datadir, real_wal):
        self.walship = walship
        self.store = store
        self.datadir = datadir
        self.name = real_wal.into(datadir)[0]
        self.key = datadir.key(self.name)

    def run(self, timeout=40):
        return self.walship.run("push", f"pg_wal/{self.name}", cwd=self.datadir.path, timeout=timeout)

    def check(self, result):
        """The whole or nothing is there, and once the fault is over the whole."""
        assert self.store.keys() in ([], [self.key])
        if result.rc == 0:
            assert self.store.keys() == [self.key]
        else:
            self.datadir.push(self.walship, self.name)
        self.datadir.fetch(self.walship, self.name)
        assert self.datadir.fetched.read_bytes() == (self.datadir.wal / self.name).read_bytes()


class Fetch:
    """One segment, which a server in recovery asks for."""

    def __init__(self, walship, store, datadir, real_wal, *, signal_file="recovery.signal"):
        self.walship = walship
        self.store = store
        self.datadir = datadir
        self.name = real_wal.into(datadir)[0]
        datadir.push(walship, self.name)
        self.content = (datadir.wal / self.name).read_bytes()
        (datadir.wal / self.name).unlink()
        if signal_file:
            (datadir.path / signal_file).touch()
        store.proxy.clear()

    def run(self, timeout=40):
        command = ["fetch", self.name, "pg_wal/RECOVERYXLOG"]
        return self.walship.run(*command, cwd=self.datadir.path, timeout=timeout)

    def check(self, result):
        if result.rc != 0:
            assert not self.datadir.fetched.exists()
            self.datadir.fetch(self.walship, self.name)
        assert self.datadir.fetched.read_bytes() == self.content
        assert sorted(path.name for path in self.datadir.wal.iterdir()) == sorted(
            ["archive_status", "RECOVERYXLOG", *self.others()]
        )

    def others(self):
        return [path.name for path in self.datadir.wal.iterdir() if len(path.name) == 24]


class Backup:
    """Of a server with a few parts' worth of data that cannot be compressed."""

    def __init__(self, walship, store, server):
        self.walship = walship
        self.store = store
        self.server = server
        walship.configure(part_size="32MB")

    def run(self, timeout=50):
        return self.walship.run("backup", "--fast", "--json", env=self.server.pg_environment, timeout=timeout)

    def check(self, result):
        """A backup that is said to be there is, with every byte; of one that is not, nothing is."""
        if result.rc == 0:
            self.check_backup(json.loads(result.out))
        else:
            assert result.out == ""
            assert not [key for key in self.store.keys() if key.endswith("backup.json")]
        assert self.store.uploads() == []

    def check_backup(self, record):
        prefix = f"{record['system_id']}/base/{record['id']}/"
        named = [*record["parts"], record["manifest"], record["map"]]
        assert self.store.keys(prefix) == sorted([prefix + part["name"] for part in named] + [prefix + "backup.json"])
        stored = self.store.read_json(prefix + "backup.json")
        assert len(stored.pop("seal")) == 64
        assert stored == record
        for part in named:
            content = self.store.read(prefix + part["name"])
            assert len(content) == part["stored_size"]
            assert hashlib.sha256(content).hexdigest() == part["stored_sha256"]


class Recover:
    """A backup into a new directory; the server is not started."""

    def __init__(self, walship, store, directory, story):
        self.walship = walship
        self.store = store
        self.pgdata = directory / "recovered"
        self.story = story
        self.expected = None
        store.proxy.clear()

    def run(self, timeout=50):
        return self.walship.run("recover", "--immediate", "--pgdata", self.pgdata, timeout=timeout)

    def check(self, result):
        """Every file is there, or nothing that a server would start with."""
        if result.rc != 0:
            assert not (self.pgdata / "PG_VERSION").exists() or (self.pgdata / UNFINISHED).exists()
            shutil.rmtree(self.pgdata, ignore_errors=True)
            again = self.run()
            assert again.rc == 0, str(again)
        files = digests_of(self.pgdata)
        shutil.rmtree(self.pgdata)
        clean = self.run()
        assert clean.rc == 0, str(clean)
        assert files == digests_of(self.pgdata)


def digests_of(directory):
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file() and path.name not in NOT_COMPARED
    }


def try_case(case, operation, proxy, **which):
    """The program meets the fault, ends as it should in time, and the store is as it should be."""
    rule = case.apply(proxy, **which)
    result = operation.run()
    requests = proxy.log()
    assert rule.hits > 0 or case.idle_limit, f"the fault never happened: {result}\n{requests}"
    assert result.rc == case.rc, f"expected exit {case.rc}: {result}\n{requests}"
    assert case.says in result.err, f"expected {case.says!r} on stderr: {result}"
    assert result.seconds < case.most, f"{result}\n{requests}"
    proxy.clear()
    operation.check(result)
    return result

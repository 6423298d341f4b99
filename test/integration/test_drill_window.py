"""drill with less room than its WAL needs: the WAL comes while it is replayed, and nothing else changes."""
import json
import os
import signal
import threading
from pathlib import Path

import pytest

from walship_testing import server as pg
from walship_testing.proc import wait_until
from walship_testing.recovery import take_backup

SEGMENTS = 12
SEGMENT_NAME = 24  # digits


class Window:
    """The segments below a drill's scratch that its server has not taken yet, watched all the while."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.most = 0
        self.seen = set()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def names(self):
        found = set()
        for directory in self.scratch.glob("drill-*/pgdata/walship_server/wal"):
            try:
                found |= {name for name in os.listdir(directory) if len(name) == SEGMENT_NAME}
            except OSError:
                continue
        return found

    def watch(self):
        while not self.ended.wait(0.002):
            names = self.names()
            self.most = max(self.most, len(names))
            self.seen |= names

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


@pytest.fixture
def long_wal(servers, walship, directory):
    """A backup and many small segments; a checkpoint now and then, as live servers have."""
    server = servers.new(segment_size=1, max_wal_size="8MB", min_wal_size="2MB")
    server.archive_with(walship)
    server.start()
    server.write_rows(100)
    take_backup(walship, server)
    for number in range(SEGMENTS):
        server.sql("INSERT INTO rows (filling) SELECT repeat('y', 100) FROM generate_series(1, 6000)")
        if number % 4 == 3:
            server.sql("CHECKPOINT")
    server.sql("SELECT pg_create_restore_point('end')")
    server.switch_and_archive()
    walship.configure(drill_scratch=directory / "scratch", drill_wal_max="2MB",
                      pg_bindir=pg.find_install(pg.default_major()).bindir)
    return server


def processes_of(scratch):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.fsencode(str(scratch)) in (entry / "cmdline").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
    return found


@pytest.mark.directory_only("the next test has the other store")
def test_wal_that_has_no_room_comes_while_it_is_replayed(long_wal, walship, store, directory):
    scratch = directory / "scratch"
    made = json.loads(walship.ok("drill", "--plan", "--json", "--target-name", "end").out)
    with Window(scratch) as window:
        report = json.loads(walship.ok("drill", "--json", "--target-name", "end", timeout=50).out)
    assert report["passed"] and report["last_transaction"] == "committed"
    assert report["wal_window_bytes"] == 2 << 20
    assert "2.0 MiB at a time" in report["checks"]["restored"]["notes"][0]
    assert made["wal"]["segments"] >= SEGMENTS
    assert window.most <= 2, "no more than its window at a time"
    assert list(scratch.iterdir()) == [] and store.keys(f"{long_wal.system_identifier()}/lease/") == []

    # To the end of the WAL, where the server asks for what nobody has.
    report = json.loads(walship.ok("drill", "--json", timeout=50).out)
    assert report["passed"] and report["wal_window_bytes"] == 2 << 20


def held(proxy, key):
    """A request for the whole of this object is never answered; the event says that it came."""
    came = threading.Event()

    def fault(exchange):
        if "range" in exchange.request.headers:
            exchange.forward()
        else:
            came.set()
            exchange.wait_for_client_to_leave()

    proxy.add(fault, method="GET", target=key, times=None)
    return came


@pytest.mark.s3_only
def test_of_a_drill_that_ends_while_its_wal_comes_nothing_is_left(long_wal, walship, store, proxy, directory):
    """Interrupted, killed, and by a segment that is damaged."""
    scratch = directory / "scratch"
    system = long_wal.system_identifier()
    late = [key for key in store.keys(f"{system}/wal/00000001/") if ".tar" in key][-4]
    late_name = late.split("/")[-1][:SEGMENT_NAME]
    has_lease = lambda: store.keys(f"{system}/lease/") != []  # noqa: E731
    for number in (signal.SIGINT, signal.SIGKILL):
        came = held(proxy, late)
        with Window(scratch) as window:
            process = walship.start("drill", "--target-name", "end")
            wait_until(came.is_set, "all before it was replayed, or is about to be", timeout=40)
            # The one after it may have come.
            wait_until(lambda: min(window.names(), default=late_name) >= late_name, "the server waits for it", timeout=20)
        assert has_lease() and processes_of(scratch) != []
        process.send_signal(number)
        process.communicate(timeout=40)
        proxy.clear()
        wait_until(lambda: processes_of(scratch) == [], "server and restore_command have ended with it", timeout=20)
        assert has_lease() == (number == signal.SIGKILL)
        assert (list(scratch.iterdir()) != []) == (number == signal.SIGKILL)

    content = bytearray(store.read(late))
    content[len(content) // 4] ^= 0xFF
    store.write(late, bytes(content))
    report = json.loads(walship.fails(8, "drill", "--json", "--target-name", "end", timeout=50).out)
    failed = {name: check["findings"] for name, check in report["checks"].items() if check["outcome"] == "failed"}
    assert list(failed) == ["target"] and late_name in failed["target"][0], failed
    assert report["checks"]["consistent"]["outcome"] == "passed"
    assert list(scratch.iterdir()) == [] and not has_lease(), "what the killed one left is gone, too"

"""A legitimate segment is never flagged: servers that are killed, promoted and followed, again and again, on every
major, with segments of 1 MB, records of up to 5 MB and archive_mode=always; every segment that any of them hands over
is looked at.  WALSHIP_SOAK_ROUNDS (8) is how many kills and promotions each major gets."""
import contextlib
import os
import random
import threading
import time

import psycopg2
import pytest

from test_wal_reader import Archive, Walk
from walship_testing.wal import MIB, parse_lsn, parse_segment_name

ROUNDS = int(os.environ.get("WALSHIP_SOAK_ROUNDS", "8"))
SEGMENT = 1 * MIB
LONG = 60  # seconds until a server that replays large records is ready


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


class Writers:
    """Records of all sizes, from several connections, until stopped or until the server goes away."""

    def __init__(self, server, seed):
        self.stopped = threading.Event()
        self.threads = [
            threading.Thread(target=self.write, args=(server.connect(), random.Random(seed * 10 + n))) for n in range(3)
        ]
        for thread in self.threads:
            thread.start()

    def write(self, connection, generator):
        with contextlib.closing(connection), contextlib.suppress(psycopg2.Error):
            cursor = connection.cursor()
            while not self.stopped.is_set():
                cursor.execute(self.statement(generator))

    @staticmethod
    def statement(generator):
        choice = generator.random()
        if choice < 0.10:
            return f"SELECT pg_logical_emit_message(false, 'big', repeat('y', {generator.randrange(5 * MIB)}))"
        if choice < 0.15:
            return "SELECT pg_switch_wal()"
        if choice < 0.20:
            return "CHECKPOINT"
        if choice < 0.30:
            name = f"t{generator.randrange(3)}_{generator.randrange(10**9)}"
            return f"CREATE TABLE {name} AS SELECT repeat('z', 3000) AS a; DROP TABLE {name}"
        if choice < 0.40:
            return "DELETE FROM rows WHERE id % 7 = 0"
        rows = generator.randrange(1, 300)
        return f"INSERT INTO rows (filling) SELECT repeat('x', i % 50 * {rows}) FROM generate_series(1, {rows}) i"

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def history_switches(directory):
    """{timeline: the LSN at which it was left}"""
    switches = {}
    for path in directory.glob("*.history"):
        for line in path.read_text().splitlines():
            timeline, lsn, _ = line.split("\t")
            switches[int(timeline)] = parse_lsn(lsn)
    return switches


def look_at_all(archive):
    """Every complete segment; returns how many segments and records there were."""
    switches = history_switches(archive.directory)
    records = 0
    paths = [path for path in sorted(archive.directory.iterdir()) if len(path.name) == 24]
    for path in paths:
        walk = Walk(path, 65536)
        timeline, segno = parse_segment_name(path.name, SEGMENT)
        end = parse_lsn(walk.result["wal_end"])
        assert walk.result["damaged_at"] == "0/0", (path, walk.result)
        # WAL stops in the middle only where the timeline was left: a stub that a standby handed over.
        assert end == (segno + 1) * SEGMENT or end == switches.get(timeline), (path, walk.result, switches)
        records += int(walk.result["records"])
    return len(paths), records


def archive_of(directory, name):
    place = directory / name
    place.mkdir()
    return Archive(place)


def test_kill_9_in_the_middle_of_everything(servers, directory, major):
    archive = archive_of(directory, "killed")
    server = servers.new(major=major, segment_size=1, archive_mode="on", archive_command=archive.command,
                         wal_writer_delay="1ms", synchronous_commit="off")
    server.start()
    server.write_rows(10)
    for number in range(ROUNDS):
        writers = Writers(server, number)
        time.sleep(0.2 + number % 5 * 0.15)
        server.kill()
        writers.stop()
        server.start(timeout=LONG)
    server.switch_and_archive(timeout=LONG)
    segments, records = look_at_all(archive)
    print(f"{major}: {ROUNDS} kills, {segments} segments, {records} records, none flagged")
    assert segments > ROUNDS and records > 1000


def test_promotions_with_archives_on_both_sides(servers, directory, major):
    """Each new primary was a standby with archive_mode=always, which also hands over its stub of the old timeline."""
    rounds = max(1, ROUNDS // 4)
    archives = [archive_of(directory, f"of-{number}") for number in range(rounds + 1)]
    primary = servers.new(major=major, segment_size=1, archive_mode="always", archive_command=archives[0].command,
                          wal_keep_size="64MB")
    primary.start()
    primary.write_rows(100)
    for number in range(1, rounds + 1):
        standby = servers.standby_of(primary)
        standby.configure(archive_mode="always", archive_command=archives[number].command)
        standby.start(timeout=LONG)
        writers = Writers(primary, number)
        time.sleep(1)
        primary.kill()
        writers.stop()
        standby.promote()
        standby.write_rows(100)
        primary = standby
    primary.switch_and_archive(timeout=LONG)
    counts = [look_at_all(archive) for archive in archives]
    print(f"{major}: {rounds} promotions, {sum(count for count, _ in counts)} segments, none flagged")
    assert all(segments for segments, _ in counts[:-1])

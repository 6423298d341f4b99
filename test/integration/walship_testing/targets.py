"""Random recovery targets in WAL of a busy server, and what pg_waldump says that each of them includes."""
import bisect
import contextlib
import random
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from .proc import run
from .recovery import take_backup
from .wal import format_lsn, parse_lsn

RECORD = re.compile(r"rmgr: (\S+)\s+len .*?tx:\s+(\d+), lsn: (\S+), prev \S+ desc: (.*)")
ENDING = re.compile(r"(COMMIT|ABORT)(?:_PREPARED)?\s+(?:(\d+): )?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC")
POINT = re.compile(r"RESTORE_POINT (\S+)")


@dataclass
class Ending:
    """A commit or abort record."""

    lsn: int
    xid: int
    time: datetime
    committed: bool


@dataclass
class Busy:
    """What a busy server left behind."""

    backup: dict
    records: list  # starts, ascending
    endings: list  # in the order of the WAL
    points: dict  # name: start of its record
    xids: set  # of the rows that the server held in the end

    def included(self, bound):
        """Of all endings, how many start before this place."""
        return bisect.bisect_left([ending.lsn for ending in self.endings], bound)


@dataclass
class Target:
    options: list
    included: int  # endings
    beyond: bool = False  # nothing is left out
    xids: set = field(default_factory=set)


def make_busy(server, walship, *, seconds, seed, large_records=False):
    """Takes a backup, keeps the server busy, and archives everything.  With large_records some commits and many other
    records are longer than a segment of 1 MB."""
    server.sql("CREATE TABLE marks (note text)")
    server.pgbench_init()
    backup = take_backup(walship, server)
    kinds = [plain, subtransactions, prepared, rolled_back, large, restore_point]
    if large_records:
        kinds += [very_large, many_objects, many_subtransactions, many_prepared]
    stop = threading.Event()
    failures = []
    threads = [
        threading.Thread(target=write, args=(server, random.Random(seed + number), number, kinds, stop, failures))
        for number in range(3)
    ]
    with server.pgbench_running():
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not failures, failures
    server.sql("INSERT INTO marks VALUES ('the end')")
    xids = rows_of(server)
    server.switch_and_archive()
    records, endings, points = read_wal(server, backup["start_lsn"])
    return Busy(backup, records, endings, points, xids)


def rows_of(server):
    """The transactions whose rows are there."""
    return {
        xid
        for (xid,) in server.sql(
            "SELECT xmin::text::bigint FROM marks UNION SELECT xmin::text::bigint FROM pgbench_history"
        )
    }


def write(server, random_numbers, number, kinds, stop, failures):
    try:
        with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
            count = 0
            while not stop.is_set():
                count += 1
                random_numbers.choice(kinds)(cursor, f"w{number}_{count}", random_numbers)
    except Exception as failure:  # the thread's caller looks at it
        failures.append(repr(failure))


def plain(cursor, name, _):
    cursor.execute("INSERT INTO marks VALUES (%s)", [name])


def subtransactions(cursor, name, random_numbers):
    cursor.execute("BEGIN; INSERT INTO marks VALUES (%s)", [name])
    for _ in range(random_numbers.randrange(1, 80)):
        end = random_numbers.choice(["RELEASE", "ROLLBACK TO"])
        cursor.execute(f"SAVEPOINT s; INSERT INTO pgbench_history (tid) VALUES (NULL); DELETE FROM pgbench_history "
                       f"WHERE tid IS NULL; {end} s")
    cursor.execute("COMMIT")


def prepared(cursor, name, random_numbers):
    cursor.execute("BEGIN; INSERT INTO marks VALUES (%s)", [name])
    cursor.execute(f"PREPARE TRANSACTION '{name}'")
    cursor.execute(f"{random_numbers.choice(['COMMIT', 'ROLLBACK'])} PREPARED '{name}'")


def rolled_back(cursor, name, _):
    cursor.execute("BEGIN; INSERT INTO marks VALUES (%s)", [name])
    cursor.execute("ROLLBACK")


def large(cursor, name, random_numbers):
    cursor.execute("BEGIN; INSERT INTO marks VALUES (%s)", [name])
    size = random_numbers.randrange(1, 300_000)
    cursor.execute("SELECT pg_logical_emit_message(true, 'large', repeat('x', %s))", [size])
    cursor.execute("COMMIT")


def very_large(cursor, name, random_numbers):
    cursor.execute("INSERT INTO marks VALUES (%s)", [name])
    size = random_numbers.randrange(1, 4_000_000)
    cursor.execute("SELECT pg_logical_emit_message(false, 'large', repeat('x', %s))", [size])


def many_objects(cursor, name, random_numbers):
    """Hundreds of wide tables made by one commit and dropped by another: invalidations make the records large."""
    count = random_numbers.randrange(1, 400)
    columns = ", ".join(f"c{number} int" for number in range(random_numbers.randrange(1, 100)))
    for statement in (f"CREATE TABLE {name}_' || i || ' ({columns})", f"DROP TABLE {name}_' || i || '"):
        cursor.execute("BEGIN; INSERT INTO marks VALUES (%s)", [name])
        cursor.execute(f"DO $$ BEGIN FOR i IN 1..{count} LOOP EXECUTE '{statement}'; END LOOP; END $$")
        cursor.execute("COMMIT")


def many_subtransactions(cursor, name, random_numbers):
    """Four bytes each in the commit's record."""
    cursor.execute("BEGIN; INSERT INTO marks VALUES (%s)", [name])
    cursor.execute(f"DO $$ BEGIN FOR i IN 1..{random_numbers.randrange(1, 20_000)} LOOP BEGIN DELETE FROM marks WHERE "
                   "false; PERFORM pg_current_xact_id(); EXCEPTION WHEN others THEN NULL; END; END LOOP; END $$")
    cursor.execute("COMMIT")


def many_prepared(cursor, name, random_numbers):
    """The xid of what ends lies at the end of the record."""
    count = random_numbers.randrange(1, 200)
    cursor.execute("BEGIN; INSERT INTO marks VALUES (%s)", [name])
    cursor.execute(f"DO $$ BEGIN FOR i IN 1..{count} LOOP EXECUTE 'CREATE TABLE {name}_' || i || ' (i int)';"
                   " END LOOP; END $$")
    cursor.execute(f"PREPARE TRANSACTION '{name}'")
    cursor.execute(f"{random_numbers.choice(['COMMIT', 'ROLLBACK'])} PREPARED '{name}'")


def restore_point(cursor, name, _):
    cursor.execute("SELECT pg_create_restore_point(%s)", [f"point_{name}"])


def read_wal(server, start):
    """By pg_waldump, whose end is an error: it meets the end of the WAL."""
    result = run(
        [server.install.program("pg_waldump"), "-p", server.pgdata / "pg_wal", "-s", start],
        env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
        timeout=60,
    )
    records, endings, points = [], [], {}
    for manager, xid, lsn, text in RECORD.findall(result.out):
        place = parse_lsn(lsn)
        records.append(place)
        ending = ENDING.match(text) if manager == "Transaction" else None
        if ending:
            at = datetime.fromisoformat(ending[3]).replace(tzinfo=timezone.utc)
            endings.append(Ending(place, int(ending[2] or xid), at, ending[1] == "COMMIT"))
        point = POINT.match(text) if manager == "XLOG" else None
        if point:
            points[point[1]] = place
    return records, endings, points


def choose_targets(busy, count, seed):
    """By PostgreSQL's rules: a time ends before the first ending later than it, an LSN with the first record from there."""
    random_numbers = random.Random(seed)
    chosen = []
    makers = [by_time, by_lsn, by_xid, by_name]
    while len(chosen) < count:
        target = makers[len(chosen) % 4](busy, random_numbers)
        if target is None:
            continue
        committed = {ending.xid for ending in busy.endings[: target.included] if ending.committed}
        before = busy.xids - {ending.xid for ending in busy.endings}
        target.xids = (busy.xids & committed) | before
        chosen.append(target)
    return chosen


def by_time(busy, random_numbers):
    ending = random_numbers.choice(busy.endings)
    at = ending.time + timedelta(microseconds=random_numbers.choice([0, 0, -1, 1, random_numbers.randrange(20000)]))
    exclusive = random_numbers.random() < 0.3
    later = [
        index
        for index, other in enumerate(busy.endings)
        if (other.time >= at if exclusive else other.time > at)
    ]
    if at <= datetime.fromisoformat(busy.backup["stop_time"].replace("Z", "+00:00")):
        return None
    if later and busy.endings[later[0]].lsn < parse_lsn(busy.backup["stop_lsn"]):
        return None
    options = ["--target-time", at.isoformat(" ", "microseconds"), *(["--exclusive"] if exclusive else [])]
    return Target(options, later[0] if later else len(busy.endings), not later)


def by_lsn(busy, random_numbers):
    near = random_numbers.choice([random_numbers.choice(busy.records), random_numbers.choice(busy.endings).lsn])
    place = near + random_numbers.choice([0, 0, -1, 1, 8])
    exclusive = random_numbers.random() < 0.3
    position = bisect.bisect_left(busy.records, place)
    if place <= parse_lsn(busy.backup["stop_lsn"]) or position >= len(busy.records) - 10:
        return None
    bound = place if exclusive else busy.records[position] + 1
    options = ["--target-lsn", format_lsn(place), *(["--exclusive"] if exclusive else [])]
    return Target(options, busy.included(bound))


def by_xid(busy, random_numbers):
    ending = random_numbers.choice(busy.endings)
    if ending.lsn <= parse_lsn(busy.backup["stop_lsn"]):
        return None
    exclusive = random_numbers.random() < 0.3
    options = ["--target-xid", ending.xid, *(["--exclusive"] if exclusive else [])]
    return Target(options, busy.included(ending.lsn + (0 if exclusive else 1)))


def by_name(busy, random_numbers):
    name = random_numbers.choice(sorted(busy.points))
    if busy.points[name] <= parse_lsn(busy.backup["stop_lsn"]):
        return None
    return Target(["--target-name", name], busy.included(busy.points[name]))


def check_plan(plan, busy, target):
    """The named transactions are those of pg_waldump."""
    last = busy.endings[target.included - 1] if target.included else None
    first = busy.endings[target.included] if target.included < len(busy.endings) else None
    for name, expected in (("last_included", last), ("first_excluded", first)):
        if expected is None:
            continue
        found = plan[name]
        where = f"{target.options}: {name} {found}, not {expected}"
        assert found["lsn"] is not None and parse_lsn(found["lsn"]) == expected.lsn, where
        assert found["xid"] == expected.xid and found["aborted"] == (not expected.committed), where
        assert datetime.fromisoformat(found["time"].replace("Z", "+00:00")) == expected.time, where


def recovered_rows(recoveries, base, target, name):
    """What a real recovery to the target gives, in a copy of a restored base: rows_of() the server."""
    server = recoveries.place(name)
    run(["cp", "-a", "--reflink=auto", base.pgdata, server.pgdata])
    server.recovery = recoveries.walship.ok("recover", "--config-only", "--pgdata", server.pgdata, *target.options)
    server.start(wait=False)
    try:
        if target.beyond:
            server.wait_ready(timeout=60)
            server.wait_promoted(timeout=60)
        else:
            server.wait_paused(timeout=60)
        return rows_of(server)
    finally:
        server.destroy()

"""The WAL reader says of every record what pg_waldump says, on all kinds of WAL that a server makes."""
import contextlib
import os
import random
import re
import threading
from pathlib import Path

import psycopg2
import pytest

from walship_testing.proc import run, run_ok
from walship_testing.wal import MIB, PAGE, parse_lsn, parse_segment_name, segment_name

BUILD = Path(os.environ.get("WALSHIP_BIN", Path(__file__).parents[2] / "build/release/walship")).parent
WAL_EVENTS = Path(os.environ.get("WALSHIP_WAL_EVENTS", BUILD / "test/wal_events"))
SEGMENT = 1 * MIB
RECORD = re.compile(
    r"rmgr: (?P<manager>\S+)\s+len \(rec/tot\):\s*\d+/\s*(?P<length>\d+), tx:\s*(?P<xid>\d+), "
    r"lsn: (?P<lsn>\S+), prev \S+, desc: (?P<what>\S+)\s?(?P<rest>.*)"
)
TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?: UTC|\+00)")
KINDS = {
    ("Transaction", "COMMIT"): "commit",
    ("Transaction", "COMMIT_PREPARED"): "commit",
    ("Transaction", "ABORT"): "abort",
    ("Transaction", "ABORT_PREPARED"): "abort",
    ("XLOG", "RESTORE_POINT"): "restore_point",
    ("XLOG", "CHECKPOINT_SHUTDOWN"): "checkpoint",
    ("XLOG", "CHECKPOINT_ONLINE"): "checkpoint",
    ("XLOG", "END_OF_RECOVERY"): "end_of_recovery",
    ("XLOG", "BACKUP_END"): "backup_end",
    ("XLOG", "PARAMETER_CHANGE"): "parameter_change",
    ("XLOG", "SWITCH"): "switch",
    ("Storage", "CREATE"): "file_created",
    ("XLOG", "FPW_CHANGE"): "full_page_writes",
    ("Database", "CREATE"): "database_created",
    ("Database", "CREATE_FILE_COPY"): "database_created",
    ("Database", "CREATE_WAL_LOG"): "database_created",
    ("Database", "DROP"): "database_dropped",
    ("Tablespace", "CREATE"): "tablespace_created",
    ("Tablespace", "DROP"): "tablespace_dropped",
}
ITEMS = {"subxact", "dropped_file", "dropped_stats", "lock"}


FILE = re.compile(r"(?:base|global|pg_tblspc/(\d+)/PG_\w+)(?:/(\d+))?/(\d+)")
DEFAULT_TABLESPACE, GLOBAL_TABLESPACE = 1663, 1664


def expected_events(line):
    """A line of pg_waldump: the record's items, then itself."""
    match = RECORD.match(line)
    assert match, line
    return events_of(
        parse_lsn(match["lsn"]), match["manager"], int(match["xid"]), match["what"].rstrip(":"), match["rest"]
    )


def events_of(lsn, manager, header_xid, what, rest):
    """Items, then the record, as (lsn, kind, xid, time, more)."""
    kind = KINDS.get((manager, what), "other")
    if kind == "file_created" and re.search(r"_(fsm|vm)$", rest.strip()):
        kind = "other"  # neither the main nor the init fork
    items = []
    xid, time, more = 0, "-", ""
    if kind in ("file_created", "database_created", "database_dropped", "tablespace_created", "tablespace_dropped"):
        xid = header_xid
    if kind in ("commit", "abort"):
        prepared = re.match(r"(\d+): ", rest)  # "COMMIT_PREPARED 731: 2026-..."
        xid = int(prepared[1]) if prepared else header_xid
        time = utc(rest)
    if kind == "commit":
        items = commit_items(rest)
        more = str(sum(item[0] == "dropped_file" for item in items))
    elif kind == "restore_point":
        more = rest
    elif kind == "file_created":
        more = file_text(rest)
    elif kind == "parameter_change":
        more = parameters_text(rest)
    elif kind == "full_page_writes":
        more = rest.strip()
    elif kind == "database_created":
        made = re.findall(r"(\d+)/(\d+)", rest)
        more = "{}/{}".format(*made[-1]) + " " + (made[0][1] if len(made) == 2 else "0")
    elif kind == "tablespace_created":
        oid, path = re.match(r'(\d+) "(.*)"', rest).groups()
        more = f"{oid} {path}"
    elif kind == "tablespace_dropped":
        more = rest.strip()
    elif kind == "database_dropped":
        more = re.search(r"dir \d+/(\d+)", rest)[1]
    elif kind == "checkpoint":
        more = re.search(r"; xid (\d+:\d+);", rest)[1]
    elif (manager, what) == ("Standby", "LOCK"):
        items = [("lock", int(of), f"{db}/{rel}") for of, db, rel in re.findall(r"xid (\d+) db (\d+) rel (\d+)", rest)]
        assert items
    return [(lsn, item, of, "-", text) for item, of, text in items] + [(lsn, kind, xid, time, more)]


WAL_LEVELS = {"minimal": "0", "replica": "1", "logical": "2"}


def parameters_text(rest):
    """max_connections=100 ... wal_level=replica ..."""
    values = dict(word.split("=") for word in rest.split() if "=" in word)
    return f"{values['max_connections']} {WAL_LEVELS[values['wal_level']]}"


def commit_items(rest):
    """[(kind, xid, more)] in the order in which they lie in the record."""
    parts = {}
    for part in rest.split("; ")[1:]:
        name, _, values = part.partition(": ")
        parts[name] = values.split()
    return (
        [("subxact", int(xid), "") for xid in parts.get("subxacts", [])]
        + [("dropped_file", 0, file_text(path)) for path in parts.get("rels", [])]
        + [("dropped_stats", 0, text) for text in parts.get("dropped stats", [])]
    )


def file_text(path):
    """base/5/16390 as tablespace/database/number"""
    tablespace, database, number = FILE.match(path).groups()
    if database is None:
        return f"{GLOBAL_TABLESPACE}/0/{number}"
    return f"{tablespace or DEFAULT_TABLESPACE}/{database}/{number}"


def utc(text):
    day, clock = TIME.search(text).groups()
    if "." in clock:
        clock = f"{clock.partition('.')[0]}.{clock.partition('.')[2]:0<6}".removesuffix(".000000")
    return f"{day}T{clock}Z"


class Walk:
    """What wal_events says of one segment."""

    def __init__(self, path, piece):
        lines = run_ok([WAL_EVENTS, path, piece]).out.splitlines()
        self.name = path.name
        self.result = dict(word.split("=") for word in lines.pop().split())
        self.all = [self.event(line) for line in lines]
        self.events = [event for event in self.all if event[1] not in ITEMS]

    @staticmethod
    def event(line):
        lsn, end, kind, xid, time, more = line.split(" ", 5)
        if kind == "restore_point":
            time = "-"  # pg_waldump does not print it
        if kind == "end_of_recovery":
            more = ""
        if kind == "checkpoint":
            more = more.split()[0]
        return parse_lsn(lsn), kind, int(xid), time, more.strip(), parse_lsn(end)


class Archive:
    def __init__(self, directory):
        self.directory = directory / "archive"
        self.directory.mkdir()

    @property
    def command(self):
        return f"cp %p {self.directory}/%f"

    def segments(self, timeline):
        return sorted(name.name for name in self.directory.glob(f"{timeline:08X}" + "[0-9A-F]" * 16))

    def walks(self, timeline, piece=4096):
        return [Walk(self.directory / name, piece) for name in self.segments(timeline)]

    def expected(self, server, timeline):
        names = self.segments(timeline)
        command = [server.install.program("pg_waldump"), "-p", self.directory, names[0], names[-1]]
        lines = run(command).out.splitlines()
        return [event for line in lines for event in expected_events(line)]

    def check(self, server, timeline=1, piece=4096):
        """Record for record; returns the walks."""
        walks = self.walks(timeline, piece)
        expected = self.expected(server, timeline)
        found = [event for walk in walks for event in walk.all]
        assert len(expected) > 100
        for walk in walks:
            assert walk.result["damaged_at"] == "0/0", walk.result
            check_result(walk)
        # What goes on in the next segment is not known, not even whether it was ever completed; and pg_waldump
        # cannot show a record whose end is in a segment that is not there.
        open_ends = {event[0] for walk in walks for event in walk.events if event[5] == 0}
        known = [event[:5] for event in found if event[0] not in open_ends]
        assert known == [event for event in expected if event[0] not in open_ends]
        assert open_ends or len(walks) < 5
        return walks


def check_result(walk):
    _, segno = parse_segment_name(walk.name, SEGMENT)
    assert int(walk.result["records"]) == len(walk.events)
    if walk.events:
        assert parse_lsn(walk.result["first"]) == walk.events[0][0]
        assert parse_lsn(walk.result["last"]) == walk.events[-1][0]
        assert (walk.result["continues"] == "1") == (walk.events[-1][5] == 0)
        assert (walk.result["switched"] == "1") == (walk.events[-1][1] == "switch")
    for event, following in zip(walk.events, walk.events[1:]):
        # No gap but page headers; or a record that a crash cut off, up to the page that says so.
        assert event[5] <= following[0] <= event[5] + 40 or following[0] % PAGE == 24
    assert parse_lsn(walk.result["wal_end"]) <= (segno + 1) * SEGMENT


def ends_whole(walk):
    _, segno = parse_segment_name(walk.name, SEGMENT)
    return parse_lsn(walk.result["wal_end"]) == (segno + 1) * SEGMENT


@pytest.fixture
def archive(directory):
    return Archive(directory)


@pytest.fixture
def make_server(servers, archive):
    def make(**settings):
        server = servers.new(segment_size=1, archive_mode="on", archive_command=archive.command, **settings)
        return server.start()

    return make


def kinds_of(walks):
    return {event[1] for walk in walks for event in walk.all}


def mixed_load(server):
    server.psql(
        """
        CREATE TABLE wide (id int PRIMARY KEY, a text, b text);
        INSERT INTO wide SELECT i, repeat(md5(i::text), 20), 'b' FROM generate_series(1, 1000) i;
        """
    )
    server.sql("SELECT pg_create_restore_point('before the change')")
    server.sql("DO $$ BEGIN FOR i IN 1..300 LOOP BEGIN INSERT INTO wide VALUES (10000 + i); EXCEPTION WHEN others THEN"
               " NULL; END; END LOOP; END $$")
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        for statement in ("BEGIN", "CREATE TABLE dropped AS SELECT * FROM wide", "SAVEPOINT s", "DELETE FROM wide",
                          "ROLLBACK TO s", "COMMIT", "DROP TABLE dropped", "BEGIN", "DELETE FROM wide", "ROLLBACK",
                          "CHECKPOINT", "UPDATE wide SET b = 'c'", "VACUUM FULL wide", "TRUNCATE wide"):
            cursor.execute(statement)


def test_mixed_load_is_read_as_pg_waldump_reads_it(make_server, archive):
    server = make_server()
    server.pgbench_init()
    with server.pgbench_running():
        mixed_load(server)
    server.switch_and_archive()
    walks = archive.check(server)
    assert {"commit", "abort", "restore_point", "checkpoint", "switch", "other"} <= kinds_of(walks)
    assert {"file_created", "subxact", "dropped_file", "dropped_stats", "lock"} <= kinds_of(walks)
    assert all(ends_whole(walk) for walk in walks)


def test_tablespaces_databases_and_settings_are_read_as_pg_waldump_reads_them(make_server, archive, directory):
    server = make_server()
    place = directory / "tablespace"
    place.mkdir()
    server.write_rows(2000)
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        for statement in (f"CREATE TABLESPACE elsewhere LOCATION '{place}'",
                          "CREATE DATABASE logged STRATEGY wal_log",
                          "CREATE DATABASE copied STRATEGY file_copy",
                          "ALTER DATABASE copied SET TABLESPACE elsewhere",
                          "DROP DATABASE copied", "DROP DATABASE logged", "DROP TABLESPACE elsewhere"):
            cursor.execute(statement)
    server.configure(full_page_writes="off", max_connections=70, wal_level="logical")
    server.reload()
    server.sql("CHECKPOINT")  # by the process that writes the record
    server.restart()
    server.write_rows(10)
    server.switch_and_archive()
    walks = archive.check(server)
    expected = {"tablespace_created", "tablespace_dropped", "database_created", "database_dropped", "full_page_writes",
                "parameter_change"}
    assert expected <= kinds_of(walks), expected - kinds_of(walks)
    told = [event for walk in walks for event in walk.all]
    assert any(event[1] == "tablespace_created" and event[4].endswith(f" {place}") for event in told)
    assert any(event[1] == "parameter_change" and event[4] == "70 2" for event in told)


def test_the_size_of_the_pieces_makes_no_difference(make_server, archive):
    server = make_server()
    mixed_load(server)
    server.switch_and_archive()
    for name in archive.segments(1)[:3]:
        whole = Walk(archive.directory / name, SEGMENT)
        for piece in (1, 7, 8191):
            again = Walk(archive.directory / name, piece)
            assert (again.events, again.result) == (whole.events, whole.result)


def test_prepared_transactions_are_told_by_their_own_xid(make_server, archive):
    server = make_server(max_prepared_transactions=10)
    server.write_rows(3000)
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        for i in range(8):
            cursor.execute("BEGIN")
            cursor.execute(f"CREATE TABLE prepared{i} (a int)")
            cursor.execute("SAVEPOINT s")
            cursor.execute(f"INSERT INTO prepared{i} VALUES (1)")
            if i > 1:
                cursor.execute(f"DROP TABLE IF EXISTS prepared{i - 2}")
            cursor.execute(f"PREPARE TRANSACTION 'p{i}'")
            cursor.execute(f"{'COMMIT' if i % 2 == 0 else 'ROLLBACK'} PREPARED 'p{i}'")
    server.switch_and_archive()
    walks = archive.check(server)
    assert all(event[2] > 0 for walk in walks for event in walk.events if event[1] in ("commit", "abort"))


def test_records_over_several_segments(make_server, archive):
    server = make_server()
    server.sql("SELECT pg_logical_emit_message(false, 'big', repeat(md5('x'), 160000))")
    server.write_rows(2000)
    server.sql("SELECT pg_logical_emit_message(true, 'big', repeat(md5('x'), 40000))")
    server.write_rows(2000)
    server.switch_and_archive()
    walks = archive.check(server)
    assert any(walk.result["records"] == "0" and walk.result["continues"] == "1" for walk in walks)


def switch_across_the_border(server, before):
    """A switch record that begins "before" bytes before the end of a segment; returns the border."""
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:

        def place():
            cursor.execute("SELECT pg_current_wal_insert_lsn()::text")
            return parse_lsn(cursor.fetchone()[0])

        def emit(size):
            cursor.execute("SELECT pg_logical_emit_message(false, 'x', repeat('y', %s))", (size,))

        for _ in range(10):
            border = (place() // SEGMENT + 1) * SEGMENT
            emit(max(border - place() - PAGE, 512))  # page headers take some more: into the last page
            start = place()
            emit(512)
            overhead = place() - start - 512
            emit(max(border - before - place() - overhead, 0))
            if place() == border - before:  # else someone else wrote WAL meanwhile
                cursor.execute("SELECT pg_switch_wal()")
                return border
    pytest.fail("could not place the record")


@pytest.mark.parametrize("before", [8, 16])
def test_a_switch_across_the_border_is_no_end_of_wal(make_server, archive, before):
    server = make_server()
    border = switch_across_the_border(server, before)
    server.write_rows(3000)
    server.switch_and_archive()
    walk = Walk(archive.directory / segment_name(1, border // SEGMENT, SEGMENT), 4096)
    assert walk.result["records"] == "0"
    assert walk.result["switched"] == "1"
    assert ends_whole(walk)


@pytest.mark.parametrize("method", ["pglz", "lz4", "zstd"])
def test_compressed_full_page_images(make_server, archive, method):
    server = make_server(wal_compression=method)
    server.pgbench_init()
    for _ in range(3):
        server.sql("CHECKPOINT")
        server.sql("UPDATE pgbench_accounts SET abalance = aid WHERE aid % 50 = 0")
    server.switch_and_archive()
    archive.check(server)


def test_wal_level_logical(make_server, archive):
    server = make_server(wal_level="logical")
    mixed_load(server)
    server.switch_and_archive()
    archive.check(server)


def write_until_killed(server, seconds):
    """Transactions of all sizes, and kill -9 in the middle of them."""
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        killer = threading.Timer(seconds, server.kill)
        killer.start()
        with contextlib.suppress(psycopg2.Error):
            while True:
                cursor.execute("INSERT INTO rows (filling) SELECT repeat('x', i) FROM generate_series(1, 300) i")
                cursor.execute("SELECT pg_logical_emit_message(false, 'big', repeat(md5('x'), 1500))")
        killer.join()


def test_a_server_that_is_killed_leaves_no_damage(make_server, archive):
    server = make_server(wal_writer_delay="1ms", synchronous_commit="off", commit_delay=0)
    server.write_rows(10)
    for i in range(6):
        write_until_killed(server, 0.1 + 0.01 * i)
        server.start()
    server.switch_and_archive()
    walks = archive.check(server)
    assert all(ends_whole(walk) for walk in walks)


def switch_point(archive, timeline):
    return parse_lsn((archive.directory / f"{timeline:08X}.history").read_text().split("\t")[1])


def test_a_promoted_standby_and_its_stub_of_the_old_timeline(make_server, servers, archive, directory):
    primary = make_server()
    primary.write_rows(3000)
    (directory / "second").mkdir()
    second = Archive(directory / "second")
    standby = servers.standby_of(primary)
    standby.configure(archive_mode="always", archive_command=second.command)
    standby.start()
    for _ in range(3):
        primary.write_rows(3000)
        primary.sql("CHECKPOINT")
    primary.write_rows(10)
    standby.wait_replayed(primary)
    primary.kill()
    assert standby.promote() == 2
    standby.write_rows(3000)
    standby.switch_and_archive()

    new = second.check(standby, timeline=2)
    assert all(ends_whole(walk) for walk in new)
    switch = switch_point(second, 2)
    assert {"end_of_recovery", "checkpoint"} & kinds_of(new)
    stub = segment_name(1, switch // SEGMENT, SEGMENT)
    stubs = sorted(second.directory.glob(f"{stub}*"))
    assert stubs
    for path in stubs:
        walk = Walk(path, 4096)
        assert parse_lsn(walk.result["wal_end"]) == switch, walk.result
        assert walk.result["damaged_at"] == "0/0"


@pytest.fixture
def segment(make_server, archive):
    """A segment that is full of records, as bytes that may be changed."""
    server = make_server()
    server.write_rows(12000)
    server.switch_and_archive()
    name = archive.segments(1)[-2]
    return name, bytearray((archive.directory / name).read_bytes())


def test_every_flipped_byte_of_a_record_is_found(segment, directory):
    name, whole = segment
    (directory / name).write_bytes(whole)
    before = Walk(directory / name, SEGMENT)
    generator = random.Random(1)
    for event in generator.sample(before.events[:-2], 60):
        at = event[0] % SEGMENT + generator.randrange(4, 24)
        if at // 8192 != event[0] % SEGMENT // 8192:
            continue
        if 18 <= at - event[0] % SEGMENT < 20:
            at += 2
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        (directory / name).write_bytes(damaged)
        after = Walk(directory / name, SEGMENT)
        assert parse_lsn(after.result["damaged_at"]) == event[0], (at, after.result)
        assert after.events == before.events[: before.events.index(event)]


def commits_by_time(server):
    """{xid: commit time} as the server itself knows them."""
    rows = server.sql("SELECT xid::text::bigint, timestamp::text FROM pg_last_committed_xact() WHERE timestamp IS NOT NULL")
    return {xid: text for xid, text in rows}


def test_wal_of_every_major(servers, archive, major):
    """Only the distribution's major has a pg_waldump here: 16 and later have pg_walinspect, which says the same; 13
    and 14 are asked what they know themselves."""
    server = servers.new(
        major=major,
        segment_size=1,
        archive_mode="on",
        archive_command=archive.command,
        track_commit_timestamp="on",
        max_prepared_transactions=4,
        wal_compression="on",
        wal_keep_size="256MB",
    )
    server.start()
    begin = server.value("SELECT pg_current_wal_insert_lsn()::text")
    known = {}
    for i in range(40):
        server.sql("CREATE TABLE IF NOT EXISTS rows (a int, b text)")
        server.sql("INSERT INTO rows SELECT i, repeat('x', i) FROM generate_series(1, 200) i")
        known.update(commits_by_time(server))
    prepared_xid = prepared_transaction(server)
    dropped = drop_things(server)
    server.sql("SELECT pg_create_restore_point('the point')")
    inspected = inspect_wal(server, begin) if major >= 16 else None
    write_until_killed(server, 0.2)
    server.start()
    server.sql("SELECT pg_logical_emit_message(false, 'big', repeat(md5('x'), 80000))")
    server.switch_and_archive()

    walks = archive.walks(1)
    for walk in walks:
        assert walk.result["damaged_at"] == "0/0", walk.result
        assert ends_whole(walk), walk.result
        check_result(walk)
    events = [event for walk in walks for event in walk.all if event[0] >= parse_lsn(begin)]
    commits = {event[2]: event[3] for event in events if event[1] == "commit"}
    assert prepared_xid in commits
    assert known == {xid: server_text(commits[xid]) for xid in known}
    assert [event[4] for event in events if event[1] == "restore_point"] == ["the point"]
    assert {"checkpoint", "switch"} <= {event[1] for event in events}
    check_drops(events, dropped, major)
    if inspected:
        open_ends = {event[0] for walk in walks for event in walk.events if event[5] == 0}
        found = [event[:5] for event in events if event[0] <= inspected[-1][0]]
        assert len(inspected) > 1000
        assert [event for event in found if event[0] not in open_ends] == [
            event for event in inspected if event[0] not in open_ends
        ]


def inspect_wal(server, begin):
    """What pg_walinspect says of the records from "begin" to now."""
    server.sql("CREATE EXTENSION pg_walinspect")
    rows = server.sql(
        "SET timezone = 'UTC';"
        "SELECT start_lsn::text, resource_manager, xid::text::bigint, record_type, coalesce(description, '')"
        " FROM pg_get_wal_records_info(%s, pg_current_wal_flush_lsn()) ORDER BY start_lsn",
        begin,
    )
    return [event for lsn, *record in rows for event in events_of(parse_lsn(lsn), *record)]


def drop_things(server):
    """A table with indexes and toast in a subtransaction, and a database; says what they were."""
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        for statement in ("CREATE TABLE gone_for_good (a int PRIMARY KEY, b text UNIQUE)",
                          "INSERT INTO gone_for_good SELECT i, i FROM generate_series(1, 100) i"):
            cursor.execute(statement)
        cursor.execute("SELECT oid FROM pg_database WHERE datname = current_database()")
        database = cursor.fetchone()[0]
        cursor.execute("WITH tables AS (SELECT unnest(ARRAY[oid, reltoastrelid]) AS oid FROM pg_class"
                       " WHERE relname = 'gone_for_good'),"
                       " parts AS (SELECT oid FROM tables"
                       " UNION SELECT indexrelid FROM pg_index JOIN tables ON indrelid = tables.oid)"
                       " SELECT oid, pg_relation_filenode(oid) FROM parts")
        files = dict(cursor.fetchall())
        cursor.execute("SELECT 'gone_for_good'::regclass::oid")
        table = cursor.fetchone()[0]
        for statement in ("BEGIN", "INSERT INTO rows VALUES (1, 'top')", "SELECT txid_current() & 4294967295"):
            cursor.execute(statement)
        xid = cursor.fetchone()[0]
        for statement in ("SAVEPOINT s", "DROP TABLE gone_for_good", "RELEASE s", "COMMIT", "CREATE DATABASE gone"):
            cursor.execute(statement)
        cursor.execute("SELECT oid FROM pg_database WHERE datname = 'gone'")
        gone = cursor.fetchone()[0]
        cursor.execute("DROP DATABASE gone")
    assert len(files) == 5  # table, two indexes, toast and its index
    return {"xid": xid, "database": database, "files": files, "table": table, "gone": gone}


def check_drops(events, dropped, major):
    (commit,) = [event for event in events if event[1] == "commit" and event[2] == dropped["xid"]]
    items = [event for event in events if event[0] == commit[0] and event is not commit]
    database = dropped["database"]
    expected = {f"{DEFAULT_TABLESPACE}/{database}/{number}" for number in dropped["files"].values()}
    assert {item[4] for item in items if item[1] == "dropped_file"} == expected
    assert commit[4] == "5"
    (subxact,) = [item[2] for item in items if item[1] == "subxact"]
    assert subxact > dropped["xid"]
    created = {event[4] for event in events if event[1] == "file_created"}
    assert expected <= created
    relation = 2  # WAL_STATISTICS_RELATION
    statistics = {item[4] for item in items if item[1] == "dropped_stats"}
    assert (f"{relation}/{database}/{dropped['table']}" in statistics) == (major >= 15)
    locks = {event[4] for event in events if event[1] == "lock" and event[2] == subxact}
    assert f"{database}/{dropped['table']}" in locks
    assert str(dropped["gone"]) in [event[4] for event in events if event[1] == "database_dropped"]


def server_text(utc_text):
    """2026-11-20T12:00:00.100000Z as the server prints it."""
    day, clock = utc_text.removesuffix("Z").split("T")
    return f"{day} {clock.rstrip('0').rstrip('.') if '.' in clock else clock}+00"


def prepared_transaction(server):
    """With subtransactions and a dropped table; returns its xid."""
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        for statement in ("CREATE TABLE gone (a int)", "BEGIN", "DROP TABLE gone", "SAVEPOINT s",
                          "CREATE TABLE came (a int)", "RELEASE s"):
            cursor.execute(statement)
        cursor.execute("SELECT txid_current() & 4294967295")
        xid = cursor.fetchone()[0]
        cursor.execute("PREPARE TRANSACTION 'p'")
        cursor.execute("COMMIT PREPARED 'p'")
    return xid

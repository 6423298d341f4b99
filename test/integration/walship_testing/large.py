"""One transaction that drops so many tables that its commit record goes over several segment ends."""
import contextlib
import json

from .recovery import take_backup
from .wal import MIB, PAGE, format_lsn, parse_lsn, segment_name

WIDE = "i int, " + ", ".join(f"c{number} int" for number in range(100))  # a few tables do
NARROW = "i int PRIMARY KEY, t text UNIQUE"
FILES = {WIDE: 1, NARROW: 5}  # per table; with two indexes, TOAST table and its index
LAST_BYTES = 128  # of a segment, in which the commit's record is to begin


def drop_many(walship, factory, *, major, tables, segment_mib, columns):
    """As facts of an archive: what was dropped, by which transaction, and where its commit begins and ends."""
    server = factory.new(major=major, segment_size=segment_mib, autovacuum="off", max_locks_per_transaction=2048,
                         max_wal_size="4GB", wal_level="logical", track_commit_timestamp="on")
    server.archive_with(walship)
    server.start()
    backup = take_backup(walship, server)
    server.sql("CREATE TABLE rescued AS SELECT i FROM generate_series(1, 1000) i")
    for first in range(0, tables, 500):
        last = min(first + 500, tables) - 1
        server.sql(f"DO $$ BEGIN FOR i IN {first}..{last} LOOP EXECUTE 'CREATE TABLE t' || i || ' ({columns})';"
                   " END LOOP; END $$")
    server.sql("INSERT INTO t7 (i) VALUES (7)")
    last_commit = server.value("SELECT xid::text::bigint FROM pg_last_committed_xact()")
    sums = sums_of(server)
    server.sql("SELECT pg_logical_emit_message(false, 'crosses', repeat('x', %s))", 2 * segment_mib * MIB + 5000)
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT txid_current() & 4294967295")
        xid = cursor.fetchone()[0]
        cursor.execute(f"DO $$ BEGIN FOR i IN 0..{tables - 1} LOOP EXECUTE 'DROP TABLE t' || i;"
                       " IF i % 100 = 0 THEN BEGIN PERFORM 1 / (i % 2); EXCEPTION WHEN others THEN END; END IF;"
                       " END LOOP; END $$")
        cursor.execute("SAVEPOINT s")
        cursor.execute("DROP TABLE rescued")
        cursor.execute("RELEASE s")
        begin = fill_segment(server, segment_mib * MIB)
        cursor.execute("COMMIT")
    end = parse_lsn(server.value("SELECT pg_current_wal_insert_lsn()::text"))
    server.sql("CREATE TABLE afterwards (i int)")
    last = server.switch_and_archive(timeout=120)
    return {"system": int(backup["system_id"]), "backups": [backup], "xid": xid, "last_commit": last_commit,
            "files": tables * FILES[columns] + 1, "begin": format_lsn(begin), "end": format_lsn(end), "sums": sums, "last": last,
            "segment_size": segment_mib * MIB}


def sums_of(server):
    """Some of the tables only: there are thousands."""
    return {name: server.value(f"SELECT coalesce(sum(i), 0)::int FROM {name}") for name in ("rescued", "t7", "t8")}


def fill_segment(server, segment_size, left=LAST_BYTES // 2):
    """Until so many bytes of a segment are left, more or less; returns where the next record begins."""
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:

        def place():
            cursor.execute("SELECT pg_current_wal_insert_lsn()::text")
            return parse_lsn(cursor.fetchone()[0])

        def emit(size):
            cursor.execute("SELECT pg_logical_emit_message(false, 'x', repeat('y', %s))", (size,))

        for _ in range(20):
            border = (place() // segment_size + 1) * segment_size
            if border - place() < 4 * PAGE:
                emit(border - place())
                continue
            start = place()
            emit(1000)
            overhead = place() - start - 1000  # of a message; wrong where a page began in it
            target = border - left
            headers = 24 * (target // PAGE - place() // PAGE)
            emit(target - place() - headers - overhead)
            if left - 40 <= border - place() <= left + 64:
                return place()
    raise AssertionError("could not place the record")


def check_find(facts, walship, major):
    """All that the one transaction dropped; returns what find says of it."""
    found = json.loads(walship.ok("find", "--json").out)
    (drop,) = found["found"]
    begin, end = parse_lsn(drop["commit_lsn"]), parse_lsn(facts["end"])
    assert end // facts["segment_size"] > begin // facts["segment_size"] + 1, "its commit crosses two ends"
    assert (drop["xid"], drop["kind"], drop["complete"]) == (facts["xid"], "drop", True)
    assert drop["file_count"] == facts["files"]
    if major >= 15:  # before, only locks tell, which no index counts: not all segments with them are read
        assert drop["relation_count"] == drop["file_count"]
    assert drop["time"] is not None and found["warnings"] == []
    return drop


def check_before(facts, recoveries, major):
    """Just before it: everything is there, and can be read while the server is paused."""
    copy = recoveries.recover("--before-drop", major=major)
    plan = recoveries.plan("--before-drop")
    assert (plan["target"]["kind"], plan["target"]["inclusive"]) == ("lsn", True)
    assert plan["last_included"]["xid"] == facts["last_commit"]
    assert not any("locked" in warning for warning in plan["warnings"])
    start_paused(copy)
    copy.sql("SET lock_timeout = '1s'; SELECT sum(i) FROM rescued")
    assert sums_of(copy) == facts["sums"]


def check_through(facts, drop, recoveries, major, *options):
    """Up to its commit: everything is gone, and what came afterwards is not there."""
    plan = recoveries.plan(*options)
    last = segment_name(1, (parse_lsn(facts["end"]) - 1) // facts["segment_size"], facts["segment_size"])
    assert plan["wal"]["plan_end"] == last
    assert plan["stop"]["lsn"] == drop["commit_lsn"]
    copy = recoveries.recover(*options, major=major)
    start_paused(copy)
    assert copy.value("SELECT count(*)::int FROM pg_class WHERE relname ~ '^(t[0-9]+|rescued|afterwards)$'") == 0


def start_paused(copy):
    copy.start(wait=False)
    copy.wait_paused(timeout=120)

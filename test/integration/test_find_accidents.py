"""The commonest accident drops nothing: DELETE or UPDATE without WHERE.  Found by what it wrote, and undone."""
import contextlib
import json
import shlex

import pytest

from walship_testing.recovery import take_backup, xid_of


def commits(walship, *options):
    return json.loads(walship.ok("find", "--commits", "--json", *options).out)["found"]


def test_somebody_ran_delete_and_the_largest_commit_tells_who_and_how_to_get_back(server, walship, recoveries):
    take_backup(walship, server)
    server.write_rows(3000)
    expected = server.checksums()
    server.switch_wal()
    with contextlib.closing(server.connect()) as connection:
        connection.autocommit = False
        with connection.cursor() as cursor:
            cursor.execute("SAVEPOINT one; DELETE FROM rows WHERE id <= 1500; SAVEPOINT two")
            server.write_rows(10, table="meanwhile")
            server.switch_wal()
            cursor.execute("DELETE FROM rows")
            cursor.execute("SELECT txid_current()")
            culprit = cursor.fetchone()[0]
            server.write_rows(10, table="last_before")
            expected = {name: rows for name, rows in server.checksums().items()}
        connection.commit()
    server.write_rows(10, table="afterwards")
    server.switch_and_archive()
    since = server.value("SELECT (now() - interval '1 hour')::text")
    found = commits(walship, "--since", since)
    largest = max(found, key=lambda item: item["wal_bytes"] if item["xid"] != found[0]["xid"] else 0)
    deleted = next(item for item in found if item["xid"] == culprit)
    assert deleted["wal_records"] >= 3000, "subtransactions and the segment before count"
    assert largest["wal_bytes"] >= deleted["wal_bytes"] > 3000 * 40
    assert f"--before xid:{culprit}" in deleted["recover_before"] and f"--target-xid {culprit}" in deleted["recover"]
    option, value = shlex.split(deleted["recover_before"])[2:4]
    plan = recoveries.plan(option, value)
    assert plan["asked"]["kind"] == "before" and plan["first_excluded"]["xid"] == culprit
    copy = recoveries.copy(option, value)
    assert copy.checksums() == expected
    shown = walship.ok("find", "--commits").out
    assert "just before" in shown and "--before xid:" in shown and "--target-xid" in shown


def test_before_refuses_what_names_no_transaction(story, recoveries):
    recoveries.refused(9, "--before", "xid:4000000", says="before transaction 4000000 is not in the WAL")
    for wrong in ("745", "xid:", "xid:two", "xid:1"):
        recoveries.refused(2, "--before", wrong, says="names no transaction")
    recoveries.refused(9, "--before-drop", "xid:4000000", says="--before xid:4000000")


def test_transaction_ids_of_64_bits_are_understood(server, walship, recoveries):
    take_backup(walship, server)
    server.write_rows(10)
    xid = xid_of(server, "INSERT INTO rows (filling) VALUES ('this one')")
    server.sql("CHECKPOINT")
    server.write_rows(1, table="later")
    server.switch_and_archive()
    assert recoveries.plan("--target-xid", str(xid))["stop"]["xid"] == xid
    recoveries.refused(9, "--target-xid", str((1 << 32) + xid), says="is not in the WAL")
    recoveries.refused(9, "--before", f"xid:{(1 << 32) + xid}", says="is not in the WAL")


def test_find_always_says_where_the_wal_in_the_store_ends(server, walship):
    server.write_rows(10)
    server.switch_and_archive()
    server.sql("DROP TABLE rows")
    for search in ("--drops", "--rewrites", "--commits", "--restore-points"):
        said = walship.ok("find", search).out
        assert "The WAL in the store ends at LSN 0/" in said and " ago" in said and "pg_switch_wal()" in said
    (end,) = json.loads(walship.ok("find", "--json").out)["wal_ends"]
    assert end["timeline"] == 1 and end["lsn"].endswith("000000") and end["last_commit"]


@pytest.mark.directory_only("how a record lies in segments does not depend on where these lie")
def test_a_prepared_transaction_whose_commit_begins_far_before_its_segments_end_is_found(servers, walship, recoveries):
    """Its xid stands at the end of the record, and the index keeps no piece of so long a one."""
    server = servers.new(segment_size=1, max_prepared_transactions=4, max_locks_per_transaction=2048, autovacuum="off")
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    server.sql("DO $$ BEGIN FOR i IN 1..400 LOOP EXECUTE 'CREATE TABLE t' || i || ' (i int primary key)'; END LOOP; END $$")
    server.sql("SELECT pg_switch_wal()")
    drops = "DO $$ BEGIN FOR i IN 1..400 LOOP EXECUTE 'DROP TABLE t' || i; END LOOP; END $$"
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"BEGIN; {drops}")
        cursor.execute("SELECT txid_current()")
        xid = cursor.fetchone()[0]
        cursor.execute("PREPARE TRANSACTION 'p'")
    server.sql("SELECT pg_switch_wal(); CHECKPOINT")
    for _ in range(50):
        left = server.value("SELECT (1048576 - (pg_current_wal_insert_lsn() - '0/0') % 1048576)::int")
        if 1500 < left < 6000:
            break
        size = max((left - 4000) * 8160 // 8192 - 200, 1)  # pages have headers
        server.sql(f"SELECT pg_logical_emit_message(false, 'x', repeat('y', {size}))")
    assert 1500 < left < 6000
    server.sql("COMMIT PREPARED 'p'")
    server.write_rows(1, table="later")
    server.switch_and_archive()
    plan = recoveries.plan("--target-xid", str(xid))
    assert plan["stop"]["xid"] == xid and plan["wal"]["plan_end"]

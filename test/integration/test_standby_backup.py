"""Backups of standbys.  A standby cannot mark the end of its backup in the WAL, and whatever record happens to be the
last one, nothing may ever follow it: the primary is gone when these are recovered."""
import time

import pytest

from walship_testing import server as pg
from walship_testing.proc import wait_until
from walship_testing.recovery import take_backup

ON_EVERY_MAJOR = "open transaction"


def end_with_a_commit(primary):
    primary.sql("CHECKPOINT")
    primary.write_rows(1)


def end_with_a_checkpoint(primary):
    primary.write_rows(1)
    primary.sql("CHECKPOINT")


def end_with_running_xacts(primary):
    primary.sql("SELECT pg_create_logical_replication_slot('says_so', 'pgoutput')")
    primary.sql("SELECT pg_drop_replication_slot('says_so')")


def end_with_an_open_transaction(primary):
    connection = primary.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO rows (filling) SELECT repeat('x', 500) FROM generate_series(1, 2000)")
    time.sleep(0.6)  # the walwriter flushes whole pages: the last record is somewhere in the middle
    return connection


def end_with_a_switch(primary):
    primary.write_rows(1)
    primary.switch_wal()


ENDS = {
    "commit": end_with_a_commit,
    "checkpoint": end_with_a_checkpoint,
    "running xacts": end_with_running_xacts,
    "open transaction": end_with_an_open_transaction,
    "switch": end_with_a_switch,
}
CASES = [
    pytest.param(major, end, id=f"pg{major}-{end.replace(' ', '-')}")
    for major in pg.MAJORS
    for end in ENDS
    if major == pg.default_major() or end == ON_EVERY_MAJOR
]


def has_replayed_all_it_can(standby, primary):
    """What was flushed may end within a record; the rest of that comes with the next snapshot of transactions, which
    the primary logs every 15 s, or never.  So its replay has come to where it waits for more, not to the last byte."""
    received = standby.value("SELECT pg_last_wal_receive_lsn()::text")
    waits = standby.value("SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup'")
    return received == primary.value("SELECT pg_current_wal_flush_lsn()::text") and waits == "RecoveryWalStream"


TARGETS = {
    "immediate": lambda recoveries, major: recoveries.copy("--immediate", major=major),
    "from-backup-only": lambda recoveries, major: recoveries.copy("--from-backup-only", major=major),
    "latest": lambda recoveries, major: recoveries.live("--latest", "--copy", major=major),
}


def back_up_a_standby(servers, walship, major, end):
    """Whose last record is this one, with its primary gone afterwards; returns what it held."""
    if not pg.find_install(major):
        pytest.skip(f"PostgreSQL {major} is not on this machine; test/install test says why")
    primary = servers.new(name="primary", major=major, wal_level="logical", wal_keep_size="256MB")
    primary.archive_with(walship)
    primary.start()
    primary.write_rows(100)
    standby = servers.standby_of(primary, name="standby").start()
    kept_open = ENDS[end](primary)
    for _ in range(2):
        wait_until(lambda: has_replayed_all_it_can(standby, primary), "all that was flushed is replayed")
    backup = take_backup(walship, standby)
    expected = standby.checksums()
    primary.kill()
    standby.kill()
    assert backup["from_standby"] and backup["wal_inside"]
    if kept_open:
        kept_open.close()
    return expected


@pytest.mark.parametrize("major, end", CASES)
def test_a_backup_of_a_standby_can_be_recovered_to_its_end_whatever_its_last_record_is(
    servers, walship, recoveries, major, end
):
    """Before: FATAL "recovery ended before configured recovery target was reached".  The whole table of ends and majors:
    test/soak/test_standby_ends.py."""
    expected = back_up_a_standby(servers, walship, major, end)
    for recover in TARGETS.values():
        copy = recover(recoveries, major)
        assert copy.checksums() == expected
        copy.stop()


def test_a_backup_of_a_standby_that_did_not_bring_its_wal_is_rescued_by_the_archive(servers, walship, recoveries):
    """Such as walship 0.1.0 took them: the last record is then looked for in the archive's segments."""
    primary = servers.new(name="primary", wal_keep_size="256MB")
    primary.archive_with(walship)
    primary.start()
    standby = servers.standby_of(primary, name="standby").start()
    end_with_a_checkpoint(primary)
    standby.wait_replayed(primary)
    backup = take_backup(walship, standby)
    expected = standby.checksums()
    primary.switch_and_archive()
    primary.stop()
    plan = recoveries.plan("--immediate")
    assert not plan["backup"]["own_wal_used"] and any("is of a standby" in note for note in plan["notes"])
    copy = recoveries.copy("--immediate")
    assert copy.checksums() == expected
    assert "recovery_target_lsn = '0/" in (copy.pgdata / "postgresql.auto.conf").read_text()
    assert backup["from_standby"]

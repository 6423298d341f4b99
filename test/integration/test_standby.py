"""Standbys made by recover, failovers, and what they do to the archive."""
import pytest

from walship_testing.proc import wait_until
from walship_testing.recovery import note_moment, segment_key, take_backup


@pytest.fixture
def primary(servers, walship):
    made = servers.new(name="primary", wal_keep_size="256MB")
    made.archive_with(walship)
    return made.start()


def make_standby(recoveries, walship, primary, *options, name="standby", **settings):
    standby = recoveries.recover("--standby", "--primary-conninfo", primary.conninfo, *options, name=name)
    standby.configure(wal_keep_size="256MB", **settings)
    if "archive_mode" not in settings:
        standby.archive_with(walship)
    return standby.start()


@pytest.mark.smoke
def test_a_standby_streams_and_survives_a_failover(primary, walship, recoveries):
    take_backup(walship, primary)
    primary.write_rows(100)
    primary.switch_and_archive()
    standby = make_standby(recoveries, walship, primary)
    primary.write_rows(100)
    standby.wait_replayed(primary)
    assert standby.checksums() == primary.checksums()
    assert primary.value("SELECT count(*) FROM pg_stat_replication") == 1
    assert (standby.pgdata / "standby.signal").exists() and not (standby.pgdata / "recovery.signal").exists()

    primary.write_rows(100)
    standby.wait_replayed(primary)
    expected = primary.checksums()
    primary.kill()
    assert standby.promote() == 2
    assert standby.checksums() == expected
    standby.write_rows(100, table="after_the_failover")
    expected = standby.checksums()
    standby.switch_and_archive()
    copy = recoveries.live("--latest", "--copy")
    assert copy.checksums() == expected


def test_a_standby_uses_its_slot(primary, walship, recoveries):
    take_backup(walship, primary)
    primary.sql("SELECT pg_create_physical_replication_slot('its slot')".replace("its slot", "its_slot"))
    standby = make_standby(recoveries, walship, primary, "--primary-slot-name", "its_slot")
    primary.write_rows(10)
    standby.wait_replayed(primary)
    assert primary.sql("SELECT active FROM pg_replication_slots WHERE slot_name = 'its_slot'") == [(True,)]


def test_a_standby_without_a_primary_lives_from_the_archive(primary, walship, recoveries):
    take_backup(walship, primary)
    assert "follows the archive alone" in " ".join(recoveries.plan("--standby")["notes"])
    following = recoveries.plan("--standby", "--primary-conninfo", primary.conninfo)
    assert "archive alone" not in " ".join(following["notes"])
    standby = recoveries.recover("--standby", name="standby").start()
    primary.write_rows(100)
    primary.switch_and_archive()
    lsn = primary.value("SELECT pg_current_wal_lsn()::text")
    primary.write_rows(1)
    primary.switch_and_archive()
    wait_until(
        lambda: standby.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", lsn), "the archive is replayed"
    )
    assert standby.value("SELECT count(*) FROM rows") >= 100


def test_a_new_standby_of_the_new_primary_is_built_after_a_failover(primary, walship, recoveries):
    take_backup(walship, primary)
    standby = make_standby(recoveries, walship, primary)
    primary.write_rows(100)
    standby.wait_replayed(primary)
    primary.kill()
    standby.promote()
    standby.write_rows(100)
    standby.switch_and_archive()
    second = make_standby(recoveries, walship, standby, name="second", archive_mode="off")
    standby.write_rows(100)
    second.wait_replayed(standby)
    assert second.checksums() == standby.checksums()


# The old primary's tail


def fail_over_with_a_tail(primary, servers, walship):
    """The primary could not archive for a while, and is gone.

    Returns the promoted standby (not archiving yet), the moment on the tail, and the tail's segments."""
    standby = servers.standby_of(primary, name="standby", wal_keep_size="256MB").start()
    primary.write_rows(100)
    primary.switch_and_archive()
    primary.configure(archive_command="false")
    primary.reload()
    wait_until(lambda: primary.value("SHOW archive_command") == "false", "the archive_command is changed")
    tail = []
    for _ in range(2):
        primary.write_rows(100, table="tail")
        tail.append(primary.switch_wal())
    on_tail = note_moment(primary)
    primary.write_rows(100, table="later")
    standby.wait_replayed(primary)
    primary.kill()
    return standby, on_tail, tail


@pytest.mark.smoke
def test_an_unarchived_tail_of_the_old_primary_is_repaired_and_recovered(
    primary, servers, walship, recoveries, store
):
    backup = take_backup(walship, primary)
    standby, on_tail, tail = fail_over_with_a_tail(primary, servers, walship)
    standby.stop()
    standby.archive_with(walship)
    standby.start()
    standby.promote()
    standby.write_rows(100, table="new")
    new = note_moment(standby)
    standby.write_rows(1, table="last_of_all")
    standby.switch_and_archive()
    assert all(store.exists(segment_key(backup["system_id"], name)) for name in tail)
    for moment in (on_tail, new):
        copy = recoveries.copy("--target-time", moment.time)
        assert copy.checksums() == moment.tables


def test_an_unarchived_tail_that_is_lost_is_never_skipped(primary, servers, walship, recoveries, store):
    """pg_wal of the new primary does not have it any more: what comes after it cannot be recovered, and is not."""
    backup = take_backup(walship, primary)
    before = note_moment(primary)
    standby, on_tail, tail = fail_over_with_a_tail(primary, servers, walship)
    standby.promote()
    standby.sql("CHECKPOINT")
    standby.stop()
    for name in tail:
        (standby.pgdata / "pg_wal" / name).unlink()
    standby.archive_with(walship)
    standby.start()
    standby.write_rows(100, table="new")
    new = note_moment(standby)
    standby.write_rows(1, table="last_of_all")
    standby.switch_and_archive()
    assert not any(store.exists(segment_key(backup["system_id"], name)) for name in tail)
    recoveries.refused(9, "--target-time", new.time, says=[tail[0], "missing", "can go up to"])
    recoveries.refused(9, "--latest", "--copy", "--timeline", "2", says=[tail[0], "missing"])
    recoveries.refused(9, "--target-time", on_tail.time, "--timeline", "2", says=[tail[0], "missing"])
    copy = recoveries.copy("--target-lsn", before.lsn, "--exclusive")
    assert copy.checksums() == before.tables


def test_a_backup_after_the_lost_tail_makes_everything_good_again(primary, servers, walship, recoveries):
    take_backup(walship, primary)
    standby, _, tail = fail_over_with_a_tail(primary, servers, walship)
    standby.promote()
    standby.sql("CHECKPOINT")
    standby.stop()
    for name in tail:
        (standby.pgdata / "pg_wal" / name).unlink()
    standby.archive_with(walship)
    standby.start()
    newer = take_backup(walship, standby)
    standby.write_rows(100, table="new")
    new = note_moment(standby)
    standby.write_rows(1, table="last_of_all")
    standby.switch_and_archive()
    assert recoveries.plan("--target-time", new.time)["backup"]["id"] == newer["id"]
    copy = recoveries.copy("--target-time", new.time)
    assert copy.checksums() == new.tables


# archive_mode=always


def test_recovery_across_the_switch_of_a_promoted_standby_that_always_archives(
    primary, servers, walship, recoveries, store
):
    take_backup(walship, primary)
    standby = servers.standby_of(primary, name="standby")
    standby.archive_with(walship, mode="always")
    standby.start()
    primary.write_rows(100)
    primary.switch_and_archive()
    primary.write_rows(100)
    old = note_moment(primary)
    primary.write_rows(1, table="last_of_old")
    standby.wait_replayed(primary)
    primary.kill()
    assert standby.promote() == 2
    standby.write_rows(100, table="new")
    new = note_moment(standby)
    standby.write_rows(1, table="last_of_all")
    standby.switch_and_archive()
    for moment in (old, new):
        copy = recoveries.copy("--target-time", moment.time)
        assert copy.checksums() == moment.tables


def test_the_stub_of_a_following_standby_that_always_archives_does_not_stand_in_the_way(
    primary, servers, walship, recoveries, store
):
    """It sends the old timeline's last segment under its full name; stored as .partial it is nobody's obstacle."""
    backup = take_backup(walship, primary)
    primary.archive_with(walship)
    middle = servers.standby_of(primary, name="middle").start()
    always = servers.standby_of(primary, name="always")
    always.archive_with(walship, mode="always")
    always.configure(primary_conninfo=middle.conninfo, recovery_target_timeline="latest")
    always.start()
    primary.write_rows(100)
    always.wait_replayed(primary)
    old = note_moment(primary)
    primary.write_rows(1, table="last_of_old")
    always.wait_replayed(primary)
    split = primary.current_segment()
    primary.kill()
    middle.promote()
    middle.write_rows(100, table="new")
    always.wait_replayed(middle)
    middle.kill()
    assert always.promote() == 3
    always.write_rows(100, table="newest")
    newest = note_moment(always)
    always.write_rows(1, table="last_of_all")
    always.switch_and_archive()
    assert not store.exists(segment_key(backup["system_id"], split))
    assert [key for key in store.keys(f"{backup['system_id']}/wal/00000001/{split}.partial")]
    for moment in (old, newest):
        copy = recoveries.copy("--target-time", moment.time)
        assert copy.checksums() == moment.tables

    # Of histories without digests, as 0.1.0 left them, the WAL says the same: timeline 2 goes on from a partial.
    for timeline in ("00000002", "00000003"):
        store.remove(f"{backup['system_id']}/wal/{timeline}.history.sha256")
    assert recoveries.plan("--latest", "--copy")["timeline"] == 3


# A backup first, archiving later


def test_a_backup_without_an_archive_restores_to_its_end(servers, walship, recoveries):
    server = servers.new().start()
    server.write_rows(100)
    take_backup(walship, server)
    expected = server.checksums()
    server.write_rows(100)
    for option in ("--immediate", "--from-backup-only"):
        copy = recoveries.copy(option)
        assert copy.checksums() == expected


def test_archiving_switched_on_right_after_a_backup_leaves_no_hole(servers, walship, recoveries):
    server = servers.new().start()
    server.write_rows(100)
    take_backup(walship, server)
    server.write_rows(100)
    server.archive_with(walship)
    server.restart()
    server.write_rows(100)
    moment = note_moment(server)
    server.write_rows(1, table="later")
    server.switch_and_archive()
    copy = recoveries.copy("--target-time", moment.time)
    assert copy.checksums() == moment.tables


def test_archiving_switched_on_too_late_leaves_a_hole_that_is_named(servers, walship, recoveries):
    server = servers.new().start()
    server.write_rows(100)
    backup = take_backup(walship, server)
    expected = server.checksums()
    server.write_rows(100)
    lost = server.switch_wal()
    server.write_rows(100)
    server.archive_with(walship)
    server.restart()
    server.write_rows(100)
    moment = note_moment(server)
    server.write_rows(1, table="later")
    server.switch_and_archive()
    recoveries.refused(9, "--target-time", moment.time, says=[lost, "missing", backup["id"]])
    copy = recoveries.copy("--immediate", "--backup", backup["id"])
    assert copy.checksums() == expected

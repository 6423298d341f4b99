"""recover brings the database to each kind of target, and to nothing else."""
import datetime

import pytest

from walship_testing import wal
from walship_testing.proc import run, run_ok, wait_until
from walship_testing.recovery import COPY_NOTICE, note_moment, segment_key, take_backup, xid_of
from walship_testing.wal import MIB


@pytest.mark.smoke
def test_a_time_just_before_the_drop_brings_the_table_back(story, recoveries):
    """What the dropping transaction did before it committed must not keep the table locked."""
    mistake = story.moment("mistake")
    copy = recoveries.copy("--target-time", mistake.time)
    assert copy.checksums() == mistake.tables
    assert copy.recovery.out.splitlines()[-1] == COPY_NOTICE


@pytest.mark.parametrize("name, backup", [("morning", 0), ("noon", 0), ("evening", 1), ("night", 1)])
def test_each_moment_is_reached_by_its_time_from_the_newest_backup_before_it(story, recoveries, name, backup):
    moment = story.moment(name)
    plan = recoveries.plan("--target-time", moment.time)
    assert plan["backup"]["id"] == story.backups[backup]["id"]
    assert plan["timeline"] == 1
    copy = recoveries.copy("--target-time", moment.time)
    assert copy.checksums() == moment.tables


@pytest.mark.parametrize("name", ["morning", "noon", "evening", "mistake", "night"])
def test_each_moment_is_reached_by_its_lsn(story, recoveries, name):
    moment = story.moment(name)
    copy = recoveries.copy("--target-lsn", moment.lsn, "--exclusive")
    assert copy.checksums() == moment.tables


def test_a_transaction_is_the_last_one_included(story, recoveries):
    copy = recoveries.copy("--target-xid", story.facts["noon_xid"])
    assert copy.checksums() == story.moment("noon").tables


def test_a_transaction_is_left_out_when_the_target_is_exclusive(story, recoveries):
    copy = recoveries.copy("--target-xid", story.facts["noon_xid"], "--exclusive")
    assert copy.value("SELECT count(*) FROM rows") == 2000
    assert copy.value("SELECT count(*) FROM rows WHERE filling = 'noon'") == 0


def test_a_restore_point_is_reached_by_its_name(story, recoveries):
    copy = recoveries.copy("--target-name", "noon")
    assert copy.checksums() == story.moment("noon").tables


def test_immediate_stops_at_the_end_of_the_newest_backup(story, recoveries):
    copy = recoveries.copy("--immediate")
    assert copy.value("SELECT count(*) FROM rows") == 3001
    assert "last completed transaction" not in copy.log_text()


def test_immediate_stops_at_the_end_of_the_backup_that_was_named(story, recoveries):
    copy = recoveries.copy("--immediate", "--backup", story.backups[0]["id"])
    assert copy.checksums() == story.moment("before").tables


@pytest.mark.smoke
def test_latest_goes_to_the_end_of_the_archive(story, recoveries):
    server = recoveries.live("--latest", "--copy")
    assert server.value("SELECT count(*) FROM later") == 1
    assert {name: rows for name, rows in server.checksums().items() if "later" not in name} == (
        story.moment("night").tables
    )
    assert server.timeline() == 2


@pytest.mark.parametrize("backup", [0, 1])
def test_a_backup_alone_is_enough_when_the_whole_archive_is_lost(story, store, recoveries, backup):
    store.remove_all(f"{story.system}/wal/")
    server = recoveries.live("--from-backup-only", "--backup", story.backups[backup]["id"], "--action", "promote")
    expected = story.moment("before").tables
    if backup == 0:
        assert server.checksums() == expected
    else:
        assert server.value("SELECT count(*) FROM rows") == 3001


def test_the_newest_backup_alone_is_taken_when_the_whole_archive_is_lost(story, store, recoveries):
    store.remove_all(f"{story.system}/wal/")
    copy = recoveries.copy("--from-backup-only")
    assert copy.value("SELECT count(*) FROM rows") == 3001


def test_immediate_needs_nothing_but_the_backup_either(story, store, recoveries):
    store.remove_all(f"{story.system}/wal/")
    copy = recoveries.copy("--immediate")
    assert copy.value("SELECT count(*) FROM rows") == 3001


def test_a_time_after_the_last_commit_says_so_and_goes_to_the_end(story, recoveries):
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=30)).isoformat(" ")
    server = recoveries.recover("--target-time", soon)
    assert "after" in server.recovery.out and "the end of the WAL" in server.recovery.out, server.recovery
    server.start()
    server.wait_promoted()
    assert server.value("SELECT count(*) FROM later") == 1
    assert server.value("SHOW archive_mode") == "off"


def test_the_action_shutdown_ends_the_server_at_the_target(story, recoveries):
    evening = story.moment("evening")
    server = recoveries.recover("--target-time", evening.time, "--action", "shutdown")
    server.start(wait=False)
    server.wait_exit()
    assert (server.pgdata / "recovery.signal").exists()
    assert "shutdown at recovery target" in server.log_text()


def test_the_action_promote_makes_a_server_that_can_write(story, recoveries):
    evening = story.moment("evening")
    server = recoveries.live("--target-time", evening.time, "--action", "promote")
    assert server.checksums() == evening.tables
    server.write_rows(10)
    assert server.timeline() == 2


def test_a_backup_that_is_named_is_used_though_a_newer_one_would_do(story, recoveries):
    evening = story.moment("evening")
    older = story.backups[0]["id"]
    assert recoveries.plan("--target-time", evening.time, "--backup", older)["backup"]["id"] == older
    copy = recoveries.copy("--target-time", evening.time, "--backup", older)
    assert copy.checksums() == evening.tables


def test_the_plan_says_the_target_in_local_time_and_in_utc(story, walship):
    walship.configure(timezone="Asia/Kolkata")
    utc = datetime.datetime.fromisoformat(story.moment("evening").time).replace(tzinfo=None)
    local = utc + datetime.timedelta(hours=5, minutes=30)
    out = walship.ok("recover", "--plan", "--target-time", local.isoformat(" ")).out
    target = next(line for line in out.splitlines() if line.split()[:1] == ["target"])
    assert f"{local.isoformat(' ')}+05:30" in target, out
    assert f"{utc.isoformat(' ')}+00" in target, out


def test_a_time_without_a_zone_means_the_one_that_is_set(story, walship, recoveries):
    evening = story.moment("evening")
    utc = datetime.datetime.fromisoformat(evening.time)
    assert utc.utcoffset() == datetime.timedelta(0)
    tokyo = (utc.replace(tzinfo=None) + datetime.timedelta(hours=9)).isoformat(" ")
    walship.configure(timezone="Asia/Tokyo")
    copy = recoveries.copy("--target-time", tokyo)
    assert copy.checksums() == evening.tables


# A target in the last bytes of a segment


def commit_in_the_last_bytes(server):
    """Fills the segment, and lets a transaction end in its last bytes.

    Returns its id, the moment after it, its segment and the following, both archived."""
    for _ in range(5):
        room = room_left(server)
        server.sql("SELECT pg_logical_emit_message(false, '', repeat('x', %s))", room - headers_in(room) - 250)
        name = server.current_insert_segment()
        xid = xid_of(server, "SELECT txid_current()")
        if server.current_insert_segment() == name and room_left(server) < 250:
            break
    else:
        raise AssertionError("the end of a segment was never met")
    moment = note_moment(server)
    server.write_rows(1, table="afterwards")
    following = server.switch_wal()
    server.write_rows(1, table="afterwards")
    last = server.switch_and_archive()
    timeline, segno = wal.parse_segment_name(name)
    assert following == wal.segment_name(timeline, segno + 1) and last == wal.segment_name(timeline, segno + 2)
    return xid, moment, name, following


def room_left(server):
    return 16 * MIB - wal.parse_lsn(server.value("SELECT pg_current_wal_insert_lsn()::text")) % (16 * MIB)


def headers_in(room):
    """Of the pages that a record of this size would go over."""
    return room // wal.PAGE * 24


def test_a_target_in_the_last_bytes_of_a_segment_does_not_need_the_missing_next_one(
    server, walship, store, recoveries
):
    backup = take_backup(walship, server)
    xid, moment, _, following = commit_in_the_last_bytes(server)
    store.remove(segment_key(backup["system_id"], following))
    copy = recoveries.copy("--target-xid", xid)
    assert copy.checksums() == moment.tables


def test_a_time_whose_next_commit_is_in_a_missing_segment_is_refused(server, walship, store, recoveries):
    backup = take_backup(walship, server)
    xid, moment, _, following = commit_in_the_last_bytes(server)
    store.remove(segment_key(backup["system_id"], following))
    result = recoveries.refused(9, "--target-time", moment.time, says=[following, "is missing", "can go up to"])
    reach = result.err.split("--target-lsn ")[1].split()[0].rstrip(".")
    copy = recoveries.copy("--target-lsn", reach)
    assert copy.checksums() == moment.tables


def test_a_target_in_the_last_segment_of_the_archive_is_reached(server, walship, recoveries):
    take_backup(walship, server)
    server.write_rows(100)
    moment = note_moment(server)
    server.write_rows(1, table="afterwards")
    server.switch_and_archive()
    server.kill()
    copy = recoveries.copy("--target-time", moment.time)
    assert copy.checksums() == moment.tables


# Exactly at a commit


@pytest.fixture
def timed(servers, walship):
    """Three commits whose times are known to the microsecond: their times as text."""
    server = servers.new(track_commit_timestamp="on")
    server.archive_with(walship)
    server.start()
    server.sql("CREATE TABLE t (i int)")
    take_backup(walship, server)
    xids = [xid_of(server, f"INSERT INTO t VALUES ({number})") for number in (1, 2, 3)]
    times = [server.value("SELECT pg_xact_commit_timestamp(%s::text::xid)::text", xid) for xid in xids]
    assert times == sorted(set(times))
    server.switch_and_archive()
    return times


def test_the_commit_exactly_at_the_target_time_is_included(timed, recoveries):
    copy = recoveries.copy("--target-time", timed[1])
    assert copy.sql("SELECT i FROM t") == [(1,), (2,)]


def test_the_commit_exactly_at_the_target_time_is_left_out_when_exclusive(timed, recoveries):
    copy = recoveries.copy("--target-time", timed[1], "--exclusive")
    assert copy.sql("SELECT i FROM t") == [(1,)]


def test_the_very_last_commit_is_reached_by_its_own_time(timed, recoveries):
    server = recoveries.recover("--target-time", timed[2])
    server.start()
    assert server.sql("SELECT i FROM t") == [(1,), (2,), (3,)]


# Restore points


def test_a_name_that_was_given_twice_is_refused_with_both_places(server, walship, recoveries):
    take_backup(walship, server)
    server.write_rows(10)
    first = server.value("SELECT pg_create_restore_point('twice')::text")
    server.write_rows(10)
    server.sql("SELECT pg_create_restore_point('twice')")
    server.write_rows(10)
    server.switch_and_archive()
    result = recoveries.refused(9, "--target-name", "twice", says=["twice", "2 times", "--target-lsn"])
    place = result.err.split("LSN ")[1].split()[0]
    assert wal.parse_lsn(place) < wal.parse_lsn(first)
    copy = recoveries.copy("--target-lsn", place)
    assert copy.value("SELECT count(*) FROM rows") == 10


@pytest.mark.parametrize("name", ["with 'quotes' and \\ and %p", "ä" * 31, "x" * 63])
def test_restore_points_may_have_odd_names(server, walship, recoveries, name):
    take_backup(walship, server)
    server.write_rows(10)
    server.sql("SELECT pg_create_restore_point(%s)", name)
    server.write_rows(10)
    server.switch_and_archive()
    copy = recoveries.copy("--target-name", name)
    assert copy.value("SELECT count(*) FROM rows") == 10


def printed(recovery, begin):
    """The command in the line that begins so."""
    (line,) = [line for line in recovery.out.splitlines() if line.startswith(begin)]
    return line.split("  ", 1)[1]


def test_the_line_that_recover_prints_starts_the_copy_beside_another_server(story, recoveries):
    """As it stands: pg_ctl is in nobody's PATH, and port 5432 is taken."""
    copy = recoveries.recover("--target-time", story.moment("noon").time)
    copy.configure()
    run_ok(["sh", "-c", printed(copy.recovery, "ready: start the server with")], env=copy.pg_environment)
    try:
        question = printed(copy.recovery, "then wait until this says t:").replace("psql", "psql -XAt", 1)
        wait_until(lambda: run(["sh", "-c", question], env=copy.pg_environment).out == "t\n", "it is paused")
        port = question.split("-p ")[1].split()[0]
        assert port != "5432"
        count = run_ok(["psql", "-XAt", "-p", port, "-c", "SELECT count(*) FROM rows"], env=copy.pg_environment).out
        assert int(count) == 2001
    finally:
        run([copy.install.bindir / "pg_ctl", "-D", copy.pgdata, "-m", "immediate", "stop"])

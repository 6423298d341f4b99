"""A plan names the last transaction that is included and the first that is not; a recovery gives just these."""
import contextlib

import pytest

from walship_testing import targets
from walship_testing.recovery import take_backup

PLANS = 16
RECOVERIES = 4
SEGMENTS = 220
SEGMENT_OBJECT = r".*/wal/.*\.tar"


@pytest.mark.directory_only("what a plan says depends on the WAL, not on where it lies")
def test_random_targets_under_load_include_what_the_plan_says(servers, walship, recoveries):
    server = servers.new(segment_size=1, max_prepared_transactions=10, wal_keep_size="2GB")
    server.archive_with(walship)
    server.start()
    busy = targets.make_busy(server, walship, seconds=2, seed=1)
    server.stop("immediate")
    base = recoveries.recover("--immediate", name="base")
    chosen = targets.choose_targets(busy, PLANS, seed=1)
    for target in chosen:
        targets.check_plan(recoveries.plan(*target.options), busy, target)
    for number, target in enumerate(chosen[:RECOVERIES]):
        assert targets.recovered_rows(recoveries, base, target, f"copy{number}") == target.xids, target.options


@pytest.mark.s3_only
def test_a_time_is_found_among_many_segments_with_few_requests(servers, walship, proxy, recoveries):
    server = servers.new(segment_size=1)
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        moments = [committed_in_a_segment_of_its_own(cursor) for _ in range(SEGMENTS)]
    server.switch_and_archive(timeout=40)
    for xid, at in (moments[3], moments[SEGMENTS // 2], moments[-5]):
        before = proxy.count("GET", SEGMENT_OBJECT)
        plan = recoveries.plan("--target-time", at)
        assert plan["last_included"]["xid"] == xid
        # Doubling steps and halving them, 8 each for 2^8 segments; two segments with their indexes; the last one's run.
        assert proxy.count("GET", SEGMENT_OBJECT) - before <= 2 * 8 + 6


def committed_in_a_segment_of_its_own(cursor):
    """Its transaction id, and a time between it and the next."""
    cursor.execute("SELECT txid_current()")
    (xid,) = cursor.fetchone()
    cursor.execute("SELECT clock_timestamp()::text, pg_switch_wal()")
    return xid, cursor.fetchone()[0]


@pytest.mark.directory_only("what the server is told does not depend on where the archive lies")
def test_stop_by_time_tells_the_server_the_time_and_says_what_that_means(story, recoveries):
    mistake = story.moment("mistake")
    plan = recoveries.plan("--target-time", mistake.time, "--stop-by", "time")
    assert plan["target"]["kind"] == "time"
    assert "recovery_target_time" in plan["settings"]
    assert any("stops just before it" in each and "database" in each for each in plan["warnings"]), plan["warnings"]
    assert plan["last_included"] == recoveries.plan("--target-time", mistake.time)["last_included"]


@pytest.mark.directory_only("what is refused does not depend on where the archive lies")
def test_stop_by_goes_with_a_time(story, walship):
    walship.fails(2, "recover", "--plan", "--latest", "--copy", "--stop-by", "time", says="--target-time")
    walship.fails(
        2, "recover", "--plan", "--target-time", "2026-11-20 00:00:00+00", "--stop-by", "xid", says="lsn or time"
    )

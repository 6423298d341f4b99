"""Recoveries that begin new timelines, and recoveries from archives that have several."""
import datetime

import pytest

from walship_testing import wal
from walship_testing.recovery import note_moment, take_backup


@pytest.mark.smoke
def test_a_time_on_the_new_timeline_is_reached(branches, recoveries):
    plan = recoveries.plan("--target-time", branches.moment("new").time)
    assert plan["timeline"] == 2 and "recovery_target_timeline = '2'" in plan["settings"]
    copy = recoveries.copy("--target-time", branches.moment("new").time, "--timeline", "2")
    assert copy.checksums() == branches.moment("new").tables


def test_a_time_on_the_old_timeline_is_reached_when_it_is_named(branches, recoveries):
    copy = recoveries.copy("--target-time", branches.moment("old").time, "--timeline", "1")
    assert copy.checksums() == branches.moment("old").tables


def test_a_time_that_lies_on_both_timelines_is_refused_with_a_list(branches, recoveries):
    """On timeline 1 it is after the mistake, on timeline 2 just at the split."""
    result = recoveries.refused(9, "--target-time", branches.moment("old").time, says=["--timeline", "timeline 1", "timeline 2"])
    assert "2 timelines that differ" in result.err


def test_the_same_time_is_another_state_on_the_other_timeline(branches, recoveries):
    copy = recoveries.copy("--target-time", branches.moment("old").time, "--timeline", "2")
    assert copy.checksums() == branches.moment("split").tables


@pytest.mark.parametrize("name", ["morning", "split"])
def test_a_time_before_the_split_is_no_question(branches, recoveries, name):
    moment = branches.moment(name)
    copy = recoveries.copy("--target-time", moment.time)
    assert copy.checksums() == moment.tables


def test_latest_is_a_question_when_two_timelines_have_an_end(branches, recoveries):
    recoveries.refused(9, "--latest", "--copy", says=["--timeline", "timeline 1", "timeline 2"])
    for timeline, moment in ((1, branches.moment("old_end")), (2, branches.moment("new_end"))):
        copy = recoveries.live("--latest", "--copy", "--timeline", timeline)
        assert copy.checksums() == moment.tables


def test_scripts_that_say_timeline_latest_go_on_working_after_a_failover(branches, recoveries, walship):
    for target in (["--immediate"], ["--latest", "--copy"], ["--standby"], ["--target-time", branches.moment("old").time]):
        newest = recoveries.plan(*target, "--timeline", "2")
        named = recoveries.plan(*target, "--timeline", "latest")
        assert named["timeline"] == 2
        assert {**named, "notes": None, "disk": None} == {**newest, "notes": None, "disk": None}
    found = walship.ok("find", "--commits", "--json", "--timeline", "latest").out
    assert found == walship.ok("find", "--commits", "--json", "--timeline", "2").out
    recoveries.refused(2, "--latest", "--copy", "--timeline", "newest", says=["is no timeline", "or latest"])


def test_the_timelines_to_choose_from_are_listed_newest_first_with_their_age(branches, recoveries):
    said = recoveries.refused(9, "--latest", "--copy", says="a number or latest").err
    assert said.index("timeline 2") < said.index("timeline 1,") and said.count("its last commit is") == 2


def test_a_time_after_both_ends_is_a_question_too(branches, recoveries):
    later = datetime.datetime.now(datetime.timezone.utc).isoformat()
    recoveries.refused(9, "--target-time", later, says=["timeline 1", "timeline 2"])
    copy = recoveries.live("--target-time", later, "--timeline", "2")
    assert copy.checksums() == branches.moment("new_end").tables


def test_an_lsn_on_both_timelines_is_refused_with_a_list(branches, recoveries):
    old, new = (wal.parse_lsn(moment.lsn) for moment in (branches.moment("old"), branches.moment("new")))
    both = wal.format_lsn(min(old, new))
    recoveries.refused(9, "--target-lsn", both, says=["timeline 1", "timeline 2"])
    copy = recoveries.copy("--target-lsn", branches.moment("new").lsn, "--exclusive", "--timeline", "2")
    assert copy.checksums() == branches.moment("new").tables


def test_an_lsn_before_the_split_is_no_question(branches, recoveries):
    copy = recoveries.copy("--target-lsn", branches.moment("morning").lsn, "--exclusive")
    assert copy.checksums() == branches.moment("morning").tables


def go_on(recoveries, walship, *target, name):
    """A server that goes live on a new timeline, and archives."""
    live = recoveries.recover(*target, "--rejoin", name=name)
    live.archive_with(walship)
    live.start()
    live.wait_promoted()
    return live


def test_a_backup_of_the_new_timeline_does_not_serve_the_old_one(branches, recoveries, walship):
    live = go_on(recoveries, walship, "--latest", "--timeline", "2", name="third")
    newer = take_backup(walship, live)
    live.write_rows(10, table="after_the_backup")
    end = live.checksums()
    live.switch_and_archive()
    assert newer["timeline"] == 3
    plan = recoveries.plan("--target-time", branches.moment("old").time, "--timeline", "1")
    assert plan["backup"]["id"] == branches.backups[0]["id"]
    assert [item["id"] for item in plan["rejected"]] == [newer["id"]]
    recoveries.refused(9, "--latest", "--copy", "--timeline", "1", "--backup", newer["id"], says="does not lead")
    assert recoveries.plan("--latest", "--copy", "--timeline", "3")["backup"]["id"] == newer["id"]
    copy = recoveries.live("--latest", "--copy", "--timeline", "3")
    assert copy.checksums() == end


def test_recovering_again_and_again_makes_a_family_of_timelines(branches, recoveries, walship):
    """Timeline 3 leaves timeline 1 once more, and timeline 4 goes on from 3."""
    morning = branches.moment("morning")
    third = go_on(recoveries, walship, "--target-time", morning.time, name="third")
    assert third.timeline() == 3 and third.checksums() == morning.tables
    third.write_rows(10, table="third")
    on_third = note_moment(third)
    third.write_rows(10, table="third")
    third.switch_and_archive()
    third.kill()
    fourth = go_on(
        recoveries, walship, "--target-time", on_third.time, "--timeline", "3", name="fourth"
    )
    assert fourth.timeline() == 4 and fourth.checksums() == on_third.tables
    fourth.write_rows(10, table="fourth")
    end = fourth.checksums()
    fourth.switch_and_archive()
    copy = recoveries.live("--latest", "--copy", "--timeline", "4")
    assert copy.checksums() == end
    copy = recoveries.copy("--target-time", branches.moment("new").time, "--timeline", "2")
    assert copy.checksums() == branches.moment("new").tables


def test_a_missing_history_file_is_named_and_never_passed_over(branches, recoveries, store):
    """The server needs it to find its way, and without it timeline 2 has no known beginning."""
    store.remove(f"{branches.system}/wal/00000002.history")
    recoveries.refused(9, "--latest", "--copy", "--timeline", "2", says="00000002.history")
    recoveries.refused(9, "--latest", "--copy", says="timeline 2")
    copy = recoveries.live("--latest", "--copy", "--timeline", "1")
    assert copy.checksums() == branches.moment("old_end").tables


def test_copies_do_not_archive_whatever_the_source_did(server, walship, recoveries, store):
    """A copy that archived would put a timeline into the store that later recoveries follow."""
    server.sql(f"ALTER SYSTEM SET archive_command = '{walship.archive_command()}'")
    take_backup(walship, server)
    server.write_rows(10)
    server.switch_and_archive()
    before = store.keys()
    copy = recoveries.recover("--latest", "--copy")
    copy.configure(archive_mode="on", archive_command=walship.archive_command())
    copy.start()
    copy.wait_promoted()
    assert copy.value("SHOW archive_mode") == "off"
    copy.write_rows(10)
    copy.switch_wal()
    copy.sql("CHECKPOINT")
    copy.stop()
    assert [key for key in store.keys() if "/lease/" not in key] == [key for key in before if "/lease/" not in key]

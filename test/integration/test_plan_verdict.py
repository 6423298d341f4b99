"""A plan has the verdict and the exit code of the run, and touches nothing."""
import json
import os
import time

import pytest

from walship_testing import server as pg
from walship_testing.recovery import backup_key, note_moment, snapshot_of, take_backup


def verdicts(walship, *options):
    """(exit code of the plan, exit code of the run, what both say); the plan is printed either way."""
    plan = walship.run("recover", "--plan", *options)
    run = walship.run("recover", *options)
    assert plan.out.startswith("Brings back everything up to "), str(plan)
    assert run.err == plan.err, f"{plan}\n{run}"
    return plan.rc, run.rc, plan.err


def test_a_plan_into_a_directory_that_is_not_empty_has_the_exit_code_of_the_run(story, walship, directory):
    pgdata = directory / "full"
    pgdata.mkdir()
    (pgdata / "something").touch()
    before = snapshot_of(directory / "full")
    assert verdicts(walship, "--latest", "--copy", "--pgdata", pgdata)[:2] == (3, 3)
    assert snapshot_of(directory / "full") == before


def test_a_plan_into_the_directory_of_a_running_server_has_the_exit_code_of_the_run(story, walship, servers):
    running = servers.new(name="running").start()
    for options in ([], ["--move-aside"], ["--move-aside", "--yes"]):
        words = ["--latest", "--copy", "--pgdata", running.pgdata, *options]
        plan, run, said = verdicts(walship, *words)
        assert (plan, run) == (3, 3) and "server is running" in said


@pytest.fixture
def closed(directory):
    """A directory for a test to close."""
    made = directory / "closed"
    made.mkdir()
    yield made
    made.chmod(0o700)


@pytest.mark.parametrize("place", ["pg", "deeper/pg"])
def test_a_plan_below_a_parent_that_cannot_be_written_has_the_exit_code_of_the_run(story, walship, closed, place):
    parent = closed
    parent.chmod(0o500)
    plan, run, said = verdicts(walship, "--latest", "--copy", "--pgdata", parent / place)
    assert (plan, run) == (5, 5) and str(parent) in said and "install -d" in said
    assert list(parent.iterdir()) == []


def test_a_plan_into_an_empty_directory_that_cannot_be_written_has_the_exit_code_of_the_run(story, walship, closed):
    closed.chmod(0o500)
    assert verdicts(walship, "--latest", "--copy", "--pgdata", closed)[:2] == (5, 5)


def test_a_plan_that_moves_aside_what_cannot_be_moved_has_the_exit_code_of_the_run(story, walship, closed):
    (closed / "pg").mkdir()
    (closed / "pg" / "something").touch()
    closed.chmod(0o500)
    words = ["--latest", "--copy", "--move-aside", "--pgdata", closed / "pg"]
    assert verdicts(walship, *words)[:2] == (5, 5)


def test_a_plan_onto_a_disk_that_is_too_small_has_the_exit_code_of_the_run(story, walship, small_disk):
    free = os.statvfs(small_disk)
    with open(small_disk / "fill", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - (4 << 20)))
    plan, run, said = verdicts(walship, "--latest", "--copy", "--pgdata", small_disk / "pg")
    assert (plan, run) == (7, 7) and "not enough space" in said


def test_a_plan_into_a_directory_inside_its_tablespace_has_the_exit_code_of_the_run(
    server, walship, recoveries, directory
):
    place = directory / "space"
    place.mkdir()
    server.sql(f"CREATE TABLESPACE space LOCATION '{place}'")
    take_backup(walship, server)
    server.write_rows(10)
    server.switch_and_archive()
    new = directory / "elsewhere"
    words = ["--latest", "--copy", "--tablespace-map", f"{place}={new}", "--pgdata", new / "pg"]
    plan, run, said = verdicts(walship, *words)
    assert (plan, run) == (2, 2) and "holds the data directory" in said


def test_options_that_would_be_set_aside_are_refused(story, walship, directory):
    new = directory / "new"
    for action in ("pause", "shutdown"):
        for purpose in ("--copy", "--rejoin"):
            words = ["recover", "--latest", purpose, "--action", action, "--pgdata", new]
            assert "promotes itself" in walship.fails(2, *words).err
            assert "promotes itself" in walship.fails(2, *words, "--plan").err
    walship.ok("recover", "--plan", "--latest", "--copy", "--action", "promote")
    walship.fails(2, "recover", "--latest", "--copy", "--config-only", "--backup", "A", "--pgdata", new)


def test_a_target_more_than_a_minute_ahead_is_refused_and_latest_is_named(story, recoveries):
    ahead = time.strftime("%Y-%m-%d %H:%M:%S+00", time.gmtime(time.time() + 90))
    recoveries.refused(9, "--target-time", ahead, says=["lies in the future", "--latest"])
    recoveries.refused(9, "--target-time", ahead, "--plan", says=["lies in the future", "--latest"])
    near = time.strftime("%Y-%m-%d %H:%M:%S+00", time.gmtime(time.time() + 30))
    assert recoveries.plan("--target-time", near)["target"]["kind"] == "latest"


# Parts of a backup that are missing


def lose_part(store, record, how):
    key = backup_key(record, record["parts"][0]["name"])
    if how == "gone":
        store.remove(key)
    else:
        store.write(key, store.read(key)[:-1])
    return record["parts"][0]["name"]


def listed(walship, backup):
    listing = json.loads(walship.ok("list", "--json").out)
    return listing, next(item for item in listing["backups"] if item["id"] == backup["id"])


@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_backup_of_which_parts_are_missing_is_listed_so_and_another_one_is_taken(
    story, store, walship, recoveries, how
):
    older, newer = story.backups
    evening = story.moment("evening")
    part = lose_part(store, newer, how)
    listing, item = listed(walship, newer)
    assert item["missing"] == part
    assert [window["newest_backup"] for window in listing["timelines"][0]["windows"]] == [older["id"]]
    assert f"PARTS MISSING: {part}" in walship.ok("list").out
    plan = recoveries.plan("--target-time", evening.time)
    assert plan["backup"]["id"] == older["id"]
    assert any(newer["id"] in text and part in text for text in plan["warnings"])
    copy = recoveries.copy("--target-time", evening.time)
    assert copy.checksums() == evening.tables
    recoveries.refused(9, "--target-time", evening.time, "--backup", newer["id"], says=[part, "not all there"])
    for target in ("--immediate", "--from-backup-only"):
        recoveries.refused(6, target, says=[newer["id"], part, f"--backup {older['id']}"])


def test_when_no_other_backup_is_there_a_plan_with_missing_parts_has_the_exit_code_of_the_run(
    story, store, walship, directory
):
    evening = story.moment("evening")
    for record in story.backups:
        lose_part(store, record, "gone")
    for options in ([], ["--plan"]):
        said = walship.fails(
            9, "recover", "--target-time", evening.time, "--pgdata", directory / "new", *options
        ).err
        assert all(record["id"] in said for record in story.backups)
    assert not (directory / "new").exists()
    assert "Nothing can be recovered." in walship.ok("list").out


def test_a_backup_whose_own_wal_is_missing_lives_from_the_archive(story, store, walship, recoveries):
    newer = story.backups[1]
    evening = story.moment("evening")
    own = [part["name"] for part in newer["parts"] if part["set"] == "wal"]
    for name in own:
        store.remove(backup_key(newer, name))
    assert listed(walship, newer)[1]["missing"].startswith(own[0])
    plan = recoveries.plan("--target-time", evening.time)
    assert plan["backup"]["id"] == newer["id"] and not plan["backup"]["own_wal_used"]
    copy = recoveries.copy("--target-time", evening.time)
    assert copy.checksums() == evening.tables


# What the WAL does not hold


@pytest.mark.parametrize("major", [13, 15, 18])
def test_wal_level_minimal_in_the_range_ends_the_window_before_it(servers, walship, recoveries, major, is_there):
    is_there(major)
    server = servers.new(major=major)
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    server.write_rows(100)
    before = note_moment(server)
    server.write_rows(100)
    server.stop()
    server.configure(wal_level="minimal", archive_mode="off", max_wal_senders=0)
    server.start()
    server.write_rows(100, table="unlogged_in_the_wal")
    server.stop()
    server.configure(wal_level="replica", archive_mode="on", max_wal_senders=8)
    server.start()
    server.write_rows(100)
    behind = note_moment(server)
    server.write_rows(1, table="later")
    server.switch_and_archive()
    for target in (["--target-time", behind.time], ["--target-lsn", behind.lsn], ["--latest", "--copy"]):
        recoveries.refused(9, *target, says=["wal_level = minimal", "take a new backup"])
    window = json.loads(walship.ok("list", "--json").out)["timelines"][0]["windows"]
    assert len(window) == 1
    copy = recoveries.copy("--target-time", before.time, major=major)
    assert copy.checksums() == before.tables
    end = recoveries.plan("--latest", "--copy", "--backup", take_backup(walship, server)["id"])
    assert end["target"]["kind"] == "latest"


def test_full_page_writes_that_was_off_is_told(servers, walship, recoveries):
    server = servers.new(full_page_writes="off")
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    server.write_rows(100)
    moment = note_moment(server)
    server.write_rows(1, table="later")
    server.switch_and_archive()
    plan = recoveries.plan("--target-time", moment.time)
    assert any("full_page_writes was off" in text for text in plan["warnings"])
    copy = recoveries.copy("--target-time", moment.time)
    assert copy.checksums() == moment.tables


@pytest.fixture
def is_there():
    def check(major):
        if not pg.find_install(major):
            pytest.skip(f"PostgreSQL {major} is not on this machine; test/install test says why")

    return check

"""What recover cannot do it refuses before anything is touched, and says what can be done instead."""
import datetime

import pytest

from walship_testing.proc import run
from walship_testing.recovery import note_moment, segment_key, take_backup


def parse(time):
    return datetime.datetime.fromisoformat(time)


@pytest.mark.smoke
def test_a_time_before_any_backup_is_refused_with_the_earliest_place(story, recoveries):
    first = story.backups[0]
    recoveries.refused(
        9,
        *("--target-time", story.moment("before").time),
        says=["no backup can be used that ended before target time", first["id"], first["stop_lsn"], "earliest place"],
    )


def test_a_time_inside_the_oldest_backup_is_refused_and_names_it(story, recoveries):
    first = story.backups[0]
    begin, end = parse(first["start_time"]), parse(first["stop_time"])
    inside = (begin + (end - begin) / 2).isoformat(" ")
    recoveries.refused(9, "--target-time", inside, says=["lies inside backup", first["id"], "earliest place"])


def test_a_time_inside_a_later_backup_is_reached_from_the_one_before(story, recoveries):
    later = story.backups[1]
    begin, end = parse(later["start_time"]), parse(later["stop_time"])
    inside = (begin + (end - begin) / 2).isoformat(" ")
    plan = recoveries.plan("--target-time", inside)
    assert plan["backup"]["id"] == story.backups[0]["id"]
    assert [(item["id"], "was being taken" in item["reason"]) for item in plan["rejected"]] == [(later["id"], True)]
    copy = recoveries.copy("--target-time", inside)
    assert copy.value("SELECT count(*) FROM rows") == 3001


def test_an_lsn_before_the_end_of_any_backup_is_refused(story, recoveries):
    first = story.backups[0]
    recoveries.refused(9, "--target-lsn", first["start_lsn"], says=[first["id"], "earliest place", first["stop_lsn"]])


def test_an_lsn_after_the_end_of_the_archive_is_refused(story, recoveries):
    recoveries.refused(9, "--target-lsn", "7/1234560", says=["7/1234560", "--latest"])


@pytest.mark.parametrize(
    "option, value", [("--target-name", "nobody made this one"), ("--target-xid", "123456")], ids=["name", "xid"]
)
def test_what_is_not_in_the_wal_is_refused(story, recoveries, option, value):
    recoveries.refused(9, option, value, says=[value, "is not in the WAL of the store", "--latest"])


@pytest.mark.parametrize("target", ["time", "lsn", "latest"])
def test_a_missing_segment_in_the_middle_is_refused_and_says_how_far_one_can_go(story, store, recoveries, target):
    night = story.moment("night")
    missing = segment_after(story.backups[1]["stop_lsn"])
    store.remove(segment_key(story.system, missing))
    options = {
        "time": ["--target-time", night.time],
        "lsn": ["--target-lsn", night.lsn],
        "latest": ["--latest", "--copy"],
    }[target]
    recoveries.refused(9, *options, says=[missing, "missing", "can go up to"])


def segment_after(lsn):
    """The segment that begins after the one with the last byte before this LSN (timeline 1, 16 MB)."""
    high, low = (int(part, 16) for part in lsn.split("/"))
    return f"00000001{high:08X}{(low - 1) // 0x1000000 + 1:08X}"


@pytest.mark.smoke
def test_how_far_one_can_go_is_really_as_far(server, walship, store, recoveries):
    backup = take_backup(walship, server)
    server.write_rows(100)
    server.switch_wal()
    server.write_rows(100)
    reachable = note_moment(server)
    server.switch_wal()
    server.write_rows(100)
    missing = server.switch_wal()
    server.write_rows(100)
    lost = note_moment(server)
    server.write_rows(1, table="later")
    server.switch_and_archive()
    store.remove(segment_key(backup["system_id"], missing))
    result = recoveries.refused(9, "--target-time", lost.time, says=[missing, "can go up to"])
    place = result.err.split("--target-lsn ")[1].split()[0].rstrip(".")
    copy = recoveries.copy("--target-lsn", place)
    assert copy.checksums() == reachable.tables


def test_a_missing_segment_that_the_target_does_not_need_is_no_obstacle(story, store, recoveries):
    store.remove(segment_key(story.system, story.facts["last_segment"]))
    morning = story.moment("morning")
    copy = recoveries.copy("--target-time", morning.time)
    assert copy.checksums() == morning.tables


def test_a_missing_segment_is_avoided_by_a_backup_taken_after_it(story, store, recoveries):
    evening = story.moment("evening")
    store.remove(segment_key(story.system, segment_after(story.backups[0]["stop_lsn"])))
    copy = recoveries.copy("--target-time", evening.time)
    assert copy.checksums() == evening.tables
    older = story.backups[0]["id"]
    recoveries.refused(9, "--target-time", evening.time, "--backup", older, says="missing")


def test_a_missing_segment_between_start_and_stop_of_the_backup_is_brought_along_by_the_backup(
    story, store, recoveries
):
    evening = story.moment("evening")
    own = segment_after(story.backups[1]["start_lsn"])
    own = f"{own[:16]}{int(own[16:], 16) - 1:08X}"
    store.remove(segment_key(story.system, own))
    assert recoveries.plan("--target-time", evening.time)["backup"]["own_wal_used"]
    copy = recoveries.copy("--target-time", evening.time)
    assert copy.checksums() == evening.tables


@pytest.mark.parametrize("how", ["flipped in the index", "flipped in the payload", "truncated", "empty"])
def test_a_damaged_segment_on_the_way_is_never_replayed(story, store, recoveries, how):
    """Where the plan can see the damage it refuses; where it cannot, fetch stops the server with a fatal error."""
    evening = story.moment("evening")
    damaged = segment_after(story.backups[1]["stop_lsn"])
    key = segment_key(story.system, damaged)
    store.write(key, damage(store.read(key), how))
    pgdata = recoveries.servers.directory / "pg-damaged"
    result = recoveries.walship.run("recover", "--target-time", evening.time, "--pgdata", pgdata)
    if result.rc != 0:
        assert result.rc in (6, 9) and damaged in result.err, str(result)
        assert not pgdata.exists()
        return
    server = recoveries.place("pg-damaged")
    server.start(wait=False)
    assert server.wait_exit() != 0
    assert damaged in server.log_text()
    assert (pgdata / "recovery.signal").exists()


def damage(content, how):
    if how == "empty":
        return b""
    if how == "truncated":
        return content[: len(content) // 2]
    place = 700 if "index" in how else len(content) - 2048
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


@pytest.mark.parametrize("text", ["2026-11-20 14:01:58", "2026-11-20 14:01", "2026-11-20T14:01:58.5"])
def test_a_time_without_a_zone_is_an_error_that_names_the_setting(story, recoveries, text):
    recoveries.refused(2, "--target-time", text, says=["zone", "timezone"])


@pytest.mark.parametrize("text", ["2026-11-20 14:01:58 CEST", "2026-11-20", "yesterday", "2026-13-01 00:00:00Z", "", "25:00+01"])
def test_what_is_no_time_is_an_error(story, recoveries, text):
    recoveries.refused(2, "--target-time", text, says="--target-time")


@pytest.mark.parametrize(
    "options, says",
    [
        ([], "no recovery target"),
        (["--latest"], "--rejoin"),
        (["--latest", "--copy", "--immediate"], "exclude each other"),
        (["--immediate", "--copy", "--rejoin"], "exclude each other"),
        (["--standby", "--latest"], "no target"),
        (["--standby", "--action", "pause"], "no target"),
        (["--immediate", "--primary-conninfo", "host=x"], "--standby"),
        (["--immediate", "--action", "stop"], "pause, promote or shutdown"),
        (["--target-lsn", "nowhere"], "3/9A0011C0"),
        (["--target-xid", "2"], "transaction id"),
        (["--immediate", "--timeline", "0"], "timeline"),
        (["--immediate", "--exclusive"], "--exclusive"),
        (["--immediate", "--tablespace-map", "relative=/x"], "OLD=NEW"),
        (["--immediate", "--tablespace-map", "/no/such/place=/x"], "/no/such/place"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_options_that_make_no_sense_are_usage_errors(story, recoveries, options, says):
    recoveries.refused(2, *options, says=says)


def test_a_backup_that_does_not_exist_is_refused_and_the_newest_is_named(story, recoveries):
    recoveries.refused(
        9,
        *("--immediate", "--backup", "20200101T000000Z-0000"),
        says=["20200101T000000Z-0000", "does not exist", story.backups[1]["id"]],
    )


def test_a_timeline_that_does_not_exist_is_refused_and_the_known_are_named(story, recoveries):
    recoveries.refused(9, "--immediate", "--timeline", "7", says=["timeline 7 does not exist", "Known timelines: 1"])


def test_a_store_without_backups_is_refused(server, recoveries):
    server.switch_and_archive()
    recoveries.refused(9, "--latest", "--copy", says=["no backup", "walship backup"])


def test_an_empty_store_is_refused(store, recoveries):
    result = recoveries.walship.run("recover", "--latest", "--copy", "--pgdata", recoveries.servers.directory / "none")
    assert result.rc in (1, 9), str(result)
    assert not (recoveries.servers.directory / "none").exists()


def test_a_store_that_is_not_there_is_no_empty_store(store, recoveries):
    store.destroy()
    recoveries.refused(4, "--latest", "--copy")


def test_with_two_systems_in_the_store_one_must_be_named(story, store, recoveries, servers):
    other = servers.new(fresh=True)
    other.archive_with(recoveries.walship)
    other.start()
    take_backup(recoveries.walship, other, "--new-system")
    theirs = other.system_identifier()
    assert theirs != story.system
    recoveries.refused(2, "--immediate", says=[str(theirs), str(story.system)])
    assert recoveries.plan("--immediate", "--system", story.system)["backup"]["id"] == story.backups[1]["id"]
    copy = recoveries.copy("--immediate", "--system", story.system)
    assert copy.system_identifier() == story.system


def test_recover_as_root_is_refused(story, recoveries):
    pgdata = recoveries.servers.directory / "by-root"
    result = as_root(recoveries.walship, "recover", "--immediate", "--pgdata", pgdata)
    assert result.rc == 2 and "root" in result.err and "runuser" in result.err, str(result)
    assert not pgdata.exists()


def test_root_may_ask_for_a_plan(story, recoveries):
    result = as_root(recoveries.walship, "recover", "--immediate", "--plan")
    assert result.rc == 0, str(result)


def as_root(walship, name, *arguments):
    """In a user namespace: root there, and nobody outside."""
    if run(["unshare", "--user", "--map-root-user", "true"]).rc != 0:
        pytest.skip("this machine does not let ordinary users make user namespaces")
    return run(["unshare", "--user", "--map-root-user", *walship.command(name, *arguments)])

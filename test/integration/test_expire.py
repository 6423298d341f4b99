"""What no rule keeps is removed, record first, and what is left restores; what must not happen is refused."""
import json
import os
import re
import time

import pytest

from walship_testing import crash
from walship_testing import faultproxy as fault
from walship_testing.proc import wait_until
from walship_testing.recovery import backup_key, take_backup
from walship_testing.wal import MIB


def plan_of(walship, *options, expected=0):
    return json.loads(walship.fails(expected, "expire", "--json", *options).out)


def kept(plan):
    return [item["id"] for item in plan["backups"] if item["keep"]]


def leftovers(store, record):
    return store.keys(f"{record['system_id']}/base/{record['id']}/")


def wal_keys(store, story):
    return [key for key in store.keys(f"{story.system}/wal/") if key.endswith(".tar")]


def test_without_a_retention_nothing_is_removed(story, walship, store):
    before = store.snapshot()
    walship.fails(2, "expire", says='setting "retention" is not set')
    result = walship.fails(2, "expire", "--retention", "dayly 7", says='unknown word "dayly"')
    assert 'Did you mean "daily"?' in result.err
    walship.configure(retention="yearly 3,  window 168h")
    assert "window 7d, yearly 3" in walship.ok("config").out
    assert store.snapshot() == before


def test_the_first_run_asks_for_force_and_later_ones_do_not(story, walship, store, recoveries):
    walship.configure(retention="last 1")
    before = store.snapshot()
    result = walship.fails(8, "expire", says="walship expire --force")
    assert "1 of 2 backups" in result.out and "no rule keeps it" in result.out
    assert plan_of(walship, "--dry-run", expected=8)["refused"] is True
    assert store.snapshot() == before

    old, new = story.backups
    plan = plan_of(walship, "--force")
    assert kept(plan) == [new["id"]] and plan["removed"]["objects"] > 3 and plan["not_removed"] == []
    assert leftovers(store, old) == []
    first_needed = new["start_lsn"]
    assert plan["branches"] == [
        {"timeline": 1, "backup": new["id"], "from_time": plan["branches"][0]["from_time"]}
    ]
    assert [item for item in plan["wal"] if not item["keep"]], first_needed

    copy = recoveries.live("--target-time", story.moment("mistake").time, "--copy", "--action", "promote")
    assert copy.checksums() == story.moment("mistake").tables
    listing = json.loads(walship.ok("list", "--json").out)
    assert [item["id"] for item in listing["backups"]] == [new["id"]] and listing["timelines"][0]["gaps"] == []
    assert listing["unfinished"] == []

    again = plan_of(walship)
    assert again["removed"] == {"objects": 0, "stored_size": 0} and again["freed_size"] == 0


@pytest.mark.s3_only
def test_uploads_that_never_ended_are_removed_and_named(story, walship, store, proxy):
    """They are there from the day before by the server's clock, as far as walship sees it."""
    key = f"{story.system}/base/20200101T000000Z-abcd/base-0001.tar.br"
    made = {name: store.client.create_multipart_upload(**store.of(name))["UploadId"] for name in (key, "other/x")}
    walship.configure(retention="last 1")
    expected = plan_of(walship, "--force")
    assert expected["removed_uploads"] == [] and len(store.uploads()) == len(made)
    day_before = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 2 * 86400)).encode()
    proxy.add(
        fault.change_body(lambda body: re.sub(rb"<Initiated>\d{4}-\d\d-\d\d", b"<Initiated>" + day_before, body)),
        method="GET", target=r"[?&]uploads", times=None,
    )  # fmt: skip
    result = walship.ok("expire")
    assert f"removed: what was uploaded of {key}, which never ended" in result.out
    assert [name for name in store.uploads() if name.endswith(key)] == [] and len(store.uploads()) == 1


def test_a_moment_outside_is_refused_with_where_the_window_starts(story, walship, recoveries):
    walship.configure(retention="last 1")
    walship.ok("expire", "--force")
    result = recoveries.refused(9, "--target-time", story.moment("morning").time, "--copy")
    assert story.backups[1]["id"] in result.err


def test_a_pinned_backup_stays_and_restores_to_its_own_end(story, walship, store, recoveries):
    walship.configure(retention="last 1")
    old, new = story.backups
    walship.fails(2, "pin", "nonsense", says="no id of a backup")
    walship.fails(1, "pin", "20200101T000000Z-abcd")
    walship.fails(1, "unpin", old["id"], says="is not pinned")
    walship.ok("pin", old["id"], "--note", "before the migration")
    walship.fails(3, "pin", old["id"], says="is pinned already")
    assert "pinned (before the migration)" in walship.ok("list").out
    pinned = json.loads(walship.ok("list", "--json").out)["backups"][0]["pinned"]
    assert pinned == {"until": None, "note": "before the migration"}

    plan = plan_of(walship, "--force")
    assert kept(plan) == [old["id"], new["id"]]
    assert "pinned: before the migration" in plan["backups"][0]["reason"]
    assert any(not item["keep"] for item in plan["wal"])
    copy = recoveries.live("--immediate", "--backup", old["id"], "--copy", "--action", "promote")
    copy.stop()
    recoveries.refused(9, "--target-time", story.moment("morning").time, "--backup", old["id"], name="later")

    walship.ok("unpin", old["id"])
    store.remove_all(f"{story.system}/lease/")
    plan_of(walship, "--force")
    assert leftovers(store, old) == [] and leftovers(store, new) != []


def test_a_pin_ends(story, walship):
    walship.configure(retention="last 1")
    old, new = story.backups
    walship.fails(2, "pin", old["id"], "--until", "2020-01-01 00:00+00", says="has passed")
    walship.ok("pin", old["id"], "--until", "2099-01-01 00:00+00")
    assert kept(plan_of(walship, "--dry-run", expected=8)) == [old["id"], new["id"]]


def test_a_dry_run_touches_nothing(story, walship, store):
    before = store.snapshot()
    plan = plan_of(walship, "--retention", "last 1", "--dry-run", "--force")
    assert plan["dry_run"] is True and kept(plan) == [story.backups[1]["id"]]
    assert store.snapshot() == before


def test_a_job_that_is_dead_does_not_cost_the_last_backups(story, walship, store):
    before = store.snapshot()
    time.sleep(1.1)
    walship.configure(retention="last 1", backup_max_age="1s")
    for options in (["--dry-run"], ["--force"]):
        result = walship.fails(8, "expire", *options, says="is older than 1s")
        assert "The job that takes backups is dead" in result.err
    assert store.snapshot() == before


def test_an_archive_without_a_complete_backup_is_left_alone(story, walship, store):
    for record in story.backups:
        store.remove(backup_key(record, "backup.json"))
    keys = wal_keys(store, story)
    plan_of(walship, "--retention", "last 1", "--force")
    assert wal_keys(store, story) == keys


def test_a_recovery_keeps_what_it_uses_for_a_day(story, walship, store, recoveries):
    walship.configure(retention="last 1")
    old, new = story.backups
    recoveries.recover("--target-time", story.moment("morning").time, "--copy")
    assert store.keys(f"{story.system}/lease/")
    plan = plan_of(walship, "--force")
    assert kept(plan) == [old["id"], new["id"]] and "in use by recover (host " in plan["backups"][0]["reason"]
    assert all(item["keep"] for item in plan["wal"] if item["last"] >= "000000010000000000000003")
    assert store.exists(backup_key(old, "backup.json"))


@pytest.mark.directory_only("the lease's time is set")
def test_an_old_lease_keeps_nothing_and_goes(story, walship, store, recoveries):
    walship.configure(retention="last 1")
    recoveries.recover("--target-time", story.moment("morning").time, "--copy")
    for key in store.keys(f"{story.system}/lease/"):
        os.utime(store.path(key), (time.time() - 90000, time.time() - 90000))
    assert kept(plan_of(walship, "--force")) == [story.backups[1]["id"]]
    assert store.keys(f"{story.system}/lease/") == []


def test_a_lease_that_cannot_be_read_stops_everything(story, walship, store):
    walship.configure(retention="last 1")
    store.write(f"{story.system}/lease/20261129T010203Z-0001-1.json", b"{}")
    walship.fails(8, "expire", "--force", says="cannot be read")
    assert len(leftovers(store, story.backups[0])) > 1


def test_a_store_that_can_only_be_read_is_warned_of(story, walship, recoveries, store):
    if store.url.startswith("s3"):
        pytest.skip("the directory's permissions are what is changed")
    system = store.path(str(story.system))
    system.chmod(0o555)
    try:
        server = recoveries.recover("--latest", "--copy")
    finally:
        system.chmod(0o755)
    assert "could not write a lease" in server.recovery.err


@pytest.mark.directory_only("times of objects are set")
def test_what_killed_backups_left_goes_after_a_day(story, walship, store):
    walship.configure(retention="last 9")
    for name, age in (("20261101T000000Z-aaaa", 90000), ("20261102T000000Z-bbbb", 80000)):
        key = f"{story.system}/base/{name}/base-0001.tar.zst"
        store.write(key, b"x" * 1000)
        os.utime(store.path(key), (time.time() - age, time.time() - age))
    plan = plan_of(walship, "--force")
    assert [(item["id"][-4:], item["keep"]) for item in plan["unfinished"]] == [("aaaa", False), ("bbbb", True)]
    assert [key for key in store.keys(f"{story.system}/base/") if "aaaa" in key or "bbbb" in key] == [key]


def test_backup_and_expire_in_one(server, walship, store, recoveries):
    walship.configure(retention="last 2")
    records = []
    for _ in range(4):
        server.write_rows(50)
        records.append(take_backup(walship, server, "--expire"))
    listing = json.loads(walship.ok("list", "--json").out)
    assert {item["id"] for item in listing["backups"]} == {record["id"] for record in records[2:]}
    assert listing["unfinished"] == [] and store.keys(f"{server.system_identifier()}/lease/") == []
    result = walship.ok("backup", "--fast", "--expire", env=server.pg_environment)
    assert "removed: " in result.out
    walship.configure(retention=None)
    walship.fails(2, "backup", "--fast", "--expire", env=server.pg_environment, says="retention")
    expected = server.checksums()
    server.switch_and_archive()
    assert recoveries.live("--latest", "--copy", "--action", "promote").checksums() == expected


@pytest.mark.directory_only("it stops at the system calls that remove files")
def test_killed_anywhere_the_next_run_goes_on(story, walship, store, directory):
    """SIGKILL at a dozen places of a run that removes some hundred objects."""
    crash.need_strace()
    walship.configure(retention="last 1")
    old, new = story.backups
    full = store.snapshot()
    expire = walship.command("expire", "--force")
    steps = crash.count_calls(expire, directory)
    removals = max(times for (_, name), times in steps.items() if name.startswith("unlink"))
    assert removals > 20, steps
    expected = {key: value for key, value in store.snapshot().items() if "/proof/" not in key}
    killed = 0
    for point in crash.points({step: times for step, times in steps.items() if "write" not in step[1]}, 4):
        store.remove_all()
        for key, value in full.items():
            store.write(key, value)
        killed += crash.killed_at(expire, point)
        present = store.snapshot()
        assert all(present[key] == value for key, value in expected.items()), "something that is needed has gone"
        assert store.exists(backup_key(new, "backup.json"))
        if store.exists(backup_key(old, "backup.json")):
            assert set(leftovers(store, old)) == {key for key in full if f"/{old['id']}/" in key}
        for key in store.keys(f"{story.system}/base/{old['id']}/"):
            os.utime(store.path(key), (time.time() - 90000, time.time() - 90000))
        walship.ok("expire", "--force")
        rest = {key: value for key, value in store.snapshot().items() if "/proof/" not in key and "/lease/" not in key}
        assert rest == expected
    assert killed >= 5, "strace killed nothing"


def test_beside_a_running_backup(server, walship, store, recoveries):
    """The backup is neither taken for left behind nor robbed of its WAL."""
    walship.configure(retention="last 1", part_size="16MB", compression="none")
    take_backup(walship, server)
    for number in range(2):
        (server.pgdata / f"ballast{number}").write_bytes(os.urandom(16 * MIB))
    old = take_backup(walship, server)
    server.write_rows(100)
    process = walship.start("backup", "--fast", "--json", "--max-rate", "16MB", env=server.pg_environment)
    prefix = f"{server.system_identifier()}/"
    wait_until(lambda: len({key.split("/")[2] for key in store.keys(f"{prefix}base/")}) == 3, "it has begun")
    assert kept(plan_of(walship, "--force")) == [old["id"]]
    assert len(store.keys(f"{prefix}lease/")) == 1
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    record = json.loads(out)
    expected = server.checksums()
    server.switch_and_archive()
    assert kept(plan_of(walship)) == [record["id"]]
    assert store.keys(f"{prefix}lease/") == []
    assert recoveries.live("--latest", "--copy", "--action", "promote").checksums() == expected


def test_a_late_push_below_the_cut_goes_with_the_next_run(story, walship, store):
    walship.configure(retention="last 1")
    low = wal_keys(store, story)[0]
    content = store.read(low)
    plan_of(walship, "--force")
    assert not store.exists(low)
    store.write(low, content)
    assert plan_of(walship)["removed"]["objects"] == 1
    assert not store.exists(low)


def test_two_expires_and_a_pin_at_the_same_time(story, walship, store):
    walship.configure(retention="last 1")
    old, new = story.backups
    runs = [walship.start("expire", "--force") for _ in range(2)]
    pin = walship.run("pin", old["id"], timeout=50)
    for run in runs:
        _, err = run.communicate(timeout=50)
        assert run.returncode == 0, err
    assert pin.rc in (0, 1), str(pin)
    assert store.exists(backup_key(old, "backup.json")) == (pin.rc == 0)
    if pin.rc == 0:
        assert {backup_key(old, part["name"]) for part in old["parts"]} < set(leftovers(store, old))
    assert len(leftovers(store, new)) > 2

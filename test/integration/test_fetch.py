"""walship fetch: the restore_command.  What it says decides whether a server goes live."""
import json
import os
import signal
import tarfile
import threading
import time

import pytest

from walship_testing import crash, proc, wal
from walship_testing import faultproxy as fault
from walship_testing.proc import wait_until
from walship_testing.recovery import interrupt_when
from walship_testing.wal import MIB

# How the data directory looks to fetch, and the exit code there of a failure that is 4, 5, 6 or 7 by hand.
RECOVERY = "recovery.signal"
STANDBY = "standby.signal"


def in_recovery(datadir, *signal_files):
    for name in signal_files:
        (datadir.path / name).touch()


@pytest.fixture
def impatient(walship):
    """Gives up after one second of holes and outages."""
    walship.configure(fetch_deadline="1s")
    return walship


@pytest.mark.smoke
def test_a_segment_comes_back_as_it_was(walship, datadir, real_wal):
    names = real_wal.into(datadir)
    for name in names:
        datadir.push(walship, name)
    for name in names:
        datadir.fetch(walship, name)
        assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()


@pytest.mark.parametrize("compression", ["brotli", "zstd", "none"])
def test_every_compression_comes_back_whatever_the_setting_is_now(walship, datadir, real_wal, compression):
    name = real_wal.into(datadir)[0]
    walship.configure(compression=compression)
    datadir.push(walship, name)
    for now in ("brotli", "none"):
        walship.configure(compression=now)
        datadir.fetch(walship, name)
        assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()


def test_history_and_backup_files_come_back_as_they_were(walship, datadir, directory):
    backup = "000000010000000000000005.00000028.backup"
    (datadir.wal / backup).write_text("START WAL LOCATION: 0/5000028 (file 000000010000000000000005)\n")
    for name in (datadir.history(2, (1, 0x5000000)), backup):
        datadir.push(walship, name)
        walship.ok("fetch", name, directory / "fetched", cwd=datadir.path)
        assert (directory / "fetched").read_bytes() == (datadir.wal / name).read_bytes()


def test_the_destination_may_be_anywhere_when_the_system_is_known(walship, datadir, directory):
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    walship.configure(system=datadir.system)
    walship.ok("fetch", name, directory / "a file with spaces", cwd=directory)
    assert (directory / "a file with spaces").read_bytes() == (datadir.wal / name).read_bytes()
    assert not [path for path in directory.iterdir() if "fetch" in path.name or "tmp" in path.name]


# Absent


@pytest.mark.smoke
@pytest.mark.parametrize("signal_files", [[], [RECOVERY], [STANDBY], [RECOVERY, STANDBY]])
def test_the_segment_after_the_archives_end_is_certainly_absent(impatient, datadir, signal_files):
    datadir.push(impatient, datadir.segment(1, 5))
    in_recovery(datadir, *signal_files)
    result = datadir.fetch(impatient, wal.segment_name(1, 6), 1)
    assert result.seconds < 5
    assert not datadir.fetched.exists()


def test_a_history_file_that_is_not_there_is_certainly_absent(impatient, datadir):
    datadir.push(impatient, datadir.segment(1, 5))
    in_recovery(datadir, RECOVERY)
    for name in ("00000002.history", "00000001.history"):
        assert datadir.fetch(impatient, name, 1).seconds < 5


def test_a_name_that_is_no_wal_file_is_a_usage_error(walship, datadir):
    for name in ("garbage", "00000001", "000000010000000000000005.tmp"):
        walship.fails(2, "fetch", name, "pg_wal/RECOVERYXLOG", cwd=datadir.path)


# Holes


def make_hole_before_segment(walship, datadir):
    datadir.push(walship, datadir.segment(1, 7))
    return wal.segment_name(1, 6)


def make_hole_before_partial(walship, datadir):
    datadir.push(walship, datadir.segment(1, 7, name=wal.segment_name(1, 7) + ".partial"))
    return wal.segment_name(1, 6)


def make_hole_before_backup_file(walship, datadir):
    name = wal.segment_name(1, 7) + ".00000028.backup"
    (datadir.wal / name).write_text("START WAL LOCATION: 0/7000028\n")
    datadir.push(walship, name)
    return wal.segment_name(1, 6)


def make_hole_before_switch(walship, datadir):
    datadir.push(walship, datadir.history(2, (1, 0x7800000)))
    return wal.segment_name(1, 6)


def make_hole_that_ends_at_the_switch(walship, datadir):
    datadir.push(walship, datadir.history(2, (1, 0x7000000)))
    return wal.segment_name(1, 6)


def make_hole_in_an_ancestor(walship, datadir):
    datadir.push(walship, datadir.history(3, (1, 0x7800000), (2, 0x9000000)))
    return wal.segment_name(1, 6)


def make_empty_store(walship, datadir):
    return wal.segment_name(1, 6)


HOLES = [
    make_hole_before_segment,
    make_hole_before_partial,
    make_hole_before_backup_file,
    make_hole_before_switch,
    make_hole_that_ends_at_the_switch,
    make_hole_in_an_ancestor,
    make_empty_store,
]


@pytest.mark.smoke
@pytest.mark.parametrize("make", HOLES, ids=lambda make: make.__name__.removeprefix("make_"))
def test_a_hole_stops_a_recovery_after_the_deadline(impatient, datadir, make):
    name = make(impatient, datadir)
    in_recovery(datadir, RECOVERY)
    result = datadir.fetch(impatient, name, 200, says=name)
    assert 0.8 < result.seconds < 6
    assert not datadir.fetched.exists()


@pytest.mark.parametrize("signal_files", [[], [STANDBY]], ids=["by hand", "standby"])
@pytest.mark.parametrize("make", HOLES, ids=lambda make: make.__name__.removeprefix("make_"))
def test_a_hole_is_only_absent_where_nothing_ends_by_it(walship, datadir, make, signal_files):
    name = make(walship, datadir)
    in_recovery(datadir, *signal_files)
    assert datadir.fetch(walship, name, 1).seconds < 5


def test_a_segment_on_which_the_timeline_was_left_is_no_hole(impatient, datadir):
    datadir.push(impatient, datadir.history(2, (1, 0x6800000)))
    in_recovery(datadir, RECOVERY)
    datadir.fetch(impatient, wal.segment_name(1, 6), 1)


def test_a_segment_above_on_another_timeline_makes_no_hole(impatient, datadir):
    datadir.push(impatient, datadir.segment(1, 5))
    datadir.push(impatient, datadir.segment(2, 7))
    in_recovery(datadir, RECOVERY)
    datadir.fetch(impatient, wal.segment_name(1, 6), 1)


def test_a_hole_that_is_filled_while_fetch_waits_is_fetched(walship, datadir):
    missing = datadir.segment(1, 6)
    datadir.push(walship, datadir.segment(1, 7))
    in_recovery(datadir, RECOVERY)
    content = (datadir.wal / missing).read_bytes()
    aside = datadir.path / missing
    (datadir.wal / missing).rename(aside)
    fetch = walship.start("fetch", missing, "pg_wal/RECOVERYXLOG", cwd=datadir.path)
    time.sleep(0.5)
    assert fetch.poll() is None
    walship.ok("push", aside, cwd=datadir.path)
    _, err = fetch.communicate(timeout=20)
    assert fetch.returncode == 0, err
    assert datadir.fetched.read_bytes() == content


def test_a_hole_that_pg_wal_fills_is_left_to_the_server(impatient, datadir):
    name = make_hole_before_segment(impatient, datadir)
    in_recovery(datadir, RECOVERY)
    datadir.segment(1, 6)
    assert datadir.fetch(impatient, name, 1).seconds < 5


@pytest.mark.parametrize(
    "wrong",
    [dict(header={"address": 0x9000000}), dict(header={"system": 4711}), dict(header={"magic": 0}), dict(size=8 * MIB)],
    ids=["address", "system", "magic", "size"],
)
def test_a_file_in_pg_wal_that_is_not_the_segment_fills_no_hole(impatient, datadir, wrong):
    name = make_hole_before_segment(impatient, datadir)
    in_recovery(datadir, RECOVERY)
    datadir.segment(1, 6, **wrong)
    datadir.fetch(impatient, name, 200)


# --plan-end


@pytest.mark.smoke
def test_after_the_plans_end_the_store_is_not_even_asked(impatient, store, datadir):
    name = make_hole_before_segment(impatient, datadir)
    in_recovery(datadir, RECOVERY)
    store.destroy()
    end = wal.segment_name(1, 5)
    assert datadir.fetch(impatient, name, 1, "--plan-end", end).seconds < 1
    datadir.fetch(impatient, end, 200, "--plan-end", end)


def test_up_to_the_plans_end_segments_are_fetched(walship, datadir):
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    in_recovery(datadir, RECOVERY)
    datadir.fetch(walship, name, 0, "--plan-end", name)
    datadir.fetch(walship, name, 0, "--plan-end", wal.segment_name(1, 6))


def test_a_plan_end_that_is_no_segment_is_refused(impatient, datadir):
    datadir.push(impatient, datadir.segment(1, 5))
    datadir.fetch(impatient, wal.segment_name(1, 5), 2, "--plan-end", "tomorrow")
    in_recovery(datadir, RECOVERY)
    datadir.fetch(impatient, wal.segment_name(1, 5), 200, "--plan-end", "tomorrow")


# Damage


def damage_the_index(content, tar):
    at = tar.getmembers()[0].offset_data + 20
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def damage_the_digest_in_the_index(content, tar):
    digest = json.load(tar.extractfile(tar.getmembers()[0]))["stored_sha256"].encode()
    other = bytes([digest[0] ^ 1 if digest[:1] not in b"9f" else digest[0] - 1]) + digest[1:]
    return content.replace(digest, other)


def damage_the_payload(content, tar):
    member = tar.getmembers()[1]
    at = member.offset_data + member.size // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def damage_the_payloads_last_byte(content, tar):
    member = tar.getmembers()[1]
    at = member.offset_data + member.size - 1
    return content[:at] + bytes([content[at] ^ 0x80]) + content[at + 1 :]


def damage_the_tar_header(content, tar):
    return bytes([content[0] ^ 1]) + content[1:]


def cut_in_the_middle(content, tar):
    return content[: len(content) // 2]


def cut_after_the_index(content, tar):
    return content[: tar.getmembers()[1].offset]


def empty(content, tar):
    return b""


def zeros(content, tar):
    return bytes(len(content))


DAMAGES = [
    damage_the_index,
    damage_the_digest_in_the_index,
    damage_the_payload,
    damage_the_payloads_last_byte,
    damage_the_tar_header,
    cut_in_the_middle,
    cut_after_the_index,
    empty,
    zeros,
]


@pytest.mark.smoke
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_object_is_never_handed_to_the_server(impatient, store, datadir, real_wal, damage):
    name = real_wal.into(datadir)[0]
    datadir.push(impatient, name)
    key = datadir.key(name)
    with tarfile.open(store.path(key)) as tar:
        damaged = damage(store.read(key), tar)
    assert damaged != store.read(key)
    store.write(key, damaged)
    before = set(os.listdir(datadir.wal))
    datadir.fetched.write_text("untouched")
    for signal_files, expected in (([], 6), ([STANDBY], 6), ([RECOVERY], 200)):
        for path in (RECOVERY, STANDBY):
            (datadir.path / path).unlink(missing_ok=True)
        in_recovery(datadir, *signal_files)
        datadir.fetch(impatient, name, expected, says=key)
        assert datadir.fetched.read_text() == "untouched"
        assert set(os.listdir(datadir.wal)) == before | {"RECOVERYXLOG"}


@pytest.mark.parametrize("wrong", ["another segment", "another system"])
def test_an_object_that_holds_something_else_is_never_handed_to_the_server(
    walship, store, datadir, datadir_factory, wrong
):
    name = datadir.segment(1, 5)
    if wrong == "another segment":
        key = datadir.key(datadir.segment(1, 6))
        datadir.push(walship, wal.segment_name(1, 6))
    else:
        other = datadir_factory("other", segment_size=1)  # other initdb, other identifier
        key = other.key(other.segment(1, 5, segment_size=MIB))
        other.push(walship, wal.segment_name(1, 5))
    store.write(datadir.key(name), store.read(key))
    datadir.fetch(walship, name, 6)
    assert not datadir.fetched.exists()


# Failures that are no absence


@pytest.mark.smoke
@pytest.mark.parametrize("signal_files", [[], [STANDBY], [RECOVERY]], ids=["by hand", "standby", "recovery"])
def test_a_store_that_is_not_there_is_no_absence(impatient, store, datadir, signal_files):
    name = datadir.segment(1, 5)
    datadir.push(impatient, name)
    (datadir.wal / name).unlink()
    store.destroy()
    in_recovery(datadir, *signal_files)
    expected = 200 if RECOVERY in signal_files else 4
    datadir.fetch(impatient, name, expected, says=store.name)


@pytest.mark.directory_only("S3 has no marker: a bucket that is not there says so")
def test_a_store_without_its_marker_is_no_absence(impatient, store, datadir):
    datadir.push(impatient, datadir.segment(1, 5))
    (store.directory / "walship-store.json").unlink()
    datadir.fetch(impatient, wal.segment_name(1, 6), 4)
    in_recovery(datadir, RECOVERY)
    datadir.fetch(impatient, wal.segment_name(1, 6), 200)


@pytest.mark.parametrize("what", ["object", "directory"])
def test_what_may_not_be_read_is_no_absence(impatient, store, datadir, what):
    name = datadir.segment(1, 5)
    datadir.push(impatient, name)
    key = datadir.key(name)
    with store.unreadable(key if what == "object" else key.rpartition("/")[0]):
        datadir.fetch(impatient, name, 5)
        in_recovery(datadir, RECOVERY)
        datadir.fetch(impatient, name, 200)


def test_a_destination_that_cannot_be_written_is_no_absence(impatient, datadir):
    name = datadir.segment(1, 5)
    datadir.push(impatient, name)
    in_recovery(datadir, RECOVERY)
    impatient.fails(200, "fetch", name, "no/such/directory/RECOVERYXLOG", cwd=datadir.path)
    datadir.wal.chmod(0o555)
    try:
        datadir.fetch(impatient, name, 200)
    finally:
        datadir.wal.chmod(0o755)


@pytest.mark.parametrize(
    "arguments",
    [[], ["one"], ["one", "two", "three"], ["--no-such-option", "one", "two"], ["garbage", "pg_wal/RECOVERYXLOG"]],
    ids=" ".join,
)
def test_in_a_recovery_even_a_usage_error_is_200(walship, datadir, arguments):
    in_recovery(datadir, RECOVERY)
    walship.fails(200, "fetch", *arguments, cwd=datadir.path)
    in_recovery(datadir, STANDBY)
    walship.fails(2, "fetch", *arguments, cwd=datadir.path)


def test_in_a_recovery_a_command_line_without_a_command_is_200(walship, datadir):
    """As a restore_command it would be taken for the end of the archive."""
    lines = ([], ["fecth", "one", "two"], ["--store", "file:///x", "fetch", "one", "two"])
    in_recovery(datadir, RECOVERY)
    for line in lines:
        assert proc.run([walship.binary, *line], cwd=datadir.path).rc == 200
    in_recovery(datadir, STANDBY)
    for line in lines:
        assert proc.run([walship.binary, *line], cwd=datadir.path).rc == 2


def test_in_a_recovery_a_data_directory_without_pg_control_is_200(walship, datadir):
    name = datadir.segment(1, 5)
    (datadir.path / "global/pg_control").unlink()
    in_recovery(datadir, RECOVERY)
    datadir.fetch(walship, name, 200)


def test_in_a_recovery_even_wrong_settings_are_200(walship, datadir):
    name = datadir.segment(1, 5)
    walship.configure(no_such_setting="x")
    datadir.fetch(walship, name, 2)
    in_recovery(datadir, RECOVERY)
    datadir.fetch(walship, name, 200)


def test_the_data_directory_is_found_from_the_destination(impatient, datadir, directory):
    """pg_rewind and hands call it from elsewhere, with an absolute path."""
    name = make_hole_before_segment(impatient, datadir)
    in_recovery(datadir, RECOVERY)
    impatient.fails(200, "fetch", name, datadir.fetched, cwd=directory)


def test_on_a_standby_an_outage_takes_five_seconds_at_most(walship, store, datadir):
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    (datadir.wal / name).unlink()
    in_recovery(datadir, STANDBY)
    with store.outage():
        assert datadir.fetch(walship, name, 4).seconds < 6


def test_in_a_recovery_an_outage_that_ends_before_the_deadline_does_no_harm(walship, store, datadir):
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    in_recovery(datadir, RECOVERY)
    with store.outage():
        fetch = walship.start("fetch", name, "pg_wal/RECOVERYXLOG", cwd=datadir.path)
        time.sleep(0.5)
        assert fetch.poll() is None
    _, err = fetch.communicate(timeout=30)
    assert fetch.returncode == 0, err
    assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()


@pytest.mark.smoke
def test_on_sigterm_it_dies_of_sigterm(walship, datadir):
    """1 would end the recovery; the server understands death by SIGTERM as its own shutdown."""
    name = datadir.segment(1, 5)
    datadir.push(walship, datadir.segment(1, 6))
    (datadir.wal / name).unlink()
    in_recovery(datadir, RECOVERY)
    fetch = walship.start("fetch", name, "pg_wal/RECOVERYXLOG", cwd=datadir.path)
    # It waits at the hole now, having made itself ready for signals.
    wait_until(lambda: signal_is_watched(fetch.pid), "fetch watches for signals")
    time.sleep(0.3)
    fetch.send_signal(signal.SIGTERM)
    fetch.communicate(timeout=5)
    assert fetch.returncode == -signal.SIGTERM
    assert not datadir.fetched.exists()


def signal_is_watched(pid):
    """SIGTERM is blocked or caught: no longer as exec left it."""
    with open(f"/proc/{pid}/status") as status:
        masks = dict(line.split(":", 1) for line in status if line.startswith(("SigBlk", "SigCgt")))
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks.values())


def check_after_kill(walship, datadir, name, moment):
    """Either nothing is visible or the whole, and a second fetch brings it."""
    plain = (datadir.wal / name).read_bytes()
    assert not datadir.fetched.exists() or datadir.fetched.read_bytes() == plain, moment
    datadir.fetch(walship, name)
    assert datadir.fetched.read_bytes() == plain, moment
    datadir.fetched.unlink()


@pytest.mark.directory_only("it stops at the system calls that make files, which are those of any store")
def test_killed_at_each_step_fetch_can_be_repeated(walship, datadir, real_wal, directory):
    crash.need_strace()
    name = real_wal.into(datadir)[0]
    datadir.push(walship, name)
    fetch = walship.command("fetch", name, "pg_wal/RECOVERYXLOG")
    steps = crash.count_calls(fetch, directory, datadir.path)
    datadir.fetched.unlink()
    names = {call for _, call in steps}
    assert names & {"write", "pwrite64", "writev"}, steps
    n_killed = 0
    for point in crash.points(steps, 3):
        n_killed += crash.killed_at(fetch, point, datadir.path)
        check_after_kill(walship, datadir, name, point)
    assert n_killed >= len(names), "strace killed nothing"


@pytest.mark.s3_only
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_killed_while_the_segment_comes_fetch_can_be_repeated(walship, proxy, datadir, real_wal, share):
    name = real_wal.into(datadir)[0]
    datadir.push(walship, name)
    sent = threading.Event()
    proxy.add(fault.stall_in_response(share, sent=sent), method="GET", target=rf"{name}\.tar")
    fetch = walship.start("fetch", name, "pg_wal/RECOVERYXLOG", cwd=datadir.path)
    assert interrupt_when(fetch, sent.is_set, signal.SIGKILL) == -signal.SIGKILL
    assert not datadir.fetched.exists(), "it cannot have all of it"
    proxy.clear()
    check_after_kill(walship, datadir, name, share)


# Real servers


@pytest.mark.smoke
def test_a_server_recovers_to_the_archives_end(server, servers, walship):
    server.write_rows(1000)
    copy = server.copy_to(servers.empty())
    server.write_rows(1000)
    expected = server.checksums()
    server.switch_and_archive()
    server.kill()
    copy.signal_file(RECOVERY, restore_command=walship.restore_command(), archive_mode="off")
    copy.start()
    copy.wait_promoted()
    assert copy.checksums() == expected
    assert copy.timeline() == 2


def test_a_server_does_not_go_live_at_a_hole(server, servers, walship, store):
    walship.configure(fetch_deadline="1s")
    server.write_rows(1000)
    copy = server.copy_to(servers.empty())
    server.switch_and_archive()
    server.write_rows(1000)
    hole = server.switch_and_archive()
    server.write_rows(1000)
    server.switch_and_archive()
    expected = server.checksums()
    server.kill()
    key = f"{server.system_identifier()}/wal/00000001/{hole}.tar"
    content = store.read(key)
    store.remove(key)
    copy.signal_file(RECOVERY, restore_command=walship.restore_command(), archive_mode="off")
    copy.start(wait=False)
    assert copy.wait_exit() != 0
    assert (copy.pgdata / RECOVERY).exists()
    assert hole in copy.log_text()
    store.write(key, content)
    copy.start()
    copy.wait_promoted()
    assert copy.checksums() == expected


def test_a_standby_follows_the_archive_alone(server, servers, walship):
    standby = server.copy_to(servers.empty())
    standby.signal_file(STANDBY, restore_command=walship.restore_command(), archive_mode="off")
    standby.start()
    server.write_rows(1000)
    server.switch_and_archive()
    wait_until(lambda: standby.checksums() == server.checksums(), "the standby has replayed what was archived")
    assert standby.promote() == 2

"""push takes waiting segments along: what is noted of them is believed only when all of it is true."""
import io
import json
import os
import shutil
import signal
import tarfile
import time

import pytest

from walship_testing import faultproxy as fault
from walship_testing import wal
from walship_testing.proc import wait_until
from walship_testing.wal import MIB
from walship_testing.walship import Walship

SETTLED = 0.15  # seconds; files that were changed just now are not taken along


def notes(walship, *, unfinished=False):
    found = sorted(path for path in walship.state_dir.iterdir() if path.name.startswith("pushed-"))
    return [path for path in found if path.name.endswith(".walship-tmp") == unfinished]


def noted(walship):
    """Names of the segments."""
    return [path.name.rpartition("-")[2] for path in notes(walship)]


def mark_ready(datadir, *names):
    for name in names:
        (datadir.wal / "archive_status" / f"{name}.ready").touch()


def make_backlog(datadir, n=5, *, timeline=1, first=5, **options):
    """Segments that wait for the archiver; returns their names."""
    names = [datadir.segment(timeline, first + i, salt=os.urandom(5000), **options) for i in range(n)]
    mark_ready(datadir, *names)
    time.sleep(SETTLED)
    return names


def keys_of(datadir, names):
    return sorted(datadir.key(name) for name in names)


def check_contents(walship, datadir, names):
    for name in names:
        datadir.fetch(walship, name)
        assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes(), name


@pytest.fixture
def backlog(datadir):
    return make_backlog(datadir)


# The main way


@pytest.mark.smoke
def test_waiting_segments_are_stored_along_and_their_calls_are_done_at_once(walship, store, datadir, backlog):
    datadir.push(walship, backlog[0])
    assert store.keys() == keys_of(datadir, backlog)
    assert noted(walship) == backlog[1:]
    versions = [store.version(datadir.key(name)) for name in backlog]
    for done, name in enumerate(backlog[1:], 1):
        datadir.push(walship, name)
        assert noted(walship) == backlog[done + 1 :]
    assert [store.version(datadir.key(name)) for name in backlog] == versions
    check_contents(walship, datadir, backlog)


@pytest.mark.s3_only
def test_it_is_one_request_per_segment_and_none_for_a_call_whose_segment_is_safe(walship, proxy, datadir, backlog):
    datadir.push(walship, backlog[0])
    assert sorted(request.path.rpartition("/")[2] for request in proxy.seen("PUT")) == [
        f"{name}.tar" for name in backlog
    ], proxy.log()
    assert proxy.count() == len(backlog), proxy.log()
    proxy.clear()
    proxy.down()
    for name in backlog[1:]:
        assert datadir.push(walship, name).err == ""
    proxy.up()
    assert proxy.count() == 0, proxy.log()


def test_the_ready_files_are_left_as_they_are(walship, datadir, backlog):
    status = datadir.wal / "archive_status"
    before = sorted(path.name for path in status.iterdir())
    datadir.push(walship, backlog[0])
    assert sorted(path.name for path in status.iterdir()) == before


def test_no_more_are_taken_along_than_the_setting_says(walship, store, datadir, backlog):
    datadir.push(walship, backlog[0], env={"WALSHIP_PUSH_AHEAD": "0"})
    assert store.keys() == keys_of(datadir, backlog[:1]) and noted(walship) == []
    datadir.push(walship, backlog[1], env={"WALSHIP_PUSH_AHEAD": "2"})
    assert store.keys() == keys_of(datadir, backlog[:4]) and noted(walship) == backlog[2:4]


def test_what_is_noted_is_not_sent_again(walship, store, datadir, backlog):
    datadir.push(walship, backlog[1])
    versions = [store.version(datadir.key(name)) for name in backlog[1:]]
    inodes = [note.stat().st_ino for note in notes(walship)]
    datadir.push(walship, backlog[0])
    assert [store.version(datadir.key(name)) for name in backlog[1:]] == versions
    assert noted(walship) == backlog[1:]
    assert [note.stat().st_ino for note in notes(walship)[1:]] == inodes


def test_segments_that_are_read_side_by_side_form_the_same_run_of_times(walship, store, datadir, real_wal, directory):
    names = real_wal.into(datadir)
    time.sleep(SETTLED)

    def runs():
        indexes = [index_of(store, datadir.key(name)) for name in names]
        return [(index["start_lsn"], index["time_high_since"], index["time_high"]) for index in indexes]

    for name in names:
        datadir.push(walship, name)
    one_by_one = runs()
    assert any(start != since for start, since, _ in one_by_one), one_by_one
    store.remove_all()
    mark_ready(datadir, *names)
    walship.configure(state_dir=directory / "new-state")
    (directory / "new-state").mkdir()
    datadir.push(walship, names[0])
    assert runs() == one_by_one


def index_of(store, key):
    with tarfile.open(fileobj=io.BytesIO(store.read(key))) as tar:
        return json.load(tar.extractfile(tar.getmembers()[0]))


def test_with_many_waiting_the_usual_compression_of_wal_gives_way_to_a_faster_codec(walship, store, datadir, real_wal):
    names = real_wal.into(datadir)

    def codec(**settings):
        walship.configure(**settings)
        store.remove_all()
        datadir.push(walship, names[0], env={"WALSHIP_PUSH_AHEAD": "0"})
        return index_of(store, datadir.key(names[0]))["codec"]

    assert codec() == "brotli"
    mark_ready(datadir, *names, *(wal.segment_name(1, 1000 + i) for i in range(6)))
    assert codec() == "zstd"
    assert codec(compression="brotli") == "brotli"
    assert codec(compression="auto") == "zstd"
    (datadir.wal / "archive_status" / f"{names[0]}.ready").unlink()
    assert codec() == "brotli"
    walship.fails(2, "push", datadir.wal / names[0], env={"WALSHIP_COMPRESSION_LEVEL": "3"})


def test_a_backlog_is_stored_with_the_same_level_to_its_end_and_the_log_says_so(walship, store, datadir):
    """What is noted of the first batch does not lead the next one astray."""
    names = make_backlog(datadir, 12)
    walship.configure(log_level="debug", push_ahead=2, jobs=1)
    for name in names[:3]:
        said = datadir.push(walship, name).err
        status = datadir.wal / "archive_status"
        (status / f"{name}.ready").rename(status / f"{name}.done")
        assert "brotli" not in said
        assert said.count("was compressed with zstd, level 1, in ") == (3 if name == names[0] else 0), said
    assert "was compressed with zstd, level 1, in " in datadir.push(walship, names[3]).err


@pytest.mark.parametrize("codec, hurried", [("brotli", 0), ("zstd", 1)])
def test_with_many_waiting_compression_hurries_unless_it_was_set(walship, store, datadir, real_wal, codec, hurried):
    names = real_wal.into(datadir)
    walship.configure(compression=codec)

    def stored_size(**settings):
        walship.configure(**settings)
        store.remove_all()
        datadir.push(walship, names[0], env={"WALSHIP_PUSH_AHEAD": "0"})
        return len(store.read(datadir.key(names[0])))

    auto, fast, second = stored_size(), stored_size(compression_level=hurried), stored_size(compression_level=2)
    assert auto == second != fast
    mark_ready(datadir, *names, *(wal.segment_name(1, 1000 + i) for i in range(6)))
    assert stored_size(compression_level=2) == second
    assert stored_size(compression_level="auto") == fast
    (datadir.wal / "archive_status" / f"{names[0]}.ready").unlink()
    assert stored_size(compression_level="auto") == second


def test_a_real_archiver_ships_a_backlog(server, walship, store):
    server.configure(archive_command="false")
    server.reload()
    names = []
    for _ in range(12):
        server.write_rows(200)
        names.append(server.switch_wal())
    walship.configure(jobs=3, push_ahead=5)
    wait_until(lambda: server.value("SELECT failed_count FROM pg_stat_archiver") > 0, "archiving has failed")
    server.sql("SELECT pg_stat_reset_shared('archiver')")
    server.archive_with(walship)
    server.reload()
    server.switch_and_archive(timeout=40)
    assert all(server.is_archived(name) for name in names)
    assert server.value("SELECT failed_count FROM pg_stat_archiver") == 0
    assert notes(walship) == []
    prefix = f"{server.system_identifier()}/wal/00000001/"
    assert {f"{prefix}{name}.tar" for name in names} <= set(store.keys(prefix))
    if hasattr(store, "proxy"):
        puts = [request.path for request in store.proxy.seen("PUT")]
        assert len(puts) == len(set(puts)) == store.proxy.count(), store.proxy.log()
    walship.ok("backup", "--fast", env=server.pg_environment)
    listed = walship.ok("list", "--system", server.system_identifier()).out
    assert "no gaps." in listed and "GAP" not in listed


# What a note is bound to


@pytest.mark.smoke
def test_a_file_that_was_changed_since_is_refused(walship, store, datadir, backlog):
    datadir.push(walship, backlog[0])
    before = store.snapshot()
    with open(datadir.wal / backlog[1], "r+b") as file:
        file.seek(8 * MIB)
        file.write(b"changed")
    datadir.push(walship, backlog[1], 3, says="has other contents")
    assert store.snapshot() == before


def test_in_a_copied_data_directory_the_file_is_looked_at(walship, store, datadir, backlog, directory):
    datadir.push(walship, backlog[0])
    copy = directory / "copied"
    shutil.copytree(datadir.path, copy)
    for name in backlog:
        shutil.copystat(datadir.wal / name, copy / "pg_wal" / name)
    name = backlog[1]
    walship.ok("push", f"pg_wal/{name}", "--push-ahead", 0, cwd=copy)  # with the same contents
    assert noted(walship) == backlog[1:], "the note is that of the other directory"
    with open(copy / "pg_wal" / name, "r+b") as file:
        file.seek(8 * MIB)
        file.write(b"changed")
    shutil.copystat(datadir.wal / name, copy / "pg_wal" / name)
    walship.fails(3, "push", f"pg_wal/{name}", cwd=copy)
    datadir.push(walship, name)


def test_a_note_of_another_store_says_nothing(walship, store, datadir, backlog):
    datadir.push(walship, backlog[0])
    elsewhere = {**store.settings, "store": f"{store.url}-2"}
    if store.url.startswith("file:"):
        shutil.copytree(store.directory, f"{store.directory}-2", ignore=shutil.ignore_patterns(str(datadir.system)))
    walship.configure(**elsewhere)
    datadir.push(walship, backlog[1])
    walship.ok("fetch", backlog[1], "pg_wal/RECOVERYXLOG", cwd=datadir.path)
    walship.configure(**store.settings)
    assert backlog[1] in noted(walship), "that of the first store is still good"


@pytest.mark.directory_only("a bucket has no marker")
def test_a_note_of_another_disk_under_the_same_path_says_nothing(walship, store, datadir, backlog):
    datadir.push(walship, backlog[0])
    marker = store.directory / "walship-store.json"
    content = marker.read_bytes()
    store.remove_all()
    other = marker.with_name("other")
    other.write_bytes(content)
    other.rename(marker)
    datadir.push(walship, backlog[1])
    assert datadir.key(backlog[1]) in store.keys()


@pytest.mark.s3_only
def test_a_note_of_the_same_bucket_name_at_another_endpoint_says_nothing(walship, s3, store, datadir, backlog):
    datadir.push(walship, backlog[0])
    with s3.proxy() as other:
        walship.configure(s3_endpoint=other.endpoint)
        datadir.push(walship, backlog[1])
        assert other.count("PUT", backlog[1]) == 1, other.log()


def test_clusters_that_share_a_state_directory_do_not_mix_their_notes(walship, datadir_factory, store, directory):
    one, other = datadir_factory("one"), datadir_factory("other")
    control = other.path / "global/pg_control"
    mine, theirs = make_backlog(one, 3), make_backlog(other, 3)
    assert one.system == other.system and control.exists() and mine == theirs
    walship.configure(store=f"{store.url}/one" if store.url.startswith("s3:") else store.url)
    second = Walship(directory / "second", {**walship.settings})
    if store.url.startswith("s3:"):
        second.configure(store=f"{store.url}/other")
    else:
        place = directory / "store-of-other"
        shutil.copytree(store.directory, place)
        second.configure(store=f"file://{place}")
    one.push(walship, mine[0])
    other.push(second, theirs[0])
    assert len(notes(walship)) == 4
    for name in mine[1:]:
        one.push(walship, name)
        other.push(second, name)
    assert notes(walship) == []
    check_contents(walship, one, mine)
    check_contents(second, other, theirs)


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_note_that_others_may_have_written_says_nothing(walship, store, datadir, backlog, mode):
    walship.state_dir.chmod(0o777)
    datadir.push(walship, backlog[0])
    store.remove(datadir.key(backlog[1]))
    notes(walship)[0].chmod(mode)
    datadir.push(walship, backlog[1])
    assert store.exists(datadir.key(backlog[1]))


def test_a_torn_note_says_nothing(walship, store, datadir, backlog):
    datadir.push(walship, backlog[0])
    for name, note in zip(backlog[1:4], notes(walship)):
        store.remove(datadir.key(name))
        content = note.read_bytes()
        note.write_bytes({backlog[1]: b"", backlog[2]: content[: len(content) // 2]}.get(name, content[:-1]))
        datadir.push(walship, name)
        assert store.exists(datadir.key(name))


# Where no notes can be kept


def test_without_a_state_directory_one_segment_is_pushed(walship, store, datadir, backlog, directory):
    for made, name in ((directory / "nowhere", backlog[0]), (directory / "locked", backlog[1])):
        if made.name == "locked":
            made.mkdir()
            made.chmod(0o555)
        walship.configure(state_dir=made)
        assert datadir.push(walship, name).err == ""
    assert store.keys() == keys_of(datadir, backlog[:2])


def test_with_a_full_state_directory_one_segment_is_pushed(walship, store, datadir, backlog, small_disk):
    state = small_disk / "state"
    state.mkdir()
    walship.configure(state_dir=state)
    with pytest.raises(OSError), open(small_disk / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(MIB))
    datadir.push(walship, backlog[0])
    assert store.keys() == keys_of(datadir, backlog[:1])
    assert list(state.iterdir()) == []


# Timelines, and what is no plain segment


def test_only_segments_of_the_same_timeline_are_taken_along(walship, store, datadir, backlog):
    other = make_backlog(datadir, 2, timeline=2, first=11)
    backup = f"{backlog[1]}.00000028.backup"
    (datadir.wal / backup).write_text("START WAL LOCATION: 0/6000028\n")
    partial = f"{backlog[2]}.partial"
    shutil.copy(datadir.wal / backlog[2], datadir.wal / partial)
    junk = ["junk", f"{backlog[1]}0", "RECOVERYXLOG", "x" * 200, backlog[1].lower()]
    mark_ready(datadir, *other, backup, partial, *junk, wal.segment_name(1, 900))
    (datadir.wal / "archive_status" / f"{wal.segment_name(1, 901)}.ready").mkdir()
    assert datadir.push(walship, backlog[0]).err == ""
    assert store.keys() == keys_of(datadir, backlog)


def test_while_a_history_file_waits_nothing_is_taken_along(walship, store, datadir, backlog):
    history = datadir.history(2, (1, 0x20000000))
    mark_ready(datadir, history)
    datadir.push(walship, backlog[0])
    assert store.keys() == keys_of(datadir, backlog[:1])
    datadir.push(walship, history)
    (datadir.wal / "archive_status" / f"{history}.ready").unlink()
    datadir.push(walship, backlog[1])
    digest = f"{datadir.key(history)}.sha256"
    assert store.keys() == sorted([*keys_of(datadir, [*backlog, history]), digest])


def test_what_leads_to_a_timeline_is_stored_before_its_segments(walship, store, datadir):
    old = make_backlog(datadir, 1, first=4)
    new = make_backlog(datadir, 3, timeline=2, first=6)
    history = datadir.history(2, (1, 6 * 16 * MIB))
    datadir.push(walship, new[0])
    assert {datadir.key(name) for name in (*new, history)} <= set(store.keys())
    assert noted(walship) == new[1:]
    assert datadir.key(old[0]) not in store.keys(), "nothing happened in it, so it is not whole"


def test_the_stub_of_a_switch_is_a_partial_also_when_it_is_taken_along(walship, store, servers):
    server = servers.new(wal_keep_size="128MB").start()
    first = server.switch_wal()
    server.write_rows(100)
    server.sql("CHECKPOINT")
    name = server.current_segment()
    server.stop("immediate")
    wal_directory = server.pgdata / "pg_wal"
    end = server.wal_end(name)
    with open(wal_directory / name, "r+b") as file:
        file.truncate(end % (16 * MIB))
        file.truncate(16 * MIB)
    (wal_directory / "00000002.history").write_text(wal.history_text((1, end)))
    (wal_directory / "archive_status" / f"{name}.ready").touch()
    time.sleep(SETTLED)
    walship.ok("push", f"pg_wal/{first}", cwd=server.pgdata)
    assert noted(walship) == [name]
    stored = store.keys(f"{server.system_identifier()}/wal/00000001/{name}")
    assert len(stored) == 1 and f"{name}.partial-" in stored[0]
    walship.ok("push", f"pg_wal/{name}", cwd=server.pgdata)
    assert store.keys(f"{server.system_identifier()}/wal/00000001/{name}") == stored


# Failures


def test_what_fails_ahead_fails_only_its_own_call(walship, store, datadir, backlog):
    with open(datadir.wal / backlog[1], "r+b") as file:
        file.write(bytes(16))
    result = datadir.push(walship, backlog[0])
    assert result.err == "", str(result)
    assert store.keys() == keys_of(datadir, [backlog[0], *backlog[2:]])
    datadir.push(walship, backlog[1], 6)
    assert noted(walship) == backlog[2:]


def test_once_the_asked_for_segment_has_failed_nothing_is_begun(walship, store, datadir, backlog):
    with open(datadir.wal / backlog[0], "r+b") as file:
        file.write(bytes(16))
    walship.configure(jobs=1)
    datadir.push(walship, backlog[0], 6)
    assert store.keys() == [] and notes(walship) == []


def change(path):
    with open(path, "r+b") as file:
        file.seek(8 * MIB)
        file.write(b"changed")


@pytest.mark.smoke
@pytest.mark.parametrize("jobs", [2, 8])
def test_a_clone_whose_segment_is_refused_stores_nothing_that_comes_after_it(walship, store, datadir, backlog, jobs):
    """Else it would take the names that the right server has yet to come to."""
    walship.configure(jobs=jobs)
    datadir.push(walship, backlog[0], env={"WALSHIP_PUSH_AHEAD": "0"})
    change(datadir.wal / backlog[0])
    time.sleep(SETTLED)
    datadir.push(walship, backlog[0], 3, says="has other contents")
    assert store.keys() == keys_of(datadir, backlog[:1])
    assert notes(walship) == [] and notes(walship, unfinished=True) == []


def test_when_one_ahead_is_refused_nothing_else_is_begun(walship, store, datadir, backlog):
    walship.configure(jobs=1)
    datadir.push(walship, backlog[2], env={"WALSHIP_PUSH_AHEAD": "0"})
    change(datadir.wal / backlog[2])
    time.sleep(SETTLED)
    assert datadir.push(walship, backlog[0]).err == ""
    assert store.keys() == keys_of(datadir, backlog[:3])
    assert noted(walship) == backlog[1:2]


@pytest.mark.s3_only
def test_what_stalls_ahead_is_given_up_at_the_deadline(walship, store, proxy, datadir, backlog):
    walship.configure(push_deadline="3s")
    proxy.add(fault.stall, method="PUT", target=backlog[1], times=None)
    result = datadir.push(walship, backlog[0])
    assert 2.9 < result.seconds < 20 and result.err == "", str(result)
    assert datadir.key(backlog[1]) not in store.keys()
    assert noted(walship) == backlog[2:]


@pytest.mark.s3_only
def test_after_three_seconds_nothing_else_is_begun(walship, store, proxy, datadir):
    names = make_backlog(datadir, 9)
    walship.configure(jobs=2)
    proxy.add(fault.delay(1.2), method="PUT", times=None)
    result = datadir.push(walship, names[0])
    assert 2.4 < result.seconds < 20, str(result)
    assert 2 <= len(store.keys()) <= 6, store.keys()
    assert len(notes(walship)) == len(store.keys()) - 1


@pytest.mark.s3_only
@pytest.mark.parametrize("blocked, expected", [("asked for", 4), ("ahead", 0)])
def test_a_signal_ends_it_at_once(walship, store, proxy, datadir, backlog, blocked, expected):
    """The exit status is that of the segment that was asked for."""
    slow = backlog[:1] if blocked == "asked for" else backlog[1:]
    proxy.add(fault.delay(8), method="PUT", target="|".join(slow), times=None)
    push = walship.start("push", f"pg_wal/{backlog[0]}", cwd=datadir.path)
    quick = backlog[:1] if blocked == "ahead" else []
    wait_until(lambda: proxy.count("PUT", "|".join(slow)) > 0, "the slow ones are on their way")
    wait_until(lambda: set(keys_of(datadir, quick)) <= set(store.keys()), "the other one is stored")
    time.sleep(0.3)
    began = time.monotonic()
    push.send_signal(signal.SIGTERM)
    push.communicate(timeout=10)
    assert push.returncode == expected
    assert time.monotonic() - began < 6, "it did not wait for the answer"
    assert notes(walship, unfinished=True) == []
    proxy.clear()
    for name in backlog:
        datadir.push(walship, name)
    check_contents(walship, datadir, backlog[:2])


def test_killed_at_any_moment_it_loses_nothing(walship, store, datadir):
    names = make_backlog(datadir, 4)
    moments = {
        "it has just begun": lambda: True,
        "a note is begun": lambda: notes(walship, unfinished=True),
        "one is stored": lambda: len(store.keys()) >= 1,
        "two are stored": lambda: len(store.keys()) >= 2,
        "one is noted": lambda: noted(walship),
        "all are stored": lambda: len(store.keys()) >= 4,
    }
    for moment, has_come in moments.items():
        for note in notes(walship):
            note.unlink()
        store.remove_all()
        push = walship.start("push", f"pg_wal/{names[0]}", cwd=datadir.path)
        wait_until(lambda has_come=has_come, push=push: has_come() or push.poll() is not None, moment, interval=0.005)
        push.kill()
        push.communicate(timeout=10)
        assert all(store.exists(datadir.key(name)) for name in noted(walship)), moment
        for name in names:
            datadir.push(walship, name)
        assert store.keys() == keys_of(datadir, names)
    check_contents(walship, datadir, names)

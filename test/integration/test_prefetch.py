"""What fetch gets ahead of a recovery: the prefetcher, its window, and how little it is in the way."""
import ctypes
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import tarfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from walship_testing import faultproxy as fault
from walship_testing import wal
from walship_testing.age import Key, age, have_age
from walship_testing.proc import clean_environment, is_running, locked, process_state, run, wait_until
from walship_testing.server import ServerFactory, copy_tree
from walship_testing.store import DirectoryStore, create_store, sealed
from walship_testing.wal import MIB

RECOVERY = "recovery.signal"
STANDBY = "standby.signal"


class Replay:
    """Asks for segments as a server does; to fetch this process is the postmaster."""

    def __init__(self, walship, datadir, store, cache, signal_file=RECOVERY):
        self.walship = walship
        self.datadir = datadir
        self.store = store
        self.kept = cache / "prefetch-segments"
        self.recipient = None  # the Key for which archive() encrypts
        (datadir.path / "postmaster.pid").write_text(f"{os.getpid()}\n{datadir.path}\n")
        (datadir.path / signal_file).touch()

    def fetch(self, name, expected=0, *flags):
        self.datadir.fetched.unlink(missing_ok=True)
        result = self.datadir.fetch(self.walship, name, expected, *flags)
        if expected == 0:
            assert self.datadir.fetched.read_bytes() == (self.kept / name).read_bytes(), name
        return result

    def archive(self, timeline, first, last):
        """Puts segments into the store, each with contents of its own; returns their names."""
        names = [wal.segment_name(timeline, segno, MIB) for segno in range(first, last + 1)]
        self.kept.mkdir(exist_ok=True)
        for name in names:
            with locked(f"{self.kept}.lock"):
                if not (self.kept / name).exists():
                    self.make_segment(name)
            self.store.write(self.datadir.key(name), segment_object((self.kept / name).read_bytes(), name, self.recipient))
        return names

    def make_segment(self, name):
        timeline, segno = wal.parse_segment_name(name, MIB)
        salt = random.Random(name).randbytes(100_000)
        self.datadir.segment(timeline, segno, segment_size=MIB, salt=salt)
        (self.datadir.wal / name).rename(self.kept / name)

    def prefetchers(self):
        return prefetchers_of(self.datadir.path)

    def prefetcher(self):
        """Its pid, once there is one."""
        return wait_until(self.prefetchers, "a prefetcher runs")[0]

    def window(self):
        """The one directory of segments fetched ahead."""
        (window,) = (self.walship.state_dir / "prefetch").iterdir()
        return window

    def ready(self):
        with_window = self.walship.state_dir / "prefetch"
        windows = list(with_window.iterdir()) if with_window.is_dir() else []
        return sorted(path.name for window in windows for path in window.iterdir() if len(path.name) == 24)

    def wait_ready(self, *names):
        wait_until(lambda: set(names) <= set(self.ready()), f"{names} are fetched ahead")

    def end(self):
        """The recovery is over; nothing stays behind."""
        for name in (RECOVERY, STANDBY):
            (self.datadir.path / name).unlink(missing_ok=True)
        self.wait_gone()

    def wait_gone(self):
        wait_until(lambda: not self.prefetchers(), "the prefetcher has left")


def segment_object(plain, name, recipient=None):
    """As docs/format.md has it, uncompressed, of a segment whose records do not matter: a push for each would take long."""
    magic, _, _, address, _, system, segment_size, _ = wal.LONG_HEADER.unpack(plain[: wal.LONG_HEADER.size])
    payload = encrypted(plain, recipient) if recipient else plain
    payload_name = f"{name}.raw.age" if recipient else f"{name}.raw"
    index = {
        "format": 1,
        "segment": name,
        "system_id": str(system),
        "timeline": int(name[:8], 16),
        "postgres": next(major for major, number in wal.MAGIC.items() if number == magic),
        "segment_size": segment_size,
        "start_lsn": wal.format_lsn(address),
        "end_lsn": wal.format_lsn(address + segment_size),
        "sha256": hashlib.sha256(plain).hexdigest(),
        "member": payload_name,
        "codec": "none",
        **({"recipients": [recipient.fingerprint]} if recipient else {}),
        "stored_size": len(payload),
        "stored_sha256": hashlib.sha256(payload).hexdigest(),
    }
    return member(f"{name}.json", sealed(index)) + member(payload_name, payload) + bytes(1024)


def encrypted(plain, recipient):
    rc, sealed_text, message = age("-r", recipient.public, stdin=plain)
    assert rc == 0, message
    return sealed_text


def member(name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    return entry.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)


def prefetchers_of(pgdata):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and is_running(int(entry.name)):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if words[:2] == [b"walship", b"prefetcher"] and str(pgdata).encode() in words:
                found.append(int(entry.name))
    return found


@pytest.fixture
def replay(walship, datadir_factory, store, cache):
    made = Replay(walship, datadir_factory(segment_size=1), store, cache)
    yield made
    made.end()


@pytest.fixture
def stalled(replay):
    """A prefetcher that has the window full, and hears nothing any more."""
    names = replay.archive(1, 3, 8)
    replay.fetch(names[0])
    replay.wait_ready(*names[1:3])
    pid = replay.prefetcher()
    os.kill(pid, signal.SIGSTOP)
    yield names, pid
    if is_running(pid):
        os.kill(pid, signal.SIGCONT)


def directory_only(test):
    return pytest.mark.directory_only("the window is the same whatever the store")(test)


# What it does


@pytest.mark.smoke
def test_the_next_segments_are_there_before_they_are_asked_for(replay):
    names = replay.archive(1, 3, 12)
    replay.fetch(names[0])
    replay.wait_ready(names[1])
    for name in names[1:]:
        replay.fetch(name)
    assert len(replay.prefetchers()) == 1


@pytest.mark.s3_only
def test_each_segment_is_one_request_and_connections_are_kept(replay, proxy):
    names = replay.archive(1, 3, 24)
    proxy.clear()
    proxy.add(fault.delay(0.02), times=None)
    for name in names:
        replay.fetch(name)
    assert requested(proxy, 200) == names
    assert len(requested(proxy)) <= len(names) + 4, "behind the archive's end it looked more often than side by side"
    assert proxy.n_connections <= 8, proxy.log()


def requested(proxy, status=None):
    """Segments, in order of their names; those with this answer only."""
    found = [request for request in proxy.seen("GET") if request.path.endswith(".tar")]
    return sorted(Path(request.path).stem for request in found if status in (None, request.status))


@pytest.mark.s3_only
def test_a_segment_in_the_window_needs_no_store(replay, store, proxy):
    names = replay.archive(1, 3, 6)
    replay.fetch(names[0])
    replay.wait_ready(names[1], names[2])
    with store.outage():
        assert replay.fetch(names[1]).seconds < 1
        assert replay.fetch(names[2]).seconds < 1
    replay.fetch(names[3])


@directory_only
def test_switched_off_nothing_is_fetched_ahead(replay):
    replay.walship.configure(prefetch=0)
    for name in replay.archive(1, 3, 4):
        replay.fetch(name)
    assert replay.prefetchers() == [] and not (replay.walship.state_dir / "prefetch").exists()


@directory_only
def test_the_window_is_never_larger_than_the_setting(replay):
    replay.walship.configure(prefetch=3)
    names = replay.archive(1, 3, 14)
    for name in names[:8]:
        replay.fetch(name)
    replay.wait_ready(names[8])
    time.sleep(0.5)
    assert set(replay.ready()) <= set(names[8:11])


@pytest.mark.s3_only
def test_beyond_the_plans_end_nothing_is_asked_for(replay, proxy):
    names = replay.archive(1, 3, 9)
    proxy.clear()
    for name in names[:4]:
        replay.fetch(name, 0, "--plan-end", names[3])
    time.sleep(0.5)
    assert requested(proxy) == names[:4]
    assert replay.fetch(names[4], 1, "--plan-end", names[3]).seconds < 1


# Timelines


@pytest.mark.s3_only
@pytest.mark.parametrize("place", ["in a segment", "at a segment's end"])
def test_it_follows_the_timelines_that_the_server_goes_along(replay, proxy, place):
    """PostgreSQL: xlogrecovery.c, XLogFileReadAnyTLI: of the segment of a switch it asks for the newest timeline's."""
    names = replay.archive(1, 3, 5 if place == "in a segment" else 6)
    replay.archive(1, 7, 9)
    names += replay.archive(2, 6 if place == "in a segment" else 7, 9)
    replay.datadir.history(2, (1, 6 * MIB + (MIB // 2 if place == "in a segment" else MIB)))
    proxy.clear()
    for name in names:
        replay.fetch(name)
        replay.wait_ready(*names[names.index(name) + 1 :][:1])
    time.sleep(0.3)
    # Where the archive ends shows when it is asked: once for each of those that it gets side by side (setting jobs).
    beyond = [name for name in requested(proxy) if name not in names]
    assert beyond == [wal.segment_name(2, 10 + i, MIB) for i in range(len(beyond))] and len(beyond) <= 4


@directory_only
def test_a_timeline_that_the_server_does_not_take_does_no_harm(replay):
    names = replay.archive(1, 3, 12)
    replay.archive(2, 5, 12)
    replay.datadir.history(2, (1, 5 * MIB + 100))
    for name in names:
        replay.fetch(name)
    assert not [name for name in replay.ready() if name.startswith("00000002")]


# The archive's end


@pytest.mark.s3_only
def test_a_standby_that_polls_for_the_next_segment_makes_one_request_each_time(replay, proxy):
    in_standby(replay)
    names = replay.archive(1, 3, 10)
    for name in names:
        replay.fetch(name)
    missing = wal.segment_name(1, 11, MIB)
    replay.fetch(missing, 1)
    proxy.clear()
    for _ in range(5):
        replay.fetch(missing, 1)
        time.sleep(0.1)
    assert requested(proxy) == 5 * [missing], proxy.log()
    proxy.clear()
    # The archive grows, a segment now and then.
    for segno in (11, 12):
        (name,) = replay.archive(1, segno, segno)
        replay.fetch(name)
        replay.fetch(wal.segment_name(1, segno + 1, MIB), 1)
        time.sleep(0.2)
    assert len(requested(proxy)) <= 5, proxy.log()


@pytest.mark.s3_only
def test_a_standby_that_follows_the_archive_starts_no_prefetcher(replay, proxy):
    in_standby(replay)
    for segno in (3, 4, 5):
        (name,) = replay.archive(1, segno, segno)
        proxy.clear()
        replay.fetch(name)
        replay.fetch(wal.segment_name(1, segno + 1, MIB), 1)
        assert proxy.count("GET") == 2, proxy.log()
        assert replay.prefetchers() == []


def in_standby(replay):
    (replay.datadir.path / RECOVERY).unlink()
    (replay.datadir.path / STANDBY).touch()


def age_by(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


@directory_only
def test_a_segment_that_comes_late_is_fetched_all_the_same(replay):
    """That it was missing is forgotten at once."""
    in_standby(replay)
    for name in replay.archive(1, 3, 6):
        replay.fetch(name)
    for segno in range(7, 12):
        replay.fetch(wal.segment_name(1, segno, MIB), 1)
        replay.fetch(*replay.archive(1, segno, segno))


# Wrong files


def shorten(path):
    os.truncate(path, MIB - 1)


def lengthen(path):
    os.truncate(path, MIB + 1)


def empty(path):
    os.truncate(path, 0)


def other_segment(path):
    overwrite(path, 8, (77 * MIB).to_bytes(8, "little"))


def other_system(path):
    overwrite(path, 24, b"\1\2\3\4\5\6\7\0")


def no_wal(path):
    overwrite(path, 0, b"PK")


def old(path):
    age_by(path, 2 * 3600)


def link(path):
    other = path.parent.parent.parent / "elsewhere"
    path.rename(other)
    path.symlink_to(other)


def directory_in_its_place(path):
    path.unlink()
    path.mkdir()


def overwrite(path, at, content):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(content)


@directory_only
@pytest.mark.parametrize(
    "spoil",
    [shorten, lengthen, empty, other_segment, other_system, no_wal, old, link, directory_in_its_place],
    ids=lambda spoil: spoil.__name__,
)
def test_a_wrong_file_in_the_window_is_never_handed_over(replay, stalled, spoil):
    names, _ = stalled
    spoil(replay.window() / names[1])
    replay.fetch(names[1])


def test_a_damaged_object_fails_as_without_prefetching(replay, store):
    replay.walship.configure(fetch_deadline="1s")
    names = replay.archive(1, 3, 6)
    good = store.read(replay.datadir.key(names[2]))
    store.write(replay.datadir.key(names[2]), good[:-3000] + b"?" + good[-2999:])
    replay.fetch(names[0])
    replay.fetch(names[1])
    replay.fetch(names[2], 200)
    store.write(replay.datadir.key(names[2]), good)
    for name in names[2:]:
        replay.fetch(name)


# Encrypted


needs_age = pytest.mark.skipif(not have_age(), reason="the program age is not installed; run test/install test")


def assert_private(replay):
    """What was decrypted is for the server's user alone."""
    window = replay.window()
    assert window.stat().st_mode & 0o777 == 0o700 and window.parent.stat().st_mode & 0o777 == 0o700
    for name in replay.ready():
        assert (window / name).stat().st_mode & 0o777 == 0o600


@needs_age
def test_encrypted_segments_are_decrypted_ahead(replay, directory):
    """Fetch holds keys when it starts the prefetcher, so its own /proc is not its user's."""
    replay.recipient = Key(directory / "key.txt")
    replay.walship.configure(identity_file=replay.recipient.path)
    names = replay.archive(1, 3, 12)
    replay.fetch(names[0])
    pid = replay.prefetcher()
    replay.wait_ready(names[1], names[2])
    assert (replay.window() / names[1]).read_bytes() == (replay.kept / names[1]).read_bytes()
    assert_private(replay)
    assert os.stat(f"/proc/{pid}/status").st_uid != os.getuid(), "it holds keys, and hides"
    for name in names[1:]:
        replay.fetch(name)
    assert replay.prefetchers() == [pid]


@directory_only
@needs_age
def test_what_no_key_opens_is_neither_fetched_nor_left_in_the_window(replay, directory):
    """A rotation on the way, which the host that recovers has not heard of: the server stops, and goes on with the key."""
    first, second = Key(directory / "first.txt"), Key(directory / "second.txt")
    ring = directory / "ring.txt"
    ring.write_text(first.path.read_text())
    ring.chmod(0o600)
    replay.walship.configure(identity_file=ring)
    replay.recipient = first
    old = replay.archive(1, 3, 5)
    replay.recipient = second
    new = replay.archive(1, 6, 12)
    for name in old:
        replay.fetch(name)
    for _ in range(3):
        assert second.fingerprint in replay.fetch(new[0], 200).err
        assert not replay.datadir.fetched.exists()
    assert set(replay.ready()) <= set(old)
    ring.write_text(first.path.read_text() + second.path.read_text())
    for name in new:
        replay.fetch(name)


# Killed, stopped, in each other's way


def kill_prefetchers(replay, names, reached):
    """Two of them, each when reached(what it gets next) holds, and then goes on."""
    for at in (0, 4):
        holds = reached(names[at + 4 : at + 6])
        for name in names[at : at + 4]:
            replay.fetch(name)
        first = replay.prefetcher()
        wait_until(holds, "the moment to kill it", interval=0.001)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: not is_running(first), "it is dead")
    for name in names[8:]:
        replay.fetch(name)
    assert replay.prefetcher() != first
    replay.end()
    assert list((replay.walship.state_dir / "prefetch").iterdir()) == []


@directory_only
@pytest.mark.parametrize("moment", ["it is there", "the window is full"])
def test_a_killed_prefetcher_leaves_nothing_wrong_and_another_takes_over(replay, moment):
    replay.walship.configure(prefetch=2)
    full = moment == "the window is full"
    kill_prefetchers(
        replay, replay.archive(1, 3, 16), lambda following: lambda: not full or set(following) <= set(replay.ready())
    )


@pytest.mark.s3_only
@pytest.mark.parametrize("share", [0.0, 0.9])
def test_a_prefetcher_killed_while_a_segment_comes_leaves_nothing_wrong(replay, proxy, share):
    replay.walship.configure(prefetch=2)
    stalled = []

    def reached(following):
        sent = threading.Event()
        stalled.append(proxy.add(fault.stall_in_response(share, sent=sent), method="GET", target=following[0]))
        return sent.is_set

    kill_prefetchers(replay, replay.archive(1, 3, 16), reached)
    assert [rule.hits for rule in stalled] == [1, 1]


@directory_only
@pytest.mark.parametrize("moment", [0.0, 0.01, 0.02, 0.04])
def test_a_killed_fetch_leaves_nothing_wrong(replay, moment):
    names = replay.archive(1, 3, 8)
    for name in names:
        replay.datadir.fetched.unlink(missing_ok=True)
        killed = replay.walship.start("fetch", name, "pg_wal/RECOVERYXLOG", cwd=replay.datadir.path)
        time.sleep(moment)
        killed.kill()
        killed.communicate(timeout=10)
        assert not replay.datadir.fetched.exists() or (
            replay.datadir.fetched.read_bytes() == (replay.kept / name).read_bytes()
        )
        replay.fetch(name)
    replay.end()
    assert list((replay.walship.state_dir / "prefetch").iterdir()) == []


@pytest.mark.s3_only
def test_a_prefetcher_that_hangs_holds_nobody_up(replay, proxy):
    in_standby(replay)
    names = replay.archive(1, 3, 8)
    replay.fetch(names[0])
    proxy.add(fault.delay(3), target=names[3] + "|" + names[4])
    replay.fetch(names[1])
    wait_until(lambda: names[3] in requested(proxy), "it gets the segment, and the delay")
    pid = replay.prefetcher()
    os.kill(pid, signal.SIGSTOP)
    try:
        for name in names[2:5]:
            assert replay.fetch(name).seconds < 5
    finally:
        os.kill(pid, signal.SIGCONT)


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.s3_only
def test_a_segment_that_is_being_fetched_is_waited_for(replay, proxy):
    names = replay.archive(1, 3, 6)
    proxy.clear()
    proxy.add(fault.delay(1), target=names[1])
    replay.fetch(names[0])
    wait_until(lambda: list((replay.walship.state_dir / "prefetch").glob(f"*/{names[1]}.*")), "it gets the segment")
    before = cpu_of_children()
    result = replay.fetch(names[1])
    assert result.seconds < 1.5
    assert cpu_of_children() - before < 0.4, "it waits for most of a second, and does not spin"
    assert requested(proxy).count(names[1]) == 1


@directory_only
def test_two_fetches_of_one_segment_at_once_both_do_right(replay, stalled):
    names, _ = stalled
    for name in names[1:3]:
        replay.datadir.fetched.unlink()
        both = [
            replay.walship.start("fetch", name, "pg_wal/RECOVERYXLOG", cwd=replay.datadir.path) for _ in range(2)
        ]
        codes = sorted(process.wait(20) for process in both)
        for process in both:
            process.communicate()
        assert codes[0] == 0 and codes[1] in (0, 200)
        assert replay.datadir.fetched.read_bytes() == (replay.kept / name).read_bytes()


# Who takes part


@directory_only
def test_what_is_no_servers_call_comes_from_the_store(replay, stalled, directory):
    """Of pg_rewind (which gives the file its own name), of hands, of a server that is not there."""
    names, _ = stalled
    before = replay.ready()
    replay.walship.ok("fetch", names[1], f"pg_wal/{names[1]}", cwd=replay.datadir.path)
    (replay.datadir.path / RECOVERY).unlink()
    replay.fetch(names[1])
    (replay.datadir.path / RECOVERY).touch()
    postmaster = (replay.datadir.path / "postmaster.pid").read_text()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (replay.datadir.path / "postmaster.pid").write_text(f"{stranger.pid}\n")
        replay.fetch(names[1])
    finally:
        stranger.kill()
        stranger.wait()
    (replay.datadir.path / "postmaster.pid").write_text(postmaster)
    assert replay.ready() == before
    replay.fetch(names[1])
    assert replay.ready() == before[1:]


@directory_only
def test_a_changed_store_gets_a_window_of_its_own(replay, stalled, directory):
    names, _ = stalled
    other = DirectoryStore(directory / "other-store")
    other.directory.mkdir()
    create_store(other, directory)
    replay.walship.configure(store=other.url, fetch_deadline="1s")
    replay.fetch(names[1], 200)
    replay.store = other
    replay.archive(1, 3, 4)
    replay.fetch(names[1])


@directory_only
def test_a_cloned_data_directory_has_a_window_of_its_own(replay, datadir_factory, store, cache, stalled):
    names, _ = stalled
    clone = Replay(replay.walship, datadir_factory("clone", segment_size=1), store, cache)
    clone.fetch(names[1])
    clone.fetch(names[2])
    assert len(clone.prefetchers()) == 1 and clone.prefetchers() != replay.prefetchers()
    assert len(list((replay.walship.state_dir / "prefetch").iterdir())) == 2
    clone.end()
    assert set(names[1:3]) <= set(replay.ready())


# The state directory


@directory_only
@pytest.mark.parametrize("trouble", ["missing", "not writable", "open to others", "a link", "a file"])
def test_without_a_state_directory_of_its_own_it_fetches_all_the_same(replay, directory, trouble):
    names = replay.archive(1, 3, 6)
    state = replay.walship.state_dir
    windows = state / "prefetch"
    if trouble == "missing":
        replay.walship.configure(state_dir=directory / "nowhere")
    elif trouble == "not writable":
        state.chmod(0o555)
    elif trouble == "open to others":
        windows.mkdir()
        windows.chmod(0o777)
    elif trouble == "a link":
        windows.symlink_to(directory)
    else:
        windows.touch()
    for name in names:
        replay.fetch(name)
    assert replay.prefetchers() == []
    state.chmod(0o755)


@directory_only
def test_on_another_file_system_the_segment_is_copied(replay):
    shared_memory = Path("/dev/shm")
    if shared_memory.stat().st_dev == replay.datadir.path.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own here")
    state = shared_memory / f"walship-test-{os.getpid()}"
    state.mkdir()
    try:
        replay.walship.configure(state_dir=state)
        replay.walship.state_dir = state
        names = replay.archive(1, 3, 8)
        for name in names:
            replay.fetch(name)
        replay.end()
        assert list((state / "prefetch").iterdir()) == []
    finally:
        subprocess.run(["rm", "-r", str(state)], check=True)


@directory_only
def test_a_full_state_directory_switches_it_off_quietly(replay, small_disk):
    replay.walship.configure(state_dir=small_disk, compression="none", prefetch=2)
    replay.walship.state_dir = small_disk
    names = replay.archive(1, 3, 10)
    replay.fetch(names[0])
    replay.wait_ready(names[1], names[2])
    free = os.statvfs(small_disk)
    with open(small_disk / "fill", "wb") as file:
        file.write(bytes(max(0, free.f_bavail * free.f_frsize - 2 * MIB)))
    for name in names[1:]:
        result = replay.fetch(name)
        assert result.err == ""
    replay.end()


# How it lives and leaves


def test_it_is_detached(replay):
    names = replay.archive(1, 3, 6)
    replay.fetch(names[0])
    pid = replay.prefetcher()
    replay.wait_ready(names[1])
    if str(replay.walship.settings["store"]).startswith("s3:"):
        with pytest.raises(PermissionError):  # it has read a secret: no process of its user looks into it
            os.readlink(f"/proc/{pid}/cwd")
    else:
        wait_until(lambda: os.readlink(f"/proc/{pid}/cwd") == "/", "it holds no directory")
        targets = {name: os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
        assert [targets[fd] for fd in "012"] == 3 * ["/dev/null"]
        mine = ("anon_inode:", "pipe:", "socket:", str(replay.window()), str(replay.walship.settings["store"])[7:])
        assert not [target for fd, target in targets.items() if fd not in "012" and not target.startswith(mine)], targets
    assert os.getsid(pid) != os.getsid(0) and os.getpgid(pid) != os.getpgid(0) and os.getsid(pid) != pid
    assert process_state(pid)[1] != os.getpid()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert int(status["SigIgn"], 16) >> (signal.SIGPIPE - 1) & 1
    assert replay.window().stat().st_mode & 0o777 == 0o700


def recovery_ends(replay):
    (replay.datadir.path / RECOVERY).unlink()


def server_stops(replay):
    (replay.datadir.path / "postmaster.pid").unlink()


def another_server_starts(replay):
    (replay.datadir.path / "postmaster.pid").write_text("1\n")


def data_directory_is_moved_away(replay):
    replay.datadir.path.rename(replay.datadir.path.with_name("moved-away"))


def it_is_terminated(replay):
    os.kill(replay.prefetcher(), signal.SIGTERM)


@pytest.mark.s3_only
@pytest.mark.parametrize(
    "happens",
    [recovery_ends, server_stops, another_server_starts, data_directory_is_moved_away, it_is_terminated],
    ids=lambda happens: happens.__name__,
)
def test_it_leaves_at_once_when(replay, proxy, happens):
    """Also with requests in flight."""
    names = replay.archive(1, 3, 5)
    proxy.add(fault.stall, times=None, target=names[1] + "|" + names[2])
    replay.fetch(names[0])
    wait_until(lambda: proxy.count("GET", names[1]), "it asks for the segment")
    began = time.monotonic()
    happens(replay)
    replay.wait_gone()
    assert time.monotonic() - began < 3
    assert list((replay.walship.state_dir / "prefetch").iterdir()) == []


@directory_only
def test_it_leaves_when_nobody_asks_for_a_while_and_comes_back(replay):
    names = replay.archive(1, 3, 8)
    replay.fetch(names[0])
    replay.wait_ready(names[1])
    began = time.monotonic()
    replay.wait_gone()
    assert 7 < time.monotonic() - began < 15
    assert list((replay.walship.state_dir / "prefetch").iterdir()) == []
    replay.fetch(names[1])
    replay.wait_ready(names[2])


@directory_only
def test_started_by_hand_it_refuses(replay, walship):
    assert "fetch" in walship.fails(1, "prefetcher", replay.datadir.path).err


# Real servers


@dataclass
class FarArchive:
    """A server that is gone, behind more than 60 small segments."""

    before: Path  # its data directory before them
    tables: dict
    segments: dict  # contents by name

    def recover(self, servers, walship, signal_file=RECOVERY):
        """Not started."""
        server = servers.empty()
        copy_tree(self.before, server.pgdata)
        server.signal_file(signal_file, restore_command=walship.restore_command(), archive_mode="off")
        return server


@pytest.fixture(scope="session")
def many_segments(cache):
    kept = cache / "many-segments"
    with locked(f"{kept}.lock"):
        if not kept.exists():
            work = cache / "many-segments.work"
            work.mkdir()
            factory = ServerFactory(work, cache)
            try:
                make_many_segments(factory, work)
            finally:
                factory.close()
            work.rename(kept)
    return FarArchive(
        before=kept / "copy",
        tables=json.loads((kept / "tables.json").read_text()),
        segments={path.name: path.read_bytes() for path in (kept / "archive").iterdir() if len(path.name) == 24},
    )


def make_many_segments(factory, place):
    (place / "archive").mkdir()
    server = factory.new(segment_size=1, archive_mode="on", archive_command=f"cp %p '{place}/archive/%f'")
    server.start()
    server.copy_to(factory.empty(name="copy"))
    server.write_rows(300)
    server.sql("CREATE TABLE wide AS SELECT i, repeat(md5(i::text), 30) AS t FROM generate_series(1, 36000) i")
    (place / "tables.json").write_text(json.dumps(server.checksums()))
    server.switch_and_archive(timeout=40)
    server.kill()


@pytest.fixture
def far_archive(many_segments, store, proxy):
    """Its segments are in the store, which is 20 ms away."""
    system = int.from_bytes((many_segments.before / "global/pg_control").read_bytes()[:8], "little")
    for name, content in many_segments.segments.items():
        store.write(f"{system}/wal/{name[:8]}/{name}.tar", segment_object(content, name))
    proxy.add(fault.delay(0.02), times=None, method="GET")
    return many_segments


def segments_got(proxy):
    found = requested(proxy, 200)
    # At the end the server asks for the last one again (PostgreSQL: xlogrecovery.c, ReadRecord).  Once or twice a fetch
    # may get itself what the prefetcher was too long about: it waits only while the file grows, and the machine is busy.
    assert len(found) <= len(set(found)) + 3, proxy.log()
    return sorted(set(found))


def memory_of(pid):
    """Resident, in bytes; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return 0


def is_sanitized(walship):
    return b"libasan" in Path(walship.binary).read_bytes()


@pytest.mark.s3_only
def test_a_server_recovers_from_far_away_at_one_request_per_segment(far_archive, servers, walship, proxy):
    server = far_archive.recover(servers, walship)
    server.start(wait=False)
    (pid,) = wait_until(lambda: prefetchers_of(server.pgdata), "a prefetcher runs")
    peak = 0
    while is_running(pid):
        peak = max(peak, memory_of(pid))
        time.sleep(0.02)
    server.wait_ready()
    server.wait_promoted()
    assert server.checksums() == far_archive.tables
    assert len(segments_got(proxy)) > 60
    assert proxy.n_connections < 20, "connections are not kept"
    assert is_sanitized(walship) or peak < 40 * MIB
    assert not list((walship.state_dir / "prefetch").iterdir())


@pytest.mark.s3_only
@needs_age
def test_a_server_recovers_what_is_encrypted(far_archive, servers, walship, store, proxy, directory):
    key = Key(directory / "key.txt")
    walship.configure(identity_file=key.path)
    for path in [path for path in store.keys() if path.endswith(".tar")]:
        name = Path(path).stem
        store.write(path, segment_object(far_archive.segments[name], name, key))
    proxy.clear()
    server = far_archive.recover(servers, walship)
    server.start(wait=False)
    wait_until(lambda: prefetchers_of(server.pgdata), "a prefetcher runs")
    server.wait_ready()
    server.wait_promoted()
    assert server.checksums() == far_archive.tables
    assert len(segments_got(proxy)) > 60
    assert proxy.n_connections < 20, "segments were got one by one"
    wait_until(lambda: not prefetchers_of(server.pgdata), "the prefetcher has left")
    assert not list((walship.state_dir / "prefetch").iterdir())


@pytest.mark.s3_only
def test_neither_a_shutdown_nor_the_prefetcher_waits_for_the_other(far_archive, servers, walship, proxy):
    server = far_archive.recover(servers, walship)
    proxy.clear()
    proxy.add(fault.stall, target="00000001000000000000001[0-9]", times=None)
    server.start(wait=False)
    wait_until(lambda: proxy.count("GET", "000000010000000000000010"), "it asks for a segment that does not come")
    assert prefetchers_of(server.pgdata)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 5
    wait_until(lambda: not prefetchers_of(server.pgdata), "the prefetcher has left", timeout=5)


def adopts_orphans():
    """As a postmaster does that a supervisor has become: PR_SET_CHILD_SUBREAPER outlives exec."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


CONTAINER = ["unshare", "--user", "--map-current-user", "--pid", "--fork", "--kill-child", "--mount-proc"]


@pytest.mark.s3_only
@pytest.mark.parametrize("how", ["PID 1", "adopts orphans"])
def test_where_the_postmaster_would_adopt_it_there_is_no_prefetcher(far_archive, servers, walship, proxy, how):
    """The death of an adopted child by a signal is a crash to the postmaster: a batch is got within the call instead."""
    if how == "PID 1" and run([*CONTAINER, "true"]).rc != 0:
        pytest.skip("this user may make no PID namespaces here")
    server = far_archive.recover(servers, walship)
    with open(server.log, "a") as log:
        server.process = subprocess.Popen(
            [*(CONTAINER if how == "PID 1" else []), str(server.install.bindir / "postgres"), "-D", str(server.pgdata)],
            preexec_fn=None if how == "PID 1" else adopts_orphans,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    seen = []
    wait_until(
        lambda: seen.extend(prefetchers_of(server.pgdata)) or "archive recovery complete" in server.log_text(),
        "recovery has ended",
        timeout=40,
        interval=0.1,
    )
    assert seen == []
    server.wait_ready()
    server.wait_promoted()
    assert server.checksums() == far_archive.tables
    names = segments_got(proxy)
    assert len(names) > 60
    assert proxy.n_connections < 0.8 * len(names), "segments were got one at a time"
    assert "terminat" not in server.log_text() and "crash" not in server.log_text()
    assert not [path for path in (walship.state_dir / "prefetch").glob("*/0*")]


@pytest.mark.s3_only
def test_a_standby_catches_up_and_is_promoted_at_once(far_archive, servers, walship, proxy):
    server = far_archive.recover(servers, walship, STANDBY).start()
    wait_until(lambda: requested(proxy, 404), "it is at the end")
    wait_until(lambda: server.checksums() == far_archive.tables, "it has replayed everything", interval=0.2)
    proxy.clear()
    time.sleep(1)
    polls = requested(proxy)
    assert polls and set(polls) == {max(polls)}, proxy.log()
    began = time.monotonic()
    server.promote()
    assert time.monotonic() - began < 5
    wait_until(lambda: not prefetchers_of(server.pgdata), "the prefetcher has left", timeout=5)

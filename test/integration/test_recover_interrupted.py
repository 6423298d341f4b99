"""recover, interrupted at any moment: what was there comes back, and the next run works."""
import os
import shutil
import signal
import subprocess

import pytest

from walship_testing.proc import clean_environment, wait_until
from walship_testing.recovery import UNFINISHED, interrupt_when, snapshot_of, take_backup
from walship_testing.wal import MIB

ATTEMPTS = 20  # until it is caught in the middle


@pytest.fixture
def slow(server, walship):
    """A backup with so many bytes in it that its recovery can be caught in the middle; what its tables hold."""
    for number in range(4):
        (server.pgdata / f"ballast{number}").write_bytes(os.urandom(16 * MIB))
    walship.configure(part_size="16MB", compression="brotli")  # zstd would be too quick
    server.write_rows(1000)
    take_backup(walship, server)
    expected = server.checksums()
    server.switch_and_archive()
    server.kill()
    return expected


def interrupted(walship, pgdata, number, *options, reset=lambda: None):
    """Runs recover until the signal has met it while it was restoring."""
    for _ in range(ATTEMPTS):
        process = walship.start("recover", "--immediate", "--pgdata", pgdata, *options)
        status = interrupt_when(process, lambda: (pgdata / "base").exists(), number)
        if status is not None and status != 0:
            assert status == -number
            return
        reset()
    raise AssertionError("recover was never caught in the middle")


def remove(path):
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.smoke
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_an_interrupted_recovery_leaves_nothing_and_the_next_one_works(slow, recoveries, walship, number):
    server = recoveries.place(name="target")
    interrupted(walship, server.pgdata, number, reset=lambda: remove(server.pgdata))
    assert not server.pgdata.exists()
    recoveries.copy("--immediate", into=server)
    assert server.checksums() == slow


@pytest.mark.directory_only("signals do not depend on the store")
def test_with_nohup_it_goes_on_when_the_terminal_has_gone(slow, recoveries, walship):
    server = recoveries.place(name="target")
    nohup = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *walship.command("recover", "--immediate", "--pgdata", server.pgdata)]
    process = subprocess.Popen(nohup, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert interrupt_when(process, lambda: (server.pgdata / "base").exists(), signal.SIGHUP) in (0, None)
    assert process.returncode == 0 and (server.pgdata / "recovery.signal").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_recovery_brings_back_what_it_moved_aside(slow, recoveries, walship, directory, number):
    old = directory / "target"

    def occupy():
        for path in directory.glob("target*"):
            remove(path)
        old.mkdir()
        (old / "precious").write_text("precious")

    occupy()
    interrupted(walship, old, number, "--move-aside", reset=occupy)
    assert [path.name for path in old.iterdir()] == ["precious"]
    assert [path.name for path in directory.glob("target*")] == ["target"]


def test_after_a_kill_the_same_directory_can_be_used_again(slow, recoveries, walship):
    server = recoveries.place(name="target")
    interrupted(walship, server.pgdata, signal.SIGKILL, reset=lambda: remove(server.pgdata))
    assert (server.pgdata / UNFINISHED).exists()
    (server.pgdata / "base/left over").write_text("of the killed run")
    recoveries.copy("--immediate", into=server)
    assert server.checksums() == slow
    assert not (server.pgdata / UNFINISHED).exists()
    assert not (server.pgdata / "base/left over").exists()


def test_a_server_does_not_start_in_what_a_killed_recovery_left(slow, recoveries, walship):
    """Neither signal file nor settings are there yet: it would come up in the wrong state, or not at all."""
    server = recoveries.place(name="target")
    interrupted(walship, server.pgdata, signal.SIGKILL, reset=lambda: remove(server.pgdata))
    assert not (server.pgdata / "recovery.signal").exists()
    if not (server.pgdata / "postgresql.conf").exists():
        return
    server.start(wait=False)
    assert server.wait_exit() != 0


def test_after_a_kill_what_was_moved_aside_is_kept(slow, recoveries, walship, directory):
    old = directory / "target"

    def occupy():
        for path in directory.glob("target*"):
            remove(path)
        old.mkdir()
        (old / "precious").write_text("precious")

    occupy()
    interrupted(walship, old, signal.SIGKILL, "--move-aside", reset=occupy)
    (aside,) = [path for path in directory.glob("target.*") if path.is_dir()]
    server = recoveries.place(name="target")
    recoveries.copy("--immediate", "--move-aside", into=server)
    assert server.checksums() == slow
    assert (aside / "precious").read_text() == "precious"


@pytest.fixture
def spaced(walship, server, directory):
    """As "slow", with a tablespace; its old place."""
    old = directory / "space"
    old.mkdir()
    server.sql(f"CREATE TABLESPACE space LOCATION '{old}'")
    server.sql("CREATE TABLE t TABLESPACE space AS SELECT i FROM generate_series(1, 1000) i")
    for number in range(3):
        (server.pgdata / f"ballast{number}").write_bytes(os.urandom(16 * MIB))
    walship.configure(part_size="16MB")
    take_backup(walship, server)
    server.switch_and_archive()
    server.kill()
    return old


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_an_interrupted_recovery_with_tablespaces_can_be_repeated(spaced, recoveries, walship, directory, number):
    old = spaced
    new = directory / "new space"
    options = ["--tablespace-map", f"{old}={new}"]
    server = recoveries.place(name="target")

    def reset():
        remove(server.pgdata)
        remove(new)

    interrupted(walship, server.pgdata, number, *options, reset=reset)
    if number != signal.SIGKILL:
        assert not server.pgdata.exists() and not new.exists()
    recoveries.copy("--immediate", *options, into=server)
    assert server.value("SELECT count(*) FROM t") == 1000


def test_after_a_kill_other_tablespaces_are_still_not_written_over(spaced, recoveries, walship, directory):
    old = spaced
    new, precious = directory / "new space", directory / "precious"
    precious.mkdir()
    (precious / "data").write_text("precious")
    server = recoveries.place(name="target")

    def reset():
        remove(server.pgdata)
        remove(new)

    interrupted(walship, server.pgdata, signal.SIGKILL, "--tablespace-map", f"{old}={new}", reset=reset)
    before = snapshot_of(precious)
    walship.fails(
        3,
        *("recover", "--immediate", "--pgdata", server.pgdata, "--tablespace-map", f"{old}={precious}"),
        says=str(precious),
    )
    assert snapshot_of(precious) == before
    recoveries.copy("--immediate", "--tablespace-map", f"{old}={new}", into=server)
    assert server.value("SELECT count(*) FROM t") == 1000


def test_two_recoveries_into_one_directory_exclude_each_other(slow, recoveries, walship):
    server = recoveries.place(name="target")
    first = walship.start("recover", "--immediate", "--pgdata", server.pgdata)
    wait_until(lambda: (server.pgdata / UNFINISHED).exists() or first.poll() is not None, "it works", interval=0.0005)
    first.send_signal(signal.SIGSTOP)
    try:
        second = walship.run("recover", "--immediate", "--pgdata", server.pgdata)
    finally:
        first.send_signal(signal.SIGCONT)
    _, err = first.communicate(timeout=20)
    assert first.returncode == 0, err
    assert second.rc == 3 and str(server.pgdata) in second.err, str(second)
    server.start(wait=False)
    server.wait_paused()
    assert server.checksums() == slow

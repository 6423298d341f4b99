"""kill -9 in the middle of push, at every step and at many moments: nothing half-made, and the next push works."""
import random
import shutil
import time
from collections import Counter

import pytest

from walship_testing.proc import run

CHANGES_FILES = (
    "write,pwrite64,writev,fsync,fdatasync,link,linkat,rename,renameat,renameat2,"
    "unlink,unlinkat,mkdir,mkdirat,ftruncate,fallocate"
)


def check_after_crash(walship, store, datadir, name, moment):
    """Either nothing is visible or the whole, and a second push makes it whole."""
    key = datadir.key(name)
    assert store.keys() in ([], [key]), moment
    if store.exists(key):
        datadir.fetch(walship, name)
        assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes(), moment
        datadir.fetched.unlink()
    datadir.push(walship, name)
    datadir.fetch(walship, name)
    assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes(), moment
    datadir.fetched.unlink()
    assert store.keys() == [key], moment


def test_killed_at_any_moment_push_can_be_repeated(walship, store, datadir, real_wal):
    name = real_wal.into(datadir)[0]
    duration = datadir.push(walship, name).seconds
    chance = random.Random(20261121)
    n_killed = 0
    for round_number in range(20):
        store.remove_all()
        push = walship.start("push", f"pg_wal/{name}", cwd=datadir.path)
        time.sleep(chance.uniform(0, duration))
        push.kill()
        push.communicate(timeout=10)
        n_killed += push.returncode == -9
        check_after_crash(walship, store, datadir, name, f"round {round_number}")
    assert n_killed > 0, "no push was killed in time"


@pytest.fixture
def strace():
    """Runs a program under strace with more options; None where tracing is not allowed."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if run(["strace", "-o", "/dev/null", "true"]).rc != 0:
        pytest.skip("this machine does not allow strace")

    def traced(options, command, cwd):
        # LeakSanitizer does not work under a tracer.
        return run(
            ["strace", "-f", *options, *command], cwd=cwd, env={"ASAN_OPTIONS": "exitcode=99:detect_leaks=0"}
        )

    return traced


def count_system_calls(path):
    """{name: how often} in a trace."""
    counted = Counter()
    for line in path.read_text(errors="replace").splitlines():
        words = line.split(None, 1)
        call = words[1] if len(words) > 1 else ""
        if "(" in call and not call.startswith(("+++", "---", "<")):
            counted[call.partition("(")[0]] += 1
    return counted


@pytest.mark.directory_only("it stops at the system calls that make files")
def test_killed_at_each_step_push_can_be_repeated(walship, store, datadir, real_wal, strace, directory):
    name = real_wal.into(datadir)[0]
    push = walship.command("push", f"pg_wal/{name}")
    trace = directory / "trace"
    result = strace(["-o", trace, "-e", f"trace={CHANGES_FILES}"], push, datadir.path)
    assert result.rc == 0, str(result)
    steps = count_system_calls(trace)
    assert steps["fsync"] + steps["fdatasync"] > 0, steps
    n_killed = 0
    for call, times in sorted(steps.items()):
        for when in sorted({1, 2, times}):
            store.remove_all()
            shutil.rmtree(store.directory / str(datadir.system), ignore_errors=True)
            inject = f"inject={call}:signal=KILL:when={when}"
            result = strace(["-o", "/dev/null", "-e", f"trace={CHANGES_FILES}", "-e", inject], push, datadir.path)
            n_killed += result.rc != 0
            check_after_crash(walship, store, datadir, name, inject)
    assert n_killed >= len(steps), "strace killed nothing"

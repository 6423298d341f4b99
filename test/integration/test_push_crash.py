"""kill -9 in the middle of push, at every step and while its request is on the way: nothing half-made, and the next works."""
import shutil
import signal

import pytest

from walship_testing import crash
from walship_testing.faultproxy import stall, stall_in_body
from walship_testing.recovery import interrupt_when


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


@pytest.mark.directory_only("it stops at the system calls that make files")
def test_killed_at_each_step_push_can_be_repeated(walship, store, datadir, real_wal, directory):
    crash.need_strace()
    name = real_wal.into(datadir)[0]
    push = walship.command("push", f"pg_wal/{name}")
    steps = crash.count_calls(push, directory, datadir.path)
    names = {call for _, call in steps}
    assert {"fsync", "fdatasync"} & names, steps
    n_killed = 0
    for point in crash.points(steps, 2):
        store.remove_all()
        shutil.rmtree(store.directory / str(datadir.system), ignore_errors=True)
        n_killed += crash.killed_at(push, point, datadir.path)
        check_after_crash(walship, store, datadir, name, point)
    assert n_killed >= len(names), "strace killed nothing"


def keep_the_answer(exchange):
    """The server has done it, and its answer never comes."""
    exchange.ask()
    exchange.wait_for_client_to_leave()


@pytest.mark.s3_only
@pytest.mark.parametrize("fault", [stall_in_body(), stall, keep_the_answer], ids=["halfway", "sent", "done"])
def test_killed_while_its_request_is_on_the_way_push_can_be_repeated(walship, store, proxy, datadir, real_wal, fault):
    name = real_wal.into(datadir)[0]
    rule = proxy.add(fault, method="PUT")
    push = walship.start("push", f"pg_wal/{name}", cwd=datadir.path)
    done = fault is keep_the_answer
    reached = (lambda: store.exists(datadir.key(name))) if done else (lambda: rule.hits > 0)
    assert interrupt_when(push, reached, signal.SIGKILL) == -signal.SIGKILL
    proxy.clear()
    assert store.keys() == ([datadir.key(name)] if done else [])
    check_after_crash(walship, store, datadir, name, "while its request is on the way")

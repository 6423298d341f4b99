"""A user who may have no more processes, threads among them: work is done in the only thread, and nobody is killed."""
import pytest

from test_push_ahead import check_contents, keys_of, make_backlog, noted
from walship_testing.proc import run
from walship_testing.wal import MIB

# In a namespace of its own the user has no other processes that would count (Linux 5.14).
LIMITED = ["unshare", "--user", "--map-current-user", "prlimit"]

# With one, not even signals can be waited for, which is the end before anything has begun.  With two there is no
# thread for anything else, with three not for everything.
ENOUGH = [2, 3, 4]


def limited(walship, datadir, most, name, *arguments):
    command = walship.command(name, *arguments)
    return run([*LIMITED, f"--nproc={most}:{most}", *command], cwd=datadir.path)


@pytest.fixture(autouse=True)
def namespaces(walship):
    if run([*LIMITED, "--nproc=2:2", "true"]).rc != 0:
        pytest.skip("this user may make no user namespaces here: NOT TESTED that push survives a limit on processes")


@pytest.fixture
def backlog(datadir):
    return make_backlog(datadir, segment_size=MIB)


def test_the_limit_holds(walship, datadir, store):
    """Else the tests below show nothing."""
    name = datadir.segment(1, 5, segment_size=MIB)
    result = limited(walship, datadir, 1, "push", f"pg_wal/{name}")
    assert result.rc == 7 and "could not start a thread" in result.err, str(result)
    assert store.keys() == []


@pytest.mark.parametrize("most", ENOUGH)
def test_push_stores_the_segment_and_takes_others_along(walship, store, datadir, backlog, most):
    result = limited(walship, datadir, most, "push", f"pg_wal/{backlog[0]}")
    assert result.rc == 0 and result.err == "", str(result)
    assert store.keys() == keys_of(datadir, backlog) and noted(walship) == backlog[1:]
    check_contents(walship, datadir, backlog)


@pytest.mark.parametrize("most", ENOUGH)
def test_a_single_segment_is_pushed_and_fetched(walship, store, datadir, most):
    name = datadir.segment(1, 5, salt=b"alone", segment_size=MIB)
    result = limited(walship, datadir, most, "push", f"pg_wal/{name}")
    assert result.rc == 0 and result.err == "", str(result)
    result = limited(walship, datadir, most, "fetch", name, "pg_wal/RECOVERYXLOG")
    assert result.rc == 0 and result.err == "", str(result)
    assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()


@pytest.mark.parametrize("most", ENOUGH)
def test_what_is_refused_is_refused_as_ever(walship, store, datadir, backlog, most):
    datadir.push(walship, backlog[0], env={"WALSHIP_PUSH_AHEAD": "0"})
    with open(datadir.wal / backlog[0], "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x77")
    result = limited(walship, datadir, most, "push", f"pg_wal/{backlog[0]}")
    assert result.rc == 3, str(result)

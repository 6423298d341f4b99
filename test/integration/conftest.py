"""Fixtures of the integration tests.  Run as root they become the user walshiptest."""
import faulthandler
import os
import shutil
import sys
from pathlib import Path

import pytest

from walship_testing import proc

proc.drop_root()

from walship_testing import server as pg  # noqa: E402
from walship_testing.datadir import DataDirectory, RealWal, make_real_wal  # noqa: E402
from walship_testing.recipe import Recipe  # noqa: E402
from walship_testing.recovery import Recoveries, load_archive, tell_branches, tell_story  # noqa: E402
from walship_testing.s3 import S3Missing, S3Server  # noqa: E402
from walship_testing.store import STORE_KINDS, DirectoryStore, create_store  # noqa: E402
from walship_testing.walship import Walship  # noqa: E402

TEST_TIMEOUT = 60  # seconds; a test should take 30 at most


def pytest_configure(config):
    config.addinivalue_line("markers", "smoke: the subset that also runs on the sanitizer build")
    config.addinivalue_line("markers", "directory_only(reason): not for other kinds of store, and why")
    config.addinivalue_line("markers", "s3_only: needs the server of S3")


def pytest_generate_tests(metafunc):
    if "store_kind" in metafunc.fixturenames:
        metafunc.parametrize("store_kind", store_kinds(metafunc.definition), scope="session")


def store_kinds(test):
    """The kinds of store that a test that uses one runs on, once each."""
    directory_only = test.get_closest_marker("directory_only")
    if directory_only:
        assert directory_only.args, f"{test.name}: say why it is for directories only"
        return ["directory"]
    return ["s3"] if test.get_closest_marker("s3_only") else list(STORE_KINDS)


@pytest.fixture(autouse=True)
def bounded():
    """No test may hang: the last resort, as everything that waits has a deadline of its own.  It ends the worker
    with a traceback; an alarm signal would not do, for a worker of xdist may run tests beside its main thread."""
    faulthandler.dump_traceback_later(TEST_TIMEOUT, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """What costs time to make and can be shared, also between the workers of one run."""
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture
def directory(tmp_path):
    """The test's own; big files do not outlive the test."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def empty_place(directory):
    """A directory that is no store yet."""
    place = DirectoryStore(directory / "store")
    place.directory.mkdir()
    return place


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """A real one for this worker's tests; the reason in words when this machine has none."""
    try:
        server = S3Server(tmp_path_factory.mktemp("s3"))
    except S3Missing as missing:
        yield str(missing)
        return
    yield server
    server.close()


@pytest.fixture
def s3(s3_server):
    """The server; without one the test is skipped, and says why."""
    if isinstance(s3_server, str):
        pytest.skip(f"NO S3 SERVER, so S3 is NOT TESTED: {s3_server}")
    return s3_server


@pytest.fixture
def store(store_kind, directory, request):
    """An empty store; the test runs once for each kind."""
    if store_kind == "directory":
        made = DirectoryStore(directory / "store")
        create_store(made, directory)
        yield made
    else:
        made = request.getfixturevalue("s3").new_store(directory / "copies-of-store")
        yield made
        made.close()


@pytest.fixture
def proxy(store):
    """What walship takes for the S3 server."""
    return store.proxy


@pytest.fixture
def small_disk():
    """A file system of a few dozen MB, empty, for this test alone: test/run mounts it when it may."""
    place = os.environ.get("WALSHIP_TEST_SMALL_DISK")
    if not place:
        pytest.skip("no small file system (test/run mounts one when it runs as root)")
    with proc.locked(f"{place}.lock"):
        yield Path(place)
        for path in Path(place).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def walship(store, directory):
    """The program, configured for the store, where it has written before.  The cluster's system identifier comes from
    its data directory."""
    return store.known_to(Walship(directory / "walship", store.settings))


@pytest.fixture
def servers(directory, cache):
    """Factory of PostgreSQL servers."""
    factory = pg.ServerFactory(directory, cache)
    yield factory
    factory.close()


@pytest.fixture
def server(servers, walship):
    """A running server of the default major that archives with walship."""
    made = servers.new()
    made.archive_with(walship)
    return made.start()


@pytest.fixture(params=[pytest.param(major, id=f"pg{major}") for major in pg.MAJORS])
def major(request):
    """Every major of PostgreSQL in turn."""
    if not pg.find_install(request.param):
        pytest.skip(f"PostgreSQL {request.param} is not on this machine; test/install test says why")
    return request.param


@pytest.fixture
def datadir_factory(directory, cache):
    def make(name="data", *, segment_size=16):
        install = pg.find_install(pg.default_major())
        template = pg.ServerFactory(directory, cache).template(install, segment_size, True, False)
        return DataDirectory(directory / name, template)

    return make


@pytest.fixture
def datadir(datadir_factory):
    return datadir_factory()


@pytest.fixture(scope="session")
def real_wal(cache):
    """Three consecutive segments from a server, with its pg_control."""
    kept = cache / "real-wal"
    with proc.locked(f"{kept}.lock"):
        if not kept.exists():
            make_real_wal(cache, kept)
    return RealWal(kept)


@pytest.fixture
def recoveries(walship, servers):
    """Data directories made by "walship recover" from the store."""
    return Recoveries(walship, servers)


@pytest.fixture
def recipe(directory):
    return Recipe(directory / "recipe")


@pytest.fixture
def story(store, cache):
    """The store holds the archive of walship_testing.recovery.tell_story()."""
    archive = load_archive(cache, "story", tell_story)
    archive.into(store)
    return archive


@pytest.fixture
def branches(store, cache):
    """The store holds the archive of walship_testing.recovery.tell_branches()."""
    archive = load_archive(cache, "branches", tell_branches)
    archive.into(store)
    return archive

"""libcurl and libpq are loaded only by what uses them, and are missed only there."""
import re

import pytest

from walship_testing.proc import run_ok
from walship_testing.walship import Walship, binary


def soname(library):
    """As the program's own note for packaging tools has it."""
    return re.search(rb'"soname":\["(' + library.encode() + rb'[^"]*)"\]', binary().read_bytes()).group(1).decode()


@pytest.fixture
def without(directory):
    """Environments in which a library is found, and is none."""

    def environment(*names):
        broken = directory / "broken"
        broken.mkdir(exist_ok=True)
        for name in names:
            (broken / soname(name)).write_bytes(b"no library")
        return {"LD_LIBRARY_PATH": str(broken)}

    return environment


def test_a_bucket_needs_libcurl_and_says_so(directory, datadir, without):
    settings = {"store": "s3://bucket", "s3_access_key_id": "id", "s3_secret_access_key": "secret"}
    walship = Walship(directory / "walship", settings)
    failed = datadir.push(walship, datadir.segment(1, 5), 7, env=without("libcurl"))
    assert f'could not load library "{soname("libcurl")}"' in failed.err and "install" in failed.err, str(failed)


@pytest.mark.directory_only("the store does not matter")
def test_a_backup_needs_libpq_and_says_so(walship, without):
    failed = walship.fails(7, "backup", env=without("libpq"))
    assert f'could not load library "{soname("libpq")}"' in failed.err and "install" in failed.err, str(failed)


@pytest.mark.directory_only("a bucket needs libcurl")
def test_nothing_else_needs_them(walship, store, datadir, without):
    environment = without("libcurl", "libpq")
    run_ok([binary(), "--version"], env=environment)
    name = datadir.segment(1, 5)
    datadir.push(walship, name, env=environment)
    datadir.fetch(walship, name, env=environment)
    walship.ok("list", cwd=datadir.path, env=environment)

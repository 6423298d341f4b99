"""One round trip on OpenStack Swift's S3 API, a second implementation: strict in its region, without If-None-Match."""
from pathlib import Path

import pytest

from walship_testing.recovery import Recoveries, take_backup
from walship_testing.s3 import S3Missing, S3Server
from walship_testing.walship import Walship

PROGRAM = Path(__file__).parents[1] / "servers/swift"
pytestmark = pytest.mark.s3_only
TIMEOUT = 120  # Swift takes its time for small objects


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory):
    """In place of the usual one."""
    try:
        server = S3Server(tmp_path_factory.mktemp("swift"), PROGRAM)
    except S3Missing as missing:
        yield str(missing)
        return
    yield server
    server.close()


@pytest.fixture
def store(s3, directory):
    made = s3.new_store(directory / "copies-of-store")
    yield made
    made.close()


@pytest.fixture
def walship(store, directory):
    return Walship(directory / "walship", store.settings)


def test_push_falls_back_to_head_and_put_and_fetch_brings_the_same_bytes_back(walship, store, datadir):
    name = datadir.segment(1, 1)
    datadir.push(walship, name, timeout=TIMEOUT)
    path = f"/{name}.tar$"
    assert [(each.method, each.status) for each in store.proxy.seen(target=path)] == [
        ("PUT", 501),
        ("HEAD", 404),
        ("GET", 404),  # HEAD cannot tell a missing object from a missing bucket
        ("PUT", 200),
    ], store.proxy.log()

    datadir.push(walship, name, timeout=TIMEOUT)
    stored = store.read(datadir.key(name))
    datadir.fetch(walship, name, timeout=TIMEOUT)
    assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()

    datadir.segment(1, 1, salt=b"other contents")
    datadir.push(walship, name, expected=3, timeout=TIMEOUT)
    assert store.read(datadir.key(name)) == stored


def test_a_missing_segment_is_reported_as_absent(walship, datadir):
    datadir.push(walship, datadir.segment(1, 1), timeout=TIMEOUT)
    datadir.fetch(walship, "000000010000000000000002", expected=1, timeout=TIMEOUT)


def test_check_says_how_overwriting_is_prevented_and_push_needs_no_probe_after_it(walship, store, datadir):
    result = walship.run("check", "--store-only", cwd=datadir.path, timeout=TIMEOUT)
    assert "If-None-Match" in result.out + result.err, str(result)
    store.proxy.clear()
    name = datadir.segment(1, 1)
    datadir.push(walship, name, timeout=TIMEOUT)
    assert [each.method for each in store.proxy.seen(target=f"/{name}.tar$")] == ["HEAD", "GET", "PUT"], store.proxy.log()


def test_a_wrong_region_is_corrected(walship, store, datadir):
    walship.configure(s3_region="eu-central-9")
    name = datadir.segment(1, 1)
    datadir.push(walship, name, timeout=TIMEOUT)
    assert any(each.status in (301, 400, 403) for each in store.proxy.seen()), store.proxy.log()
    datadir.fetch(walship, name, timeout=TIMEOUT)
    assert store.exists(datadir.key(name))


def test_a_backup_is_recovered(walship, store, servers):
    server = servers.new()
    server.archive_with(walship)
    server.start()
    server.write_rows()
    take_backup(walship, server, timeout=TIMEOUT)
    server.write_rows()
    tables = server.checksums()
    server.switch_and_archive(timeout=TIMEOUT)
    server.destroy()

    restored = Recoveries(walship, servers).recover("--latest", "--copy", timeout=TIMEOUT)
    restored.start(timeout=TIMEOUT)
    restored.wait_promoted(timeout=TIMEOUT)
    assert restored.checksums() == tables

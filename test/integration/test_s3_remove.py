"""A backup that fails at its very end removes its parts: in one request, or one by one where that is not possible."""
import os
import re
import signal
import time

import pytest

from walship_testing import faultproxy as fault
from walship_testing.proc import wait_until
from walship_testing.server import ServerFactory
from walship_testing.wal import MIB

pytestmark = pytest.mark.s3_only

RECORD = {"method": "PUT", "target": "backup.json"}
MANY = {"method": "POST", "target": r"\?delete"}
PARTS = 4  # with the manifest: at the least


@pytest.fixture(scope="module")
def source(tmp_path_factory, cache):
    factory = ServerFactory(tmp_path_factory.mktemp("source"), cache)
    server = factory.new()
    for number in range(3):
        (server.pgdata / f"ballast{number}").write_bytes(os.urandom(16 * MIB))
    server.start()
    yield server
    factory.close()


@pytest.fixture
def failing(walship, proxy, source):
    """Takes a backup whose record is refused."""
    walship.configure(part_size="16MB", store_deadline="10s")
    proxy.add(fault.answer(403, "AccessDenied"), times=None, **RECORD)

    def run():
        result = walship.run("backup", "--fast", env=source.pg_environment, timeout=50)
        assert result.rc == 5, str(result)
        return result

    return run


def singles(proxy):
    """How many parts were removed by requests of their own; the record and the lease of the backup are no parts."""
    return len([request for request in proxy.seen("DELETE")
                if "backup.json" not in request.path and "/lease/" not in request.path])


def some_fail(code, count=1, prefix=""):
    """Of the objects that are to be removed, the first ones are not; of the others the server sees nothing either."""

    def what(exchange):
        keys = re.findall(r"<Key>(.*?)</Key>", exchange.read_body().decode())
        entries = (f"<Error><Key>{prefix}{key}</Key><Code>{code}</Code></Error>" for key in keys[:count])
        body = f"<DeleteResult>{''.join(entries)}</DeleteResult>".encode()
        exchange.reply(fault.Response(200, "", [("Content-Type", "application/xml")], body))

    return what


def test_the_parts_go_in_one_request(failing, store, proxy):
    result = failing()
    assert store.keys() == [], str(result)
    assert proxy.count(**MANY) in (1, 2) and singles(proxy) <= 1, proxy.log()
    assert "leftover" not in result.err


@pytest.mark.parametrize("what", [
    fault.answer(501, "NotImplemented"),
    fault.answer(405, "MethodNotAllowed"),
    fault.answer(405),
], ids=["501", "405", "405 without a code"])  # fmt: skip
def test_where_a_provider_has_no_such_request_they_go_one_by_one(failing, store, proxy, what):
    proxy.add(what, times=None, **MANY)
    result = failing()
    assert store.keys() == [] and "leftover" not in result.err, str(result)
    assert proxy.count(**MANY) == 1 and singles(proxy) >= PARTS, proxy.log()


@pytest.mark.parametrize("what", [
    fault.answer(400, "MalformedXML"),
    fault.answer(403, "AccessDenied"),
    fault.answer(200),
    some_fail("AccessDenied", prefix="not/ours/"),
], ids=["400", "403", "empty 200", "of other objects"])  # fmt: skip
def test_what_single_requests_can_settle_they_do(failing, store, proxy, what):
    proxy.add(what, times=None, **MANY)
    result = failing()
    assert store.keys() == [] and "leftover" not in result.err, str(result)
    assert singles(proxy) >= PARTS, proxy.log()


@pytest.mark.parametrize("what", [
    fault.answer(503, "SlowDown"),
    fault.answer(500, "InternalError"),
    fault.error_in_200(),
    fault.lose_response,
    fault.reset_before_body,
    fault.reset_in_body(),
    some_fail("SlowDown", 1000),
    some_fail("InternalError", 1000),
], ids=["503", "500", "error in 200", "lost response", "reset", "reset in body", "slow down", "errors"])  # fmt: skip
def test_what_passes_is_tried_again(failing, store, proxy, what):
    proxy.add(what, **MANY)
    result = failing()
    assert store.keys() == [] and "leftover" not in result.err, str(result)
    assert proxy.count(**MANY) >= 2 and singles(proxy) <= 1, proxy.log()


def test_an_object_that_cannot_be_removed_is_named_with_the_reason(failing, proxy):
    proxy.add(some_fail("AccessDenied"), **MANY)
    result = failing()
    assert result.err.count("could not remove leftover") == 1, str(result)
    assert "AccessDenied" in result.err and "InternalError" not in result.err
    assert singles(proxy) <= 1, proxy.log()


def test_keys_that_may_only_add_leave_the_parts_and_say_so_of_each(failing, store, proxy):
    with store.denied("DeleteObject"):
        proxy.add(fault.answer(204), times=None, method="DELETE", target="backup.json")
        result = failing()
    left = [key for key in store.keys() if "/lease/" not in key]  # that one is let expire, and no leftover
    assert len(left) >= PARTS
    assert all(f'could not remove leftover "{key}"' in result.err for key in left), str(result)


@pytest.mark.parametrize("single", [False, True], ids=["at once", "one by one"])
def test_a_cancelled_backup_removes_what_it_wrote(walship, store, proxy, source, single):
    walship.configure(part_size="16MB")
    proxy.add(fault.stall, **RECORD)
    if single:
        proxy.add(fault.answer(501, "NotImplemented"), times=None, **MANY)
    process = walship.start("backup", "--fast", env=source.pg_environment)
    wait_until(lambda: proxy.count(**RECORD), "the record is on its way", timeout=20)
    assert len(store.keys()) >= PARTS
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 8
    assert process.returncode == -signal.SIGTERM, err
    assert store.keys() == [] and b"leftover" not in err, err

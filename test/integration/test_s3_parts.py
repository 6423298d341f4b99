"""Uploads in parts: what guards a part on its way, and that nobody pays for more than the store asks for.

By "files" with 40 MiB that cannot be compressed: two parts of 16 MiB and a smaller one."""
import base64
import hashlib
import json
import os

import pytest

from walship_testing import faultproxy as fault
from walship_testing.wal import MIB
from walship_testing.walship import Walship

pytestmark = pytest.mark.s3_only

N_PARTS = 3
PART = {"method": "PUT", "target": "partNumber="}
AFTER_QUESTION = {**PART, "skip": 1}  # the part whose SHA-256 is wrong
ASKS = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters"


@pytest.fixture
def walship(walship):
    walship.configure(system="7000000000000000001", compression="none", store_deadline="10s", request_timeout="5s")
    return walship


@pytest.fixture
def tree(directory):
    (directory / "tree").mkdir()
    (directory / "tree/noise").write_bytes(os.urandom(40 * MIB))
    return directory / "tree"


def take(walship, tree, **settings):
    walship.configure(**settings)
    return json.loads(walship.ok("files", "up", tree, "--json").out)


def parts(proxy):
    """The question, which comes first, and the parts."""
    *questions, question = [each for each in proxy.seen(**PART) if each.size < 100]
    assert question.query["partNumber"] == "1" and "content-md5" not in question.headers
    assert all(each.status is None for each in questions)  # libcurl's, when a kept connection breaks
    rest = proxy.seen(**PART)[len(questions) + 1 :]
    assert all(each.size > MIB for each in rest), proxy.log()
    return question, rest


def assert_restored(walship, tree, directory):
    walship.ok("files", "--restore", "up", "--into", directory / "out")
    restored = directory / "out" / str(tree).lstrip("/") / "noise"
    assert restored.read_bytes() == (tree / "noise").read_bytes()


def without_comparison(change=lambda body: body):
    """A service for which the SHA-256 is a text that is signed; "change" is done to the bytes before it sees them."""

    def what(exchange):
        body = change(exchange.read_body())
        exchange.headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
        exchange.sign()
        exchange.reply(exchange.ask(body))

    return what


def demand_checksum(*refusal):
    """As where objects are locked."""

    def what(exchange):
        if {"content-md5", "x-amz-checksum-sha256"} & set(exchange.headers):
            exchange.forward()
        else:
            fault.answer(400, *refusal)(exchange)

    return what


def test_parts_have_no_md5_where_their_sha256_is_compared(walship, store, proxy, tree, directory):
    take(walship, tree)
    question, sent = parts(proxy)
    assert question.status == 400
    assert [each.status for each in sent] == [200] * N_PARTS, proxy.log()
    assert not any({"content-md5", "x-amz-checksum-sha256"} & set(each.headers) for each in sent)
    assert proxy.count("POST") == 2, proxy.log()
    assert all("content-md5" in each.headers for each in proxy.seen("PUT", r"files\.json"))
    assert_restored(walship, tree, directory)


def test_of_many_uploads_one_asks(walship, proxy, tree, directory):
    (tree / "more").write_bytes(os.urandom(60 * MIB))
    take(walship, tree, part_size="32MB", jobs=4)
    _, sent = parts(proxy)
    assert proxy.count("POST", r"\?uploads") >= 2, proxy.log()
    assert [each.status for each in sent].count(400) == 0, proxy.log()
    assert not any("content-md5" in each.headers for each in sent)


def test_a_part_that_is_damaged_on_its_way_is_sent_again(walship, proxy, tree, directory):
    proxy.add(fault.flip_upload(), **AFTER_QUESTION, times=2)
    take(walship, tree)
    _, sent = parts(proxy)
    assert sorted(each.status for each in sent) == [200] * N_PARTS + [400] * 2, proxy.log()
    assert not any("content-md5" in each.headers for each in sent)
    assert_restored(walship, tree, directory)


@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "damaged"])
def test_where_the_sha256_is_not_compared_the_md5_guards_the_parts(walship, proxy, tree, directory, damaged):
    """The part that was wrong was taken, and is replaced; what is damaged on its way is noticed by the MD5."""

    def flip(body):
        body = bytearray(body)
        body[len(body) // 2] ^= 1
        return bytes(body)

    if damaged:
        proxy.add(without_comparison(flip), **AFTER_QUESTION, times=1)
    proxy.add(without_comparison(), **PART, times=None)
    take(walship, tree)
    question, sent = parts(proxy)
    assert question.status == 200
    assert sorted(each.status for each in sent) == [200] * N_PARTS + [400] * damaged, proxy.log()
    assert all(len(base64.b64decode(each.headers["content-md5"])) == 16 for each in sent)
    assert_restored(walship, tree, directory)


@pytest.mark.parametrize("refusal", [("InvalidRequest", ASKS), ("MissingContentMD5",), ()], ids=str)
def test_a_bucket_that_demands_a_checksum_gets_one(walship, proxy, tree, refusal):
    proxy.add(demand_checksum(*refusal), **PART, times=None)
    result = walship.ok("files", "up", tree)
    question, sent = parts(proxy)
    assert question.status == 400 and [each.status for each in sent] == [200] * N_PARTS, proxy.log()
    assert all("content-md5" in each.headers for each in sent) and "WARNING" not in result.err


def test_a_bucket_that_demands_one_later_gets_it_from_then_on(walship, proxy, tree, directory):
    proxy.add(demand_checksum("InvalidRequest", ASKS), **AFTER_QUESTION, times=None)
    take(walship, tree, jobs=1)
    _, sent = parts(proxy)
    assert [each.status for each in sent] == [400] + [200] * N_PARTS, proxy.log()
    assert ["content-md5" in each.headers for each in sent] == [False] + [True] * N_PARTS
    assert_restored(walship, tree, directory)


def test_a_refusal_for_another_reason_is_told(walship, store, proxy, tree):
    """Once with a checksum, then it is an error."""
    proxy.add(fault.answer(400, "InvalidArgument", "not so"), **AFTER_QUESTION, times=None)
    walship.configure(jobs=1)
    walship.fails(4, "files", "up", tree, says="InvalidArgument")
    _, sent = parts(proxy)
    assert ["content-md5" in each.headers for each in sent] == [False, True], proxy.log()
    assert store.uploads() == []


@pytest.mark.parametrize("what, times", [
    (fault.lose_response, 2), (fault.answer(503, "SlowDown"), 1), (fault.answer(403, "AccessDenied"), 1), (fault.portal, 1)
], ids=["lost", "503", "denied", "a portal"])  # fmt: skip
def test_a_question_without_an_answer_costs_the_md5_and_nothing_else(walship, proxy, tree, what, times):
    proxy.add(what, **PART, times=times)
    take(walship, tree)
    _, sent = parts(proxy)
    assert len(sent) == N_PARTS and all("content-md5" in each.headers for each in sent), proxy.log()


def test_a_part_that_a_portal_took_is_missed_at_the_end(walship, store, proxy, tree):
    """It has an ETag as web servers have them; the service knows no such part."""
    proxy.add(fault.portal, **AFTER_QUESTION, times=1)
    walship.fails(4, "files", "up", tree, says="could not complete the upload")
    assert store.uploads() == [] and not [key for key in store.keys() if "files-" in key]


def test_a_bucket_with_object_lock(s3, directory, tree):
    """A real one, whose rule holds what is written for a day, so that nothing here can be rewritten."""
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    store = s3.new_store(directory / "copies", object_lock=lock)
    walship = store.known_to(Walship(directory / "of-the-locked", store.settings))
    record = take(walship, tree, system="7000000000000000001", compression="none")
    parts(store.proxy)
    for key in store.keys("7000000000000000001/files/up"):
        assert store.client.head_object(**store.of(key))["ObjectLockMode"] == "GOVERNANCE"
    assert_restored(walship, tree, directory)
    assert record["name"] == "up" and store.uploads() == []
    store.close()

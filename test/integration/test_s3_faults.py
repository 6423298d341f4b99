"""What networks and servers do to requests: push, fetch, backup and recover either succeed, or fail as they should.

Every fault happens between walship and a real server, and afterwards the store is looked at, past the fault."""
import json
import os
import re
import signal
import time

import pytest

from walship_testing import faultproxy as fault
from walship_testing.proc import wait_until
from walship_testing.s3cases import Backup, Case, Fetch, Push, Recover, always, transient, try_case
from walship_testing.server import ServerFactory
from walship_testing.wal import MIB

pytestmark = pytest.mark.s3_only

REQUEST_TIMEOUT = 2  # seconds; of these tests
STALL = 10  # seconds within which a command must have ended that met one stalled request
DENIED = fault.answer(403, "AccessDenied", "Access Denied")
NO_BUCKET = fault.answer(404, "NoSuchBucket", "The specified bucket does not exist")


def cases(*lists):
    found = [case for given in lists for case in (given if isinstance(given, list) else [given])]
    return pytest.mark.parametrize("case", found, ids=str)


@pytest.fixture
def quick(walship):
    """Gives up soon."""
    walship.configure(
        push_deadline="3s", fetch_deadline="3s", store_deadline="10s", request_timeout=f"{REQUEST_TIMEOUT}s"
    )
    return walship


# push

PUSH_ONLY = [
    Case("reset in the body", fault.reset_in_body(), which={"times": 2}),
    Case("flipped on the way", fault.flip_upload()),
    Case("stall, once", fault.stall, most=STALL),
    Case("stall in the body, once", fault.stall_in_body(), most=STALL),
    always("stall for ever", fault.stall, 4, "stalled", most=STALL),
    Case("If-None-Match is refused", fault.refuse_condition, which={"times": None}),
    Case("If-None-Match is ignored", fault.ignore_condition, which={"times": None}),
    Case("a strict server's clock is ahead", fault.skewed_clock(600, most=300), which={"times": None}),
    Case("a strict server's clock is behind", fault.skewed_clock(-600, most=300), which={"times": None}),
    always("server's clock is an hour ahead", fault.skewed_clock(3600), 4, "by the store's clock", most=8),
    always("server's clock is an hour behind", fault.skewed_clock(-3600), 4, "Set this machine's clock", most=8),
    Case("another region, said with 400", fault.other_region("eu-west-9"), which={"times": None}),
    Case("another region, said with 301", fault.other_region("eu-west-9", 301), which={"times": None}),
    Case("connection closed after the answer", fault.close_after_reply, which={"times": None}),
    Case("conflict of two writers", fault.answer(409, "ConditionalRequestConflict")),
    always("503 for ever", fault.answer(503, "SlowDown"), 4, "SlowDown", most=8),
    always("500 for ever", fault.answer(500, "InternalError"), 4, "InternalError", most=8),
    always("reset for ever", fault.reset_before_body, 4, most=8),
    always("resets in the body for ever", fault.reset_in_body(), 4, most=8),
    always("long Retry-After", fault.answer(503, "SlowDown", headers={"Retry-After": "3600"}), 4, most=8),
    always("access denied", DENIED, 5, "AccessDenied", most=3),
    always("no such bucket", NO_BUCKET, 4, "bucket", most=8),
    always("unknown key", fault.answer(403, "InvalidAccessKeyId"), 5, "InvalidAccessKeyId", most=8),
    always("wrong signature", fault.answer(403, "SignatureDoesNotMatch"), 5, "SignatureDoesNotMatch", most=8),
    always("skewed whatever is done", fault.answer(403, "RequestTimeTooSkewed"), 4, "RequestTimeTooSkewed", most=8),
    always("an answer that is no XML", fault.answer(400), 4, "400", most=8),
    always("no S3 but 501", fault.answer(501), 4, "501", most=8),
    always("NoSuchKey for what is written", fault.answer(404, "NoSuchKey"), 4, "NoSuchKey", most=8),
    always("something that is no HTTP", fault.no_http, 4, most=8),
    Case("something that is no HTTP, once", fault.no_http),
    always("a portal that says 200 to everything", fault.portal, 4, "not that of an S3 service", most=8),
]


@cases(transient(), PUSH_ONLY)
def test_push_meets(case, quick, store, proxy, datadir, real_wal):
    if case.rc == 0:
        quick.configure(push_deadline="10s")
    try_case(case, Push(quick, store, datadir, real_wal), proxy, method="PUT")


def test_what_the_proxy_says_of_a_request_is_in_the_message_and_no_secret(quick, store, proxy, datadir, real_wal):
    proxy.add(fault.answer(403, "AccessDenied", "not for you"), method="PUT", times=None)
    result = Push(quick, store, datadir, real_wal).run()
    assert "tx-from-the-fault-proxy" in result.err and "not for you" in result.err
    assert store.server.secret_key not in result.err and "Signature=" not in result.err


def test_a_portal_that_says_200_to_everything_has_stored_nothing(quick, store, proxy, datadir):
    """Not even where it is first asked whether the object is there."""
    name = datadir.segment(1, 5)
    proxy.add(fault.portal, times=None)
    for command in (["push", f"pg_wal/{name}"], ["check", "--store-only"], ["list"], ["backup"]):
        result = quick.run(*command, cwd=datadir.path)
        assert result.rc != 0, f"{command}: {result}"
    proxy.clear()
    proxy.add(fault.refuse_condition, method="PUT", times=None)
    quick.run("check", "--store-only")
    proxy.clear()
    proxy.add(fault.portal, times=None)
    assert datadir.push(quick, name, None).rc != 0
    assert store.keys() == [] or not store.exists(datadir.key(name))


def test_where_etags_are_no_md5_the_object_is_looked_at(quick, store, proxy, datadir):
    proxy.add(fault.opaque_etags, times=None)
    for segno in (5, 6):
        datadir.push(quick, datadir.segment(1, segno))
        assert proxy.count("PUT") == proxy.count("HEAD") == segno - 4, proxy.log()


def test_where_etags_are_no_md5_credentials_that_may_only_write_are_enough(quick, store, proxy, datadir):
    proxy.add(DENIED, method="HEAD|GET", times=None)
    proxy.add(fault.opaque_etags, method="PUT", times=None)
    datadir.push(quick, datadir.segment(1, 5))


def test_push_gives_up_a_stalled_request_after_ten_seconds(walship, store, proxy, datadir):
    """By default, and does not begin another one: the archiver must not be held up."""
    proxy.add(fault.stall, method="PUT", times=None)
    result = datadir.push(walship, datadir.segment(1, 5), 4, says="stalled")
    assert 9 < result.seconds < 14
    assert proxy.count() == 1 and store.keys() == []


def test_push_that_is_slow_but_makes_progress_may_finish(quick, proxy, datadir):
    """Longer than both deadlines."""
    proxy.add(slow_reader(5), method="PUT")
    quick.configure(compression="none")
    name = datadir.segment(1, 5)
    result = datadir.push(quick, name)
    assert result.seconds > 5 and proxy.count() == 1


def slow_reader(seconds):
    """The request is read in as many seconds, all the while a bit."""

    def what(exchange):
        size = exchange.unread
        content = b""
        for _ in range(50):
            content += exchange.read_body(size // 50 + 1)
            time.sleep(seconds / 50)
        exchange.reply(exchange.ask(content))

    return what


@pytest.mark.parametrize("command, signal_number, expected", [
    ("push", signal.SIGTERM, 4),
    ("push", signal.SIGINT, 4),
    ("fetch", signal.SIGTERM, -signal.SIGTERM),
], ids=["push SIGTERM", "push SIGINT", "fetch SIGTERM"])  # fmt: skip
@pytest.mark.parametrize("what", [fault.stall, fault.answer(503, "SlowDown", headers={"Retry-After": "9"})],
                         ids=["in a request", "in a pause"])  # fmt: skip
def test_a_signal_ends_it_at_once(walship, store, proxy, datadir, command, signal_number, expected, what):
    walship.configure(push_deadline="30s", fetch_deadline="30s", request_timeout="30s")
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    proxy.clear()
    proxy.add(what, times=None)
    words = ["push", f"pg_wal/{name}"] if command == "push" else ["fetch", name, "pg_wal/RECOVERYXLOG"]
    process = walship.start(*words, cwd=datadir.path)
    wait_until(lambda: proxy.count() > 0, "a request has begun")
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal_number)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 2
    assert process.returncode == expected, err


def test_a_region_that_was_corrected_is_remembered(walship, proxy, datadir):
    proxy.add(fault.other_region("eu-west-9"), times=None)
    result = datadir.push(walship, datadir.segment(1, 5))
    assert "s3_region = eu-west-9" in result.err and proxy.count() == 2
    proxy.clear()
    proxy.add(fault.other_region("eu-west-9"), times=None)
    datadir.push(walship, datadir.segment(1, 6))
    assert proxy.count() == 1, proxy.log()


def test_a_lost_response_to_other_contents_is_still_a_refusal(quick, store, proxy, datadir):
    """The first attempt meets what is there already, but nobody learns: the second must compare."""
    name = datadir.segment(1, 5, salt=b"one")
    datadir.push(quick, name)
    datadir.segment(1, 5, salt=b"two")
    proxy.add(fault.lose_response, method="PUT")
    before = store.snapshot()
    datadir.push(quick, name, 3, says=name)
    assert store.snapshot() == before


@pytest.mark.parametrize("what", [fault.refuse_condition, fault.ignore_condition], ids=["refused", "ignored"])
def test_without_if_none_match_other_contents_are_refused_all_the_same(quick, store, proxy, datadir, what):
    """Once check has found out that the server cannot do it; before, a server that ignores it cannot be known."""
    proxy.add(what, method="PUT", times=None)
    quick.run("check", "--store-only")
    name = datadir.segment(1, 5, salt=b"one")
    datadir.push(quick, name)
    before = store.snapshot()
    datadir.push(quick, name)
    datadir.segment(1, 5, salt=b"two")
    datadir.push(quick, name, 3, says=name)
    assert store.snapshot() == before


# fetch

FETCH_ONLY = [
    Case("truncated", fault.truncate(), which={"times": 2}),
    Case("truncated politely", fault.truncate(polite=True), which={"times": 2}),
    Case("truncated after the head", fault.truncate(0), which={"times": 2}),
    Case("shortened", fault.shorten(100)),
    Case("overlong", fault.overlong()),
    Case("flipped", fault.flip()),
    Case("flipped in the index", fault.flip(0.0001)),
    Case("stall in the answer, once", fault.stall_in_response(), most=STALL),
    Case("a strict server's clock is ahead", fault.skewed_clock(600, most=300), which={"times": None}),
    always("server's clock is an hour ahead", fault.skewed_clock(3600), 200, "by the store's clock", most=10),
    Case("another region, said with 400", fault.other_region("eu-west-9"), which={"times": None}),
    Case("another region, said with 301", fault.other_region("eu-west-9", 301), which={"times": None}),
    Case("connection closed after the answer", fault.close_after_reply, which={"times": None}),
    always("flipped for ever", fault.flip(), 200, most=10),
    always("truncated for ever", fault.truncate(), 200, most=10),
    always("503 for ever", fault.answer(503, "SlowDown"), 200, "SlowDown", most=10),
    always("reset for ever", fault.reset_before_body, 200, most=10),
    always("access denied", DENIED, 200, "AccessDenied", most=10),
    always("no such bucket", NO_BUCKET, 200, "bucket", most=10),
    always("a 404 that is no NoSuchKey", fault.answer(404, "SomethingElse"), 200, most=10),
    always("a 404 without a body", fault.answer(404), 200, most=10),
    always("200 with an error in it", fault.error_in_200(), 200, most=10),
    always("200 with nothing in it", fault.empty_200, 200, most=10),
    always("redirect to nowhere", fault.answer(302, headers={"Location": "http://127.0.0.1:1/"}), 200, most=10),
]


@cases(transient(), FETCH_ONLY)
def test_fetch_in_a_recovery_meets(case, quick, store, proxy, datadir, real_wal):
    if case.rc == 0:
        quick.configure(fetch_deadline="15s")
    try_case(case, Fetch(quick, store, datadir, real_wal), proxy, method="GET")


FETCH_BY_HAND = [
    always("503 for ever", fault.answer(503, "SlowDown"), 4, "SlowDown", most=10),
    always("access denied", DENIED, 5, "AccessDenied", most=3),
    always("no such bucket", NO_BUCKET, 4, "bucket", most=10),
    always("flipped for ever", fault.flip(), 6, most=10),
    always("a 404 without a body", fault.answer(404), 4, most=10),
    always("NoSuchKey", fault.answer(404, "NoSuchKey"), 1, most=3),
    always("NoSuchKey in an error of the server", fault.answer(500, "NoSuchKey"), 4, most=10),
    always("NoSuchKey in a 200", fault.error_in_200(code="NoSuchKey"), 6, most=10),
    always("no S3 but 501", fault.answer(501), 4, "501", most=10),
    always("something that is no HTTP", fault.no_http, 4, most=10),
]


@cases(FETCH_BY_HAND)
def test_fetch_by_hand_meets(case, quick, store, proxy, datadir, real_wal):
    try_case(case, Fetch(quick, store, datadir, real_wal, signal_file=None), proxy, method="GET")


FETCH_ON_STANDBY = [
    always("503 for ever", fault.answer(503, "SlowDown"), 4, "SlowDown", most=6),
    always("stall", fault.stall, 4, most=6.5),
    always("stall in the answer", fault.stall_in_response(), 4, most=6.5),
    always("NoSuchKey", fault.answer(404, "NoSuchKey"), 1, most=3),
]


@cases(FETCH_ON_STANDBY)
def test_fetch_on_a_standby_meets(case, walship, store, proxy, datadir, real_wal):
    try_case(case, Fetch(walship, store, datadir, real_wal, signal_file="standby.signal"), proxy, method="GET")


# backup


@pytest.fixture(scope="module")
def source(tmp_path_factory, cache):
    """A server with 40 MB that cannot be compressed, for all backups here."""
    factory = ServerFactory(tmp_path_factory.mktemp("source"), cache)
    server = factory.new(max_wal_size="1GB")
    (server.pgdata / "ballast").write_bytes(os.urandom(40 * MIB))
    server.start()
    server.write_rows(1000)
    yield server
    factory.close()


COMPLETE = {"method": "POST", "target": "uploadId="}
PART = {"method": "PUT", "target": "partNumber=", "skip": 1}  # the first one is a question, see test_s3_parts.py
RECORD = {"method": "PUT", "target": "backup.json"}
INITIATE = {"method": "POST", "target": r"\?uploads"}

BACKUP_ONLY = [
    Case("reset in the body of parts", fault.reset_in_body(), which={"times": 3, **PART}),
    Case("a flipped part", fault.flip_upload(), which=PART),
    Case("a stalled part", fault.stall, most=20, which=PART),
    Case("500 when an upload begins", fault.answer(500, "InternalError"), which={"times": 2, **INITIATE}),
    Case("the lost response of a part", fault.lose_response, which={"times": 2, **PART}),
    Case("the lost response of Complete", fault.lose_response, which=COMPLETE),
    Case("200 with an error for Complete", fault.error_in_200(), which=COMPLETE),
    Case("200 with an error for Complete, which was done", fault.error_in_200(after=True), which=COMPLETE),
    Case("200 with SlowDown for Complete", fault.error_in_200(code="SlowDown"), which=COMPLETE),
    Case("200 with nothing for Complete", fault.empty_200, which=COMPLETE),
    Case("blanks before the verdict", fault.whitespace_before_verdict(12), most=40, which=COMPLETE),
    Case("503 for Complete", fault.answer(503, "SlowDown"), which={"times": 2, **COMPLETE}),
    Case("the record's lost response", fault.lose_response, which=RECORD),
    Case("a strict server's clock is ahead", fault.skewed_clock(600, most=300), which={"times": None}),
    always("server's clock is an hour ahead", fault.skewed_clock(3600), 4, "by the store's clock", most=10),
    Case("another region, said with 400", fault.other_region("eu-west-9"), which={"times": None}),
    Case("connection closed after the answer", fault.close_after_reply, which={"times": None}),
    Case("missing objects are forbidden to look for", fault.forbid_missing, which={"times": None, "method": "HEAD|GET"}),
    always("denied parts", DENIED, 5, "AccessDenied", which=PART),
    always("a denied beginning", DENIED, 5, "AccessDenied", which=INITIATE),
    always("a denied record", DENIED, 5, "AccessDenied", which=RECORD),
    always("no such bucket", NO_BUCKET, 4, "bucket", which={"method": "PUT|POST"}, most=25),
    always("503 for ever for parts", fault.answer(503, "SlowDown"), 4, "SlowDown", which=PART, most=25),
    always("500 for ever for Complete", fault.answer(500, "InternalError"), 4, "InternalError", which=COMPLETE, most=25),
    always("200 with an error for ever for Complete", fault.error_in_200(), 4, which=COMPLETE, most=25),
    always("resets for ever", fault.reset_before_body, 4, which={"method": "PUT|POST"}, most=25),
]


@cases(transient(), BACKUP_ONLY)
def test_backup_meets(case, quick, store, proxy, source):
    which = {} if case.which.get("target") else {"method": "PUT|POST"}
    if case.name in ("missing objects are forbidden to look for",):
        proxy.add(fault.lose_response, method="POST", target="uploadId=")
        case.apply(proxy)
        result = Backup(quick, store, source).run()
        assert result.rc in (0, 5), str(result)
        return
    try_case(case, Backup(quick, store, source), proxy, **which)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_backup_leaves_no_upload_behind(walship, store, proxy, source, number):
    proxy.add(fault.stall, method="PUT", target="partNumber=2")
    walship.configure(part_size="32MB")
    process = walship.start("backup", "--fast", env=source.pg_environment)
    wait_until(lambda: proxy.count("PUT", "partNumber=2"), "a part is on its way")
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 8
    assert process.returncode == -number and not out, err
    assert store.uploads() == [] and store.keys() == []


def test_a_backup_that_fails_for_good_leaves_no_upload_behind(quick, store, proxy, source):
    proxy.add(fault.answer(403, "AccessDenied"), method="PUT", target="partNumber=2", times=None)
    result = Backup(quick, store, source).run()
    assert result.rc == 5, str(result)
    assert store.uploads() == [] and store.keys() == []


# listings


@pytest.mark.parametrize("times", [1, None], ids=["once", "for ever"])
@pytest.mark.parametrize("name", ["x", "x" * 60], ids=["a short one", "a long one"])
def test_a_listing_of_other_names_than_were_asked_for_is_no_answer(quick, proxy, datadir, name, times):
    """Were they left out, the archive would look empty."""
    quick.configure(store_deadline="2s")
    datadir.push(quick, datadir.segment(1, 5))
    renamed = fault.change_body(lambda body: re.sub(rb"<(Key|Prefix)>[^<]+<", rf"<\1>{name}<".encode(), body))
    proxy.add(renamed, method="GET", target="list-type=2", times=times)
    result = quick.run("list", "--json")
    assert f'"{name}", which is not below' in result.err
    assert result.rc == (0 if times else 4), str(result)
    assert not times or json.loads(result.out)["timelines"][0]["segments"] == 1


@pytest.mark.parametrize("status", [404, 200, 500])
def test_no_such_key_in_answer_to_a_listing_is_no_empty_listing(quick, proxy, datadir, status):
    """And no proof that anything is not there."""
    quick.configure(store_deadline="2s")
    datadir.push(quick, datadir.segment(1, 5))
    proxy.add(fault.answer(status, "NoSuchKey"), method="GET", target="list-type=2", times=None)
    quick.fails(4, "list")
    proxy.clear()
    proxy.add(fault.answer(status, "NoSuchKey"), method="GET", target="list-type=2", times=2)
    quick.ok("list")


# recover


RECOVER_ONLY = [
    Case("truncated", fault.truncate(), which={"times": 2}),
    Case("truncated politely", fault.truncate(polite=True), which={"times": 2}),
    Case("stall in the answer, once", fault.stall_in_response(), most=STALL),
    Case("stalls in the answers", fault.stall_in_response(), which={"times": 3, "target": r"\.zst$"}, most=30),
    always("503 for ever", fault.answer(503, "SlowDown"), 4, "SlowDown", most=25),
    always("503 for ever for parts", fault.answer(503, "SlowDown"), 4, "SlowDown", which={"target": "base-"}, most=25),
    always("truncated for ever", fault.truncate(0), 4, which={"target": "base-"}, most=25),
    Case("a strict server's clock is ahead", fault.skewed_clock(600, most=300), which={"times": None}),
    always("server's clock is an hour ahead", fault.skewed_clock(3600), 4, "by the store's clock", most=10),
    Case("another region, said with 400", fault.other_region("eu-west-9"), which={"times": None}),
    Case("connection closed after the answer", fault.close_after_reply, which={"times": None}),
    always("flipped for ever", fault.flip(), 6, which={"target": "base-"}),
    always("shortened for ever", fault.shorten(10), 6, which={"target": "base-"}),
    always("overlong for ever", fault.overlong(), 6, which={"target": "base-"}),
    always("access denied", DENIED, 5, "AccessDenied"),
    always("parts denied", DENIED, 5, "AccessDenied", which={"target": "base-"}),
    always("a missing part", fault.answer(404, "NoSuchKey"), 6, which={"target": "base-"}),
    always("no such bucket", NO_BUCKET, 4, "bucket"),
]


@pytest.mark.parametrize("target", [r"backup\.json$", r"\.tar$"], ids=["records", "segments"])
def test_what_is_damaged_on_the_way_to_the_planner_is_read_again(walship, proxy, directory, story, target):
    """A damaged read of the newest record took an older backup, with exit 0; of an index or a segment it was exit 9."""
    target_time = story.moment("evening").time
    words = ["recover", "--plan", "--json", "--target-time", target_time, "--pgdata", directory / "new"]
    expected = json.loads(walship.ok(*words).out)
    for share in (0.0001, 0.5):
        proxy.clear()
        proxy.add(fault.flip(share), method="GET", target=target, times=2)
        plan = json.loads(walship.ok(*words).out)
        assert {**plan, "disk": None} == {**expected, "disk": None} and proxy.count("GET", target) > 2
        assert plan["backup"]["id"] == story.backups[1]["id"]


@cases(transient(), RECOVER_ONLY)
def test_recover_meets(case, quick, store, proxy, directory, story):
    try_case(case, Recover(quick, store, directory, story), proxy, method="GET")

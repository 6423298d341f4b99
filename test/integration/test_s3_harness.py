"""The S3 server and the proxy in front of it, used by boto3: what the other tests take for granted."""
import socket
import time

import pytest

from walship_testing import faultproxy as fault
from walship_testing.proc import children_of, is_running, run, wait_until
from walship_testing.s3 import NOT_INSTALLED, SERVER, S3Missing, S3Server
from walship_testing.wal import MIB

pytestmark = pytest.mark.s3_only
BODY = bytes(range(256)) * (4 * MIB // 256)


@pytest.fixture
def boto(store):
    return connect(store)


def connect(store, **options):
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=store.proxy.endpoint,
        aws_access_key_id=store.server.access_key,
        aws_secret_access_key=store.server.secret_key,
        region_name=store.server.region,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, read_timeout=2, proxies={}),
        **options,
    )


def put(boto, store, key="a/b", body=BODY):
    return boto.put_object(**store.of(key), Body=body)


def get(boto, store, key="a/b"):
    return boto.get_object(**store.of(key))["Body"].read()


def code_of(call, *arguments):
    """Of the server's error, or the exception's name; None when it went well."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        call(*arguments)
    except ClientError as error:
        return error.response.get("Error", {}).get("Code", "no code")
    except BotoCoreError as error:
        return type(error).__name__
    return None


@pytest.mark.parametrize("tls", [False, True], ids=["http", "tls"])
def test_what_goes_through_the_proxy_is_stored_and_counted(s3, directory, tls):
    store = s3.new_store(directory, tls=tls)
    boto = connect(store, verify=s3.ca_file)
    put(boto, store)
    assert get(boto, store) == BODY == store.read("a/b")
    assert store.keys() == ["a/b"] and store.exists("a/b") and not store.exists("a")
    assert store.path("a/b").read_bytes() == BODY
    assert [request.method for request in store.proxy.seen()] == ["PUT", "GET"]
    assert store.proxy.count("PUT", "/a/b$") == 1 and store.proxy.n_connections == 1
    assert store.version("a/b") == 1
    store.destroy()
    assert not store.is_there()
    store.close()


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_the_server_ends_with_the_one_who_started_it(directory, how):
    try:
        server = S3Server(directory / "s3")
    except S3Missing as missing:
        pytest.skip(str(missing))
    daemons = children_of(server.process.pid)
    assert len(daemons) == 3
    server.close() if how == "closed" else server.process.kill()
    wait_until(lambda: not any(is_running(pid) for pid in daemons), "its daemons are gone", timeout=5)
    server.process.wait(5)
    server.close()


def test_without_its_programs_the_server_says_what_to_do():
    result = run([SERVER], env={"PATH": "/nonexistent"})
    assert result.rc == NOT_INSTALLED and "radosgw" in result.err and "test/install" in result.err


REFUSALS = {
    "500": (fault.answer(500, "InternalError"), "InternalError"),
    "slow down": (fault.answer(503, "SlowDown", headers={"Retry-After": "1"}), "SlowDown"),
    "reset before the body": (fault.reset_before_body, "ConnectionClosedError"),
    "reset in the body": (fault.reset_in_body(), "ConnectionClosedError"),
    "reset after the body": (fault.reset_after_body, "ConnectionClosedError"),
    "end after the body": (fault.hang_up_after_body, "ConnectionClosedError"),
    "stall": (fault.stall, "ReadTimeoutError"),
    "stall in the body": (fault.stall_in_body(), "ReadTimeoutError"),
    "flipped on the way": (fault.flip_upload(), "BadDigest"),
    "skewed clock": (fault.skewed_clock(3600), "RequestTimeTooSkewed"),
    "no conditions": (fault.refuse_condition, None),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_fault_of_put_leaves_nothing(store, boto, name):
    what, expected = REFUSALS[name]
    rule = store.proxy.add(what)
    code = code_of(put, boto, store)
    assert rule.hits == 1
    if expected == "BadDigest":
        assert code in ("BadDigest", "XAmzContentSHA256Mismatch")
    else:
        assert code == expected
    assert store.keys() == ([] if expected else ["a/b"])
    store.remove_all()
    put(boto, store)
    assert store.read("a/b") == BODY


def test_a_lost_response_is_lost_after_the_server_did_it(store, boto):
    store.proxy.add(fault.lose_response)
    assert code_of(put, boto, store) == "ConnectionClosedError"
    assert store.read("a/b") == BODY


DAMAGES = {
    "truncated": (fault.truncate(), None),
    "truncated politely": (fault.truncate(polite=True), None),
    "shortened": (fault.shorten(), BODY[:-1]),
    "overlong": (fault.overlong(7), BODY + b"xxxxxxx"),
    "flipped": (fault.flip(), BODY[: 2 * MIB] + b"\x01" + BODY[2 * MIB + 1 :]),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_fault_of_get_changes_what_arrives(store, boto, name):
    put(boto, store)
    what, expected = DAMAGES[name]
    rule = store.proxy.add(what, method="GET")
    if expected is None:
        assert code_of(get, boto, store) == "ResponseStreamingError"
    else:
        assert get(boto, store) == expected
    assert rule.hits == 1
    assert get(boto, store) == BODY


def conditional(boto):
    boto.meta.events.register(
        "before-sign.s3.PutObject", lambda request, **_: request.headers.add_header("If-None-Match", "*")
    )
    return boto


def test_the_server_keeps_the_first_of_two_and_the_proxy_can_make_it_forget(store, boto):
    conditional(boto)
    put(boto, store)
    assert code_of(put, boto, store, "a/b", b"other") == "PreconditionFailed"
    refused = store.proxy.add(fault.refuse_condition)
    assert code_of(put, boto, store, "a/b", b"other") == "NotImplemented"
    assert store.read("a/b") == BODY
    ignored = store.proxy.add(fault.ignore_condition)
    put(boto, store, "a/b", b"other")
    assert store.read("a/b") == b"other"
    assert refused.hits == ignored.hits == 1


def test_a_completed_upload_may_be_said_to_have_failed_and_a_failed_one_to_be_complete(store, boto):
    for what, stored in ((fault.error_in_200(), []), (fault.error_in_200(after=True), ["m"])):
        upload = boto.create_multipart_upload(**store.of("m"))["UploadId"]
        tag = boto.upload_part(**store.of("m"), UploadId=upload, PartNumber=1, Body=BODY)["ETag"]
        assert "archive/m" in store.uploads()
        store.proxy.add(what, method="POST")
        parts = {"Parts": [{"ETag": tag, "PartNumber": 1}]}
        arguments = {**store.of("m"), "UploadId": upload, "MultipartUpload": parts}
        assert code_of(lambda: boto.complete_multipart_upload(**arguments))
        assert store.keys() == stored
    assert store.read("m") == BODY


def test_blanks_before_the_verdict_take_their_time(store, boto):
    upload = boto.create_multipart_upload(**store.of("m"))["UploadId"]
    tag = boto.upload_part(**store.of("m"), UploadId=upload, PartNumber=1, Body=BODY)["ETag"]
    store.proxy.add(fault.whitespace_before_verdict(1), method="POST")
    began = time.monotonic()
    parts = {"Parts": [{"ETag": tag, "PartNumber": 1}]}
    boto.complete_multipart_upload(**store.of("m"), UploadId=upload, MultipartUpload=parts)
    assert time.monotonic() - began >= 1
    assert store.read("m") == BODY


def test_what_is_missing_may_be_forbidden_instead(store, boto):
    def head():
        boto.head_object(**store.of("missing"))

    assert code_of(head) == "404"
    store.proxy.add(fault.forbid_missing, method="HEAD")
    assert code_of(head) == "403"


def test_an_outage_refuses_connections_and_ends(store, boto):
    put(boto, store)
    with store.outage():
        assert code_of(get, boto, store) == "EndpointConnectionError"
    assert get(boto, store) == BODY


def test_an_idle_connection_is_closed(store, boto):
    store.proxy.idle_limit = 0.2
    put(boto, store)
    with socket.create_connection(("127.0.0.1", store.proxy.port), timeout=5) as idle:
        began = time.monotonic()
        assert idle.recv(1) == b""
        assert time.monotonic() - began < 2


def test_policies_forbid_what_they_say(store, boto):
    put(boto, store)
    with store.read_only():
        assert code_of(put, boto, store) == "AccessDenied"
        assert get(boto, store) == BODY
    with store.unreadable("a"):
        assert code_of(get, boto, store) == "AccessDenied"
        put(boto, store)
    assert get(boto, store) == BODY

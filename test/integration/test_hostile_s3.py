"""A store that lies: an S3 server of our own that answers what no honest one does."""
import email.utils
import gzip
import itertools
import re
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from walship_testing import wal
from walship_testing.bounded import is_sanitized, run_bounded
from walship_testing.hostile_s3 import Answer, HostileS3, MemoryS3, Raw, error, listing
from walship_testing.proc import wait_until
from walship_testing.walship import Walship

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")


@pytest.fixture
def serve(directory):
    """serve(answer, **settings): (walship, server)."""
    servers = []

    def start(answer, **settings):
        server = HostileS3(answer).__enter__()
        servers.append(server)
        place = directory / f"walship-{len(servers)}"
        return Walship(place, {**server.settings, **settings}), server

    yield start
    for server in servers:
        server.__exit__()


def always_listing(pages):
    """Every request for a listing gets the next page."""
    return lambda request: next(pages) if request.key == "" else error(404, "NoSuchKey")


def in_circles():
    return itertools.repeat(listing(["x/1/", "x/2/"], "same"))


def from_the_start_again():
    return (listing(["x/1/a", "x/2/a"], f"token-{n}") for n in itertools.count())


def backwards():
    return (listing([f"x/{10**9 - n}/a"], f"token-{n}") for n in itertools.count())


def twice():
    return iter([listing(["x/1/a", "x/1/a"])])


def empty():
    return (listing([], f"token-{n}") for n in itertools.count())


@pytest.mark.parametrize(
    "pages, says, most",
    [
        (in_circles, "goes in a circle", 3),
        (from_the_start_again, "goes back", 3),
        (backwards, "goes back", 3),
        (twice, "tells an object twice", 3),
        (empty, "does not end", 1000),
    ],
)
def test_a_listing_that_does_not_end_is_an_error(serve, pages, says, most):
    walship, server = serve(always_listing(pages()))
    walship.fails(6, "list", says=says)
    assert len(server.requests) <= most


def test_every_page_of_a_listing_counts_against_the_deadline(serve, datadir):
    """Of a segment that is not there fetch looks for later ones: keys for ever, each page a success."""

    def answer(request):
        if request.key != "":
            return error(404, "NoSuchKey")
        time.sleep(0.05)
        n = len(server.requests)
        return listing([f"{request.query['prefix']}z{n:09}"], f"token-{n}")

    walship, server = serve(answer, fetch_deadline="2s", prefetch=0)
    name = datadir.segment(1, 5)
    (datadir.wal / name).unlink()
    (datadir.path / "recovery.signal").touch()
    result = datadir.fetch(walship, name, 200)
    assert "did not end in time" in result.err and result.seconds < 6, str(result)


def test_pages_that_bring_nearly_nothing_slowly_do_not_go_on_for_ever(serve):
    """Each is a success within its own deadline, and 20,000 of them would be allowed."""

    def answer(request, counter=itertools.count()):
        time.sleep(0.3)
        return listing([f"x/{next(counter):09}/a"], f"token-{time.monotonic_ns()}")

    walship, server = serve(answer, store_deadline="2s")
    started = time.monotonic()
    walship.fails(4, "list", says="did not end in time")
    assert 2 < time.monotonic() - started < 8
    assert len(server.requests) > 4


def test_a_listing_that_brings_much_has_the_time_for_it(serve):
    pages = iter([listing([f"x/{page}/{n:04}" for n in range(1000)], f"token-{page}") for page in range(5)])

    def answer(request):
        time.sleep(0.4)
        return next(pages, listing([]))

    walship, server = serve(answer, store_deadline="1s")
    walship.fails(1, "list")
    assert len(server.requests) >= 6


def test_taken_and_then_not_there_is_no_certain_absence(serve, datadir):
    absent = error(404, "NoSuchKey")
    walship, _ = serve(lambda request: error(412, "PreconditionFailed") if request.method == "PUT" else absent)
    datadir.push(walship, datadir.segment(1, 5), 4, says="exists already, and then that it does not")
    datadir.push(walship, datadir.history(2, (1, 0x5000000)), 4, says="exists already")


def test_a_provider_that_overlooks_the_condition_does_not_overwrite(serve, datadir):
    """Nobody ran check, and the notes are gone."""
    memory = MemoryS3()
    walship, server = serve(memory)
    name = datadir.segment(1, 5, salt=b"one")
    datadir.push(walship, name)
    stored = dict(memory.objects)
    for path in walship.state_dir.iterdir():
        path.unlink()
    datadir.segment(1, 5, salt=b"two")
    datadir.push(walship, name, 3, says="other contents")
    assert memory.objects == stored
    assert all("check" in key or key.endswith(f"{name}.tar") for key in stored)


def test_what_is_proved_once_is_not_proved_again(serve, datadir):
    walship, server = serve(MemoryS3())
    datadir.push(walship, datadir.segment(1, 5))
    assert [request.method for request in server.requests] == ["PUT", "PUT", "HEAD", "GET", "PUT"]
    server.requests.clear()
    datadir.push(walship, datadir.segment(1, 6))
    assert [request.method for request in server.requests] == ["HEAD", "GET", "PUT"]


MINUTE = 60
DAY = 86400


@pytest.mark.parametrize("seconds", [16 * MINUTE, -16 * MINUTE, 3600, 6 * DAY, -8 * DAY, 30 * DAY, 100 * 365 * DAY])
def test_more_than_what_s3_overlooks_is_no_correction_of_the_clock(serve, datadir, seconds):
    """What is signed for another time would be good for whoever keeps it until then."""
    date = email.utils.formatdate(time.time() + seconds, usegmt=True)
    walship, server = serve(lambda request: error(403, "RequestTimeTooSkewed", Date=date))
    result = datadir.push(walship, datadir.segment(1, 5), 4, says="by the store's clock")
    assert "Set this machine's clock" in result.err and result.seconds < 3
    for request in server.requests:
        signed = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        assert abs(signed.timestamp() - time.time()) < 60, request.headers


def test_a_few_minutes_are_corrected_once(serve, datadir):
    date = email.utils.formatdate(time.time() + 14 * MINUTE, usegmt=True)
    walship, server = serve(lambda request: error(403, "RequestTimeTooSkewed", Date=date))
    datadir.push(walship, datadir.segment(1, 5), 4, says="clock is off")
    assert len(server.requests) == 2
    assert server.requests[-1].headers["x-amz-date"] > server.requests[0].headers["x-amz-date"]


HOSTILE_TEXT = "\x1b[2Jall is well\nwalship: INFO:  archived \u202egpj\u009b31m\u2066"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_error_text_is_not_obeyed_by_a_terminal(serve, datadir, log_format):
    # XML 1.0 has no ESC: a server that sends one is no reason to believe that none comes.
    walship, _ = serve(lambda request: error(403, "AccessDenied", HOSTILE_TEXT), log_format=log_format)
    result = datadir.push(walship, datadir.segment(1, 5), 5)
    assert "all is well" in result.err
    assert not OBEYED.search(result.err), repr(result.err)
    assert "\nwalship: INFO" not in result.err


def region_of(request):
    return request.headers["authorization"].split("Credential=")[1].split("/")[2]


def test_a_note_that_others_may_write_sends_no_request_elsewhere(serve, datadir):
    elsewhere = error(400, "AuthorizationHeaderMalformed", "</Message><Region>eu-west-9</Region><Message>")
    memory = MemoryS3()
    walship, server = serve(lambda request: memory(request) if region_of(request) == "eu-west-9" else elsewhere)
    datadir.push(walship, datadir.segment(1, 5))
    server.requests.clear()
    datadir.push(walship, datadir.segment(1, 6))
    assert region_of(server.requests[0]) == "eu-west-9"

    note = next(walship.state_dir.glob("s3-*"))
    for mode in (0o620, 0o602):
        note.chmod(mode)
        server.requests.clear()
        datadir.push(walship, datadir.segment(1, 7))
        assert region_of(server.requests[0]) == "us-east-1"
        note = next(walship.state_dir.glob("s3-*"))


@pytest.mark.parametrize("region", ["evil.example.com", "a/b", "x@y", "eu west", "e\u0301"])
def test_a_region_that_is_none_is_not_followed(serve, datadir, region):
    answer = error(400, "AuthorizationHeaderMalformed", f"</Message><Region>{region}</Region><Message>")
    walship, server = serve(lambda request: answer)
    datadir.push(walship, datadir.segment(1, 5), None)
    assert {region_of(request) for request in server.requests} == {"us-east-1"}


def test_a_process_with_secrets_of_s3_leaves_no_core_file(serve, datadir):
    def answer(request):
        time.sleep(2)
        return Answer(500)

    walship, server = serve(answer)
    name = datadir.segment(1, 5)
    process = walship.start("push", f"pg_wal/{name}", cwd=datadir.path)
    try:
        wait_until(lambda: server.requests, "it asks the server")
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits), limits
        assert Path(f"/proc/{process.pid}/status").stat().st_uid == 0
    finally:
        process.kill()
        process.communicate()


# What is hardly HTTP


def head(*lines, status="200 OK"):
    return b"\r\n".join([f"HTTP/1.1 {status}".encode(), *(line.encode() for line in lines)]) + b"\r\n"


def for_ever(*pieces):
    """The first ones once, the last one again and again."""
    yield from pieces[:-1]
    while True:
        yield pieces[-1]


KIB = 1024
SOON = {"store_deadline": "1s", "push_deadline": "1s", "fetch_deadline": "1s"}

FLOODS = {
    "headers": lambda: for_ever(head(), b"".join(b"x-%d: %s\r\n" % (n, b"y" * KIB) for n in range(64))),
    "one header": lambda: for_ever(head() + b"x-long: ", b"y" * 64 * KIB),
    "interim answers": lambda: for_ever(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
    "interim answers with headers": lambda: for_ever(b"HTTP/1.1 100 Continue\r\nx: " + b"y" * 60 * KIB + b"\r\n\r\n"),
    "a body without a length": lambda: for_ever(head("Connection: close") + b"\r\n", b" " * 64 * KIB),
    "a body of chunks": lambda: for_ever(head("Transfer-Encoding: chunked") + b"\r\n", b"10000\r\n" + b" " * 64 * KIB + b"\r\n"),
    "an extension of a chunk": lambda: for_ever(head("Transfer-Encoding: chunked") + b"\r\n1;", b"x" * 64 * KIB),
    "trailers": lambda: for_ever(head("Transfer-Encoding: chunked") + b"\r\n1\r\n \r\n0\r\n", b"x: " + b"y" * 60 * KIB + b"\r\n"),
    "an error's body": lambda: for_ever(head(f"Content-Length: {10**15}", status="400 Bad Request") + b"\r\n", b" " * 64 * KIB),
}  # fmt: skip


def flooded():
    return [("list", name) for name in FLOODS] + [
        (command, name)
        for command in ("fetch", "push")
        for name in ("headers", "a body without a length", "an extension of a chunk", "an error's body")
    ]


@pytest.mark.parametrize("command, name", flooded())
def test_an_answer_without_an_end_takes_neither_memory_nor_time(serve, datadir, command, name):
    walship, _ = serve(lambda request: Raw(FLOODS[name]()), request_timeout="1s", prefetch=0, **SOON)
    segment = datadir.segment(1, 5)
    arguments = {"list": [], "fetch": [segment, "pg_wal/RECOVERYXLOG"], "push": [f"pg_wal/{segment}"]}[command]
    cost = run_bounded(walship, command, *arguments, cwd=datadir.path)
    assert cost.rc == 4, str(cost)
    assert cost.seconds < 12, str(cost)
    assert is_sanitized(walship) or cost.peak < 64, str(cost)
    assert not datadir.fetched.exists()


LENGTHS = {
    "too long": ["Content-Length: 100000"],
    "negative": ["Content-Length: -1"],
    "beyond 64 bits": ["Content-Length: 99999999999999999999"],
    "the most that fits": [f"Content-Length: {2**63 - 1}"],
    "two of them": ["Content-Length: 10", "Content-Length: 10000"],
    "no number": ["Content-Length: many"],
    "none": [],
    "with chunks that are none": ["Transfer-Encoding: chunked"],
}


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("status", ["200 OK", "206 Partial Content", "404 Not Found"])
def test_a_length_that_lies_is_neither_a_segment_nor_its_absence(serve, datadir, name, status):
    code = b"<Error><Code>NoSuchKey</Code></Error>" if status.startswith("404") else b"x" * 37
    whole = head(*LENGTHS[name], 'ETag: "a"', status=status) + b"\r\n" + code
    walship, _ = serve(lambda request: Raw(whole), request_timeout="1s", prefetch=0, **SOON)
    segment = datadir.segment(1, 5)
    (datadir.wal / segment).unlink()
    result = datadir.fetch(walship, segment, None)
    told_whole = status.startswith("404") and name in ("none", "negative", "no number", "beyond 64 bits", "two of them")
    assert result.rc in ((1, 4) if told_whole else (4, 6)), str(result)
    assert result.seconds < 10 and not datadir.fetched.exists()


def test_nothing_is_unpacked_on_the_way(serve, datadir):
    """10 kB that would be 10 MB."""
    bomb = gzip.compress(b"<Error><Code>AccessDenied</Code><Message>" + b"a" * 10_000_000 + b"</Message></Error>")
    answers = iter([{"Content-Encoding": "gzip"}, {"Content-Encoding": "gzip, gzip"}, {"Content-Encoding": "br"}])
    walship, server = serve(lambda request: Answer(403, bomb, next(answers, {"Content-Encoding": "deflate"})))
    for _ in range(4):
        cost = run_bounded(walship, "push", f"pg_wal/{datadir.segment(1, 5)}", cwd=datadir.path)
        assert cost.rc in (4, 5) and "aaaa" not in cost.err, str(cost)
        assert is_sanitized(walship) or cost.peak < 64, str(cost)
    assert "accept-encoding" not in server.requests[0].headers


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_not_followed(serve, datadir, status):
    _, other = serve(MemoryS3())
    for location in ("file:///etc/passwd", f"{other.settings['s3_endpoint']}/bucket/x", "//127.0.0.1/x", "/elsewhere"):
        walship, server = serve(lambda request, to=location: Answer(status, b"", {"Location": to}), prefetch=0, **SOON)
        segment = datadir.segment(1, 5)
        datadir.push(walship, segment, 4)
        datadir.fetch(walship, segment, 4)
        walship.fails(4, "list")
        assert not datadir.fetched.exists()
        assert {request.key.split("/")[0] for request in server.requests} <= {"x", ""}
    assert other.requests == []


@pytest.mark.parametrize("size", [300, 1025, 100 * KIB, 1024 * KIB, 7 * 1024 * KIB])
def test_long_keys_of_a_listing_are_passed_over_or_refused(serve, size):
    keys = ["x/7300000000000000001/wal/" + "a" * size, "x/" + "b/" * (size // 2) + "c"]
    for key in keys:
        walship, _ = serve(always_listing(itertools.repeat(listing([key]))), **SOON)
        cost = run_bounded(walship, "list")
        assert cost.rc in (1, 3, 4, 6) and len(cost.err) < 2000, str(cost)
        assert is_sanitized(walship) or cost.peak < 100, str(cost)


def test_what_a_listing_names_beside_the_question_is_not_believed(serve):
    for key in ("y/1/a", "x", "", "x/../y", "x//y", "/x/1", "x/\u202e", "x/a b", "x/-", "x/.hidden", "x/1/..", "X/1/a"):
        walship, _ = serve(always_listing(itertools.repeat(listing([key]))), **SOON)
        result = walship.run("list")
        assert result.rc in (1, 3, 4, 6) and not OBEYED.search(result.err), f"{key}: {result}"


def test_an_etag_is_no_way_into_a_header(serve, datadir):
    """It comes back in If-Match when a read that broke goes on."""
    for etag in ('"a\x01b"', '"a\tb"', '"' + "a" * 90_000 + '"', "\x7f", "W/\x1b[2J"):
        whole = [b"x" * 1000]

        def answer(request, etag=etag):
            if "if-match" in request.headers:
                assert "\r" not in request.headers["if-match"] and len(request.headers) < 20
                return error(412, "PreconditionFailed")
            return Raw(head("Content-Length: 100000", f"ETag: {etag}") + b"\r\n" + whole[0])

        walship, _ = serve(answer, prefetch=0)
        segment = datadir.segment(1, 5)
        (datadir.wal / segment).unlink()
        result = datadir.fetch(walship, segment, None)
        assert result.rc in (4, 6) and not OBEYED.search(result.err), str(result)


def test_a_server_that_is_slow_and_never_silent_does_not_hold_an_archiver(serve, datadir):
    """A byte in a while."""

    def drops():
        yield head("Content-Length: 1000") + b"\r\n"
        while True:
            time.sleep(0.2)
            yield b" "

    walship, _ = serve(lambda request: Raw(drops()), request_timeout="2s")
    result = datadir.push(walship, datadir.segment(1, 5), 4)
    assert result.seconds < 10, str(result)


def test_the_memory_of_a_listing_is_that_of_its_names(serve):
    """100,000 segments, of which none can be read."""

    def answer(request):
        if request.key != "":
            return error(404, "NoSuchKey")
        if "delimiter" in request.query and request.query["prefix"] == "x/":
            return Answer(200, b"<ListBucketResult><CommonPrefixes><Prefix>x/7300000000000000001/</Prefix></CommonPrefixes></ListBucketResult>")
        if not "x/7300000000000000001/wal/".startswith(request.query["prefix"]):
            return listing([])
        first = int(request.query.get("continuation-token", "1"))
        names = (wal.segment_name(1, segno) for segno in range(first, first + 1000))
        keys = [f"x/7300000000000000001/wal/00000001/{name}.tar" for name in names]
        return listing(keys, str(first + 1000) if first + 1000 < 100_000 else None)

    walship, server = serve(answer)
    cost = run_bounded(walship, "list", timeout=60)
    assert len(server.requests) > 100 and 0 <= cost.rc < 10, str(cost)
    assert is_sanitized(walship) or cost.peak < 100, str(cost)


def test_uploads_that_do_not_end_do_not_hold_a_backup(serve, servers):
    def answer(request):
        if "uploads" in request.query and request.method == "GET":
            n = len(server.requests)
            upload = f"<Upload><Key>x/{n:09}</Key><UploadId>{n}</UploadId><Initiated>2020-11-20T00:00:00Z</Initiated></Upload>"
            more = f"<IsTruncated>true</IsTruncated><NextKeyMarker>{n}</NextKeyMarker>"
            return Answer(200, f"<ListMultipartUploadsResult>{upload}{more}</ListMultipartUploadsResult>".encode())
        return memory(request)

    memory = MemoryS3()
    walship, server = serve(answer)
    source = servers.new()
    source.start()
    began = time.monotonic()
    walship.run("backup", "--fast", env=source.pg_environment, timeout=60)
    assert time.monotonic() - began < 40

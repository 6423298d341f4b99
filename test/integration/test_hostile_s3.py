"""A store that lies: an S3 server of our own that answers what no honest one does."""
import email.utils
import itertools
import re
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from walship_testing.hostile_s3 import Answer, HostileS3, MemoryS3, error, listing
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


@pytest.mark.parametrize("days", [30, -30, 8, -8])
def test_a_clock_more_than_a_week_off_is_not_believed(serve, datadir, days):
    date = email.utils.formatdate(time.time() + days * 86400, usegmt=True)
    walship, server = serve(lambda request: error(403, "RequestTimeTooSkewed", Date=date))
    datadir.push(walship, datadir.segment(1, 5), 4, says="not believed")
    for request in server.requests:
        signed = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        assert abs(signed.timestamp() - time.time()) < 3600, request.headers


def test_six_days_are(serve, datadir):
    date = email.utils.formatdate(time.time() + 6 * 86400, usegmt=True)
    walship, server = serve(lambda request: error(403, "RequestTimeTooSkewed", Date=date))
    datadir.push(walship, datadir.segment(1, 5), 4, says="clock is off")
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

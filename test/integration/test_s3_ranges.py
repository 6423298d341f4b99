"""One large object by more than one connection, from a server of our own whose connections are slow."""
import os
import signal
import threading
import time

import pytest

from walship_testing.hostile_s3 import Answer, HostileS3, MemoryS3, Raw, error, etag
from walship_testing.recovery import interrupt_when
from walship_testing.wal import MIB
from walship_testing.walship import Walship

SYSTEM = "7000000000000000001"
SIZE = 44 * MIB  # of a file that cannot be compressed
RANGE = 8 * MIB
PIECE, PAUSE = MIB // 4, 0.016  # s: no machine is so busy that walship, and not this connection, takes most of the time
SLOW = 16 * MIB  # bytes in which that is to be noticed
pytestmark = pytest.mark.directory_only("the server is one of the test's own")


class SlowS3(MemoryS3):
    """A whole object comes slowly until somebody asks for a range, and then at once."""

    def __init__(self, objects):
        super().__init__()
        self.objects = objects
        self.large = max(objects, key=lambda key: len(objects[key]))
        self.content = objects[self.large]
        self.etag = etag(self.content)
        self.asked = threading.Event()
        self.whole = 0  # times that the large object was asked for without a range
        self.ranges = []  # the other times
        self.lock = threading.Lock()
        self.answer_range = lambda number, answer: answer

    def __call__(self, request):
        if request.key != self.large or request.method != "GET":
            return super().__call__(request)
        if "range" not in request.headers:
            self.whole += 1
            return Raw(self.slowly())
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        with self.lock:
            self.ranges.append(first)
            number = len(self.ranges)
        self.asked.set()
        if request.headers.get("if-match") != self.etag["ETag"]:
            return error(412, "PreconditionFailed")
        span = {"Content-Range": f"bytes {first}-{last}/{len(self.content)}", **self.etag}
        return self.answer_range(number, Answer(206, self.content[first : last + 1], span))

    def slowly(self):
        yield f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.content)}\r\nETag: {self.etag['ETag']}\r\n\r\n".encode()
        for at in range(0, len(self.content), PIECE):
            if at < SLOW and not self.asked.is_set():
                time.sleep(PAUSE)
            yield self.content[at : at + PIECE]


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """{key: content} of a store with one set of files, whose part is one large object."""
    place = tmp_path_factory.mktemp("ranges")
    tree, store = place / "tree", place / "store"
    tree.mkdir()
    (tree / "large").write_bytes(os.urandom(SIZE))
    walship = Walship(place / "walship", {"store": f"file://{store}", "system": SYSTEM, "compression": "none"})
    walship.ok("check", "--store-only", "--create")
    walship.ok("files", "up", tree)
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


@pytest.fixture
def reading(directory, objects):
    """(walship, the store's S3): "files --verify" reads every byte and checks it."""
    slow = SlowS3({f"x/{key}": content for key, content in objects.items()})
    with HostileS3(slow) as server:
        yield Walship(directory / "walship", {**server.settings, "system": SYSTEM, "jobs": 4}), slow


def test_where_a_connection_is_slow_the_rest_is_read_by_ranges(reading):
    walship, s3 = reading
    walship.ok("files", "--verify", "up")
    first = min(s3.ranges)
    assert first > RANGE, "the stream goes on until the first range is there"
    assert sorted(s3.ranges) == list(range(first, len(s3.content), RANGE)), "each once"


def test_with_one_job_there_is_one_connection(reading):
    walship, s3 = reading
    walship.configure(jobs=1)
    walship.ok("files", "--verify", "up")
    assert s3.ranges == []


def test_a_range_that_fails_is_read_again_where_it_broke(reading):
    walship, s3 = reading

    def spoil(number, answer):
        if number == 1:
            return error(503, "SlowDown")
        if number == 2:
            head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
            head = f"HTTP/1.1 206 Partial\r\nContent-Length: {len(answer.body)}\r\n{head}\r\n"
            return Raw(head.encode(), answer.body[: 3 * MIB])
        return answer

    s3.answer_range = spoil
    result = walship.ok("files", "--verify", "up")
    assert "trying again" in result.err
    starts = [first for first in s3.ranges if (first - min(s3.ranges)) % RANGE]
    assert len(starts) == 1 and (starts[0] - min(s3.ranges)) % RANGE == 3 * MIB, "behind what had come of it"


OTHER = {"ETag": '"0123456789abcdef0123456789abcdef"'}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: error(412, "PreconditionFailed"),
        lambda answer: Answer(206, bytes(len(answer.body)), {**answer.headers, **OTHER}),
        lambda answer: error(416, "InvalidRange"),
        lambda answer: Answer(206, bytes(len(answer.body)), answer.headers),
    ],
    ids=["another object", "another one, of a server that overlooks If-Match", "a shorter one", "other bytes"],
)
def test_what_is_not_of_the_same_object_is_noticed_and_all_is_read_again(reading, spoil):
    walship, s3 = reading
    s3.answer_range = lambda number, answer: spoil(answer) if number == 2 else answer
    walship.ok("files", "--verify", "up")
    assert s3.whole == 2 and len(s3.ranges) >= 2


def test_a_signal_ends_ranges_that_do_not_come(reading):
    walship, s3 = reading
    goes_on = threading.Event()

    def hang(number, answer):
        goes_on.wait(30)
        return answer

    s3.answer_range = hang
    try:
        process = walship.start("files", "--verify", "up")
        interrupt_when(process, lambda: len(s3.ranges) >= 2, signal.SIGTERM)
        assert process.returncode == -signal.SIGTERM
    finally:
        goes_on.set()

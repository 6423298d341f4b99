"""A server of S3 that answers as a test tells it: for what no real one does.

    with HostileS3(lambda request: Answer(...)) as server:
        Walship(directory, server.settings).run("list")
        assert len(server.requests) < 10
"""
import contextlib
import email.utils
import hashlib
import http.server
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "bucket"


@dataclass
class Request:
    method: str
    key: str  # within the bucket; "": the bucket itself
    query: dict
    headers: dict  # names in lower case
    body: bytes


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)


class Raw:
    """Pieces of bytes as they go to the client, for what is not even HTTP; it may be for ever."""

    def __init__(self, *pieces):
        self.pieces = pieces[0] if len(pieces) == 1 and not isinstance(pieces[0], bytes) else pieces


def error(status, code, message="told so", **headers):
    """"headers": with '_' for '-'."""
    body = f"<Error><Code>{escape(code)}</Code><Message>{message}</Message></Error>".encode()
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def listing(keys, token=None, *, prefixes=()):
    """One page; with a token there are more."""
    items = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-20T00:00:00Z</LastModified><Size>1</Size></Contents>"
        for key in keys
    )
    items += "".join(f"<CommonPrefixes><Prefix>{escape(prefix)}</Prefix></CommonPrefixes>" for prefix in prefixes)
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return Answer(200, f"<ListBucketResult>{items}{more}</ListBucketResult>".encode())


def etag(content):
    return {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}


class HostileS3:
    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(timeout=10)

    @property
    def settings(self):
        return {
            "store": f"s3://{BUCKET}/x",
            "s3_endpoint": f"http://127.0.0.1:{self.server.server_port}",
            "s3_access_key_id": "id",
            "s3_secret_access_key": "hush-hush",
            "store_deadline": "5s",
            "push_deadline": "3s",
            "fetch_deadline": "3s",
        }


class MemoryS3:
    """Answers like a simple server that overlooks If-None-Match."""

    def __init__(self):
        self.objects = {}

    def __call__(self, request):
        if request.method == "PUT":
            self.objects[request.key] = request.body
            return Answer(200, b"", etag(request.body))
        if request.method == "DELETE":
            self.objects.pop(request.key, None)
            return Answer(204)
        if request.key == "":
            prefix, after = request.query.get("prefix", ""), request.query.get("start-after", "")
            found = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
            if "delimiter" not in request.query:
                return listing(found)
            deeper = sorted({prefix + key[len(prefix) :].partition("/")[0] + "/" for key in found if "/" in key[len(prefix) :]})
            return listing([key for key in found if "/" not in key[len(prefix) :]], prefixes=deeper)
        if request.key not in self.objects:
            return error(404, "NoSuchKey")
        content = self.objects[request.key]
        if "range" not in request.headers:
            return Answer(200, content, etag(content))
        first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
        last = min(int(last or len(content)), len(content) - 1)
        span = f"bytes {first}-{last}/{len(content)}"
        return Answer(206, content[int(first) : last + 1], {"Content-Range": span, **etag(content)})


def handler_of(hostile):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one packet, not head and body 40 ms apart

        def handle(self):
            with contextlib.suppress(OSError):  # whoever gives up does not say good-bye
                super().handle()

        def log_message(self, *unused):
            pass

        def date_time_string(self, timestamp=None):
            return email.utils.formatdate(time.time(), usegmt=True)

        def any_method(self):
            parts = urlsplit(self.path)
            path = unquote(parts.path).lstrip("/")
            request = Request(
                self.command,
                path[len(BUCKET) + 1 :],
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(int(self.headers.get("content-length", 0))),
            )
            hostile.requests.append(request)
            answer = hostile.answer(request)
            if isinstance(answer, Raw):
                self.close_connection = True
                for piece in answer.pieces:
                    self.connection.sendall(piece)
                return
            self.send_response_only(answer.status)
            for name, value in {"Date": self.date_time_string(), **answer.headers}.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

            self.wfile.flush()

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = any_method

    return Handler

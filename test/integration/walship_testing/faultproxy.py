"""A proxy in front of a real S3 server, which counts requests and does to them what networks and servers do.

    with FaultProxy(("127.0.0.1", 7480)) as proxy:
        rule = proxy.add(answer(503, "SlowDown"), method="PUT", times=2)
        ...                                   # a program that talks to proxy.endpoint
        assert rule.hits == 2 and proxy.count("PUT") == 3

A fault is a function of an Exchange: one request, which it may forward, answer or spoil.  The first rule that matches
and is not used up is applied; without one, the request is forwarded as it is.
"""
import contextlib
import ctypes
import email.utils
import hashlib
import hmac
import http.client
import re
import select
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

CHUNK = 256 * 1024
HEAD_MAX = 64 * 1024
PATIENCE = 60  # seconds for anything that the proxy waits for
HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "expect")


@dataclass
class Rule:
    fault: object
    method: str
    target: str
    header: str
    times: int
    skip: int
    hits: int = 0

    def matches(self, request):
        return (
            re.fullmatch(self.method, request.method)
            and re.search(self.target, request.target)
            and (self.header is None or self.header in request.headers)
        )

    def wants(self, request):
        """Uses the rule up by one."""
        if self.times is not None and self.hits >= self.times or not self.matches(request):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.hits += 1
        return True


@dataclass
class Request:
    method: str
    target: str  # as on the wire: path?query
    headers: dict  # names in lower case
    connection: int
    began: float
    fault: object = None
    status: int = None  # None: never answered
    seconds: float = None

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def query(self):
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def size(self):
        return int(self.headers.get("content-length", 0))

    def __str__(self):
        return f"{self.method} {self.target} on connection {self.connection}: {self.status}"


@dataclass
class Response:
    status: int
    reason: str = ""
    headers: list = field(default_factory=list)
    body: bytes = b""

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def set_header(self, name, value):
        self.headers = [(key, old) for key, old in self.headers if key.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, str(value)))


class Gone(Exception):
    """The connection to the client is over."""


class FaultProxy:
    def __init__(self, upstream, *, certificate=None, credentials=None, region="us-east-1"):
        """"certificate": (certificate file, key file) makes it speak TLS with its clients.  "credentials": (access
        key, secret key), for the faults that must sign a request anew."""
        self.upstream = upstream
        self.credentials = credentials
        self.region = region
        self.rules = []
        self.requests = []
        self.n_connections = 0
        self.idle_limit = PATIENCE
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.lock = threading.Lock()
        self.clients = set()
        self.closing = threading.Event()
        self.address = ("127.0.0.1", 0)
        self.listener = None
        self.up()

    @property
    def port(self):
        return self.address[1]

    @property
    def endpoint(self):
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # What the test does with it

    def add(self, fault, *, method=".*", target="", header=None, times=1, skip=0):
        """times=None: for ever.  "skip": how many matching requests go by unharmed first."""
        rule = Rule(fault, method, target, header, times, skip)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        """No faults, nothing counted."""
        with self.lock:
            self.rules.clear()
            self.requests.clear()
            self.n_connections = 0
        self.idle_limit = PATIENCE

    def count(self, method=".*", target=""):
        return len(self.seen(method, target))

    def seen(self, method=".*", target=""):
        with self.lock:
            return [
                request
                for request in self.requests
                if re.fullmatch(method, request.method) and re.search(target, request.target)
            ]

    def log(self):
        """For messages of assertions."""
        return "\n".join(map(str, self.seen())) or "no requests"

    def down(self):
        """Connections are refused, and those that were there are reset."""
        with self.lock:
            listener, self.listener = self.listener, None
            clients = list(self.clients)
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # close() alone does not wake the thread in accept()
            listener.close()
        for client in clients:
            reset(client)

    def up(self):
        if self.listener:
            return
        self.listener = socket.create_server(self.address, backlog=128)
        self.address = self.listener.getsockname()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    @contextlib.contextmanager
    def outage(self):
        self.down()
        try:
            yield
        finally:
            self.up()

    def close(self):
        self.closing.set()
        self.down()

    # What it does

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        client.settimeout(PATIENCE)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.n_connections += 1
            number = self.n_connections
            self.clients.add(client)
        plain = client
        try:
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
                with self.lock:
                    self.clients.discard(plain)
                    self.clients.add(client)
            self.serve_requests(client, number)
        except (Gone, OSError, ValueError, http.client.HTTPException):
            reset(client)
        finally:
            with self.lock:
                self.clients.discard(plain)
                self.clients.discard(client)
            with contextlib.suppress(OSError):
                client.close()

    def serve_requests(self, client, number):
        reader = client.makefile("rb", CHUNK)
        while not self.closing.is_set():
            if not self.wait_for_request(client, reader):
                return
            head = read_head(reader)
            if head is None:
                return
            method, target, headers = head
            request = Request(method, target, headers, number, time.monotonic())
            with self.lock:
                self.requests.append(request)
                rule = next((rule for rule in self.rules if rule.wants(request)), None)
            exchange = Exchange(self, client, reader, request)
            try:
                if rule:
                    request.fault = rule.fault
                    rule.fault(exchange)
                else:
                    exchange.forward()
            finally:
                request.seconds = time.monotonic() - request.began
            if headers.get("connection", "").lower() == "close":
                return

    def wait_for_request(self, client, reader):
        """False: the connection was idle for too long."""
        if self.idle_limit >= PATIENCE:
            return True
        return bool(select.select([client], [], [], self.idle_limit)[0])


def read_head(reader):
    """(method, target, headers), or None at the connection's end."""
    line = reader.readline(HEAD_MAX)
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers = {}
    while True:
        line = reader.readline(HEAD_MAX).decode("latin-1").rstrip("\r\n")
        if not line:
            return method, target, headers
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()


def reset(client):
    """The client gets RST, not a polite end."""
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # A socket that another thread reads from is not really closed by close().
    with contextlib.suppress(OSError):
        disconnect(client)
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        client.close()


def disconnect(client):
    """connect() to AF_UNSPEC: Linux resets the connection at once."""
    address = struct.pack("H14x", socket.AF_UNSPEC)
    ctypes.CDLL(None, use_errno=True).connect(client.fileno(), address, len(address))


class Exchange:
    """One request, in the hands of a fault."""

    def __init__(self, proxy, client, reader, request):
        self.proxy = proxy
        self.client = client
        self.reader = reader
        self.request = request
        self.headers = dict(request.headers)
        self.unread = request.size
        if request.headers.get("expect", "").lower() == "100-continue":
            self.client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    # From the client

    def body(self):
        """Yields what is left of the request's body."""
        while self.unread > 0:
            chunk = self.reader.read1(min(CHUNK, self.unread))
            if not chunk:
                raise Gone
            self.unread -= len(chunk)
            yield chunk

    def read_body(self, size=None):
        """All of it, or the next "size" bytes."""
        if size is None:
            return b"".join(self.body())
        content = self.reader.read(min(size, self.unread))
        self.unread -= len(content)
        return content

    # To the server

    def open_upstream(self):
        connection = http.client.HTTPConnection(*self.proxy.upstream, timeout=PATIENCE)
        connection.putrequest(self.request.method, self.request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name not in HOP_BY_HOP:
                connection.putheader(name, value)
        connection.putheader("Connection", "close")
        connection.endheaders()
        return connection

    @staticmethod
    def send_upstream(upstream, chunks):
        """A server may refuse a request before it has read the whole."""
        listening = True
        for chunk in chunks:
            try:
                if listening:
                    upstream.send(chunk)
            except OSError:
                listening = False
        return upstream.getresponse()

    def ask(self, body=None):
        """The server's answer, whole; "body" instead of the client's, of which nothing must be unread."""
        with contextlib.closing(self.open_upstream()) as upstream:
            answer = self.send_upstream(upstream, self.body() if body is None else [body])
            return Response(answer.status, answer.reason, kept_headers(answer), answer.read())

    def forward(self):
        """The way of a request that nothing is done to: nothing is held in memory."""
        with contextlib.closing(self.open_upstream()) as upstream:
            answer = self.send_upstream(upstream, self.body())
            headers = kept_headers(answer)
            chunked = answer.length is None and self.has_body(answer.status)
            if chunked:
                headers.append(("Transfer-Encoding", "chunked"))
            self.send_head(Response(answer.status, answer.reason, headers))
            if not self.has_body(answer.status):
                return
            while True:
                chunk = answer.read(CHUNK)
                if not chunk:
                    break
                self.send(b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunked else chunk)
            if chunked:
                self.send(b"0\r\n\r\n")

    # To the client

    def has_body(self, status):
        return self.request.method != "HEAD" and status not in (204, 304)

    def send(self, content):
        self.client.sendall(content)

    def send_head(self, response):
        self.request.status = response.status
        reason = response.reason or http.client.responses.get(response.status, "Unknown")
        lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {value}" for name, value in response.headers)]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def reply(self, response):
        """The response as it is now; its length is set unless it claims one."""
        if response.header("Content-Length") is None and self.has_body(response.status):
            response.set_header("Content-Length", len(response.body))
        self.send_head(response)
        if self.has_body(response.status):
            self.send(response.body)

    def reset(self):
        reset(self.client)
        raise Gone

    def hang_up(self):
        """FIN instead of RST."""
        with contextlib.suppress(OSError):
            self.client.shutdown(socket.SHUT_RDWR)
        raise Gone

    def wait_for_client_to_leave(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self.proxy.closing.is_set():
            try:
                readable = select.select([self.client], [], [], 0.1)[0]
                if readable and not isinstance(self.client, ssl.SSLSocket):
                    if not self.client.recv(1, socket.MSG_PEEK):
                        break
                    time.sleep(0.1)
                elif readable:
                    break
            except (OSError, ValueError):
                break
        raise Gone

    # Signing, for faults that change what was signed

    def sign(self):
        """Signs the request as it is now.  What was signed before is not checked: the server did not see it."""
        access_key, secret_key = self.proxy.credentials
        old = self.headers.pop("authorization")
        now = datetime.now(timezone.utc)
        signed = [name for name in re.search("SignedHeaders=([^,]+)", old).group(1).split(";") if name in self.headers]
        self.headers["x-amz-date"] = now.strftime("%Y%m%dT%H%M%SZ")
        path, _, query = self.request.target.partition("?")
        query = "&".join(sorted(part if "=" in part else part + "=" for part in query.split("&") if part))
        lines = [self.request.method, path, query, *(f"{name}:{self.headers[name]}" for name in signed), ""]
        canonical = "\n".join([*lines, ";".join(signed), self.headers["x-amz-content-sha256"]])
        day = now.strftime("%Y%m%d")
        scope = f"{day}/{self.proxy.region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
        to_sign = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope, digest])
        key = f"AWS4{secret_key}".encode()
        for part in (day, self.proxy.region, "s3", "aws4_request", to_sign):
            key = hmac.new(key, part.encode("latin-1"), hashlib.sha256).digest()
        self.headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={';'.join(signed)}, Signature={key.hex()}"
        )


def kept_headers(answer):
    return [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]


def error_body(code, message="", **elements):
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in elements.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<Error><Code>{code}</Code><Message>{message}</Message>{inner}"
        "<RequestId>tx-from-the-fault-proxy</RequestId></Error>"
    ).encode()


# The faults


def answer(status, code=None, message="injected", *, headers=(), **elements):
    """The server never sees the request."""

    def fault(exchange):
        exchange.read_body()
        body = error_body(code, message, **elements) if code else b""
        fixed = [("Content-Type", "application/xml"), ("x-amz-request-id", "tx-from-the-fault-proxy")]
        exchange.reply(Response(status, "", [*fixed, *dict(headers).items()], body))

    return fault


def delay(seconds):
    def fault(exchange):
        time.sleep(seconds)
        exchange.forward()

    return fault


def reset_before_body(exchange):
    exchange.reset()


def reset_in_body(share=0.5):
    """The server too sees a request that breaks off."""

    def fault(exchange):
        with contextlib.closing(exchange.open_upstream()) as upstream:
            upstream.send(exchange.read_body(int(exchange.unread * share)))
            reset(upstream.sock)
        exchange.reset()

    return fault


def reset_after_body(exchange):
    """The server never sees the request."""
    exchange.read_body()
    exchange.reset()


def hang_up_after_body(exchange):
    exchange.read_body()
    exchange.hang_up()


def lose_response(exchange):
    """The server has done it, and nobody learns."""
    exchange.ask()
    exchange.reset()


def stall(exchange):
    """The request is read, and nothing happens any more."""
    exchange.read_body()
    exchange.wait_for_client_to_leave()


def stall_in_body(share=0.5):
    """Some of the request is read, then no more."""

    def fault(exchange):
        exchange.read_body(int(exchange.unread * share))
        exchange.wait_for_client_to_leave()

    return fault


def stall_in_response(share=0.5, *, sent=None):
    """"sent": an event that is set when the share is on its way."""

    def fault(exchange):
        response = exchange.ask()
        exchange.send_head(response)
        exchange.send(response.body[: int(len(response.body) * share)])
        if sent:
            sent.set()
        exchange.wait_for_client_to_leave()

    return fault


def truncate(share=0.5, *, polite=False):
    """The connection ends in the middle of the answer's body."""

    def fault(exchange):
        response = exchange.ask()
        exchange.send_head(response)
        exchange.send(response.body[: int(len(response.body) * share)])
        if polite:
            exchange.hang_up()
        exchange.reset()

    return fault


def shorten(n=1):
    """The last bytes are missing, and Content-Length agrees: only a digest can tell."""
    return change_body(lambda body: body[:-n])


def overlong(n=100):
    """The body goes on after its end, and Content-Length agrees."""
    return change_body(lambda body: body + b"x" * n)


def flip(share=0.5):
    """One bit of the answer's body."""

    def flipped(body):
        at = min(int(len(body) * share), len(body) - 1)
        return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]

    return change_body(flipped)


def change_body(change):
    def fault(exchange):
        response = exchange.ask()
        if response.status in (200, 206) and response.body:
            response.body = change(response.body)
            response.set_header("Content-Length", len(response.body))
        exchange.reply(response)

    return fault


def flip_upload(share=0.5):
    """One bit of what the server gets."""

    def fault(exchange):
        body = bytearray(exchange.read_body())
        body[int(len(body) * share)] ^= 1
        exchange.reply(exchange.ask(bytes(body)))

    return fault


def error_in_200(*, after=False, code="InternalError"):
    """200, whose body says that it went wrong; "after" the server has done it all the same."""

    def fault(exchange):
        exchange.ask() if after else exchange.read_body()
        exchange.reply(Response(200, "OK", [("Content-Type", "application/xml")], error_body(code)))

    return fault


def empty_200(exchange):
    """200 with no verdict in it; nothing was done."""
    exchange.read_body()
    exchange.reply(Response(200, "OK", [("Content-Type", "application/xml")]))


def whitespace_before_verdict(seconds):
    """As S3 does while it is busy: 200 at once, then blanks, then the verdict."""

    def fault(exchange):
        body = exchange.read_body()
        exchange.send_head(Response(200, "OK", [("Content-Type", "application/xml"), ("Transfer-Encoding", "chunked")]))
        declaration = b'<?xml version="1.0" encoding="UTF-8"?>\n'
        exchange.send(b"%x\r\n%s\r\n" % (len(declaration), declaration))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            exchange.send(b"1\r\n \r\n")
            time.sleep(0.2)
        verdict = re.sub(rb"^\s*<\?xml.*?\?>\s*", b"", exchange.ask(body).body)
        exchange.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(verdict), verdict))

    return fault


def skewed_clock(seconds, most=15 * 60):
    """The server's clock is ahead by this; it refuses what is signed for more than "most" another time, as S3 does."""

    def fault(exchange):
        now = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        text = exchange.headers["x-amz-date"]
        signed = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        date = email.utils.format_datetime(now.replace(microsecond=0), usegmt=True)
        if abs(now - signed) > timedelta(seconds=most):
            exchange.read_body()
            body = error_body(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                RequestTime=text,
                ServerTime=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            )
            headers = [("Content-Type", "application/xml"), ("Date", date)]
            exchange.reply(Response(403, "Forbidden", headers, body))
            return
        exchange.sign()
        response = exchange.ask()
        response.set_header("Date", date)
        exchange.reply(response)

    return fault


def other_region(region, status=400):
    """The bucket is in this region; 301 and 400 are the two ways to say so."""

    def fault(exchange):
        if f"/{region}/s3/" in exchange.headers.get("authorization", ""):
            exchange.forward()
            return
        exchange.read_body()
        code = "AuthorizationHeaderMalformed" if status == 400 else "PermanentRedirect"
        headers = [("Content-Type", "application/xml"), ("x-amz-bucket-region", region)]
        exchange.reply(Response(status, "", headers, error_body(code, "wrong region", Region=region)))

    return fault


def forbid_missing(exchange):
    """Without the right to list, S3 does not say that something is missing."""
    response = exchange.ask()
    if response.status == 404:
        body = error_body("AccessDenied", "Access Denied")
        response = Response(403, "Forbidden", [("Content-Type", "application/xml")], body)
    exchange.reply(response)


def ignore_condition(exchange):
    """If-None-Match is silently overlooked."""
    if exchange.headers.pop("if-none-match", None):
        exchange.sign()
    exchange.forward()


def refuse_condition(exchange):
    """501, as from servers that do not know If-None-Match on PUT."""
    if "if-none-match" not in exchange.headers:
        exchange.forward()
        return
    answer(501, "NotImplemented", "A header you provided implies functionality that is not implemented")(exchange)


def portal(exchange):
    """Of a hotel, say: it has the same page for everything, with an ETag, and asks for nobody's credentials."""
    exchange.read_body()
    page = b"<!DOCTYPE html><html><body>Please log in</body></html>"
    headers = [("Content-Type", "text/html"), ("ETag", 'W/"36-abc"'), ("Content-Length", len(page))]
    exchange.reply(Response(200, "OK", headers, page))


def no_http(exchange):
    """Something else listens there."""
    exchange.send(b"SSH-2.0-OpenSSH_9.2p1\r\n" * 20)
    exchange.hang_up()


def opaque_etags(exchange):
    """They are not the MD5, as for what is encrypted with a key of KMS."""
    response = exchange.ask()
    etag = response.header("ETag")
    if etag:
        response.set_header("ETag", etag[::-1])
    exchange.reply(response)


def close_after_reply(exchange):
    """The connection that was said to stay ends: the next request on it meets the end."""
    exchange.forward()
    exchange.hang_up()

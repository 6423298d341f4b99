"""What notifications go to: a local HTTP server that does as it is told, and keeps what it got."""
import base64
import json
import socketserver
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .proc import wait_until


def make_certificate(directory, *, days=30, name="walship tests"):
    """(certificate, key) for 127.0.0.1, signed by itself."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", str(days),
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@dataclass
class Received:
    path: str
    headers: dict
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def json(self):
        return json.loads(self.body)


class Receiver:
    """"answers" are (status, headers, body), one for each request; the last one is for all that follow.  A request that
    is answered otherwise than by 2xx was not taken: it is in "refused"."""

    def __init__(self, *, port=0, certificate=None):
        self.answers = [(200, {}, b"ok")]
        self.delay = 0
        self.taken = []
        self.refused = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.handle(self)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # who does not trust the certificate leaves in the middle of the handshake

        self.server = Server(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        got = Received(request.path, dict(request.headers), body)
        status, headers, text = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        (self.taken if status // 100 == 2 else self.refused).append(got)
        time.sleep(self.delay)
        try:
            request.send_response(status)
            for name, value in {"Content-Length": str(len(text)), **headers}.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(text)
        except OSError:
            pass  # the sender has left

    def wait(self, count, timeout=20):
        wait_until(lambda: len(self.taken) >= count, f"{count} messages", timeout=timeout)
        return self.taken

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class MailServer:
    """Takes mail by SMTP (RFC 5321), with a login (RFC 4954, PLAIN) where there are credentials.  With a certificate it
    speaks TLS from the beginning or, with "starttls", once it is asked to (RFC 3207), and knows no login before.  "refuse"
    is what it says to a recipient instead of 250."""

    def __init__(self, *, certificate=None, starttls=False, credentials=None):
        self.mails = []  # (from, to, text)
        self.refuse = None
        mail_server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                mail_server.talk(self, credentials, context if starttls else None)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, *_):
                pass

        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
        self.server = Server(("127.0.0.1", 0), Handler)
        if certificate and not starttls:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "smtps" if certificate and not starttls else "smtp"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def talk(self, session, credentials, starttls):
        lines, out = session.rfile, session.wfile

        def say(text):
            out.write(text.encode() + b"\r\n")

        sender = recipient = None
        known = credentials is None
        say("220 test")
        while line := lines.readline():
            words = line.decode().strip().split(" ", 1)
            verb = words[0].upper()
            if verb == "EHLO":
                say("250-test\r\n250 STARTTLS" if starttls else "250-test\r\n250 AUTH PLAIN" if credentials else "250 test")
            elif verb == "STARTTLS" and starttls:
                say("220 go on")
                connection = starttls.wrap_socket(session.connection, server_side=True)
                lines, out, starttls = connection.makefile("rb"), connection.makefile("wb", buffering=0), None
            elif verb == "AUTH" and not starttls:
                say("334 ")
                login = base64.b64decode(lines.readline()).decode().split("\0")[1:]
                known = tuple(login) == credentials
                say("235 welcome" if known else "535 who are you?")
            elif verb == "MAIL" and known:
                sender = words[1]
                say("250 ok")
            elif verb == "RCPT" and known:
                recipient = words[1]
                say(self.refuse or "250 ok")
            elif verb == "DATA" and known:
                say("354 go on")
                text = b"".join(iter(lines.readline, b".\r\n"))
                self.mails.append((sender, recipient, text))
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("503 not now")

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

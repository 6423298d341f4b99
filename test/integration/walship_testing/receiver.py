"""What notifications go to: a local HTTP server that does as it is told, and keeps what it got."""
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .proc import wait_until


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

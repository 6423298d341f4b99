"""The network and the sink of test/bench do what their heads say, else its figures mean nothing."""
import contextlib
import hashlib
import os
import socket
import threading
import time

import pytest

from walship_testing.helper import Helper
from walship_testing.wal import MIB
from walship_testing.walship import Walship

pytestmark = pytest.mark.smoke
ROUND_TRIP = 0.08  # seconds
SLACK = 0.06  # less than a further round trip
N_TRIES = 20  # a busy machine may add more, but not always
PATIENCE = 10


class Echo:
    """A server that sends back what it gets, and ends when its client has."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=[self.listener.accept()[0]], daemon=True).start()

    def serve(self, client):
        with client, contextlib.suppress(OSError):
            while piece := client.recv(1 << 18):
                client.sendall(piece)

    def close(self):
        self.listener.close()


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def far(echo):
    """The echo, a round trip away."""
    with Helper("delay_proxy", echo.port, int(ROUND_TRIP * 1e6)) as proxy:
        yield proxy


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def exchange(client, message=b"x"):
    """Seconds until it is back."""
    began = time.monotonic()
    client.sendall(message)
    assert client.recv(100) == message
    return time.monotonic() - began


def takes(seconds, measure):
    """Never less, and not always more."""
    for _ in range(N_TRIES):
        measured = measure()
        assert measured >= seconds
        if measured < seconds + SLACK:
            return True
    return False


def test_the_first_exchange_takes_two_round_trips_and_each_further_one_takes_one(far):
    def first():
        with connect(far.port) as client:
            return exchange(client)

    assert takes(2 * ROUND_TRIP, first)
    with connect(far.port) as client:
        exchange(client)
        assert takes(ROUND_TRIP, lambda: exchange(client))


def test_connections_do_not_wait_for_each_other(far):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(far.port)) for _ in range(10)]
        for client in clients:
            exchange(client)

        def all_at_once():
            began = time.monotonic()
            for client in clients:
                client.sendall(b"y")
            for client in clients:
                assert client.recv(100) == b"y"
            return time.monotonic() - began

        assert takes(ROUND_TRIP, all_at_once)


def test_the_delay_does_not_limit_what_is_in_flight(far):
    content = os.urandom(MIB) * 32
    digest, began = hashlib.sha256(), time.monotonic()
    with connect(far.port) as client:
        sender = threading.Thread(target=lambda: (client.sendall(content), client.shutdown(socket.SHUT_WR)))
        sender.start()
        while piece := client.recv(1 << 18):
            digest.update(piece)
        sender.join()
    assert digest.digest() == hashlib.sha256(content).digest()
    assert time.monotonic() - began < 3, "one window of TCP for each round trip would take longer"
    assert far.figures() == {"connections": 1, "to_server": len(content), "to_client": len(content)}


def test_without_a_server_the_connection_ends():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with Helper("delay_proxy", port, 1000) as proxy, connect(proxy.port) as client:
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_the_helpers_end_with_their_input(echo):
    for command in (("delay_proxy", echo.port, 0), ("s3_sink",)):
        assert Helper(*command).close() == 0


def sink_settings(s3, sink, *, tls):
    return {
        "store": "s3://swallowed/archive",
        "s3_endpoint": f"{'https' if tls else 'http'}://127.0.0.1:{sink.port}",
        "s3_region": s3.region,
        "s3_access_key_id": s3.access_key,
        "s3_secret_access_key": s3.secret_key,
        "s3_ca_file": s3.ca_file if tls else None,
    }


@pytest.mark.s3_only
@pytest.mark.parametrize("tls", [False, True], ids=["http", "tls"])
def test_the_sink_takes_segments_and_counts_them(s3, directory, datadir, tls):
    certificate = [s3.certificate_file, s3.key_file] if tls else []
    with Helper("s3_sink", *certificate) as sink:
        walship = Walship(directory / "walship", sink_settings(s3, sink, tls=tls))
        for number in (1, 2, 3):
            datadir.push(walship, datadir.segment(1, number))
        figures = sink.figures()
        assert (figures["PUT"], figures["GET"], figures["HEAD"]) == (3, 0, 0), figures
        assert figures["bytes"] > 0


@pytest.mark.s3_only
def test_the_sink_keeps_small_objects_and_swallows_large_ones(s3):
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    with Helper("s3_sink") as sink:
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{sink.port}",
            aws_access_key_id=s3.access_key,
            aws_secret_access_key=s3.secret_key,
            region_name=s3.region,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, proxies={}),
        )
        client.put_object(Bucket="b", Key="small", Body=b"info")
        client.put_object(Bucket="b", Key="small", Body=b"newer")
        client.put_object(Bucket="b", Key="large", Body=bytes(MIB))
        upload = client.create_multipart_upload(Bucket="b", Key="parts")["UploadId"]
        part = client.upload_part(Bucket="b", Key="parts", UploadId=upload, PartNumber=1, Body=bytes(5 * MIB))
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        client.complete_multipart_upload(Bucket="b", Key="parts", UploadId=upload, MultipartUpload=parts)
        assert client.get_object(Bucket="b", Key="small")["Body"].read() == b"newer"
        for key in ("large", "parts"):
            with pytest.raises(ClientError, match="404"):
                client.head_object(Bucket="b", Key=key)
        assert client.list_objects_v2(Bucket="b")["KeyCount"] == 0
        figures = sink.figures()
        assert (figures["PUT"], figures["POST"]) == (4, 2) and figures["bytes"] > 6 * MIB, figures

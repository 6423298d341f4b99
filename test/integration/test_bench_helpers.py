"""The network, the sink and the harness of test/bench do what they say, else its figures mean nothing."""
import concurrent.futures
import contextlib
import ctypes
import fcntl
import hashlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest

from walship_testing.helper import Helper, helper_program
from walship_testing.proc import clean_environment, is_running, wait_until
from walship_testing.wal import MIB
from walship_testing.walship import Walship, binary

BENCH = Path(__file__).parents[1] / "bench"
sys.path.insert(0, str(BENCH))

from walship_bench import bench as benching  # noqa: E402
from walship_bench import cases_base, cases_growth, cases_process, cases_wal, measure, peers, report, stores, tools  # noqa: E402

smoke = pytest.mark.smoke
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


@smoke
def test_the_first_exchange_takes_two_round_trips_and_each_further_one_takes_one(far):
    def first():
        with connect(far.port) as client:
            return exchange(client)

    assert takes(2 * ROUND_TRIP, first)
    with connect(far.port) as client:
        exchange(client)
        assert takes(ROUND_TRIP, lambda: exchange(client))


@smoke
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


@smoke
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


RATE = 8 * MIB  # bytes per second


def echoed(client, size):
    """Seconds until so many bytes are back; at no moment were there more than the connection lets through."""
    content, received, began = os.urandom(size), bytearray(), time.monotonic()
    sender = threading.Thread(target=client.sendall, args=[content])
    sender.start()
    while len(received) < size:
        received += client.recv(1 << 18)
        assert len(received) <= RATE * (time.monotonic() - began)
    sender.join()
    assert received == content
    return time.monotonic() - began


@smoke
def test_a_limited_connection_sends_evenly_and_saves_nothing_up(echo):
    with Helper("delay_proxy", echo.port, 0, RATE) as proxy, connect(proxy.port) as client:
        exchange(client)
        assert takes(0.25, lambda: echoed(client, RATE // 4)), "both directions at the same time"
        time.sleep(0.2)
        assert takes(0.125, lambda: echoed(client, RATE // 8))


@smoke
def test_each_connection_has_its_limit_for_itself(echo):
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Helper("delay_proxy", echo.port, 20000, RATE))
        clients = [stack.enter_context(connect(proxy.port)) for _ in range(3)]

        def all_at_once():
            with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
                return max(pool.map(lambda client: echoed(client, RATE // 4), clients))

        assert takes(0.25 + 0.02, all_at_once)


@smoke
def test_without_a_server_the_connection_ends():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with Helper("delay_proxy", port, 1000) as proxy, connect(proxy.port) as client:
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


@smoke
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


@smoke
@pytest.mark.s3_only
@pytest.mark.parametrize("tls", [False, True], ids=["http", "tls"])
def test_the_sink_takes_segments_and_counts_them(s3, directory, datadir, tls):
    certificate = [s3.certificate_file, s3.key_file] if tls else []
    with Helper("s3_sink", *certificate) as sink:
        walship = Walship(directory / "walship", sink_settings(s3, sink, tls=tls))
        for number in (1, 2, 3):
            datadir.push(walship, datadir.segment(1, number))
        figures = sink.figures()
        first_contact = 2  # that the bucket refuses to overwrite is proved once
        assert (figures["PUT"], figures["GET"], figures["HEAD"]) == (first_contact + 3, 0, 0), figures
        assert figures["bytes"] > 0


@smoke
@pytest.mark.s3_only
def test_the_sink_keeps_small_objects_and_swallows_large_ones(s3):
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    with stores.Sink("s3_sink") as sink:
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
        client.upload_part(Bucket="b", Key="unfinished", UploadId=upload, PartNumber=1, Body=bytes(MIB))
        assert sink.objects() == {"/b/small": 5, "/b/large": MIB, "/b/parts": 5 * MIB}


# The harness.  Peers that are not on this machine are played by scripts.


SECRET = "Secret/Key+of=the bench"


class Nowhere:
    """Stands for the S3 server: what tools are told of it."""

    domain, region, access_key, secret_key, ca_file = "s3.localhost", "us-east-1", "ACCESS", SECRET, "/ca.pem"


@pytest.fixture
def programs(directory, monkeypatch):
    """Makes programs in a directory that comes first in PATH."""
    place = directory / "a dir with 100% PATH"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    forget()

    def make(name, script):
        program = place / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        forget()
        return str(program)

    yield make
    forget()


def forget():
    tools.find_program.cache_clear()
    peers.ask.cache_clear()


@pytest.fixture
def adopting():
    """What leaves its parent becomes a child of this process, as in the harness."""
    libc = ctypes.CDLL(None)
    measure.adopt_orphans()
    yield
    libc.prctl(measure.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def on_s3(*, tls=True):
    return stores.Place("s3", bucket="bench-1", port=1234, tls=tls, server=Nowhere)


def make_bench(directory, *, rounds=2, chosen=peers.NAMES):
    made = stores.Stores(directory)
    made.server = types.SimpleNamespace(access_key="ACCESS", secret_key=SECRET, process=types.SimpleNamespace(pid=0))
    return benching.Bench(None, made, directory, True, rounds, benching.Patience(1), chosen)


class Stub(tools.Tool):
    """Of a walship, or of a peer's name."""

    codec = "zst"

    def __init__(self, label, name="walship", *, is_slow=False):
        self.label, self.name, self.is_ours, self.is_slow = label, name, name == "walship", is_slow


def figures_of(seconds, size=100, *, n=1):
    return measure.Figures(seconds, seconds, 7, n, {"stored bytes": size})


def as_the_server_does(command, **paths):
    """PostgreSQL: shell_archive.c, shell_restore.c."""
    return re.sub("%([pf%])", lambda found: {"%": "%", **paths}[found[1]], command)


# Programs


def test_a_program_is_resolved_once_and_called_by_its_absolute_path(programs, directory):
    program = programs("wal-g", 'echo "$0 $@" >"$HOME/called"')
    bound = peers.WalG("zstd").at(on_s3(), directory / "work", pgdata=directory)
    measure.run_measured(["sh", "-c", bound.push("pg_wal/0001")])  # with another PATH
    assert (directory / "work/called").read_text() == f"{program} wal-push pg_wal/0001\n"


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
def test_every_command_of_a_peer_begins_with_an_absolute_path(peer, programs, directory):
    for verb in ("wal-archive", "wal-restore", "backup", "backup-list", "restore"):
        programs(f"barman-cloud-{verb}", """echo '{"backups_list": [{"backup_id": "b1"}]} --zstd'""")
    for name in ("pgbackrest", "wal-g", "walrus"):
        programs(name, ":")
    programs("barman-cloud-backup-list", """echo '{"backups_list": [{"backup_id": "b1"}]}'""")
    tool = peer("lz4" if peer is not peers.BarmanCloud else "zstd")
    server = types.SimpleNamespace(sockets="/tmp", pg_environment={"PGHOST": "/tmp"})
    bound = tool.at(on_s3(), directory / "work", pgdata=directory, server=server)
    for line in (bound.push("P"), bound.fetch("N", "T"), bound.backup(), bound.restore("T"), bound.archive_command()):
        first = shlex.split(line.rpartition("&& exec ")[2])[0]
        assert os.path.isabs(first) and directory in Path(first).parents, line
        assert SECRET not in line


def test_the_first_pgbackrest_in_path_is_the_one_that_is_measured(programs):
    program = programs("pgbackrest", "echo pgBackRest 2.60dev")
    assert peers.PgBackRest().program() == program
    row = report.tools([peers.PgBackRest()]).splitlines()[-1]
    assert "pgBackRest 2.60dev" in row and program in row


@pytest.mark.parametrize(
    "version, has_http", [("2.45", False), ("2.57.9", False), ("2.58.0", True), ("2.60dev", True), ("3.1", True), ("?", False)]
)
def test_pgbackrest_has_http_since_2_58(version, has_http, programs, directory):
    programs("pgbackrest", f"echo 'pgBackRest {version}'")
    assert peers.PgBackRest().available()
    assert peers.PGBACKREST_HTTP.available() == has_http
    bound = peers.PGBACKREST_HTTP.at(on_s3(tls=False), directory / "work", pgdata=directory)
    lines = bound.config.read_text().splitlines()
    assert {"repo1-storage-host=http://127.0.0.1", "repo1-s3-endpoint=http://s3.localhost"} <= set(lines)


@pytest.mark.parametrize(
    "offered, codecs",
    [("--gzip --bzip2 --snappy", ["gzip"]), ("--gzip --zstd --lz4", ["zstd", "lz4"]), ("--gzip --lz4", ["lz4"])],
)
def test_barman_takes_the_codecs_that_it_offers(offered, codecs, programs, directory):
    for verb in ("wal-archive", "wal-restore", "backup", "backup-list", "restore"):
        programs(f"barman-cloud-{verb}", f"echo '{offered}'")
    assert [tool.codec for tool in peers.BARMAN if tool.available()] == codecs
    bound = peers.BarmanCloud(codecs[0]).at(on_s3(), directory / "work")
    assert f"--{codecs[0]}" in bound.push("P")
    environment = bound.environment.read_text()
    for name in ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"):
        assert f"export {name}=when_required\n" in environment


RECORDER = """
{ for word in "$0" "$@"; do echo "$word"; done; } >"$HOME/words"
env >"$HOME/variables"
"""


@pytest.mark.parametrize("peer, name", [(peers.WalG, "wal-g"), (peers.WalRus, "walrus")], ids=["wal-g", "wal-rus"])
def test_archive_command_hands_on_settings_and_paths_as_they_are(peer, name, programs, directory):
    program = programs(name, RECORDER)
    tool = peer("zstd", PREVENT_WAL_OVERWRITE="true", READY_RENAME="true")
    bound = tool.at(on_s3(), directory / "work 100%p", pgdata=directory / "PATH")

    def called(command):
        measure.run_measured(["sh", "-c", command])
        lines = (bound.work / "variables").read_text().splitlines()
        return (bound.work / "words").read_text().splitlines(), dict(line.split("=", 1) for line in lines if "=" in line)

    words, variables = called(as_the_server_does(bound.archive_command(), p="pg_wal/PATH"))
    assert words == [program, "wal-push", "pg_wal/PATH"]
    expected = {
        "AWS_ENDPOINT": "https://127.0.0.1:1234",
        "AWS_S3_FORCE_PATH_STYLE": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "ACCESS",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "WALG_S3_PREFIX": "s3://bench-1/archive",
        "WALG_COMPRESSION_METHOD": "zstd",
        "WALG_PREVENT_WAL_OVERWRITE": "true",
        "PG_READY_RENAME": "true",
        "PGDATA": str(directory / "PATH"),
        "HOME": str(bound.work),
        ("WALG_S3_CA_CERT_FILE" if name == "wal-g" else "SSL_CERT_FILE"): "/ca.pem",
    }
    assert expected.items() <= variables.items()
    words, _ = called(as_the_server_does(bound.restore_command(), f="NAME", p="pg_wal/RECOVERYXLOG"))
    assert words == [program, "wal-fetch", "NAME", "pg_wal/RECOVERYXLOG"]


def test_secrets_stand_in_files_for_the_owner_only_and_are_not_printed(programs, directory, capfd):
    programs("wal-g", 'echo "key is $AWS_SECRET_ACCESS_KEY" >&2; exit 1')
    programs("pgbackrest", ":")
    bound = peers.WalG().at(on_s3(), directory / "work", pgdata=directory)
    config = peers.PgBackRest().at(on_s3(), directory / "other", pgdata=directory).config
    for file in (bound.environment, config):
        assert SECRET in file.read_text().replace("'", "") and file.stat().st_mode & 0o777 == 0o600
    bench = make_bench(directory)
    bench.interleaved([peers.WalG()], lambda tool: measure.run_measured(["sh", "-c", bound.push("P")]))
    printed = "".join(capfd.readouterr()) + report.failures(bench.failures) + report.tools(bench.tools.values())
    assert "key is (secret)" in printed and SECRET not in printed


# Exit codes, and what hangs


def test_a_program_that_never_ran_has_no_time(directory):
    with pytest.raises(measure.Failed, match="127"):
        measure.run_lines(["/nowhere/wal-g --version"] * 3)
    bench = make_bench(directory)
    tool = Stub("never")
    tool.version_words = lambda: ["/nowhere/pgbackrest", "version"]
    assert bench.attempt(tool, lambda tool: cases_process.start_of(bench, tool)) is None
    assert "127" in bench.failures[0].reason


def test_the_first_call_that_fails_ends_a_loop(directory):
    with pytest.raises(measure.Failed, match="exit 3"):
        measure.run_lines([f"touch {directory}/1", "exit 3", f"touch {directory}/2"])
    assert (directory / "1").exists() and not (directory / "2").exists()
    with pytest.raises(measure.Failed):
        measure.run_lines(["true"], then=["false"])
    assert measure.run_lines(["true"] * 4, then=["true"] * 4).n == 4


def test_what_hangs_is_ended_with_all_that_it_started(adopting, directory):
    known = measure.children()
    script = f"sleep 301 & echo $! >{directory}/child; setsid sleep 302 & echo $! >{directory}/daemon; trap '' TERM; sleep 303"
    with pytest.raises(measure.Hung, match="within 1 s"):
        measure.run_measured(["sh", "-c", script], timeout=1)
    assert not any(is_running(int((directory / name).read_text())) for name in ("child", "daemon"))
    assert measure.children() == known


def test_who_fails_is_said_and_all_other_figures_stand(directory, capfd):
    bench = make_bench(directory)
    good, bad, late = Stub("walship brotli"), Stub("pgBackRest zst", "pgbackrest"), Stub("WAL-G lz4", "wal-g")
    asked = []

    def run(tool):
        asked.append(tool)
        if tool is bad or (tool is late and asked.count(late) == 2):
            raise {bad: measure.Failed("exit 1: no"), late: KeyError("unforeseen")}[tool]
        return figures_of(1)

    def case(bench):
        """A case."""
        found = bench.interleaved([bad, good, late], run)
        assert set(found) == {good}
        bench.table("A table", found)
        bench.compare("speed", found, at_most={"brotli": 1})

    def broken(bench):
        """Another."""
        raise ValueError("broken case")

    for name, each in (("one", case), ("two", broken), ("three", lambda bench: bench.bar("last", "any", "", 1, "x", True))):
        bench.run(name, each)
    assert asked.count(bad) == 1 and asked.count(good) == 2, "who has failed is not asked in the next round"
    assert [(each.case, each.who) for each in bench.failures] == [
        ("one", "pgBackRest zst"), ("one", "WAL-G lz4"), ("two", "the case")
    ]  # fmt: skip
    bars = report.bars(bench.bars)
    assert "| speed | brotli | <= 1.00 x |  | not measured |" in bars and "| last |" in bars
    assert "| one | pgBackRest zst | exit 1: no |" in report.failures(bench.failures)
    printed = capfd.readouterr()
    assert "| walship brotli | 1.000 |" in printed.out and "pgBackRest zst FAILED: exit 1: no" in printed.err


def test_a_peer_that_hung_twice_is_not_asked_again_and_that_is_said(directory):
    bench = make_bench(directory)
    asked = []

    def run(tool):
        asked.append(tool.label)
        raise measure.Hung("too long")

    for label in ("one", "two", "three"):
        assert bench.attempt(Stub(label, "wal-g"), run) is None
    assert bench.attempt(Stub("ours"), run) is None and bench.attempt(Stub("ours"), run) is None
    assert asked == ["one", "two", "ours", "ours"]
    assert "HUNG" in bench.failures[0].reason and "not asked again" in bench.failures[2].reason


def test_peers_are_chosen_by_name_and_who_is_missing_is_said(programs, directory):
    programs("walrus", "echo walrus 0.3.0")
    all_of_them = (peers.PGBACKREST, *peers.WALG, *peers.WALRUS)
    assert make_bench(directory, chosen=("wal-rus",)).peers(*all_of_them) == list(peers.WALRUS)
    assert make_bench(directory, chosen=()).peers(*all_of_them) == []
    os.environ["PATH"] = str(Path(peers.WalRus.program()).parent)  # the fixture puts it back
    forget()
    bench = make_bench(directory)
    assert bench.peers(*all_of_them) == list(peers.WALRUS)
    said = report.missing(bench.missing())
    assert "NOT MEASURED: wal-g: wal-g is not in PATH." in said and "pgbackrest" in said and "walrus" not in said
    assert make_bench(directory, chosen=("wal-rus",)).missing() == {}


# Done is what lies in the store


def place_with(directory, names):
    place = directory / "store"
    (place / "wal_005").mkdir(parents=True, exist_ok=True)
    for name in names:
        (place / f"wal_005/{name}.lz4").write_bytes(b"12345")
    return stores.Place("directory", place)


NAMES = [f"0000000100000000000000{number:02X}" for number in range(1, 5)]


def test_segments_are_archived_when_they_are_in_the_store(directory, monkeypatch):
    place = place_with(directory, NAMES)
    assert cases_wal.wait_stored(types.SimpleNamespace(place=place), NAMES) == (20, 0)
    (place.directory / f"wal_005/{NAMES[2]}.lz4").unlink()
    late = threading.Timer(0.4, place_with, [directory, NAMES])
    late.start()
    size, seconds = cases_wal.wait_stored(types.SimpleNamespace(place=place), NAMES)
    assert size == 20 and 0.2 < seconds < 5
    (place.directory / f"wal_005/{NAMES[2]}.lz4").write_bytes(b"")
    monkeypatch.setattr(cases_wal, "STORE_PATIENCE", 0.2)
    with pytest.raises(measure.Failed, match=f"1 are not in the store: {NAMES[2]}"):
        cases_wal.wait_stored(types.SimpleNamespace(place=place), NAMES)


def test_a_push_that_stores_nothing_and_a_backup_of_nothing_fail(programs, directory, monkeypatch):
    programs("walrus", "exit 0")
    monkeypatch.setattr(cases_wal, "STORE_PATIENCE", 0.2)
    bench = make_bench(directory)
    bound = peers.WalRus().at(place_with(directory, []), directory / "work", pgdata=directory)
    with pytest.raises(measure.Failed, match="not in the store"):
        cases_wal.push_all(bench, bound, NAMES[:1], directory)
    with pytest.raises(measure.Failed, match="nothing of it is in the store"):
        cases_base.take_backup(bench, bound)


def test_a_backlog_hangs_when_it_stands_still_and_fails_when_the_archiver_says_so(directory):
    status = directory / "pg_wal/archive_status"
    status.mkdir(parents=True)
    (status / f"{NAMES[0]}.ready").touch()
    log = ["older: failed too many times"]
    server = types.SimpleNamespace(pgdata=directory, log_text=lambda: "".join(log), log_tail=lambda *_: "the log")
    with pytest.raises(measure.Hung, match="1 segments wait, as many as 0.3 s ago"):
        cases_wal.wait_archived(server, len(log[0]), 0.3)
    log.append("received SIGHUP\nno such bucket\narchive command failed\narchiving failed too many times, will try again later")
    with pytest.raises(measure.Failed, match="^the archiver gives up:\nno such bucket\narchive command failed"):
        cases_wal.wait_archived(server, len(log[0]), 5)
    (status / f"{NAMES[0]}.ready").unlink()
    cases_wal.wait_archived(server, 0, 5)


def test_nothing_that_one_run_leaves_in_pg_wal_is_there_for_the_next(directory):
    wal = directory / "pg_wal"
    status = wal / "archive_status"
    for left in ("walg_data/walg_archive_status", ".wal-g/prefetch/running", "archive_status"):
        (wal / left).mkdir(parents=True)
    (wal / f"walg_data/walg_archive_status/{NAMES[1]}").touch()
    (wal / "RECOVERYXLOG").touch()
    for name in NAMES:
        (wal / name).touch()
    for left in (f"{NAMES[0]}.done", f"{NAMES[1]}.ok", f"{NAMES[2]}.ready", "000000010000000000000009.ready"):
        (status / left).touch()
    cases_wal.reset_wal_directory(directory, NAMES[:3], NAMES[:2])
    assert sorted(path.name for path in wal.iterdir()) == [*NAMES, "archive_status"]
    assert sorted(path.name for path in status.iterdir()) == [
        f"{NAMES[0]}.ready", f"{NAMES[1]}.ready", f"{NAMES[2]}.done", "000000010000000000000009.done"
    ]  # fmt: skip


def test_a_fetch_that_fails_leaves_the_figure_of_the_push(programs, directory, monkeypatch):
    programs("wal-g", """case $1 in wal-push) mkdir -p $WALG_FILE_PREFIX/wal_005 && cp "$2" $WALG_FILE_PREFIX/wal_005/;; *) exit 74;; esac""")
    bench = make_bench(directory)
    view = directory / "view"
    (view / "pg_wal").mkdir(parents=True)
    (view / "pg_wal" / NAMES[0]).write_bytes(b"wal")
    monkeypatch.setattr(bench, "view", lambda *_, **__: view)
    monkeypatch.setattr(bench, "at", lambda tool, *_, **more: tool.at(place_with(directory, []), directory / "work", pgdata=view))
    pushed, fetched = cases_wal.push_and_fetch(bench, peers.WalG(), NAMES[:1], 0)
    assert pushed.facts["stored bytes"] == 3 and fetched is None
    assert "exit 74" in bench.failures[0].reason


# Who is in which case, and what the tables say


class Spy(benching.Bench):
    """All peers are here; nothing runs.  Notes who would."""

    def __init__(self, directory):
        wal = types.SimpleNamespace(names=NAMES, of_kind=lambda kind: NAMES, pgdata=directory)
        data = types.SimpleNamespace(wal=lambda: wal, n_segments={"OLTP": 4})
        super().__init__(data, stores.Stores(directory), directory, True, 1, benching.Patience(1))
        self.seen = {}

    def peers(self, *configurations, minor=False):
        return list(configurations)

    def view(self, names, **_):
        return self.new_directory()

    def interleaved(self, configurations, run, *, rounds=None):
        self.seen.update((tool.label, tool) for tool in configurations)
        return {tool: figures_of(1) for tool in configurations}

    def attempt_all(self, configurations, run):
        self.interleaved(configurations, run)
        return {}

    def attempt(self, tool, run, *arguments):
        return None


WAL_G = {"WAL-G lz4", "WAL-G zstd", "WAL-G brotli"}
WAL_RUS = {"wal-rus zstd", "wal-rus zstd 3", "wal-rus lz4"}
BARMAN = {"barman-cloud zstd", "barman-cloud lz4", "barman-cloud gzip"}
SYNC = {"pgBackRest zst, sync x1", "pgBackRest lz4, sync x1"}
ASYNC = {f"pgBackRest zst, async x{n}" for n in (1, 2, 4)} | {"pgBackRest lz4, async x1"}
BACKUPS = {f"pgBackRest zst, sync x{n}" for n in (1, 2, 4)} | {"pgBackRest lz4, sync x1"}
WHO = {
    cases_wal.one_push_to_a_directory: SYNC | WAL_G | WAL_RUS | {"WAL-G lz4, WALG_PREVENT_WAL_OVERWRITE"},
    cases_wal.one_push_to_s3: SYNC | WAL_G | WAL_RUS | BARMAN
    | {"WAL-G lz4, WALG_PREVENT_WAL_OVERWRITE", "pgBackRest zst, sync x1, HTTP"},
    cases_wal.backlog_to_s3: ASYNC | WAL_G | WAL_RUS | BARMAN | {"WAL-G zstd, PG_READY_RENAME", "walship zstd 3"},
    cases_wal.backlog_to_the_sink: ASYNC | WAL_G | WAL_RUS | BARMAN | {"WAL-G zstd, PG_READY_RENAME"},
    cases_wal.fetches_by_a_loop: ASYNC | WAL_G | WAL_RUS | BARMAN | {"walship zstd 3"},
    cases_wal.fetches_by_replay: ASYNC | WAL_G | WAL_RUS | {"walship zstd 3"},
    cases_wal.calls_for_each_kind_of_wal: SYNC | WAL_G | WAL_RUS | BARMAN,
    cases_base.backup_to_a_directory: BACKUPS | WAL_G | WAL_RUS,
    cases_base.restore_from_a_directory: BACKUPS | WAL_G | WAL_RUS,
    cases_base.backup_and_restore_on_s3: BACKUPS | WAL_G | WAL_RUS | BARMAN,
    cases_process.memory: SYNC - {"pgBackRest lz4, sync x1"} | WAL_G | WAL_RUS | BARMAN,
}


@pytest.mark.parametrize("case", WHO, ids=lambda case: case.__name__)
def test_every_peer_takes_part_in_every_case(case, directory, monkeypatch):
    for module in (cases_wal, cases_base, cases_process):
        for name in ("running_archiver", "running_big"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda bench: contextlib.nullcontext(types.SimpleNamespace(pgdata=directory)))
    monkeypatch.setattr(cases_wal, "median", lambda runs: runs[0])
    monkeypatch.setattr(cases_wal, "push_and_fetch", lambda *_: (figures_of(1), figures_of(1)))
    bench = Spy(directory)
    if case is cases_wal.calls_for_each_kind_of_wal:  # its tables need what run() notes
        bench.interleaved = lambda found, run, **_: bench.seen.update((t.label, t) for t in found) or {t: run(t) for t in found}
    case(bench)
    assert WHO[case] | {"walship brotli", "walship zstd"} <= set(bench.seen)


def test_every_time_has_its_bytes_and_its_memory_beside_it():
    text = report.table("T", {Stub("walship brotli"): figures_of(2, 4000), Stub("x", "wal-g", is_slow=True): figures_of(1, 3, n=1)})
    heads, _, *rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert dict(zip(heads, rows[0])).items() >= {"peak MiB": "7", "stored bytes": "4,000", "time, walship = 1": "1.00"}.items()
    assert dict(zip(heads, rows[1]))["stored bytes"] == "3"


@pytest.mark.parametrize(
    "ours, theirs, expected",
    [
        ([("a", 1, 100)], [("p", 2, 100)], ("p", 0.5)),
        ([("a", 1, 100), ("b", 3, 90)], [("p", 2, 90)], ("p", 1.5)),  # the faster one stores more
        ([("a", 1, 103)], [("p", 2, 100)], ("p", 0.5)),  # as many, nearly
        ([("a", 1, 104)], [("p", 2, 100)], ("p", None)),
        ([("a", 4, 100)], [("p", 5, 100), ("q", 2, 150), ("r", 8, 300)], ("q", 2)),  # the hardest of all
        ([("a", 1, 120)], [("q", 2, 150), ("p", 9, 100)], ("p", None)),
    ],
)
def test_the_bar_at_equal_bytes(ours, theirs, expected):
    assert benching.hardest_at_equal_bytes(ours, theirs) == expected


def test_the_bar_at_equal_bytes_says_whom_it_is_about(directory):
    bench = make_bench(directory)
    ours, peer, slow = Stub("walship zstd"), Stub("wal-rus lz4", "wal-rus"), Stub("barman-cloud zstd", "barman-cloud", is_slow=True)
    bench.compare_at_equal_bytes("a", {ours: figures_of(1, n=9), peer: figures_of(2, n=9), slow: figures_of(0.1, n=2)})
    bench.compare_at_equal_bytes("b", {ours: figures_of(3), peer: figures_of(2)})
    bench.compare_at_equal_bytes("c", {ours: figures_of(1, 200), peer: figures_of(2, 100)})
    bench.compare_at_equal_bytes("d", {ours: figures_of(1)})
    assert [(bar.measured, bar.is_met) for bar in bench.bars] == [
        ("0.50 x (wal-rus lz4)", True), ("1.50 x (wal-rus lz4)", False), ("only wal-rus lz4 stores so little", False), ("", None)
    ]  # fmt: skip


def test_a_sum_of_memory_is_that_of_the_tool_and_not_of_others():
    with measure.TreeMemory(("sleep",), 0.01) as peak:
        subprocess.run(["sh", "-c", "sleep 0.3 & sleep 0.3; wait"], check=True)
    with measure.TreeMemory(("wal-g",), 0.01) as other:
        subprocess.run(["sleep", "0.1"], check=True)
    assert 0 < peak.mib < 50 and other.mib == 0


# The whole of it


# The harness itself, on little data of which the server's template is shared with other tests.
DRIVER = """
import functools, runpy, sys
from pathlib import Path
from walship_testing import server
from walship_bench import cases_wal, data, peers

def make_wal(factory, n_segments):
    made = factory.new(name="archived", archive_mode="on", archive_command="", **data.QUIET)
    made.start(timeout=60)
    made.sql("CREATE TABLE t (a int)")
    first = made.current_insert_segment()
    for _ in range(4):
        made.sql("INSERT INTO t VALUES (1)")
        made.switch_wal()
    names = data.segments_between(first, made.current_insert_segment())
    made.stop(timeout=60)
    return data.Wal(made.pgdata, made.pgdata, dict.fromkeys(names, "OLTP"), "")

data.make_wal = make_wal
templates = Path(sys.argv.pop(1))
data.pg.ServerFactory = (lambda factory: lambda place, cache: factory(place, templates))(data.pg.ServerFactory)
cases_wal.STORE_PATIENCE = 1
peers.PREPARATION_PATIENCE = 2
sys.argv[0] = "test/bench/run"
runpy.run_module("walship_bench", run_name="__main__", alter_sys=True)
"""


def test_the_bars_beside_the_best_of_all_peers(directory):
    bench = make_bench(directory)
    auto, near, far, few = Stub("walship auto"), Stub("wal-rus zstd", "wal-rus"), Stub("WAL-G lz4", "wal-g"), Stub("p", "pgbackrest")
    found = {auto: figures_of(1, 100), near: figures_of(2, 104), far: figures_of(0.1, 150), few: figures_of(0.1, 90)}
    bench.compare_with_best("a", found, {"auto": 0.5, "zstd": 1})
    bench.compare_with_best("b", found, {"auto": 0.9}, more_bytes=1.2)
    bench.compare_with_best("c", {auto: figures_of(1, 100), far: figures_of(0.1, 150)}, {"auto": 0.9})
    bench.compare_with_best("d", {auto: figures_of(1, 100), far: figures_of(2, 114)}, {"auto": 0.9})
    bench.compare_with_best("e", {auto: figures_of(1, 100), near: figures_of(2, 104), far: figures_of(0.5, 114)}, {"auto": 0.9})
    bench.compare_with_best("f", found, {"auto": 0.5}, peer="wal-g")
    assert [(bar.codec, bar.measured, bar.is_met) for bar in bench.bars] == [
        ("auto", "0.50 x (wal-rus zstd: 2.000 s, 1.04 x the bytes)", True), ("zstd", "", None),
        ("auto", "10.00 x (p: 0.100 s, 0.90 x the bytes)", False), ("auto", "", None),
        ("auto", "0.50 x (WAL-G lz4: 2.000 s, 1.14 x the bytes)", True),
        ("auto", "0.50 x (wal-rus zstd: 2.000 s, 1.04 x the bytes); 2.00 x (WAL-G lz4: 0.500 s, 1.14 x the bytes)", True),
        ("auto", "10.00 x (WAL-G lz4: 0.100 s, 1.50 x the bytes)", False),
    ]  # fmt: skip
    assert [bar.case for bar in bench.bars][-2:] == ["e: time, the best peer's = 1", "f: time, wal-g's = 1"]


@pytest.mark.parametrize(
    "theirs, who",
    [
        ([(2, 1.0, "p"), (1, 1.05, "q")], "q"),  # the fastest of those that store as many
        ([(2, 0.95, "p"), (1, 1.06, "q")], "q"),  # q stores somewhat more than walship, and nobody as many
        ([(2, 0.96, "p"), (1, 1.06, "q")], "p"),
        ([(2, 1.08, "p"), (1, 1.14, "q"), (0.1, 1.2, "r")], "q"),  # nobody stores as many
        ([(1, 0.5, "p"), (1, 1.2, "q")], None),
        ([], None),
    ],
)
def test_the_best_peer_is_one_that_stores_as_many_bytes(theirs, who):
    best = benching.best_at_equal_bytes(theirs)
    assert (best and best[2]) == who


def test_the_bar_on_bytes_is_beside_the_smallest_of_pgbackrest(directory):
    bench = make_bench(directory)
    found = {Stub("walship auto"): figures_of(1, 105), Stub("p", "pgbackrest"): figures_of(1, 100), Stub("q", "wal-g"): figures_of(1, 1)}
    bench.compare_bytes("a", found, {"auto": 1.10, "brotli": 1})
    bench.compare_bytes("a", found, {"auto": 1.04})
    assert [(bar.wanted, bar.measured, bar.is_met) for bar in bench.bars] == [
        ("<= 1.10 x", "1.05 x", True), ("<= 1.04 x", "1.05 x", False)
    ]  # fmt: skip


def test_a_short_run_measures_nothing_under_two_names(directory):
    bench = make_bench(directory)
    labels = {work: [tool.label for tool in bench.ours(work)] for work in ("segment", "base", None)}
    assert all(found == ["walship auto", "walship brotli", "walship zstd"] for found in labels.values())
    bench.short = True
    labels = {work: [tool.label for tool in bench.ours(work)] for work in ("segment", "base", None)}
    assert labels["segment"] == ["walship auto", "walship zstd"] and labels["base"] == ["walship auto", "walship brotli"]
    assert len(labels[None]) == 3
    auto, peer = Stub("walship auto"), Stub("pgBackRest zst", "pgbackrest")
    bench.compare("a", {auto: figures_of(1), peer: figures_of(2)}, at_most={"brotli": 0.7})
    assert [(bar.codec, bar.measured) for bar in bench.bars] == [("brotli", "0.50 x")]


def test_a_short_run_has_of_each_peer_its_default_and_its_best(directory, programs):
    for name in ("pgbackrest", "wal-g", "walrus"):
        programs(name, "echo 2.60")
    bench = make_bench(directory)
    everyone = (peers.PGBACKREST, peers.PGBACKREST_LZ4, peers.PGBACKREST_HTTP, *peers.WALG, peers.WALG_CAREFUL, *peers.WALRUS)
    assert len(bench.peers(*everyone)) == len(everyone)
    bench.short = True
    assert [tool.label for tool in bench.peers(*everyone)] == [
        "pgBackRest zst, sync x1", "WAL-G lz4", "WAL-G zstd", "wal-rus zstd 3", "wal-rus lz4"
    ]  # fmt: skip
    assert len(bench.peers(*everyone, minor=True)) == len(everyone)


class Clock:
    """In place of the module "time"."""

    strftime = time.strftime

    def __init__(self):
        self.now = 1000

    def monotonic(self):
        return self.now


@pytest.mark.parametrize("left, n", [(0, 1), (19, 1), (20, 2), (45, 4), (3600, 5)])
def test_a_round_begins_only_where_it_ends_in_time(left, n, directory, monkeypatch):
    clock, bench = Clock(), make_bench(directory, rounds=5)
    monkeypatch.setattr(benching, "time", clock)

    def run(_):
        clock.now += 5
        return figures_of(5)

    bench.until = clock.now + left
    assert [figures.n_runs for figures in bench.interleaved([Stub("a"), Stub("b")], run).values()] == [n, n]


def test_what_the_first_round_prepares_is_not_expected_of_the_next_ones(directory, monkeypatch):
    clock, bench = Clock(), make_bench(directory, rounds=3)
    monkeypatch.setattr(benching, "time", clock)

    def run(_):
        clock.now += 100 if clock.now == 1000 else 8
        return figures_of(8)

    bench.until = clock.now + 120
    assert [figures.n_runs for figures in bench.interleaved([Stub("a")], run).values()] == [3]


def test_what_is_left_of_the_time_is_shared(directory, monkeypatch):
    clock, bench = Clock(), make_bench(directory)
    monkeypatch.setattr(benching, "time", clock)
    assert list(bench.in_shares("ab")) == ["a", "b"] and bench.until is None
    bench.until = 1000 + 3000
    shares = []
    for _ in bench.in_shares("abc"):
        shares.append(bench.until - clock.now)
        clock.now += 400
    assert shares == [1000, 1300, 2200] and bench.until == 4000


def test_files_that_are_read_are_counted():
    log = """openat(AT_FDCWD</tmp>, "/store/1/a", O_RDONLY|O_CLOEXEC) = 3</store/1/a>
openat(3</store>, "1", O_RDONLY|O_DIRECTORY) = 4</store/1>
openat(4</store/1>, "b", O_RDONLY) = 5</store/1/b>
openat(4</store/1>, "c", O_RDONLY) = -1 ENOENT (No such file or directory)
openat(AT_FDCWD</tmp>, "/stored", O_RDONLY) = 6</stored>
"""
    assert cases_growth.n_files_read(log, Path("/store")) == 2


@pytest.mark.parametrize(
    "points, power, words",
    [
        ([(1, 5), (10, 1), (100, 10)], 1, "as the size does (power 1.0)"),  # of the two largest: a process has a cost of its own
        ([(10, 3), (100, 3)], 0, "hardly at all (power 0.0)"),
        ([(10, 1), (100, 3.16)], 0.5, "more slowly than the size (power 0.5)"),
        ([(10, 1), (100, 100)], 2, "FASTER THAN THE SIZE (power 2.0)"),
        ([(10, 1)], None, "cannot be told"),
        ([(10, 0), (100, 1)], None, "cannot be told"),
    ],
)
def test_how_fast_a_cost_grows(points, power, words):
    assert cases_growth.exponent(points) == (None if power is None else pytest.approx(power, abs=0.01))
    assert cases_growth.in_words(cases_growth.exponent(points)) == words


@pytest.fixture
def start_bench(cache, directory):
    """Starts the harness; what it prints goes to files."""
    started = []

    def start(*arguments):
        environment = clean_environment(
            PATH=os.environ["PATH"], PYTHONPATH=f"{BENCH}:{Path(__file__).parent}", WALSHIP_BIN=str(binary()),
            PYTHONDONTWRITEBYTECODE="1",
        )  # fmt: skip
        (directory / "bench").mkdir(exist_ok=True)
        command = ["/usr/bin/python3", "-c", DRIVER, str(cache), "--cache", str(directory / "bench"), "--quick", *arguments]
        with open(directory / "out", "w") as out, open(directory / "err", "w") as err:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(20)


def processes_of(place):
    """Whose command lines name it."""
    found = subprocess.run(["pgrep", "-f", str(place)], capture_output=True, text=True).stdout.split()
    return [int(pid) for pid in found]


def test_peers_that_fail_hang_and_store_nothing_are_named_and_the_rest_is_measured(programs, directory, start_bench):
    programs("pgbackrest", "echo it always fails; exit 9")
    programs("wal-g", "sleep 300")
    programs("walrus", "exit 0")
    process = start_bench("--peers", "pgbackrest,wal-g,wal-rus", "--patience", "3", "push-directory")
    assert process.wait(50) == 1, (directory / "err").read_text()
    text = (directory / "out").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    failed = {row[1]: row[2] for row in rows if row[0] == "push-directory"}
    assert "it always fails" in failed["pgBackRest zst, sync x1"]
    assert "HUNG" in failed["WAL-G lz4"] and "not asked again" in failed["WAL-G brotli"]
    assert "not in the store" in failed["wal-rus zstd"]
    assert not any("walship" in who for who in failed), failed
    measured = [row[0] for row in rows if re.fullmatch(r"\d+\.\d{3}", row[1])]
    assert measured == ["walship auto", "walship brotli", "walship zstd", "walship zstd 1"], text
    assert "### Bars" in text and "barman-cloud" not in text
    assert processes_of(directory / "bench") == []


@pytest.mark.s3_only
def test_a_signal_ends_everything_that_the_harness_started(s3, programs, directory, start_bench):
    walrus = programs("walrus", f"touch {directory}/hangs; sleep 300")
    process = start_bench("--peers", "wal-rus", "--patience", "99", "backlog-s3")
    # The archiver waits for the peer that hangs; its server, the S3 server and the network run.
    wait_until((directory / "hangs").exists, "it hangs", timeout=40)
    running = processes_of(directory / "bench") + processes_of(walrus)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 128 + signal.SIGTERM
    assert len(running) > 3 and not any(map(is_running, running)), (directory / "err").read_text()
    assert processes_of(directory / "bench") == [] and not list((directory / "bench").glob("work-*"))


def test_two_runs_do_not_share_a_cache_and_a_killed_one_leaves_nothing_there(directory, start_bench):
    left = directory / "bench/work-1"
    left.mkdir(parents=True)
    with open(directory / "bench/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert start_bench("--peers", "none", "push-directory").wait(20) == 1
    assert "another run works in" in (directory / "err").read_text() and left.exists()
    assert start_bench("--peers", "none", "push-directory").wait(50) == 0
    assert not left.exists() and "| walship zstd |" in (directory / "out").read_text()


def test_what_does_not_begin_in_time_is_said(directory, start_bench):
    assert start_bench("--peers", "none", "--minutes", "0.001", "--short", "starts", "push-directory").wait(50) == 1
    text = (directory / "out").read_text()
    assert "| push-directory | the case | not begun: 0.001 minutes are over |" in text


def test_a_peer_that_does_not_exist_is_refused(directory, start_bench):
    assert start_bench("--peers", "pgbackrest,walg").wait(20) == 2
    assert "no such peer: walg" in (directory / "err").read_text()


def test_the_network_is_built_after_a_build_without_tests(programs, directory, monkeypatch):
    programs("cmake", f'echo "$@" >>{shlex.quote(str(directory / "cmake"))}')
    for name in ("pgbackrest", "barman-cloud-wal-archive"):
        programs(name, ":")
    environment = {**os.environ, "WALSHIP_BENCH_CACHE": str(directory / "cache"), "HOME": os.environ["HOME"]}
    environment.pop("WALSHIP_BIN", None)
    done = subprocess.run([BENCH / "run", "no-such-case"], env=environment, capture_output=True, text=True, timeout=50)
    assert done.returncode == 2 and "no such case" in done.stderr, done.stderr
    configured, built = (directory / "cmake").read_text().splitlines()
    assert configured == "--preset release -DWALSHIP_TESTS=ON"
    assert built.split("--target ")[1].split() == ["delay_proxy", "s3_sink", "walship"]


def test_helpers_are_found_beside_the_program_or_where_it_is_said(programs, directory, monkeypatch):
    assert helper_program("s3_sink").parent == binary().parent / "test"
    program = Path(programs("s3_sink", ":"))
    monkeypatch.setenv("WALSHIP_HELPERS", str(program.parent))
    assert helper_program("s3_sink") == program

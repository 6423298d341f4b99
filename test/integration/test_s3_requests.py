"""What walship sends to an S3 server, and to whom: how many requests, how they are addressed, trust and secrets."""
import hashlib
import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from walship_testing import faultproxy as fault
from walship_testing import wal
from walship_testing.proc import clean_environment, run, run_ok, wait_until
from walship_testing.s3 import PREFIX
from walship_testing.wal import MIB
from walship_testing.walship import Walship

pytestmark = pytest.mark.s3_only


@pytest.fixture
def tls_store(s3, directory):
    made = s3.new_store(directory / "tls-copies", tls=True)
    yield made
    made.close()


@pytest.fixture
def over_tls(tls_store, directory):
    return tls_store.known_to(Walship(directory / "walship-tls", tls_store.settings))


# How many


@pytest.mark.smoke
@pytest.mark.parametrize("segment_mib", [1, 16, 64])
def test_push_is_one_request_and_fetch_is_one_request(walship, proxy, datadir_factory, segment_mib):
    datadir = datadir_factory(segment_size=segment_mib)
    salt = os.urandom(segment_mib * MIB // 2)
    name = datadir.segment(1, 5, segment_size=segment_mib * MIB, salt=salt)
    datadir.push(walship, name)
    assert [request.method for request in proxy.seen()] == ["PUT"], proxy.log()
    assert proxy.requests[0].headers["if-none-match"] == "*"
    proxy.clear()
    datadir.fetch(walship, name)
    assert [request.method for request in proxy.seen()] == ["GET"], proxy.log()
    assert proxy.n_connections == 1
    assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()


def test_it_stays_so_after_check_has_probed_the_server(walship, proxy, datadir):
    walship.run("check", "--store-only")
    name = datadir.segment(1, 5)
    for command, method in ((datadir.push, "PUT"), (datadir.fetch, "GET")):
        proxy.clear()
        command(walship, name)
        assert [request.method for request in proxy.seen()] == [method], proxy.log()


def test_the_first_write_to_a_bucket_proves_that_it_is_not_overwritten(walship, store, proxy, directory, datadir):
    """One small request more, or two where nobody did it before; once for each machine."""
    for n, machine in enumerate(["first", "second"]):
        fresh = Walship(directory / machine, store.settings)
        proxy.clear()
        datadir.push(fresh, datadir.segment(1, 5 + n))
        *proofs, segment = proxy.seen()
        assert len(proofs) == 2 - n and all(proof.path.endswith("/walship-check.json") for proof in proofs), proxy.log()
        assert {request.headers["if-none-match"] for request in proxy.seen()} == {"*"}
        assert max(int(proof.headers["content-length"]) for proof in proofs) < 100
        proxy.clear()
        datadir.push(fresh, datadir.segment(1, 10 + n))
        assert [request.method for request in proxy.seen()] == ["PUT"], proxy.log()


def test_of_many_segments_at_once_one_proves_it(store, proxy, directory, datadir):
    fresh = Walship(directory / "fresh", {**store.settings, "jobs": 4})
    names = [datadir.segment(1, segno) for segno in range(5, 15)]
    for name in names:
        (datadir.wal / f"archive_status/{name}.ready").touch()
    time.sleep(0.2)  # files that were changed just now are not taken along
    datadir.push(fresh, names[0])
    assert proxy.count("PUT", "walship-check.json") == 2, proxy.log()
    assert proxy.count("PUT", r"/wal/") == len(store.keys()) > 1, proxy.log()


def test_who_may_not_write_that_object_looks_before_each_segment(store, proxy, directory, datadir):
    fresh = Walship(directory / "fresh", store.settings)
    name = datadir.segment(1, 5, salt=b"one")
    with store.denied("PutObject", keys=("walship-check.json",)):
        datadir.push(fresh, name)
        assert [request.method for request in proxy.seen()] == ["PUT", "HEAD", "GET", "PUT"], proxy.log()
        datadir.segment(1, 5, salt=b"two")
        datadir.push(fresh, name, 3, says="other contents")
    proxy.clear()
    datadir.push(fresh, datadir.segment(1, 6))
    assert [request.method for request in proxy.seen()] == ["PUT", "PUT", "PUT"], proxy.log()


def test_a_real_server_costs_one_request_per_segment(server, proxy):
    proxy.clear()
    for _ in range(3):
        server.write_rows(100)
        server.switch_and_archive()
    assert {request.method for request in proxy.seen()} == {"PUT"}, proxy.log()
    assert proxy.count() == len({request.path for request in proxy.seen()})


def test_an_absent_segment_is_one_request_by_hand(walship, proxy, datadir):
    datadir.push(walship, datadir.segment(1, 5))
    proxy.clear()
    datadir.fetch(walship, wal.segment_name(1, 6), 1)
    assert proxy.count() == 1, proxy.log()


def test_of_requests_only_what_is_needed_is_sent(walship, proxy, datadir):
    datadir.push(walship, datadir.segment(1, 5))
    headers = proxy.requests[0].headers
    assert len(headers["x-amz-content-sha256"]) == 64 and "content-md5" in headers and "content-length" in headers
    assert not {"expect", "transfer-encoding", "x-amz-storage-class", "x-amz-server-side-encryption"} & set(headers)
    assert not [name for name in headers if "checksum" in name]
    signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    assert {"host", "x-amz-date", "x-amz-content-sha256", "content-md5", "if-none-match"} <= set(signed)
    assert not {"content-length", "user-agent", "accept-encoding"} & set(signed)


def test_storage_class_and_encryption_are_sent_when_they_are_set(walship, store, proxy, datadir):
    walship.configure(s3_storage_class="STANDARD", s3_sse="aws:kms", s3_sse_kms_key_id="testkey-1")
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    headers = proxy.requests[0].headers
    assert headers["x-amz-storage-class"] == "STANDARD"
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "testkey-1"
    head = store.client.head_object(**store.of(datadir.key(name)))
    assert head["ServerSideEncryption"] == "aws:kms" and head["SSEKMSKeyId"] == "testkey-1"
    datadir.fetch(walship, name)


def test_one_connection_serves_the_requests_of_one_command(walship, proxy):
    walship.ok("check", "--store-only")
    assert proxy.count() >= 2 and proxy.n_connections == 1, proxy.log()


def test_over_tls_each_command_makes_one_connection(over_tls, tls_store, datadir):
    datadir.push(over_tls, datadir.segment(1, 5))
    assert tls_store.proxy.count() == tls_store.proxy.n_connections == 1
    tls_store.proxy.clear()
    over_tls.ok("check", "--store-only")
    assert tls_store.proxy.count() >= 2 and tls_store.proxy.n_connections == 1


# Connected while the segment is read


SLOW = {"compression": "brotli", "compression_level": 9}  # about a second for a segment


def test_a_push_connects_before_it_knows_what_it_sends(walship, proxy, datadir, real_wal):
    """Also a push that finds out at the end that it has nothing to send: the connection was there before."""
    walship.configure(wal_check="strict", **SLOW)
    name = real_wal.into(datadir)[-1]
    with (datadir.wal / name).open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([byte[0] ^ 0x10]))
    datadir.push(walship, name, 6)
    wait_until(lambda: proxy.n_connections == 1, "there was a connection")
    assert proxy.count() == 0, proxy.log()


def test_a_push_sends_one_request_of_known_size_on_that_connection(walship, store, proxy, datadir):
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    (request,) = proxy.seen()
    assert proxy.n_connections == 1
    assert int(request.headers["content-length"]) == len(store.read(datadir.key(name)))
    assert "transfer-encoding" not in request.headers and "expect" not in request.headers


@pytest.mark.parametrize("settings", [SLOW, {**SLOW, "push_deadline": "1s"}], ids=["", "past its deadline"])
def test_a_server_that_does_not_wait_gets_the_request_at_once_by_another_connection(
    walship, store, proxy, datadir, real_wal, settings
):
    walship.configure(**settings)
    name = real_wal.into(datadir)[-1]
    proxy.idle_limit = 0.1
    push = walship.start("push", f"pg_wal/{name}", cwd=datadir.path)
    wait_until(lambda: proxy.n_connections > 0 and not proxy.clients, "the server has closed the first connection")
    proxy.idle_limit = 60
    _, err = push.communicate(timeout=30)
    assert push.returncode == 0 and b"trying again" not in err, err
    assert proxy.n_connections == 2 and proxy.count() == 1, proxy.log()
    assert store.read(datadir.key(name))


@pytest.mark.parametrize("settings", [{}, SLOW], ids=["waiting for the server", "waiting for the segment"])
def test_a_push_that_is_told_to_end_while_it_connects_ends(walship, datadir, real_wal, settings):
    """To a port where nobody answers a handshake."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        walship.configure(s3_endpoint=f"https://127.0.0.1:{deaf.getsockname()[1]}", **settings)
        deaf.settimeout(20)
        push = walship.start("push", f"pg_wal/{real_wal.into(datadir)[-1]}", cwd=datadir.path)
        connection, _ = deaf.accept()
        with connection:
            time.sleep(0.1)
            push.terminate()
            began = time.monotonic()
            push.communicate(timeout=20)
        assert push.returncode == 4 and time.monotonic() - began < 3


def test_a_connection_that_was_idle_for_too_long_is_replaced(server, walship, proxy):
    """By the backup, which has pauses between its requests."""
    proxy.idle_limit = 0.5
    walship.ok("backup", "--fast", "--max-rate", "5MB", env=server.pg_environment)


# Where to


def test_buckets_are_addressed_by_host_name_where_the_server_has_it_so(walship, s3, store, proxy, datadir):
    walship.configure(s3_endpoint=f"http://{s3.domain}:{proxy.port}", s3_path_style="off")
    store.known_to(walship)
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    datadir.fetch(walship, name)
    assert store.keys() == [datadir.key(name)]
    for request in proxy.seen():
        assert request.headers["host"] == f"{store.bucket}.{s3.domain}:{proxy.port}"
        assert request.path == f"/{PREFIX}/{datadir.key(name)}"


def test_and_so_over_tls_with_a_certificate_for_all_of_them(over_tls, s3, tls_store, datadir):
    over_tls.configure(s3_endpoint=f"https://{s3.domain}:{tls_store.proxy.port}", s3_path_style="off")
    name = datadir.segment(1, 5)
    datadir.push(over_tls, name)
    datadir.fetch(over_tls, name)
    assert tls_store.proxy.requests[0].headers["host"].startswith(f"{tls_store.bucket}.{s3.domain}")


def test_a_store_may_be_a_whole_bucket(walship, s3, store, datadir):
    walship.configure(store=f"s3://{store.bucket}")
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    datadir.fetch(walship, name)
    assert [entry["Key"] for entry in store.client.list_objects_v2(Bucket=store.bucket)["Contents"]] == [
        datadir.key(name)
    ]


def test_prefixes_of_several_parts_keep_to_themselves(walship, store, directory, datadir):
    deep = store.known_to(Walship(directory / "deep", {**store.settings, "store": f"{store.url}/of/db-1"}))
    name = datadir.segment(1, 5)
    datadir.push(deep, name)
    assert store.keys() == [f"of/db-1/{datadir.key(name)}"]
    datadir.fetch(walship, name, 1)
    datadir.fetch(deep, name)


def test_more_than_a_thousand_objects_are_listed(walship, store, datadir):
    """A page has a thousand at most."""
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    content = store.read(datadir.key(name))
    template = datadir.key(name)
    threads = [
        threading.Thread(
            target=lambda first=first: [
                store.write(template.replace(name, wal.segment_name(1, segno)), content)
                for segno in range(first, 1100, 4)
            ]
        )
        for first in range(6, 10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.keys()) > 1000
    store.proxy.clear()
    listing = json.loads(walship.ok("list", "--json").out)
    assert store.proxy.count("GET", "list-type=2") >= 2
    assert listing["timelines"][0]["segments"] == len(store.keys())


# Whom to trust


def test_over_tls_with_the_right_authority_all_is_well(over_tls, datadir):
    name = datadir.segment(1, 5)
    datadir.push(over_tls, name)
    datadir.fetch(over_tls, name)


@pytest.mark.smoke
@pytest.mark.parametrize("authority", ["another one", "the system's"])
def test_a_certificate_of_an_unknown_authority_is_refused(over_tls, s3, tls_store, datadir, authority):
    over_tls.configure(s3_ca_file=s3.other_ca_file if authority == "another one" else None)
    name = datadir.segment(1, 5)
    result = datadir.push(over_tls, name, 5, says="certificate")
    assert result.seconds < 5
    assert "s3_ca_file" in result.err
    assert tls_store.proxy.count() == 0 and tls_store.keys() == []
    (datadir.path / "recovery.signal").touch()
    over_tls.configure(fetch_deadline="1s")
    datadir.fetch(over_tls, name, 200, says="certificate")


def test_a_certificate_for_another_name_is_refused(over_tls, tls_store, datadir):
    over_tls.configure(s3_endpoint=f"https://other.localhost:{tls_store.proxy.port}")
    datadir.push(over_tls, datadir.segment(1, 5), 5, says="certificate")
    assert tls_store.proxy.count() == 0


def test_a_file_of_authorities_that_is_not_there_is_named(over_tls, datadir):
    over_tls.configure(s3_ca_file="/no/such/file.crt")
    result = datadir.push(over_tls, datadir.segment(1, 5), None)
    assert result.rc in (2, 5, 7) and "/no/such/file.crt" in result.err, str(result)


def test_a_server_without_tls_where_tls_is_expected_is_no_success(walship, store, proxy, datadir):
    walship.configure(s3_endpoint=proxy.endpoint.replace("http:", "https:"), push_deadline="2s")
    result = datadir.push(walship, datadir.segment(1, 5), 4)
    assert result.seconds < 10
    assert store.keys() == []


# Who one is


def test_a_wrong_secret_is_denied(walship, store, datadir):
    walship.configure(s3_secret_access_key="Wrong" * 8)
    result = datadir.push(walship, datadir.segment(1, 5), 5, says="SignatureDoesNotMatch")
    assert "Wrong" * 8 not in result.err
    assert store.keys() == []


def test_an_unknown_key_is_denied(walship, datadir):
    walship.configure(s3_access_key_id="NOBODYSACCESSKEY0001")
    datadir.push(walship, datadir.segment(1, 5), 5, says="InvalidAccessKeyId")


@pytest.mark.parametrize("signal_file, expected", [(None, 5), ("standby.signal", 5), ("recovery.signal", 200)])
def test_a_wrong_secret_is_no_absence(walship, datadir, signal_file, expected):
    datadir.push(walship, datadir.segment(1, 5))
    walship.configure(s3_secret_access_key="Wrong" * 8, fetch_deadline="1s")
    if signal_file:
        (datadir.path / signal_file).touch()
    datadir.fetch(walship, wal.segment_name(1, 5), expected)
    datadir.fetch(walship, wal.segment_name(1, 6), expected)


@pytest.mark.parametrize("signal_file, expected", [(None, 4), ("recovery.signal", 200)])
def test_a_wrong_bucket_is_no_absence(walship, store, datadir, signal_file, expected):
    walship.configure(store=f"s3://{store.bucket}-wrong/archive", fetch_deadline="1s")
    if signal_file:
        (datadir.path / signal_file).touch()
    datadir.fetch(walship, wal.segment_name(1, 5), expected, says="bucket")


def test_no_keys_at_all_say_which_settings_they_go_into(walship, proxy, datadir):
    walship.configure(s3_access_key_id=None, s3_secret_access_key=None)
    result = datadir.push(walship, datadir.segment(1, 5), None)
    assert result.rc in (2, 5) and "s3_access_key_id" in result.err and proxy.count() == 0, str(result)


def test_keys_come_from_the_environment(walship, s3, store, datadir):
    walship.configure(s3_access_key_id=None, s3_secret_access_key=None)
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    datadir.push(walship, datadir.segment(1, 5), env=keys)


def test_keys_come_from_a_profile(walship, s3, directory, datadir):
    walship.configure(s3_access_key_id=None, s3_secret_access_key=None)
    profile = directory / "credentials"
    profile.write_text(
        "[default]\naws_access_key_id = NOBODY\naws_secret_access_key = nothing\n\n"
        f"[of-the-archive]\naws_access_key_id={s3.access_key}\naws_secret_access_key={s3.secret_key}\n"
    )
    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(profile)}
    datadir.push(walship, datadir.segment(1, 5), 5, env=environment)
    datadir.push(walship, datadir.segment(1, 5), env={**environment, "AWS_PROFILE": "of-the-archive"})


def test_a_secret_in_a_file_that_others_can_read_is_refused(walship, proxy, datadir):
    walship.config.chmod(0o644)
    datadir.push(walship, datadir.segment(1, 5), 2, says=str(walship.config))
    assert proxy.count() == 0


# Secrets


def test_no_secret_is_seen_anywhere(walship, s3, store, proxy, datadir):
    """Not in messages, not in the list of processes, not in the state directory, not in "walship config"."""
    walship.configure(log_level="debug", push_deadline="2s")
    proxy.add(fault.delay(1), method="PUT")
    push = walship.start("push", f"pg_wal/{datadir.segment(1, 5)}", cwd=datadir.path)
    time.sleep(0.5)
    assert push.poll() is None
    # Only ours: others on the machine may hold signed URLs, and our S3 servers are told the key when they start.
    processes = run(["ps", "-fww", "-C", push.args[0].rpartition("/")[2]]).out
    assert str(push.pid) in processes
    command = Path(f"/proc/{push.pid}/cmdline").read_bytes().decode()
    out, err = push.communicate(timeout=20)
    texts = [processes, command, out.decode(), err.decode()]
    proxy.add(fault.answer(403, "AccessDenied"), method="PUT")
    texts.append(str(datadir.push(walship, datadir.segment(1, 6), 5)))
    texts.append(str(walship.run("check", "--store-only")))
    texts.append(str(walship.ok("config")))
    texts += [path.read_text() for path in walship.state_dir.rglob("*") if path.is_file()]
    for text in texts:
        assert s3.secret_key not in text
        assert "Signature=" not in text
    assert s3.secret_key in walship.config.read_text()


def test_a_secret_is_no_flag(walship):
    walship.fails(2, "push", "--s3-secret-access-key", "x", "y")


def test_a_password_of_a_proxy_is_not_shown(walship, datadir):
    environment = {"http_proxy": "http://someone:hush-hush@127.0.0.1:1", "no_proxy": ""}
    walship.configure(push_deadline="1s")
    result = datadir.push(walship, datadir.segment(1, 5), 4, env=environment)
    assert "hush-hush" not in result.err


# What the server can do


def test_check_finds_out_that_the_server_keeps_the_first(walship, store, proxy):
    result = walship.ok("check", "--store-only")
    assert "If-None-Match" in result.out
    assert store.keys() == []


@pytest.mark.parametrize("what", [fault.refuse_condition, fault.ignore_condition], ids=["not implemented", "ignored"])
def test_check_says_when_the_server_does_not(walship, proxy, what, request):
    proxy.add(what, method="PUT", times=None)
    result = walship.run("check", "--store-only")
    assert "If-None-Match" in result.out and request.node.callspec.id.split("-")[-1] in result.out, str(result)


@pytest.mark.parametrize("what", [fault.refuse_condition, fault.ignore_condition], ids=["refused", "ignored"])
def test_what_check_found_out_is_remembered(walship, proxy, datadir, what):
    proxy.add(what, method="PUT", times=None)
    walship.run("check", "--store-only")
    proxy.clear()
    proxy.add(what, method="PUT", times=None)
    datadir.push(walship, datadir.segment(1, 5))
    assert [request.method for request in proxy.seen()] in (["HEAD", "PUT"], ["HEAD", "GET", "PUT"]), proxy.log()
    assert "if-none-match" not in proxy.requests[-1].headers


def everything_in(store):
    return {entry["Key"] for entry in store.client.list_objects_v2(Bucket=store.bucket).get("Contents", ())}


def test_check_tries_a_key_that_never_was_and_keeps_one_object(walship, store, proxy):
    """What push does: the object that stays is found for ever, also where nothing new can be written."""
    for _ in range(2):
        proxy.clear()
        walship.ok("check", "--store-only")
        fresh = {request.path for request in proxy.seen() if request.method == "PUT" and "walship-check-" in request.path}
        assert len(fresh) == 1, proxy.log()
    assert [key.rpartition("/")[2] for key in everything_in(store)] == ["walship-check.json"]
    proxy.add(fault.answer(507, "QuotaExceeded", "full"), method="PUT", target="walship-check-", times=None)
    assert "FAIL  store" in walship.fails(8, "check", "--store-only").out


def test_check_by_a_key_that_may_only_add_leaves_two_objects_however_often_it_runs(walship, store):
    with store.denied("DeleteObject"):
        for _ in range(3):
            walship.ok("check", "--store-only")
            assert len(everything_in(store)) == 2
    walship.ok("check", "--store-only")
    assert len(everything_in(store)) == 1, "who may remove tidies up"


def test_check_without_the_bucket_says_so(walship, store):
    store.destroy()
    result = walship.fails(8, "check", "--store-only")
    assert "FAIL  store" in result.out and "bucket" in result.out


# Races


def test_of_two_writers_one_wins_each_of_a_hundred_times(walship, store, datadir, datadir_factory):
    """The same bytes are success for both, others a refusal; never is anything overwritten."""
    other = datadir_factory("other")
    environment = clean_environment()
    for number in range(100):
        same = number % 4 == 0
        name = datadir.segment(1, 5 + number, salt=b"one")
        other.segment(1, 5 + number, salt=b"one" if same else b"two")
        pushes = [
            subprocess.Popen(
                walship.command("push", f"pg_wal/{name}"),
                cwd=place.path,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for place in (datadir, other)
        ]
        said = [push.communicate(timeout=20)[1] for push in pushes]
        codes = [push.returncode for push in pushes]
        assert sorted(codes) == ([0, 0] if same else [0, 3]), said
        winner = (datadir, other)[codes.index(0)]
        index = store.read(datadir.key(name))[512:4096]
        assert hashlib.sha256((winner.wal / name).read_bytes()).hexdigest().encode() in index
        (datadir.wal / name).unlink()
        (other.wal / name).unlink()
    assert len(store.keys()) == 100


# Memory

PEAK_MIB = {"push": 64, "fetch": 64, "backup": 300}


def peak_memory(directory, command, *, cwd=None, env=None):
    """In MiB, as time(1) has it: a process that Python starts inherits its account of Python's own memory."""
    report = directory / "peak"
    run_ok(["/usr/bin/time", "-f", "%M", "-o", report, *command], cwd=cwd, env=env, timeout=50)
    return int(report.read_text()) / 1024


def test_memory_of_a_push_and_a_fetch_is_bounded(walship, datadir_factory, directory):
    datadir = datadir_factory(segment_size=64)
    name = datadir.segment(1, 5, segment_size=64 * MIB, salt=os.urandom(63 * MIB))
    push = walship.command("push", f"pg_wal/{name}")
    assert peak_memory(directory, push, cwd=datadir.path) < PEAK_MIB["push"]
    fetch = walship.command("fetch", name, "pg_wal/RECOVERYXLOG")
    assert peak_memory(directory, fetch, cwd=datadir.path) < PEAK_MIB["fetch"]


def test_memory_of_a_backup_is_bounded(walship, servers, store, directory):
    server = servers.new()
    for number in range(3):
        (server.pgdata / f"ballast{number}").write_bytes(os.urandom(128 * MIB))
    server.start()
    assert peak_memory(directory, walship.command("backup", "--fast"), env=server.pg_environment) < PEAK_MIB["backup"]
    assert store.uploads() == []

"""A backup of gigabytes on S3 takes no more memory than a small one."""
import json
import os

import pytest

import segments
from measure import MIB, measure, publish, row
from walship_testing.walship import Walship

pytestmark = pytest.mark.s3_only

GB = int(os.environ.get("WALSHIP_SOAK_GB", 5))
ROWS_PER_GB = 890_000  # with page and row headers
PEAK_LIMIT = 300  # MiB
PATIENCE = 1800  # seconds for one operation

# Half of it is noise, and a half is noise in hexadecimal digits: no codec makes it less than 3/4.
FILL = f"""
CREATE EXTENSION pgcrypto;
CREATE TABLE filling AS
    SELECT i AS id, gen_random_bytes(512) || convert_to(encode(gen_random_bytes(256), 'hex'), 'LATIN1') AS noise
    FROM generate_series(1, {GB * ROWS_PER_GB}) i
"""
DIGEST = "SELECT count(*) || ':' || sum(hashtext(encode(noise, 'base64'))::bigint) FROM filling"


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


@pytest.fixture
def big(servers):
    """A running server with so much data, and a digest of it."""
    # Tables made at wal_level minimal write no WAL.
    server = servers.new(name="big", wal_level="minimal", max_wal_senders=0, shared_buffers="128MB")
    server.start()
    for statement in FILL.split(";"):
        server.psql(statement, timeout=PATIENCE)
    digest = server.psql(DIGEST, timeout=PATIENCE)
    server.stop(timeout=120)
    server.configure(wal_level="replica", max_wal_senders=8)
    server.start()
    assert server.value("SELECT pg_database_size('postgres')") > GB * 0.97 * 1e9
    return server, digest


def test_backup_and_recovery_of_a_big_database_stay_within_their_memory(s3, servers, big, directory):
    server, digest = big
    size = server.value("SELECT pg_database_size('postgres')")
    store = s3.new_store(directory / "copies")
    walship = Walship(directory / "walship", {**store.settings, "s3_endpoint": s3.endpoint})

    command = walship.command("backup", "--fast", "--json")
    backup = measure(directory, command, env=server.pg_environment, timeout=PATIENCE)
    record = json.loads(backup.out)
    stored = stored_bytes(store, f"{record['system_id']}/")
    server.destroy()

    restored = servers.empty(name="restored")
    command = walship.command("recover", "--copy", "--immediate", "--pgdata", restored.pgdata)
    recovery = measure(directory, command, timeout=PATIENCE)
    title = f"Backup and recovery of {size:,} bytes, S3 over HTTP, once"
    publish(title, [row("backup", backup, stored), row("recover", recovery)])
    assert backup.peak < PEAK_LIMIT and recovery.peak < PEAK_LIMIT
    assert backup.peak * MIB < size and stored > size / 2, "the data was not what this test needs"
    assert store.uploads() == []

    restored.start(wait=False)
    restored.wait_paused(timeout=300)
    assert restored.psql(DIGEST, timeout=PATIENCE) == digest
    restored.destroy()


def test_push_and_fetch_of_one_segment_are_measured_on_every_kind_of_store(s3, servers, directory):
    server, name = segments.oltp_segment(servers)
    rows = segments.measure_segments(s3, server, name, directory)
    publish(f"One segment of 16 MiB, median of {segments.N_REPEATS} runs (memory: the highest)", rows)


def stored_bytes(store, prefix):
    pages = store.client.get_paginator("list_objects_v2").paginate(Bucket=store.bucket)
    return sum(entry["Size"] for page in pages for entry in page.get("Contents", []) if prefix in entry["Key"])

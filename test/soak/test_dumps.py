"""Dumps that are killed at random moments, of thousands of tables, of gigabytes.  Figures: docs/performance.md."""
import json
import os
import random
import re
import time

import pytest

from measure import measure, publish, row
from walship_testing import server as pg
from walship_testing.logical import HOSTILE, fingerprint, tell_logical_story
from walship_testing.proc import clean_environment, run_ok

pytestmark = pytest.mark.directory_only("what a dump stores goes the way of a backup's parts")
KILLS = 30


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


def test_dumps_are_killed_at_random_moments(servers, walship, store):
    server = servers.new(major=pg.default_major()).start()
    tell_logical_story(server)
    there = server.pg_environment
    began = time.monotonic()
    walship.ok("dump", HOSTILE, "--table-size", "1", env=there)
    whole = time.monotonic() - began
    chance = random.Random(20261129)
    ended = 1
    for _ in range(KILLS):
        process = walship.start("dump", HOSTILE, "--table-size", "1", env=there)
        time.sleep(chance.uniform(0, whole * 1.1))
        process.kill()
        ended += process.wait(20) == 0
        process.communicate()
        listed = json.loads(walship.ok("list", "--dumps", "--json").out)
        assert listed["damaged"] == []
        records = [key for key in store.keys() if key.endswith("/dump.json")]
        assert len(records) == len(listed["dumps"]) >= ended
        for dump in listed["dumps"]:
            prefix = f"{dump['system_id']}/dump/{dump['id']}/"
            for database in dump["databases"]:
                for table in database["tables"]:
                    assert store.exists(prefix + table["object"]["name"])
    walship.ok("undump", "--database", HOSTILE, "--create", "--to", "dbname=again", env=there)
    assert fingerprint(server, "again") == fingerprint(server, HOSTILE)

    # A day later nothing is left of those that were killed.
    system = listed["dumps"][0]["system_id"]
    for key in store.keys(f"{system}/"):
        os.utime(store.path(key), (1577836800, 1577836800))
    walship.ok("expire", "--dump-retention", "last 100", "--force", "--system", system)
    assert json.loads(walship.ok("list", "--dumps", "--json").out)["unfinished"] == []


TABLES = 5000
MEMORY_MOST = 150  # MiB, of walship and of every program that it starts


def stored_size(store):
    return sum(store.path(key).stat().st_size for key in store.keys() if "/dump/" in key)


def test_five_thousand_tables(servers, walship, store, directory):
    server = servers.new(major=pg.default_major())
    server.start()
    server.sql("CREATE DATABASE many")
    for first in range(0, TABLES, 500):
        server.sql(
            f"DO $$ BEGIN FOR i IN {first + 1}..{first + 500} LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, "
            "words text)', i); EXECUTE format('INSERT INTO t%s VALUES (%s, ''x'')', i, i); END LOOP; END $$",
            database="many",
        )
    there = server.pg_environment
    dumped = measure(directory, walship.command("dump", "many"), env=there, timeout=300)
    rows = [row(f"dump of {TABLES:,} tables", dumped, stored_size(store))]
    restored = measure(
        directory, walship.command("undump", "--database", "many", "--create", "--to", "dbname=again"), env=there, timeout=300
    )
    rows.append(row(f"undump of {TABLES:,} tables", restored))
    assert server.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database="again") == TABLES
    assert server.value("SELECT words || id FROM t4711", database="again") == "x4711"
    one = measure(
        directory,
        walship.command("undump", "--database", "many", "--table", "t4711", "--create", "--to", "dbname=one"),
        env=there,
        timeout=60,
    )
    rows.append(row("undump of one of them", one))
    publish("Dumps of many tables", rows)
    assert max(dumped.peak, restored.peak, one.peak) < MEMORY_MOST


GIGABYTES = (
    "CREATE TABLE large AS SELECT i AS id, md5(i::text) || repeat(md5((i * 7)::text), 6) AS words FROM generate_series(1, 8000000) i"
)


def bytes_read(directory, walship, store, *arguments, env):
    """{file of the store: bytes}, as the kernel saw it."""
    trace = directory / "trace"  # and the number of each thread
    run_ok(
        ["strace", "-ff", "-y", "-e", "trace=read,pread64", "-e", "signal=none", "-o", trace, *walship.command(*arguments)],
        env=clean_environment(**env),
        timeout=120,
    )
    found = {}
    lines = [line for file in directory.glob("trace.*") for line in file.read_text(errors="replace").splitlines()]
    for line in lines:
        read = re.search(rf"read(?:64)?\(\d+<({re.escape(str(store.directory))}[^>]*)>.* = (\d+)$", line)
        if read:
            found[read[1]] = found.get(read[1], 0) + int(read[2])
    return found


def test_one_table_of_two_gigabytes_reads_only_its_object(servers, walship, store, directory):
    server = servers.new(major=pg.default_major()).start()
    server.sql("SET statement_timeout = 0; " + GIGABYTES)
    server.sql("CREATE TABLE middling AS SELECT * FROM large LIMIT 100000; CREATE TABLE small AS SELECT 1 AS one")
    size = server.value("SELECT pg_table_size('large')")
    assert size > 2 * 10**9
    there = server.pg_environment
    dumped = measure(directory, walship.command("dump", "postgres", "--table-size", "10MB"), env=there, timeout=600)
    rows = [row(f"dump of a table of {size / 10**9:.1f} GB", dumped, stored_size(store))]
    (record,) = [store.read_json(key) for key in store.keys() if key.endswith("/dump.json")]
    (database,) = record["databases"]
    objects = {table["oid"]: table["object"] for table in database["tables"]}
    oid = server.value("SELECT 'middling'::regclass::oid::int8")
    into = ("--create", "--to", "dbname=beside")
    read = bytes_read(directory, walship, store, "undump", "--database", "postgres", "--table", "middling", *into, env=there)
    prefix = f"{store.directory}/{record['system_id']}/dump/{record['id']}/"
    read = {path.removeprefix(prefix): size for path, size in read.items() if path.startswith(prefix)}
    expected = {objects[oid]["name"], database["archive"]["name"], "dump.json", record["contents"]["name"]}
    assert set(read) <= expected and read[objects[oid]["name"]] == objects[oid]["stored_size"], read
    assert sum(read.values()) < objects[oid]["stored_size"] + 200_000, read
    assert server.value("SELECT count(*) FROM middling", database="beside") == 100000
    one = measure(
        directory, walship.command("undump", "--database", "postgres", "--table", "small", "--to", "dbname=beside"), env=there
    )
    rows.append(row(f"undump of another one; {sum(read.values()):,} bytes read for one of {objects[oid]['stored_size']:,}", one))
    whole = measure(
        directory, walship.command("undump", "--database", "postgres", "--create", "--to", "dbname=all"), env=there, timeout=600
    )
    rows.append(row("undump of all of it", whole))
    publish("Dumps of gigabytes", rows)
    assert server.value("SELECT count(*) FROM large", database="all") == 8000000
    assert max(dumped.peak, one.peak, whole.peak) < MEMORY_MOST

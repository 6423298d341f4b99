"""Dumps where the store is another one, full, gone or locked: what is seen is whole, and the next one works."""
import json

import pytest

from walship_testing import server as pg
from walship_testing.age import Key, have_age
from walship_testing.logical import HOSTILE, fingerprint, tell_logical_story

pytestmark = pytest.mark.skipif(
    pg.client_bindir() is None or not (pg.client_bindir() / "pg_dump").is_file(), reason="pg_dump is not installed"
)

NOISE = "CREATE TABLE noise AS SELECT gen_random_uuid()::text || gen_random_uuid() AS words FROM generate_series(1, 400000)"


@pytest.mark.s3_only
@pytest.mark.skipif(not have_age(), reason="the program age is not installed")
def test_a_dump_goes_to_s3_and_comes_back(servers, walship, store, directory):
    key = Key(directory / "key.txt")
    server = servers.new().start()
    tell_logical_story(server)
    walship.configure(recipients=key.public, identity_file=key.path)
    record = json.loads(walship.ok("dump", HOSTILE, "--table-size", "1", "--json", env=server.pg_environment).out)
    prefix = f"{record['system_id']}/dump/{record['id']}/"
    assert len(store.keys(prefix)) == 4 + 1 + 5 and all(b"Zanzibar" not in text for text in store.snapshot().values())
    checked = json.loads(walship.ok("verify", "--deep", "--json", "--system", record["system_id"]).out)
    assert checked["looked_at"]["dumps"] == 1 and checked["read"]["objects"] == 9
    walship.ok("undump", "--database", HOSTILE, "--create", "--to", "dbname=again", env=server.pg_environment)
    assert fingerprint(server, "again") == fingerprint(server, HOSTILE)
    walship.ok("undump", "--database", HOSTILE, "--table", "parted", "--to", "dbname=again", "--clean", "--yes", env=server.pg_environment)
    assert fingerprint(server, "again")['"public"."parted_2"'] == fingerprint(server, HOSTILE)['"public"."parted_2"']
    said = walship.fails(4, "undump", "--database", HOSTILE, "--table", "pairs", "--to", "dbname=again", "--clean", "--yes", env=server.pg_environment)
    assert "other objects depend on it" in said.err and "incomplete" not in said.err
    assert fingerprint(server, "again") == fingerprint(server, HOSTILE)
    walship.configure(dump_retention="last 1")
    walship.ok("dump", "empty", env=server.pg_environment)
    walship.ok("expire", "--force", "--system", record["system_id"])
    assert store.keys(prefix) == []


@pytest.mark.directory_only("S3 has no disk to fill")
def test_full_disks_leave_neither_half_a_dump_nor_half_a_restore(servers, walship, small_disk, directory):
    server = servers.new().start()
    there = server.pg_environment
    server.sql(NOISE)
    small, big = small_disk / "store", directory / "store"
    for place in (small, big):
        place.mkdir(exist_ok=True)
        walship.configure(store=f"file://{place}")
        walship.ok("check", "--create", "--store-only")

    # The store.
    walship.configure(store=f"file://{small}", compression="none")
    walship.fails(7, "dump", "postgres", env=there, says="No space left on device")
    walship.fails(7, "dump", "postgres", "--table-size", "1MB", env=there, says="No space left on device")
    assert [path for path in small.rglob("*") if path.is_file() and path.parent != small] == []
    walship.ok("dump", "template1", env=there)

    # What is written of a dump here: a file that is asked for.
    walship.configure(store=f"file://{big}")
    walship.ok("dump", "postgres", env=there)
    walship.fails(7, "undump", "--database", "postgres", "--into-file", small_disk / "a", says="No space left on device")
    assert not (small_disk / "a").exists()

    # The server that it goes into.
    (small_disk / "space").mkdir()
    server.sql(f"CREATE TABLESPACE tight LOCATION '{small_disk / 'space'}'")
    server.sql("CREATE DATABASE tight TABLESPACE tight")
    walship.fails(4, "undump", "--database", "postgres", "--to", "dbname=tight", env=there, says="could not extend file")
    assert server.value("SELECT to_regclass('noise')", database="tight") is None
    server.sql("DROP DATABASE tight")
    server.sql("DROP TABLESPACE tight")
    walship.ok("undump", "--database", "postgres", "--create", "--to", "dbname=wide", env=there)
    assert server.value("SELECT count(*) FROM noise", database="wide") == 400000

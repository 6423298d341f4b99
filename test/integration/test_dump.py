"""dump and undump: what comes back is what was there, whatever it is called; what fails leaves nothing."""
import hashlib
import json
import os
import re
import signal
from pathlib import Path

import pytest

from walship_testing import server as pg
from walship_testing.age import Key, have_age
from walship_testing.logical import HOSTILE, READER, TWO_LINES, fingerprint, of_the_database, tell_logical_story
from walship_testing.proc import run_ok, wait_until
from walship_testing.store import DirectoryStore, create_store, sealed
from walship_testing.walship import Walship


def have_pg_dump():
    return pg.client_bindir() is not None and (pg.client_bindir() / "pg_dump").is_file()


pytestmark = [
    pytest.mark.skipif(not have_pg_dump(), reason="pg_dump is not installed"),
    pytest.mark.directory_only("what a dump stores goes the way of a backup's parts"),
]


class World:
    """A server that has a story, one dump of it, and who made it."""

    def __init__(self, directory, cache, major, *, analyzed=False, **settings):
        self.factory = pg.ServerFactory(directory, cache)
        self.store = DirectoryStore(directory / "store")
        self.store.directory.mkdir()
        create_store(self.store, directory)
        self.walship = Walship(directory / "walship", self.store.settings)
        self.walship.configure(**settings)
        self.server = self.factory.new(major=major).start()
        tell_logical_story(self.server)
        if analyzed:
            self.server.sql("ANALYZE", database=HOSTILE)
        self.walship.ok("dump", env=self.server.pg_environment)
        self.dump = json.loads(self.walship.ok("list", "--dumps", "--json").out)["dumps"][0]
        self.truth = {name: fingerprint(self.server, name) for name in (HOSTILE, TWO_LINES, "empty")}

    def target(self, major):
        server = self.factory.new(major=major)
        server.configure(autovacuum="off")  # what the planner knows is what came along
        return server.start()


@pytest.fixture(scope="module")
def world(tmp_path_factory, cache):
    made = World(tmp_path_factory.mktemp("dumps"), cache, pg.default_major())
    yield made
    made.factory.close()


def objects(store):
    return [key for key in store.keys() if "/dump/" in key]


@pytest.fixture
def programs(directory):
    """PostgreSQL's programs, of which some can be replaced by a script."""
    place = directory / "bin"
    place.mkdir()
    for program in pg.client_bindir().iterdir():
        (place / program.name).symlink_to(program)

    def replace(name, script):
        (place / name).unlink()
        (place / name).write_text("#!/bin/sh\n" + script.replace("REAL", str(pg.client_bindir() / name)))
        (place / name).chmod(0o755)
        return place

    return replace


@pytest.mark.smoke
@pytest.mark.parametrize("target", [15, 17, 18], ids=lambda major: f"into{major}")
def test_all_of_a_server_comes_back_on_another_one(world, target):
    if target < world.server.major or not pg.find_install(target):
        pytest.skip(f"PostgreSQL {target} is not on this machine, or older than what is dumped")
    other = world.target(target)
    said = world.walship.ok("undump", "--all", env=other.pg_environment, timeout=50)
    assert "restored all 5 databases" in said.out, said
    assert "WARNING" not in said.err, said
    for name, truth in world.truth.items():
        assert fingerprint(other, name) == truth
    assert of_the_database(other, HOSTILE) == of_the_database(world.server, HOSTILE)
    assert other.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'shop owner'") == world.server.value(
        "SELECT rolpassword FROM pg_authid WHERE rolname = 'shop owner'"
    )
    other.kill()


MAJORS = [
    (13, 15),  # which writes LOCALE_PROVIDER, a word that 13 does not know
    (13, 18),  # whose pg_restore sets transaction_timeout and brings statistics: neither is known before 17, and 18
    (15, 17),
    (17, 17),
    (18, 18),
]


@pytest.mark.parametrize("major, clients", MAJORS, ids=lambda major: str(major))
def test_all_of_a_server_of_every_major_comes_back(tmp_path_factory, cache, major, clients):
    install, programs = pg.find_install(major), pg.find_install(clients)
    if not install or not programs or not (programs.bindir / "pg_dump").is_file():
        pytest.skip(f"PostgreSQL {major}, or pg_dump of {clients}, is not on this machine")
    one = World(tmp_path_factory.mktemp("majors"), cache, major, analyzed=True, pg_bindir=programs.bindir)
    try:
        assert (one.dump["server_version"] // 10000, one.dump["dump_major"]) == (major, clients)
        other = one.target(major)
        said = one.walship.ok("undump", "--all", env=other.pg_environment, timeout=50)
        assert "restored all 5 databases" in said.out and "WARNING" not in said.err, said
        for name, truth in one.truth.items():
            assert fingerprint(other, name) == truth
        assert of_the_database(other, HOSTILE) == of_the_database(one.server, HOSTILE)
        statistics = "SELECT count(*) FROM pg_stats WHERE tablename = 'parted_1'"
        assert (other.value(statistics, database=HOSTILE) > 0) == (major >= 18)
        one.walship.ok("undump", "--database", HOSTILE, "--table", "parted", "--create", "--to", "dbname=b", env=other.pg_environment)
        assert other.value(statistics, database="b") == other.value(statistics, database=HOSTILE)
    finally:
        one.factory.close()


def test_a_database_comes_back_under_another_name(world):
    there = world.server.pg_environment
    said = world.walship.ok("undump", "--database", HOSTILE, "--create", "--to", "dbname='it''s'".replace("''", "\\'"), env=there)
    assert "restored database" in said.out
    assert fingerprint(world.server, "it's") == world.truth[HOSTILE]
    said = world.walship.fails(3, "undump", "--database", HOSTILE, "--create", "--to", "dbname=it\\'s", env=there)
    assert 'database "it\'s" exists already' in said.err
    world.walship.fails(3, "undump", "--database", HOSTILE, "--to", "dbname=it\\'s", env=there, says="is not empty")
    world.server.sql('UPDATE pairs SET id = 0', database="it's")
    world.walship.fails(2, "undump", "--database", HOSTILE, "--to", "dbname=it\\'s", "--clean", env=there, says="--yes")
    world.walship.ok("undump", "--database", HOSTILE, "--to", "dbname=it\\'s", "--clean", "--yes", env=there)
    assert fingerprint(world.server, "it's") == world.truth[HOSTILE]
    world.server.sql("DROP DATABASE \"it's\"")


def test_only_the_schema_comes_back_when_no_rows_are_wanted(world):
    there = world.server.pg_environment
    world.server.sql("CREATE DATABASE bare")
    world.walship.ok("undump", "--database", HOSTILE, "--to", "dbname=bare", "--schema-only", "--no-owner", env=there)
    assert world.server.value("SELECT count(*) FROM pairs", database="bare") == 0
    assert world.server.value("SELECT tableowner FROM pg_tables WHERE tablename LIKE 't%%x'", database="bare") == "postgres"
    world.server.sql("DROP DATABASE bare")


def test_one_table_comes_back_alone(world):
    there = world.server.pg_environment
    wanted = ("--database", HOSTILE, "--to", "dbname=beside", "--table")
    world.walship.ok("undump", *wanted, "parted", "--create", env=there)
    assert world.server.value("SELECT count(*) FROM parted", database="beside") == 500
    indexes = "SELECT tablename, indexdef, indisvalid FROM pg_indexes JOIN pg_index ON indexrelid = indexname::regclass WHERE tablename LIKE 'parted%%' ORDER BY 2"
    assert world.server.sql(indexes, database="beside") == world.server.sql(indexes, database=HOSTILE)

    world.server.sql("CREATE EXTENSION hstore", database="beside")
    world.walship.ok("undump", *wanted, "public.pairs", env=there)
    story, beside = (fingerprint(world.server, name) for name in (HOSTILE, "beside"))
    for what in ('"public"."pairs"', "sequence public.pairs_id_seq", '"public"."parted_2"'):
        assert beside[what] == story[what]
    assert [row for row in story["privileges"] if row[0] == "pairs"] == [row for row in beside["privileges"] if row[0] == "pairs"]
    assert set(beside["comments"]) <= set(story["comments"]) and beside["comments"]
    assert world.server.value("SELECT nextval('pairs_id_seq')", database="beside") == 101
    assert world.server.value("SELECT to_regclass('kept')", database="beside") is None

    world.walship.fails(3, "undump", *wanted, "pairs", env=there, says='has a table "public.pairs"')
    world.server.sql("TRUNCATE pairs", database="beside")
    world.walship.ok("undump", *wanted, "pairs", "--clean", "--yes", env=there)
    assert world.server.value("SELECT count(*) FROM pairs", database="beside") == 100
    (hostile,) = [name for (name,) in world.server.sql("SELECT relname FROM pg_class WHERE relname LIKE 't%%le%%x'", database=HOSTILE)]
    world.server.sql("CREATE SCHEMA \"ürs \"\"s\"\" x\"; CREATE TYPE \"ürs \"\"s\"\" x\".mood AS ENUM ('good', 'bad')", database="beside")
    world.walship.ok("undump", *wanted, hostile, env=there)
    assert fingerprint(world.server, "beside")[f'"ürs ""s"" x"."{hostile}"'] == story[f'"ürs ""s"" x"."{hostile}"']
    world.walship.fails(1, "undump", *wanted, "nowhere", env=there, says='no table "nowhere"')
    world.server.sql("DROP DATABASE beside")


def test_large_tables_have_objects_of_their_own(world, walship, store):
    there = world.server.pg_environment
    record = json.loads(walship.ok("dump", HOSTILE, "--table-size", "1", "--json", env=there).out)
    (database,) = record["databases"]
    prefix = f"{record['system_id']}/dump/{record['id']}/"
    tables = {table["oid"]: prefix + table["object"]["name"] for table in database["tables"]}
    assert len(tables) == 5 and set(tables.values()) < set(objects(store))
    walship.ok("undump", "--database", HOSTILE, "--create", "--to", "dbname=split", env=there)
    assert fingerprint(world.server, "split") == world.truth[HOSTILE]
    walship.fails(2, "undump", "--database", HOSTILE, "--to", "dbname=split", "--clean", "--yes", env=there, says="large tables")

    other = world.target(world.server.major)
    walship.ok("undump", "--database", HOSTILE, "--create", "--globals", env=other.pg_environment)
    assert fingerprint(other, HOSTILE) == world.truth[HOSTILE]
    assert of_the_database(other, HOSTILE) == of_the_database(world.server, HOSTILE)
    other.kill()

    # By hand, as docs/format.md has it.
    world.server.sql("CREATE DATABASE stock")
    restore = f"{pg.client_bindir()}/pg_restore --exit-on-error -d stock"
    archive = store.path(prefix + database["archive"]["name"])
    steps = [(archive, "--section=pre-data --section=data"), *((store.path(key), "") for key in tables.values()), (archive, "--section=post-data")]
    run_ok(["sh", "-ec", "\n".join(f"zstd -dcq {path} | {restore} {words}" for path, words in steps)], env=there)
    assert fingerprint(world.server, "stock") == world.truth[HOSTILE]
    world.server.sql("DROP DATABASE stock")

    # One table needs no other one's object.
    (oid,) = [row[0] for row in world.server.sql("SELECT 'pairs'::regclass::oid::int8", database=HOSTILE)]
    for table, key in tables.items():
        if table != oid:
            store.remove(key)
    world.server.sql("DROP TABLE pairs CASCADE", database="split")
    walship.ok("undump", "--database", HOSTILE, "--table", "pairs", "--to", "dbname=split", env=there)
    for what in ('"public"."pairs"', "sequence public.pairs_id_seq", "indexes"):
        assert fingerprint(world.server, "split")[what] == world.truth[HOSTILE][what]
    walship.fails(6, "undump", "--database", HOSTILE, "--create", "--to", "dbname=part", env=there, says="missing")
    assert world.server.sql("SELECT 1 FROM pg_database WHERE datname = 'part'") == []
    world.server.sql("DROP DATABASE split")


def test_what_is_in_a_dump_is_listed(world):
    text = world.walship.ok("list", "--dumps").out
    assert "\n\ndump  " in text and "?" not in text.replace(HOSTILE, "").replace(TWO_LINES.replace("\n", "?"), "")
    assert "1 dump, the newest" in text and world.dump["id"] in text and "empty" in text
    assert {database["name"] for database in world.dump["databases"]} == {
        HOSTILE, TWO_LINES, "empty", "postgres", "template1"
    }
    assert world.dump["role_passwords"] is True and world.dump["read_back"] is True
    contents = json.loads(world.walship.ok("undump", "--list", "--json").out)
    (hostile,) = [database for database in contents["databases"] if database["name"] == HOSTILE]
    assert READER in hostile["roles"] and "shop owner" in hostile["roles"] and "postgres" in hostile["roles"]
    assert [extension["name"] for extension in hostile["extensions"]] == ["hstore"]
    assert hostile["large_objects"] == 3 and hostile["entries"] > 20
    tables = {table["name"]: table for table in hostile["tables"]}
    assert tables["fleeting"]["unlogged"] and not tables["pairs"]["unlogged"]
    assert tables["parted_1"]["parent"] == tables["parted"]["oid"]
    assert re.match(r"Dump \S+ of [^\n?]+\n\ndatabase  ", world.walship.ok("undump", "--list").out)
    text = world.walship.ok("undump", "--list", "--database", HOSTILE).out
    assert "parted_2" in text and re.search(r"; schema [0-9a-f]{16}\n\n", text)
    world.walship.fails(1, "undump", "--list", "--database", "nowhere", says='no dump has a database "nowhere"')


def test_a_damaged_dump_that_may_be_the_newest_is_not_passed_over_in_silence(world):
    """Nor is anything certain of a database that no other dump has."""
    newer = f"{world.dump['system_id']}/dump/29991231T000000Z-0000"
    world.store.write(f"{newer}/dump.json", b"{}\n")
    try:
        listed = world.walship.ok("undump", "--list", "--database", "empty")
        assert re.search(r"WARNING: .*29991231T000000Z-0000: .*: it is passed over", listed.err)
        assert world.dump["id"] in listed.out
        world.walship.fails(6, "undump", "--list", "--database", "nowhere", says="1 are damaged")
    finally:
        world.store.remove_all(newer)


def test_the_next_dump_of_an_equal_schema_has_its_digest(world):
    again = json.loads(world.walship.ok("dump", HOSTILE, "--json", "--note", "again", env=world.server.pg_environment).out)
    listed = world.walship.ok("undump", "--list", "--database", "empty")
    assert f'"{again["id"]}" has no database "empty": taking "{world.dump["id"]}"' in listed.err and "empty" in listed.out
    before, after = (
        next(
            database["schema_sha256"]
            for database in json.loads(world.walship.ok("undump", dump, "--list", "--json").out)["databases"]
            if database["name"] == HOSTILE
        )
        for dump in (world.dump["id"], again["id"])
    )
    assert before == after
    (oid,) = [database["oid"] for database in world.dump["databases"] if database["name"] == HOSTILE]
    first, second = (
        world.store.read(key) for key in objects(world.store) if Path(key).name.startswith(f"schema-{oid}.")
    )
    assert first != second, "the key of \\restrict is another one each time"
    world.store.remove_all(f"{again['system_id']}/dump/{again['id']}")


def test_what_would_fail_is_said_before_anything_is_changed(world):
    other = world.target(world.server.major)
    there = other.pg_environment

    def refused(status, says, *options):
        before = other.sql("SELECT datname FROM pg_database ORDER BY 1")
        world.walship.fails(status, "undump", *options, env=there, says=says)
        assert other.sql("SELECT datname FROM pg_database ORDER BY 1") == before

    refused(2, "needs roles that the server does not have", "--database", HOSTILE, "--create")
    refused(2, "there is no database", "--database", HOSTILE, "--no-owner")
    refused(1, "no dump has a database", "--database", "nowhere", "--create")
    refused(2, "what to restore", "--create")
    refused(2, "password does not belong", "--database", HOSTILE, "--create", "--to", "password=x dbname=y")
    refused(2, "no connection string", "--database", HOSTILE, "--create", "--to", "nonsense")
    refused(1, "dump \"20200101T000000Z-0000\"", "20200101T000000Z-0000", "--database", HOSTILE)
    other.kill()
    if pg.find_install(13) and world.server.major > 13:
        older = world.target(13)
        world.walship.fails(
            2, "undump", "--database", "empty", "--create", env=older.pg_environment, says="the server is older: PostgreSQL 13"
        )
        older.kill()


def test_a_missing_extension_is_named(world, walship, servers):
    if world.server.major > 16 or not pg.find_install(18):
        pytest.skip("needs an extension that a newer PostgreSQL does not have")
    world.server.sql("CREATE DATABASE outdated")
    world.server.sql("CREATE EXTENSION adminpack", database="outdated")
    walship.ok("dump", "outdated", env=world.server.pg_environment)
    other = servers.new(major=18).start()
    said = walship.fails(2, "undump", "--database", "outdated", "--create", env=other.pg_environment)
    assert 'not installed for the server: "adminpack"' in said.err
    world.server.sql("DROP DATABASE outdated")


def test_databases_are_chosen_and_what_cannot_be_is_said(world, walship, store):
    there = world.server.pg_environment
    one = json.loads(walship.ok("dump", "empty", "--json", env=there).out)
    assert [database["name"] for database in one["databases"]] == ["empty"]
    rest = json.loads(walship.ok("dump", "--exclude", HOSTILE, "--exclude", "empty", "--exclude", TWO_LINES, "--json", env=there).out)
    assert [database["name"] for database in rest["databases"]] == ["template1", "postgres"]
    before = store.snapshot()
    walship.fails(2, "dump", "nowhere", env=there, says='no database "nowhere"')
    walship.fails(5, "dump", "template0", env=there, says='"template0" cannot be connected to')
    walship.fails(2, "dump", "empty", "--lock-timeout", "soon", env=there, says="is no time")
    world.server.sql("REVOKE CONNECT ON DATABASE empty FROM PUBLIC")
    world.server.sql("CREATE ROLE humble LOGIN")
    walship.fails(5, "dump", "empty", env={**there, "PGUSER": "humble"}, says='"empty" cannot be connected to')
    assert store.snapshot() == before
    said = walship.ok("dump", "--exclude", HOSTILE, "--exclude", TWO_LINES, env={**there, "PGUSER": "humble"})
    assert '"empty" is not dumped' in said.err and "WITHOUT THE PASSWORDS" in said.err
    assert "WITHOUT PASSWORDS" in walship.ok("list", "--dumps").out
    world.server.sql("GRANT CONNECT ON DATABASE empty TO PUBLIC")
    world.server.sql("DROP ROLE humble")


def test_a_wrong_password_stores_nothing(world, walship, store):
    hba = world.server.pgdata / "pg_hba.conf"
    kept = hba.read_text()
    hba.write_text("local all \"shop owner\" md5\n" + kept)
    world.server.reload()
    try:
        environment = {**world.server.pg_environment, "PGUSER": "shop owner"}
        wait_until(lambda: walship.run("dump", "empty", env=environment).rc == 5, "the password is asked for")
        walship.fails(5, "dump", "empty", env={**environment, "PGPASSWORD": "wrong"}, says="password")
        assert objects(store) == []
        walship.ok("dump", "empty", env={**environment, "PGPASSWORD": "Zanzibar-secret"})
    finally:
        hba.write_text(kept)
        world.server.reload()


def test_an_older_pg_dump_is_refused_before_anything_runs(servers, walship, store):
    if not pg.find_install(18) or pg.distribution_majors()[-1] >= 18:
        pytest.skip("needs a server that is newer than pg_dump")
    newer = servers.new(major=18).start()
    said = walship.fails(7, "dump", env=newer.pg_environment, says="cannot work for the server's 18")
    assert "postgresql-client-18" in said.err and objects(store) == []


def test_what_a_database_says_of_its_sessions_is_not_in_the_way(world, walship):
    """Frozen by its settings; and with functions before PostgreSQL's own, which nobody is to run as a superuser."""
    there = world.server.pg_environment
    world.server.sql("CREATE ROLE mallory")
    world.server.sql("CREATE DATABASE frozen OWNER mallory")
    world.server.sql(
        """
        CREATE TABLE public.seen AS SELECT current_user::text AS who;
        CREATE SCHEMA evil;
        GRANT ALL ON SCHEMA evil, public TO public; GRANT ALL ON public.seen TO public;
        CREATE FUNCTION evil.set_config(text, text, bool) RETURNS text LANGUAGE sql AS $$
            INSERT INTO public.seen VALUES (current_user) RETURNING who $$;
        CREATE FUNCTION evil.quote_ident(name) RETURNS text LANGUAGE sql AS $$
            INSERT INTO public.seen VALUES (current_user) RETURNING who $$;
        ALTER DATABASE frozen SET search_path = evil, pg_catalog;
        """,
        database="frozen",
    )
    walship.ok("dump", "empty", env=there)
    walship.fails(3, "undump", "--database", "empty", "--to", "dbname=frozen", env=there, says="is not empty")
    world.server.sql("ALTER DATABASE frozen SET default_transaction_read_only = on")
    for size in ("1GB", "1"):
        walship.ok("dump", "frozen", "--table-size", size, env=there)
        world.server.sql("DROP DATABASE frozen")
        walship.ok("undump", "--database", "frozen", "--create", env=there)
        assert world.server.value("SELECT count(*) FROM public.seen", database="frozen") == 1
        assert world.server.value("SHOW default_transaction_read_only", database="frozen") == "on"
    world.server.sql("DROP DATABASE frozen")
    world.server.sql("DROP ROLE mallory")


def test_a_lock_that_is_waited_for_too_long_is_explained(world, walship, store):
    with world.server.connect(HOSTILE) as other:
        other.cursor().execute("BEGIN; LOCK TABLE pairs IN ACCESS EXCLUSIVE MODE")
        said = walship.fails(4, "dump", HOSTILE, "--lock-timeout", "300ms", env=world.server.pg_environment)
    assert "lock timeout" in said.err and "pg_locks" in said.err and objects(store) == []


@pytest.mark.parametrize("ended", ["cancelled", "failed"])
def test_a_database_that_was_made_goes_with_its_restore(world, walship, programs, directory, ended):
    there = world.server.pg_environment
    walship.ok("dump", "empty", env=there)
    last = {"cancelled": "exec sleep 30", "failed": "exit 1"}[ended]
    place = programs("pg_restore", f'case "$*" in *single*) echo >{directory}/reached; {last};; esac\nexec REAL "$@"\n')
    walship.configure(pg_bindir=place)
    process = walship.start("undump", "--database", "empty", "--create", "--to", "dbname=beside", env=there)
    wait_until((directory / "reached").exists, "the database is there")
    if ended == "cancelled":
        assert world.server.sql("SELECT 1 FROM pg_database WHERE datname = 'beside'")
        process.send_signal(signal.SIGINT)
    assert process.wait(20) == (-signal.SIGINT if ended == "cancelled" else 7)
    process.communicate()
    assert world.server.sql("SELECT 1 FROM pg_database WHERE datname = 'beside'") == []


FAILURES = {
    "says why": ('echo "pg_dump: error: no luck" >&2; exit 1', 4, "no luck"),
    "is killed at its end": ('REAL "$@"; kill -9 $$', 7, "status 137"),
    "is killed in the middle": ('REAL "$@" | head -c 1000; kill -9 $$', 7, ""),
    "prints something else": ('case "$*" in *custom*) echo nonsense;; *) exec REAL "$@";; esac', 7, "cannot read"),
    "may not": ('echo "pg_dump: error: query failed: ERROR:  permission denied for table t" >&2; exit 1', 5, "denied"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_pg_dump_that_fails_leaves_nothing(world, walship, store, programs, name):
    script, status, says = FAILURES[name]
    place = programs("pg_dump", 'case "$1" in -V) exec REAL -V;; esac\n' + script + "\n")
    walship.configure(pg_bindir=place)
    walship.fails(status, "dump", "empty", "postgres", env=world.server.pg_environment, says=says)
    assert objects(store) == []
    assert "There is no dump" in walship.ok("list", "--dumps", "--system", world.dump["system_id"]).out


def test_what_pg_dump_says_is_passed_on(world, walship, programs):
    place = programs("pg_dump", 'nice >"$0.nice"\necho "pg_dump: warning: mind this" >&2\nexec REAL "$@"\n')
    walship.configure(pg_bindir=place)
    assert "pg_dump: warning: mind this" in walship.ok("dump", "empty", env=world.server.pg_environment).err
    assert int((place / "pg_dump.nice").read_text()) == min(19, os.nice(0) + 5), "of low priority"


def test_a_store_that_ends_meanwhile_leaves_nothing(world, walship, store, programs):
    """After the first objects are there."""
    place = programs(
        "pg_dump", f'case "$*" in *custom*) mv {store.directory} {store.directory}.away;; esac\nexec REAL "$@"\n'
    )
    walship.configure(pg_bindir=place)
    walship.fails(None, "dump", "empty", env=world.server.pg_environment)
    Path(f"{store.directory}.away").rename(store.directory)
    assert not [key for key in objects(store) if key.endswith("dump.json")]
    walship.configure(pg_bindir=None)
    walship.ok("dump", "empty", env=world.server.pg_environment)
    walship.ok("undump", "--list")


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
def test_a_dump_that_is_ended_is_none(world, walship, store, programs, directory, sent):
    place = programs(
        "pg_dump", f'case "$*" in *custom*) echo here >{directory}/reached; sleep 20;; esac\nexec REAL "$@"\n'
    )
    walship.configure(pg_bindir=place)
    process = walship.start("dump", "empty", env=world.server.pg_environment)
    wait_until((directory / "reached").exists, "the archive is about to be dumped")
    process.send_signal(sent)
    assert process.wait(20) == -sent
    process.communicate()
    assert not [key for key in objects(store) if key.endswith("dump.json")]
    if sent == signal.SIGTERM:
        assert objects(store) == []
    walship.configure(pg_bindir=None)
    walship.ok("dump", "empty", env=world.server.pg_environment)
    listed = json.loads(walship.ok("list", "--dumps", "--json").out)
    assert len(listed["dumps"]) == 1 and len(listed["unfinished"]) == (sent == signal.SIGKILL)


def by_id(plan, member):
    """Dumps of the same second are in any order."""
    return {dump["id"]: dump[member] for dump in plan["dumps"]}


def test_dumps_go_by_a_retention_of_their_own(world, walship, store):
    there = world.server.pg_environment
    walship.fails(2, "expire", says='setting "retention" is not set')
    walship.fails(2, "dump", "empty", "--expire", env=there, says='"dump_retention" is not set')
    assert store.keys() == []
    walship.configure(dump_retention="last 1")
    old, new = (json.loads(walship.ok("dump", "empty", "--json", env=there).out) for _ in range(2))
    prefix = f"{new['system_id']}/dump/"
    refused = walship.fails(8, "expire", "--system", new["system_id"], says="walship expire --force")
    assert "1 of 2 dumps go" in refused.out and "no rule keeps it" in refused.out
    assert store.keys(prefix + old["id"])

    # In use: its record goes, its objects stay until the lease has ended.
    lease = f"{new['system_id']}/lease/20990101T000000Z-abcd-1.json"
    text = {"format": 1, "id": "20990101T000000Z-abcd", "kind": "undump", "holder": "a test", "backup": old["id"]}
    store.write(lease, sealed({**text, "timeline": None, "start_lsn": None, "valid_seconds": 3600}))
    kept = json.loads(walship.ok("expire", "--force", "--json", "--system", new["system_id"]).out)["dumps"]
    assert by_id(kept, "keep") == {old["id"]: True, new["id"]: True} and "undump" in by_id(kept, "reason")[old["id"]]
    store.remove(lease)

    # Pinned: by an id of either kind, and seen in the list.
    walship.fails(1, "pin", "20200101T000000Z-abcd", "--system", new["system_id"], says='"20200101T000000Z-abcd"')
    walship.ok("pin", old["id"], "--note", "before the upgrade", "--system", new["system_id"])
    kept = json.loads(walship.ok("expire", "--force", "--json", "--system", new["system_id"]).out)["dumps"]
    assert by_id(kept, "keep") == {old["id"]: True, new["id"]: True} and "pinned" in by_id(kept, "reason")[old["id"]]
    assert "    pinned (before the upgrade)" in walship.ok("list", "--dumps").out
    pinned = {dump["id"]: dump.get("pinned") for dump in json.loads(walship.ok("list", "--dumps", "--json").out)["dumps"]}
    assert pinned == {old["id"]: {"until": None, "note": "before the upgrade"}, new["id"]: None}
    walship.ok("unpin", old["id"], "--system", new["system_id"])

    # An object that is missing: a dump that counts for no rule.
    archive = f"{prefix}{new['id']}/{new['databases'][0]['archive']['name']}"
    content = store.read(archive)
    store.remove(archive)
    plan = json.loads(walship.ok("expire", "--force", "--dry-run", "--json", "--system", new["system_id"]).out)["dumps"]
    assert by_id(plan, "keep") == {old["id"]: True, new["id"]: True}
    assert "lacks 1 object" in by_id(plan, "reason")[new["id"]]
    store.write(archive, content)

    left = f"{prefix}20200101T000000Z-abcd/16384.dump.zst"
    store.write(left, b"x")
    os.utime(store.path(left), (1577836800, 1577836800))
    done = json.loads(walship.ok("expire", "--force", "--json", "--system", new["system_id"]).out)["dumps"]
    assert by_id(done, "keep") == {old["id"]: False, new["id"]: True}
    assert [item["keep"] for item in done["unfinished"]] == [False]
    assert {key.split("/")[2] for key in objects(store)} == {new["id"]}
    assert [key for key in store.keys(f"{new['system_id']}/proof/") if key.endswith("-expire-dumps.json")]
    said = walship.ok("dump", "empty", "--expire", env=there)
    assert "removed: " in said.out and new["id"] not in {key.split("/")[2] for key in objects(store)}


def test_an_object_that_changed_in_the_store_is_found_and_restores_nothing(world, walship, store):
    there = world.server.pg_environment
    walship.configure(compression="none")
    walship.ok("dump", HOSTILE, env=there)
    (key,) = [key for key in objects(store) if key.endswith(".dump")]
    content = store.read(key)
    store.write(key, content[:-5000] + content[-5000:].replace(b"Zanzibar", b"zanzibar", 1))
    assert store.read(key) != content
    walship.fails(6, "undump", "--database", HOSTILE, "--create", "--to", "dbname=x", env=there, says="checksum")
    assert world.server.sql("SELECT datname FROM pg_database WHERE datname = 'x'") == []
    store.remove(key)
    walship.fails(6, "undump", "--database", HOSTILE, "--create", "--to", "dbname=x", env=there, says="missing")


def test_what_is_stored_is_read_again_unless_that_is_not_wanted(world, walship):
    walship.ok("dump", "empty", "--no-verify-upload", env=world.server.pg_environment)
    assert "not read again" in walship.ok("list", "--dumps").out


def test_a_standby_names_the_tables_whose_rows_it_lacks(world, walship):
    standby = world.factory.standby_of(world.server).start()
    record = json.loads(walship.ok("dump", HOSTILE, "--json", env=standby.pg_environment).out)
    said = walship.run("dump", HOSTILE, env=standby.pg_environment)
    assert 'table "public.fleeting" of database' in said.err and "is a standby" in said.err
    assert record["from_standby"] is True
    (database,) = json.loads(walship.ok("undump", "--list", "--json").out)["databases"]
    assert database["unlogged_left_out"] == 1
    walship.fails(2, "undump", "--database", HOSTILE, env=standby.pg_environment, says="is a standby")
    standby.kill()


@pytest.mark.skipif(not have_age(), reason="the program age is not installed")
@pytest.mark.parametrize("codec", ["brotli", "zstd"])
def test_an_encrypted_dump_tells_no_name_and_opens_with_stock_tools(world, walship, store, directory, codec):
    key = Key(directory / "key.txt")
    there = world.server.pg_environment
    walship.configure(recipients=key.public, compression=codec)
    record = json.loads(walship.ok("dump", HOSTILE, "--json", env=there).out)
    for name, content in store.snapshot().items():
        for word in (b"Zanzibar", b"pairs", "käse".encode(), b"hstore", b"shop owner"):
            assert word not in content, name
    assert "OID" in walship.ok("list", "--dumps").out
    walship.fails(5, "undump", "--list", says="no secret key is set")
    walship.configure(identity_file=key.path)
    assert "pairs" in walship.ok("undump", "--list", "--database", HOSTILE).out

    (database,) = record["databases"]
    stored = store.path(f"{record['system_id']}/dump/{record['id']}/{database['archive']['name']}")
    decode = {"brotli": "brotli -dc", "zstd": "zstd -dcq"}[codec]
    world.server.sql("CREATE DATABASE stock")
    run_ok(
        ["sh", "-c", f"age -d -i {key.path} {stored} | {decode} | {pg.client_bindir()}/pg_restore -d stock"], env=there
    )
    assert fingerprint(world.server, "stock") == world.truth[HOSTILE]
    world.server.sql("DROP DATABASE stock")


def test_archive_schema_and_globals_come_into_files(world, directory):
    archive, schema, roles = (directory / name for name in ("a", "s", "g"))
    world.walship.ok("undump", "--database", HOSTILE, "--into-file", archive)
    world.walship.ok("undump", "--database", HOSTILE, "--schema-only", "--into-file", schema)
    world.walship.ok("undump", "--globals", "--into-file", roles)
    assert "TABLE DATA public pairs" in run_ok([pg.client_bindir() / "pg_restore", "--list", archive]).out
    assert "CREATE TABLE public.pairs" in schema.read_text() and "CREATE ROLE" in roles.read_text()
    assert archive.stat().st_mode & 0o777 == 0o600
    world.walship.fails(3, "undump", "--globals", "--into-file", roles, says="exists already")


def test_every_member_of_a_record_is_in_the_documents(world):
    documents = Path(__file__).parents[2] / "docs"
    (key,) = [key for key in objects(world.store) if key.endswith("dump.json") and world.dump["id"] in key]
    record = world.store.read_json(key)
    contents = json.loads(world.walship.ok("undump", world.dump["id"], "--list", "--json").out)["databases"]
    (hostile,) = [database for database in contents if database["name"] == HOSTILE]
    plain = set(record) | set(record["globals"]) | set(record["databases"][0])
    hidden = set(hostile) | set(hostile["tables"][0]) | set(hostile["extensions"][0])
    hidden |= {name for table in hostile["tables"] for part in table.get("parts", []) for name in part}
    said = re.findall(r"`([a-z0-9_]+)`", (documents / "format.md").read_text().split("\n## Dumps\n")[1])
    assert plain | hidden <= set(said)
    assert plain <= set(re.findall(r"`([a-z0-9_]+)`", (documents / "security.md").read_text()))


class Drill:
    """drill --dump, below a directory in which nothing may be left."""

    def __init__(self, walship, directory, major=None):
        self.walship = walship
        self.scratch = directory / "drills"
        self.bindir = pg.find_install(major or pg.default_major()).bindir

    def options(self, *options):
        return ("drill", "--dump", *options, "--json", "--drill-scratch", str(self.scratch), "--pg-bindir", str(self.bindir))

    def run(self, expected, *options, env=None):
        result = self.walship.fails(expected, *self.options(*options), env=env, timeout=50)
        assert list(self.scratch.glob("drill-*")) == [], "nothing is left of a drill"
        return json.loads(result.out)

    def fails(self, check, text, *options):
        report = self.run(8, *options)
        assert report["passed"] is False
        failed = {name: made["findings"] for name, made in report["checks"].items() if made["outcome"] == "failed"}
        assert list(failed) == [check], failed
        assert any(text in finding for finding in failed[check]), failed


def lack(store, database, **needs):
    """Of the only dump in the store: the database would need these."""
    (key,) = [key for key in objects(store) if key.endswith("/dump.json")]
    record = json.loads(store.read(key))
    place = key.replace("dump.json", record["contents"]["name"])
    contents = json.loads(store.read(place))
    (facts,) = [facts for facts in contents["databases"] if facts["name"] == database]
    facts.update(needs)
    text = json.dumps(contents).encode()
    digest = hashlib.sha256(text).hexdigest()
    record["contents"].update(raw_size=len(text), stored_size=len(text), stored_sha256=digest)
    if "raw_sha256" in record["contents"]:
        record["contents"]["raw_sha256"] = digest
    store.write(place, text)
    store.write(key, sealed(record))


def outcomes(report, outcome):
    return [name for name, check in report["checks"].items() if check["outcome"] == outcome]


@pytest.mark.smoke
def test_a_drill_of_a_dump_restores_all_of_it_and_leaves_its_evidence(world, directory):
    drill = Drill(world.walship, directory)
    sql = directory / "sql"
    sql.mkdir()
    (sql / "pairs.sql").write_text(f"-- database: {HOSTILE}\nSELECT count(*) = 100 FROM pairs;\n")
    report = drill.run(0, world.dump["id"], "--drill-dir", str(sql))
    assert (report["dump"], report["backup"], report["passed"]) == (world.dump["id"], None, True)
    assert outcomes(report, "skipped") == ["target", "counts", "structure", "in time", "recent", "dump", "pages"]
    assert outcomes(report, "not made") == outcomes(report, "failed") == []
    assert report["checks"]["restored"]["checked"] == report["checks"]["databases"]["checked"] + 1 == 6
    proofs = [key for key in world.store.keys(f"{report['system_id']}/proof/") if "-drill" in key]
    assert [key.endswith("-drill-dump.json") for key in proofs] == [True], "no status takes it for a drill of a backup"
    assert json.loads(world.store.read(proofs[0])) == report
    assert world.store.keys(f"{report['system_id']}/lease/") == []
    (drilled,) = json.loads(world.walship.ok("drill", "--history", "--json").out)["drills"]
    assert drilled == report
    assert f"dump {world.dump['id']}" in world.walship.ok("drill", "--history").out
    when = proofs[0].split("/")[-1].split("-")[0]
    assert f"PASSED: dump {world.dump['id']}, restored" in world.walship.ok("drill", "--history", when).out
    (sql / "pairs.sql").write_text(f"-- database: {HOSTILE}\nSELECT count(*) = 99 FROM pairs;\n")
    drill.fails("sql", "pairs.sql: statement 1 did not return true but false", world.dump["id"], "--drill-dir", str(sql))
    without_rows = drill.run(0, world.dump["id"], "--schema-only")
    assert without_rows["schema_only"] is True and "sql" in outcomes(without_rows, "skipped")


def test_a_dump_that_cannot_be_restored_does_not_pass_its_drill(world, walship, store, directory, programs):
    drill = Drill(walship, directory)
    walship.configure(compression="none")
    walship.ok("dump", "empty", HOSTILE, env=world.server.pg_environment)
    archives = [key for key in objects(store) if key.endswith(".dump")]
    (key,) = [key for key in archives if b"Zanzibar" in store.read(key)]
    content = store.read(key)
    lack(store, "empty", extensions=[{"name": "no_such", "version": "1"}], roles=["nobody there"])
    report = drill.run(8)
    assert outcomes(report, "failed") == ["configured"] and outcomes(report, "not made") != []
    assert [finding.split(" needs ")[1] for finding in report["checks"]["configured"]["findings"]] == [
        'extension "no_such", which is not installed here', 'role "nobody there", which the dump\'s globals do not have'
    ]
    lack(store, "empty", extensions=[], roles=[])
    drill.bindir = programs("pg_restore", 'case "$*" in *create*) echo "pg_restore: error: it broke" >&2; exit 1;; esac\nexec REAL "$@"\n')
    drill.fails("restored", "failed: pg_restore: error: it broke")
    drill.bindir = pg.find_install(pg.default_major()).bindir
    store.write(key, content[:-5000] + content[-5000:].replace(b"Zanzibar", b"zanzibar", 1))
    drill.fails("restored", "checksum")
    walship.fails(9, *drill.options("20200101T000000Z-abcd"), says="20200101T000000Z-abcd")
    walship.fails(2, *drill.options("--latest"), says="exclude each other")
    assert list(drill.scratch.glob("drill-*")) == []


def test_tablespaces_of_a_dump_stay_where_they_are_and_its_superuser_has_his_name(servers, walship, store, directory):
    server = servers.new()
    server.start()
    (directory / "fast").mkdir()
    server.sql("CREATE ROLE \"The Boss\" SUPERUSER CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS")
    server.sql(f"CREATE TABLESPACE \"fast 1\" LOCATION '{directory / 'fast'}'")
    server.sql("CREATE TABLE quick TABLESPACE \"fast 1\" AS SELECT 1 AS one")
    server.sql("CREATE ROLE member; CREATE ROLE clan; GRANT clan TO member")
    server.sql("CREATE TABLE grown AS SELECT generate_series(1, 1000) AS n")
    server.sql("ANALYZE grown, quick")
    server.sql("INSERT INTO grown SELECT generate_series(1, 500)")
    walship.ok("dump", env=server.pg_environment)
    server.kill()
    before = sorted(str(path) for path in (directory / "fast").rglob("*"))
    drill = Drill(walship, directory)
    report = drill.run(0, env={"PGHOSTADDR": "127.0.0.1", "PGOPTIONS": "-c search_path=nowhere", "PGUSER": "nobody"})
    assert report["passed"] is True and report["checks"]["restored"]["notes"] == []
    assert report["checks"]["counts"]["checked"] == 2
    (grown, estimates) = report["checks"]["counts"]["notes"]
    assert "table public.grown: 1500 rows, and the server's estimate had been 1000" in grown and "estimates" in estimates
    assert sorted(str(path) for path in (directory / "fast").rglob("*")) == before
    process = walship.start(*drill.options())
    running = lambda: [note for note in drill.scratch.glob("drill-*/pgdata/postmaster.pid")]  # noqa: E731
    wait_until(lambda: running() or process.poll() is not None, "its server runs")
    process.kill()
    process.communicate(timeout=20)
    assert list(drill.scratch.glob("drill-*")) != []
    assert drill.run(0)["passed"] is True
    assert store.keys(f"{report['system_id']}/lease/") == []


@pytest.mark.parametrize("major", [13, 18])
def test_a_drill_of_a_dump_of_every_major_passes(major, servers, walship, directory):
    install = pg.find_install(major)
    if not install or (major > pg.default_major() and not (install.bindir / "pg_dump").is_file()):
        pytest.skip(f"PostgreSQL {major} is not on this machine, or no pg_dump that can work for it")
    server = servers.new(major=major)
    server.start()
    server.sql("CREATE ROLE member LOGIN; CREATE ROLE clan; GRANT clan TO member; GRANT pg_monitor TO clan")
    server.sql("CREATE DATABASE shop OWNER member")
    server.sql("CREATE TABLE big AS SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i", database="shop")
    server.sql("CREATE UNIQUE INDEX ON big (i)", database="shop")
    if major > pg.default_major():
        walship.configure(pg_bindir=install.bindir)
    walship.ok("dump", "shop", "--table-size", "1MB", env=server.pg_environment)
    drill = Drill(walship, directory, major)
    report = drill.run(0)
    assert report["passed"] is True and report["server_version"] // 10000 == major
    assert report["checks"]["restored"]["notes"] == []

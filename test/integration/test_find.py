"""find tells drops from rewrites, on real WAL, and recover --before-drop brings back what was lost."""
import contextlib
import functools
import json
import re
import shlex
from dataclasses import asdict

import psycopg2
import pytest

from walship_testing import server as pg
from walship_testing.proc import run
from walship_testing.recovery import load_archive, note_moment, take_backup
from walship_testing.walship import Walship

SETUP = """
    CREATE TABLE plain (i int);
    INSERT INTO plain SELECT generate_series(1, 100);
    CREATE TABLE indexed (i int PRIMARY KEY, t text);
    ALTER TABLE indexed ALTER t SET STORAGE EXTERNAL;
    INSERT INTO indexed SELECT i, repeat(md5(i::text), 200) FROM generate_series(1, 100) i;
    CREATE INDEX ON indexed (left(t, 10));
    CREATE TABLE parted (i int) PARTITION BY RANGE (i);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (50);
    CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (50) TO (200);
    INSERT INTO parted SELECT generate_series(1, 100);
    CREATE SCHEMA goods;
    CREATE TABLE goods.item (i int PRIMARY KEY, t text);
    CREATE TABLE goods.part (i int REFERENCES goods.item, n serial);
    CREATE VIEW goods.all_parts AS SELECT i FROM goods.part;
    INSERT INTO goods.item SELECT i, i::text FROM generate_series(1, 100) i;
    INSERT INTO goods.part SELECT generate_series(1, 100);
    CREATE TABLE kept (i int PRIMARY KEY, t text);
    INSERT INTO kept SELECT i, repeat(md5(i::text), 10) FROM generate_series(1, 1000) i;
    CREATE INDEX ON kept (t);
    CREATE MATERIALIZED VIEW summary AS SELECT i, t FROM kept;
    CREATE VIEW seen AS SELECT i FROM kept;
    CREATE TABLE wordy (t text);
    INSERT INTO wordy VALUES ('1');
    CREATE TABLE rotated (i int) PARTITION BY RANGE (i);
    CREATE TABLE rotated_1 PARTITION OF rotated FOR VALUES FROM (0) TO (50);
    INSERT INTO rotated VALUES (1);
"""

# What is done, in this order: name, what find is to make of it, statements; some in one transaction.
STEPS = [
    ("unlogged", None, ["CREATE UNLOGGED TABLE staging (i int PRIMARY KEY)"]),
    ("truncate unlogged", "rewrite", ["TRUNCATE staging"]),
    ("truncate beside a temporary table", "rewrite", ["BEGIN", "CREATE TEMP TABLE t (t text) ON COMMIT DROP",
                                                      "TRUNCATE staging", "COMMIT"]),
    ("drop unlogged", "drop", ["DROP TABLE staging"]),
    ("truncate", "rewrite", ["TRUNCATE kept"]),
    ("fill again", None, ["INSERT INTO kept SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 500) i"]),
    ("vacuum full", "rewrite", ["VACUUM FULL kept"]),
    ("cluster", "rewrite", ["CLUSTER kept USING kept_pkey"]),
    ("reindex", "rewrite", ["REINDEX TABLE kept"]),
    ("refresh", "rewrite", ["REFRESH MATERIALIZED VIEW summary"]),
    ("view", None, ["DROP VIEW seen"]),
    ("alter type", "rewrite", ["ALTER TABLE goods.part ALTER n TYPE bigint"]),
    ("alter type of a key", "rewrite", ["ALTER TABLE indexed ALTER i TYPE bigint"]),
    ("alter type that needs no TOAST", "rewrite", ["ALTER TABLE wordy ALTER t TYPE int USING t::int"]),
    ("temporary table", None, ["CREATE TEMP TABLE t (i serial, t text)", "DROP TABLE t"]),
    ("create and drop", None, ["BEGIN", "CREATE TABLE short (i int PRIMARY KEY, t text)", "DROP TABLE short",
                               "COMMIT"]),
    ("savepoint rolled back", None, ["BEGIN", "INSERT INTO plain VALUES (0)", "SAVEPOINT s", "DROP TABLE plain",
                                     "ROLLBACK TO s", "COMMIT"]),
    ("rolled back", None, ["BEGIN", "DROP TABLE plain", "TRUNCATE kept", "ROLLBACK"]),
    ("another segment", None, []),
    ("plain", "drop", ["DROP TABLE plain"]),
    ("indexed", "drop", ["BEGIN", "SAVEPOINT s", "DROP TABLE indexed", "RELEASE s", "COMMIT"]),
    ("parted", "drop", ["DROP TABLE parted"]),
    ("database", "database", ["DROP DATABASE lost"]),
    ("schema", "drop", ["DROP SCHEMA goods CASCADE"]),
    ("create another", "drop", ["BEGIN", "CREATE TABLE fresh (i int)", "DROP TABLE rotated_1", "COMMIT"]),
    ("matview", "drop", ["DROP MATERIALIZED VIEW summary"]),
]


def next_xid(server):
    return server.value("SELECT (txid_snapshot_xmax(txid_current_snapshot()) % (2^32)::bigint)::int")


def do(server, statements):
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def oids(server):
    return dict(server.sql("SELECT relname, oid::int FROM pg_class WHERE relnamespace <> 'pg_catalog'::regnamespace"))


def tell_losses(major, walship, factory):
    server = factory.new(major=major, autovacuum="off")
    server.archive_with(walship)
    server.start()
    backup = take_backup(walship, server)
    server.sql("CREATE DATABASE lost")
    server.sql("CREATE TABLE t AS SELECT generate_series(1, 100) i", database="lost")
    server.sql(SETUP)
    begin = server.now()
    lost = server.value("SELECT oid::int FROM pg_database WHERE datname = 'lost'")
    steps = []
    for name, kind, statements in STEPS:
        if name == "another segment":
            server.switch_wal()
            continue
        moment = asdict(note_moment(server)) if name in RECOVERED[major] else None
        step = {"name": name, "kind": kind, "xid": next_xid(server), "oids": oids(server), "moment": moment}
        do(server, statements)
        steps.append(step)
    last = server.switch_and_archive()
    return {"system": int(backup["system_id"]), "backups": [backup], "begin": begin, "steps": steps,
            "lost": lost, "last": last}


RECOVERED = {
    13: ["indexed", "database"],
    15: ["truncate", "alter type of a key", "plain", "indexed", "parted", "database", "schema", "create another"],
    18: ["indexed", "database"],
}
MAJORS = [pytest.param(major, id=f"pg{major}") for major in RECOVERED]
HERE_ONLY = pytest.mark.directory_only("what find makes of WAL does not depend on where it lies")


@pytest.fixture
def losses(request, store, cache):
    """The store holds what tell_losses() did on this major."""
    major = getattr(request, "param", 15)
    if not pg.find_install(major):
        pytest.skip(f"PostgreSQL {major} is not on this machine; test/install test says why")
    archive = load_archive(cache, f"losses-{major}", functools.partial(tell_losses, major))
    archive.into(store)
    archive.major = major
    return archive


def every_major(test):
    return HERE_ONLY(pytest.mark.parametrize("losses", MAJORS, indirect=True)(test))


def expected(losses, *kinds):
    """On 13 and 14 a transaction that creates as much as it drops looks like a rewrite, and a TOAST table that goes like a
    table that was dropped: their WAL does not tell which relations are gone."""
    found = []
    for step in losses.facts["steps"]:
        kind = step["kind"]
        if step["name"] == "create another" and losses.major < 15:
            kind = "rewrite"
        if step["name"] == "alter type that needs no TOAST" and losses.major < 15:
            kind = "drop"
        if kind in kinds:
            found.append((kind, step["xid"]))
    return found


def find(walship, losses, *options):
    return json.loads(walship.ok("find", "--json", "--since", losses.facts["begin"], *options).out)


def step_of(losses, name):
    return next(step for step in losses.facts["steps"] if step["name"] == name)


@every_major
def test_drops_and_rewrites_are_told_apart(losses, walship):
    drops = find(walship, losses)
    assert [(item["kind"], item["xid"]) for item in drops["found"]] == expected(losses, "drop", "database")
    assert [item["number"] for item in drops["found"]] == list(range(1, len(drops["found"]) + 1))
    rewrites = find(walship, losses, "--rewrites")
    assert [(item["kind"], item["xid"]) for item in rewrites["found"]] == expected(losses, "rewrite")
    assert drops["rewrites"] == len(rewrites["found"])
    assert drops["warnings"] == []


@every_major
def test_what_was_dropped_is_named_by_its_oid(losses, walship):
    by_xid = {item["xid"]: item for item in find(walship, losses)["found"]}
    known = step_of(losses, "indexed")
    indexed = by_xid[known["xid"]]
    main = known["oids"]["indexed"]
    assert indexed["relations"] == sorted(
        [main, known["oids"]["indexed_pkey"], known["oids"]["indexed_left_idx"], known["oids"][f"pg_toast_{main}"],
         known["oids"][f"pg_toast_{main}_index"]]
    )
    assert indexed["file_count"] == 5
    assert by_xid[step_of(losses, "database")["xid"]]["database"] == losses.facts["lost"]
    goods = by_xid[step_of(losses, "schema")["xid"]]
    assert {step_of(losses, "schema")["oids"][name] for name in ("item", "part")} <= set(goods["relations"])


@HERE_ONLY
@pytest.mark.parametrize(
    "losses, name",
    [pytest.param(major, name, id=f"pg{major}-{name}") for major, names in RECOVERED.items() for name in names],
    indirect=["losses"],
)
def test_recovery_to_just_before_brings_everything_back(losses, recoveries, name):
    step = step_of(losses, name)
    copy = recoveries.recover("--before-drop", f"xid:{step['xid']}", major=losses.major)
    copy.start(wait=False)
    copy.wait_paused()
    assert copy.checksums() == step["moment"]["tables"]
    assert f"transaction {step['xid']}" in copy.recovery.out


# On 15 only: what is asked and how it is answered


@HERE_ONLY
def test_a_number_means_the_drop_that_find_shows_under_it(losses, walship, recoveries):
    since = ["--since", losses.facts["begin"]]
    for item in find(walship, losses)["found"][1:5:3]:
        plan = recoveries.plan("--before-drop", item["number"], *since)
        assert plan["asked"] == {"kind": "before", "inclusive": False, "lsn": item["lsn"], "xid": item["xid"]}
        assert plan == recoveries.plan(f"--before-drop=xid:{item['xid']}", *since)


@HERE_ONLY
def test_several_drops_are_listed_and_nothing_is_touched(losses, walship, recoveries):
    since = ["--since", losses.facts["begin"]]
    found = find(walship, losses)["found"]
    says = [f"{len(found)} drops", *(f"number {item['number']}, " for item in found)]
    recoveries.refused(9, "--before-drop", *since, says=says)
    recoveries.refused(9, *since, "--before-drop", "--json", says=says)


@HERE_ONLY
def test_the_only_drop_in_a_range_of_time_needs_no_number(losses, walship, recoveries):
    item = find(walship, losses)["found"][1]
    at = item["time"]
    plan = recoveries.plan("--before-drop", "--since", at, "--until", at)
    assert plan["asked"]["xid"] == item["xid"]
    only = json.loads(walship.ok("find", "--json", "--since", at, "--until", at).out)["found"]
    assert [one["xid"] for one in only] == [item["xid"]]


@HERE_ONLY
def test_a_transaction_id_is_never_taken_for_a_number(losses, walship, recoveries):
    xid = find(walship, losses)["found"][0]["xid"]
    recoveries.refused(9, "--before-drop", xid, says=[f"no drop number {xid}", f"xid:{xid}"])
    recoveries.refused(9, "--before-drop", "xid:1000000000", says="no drop of transaction 1000000000")


@HERE_ONLY
def test_a_truncated_table_comes_back_by_its_transaction(losses, recoveries, walship):
    """A rewrite has no number among the drops."""
    step = step_of(losses, "truncate")
    plan = recoveries.plan("--before-drop", f"xid:{step['xid']}")
    assert plan["asked"]["xid"] == step["xid"]
    assert step["xid"] not in [item["xid"] for item in find(walship, losses)["found"]]


@HERE_ONLY
@pytest.mark.smoke
def test_the_line_that_find_prints_works_when_it_is_pasted(losses, walship, recoveries):
    step = step_of(losses, "database")
    item = next(item for item in find(walship, losses)["found"] if item["xid"] == step["xid"])
    assert item["recover"] in walship.ok("find").out
    place = recoveries.place()
    pasted = item["recover"].replace("--pgdata DIR", f"--pgdata {shlex.quote(str(place.pgdata))}")
    result = run(["sh", "-c", pasted], env={"PATH": f"{walship.binary.parent}:/usr/bin:/bin"})
    assert result.rc == 0, result
    place.start(wait=False)
    place.wait_paused()
    assert place.checksums() == step["moment"]["tables"]


@HERE_ONLY
def test_people_see_what_programs_see(losses, walship):
    out = walship.ok("find", "--since", losses.facts["begin"]).out
    for item in find(walship, losses)["found"]:
        assert f"transaction {item['xid']}, LSN {item['lsn']}" in out
        assert item["recover"] in out
    assert f"dropped database {losses.facts['lost']}" in out
    assert "--rewrites" in out
    again = walship.ok("find", "--since", losses.facts["begin"], "--drops").out
    assert re.sub(r"[^ ]+ [a-z]+ ago", "ago", again) == re.sub(r"[^ ]+ [a-z]+ ago", "ago", out)


# On the stories that other tests use, too


def test_find_without_an_option_shows_the_drop(story, walship, recoveries):
    found = json.loads(walship.ok("find", "--json").out)
    assert [item["kind"] for item in found["found"]] == ["drop"]
    plan = recoveries.plan("--before-drop")
    by_time = recoveries.plan("--target-time", story.moment("mistake").time)
    assert plan["target"] == by_time["target"]
    assert plan["last_included"] == by_time["last_included"]


@HERE_ONLY
def test_the_only_drop_is_undone_without_naming_it(story, recoveries):
    copy = recoveries.copy("--before-drop")
    assert copy.checksums() == story.moment("mistake").tables


@HERE_ONLY
def test_restore_points_are_shown_with_a_line_that_leads_to_them(server, walship, recoveries):
    take_backup(walship, server)
    names = ["it's", "twice", "with %p and \\", "twice", *(f"many-{number}" for number in range(10))]
    for name in names:
        server.sql("SELECT pg_create_restore_point(%s)", name)
    server.switch_and_archive()
    found = json.loads(walship.ok("find", "--restore-points", "--json").out)["found"]
    assert [item["name"] for item in found] == names
    for item in found[:4]:
        pasted = item["recover"].replace("--pgdata DIR", "--plan --json")
        result = run(["sh", "-c", pasted], env={"PATH": f"{walship.binary.parent}:/usr/bin:/bin"})
        asked = json.loads(result.out)["asked"]
        if item["name"] == "twice":
            assert (asked["kind"], asked["lsn"]) == ("lsn", item["lsn"])
        else:
            assert (asked["kind"], asked["name"]) == ("name", item["name"])


@HERE_ONLY
@pytest.mark.parametrize("count", [3, 12], ids=["by the index", "by the segment"])
def test_a_restore_point_whose_name_cannot_be_shown_is_led_to_by_its_lsn(server, walship, recoveries, count):
    """Control characters would do something to a terminal, and not every byte is text."""
    take_backup(walship, server)
    server.sql("CREATE DATABASE raw TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    for number in range(count):
        server.sql(f"SELECT pg_create_restore_point(E'{number}\\x1b[31m\\n\\xe9')", database="raw")
    server.sql("SELECT pg_create_restore_point('')")
    server.sql("SELECT pg_create_restore_point('fünf')")
    server.switch_and_archive()
    found = json.loads(walship.ok("find", "--restore-points", "--json").out)["found"]
    assert [item["name"] for item in found] == [*(f"{number}?[31m??" for number in range(count)), "", "fünf"]
    assert "--target-name 'fünf'" in found.pop()["recover"]
    for item in found:
        assert f"--target-lsn {item['lsn']} " in item["recover"]
    assert "\x1b" not in walship.ok("find", "--restore-points").out
    if count == 3:
        target = recoveries.plan("--target-name", found[0]["name"])["target"]
        assert (target["kind"], target["lsn"]) == ("lsn", found[0]["lsn"]), "the server knows no such name"
    copy = recoveries.recover("--target-lsn", found[0]["lsn"])
    copy.start(wait=False)
    copy.wait_paused()


@HERE_ONLY
def test_commits_are_shown_in_a_range_of_time(story, walship):
    since, until = story.moment("morning").time, story.moment("noon").time
    found = json.loads(walship.ok("find", "--commits", "--json", "--since", since, "--until", until).out)["found"]
    assert story.facts["noon_xid"] in [item["xid"] for item in found]
    assert all(since.replace(" ", "T")[:19] <= item["time"] <= until.replace(" ", "T") for item in found)
    everything = json.loads(walship.ok("find", "--commits", "--json").out)["found"]
    lsns = [int(high, 16) << 32 | int(low, 16) for high, low in (item["lsn"].split("/") for item in everything)]
    assert lsns == sorted(set(lsns)) and len(everything) > len(found)


@HERE_ONLY
def test_each_timeline_shows_what_happened_on_it_once(branches, walship):
    def commits(*options):
        found = json.loads(walship.ok("find", "--commits", "--json", *options).out)["found"]
        return [(item["timeline"], item["lsn"]) for item in found]

    everything = commits()
    assert len(everything) == len(set(everything))
    on_one, on_two = commits("--timeline", 1), commits("--timeline", 2)
    assert {timeline for timeline, _ in on_one} == {1}
    assert {timeline for timeline, _ in on_two} == {1, 2}
    assert set(everything) == set(on_one) | set(on_two)
    assert set(on_one) - set(on_two), "what the new timeline does not have"


@HERE_ONLY
def test_where_nothing_is_found_it_says_so(story, walship):
    since = story.moment("night").time
    assert "No table, index or database was dropped" in walship.ok("find", "--since", since).out
    found = json.loads(walship.ok("find", "--json", "--since", since).out)
    assert found["found"] == [] and found["searched"] == "drops"
    walship.fails(9, "recover", "--plan", "--before-drop", "--since", since, says="no drop is in the WAL")


@HERE_ONLY
def test_what_began_before_the_range_of_time_counts(servers, walship):
    """The file of a TRUNCATE is made in a segment that is out of range, above one that has no times at all."""
    if not pg.find_install(13):
        pytest.skip("PostgreSQL 13 is not on this machine; test/install test says why")
    server = servers.new(major=13, segment_size=1, autovacuum="off")
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    server.sql("CREATE TABLE t AS SELECT 1 AS i")
    server.switch_wal()
    server.sql("CREATE TABLE wide AS SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 5000) i")
    server.switch_wal()
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("TRUNCATE t")
        server.sql("CREATE TABLE another (i int)")
        server.switch_wal()
        since = server.now()
        cursor.execute("COMMIT")
    server.switch_and_archive()
    found = json.loads(walship.ok("find", "--rewrites", "--json", "--since", since).out)["found"]
    assert [item["kind"] for item in found] == ["rewrite"]
    assert json.loads(walship.ok("find", "--json", "--since", since).out)["found"] == []


LOCKED = "may be locked while recovery is paused"


@HERE_ONLY
def test_a_plan_says_when_the_dropped_table_will_be_locked(server, walship, recoveries):
    """The server replays the lock of a DROP whose transaction overlaps with others, and queries hang."""
    take_backup(walship, server)
    server.sql("CREATE TABLE slow AS SELECT 1 AS i")
    server.sql("CREATE TABLE quick AS SELECT 1 AS i")
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("DROP TABLE slow")
        server.sql("CREATE TABLE another (i int)")
        cursor.execute("COMMIT")
    server.sql("DROP TABLE quick")
    server.switch_and_archive()
    assert [LOCKED in str(recoveries.plan("--before-drop", number)["warnings"]) for number in (1, 2)] == [True, False]

    copy = recoveries.recover("--before-drop", 1)
    copy.start(wait=False)
    copy.wait_paused()
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        copy.sql("SET lock_timeout = '1s'; SELECT i FROM slow")
    copy.sql("SELECT pg_wal_replay_resume()")
    copy.wait_promoted()
    assert copy.value("SELECT i FROM slow") == 1


def segments(story, store):
    return [key for key in store.keys(f"{story.system}/wal/") if key.endswith(".tar")]


@HERE_ONLY
def test_segments_in_which_nothing_was_dropped_are_not_read(story, walship, store):
    """Their payload may be damaged for all that."""
    before = walship.ok("find", "--json").out
    lsn = json.loads(before)["found"][0]["lsn"]
    where = f"{int(lsn.split('/')[1], 16) // (16 * 1024 * 1024):08X}.tar"
    damage = [key for key in segments(story, store) if not key.endswith(where)]
    made = [key for key in damage if store.read(key)[:4096].count(b"files_created")]
    for key in set(damage) - set(made):
        content = bytearray(store.read(key))
        content[-2000:-1500] = bytes(500)
        store.write(key, bytes(content))
    assert set(damage) - set(made)
    assert walship.ok("find", "--json").out == before


@HERE_ONLY
def test_what_cannot_be_looked_at_is_said(story, walship, store):
    keys = segments(story, store)
    store.remove(keys[2])
    name = keys[2].rpartition("/")[2].removesuffix(".tar")
    assert f"WARNING: WAL segment {name} is missing" in walship.ok("find").out
    store.write(keys[3], b"x" * 100000)
    warnings = json.loads(walship.ok("find", "--json").out)["warnings"]
    assert any("cannot be read" in warning for warning in warnings) and len(warnings) == 2


@HERE_ONLY
@pytest.mark.parametrize(
    "command, options, says",
    [
        ("find", ["--drops", "--commits"], "exclude each other"),
        ("find", ["--since", "2026-01-02Z", "--until", "2026-01-01Z"], ""),
        ("find", ["--since", "yesterday"], "--since"),
        ("find", ["--timeline", "0"], "no timeline"),
        ("recover", ["--plan", "--immediate", "--since", "2026-01-01 00:00Z"], "--before-drop"),
        ("recover", ["--plan", "--before-drop", "everything"], "names no drop"),
        ("recover", ["--plan", "--before-drop", "xid:2"], "names no drop"),
        ("recover", ["--plan", "--before-drop", "0"], "names no drop"),
        ("recover", ["--plan", "--before-drop", "--latest", "--copy"], "exclude each other"),
        ("recover", ["--plan", "--before-drop", "--exclusive"], "--exclusive"),
        ("recover", ["--plan", "--before-drop", "--standby"], "standby"),
    ],
)
def test_wrong_requests_are_refused(empty_place, directory, command, options, says):
    walship = Walship(directory / "walship", {"store": empty_place.url})
    walship.fails(2, command, *options, says=says)

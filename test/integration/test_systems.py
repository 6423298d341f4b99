"""Which database system is meant: a forgotten PGPORT, a second cluster, the system after a pg_upgrade."""
import json

import pytest

from walship_testing import server as pg
from walship_testing.recovery import backup_key, take_backup
from walship_testing.store import sealed
from walship_testing.walship import Walship


@pytest.fixture
def upgraded(servers, walship, server):
    """A server with a backup, and the one that took its place: a new system identifier, as pg_upgrade leaves it."""
    server.write_rows(10)
    take_backup(walship, server)
    server.switch_and_archive()
    newer = next((major for major in (18, 17, 16) if pg.find_install(major)), pg.default_major())
    made = servers.new(name="upgraded", major=newer, fresh=True).start()
    yield server, made


def test_a_backup_of_a_system_that_the_store_does_not_hold_is_refused_where_it_holds_others(walship, store, upgraded):
    """What a forgotten PGPORT does: from then on nobody could tell the two apart."""
    old, new = upgraded
    before = sorted(store.keys(""))
    said = walship.fails(3, "backup", "--fast", env=new.pg_environment).err
    assert str(new.system_identifier()) in said and "1 other database system" in said and "--new-system" in said
    assert sorted(store.keys("")) == before
    take_backup(walship, old)


def test_after_a_pg_upgrade_both_systems_are_told_apart(walship, store, upgraded):
    old, new = upgraded
    backup = take_backup(walship, new, "--new-system")
    take_backup(walship, new)
    said = walship.fails(2, "list", "--json").err
    assert "holds 2 database systems" in said
    for server in upgraded:
        assert f"{server.system_identifier()} (PostgreSQL {server.major}, newest backup 20" in said
    assert "last commit 20" in said and "pg_upgrade" in said
    listing = json.loads(walship.ok("list", "--json", "--system", new.system_identifier()).out)
    assert backup["id"] in [item["id"] for item in listing["backups"]]
    old_listing = json.loads(walship.ok("list", "--json", "--pgdata", old.pgdata).out)
    assert old_listing["system"] == str(old.system_identifier())


def test_conninfo_and_pgdata_of_a_section_say_which_server_is_meant(directory, store, server, servers, walship):
    other = servers.new(name="other", fresh=True).start()
    sections = f"""
[cluster main]
conninfo = {server.conninfo}
pgdata = {server.pgdata}

[cluster mistaken]
conninfo = {server.conninfo}
pgdata = {other.pgdata}
"""
    sectioned = Walship(directory / "sectioned", store.settings, cluster_sections=sections)
    record = json.loads(sectioned.ok("backup", "--fast", "--json", "--cluster", "main", env=other.pg_environment).out)
    assert record["system_id"] == str(server.system_identifier()) or record["system_id"] == server.system_identifier()
    said = sectioned.fails(2, "backup", "--fast", "--cluster", "mistaken").err
    assert "another database system" in said
    listing = json.loads(sectioned.ok("list", "--json", "--cluster", "main").out)
    assert listing["system"] == str(server.system_identifier())


def test_pgdata_of_a_section_says_whose_backups_expire_and_are_pinned(directory, store, upgraded):
    """They connect to no server: of the settings that say which one is meant, "pgdata" is theirs."""
    old, new = upgraded
    section = f"\n[cluster main]\npgdata = {old.pgdata}\nretention = last 1\n"
    sectioned = Walship(directory / "sectioned", store.settings, cluster_sections=section)
    other = take_backup(sectioned, new, "--new-system")
    listing = json.loads(sectioned.ok("list", "--json", "--cluster", "main").out)
    (first,) = [item["id"] for item in listing["backups"]]
    sectioned.fails(2, "pin", first, says="holds 2 database systems")
    sectioned.fails(2, "expire", "--retention", "last 1", says="holds 2 database systems")

    sectioned.fails(1, "pin", other["id"], "--cluster", "main")
    sectioned.ok("pin", first, "--cluster", "main")
    newest = take_backup(sectioned, old, "--cluster", "main")
    plan = json.loads(sectioned.ok("expire", "--json", "--dry-run", "--force", "--cluster", "main").out)
    assert {item["id"]: item["keep"] for item in plan["backups"]} == {first: True, newest["id"]: True}
    sectioned.ok("unpin", first, "--cluster", "main")
    before = sorted(store.keys(f"{new.system_identifier()}/"))
    sectioned.ok("expire", "--force", "--cluster", "main")
    assert not store.exists(backup_key({**newest, "id": first}, "backup.json"))
    assert store.exists(backup_key(newest, "backup.json"))
    assert sorted(store.keys(f"{new.system_identifier()}/")) == before


@pytest.mark.parametrize("text", ["password=secret host=db", "postgresql://me:secret@db/", "host"])
def test_a_connection_string_with_a_password_is_refused_and_not_repeated(walship, text):
    said = walship.fails(2, "backup", "--fast", "--conninfo", text).err
    assert 'setting "conninfo"' in said and "without a password" in said and "secret" not in said


def test_a_backup_in_the_future_and_a_clock_that_went_back_are_told(story, store, walship, recoveries):
    """By LSN the newer backup is the newer one, whatever the clocks say."""
    older, newer = story.backups
    key = backup_key(older, "backup.json")
    store.write(key, sealed({**json.loads(store.read(key)), "stop_time": "2099-01-01T00:00:00Z"}))
    listing = json.loads(walship.ok("list", "--json").out)
    assert listing["newest_backup"]["id"] == newer["id"] and listing["newest_backup_by_time"] == older["id"]
    assert any("ahead of this machine's clock" in text for text in listing["warnings"])
    assert any("clock went back" in text and older["id"] in text for text in listing["warnings"])
    assert "WARNING: The server's clock went back" in walship.ok("list").out
    plan = recoveries.plan("--target-time", story.moment("evening").time)
    assert any("clock went back" in text for text in plan["warnings"])

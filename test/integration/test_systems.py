"""Which database system is meant: a forgotten PGPORT, a second cluster, the system after a pg_upgrade."""
import json

import pytest

from walship_testing import server as pg
from walship_testing import upgrade
from walship_testing.recovery import backup_key, note_moment, take_backup
from walship_testing.store import DirectoryStore, create_store, sealed
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


@pytest.mark.directory_only("pg_upgrade knows nothing of the store, and takes its time")
def test_pg_upgrade_as_the_documentation_tells_it_keeps_both_systems_recoverable(
    servers, walship, store, recoveries, directory
):
    """The numbers are those of docs/operations.md, "pg_upgrade"."""
    pair = upgrade.find_pair()
    if not pair:
        pytest.skip("no pg_upgrade on this machine with an older PostgreSQL beside it; test/install test says why")
    old = servers.new(name="old", major=pair[0], checksums=False, fresh=True)
    walship.configure(pgdata=old.pgdata)
    old.archive_with(walship)
    old.start()

    # 1. a backup of the old system, its last WAL, and its end
    old.write_rows(100)
    old_backup = take_backup(walship, old)
    old.write_rows(100)
    before = note_moment(old)
    old.write_rows(100, table="last")
    last = note_moment(old)
    old.switch_and_archive()
    old.stop()

    # 2. a new data directory with the same data checksums, and pg_upgrade
    new = servers.new(name="new", major=pair[1], checksums=False, fresh=True)
    result = upgrade.pg_upgrade(old, new, directory / "upgrade")
    assert result.rc == 0, str(result)
    old_system, new_system = old.system_identifier(), new.system_identifier()
    assert old_system != new_system
    assert not store.keys(f"{new_system}/"), "pg_upgrade has archived"

    # 3. archiving, which pg_upgrade must not find there, and the start
    new.archive_with(walship)
    walship.configure(pgdata=new.pgdata)
    new.start()
    assert new.checksums() == last.tables

    # 4. the store knows nothing of it: that it is meant has to be said, once
    said = walship.fails(3, "backup", "--fast", env=new.pg_environment).err
    assert str(new_system) in said and "--new-system" in said
    new_backup = take_backup(walship, new, "--new-system")
    assert new_backup["system_id"] == str(new_system)
    assert new_backup["server_version"] // 10000 == pair[1]
    new.write_rows(100, table="since")
    upgraded = note_moment(new)
    new.write_rows(1, table="later")
    first = new.switch_and_archive()
    assert store.exists(f"{new_system}/wal/{first[:8]}/{first}.tar")
    assert new.value("SELECT failed_count FROM pg_stat_archiver") == 0
    take_backup(walship, new)

    # 5. list and check mean the new one, --system OLD the old one, and without either the hint tells them apart
    walship.ok("check", env=new.pg_environment)
    assert json.loads(walship.ok("list", "--json").out)["system"] == str(new_system)
    listing = json.loads(walship.ok("list", "--json", "--system", old_system).out)
    assert [item["id"] for item in listing["backups"]] == [old_backup["id"]]
    walship.configure(pgdata=None)
    said = walship.fails(2, "list").err
    walship.configure(pgdata=new.pgdata)
    for system, major in zip((old_system, new_system), pair):
        assert f"{system} (PostgreSQL {major}, newest backup 20" in said

    # 6. the way back with the old programs, and the new system's own
    back = ["--target-time", before.time, "--system", old_system]
    assert recoveries.copy(*back, name="back", major=pair[0]).checksums() == before.tables
    on = ["--target-time", upgraded.time, "--system", new_system]
    assert recoveries.copy(*on, name="on", major=pair[1]).checksums() == upgraded.tables


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


# What each command says on a machine whose "pgdata" is gone: with one system in the store, and with two.
ON_A_NEW_MACHINE = {
    "list": (0, 2),
    "list --dumps": (0, 2),
    "list --files": (0, 2),
    "find --commits": (0, 2),
    "drill --plan": (0, 2),
    "drill --history": (0, 2),
    "verify": (0, 2),
    "copy --dry-run --to {other}": (0, 2),
    "copy --heal --dry-run --from {other}": (0, 2),
    "undump --list": (1, 2),
    "files --list": (0, 2),
    "files --list up": (1, 2),
    "recover --plan --latest --copy": (0, 2),
    "pin {backup}": (0, 2),
    "unpin {backup}": (0, 2),
    "expire --dry-run": (1, 1),
    "files up /etc/apt": (1, 1),
}


@pytest.mark.directory_only("which system is meant is no matter of the store")
def test_on_a_new_machine_the_only_system_in_the_store_is_taken(story, walship, store, directory, cache):
    """The settings file came along, the data directory did not; what removes or adds guesses nothing."""
    other = DirectoryStore(directory / "other")
    create_store(other, directory)
    story.into(other)
    gone = directory / "gone"
    walship.configure(pgdata=gone, system=None, retention="last 1")
    words = {"other": other.url, "backup": story.backups[0]["id"]}
    said = {}
    for systems in (0, 1):
        for command, expected in ON_A_NEW_MACHINE.items():
            result = walship.fails(expected[systems], *command.format(**words).split())
            said[command, systems] = result.err
        store.write("7300000000000000009/wal/00000001/000000010000000000000001.tar", b"x" * 2048)
    for command, (one, two) in ON_A_NEW_MACHINE.items():
        missing = f'data directory "{gone}" is not there, or holds no database system'
        taken = f"{missing}: system {story.system} is taken, the only one in the store"
        if two == 2:
            assert taken in said[command, 0], command
            assert "holds 2 database systems" in said[command, 1] and "--system" in said[command, 1], command
        else:
            assert missing in said[command, 0] and "--system" in said[command, 0]
    walship.ok("list", "--system", story.system)
    walship.fails(8, "expire", "--dry-run", "--system", story.system)

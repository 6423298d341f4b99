"""walship check: finds out beforehand what would fail at night."""
import json
import os
import shutil
import stat
import time

import pytest

from test_recover_refusals import as_root
from walship_testing.proc import wait_until
from walship_testing.walship import Walship


@pytest.fixture
def unmade(directory, empty_place):
    """Configured for a directory that is no store yet."""
    return Walship(directory / "walship", empty_place.settings)


def findings(result):
    return {item["check"]: item for item in json.loads(result.out)["checks"]}


EVERYTHING = [
    *("settings", "encryption", "data directory", "server version", "server", "archiving", "state directory"),
    *("store", "stored WAL", "segment", "archiver", "pg_wal", "slots", "senders"),
]


def check(walship, server, *options, expected=0):
    line = ("check", "--pgdata", server.pgdata, "--json", *options)
    return findings(walship.fails(expected, *line, env=server.pg_environment))


@pytest.mark.smoke
def test_everything_in_place_is_exit_0(walship, server):
    server.switch_and_archive()
    result = walship.ok("check", "--pgdata", server.pgdata, "--json", env=server.pg_environment)
    assert all(item["ok"] for item in findings(result).values()), str(result)
    assert [name for name in EVERYTHING if name in findings(result)] == EVERYTHING, str(result)
    assert str(server.system_identifier()) in findings(result)["data directory"]["detail"]
    assert json.loads(result.out)["ok"]


def test_the_text_says_the_same_with_the_verdict_first(walship, server):
    lines = walship.ok("check", "--pgdata", server.pgdata, env=server.pg_environment).out.splitlines()
    assert lines[0].startswith("Everything") and lines[1] == ""
    assert len(lines) >= 10 and all(line[:6] in ("OK    ", "WARN  ", "      ") for line in lines[2:]), lines
    server.stop()
    lines = walship.fails(8, "check", "--pgdata", server.pgdata, env=server.pg_environment).out.splitlines()
    assert "1 of" in lines[0] and "failed" in lines[0]


@pytest.mark.smoke
@pytest.mark.directory_only("it is about a store in a directory")
def test_a_store_in_the_data_directory_fails(walship, server):
    """It would be lost with the server, and in every backup."""
    walship.configure(store=f"file://{server.pgdata}/archive")
    line = ("check", "--create", "--store-only", "--pgdata", server.pgdata, "--json")
    place = findings(walship.fails(8, *line))["store's place"]
    assert not place["ok"] and "lies in the data directory" in place["detail"] and "set \"store\"" in place["hint"]


def test_a_store_without_its_marker_fails_with_the_remedy(unmade):
    result = unmade.fails(8, "check", "--store-only")
    assert "FAIL  store" in result.out and "--create" in result.out


@pytest.mark.smoke
def test_create_makes_the_marker_and_is_repeatable(unmade, empty_place):
    unmade.ok("check", "--create", "--store-only")
    marker = empty_place.directory / "walship-store.json"
    before = marker.read_bytes()
    json.loads(before)
    unmade.ok("check", "--create", "--store-only")
    assert marker.read_bytes() == before
    assert empty_place.keys() == []


def test_create_makes_the_directory_for_its_owner_and_group_only(directory, empty_place):
    empty_place.directory.rmdir()
    Walship(directory / "walship", empty_place.settings).ok("check", "--create", "--store-only")
    assert stat.S_IMODE(os.stat(empty_place.directory).st_mode) & 0o007 == 0


def test_without_create_nothing_is_made(directory, empty_place):
    empty_place.directory.rmdir()
    Walship(directory / "walship", empty_place.settings).fails(8, "check", "--store-only")
    assert not empty_place.directory.exists()


def test_a_read_only_store_fails(walship, store):
    """Also when check was run before: what it wrote then proves nothing about now."""
    with store.read_only():
        result = walship.fails(8, "check", "--store-only")
    assert "FAIL  store" in result.out


def test_a_missing_state_directory_fails_with_the_remedy(walship):
    walship.configure(state_dir="/nowhere/state")
    result = walship.fails(8, "check", "--store-only")
    assert "FAIL  state directory" in result.out and "install -d" in result.out


def test_a_directory_that_is_no_data_directory_fails(walship, directory):
    result = walship.fails(8, "check", "--pgdata", directory)
    assert "FAIL  data directory" in result.out


def test_a_data_directory_of_another_system_than_the_setting_fails(walship, datadir):
    walship.configure(system=4711)
    result = walship.fails(8, "check", "--pgdata", datadir.path)
    assert "4711" in result.out and str(datadir.system) in result.out


def test_a_damaged_pg_control_fails(walship, datadir):
    control = datadir.path / "global/pg_control"
    content = bytearray(control.read_bytes())
    content[100] ^= 1
    control.write_bytes(content)
    result = walship.fails(8, "check", "--pgdata", datadir.path)
    assert "pg_control" in result.out


def test_wrong_settings_are_a_usage_error(walship):
    walship.configure(compression="zstd", compression_level=23)
    walship.fails(2, "check")


def archiving(walship, server, *, expected=8):
    return check(walship, server, expected=expected)["archiving"]


def test_a_server_that_does_not_archive_fails_with_the_remedy(server, walship):
    """Everything else is in place, and nothing would ever be stored."""
    assert archiving(walship, server, expected=0)["ok"]
    server.sql("ALTER SYSTEM SET archive_command = '/bin/false'")
    server.reload()
    wait_until(lambda: server.value("SHOW archive_command") == "/bin/false", "the setting is read")
    said = archiving(walship, server)
    assert not said["ok"] and "/bin/false" in said["detail"]
    assert f"'{walship.binary}' push --config='{walship.config}' %p" in said["hint"]
    server.sql("ALTER SYSTEM SET archive_mode = off")
    server.restart()
    said = archiving(walship, server)
    assert not said["ok"] and "archive_mode is off" in said["detail"] and "ALTER SYSTEM" in said["hint"]


def test_a_server_that_archives_with_other_settings_fails(server, walship, store):
    walship.sections = f"[cluster main]\nstore = {store.settings['store']}\n"
    walship.write_config()
    result = walship.fails(
        8, "check", "--cluster", "main", "--pgdata", server.pgdata, "--json", env=server.pg_environment
    )
    assert not findings(result)["archiving"]["ok"] and "--cluster='main'" in findings(result)["archiving"]["hint"]


def test_a_server_that_is_down_fails_and_store_only_does_not_ask_it(server, walship):
    server.stop()
    line = ("check", "--pgdata", server.pgdata, "--json")
    said = findings(walship.fails(8, *line, env=server.pg_environment))
    assert not said["server"]["ok"] and "archiving" not in said
    assert "server" not in findings(walship.ok(*line, "--store-only", env=server.pg_environment))


def test_without_a_data_directory_the_server_says_where_it_is(server, walship):
    said = findings(walship.ok("check", "--json", env=server.pg_environment))
    assert said["segment"]["ok"] and "free on its file system" in said["pg_wal"]["detail"]


def test_without_a_server_it_fails_whatever_else_is_in_place(walship, directory):
    """A cron job that asks the wrong port must not be told that all is well."""
    said = findings(walship.fails(8, "check", "--json", env={"PGHOST": str(directory)}))
    assert [name for name, item in said.items() if not item["ok"]] == ["server"]
    assert "--store-only" in said["server"]["hint"]


def stored(store, server, detail):
    name = detail.split()[0]
    return store.exists(f"{server.system_identifier()}/wal/{name[:8]}/{name}.tar")


@pytest.mark.smoke
def test_a_segment_is_switched_and_seen_to_arrive_also_where_nothing_was_written(server, walship, store):
    """A switch at the beginning of a segment is none."""
    names = set()
    for _ in range(3):
        said = check(walship, server)["segment"]
        assert said["ok"] and stored(store, server, said["detail"]), said
        names.add(said["detail"].split()[0])
    assert len(names) == 3
    before = server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    assert "segment" not in check(walship, server, "--no-wait")
    assert server.value("SELECT pg_walfile_name(pg_current_wal_lsn())") == before


@pytest.mark.directory_only("what the server says of it is the same")
def test_an_archive_command_that_fails_is_told_before_the_minute_is_over(server, walship):
    server.configure(archive_command="false # walship push %p")
    server.reload()
    wait_until(lambda: server.value("SHOW archive_command").startswith("false"), "the setting is read")
    began = time.monotonic()
    said = check(walship, server, expected=8)
    assert time.monotonic() - began < 20
    assert not said["segment"]["ok"] and "failed 3 times" in said["segment"]["detail"], said
    assert not said["archiver"]["ok"] and "failing" in said["archiver"]["detail"], said
    assert "server's log" in said["archiver"]["hint"]
    assert not check(walship, server, "--no-wait", expected=8)["archiver"]["ok"]


@pytest.mark.directory_only("what the server says of it is the same")
def test_an_archive_command_that_stores_elsewhere_is_told(server, walship):
    server.configure(archive_command="true # walship push %p")
    server.reload()
    wait_until(lambda: server.value("SHOW archive_command").startswith("true"), "the setting is read")
    said = check(walship, server, expected=8)["segment"]
    assert not said["ok"] and "is not in this store" in said["detail"], said


@pytest.mark.directory_only("nothing is asked of the store")
def test_a_hundred_files_that_wait_fail(server, walship):
    for n in range(101):
        (server.pgdata / f"pg_wal/archive_status/0000000100000009000000{n:02X}.ready").touch()
    said = check(walship, server, "--no-wait", expected=8)["pg_wal"]
    assert not said["ok"] and "101 files wait" in said["detail"]


@pytest.mark.directory_only("nothing is asked of the store")
def test_little_room_for_pg_wal_is_a_warning(servers, walship, small_disk):
    server = servers.new(segment_size=1, min_wal_size="2MB", max_wal_size="4MB")
    server.archive_with(walship)
    wal = server.pgdata / "pg_wal"
    shutil.copytree(wal, small_disk / "pg_wal")
    shutil.rmtree(wal)
    wal.symlink_to(small_disk / "pg_wal")
    room = os.statvfs(small_disk)
    (small_disk / "filling").write_bytes(bytes(room.f_bavail * room.f_frsize - 1024**2))
    server.start()
    said = check(walship, server, "--no-wait")["pg_wal"]
    assert said["result"] == "WARN" and said["ok"] and "make room" in said["hint"], said
    server.stop()


@pytest.mark.directory_only("nothing is asked of the store")
def test_a_slot_that_keeps_wal_for_nobody_is_a_warning(servers, walship):
    server = servers.new(max_wal_size="32MB", min_wal_size="32MB", max_replication_slots=2)
    server.archive_with(walship)
    server.start()
    server.sql("SELECT pg_create_physical_replication_slot('forgotten', true)")
    assert check(walship, server)["slots"]["result"] == "OK"
    for _ in range(3):
        server.write_rows(1)
        server.switch_wal()
    said = check(walship, server)["slots"]
    assert said["result"] == "WARN" and "forgotten (" in said["detail"] and "pg_drop" in said["hint"], said


@pytest.mark.directory_only("nothing is asked of the store")
def test_too_few_senders_or_slots_for_a_backup_are_a_warning(servers, walship):
    server = servers.new(max_wal_senders=1, max_replication_slots=1)
    server.archive_with(walship)
    server.start()
    server.sql("SELECT pg_create_physical_replication_slot('mine')")
    said = check(walship, server)
    assert said["senders"]["result"] == "WARN" and "1 of max_wal_senders = 1" in said["senders"]["detail"]
    assert said["slots"]["result"] == "WARN" and "max_replication_slots" in said["slots"]["hint"]


@pytest.mark.directory_only("nothing is asked of the store")
def test_a_role_that_may_only_replicate_is_told_what_was_not_looked_at(server, walship):
    server.sql("CREATE ROLE backup LOGIN REPLICATION")
    environment = {**server.pg_environment, "PGUSER": "backup"}
    said = findings(walship.ok("check", "--pgdata", server.pgdata, "--json", env=environment))
    assert said["server"]["result"] == "OK" and said["segment"]["result"] == "WARN"
    assert "GRANT EXECUTE ON FUNCTION pg_switch_wal() " in said["segment"]["hint"]
    server.sql("GRANT EXECUTE ON FUNCTION pg_switch_wal() TO backup")
    said = findings(walship.ok("check", "--pgdata", server.pgdata, "--json", env=environment))
    assert said["segment"]["result"] == "OK", said
    (server.pgdata / "pg_hba.conf").write_text("local replication all trust\nlocal all postgres trust\n")
    server.reload()
    said = findings(walship.ok("check", "--pgdata", server.pgdata, "--json", env=environment))
    assert said["statistics"]["result"] == "WARN" and "segment" not in said, said


@pytest.mark.directory_only("the server decides")
def test_a_role_or_a_pg_hba_that_lets_no_backup_be_taken_fails(server, walship):
    server.sql("CREATE ROLE plain LOGIN")
    environment = {**server.pg_environment, "PGUSER": "plain"}
    said = findings(walship.fails(8, "check", "--pgdata", server.pgdata, "--json", env=environment))["server"]
    assert not said["ok"] and "REPLICATION" in said["hint"], said
    (server.pgdata / "pg_hba.conf").write_text("local all all trust\n")
    server.reload()
    said = check(walship, server, expected=8)["server"]
    assert not said["ok"] and "pg_hba.conf needs a line" in said["hint"], said


@pytest.mark.directory_only("the server decides")
def test_on_a_standby_wal_is_not_switched(primary_and_standby, walship):
    said = check(walship, primary_and_standby[1], expected=None)
    assert "a standby" in said["server"]["detail"]
    assert "segment" not in said or "not tried" in said["segment"]["detail"]


@pytest.fixture
def primary_and_standby(server, servers, walship):
    standby = servers.standby_of(server, archive_mode="always", archive_command=walship.archive_command()).start()
    return server, standby


@pytest.mark.directory_only("who runs it does not depend on the store")
def test_check_as_root_is_refused_for_it_would_prove_nothing(unmade, empty_place):
    """And what it made would be of no use to the server's user."""
    result = as_root(unmade, "check", "--create", "--store-only")
    assert list(empty_place.directory.iterdir()) == []
    assert result.rc == 2 and "root" in result.err and "runuser" in result.err, str(result)


@pytest.mark.parametrize("key, owner", [("basebackups_005/base_1/x", "WAL-G"), ("archive/main/x", "pgBackRest"),
                                        ("main/wals/0000/x", "barman")])  # fmt: skip
def test_a_place_where_another_tool_keeps_its_backups_is_a_warning(store, walship, key, owner):
    store.write(key, b"theirs")
    said = findings(walship.ok("check", "--store-only", "--json"))["stored objects"]
    assert said["result"] == "WARN" and owner in said["detail"]


def test_another_server_than_that_of_the_data_directory_fails(server, servers, walship):
    """The port was forgotten: a backup would be of the wrong server."""
    other = servers.new(name="other", fresh=True).start()
    said = findings(walship.fails(8, "check", "--pgdata", server.pgdata, "--json", env=other.pg_environment))
    assert str(other.system_identifier()) in said["server"]["detail"] and not said["server"]["ok"]


@pytest.mark.s3_only
def test_credentials_with_which_nothing_can_be_listed_fail(walship, store):
    """Backups would be made with them, and no recovery could find them."""
    walship.ok("check", "--store-only")
    with store.denied("ListBucket"):
        result = walship.fails(8, "check", "--store-only")
    assert "FAIL  store" in result.out and "list" in result.out


@pytest.mark.directory_only("what a file system can do")
def test_a_directory_gets_a_key_that_never_was_and_keeps_none(walship, store):
    """The key that stays would be found on any file system."""
    walship.ok("check", "--store-only")
    walship.ok("check", "--store-only")
    assert sorted(path.name for path in store.directory.iterdir()) == ["walship-check.json", "walship-store.json"]
    (store.directory / "walship-check.json").chmod(0o600)
    store.directory.chmod(0o500)
    try:
        assert "FAIL  store" in walship.fails(8, "check", "--store-only").out
    finally:
        store.directory.chmod(0o700)

"""walship check: finds out beforehand what would fail at night."""
import json
import os
import stat

import pytest

from walship_testing.proc import wait_until
from walship_testing.walship import Walship


@pytest.fixture
def unmade(directory, empty_place):
    """Configured for a directory that is no store yet."""
    return Walship(directory / "walship", empty_place.settings)


def findings(result):
    return {item["check"]: item for item in json.loads(result.out)["checks"]}


@pytest.mark.smoke
def test_everything_in_place_is_exit_0(walship, server):
    result = walship.ok("check", "--pgdata", server.pgdata, "--json", env=server.pg_environment)
    assert all(item["ok"] for item in findings(result).values()), str(result)
    assert str(server.system_identifier()) in findings(result)["data directory"]["detail"]


def test_the_text_says_the_same(walship, server):
    lines = walship.ok("check", "--pgdata", server.pgdata, env=server.pg_environment).out.splitlines()
    assert len(lines) >= 4 and all(line.startswith("ok ") for line in lines)


@pytest.mark.smoke
def test_a_store_without_its_marker_fails_with_the_remedy(unmade):
    result = unmade.fails(8, "check")
    assert "FAILED store" in result.out and "--create" in result.out


@pytest.mark.smoke
def test_create_makes_the_marker_and_is_repeatable(unmade, empty_place):
    unmade.ok("check", "--create")
    marker = empty_place.directory / "walship-store.json"
    before = marker.read_bytes()
    json.loads(before)
    unmade.ok("check", "--create")
    assert marker.read_bytes() == before
    assert empty_place.keys() == []


def test_create_makes_the_directory_for_its_owner_and_group_only(directory, empty_place):
    empty_place.directory.rmdir()
    Walship(directory / "walship", empty_place.settings).ok("check", "--create")
    assert stat.S_IMODE(os.stat(empty_place.directory).st_mode) & 0o007 == 0


def test_without_create_nothing_is_made(directory, empty_place):
    empty_place.directory.rmdir()
    Walship(directory / "walship", empty_place.settings).fails(8, "check")
    assert not empty_place.directory.exists()


def test_a_read_only_store_fails(walship, store):
    """Also when check was run before: what it wrote then proves nothing about now."""
    with store.read_only():
        result = walship.fails(8, "check")
    assert "FAILED store" in result.out


def test_a_missing_state_directory_fails_with_the_remedy(walship):
    walship.configure(state_dir="/nowhere/state")
    result = walship.fails(8, "check")
    assert "FAILED state directory" in result.out and "install -d" in result.out


def test_a_directory_that_is_no_data_directory_fails(walship, directory):
    result = walship.fails(8, "check", "--pgdata", directory)
    assert "FAILED data directory" in result.out


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
    result = walship.fails(expected, "check", "--pgdata", server.pgdata, "--json", env=server.pg_environment)
    return findings(result)["archiving"]


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


def test_another_server_than_that_of_the_data_directory_fails(server, servers, walship):
    """The port was forgotten: a backup would be of the wrong server."""
    other = servers.new(name="other", fresh=True).start()
    said = findings(walship.fails(8, "check", "--pgdata", server.pgdata, "--json", env=other.pg_environment))
    assert str(other.system_identifier()) in said["server"]["detail"] and not said["server"]["ok"]


@pytest.mark.s3_only
def test_credentials_with_which_nothing_can_be_listed_fail(walship, store):
    """Backups would be made with them, and no recovery could find them."""
    walship.ok("check")
    with store.denied("ListBucket"):
        result = walship.fails(8, "check")
    assert "FAILED store" in result.out and "list" in result.out


@pytest.mark.directory_only("what a file system can do")
def test_a_directory_gets_a_key_that_never_was_and_keeps_none(walship, store):
    """The key that stays would be found on any file system."""
    walship.ok("check")
    walship.ok("check")
    assert sorted(path.name for path in store.directory.iterdir()) == ["walship-check.json", "walship-store.json"]
    (store.directory / "walship-check.json").chmod(0o600)
    store.directory.chmod(0o500)
    try:
        assert "FAILED store" in walship.fails(8, "check").out
    finally:
        store.directory.chmod(0o700)

"""walship check: finds out beforehand what would fail at night."""
import json
import os
import stat

import pytest

from walship_testing.walship import Walship


@pytest.fixture
def unmade(directory, empty_place):
    """Configured for a directory that is no store yet."""
    return Walship(directory / "walship", empty_place.settings)


def findings(result):
    return {item["check"]: item for item in json.loads(result.out)["checks"]}


@pytest.mark.smoke
def test_everything_in_place_is_exit_0(walship, server):
    result = walship.ok("check", "--pgdata", server.pgdata, "--json")
    assert all(item["ok"] for item in findings(result).values()), str(result)
    assert str(server.system_identifier()) in findings(result)["data directory"]["detail"]


def test_the_text_says_the_same(walship, server):
    lines = walship.ok("check", "--pgdata", server.pgdata).out.splitlines()
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

"""What a killed backup leaves in the store: nothing uses it, list names it, and the next backup works."""
import json
import os
import signal

import pytest

from walship_testing.proc import wait_until
from walship_testing.recovery import take_backup, wait_no_backup
from walship_testing.wal import MIB


@pytest.fixture
def killed(server, walship, store):
    """A server of which a backup was killed with parts of it in the store already; the backup's id."""
    walship.configure(part_size="16MB", compression="none")
    for number in range(4):
        (server.pgdata / f"ballast{number}").write_bytes(os.urandom(16 * MIB))
    server.write_rows(100)
    process = walship.start("backup", "--fast", "--max-rate", "10MB", env=server.pg_environment)
    prefix = f"{server.system_identifier()}/base/"
    try:
        wait_until(lambda: store.keys(prefix), "a first part is in the store")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
    wait_no_backup(server)
    (identifier,) = {key.split("/")[2] for key in store.keys(prefix)}
    assert not store.exists(f"{prefix}{identifier}/backup.json")
    return server, identifier


def test_list_names_what_a_killed_backup_left_behind(killed, walship):
    _, identifier = killed
    listing = json.loads(walship.ok("list", "--json").out)
    assert listing["backups"] == []
    (item,) = listing["unfinished"]
    assert item["id"] == identifier and item["objects"] >= 1 and item["stored_size"] >= 16 * MIB
    assert identifier in walship.ok("list").out


def test_recover_does_not_use_what_a_killed_backup_left_behind(killed, recoveries):
    server, identifier = killed
    server.switch_and_archive()
    recoveries.refused(9, "--latest", "--copy", says=[identifier, "never completed"])
    recoveries.refused(9, "--immediate", "--backup", identifier)


def test_the_next_backup_works_and_is_used(killed, walship, recoveries):
    server, identifier = killed
    record = take_backup(walship, server)
    assert record["id"] != identifier
    server.write_rows(100)
    expected = server.checksums()
    server.switch_and_archive()
    listing = json.loads(walship.ok("list", "--json").out)
    assert [item["id"] for item in listing["backups"]] == [record["id"]]
    assert [item["id"] for item in listing["unfinished"]] == [identifier]
    copy = recoveries.live("--latest", "--copy")
    assert copy.checksums() == expected

"""Dumps that are killed at random moments: none of them is seen, nothing of them is in the way, and the next one is whole."""
import json
import os
import random
import time

import pytest

from walship_testing import server as pg
from walship_testing.logical import HOSTILE, fingerprint, tell_logical_story

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

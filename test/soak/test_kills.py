"""Copies that are killed at fifty points, evenly over their objects: the next run goes on, and no record came too early."""
import json
import signal
import time

import pytest

from walship_testing.recovery import backup_key
from walship_testing.store import DirectoryStore, create_store

pytestmark = pytest.mark.directory_only("what is sent goes the same way everywhere")
KILLS = 50


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


def archive_of(store):
    return {key: value for key, value in store.snapshot().items() if "/lease/" not in key and "/proof/" not in key}


@pytest.mark.parametrize("jobs", [1, 4])
def test_copies_are_killed_at_fifty_points(story, walship, store, directory, jobs):
    offsite = DirectoryStore(directory / "offsite")
    create_store(offsite, directory)
    walship.configure(jobs=jobs)
    expected = archive_of(store)
    killed = 0
    for number in range(KILLS):
        offsite.remove_all()
        process = walship.start("copy", "--to", offsite.url)
        point = number * len(expected) // KILLS
        deadline = time.monotonic() + 20
        while len(offsite.keys()) < point and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        killed += process.wait(timeout=20) == -signal.SIGKILL
        process.communicate()
        for record in story.backups:
            if offsite.exists(backup_key(record, "backup.json")):
                prefix = backup_key(record, "")
                assert offsite.keys(prefix) == store.keys(prefix), "a record came before what it names"
        there = archive_of(offsite)
        assert there.items() <= expected.items()
        report = json.loads(walship.ok("copy", "--to", offsite.url, "--json").out)
        assert sum(item["objects"] for item in report["copied"].values()) == len(expected) - len(there)
        assert archive_of(offsite) == expected
    print(f"\n{killed} of {KILLS} copies of {len(expected)} objects were killed, with {jobs} at a time")
    assert killed > KILLS // 2

"""Backups of standbys: every last record that there is, recovered to every kind of end, on majors old and new."""
import time

import pytest

from measure import publish_text
from test_standby_backup import ENDS, TARGETS, back_up_a_standby

MAJORS = [13, 15, 17, 18]

pytestmark = pytest.mark.directory_only("what a server replays depends on the WAL, not on where it lies")


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


@pytest.fixture(scope="module")
def table():
    """{(major, end): {target: what came of it}}, printed at the end."""
    began = time.monotonic()
    cells = {}
    yield cells
    head = "| PostgreSQL | last record | " + " | ".join(TARGETS) + " |\n|---:|---|" + "---|" * len(TARGETS) + "\n"
    rows = "".join(
        f"| {major} | {end} | " + " | ".join(reached.get(target, "-") for target in TARGETS) + " |\n"
        for (major, end), reached in cells.items()
    )
    publish_text(f"Backups of a standby, by their last record ({time.monotonic() - began:.0f} s)\n\n{head}{rows}")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("major", MAJORS)
def test_the_end_of_a_standbys_backup_is_reached(servers, walship, recoveries, table, major, end):
    reached = table[major, end] = {}
    expected = back_up_a_standby(servers, walship, major, end)
    for target, recover in TARGETS.items():
        reached[target] = "not reached"
        copy = recover(recoveries, major)
        reached[target] = "reached" if copy.checksums() == expected else "other rows"
        copy.stop()
    assert set(reached.values()) == {"reached"}, reached

"""200 random targets in WAL of a busy server, twice: plan, pg_waldump and a real recovery agree on what is included.
Some commits and many other records are longer than a segment."""
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from measure import publish_text
from walship_testing import targets

TARGETS = int(os.environ.get("WALSHIP_SOAK_TARGETS", "200"))
AT_A_TIME = 2

pytestmark = pytest.mark.directory_only("what a plan says depends on the WAL, not on where it lies")


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


@pytest.mark.parametrize("time_of", ["first", "second"])
def test_every_target_includes_what_the_plan_says(servers, walship, recoveries, time_of):
    server = servers.new(segment_size=1, max_prepared_transactions=10, wal_keep_size="8GB", max_wal_size="8GB",
                         wal_level="logical", max_locks_per_transaction=512)
    server.archive_with(walship)
    server.start()
    seed = time.time_ns() % 1_000_000
    busy = targets.make_busy(server, walship, seconds=8, seed=seed, large_records=True)
    server.stop("immediate")
    base = recoveries.recover("--immediate", name="base")
    chosen = targets.choose_targets(busy, TARGETS, seed)
    began = time.monotonic()
    for target in chosen:
        targets.check_plan(recoveries.plan(*target.options), busy, target)
    planned = time.monotonic()

    def check(number):
        target = chosen[number]
        found = targets.recovered_rows(recoveries, base, target, f"copy{number}")
        return None if found == target.xids else (target.options, sorted(found ^ target.xids)[:10])

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        wrong = [each for each in pool.map(check, range(TARGETS)) if each]
    publish_text(
        f"{TARGETS} random targets (seed {seed}) among {len(busy.endings)} transactions and {len(busy.points)} restore "
        f"points: {TARGETS - len(wrong)} recoveries include what their plan says; plans took "
        f"{planned - began:.0f} s, recoveries {time.monotonic() - planned:.0f} s"
    )
    assert not wrong

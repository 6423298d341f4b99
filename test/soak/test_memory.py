"""Time and memory of push and fetch."""
import pytest

import segments
from measure import publish

pytestmark = pytest.mark.s3_only


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


def test_push_and_fetch_of_one_segment_are_measured_on_every_kind_of_store(s3, servers, directory):
    server, name = segments.oltp_segment(servers)
    rows = segments.measure_segments(s3, server, name, directory)
    publish(f"One segment of 16 MiB, median of {segments.N_REPEATS} runs (memory: the highest)", rows)

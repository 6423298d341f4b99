"""One transaction that drops 14,000 tables at 16 MB segments (a commit record of 23 MB that begins at a segment's end),
and 1,500 at 1 MB: found whole, and reached, on 13, 15 and 18."""
import pytest

from walship_testing import large
from walship_testing import server as pg

pytestmark = pytest.mark.directory_only("how a record lies in segments does not depend on where these lie")


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


@pytest.mark.parametrize("major", [13, 15, 18], ids=lambda major: f"pg{major}")
@pytest.mark.parametrize("segment_mib, tables", [(1, 1500), (16, 14000)], ids=["1MB", "16MB"])
def test_it_is_found_whole_and_reached(servers, walship, recoveries, major, segment_mib, tables):
    if not pg.find_install(major):
        pytest.skip(f"PostgreSQL {major} is not on this machine; test/install test says why")
    facts = large.drop_many(walship, servers, major=major, tables=tables, segment_mib=segment_mib, columns=large.NARROW)
    drop = large.check_find(facts, walship, major)
    large.check_before(facts, recoveries, major)
    large.check_through(facts, drop, recoveries, major, "--target-xid", drop["xid"])
    large.check_through(facts, drop, recoveries, major, "--target-lsn", drop["commit_lsn"])

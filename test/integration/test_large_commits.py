"""A commit whose record goes over several segment ends: found whole, and reached, on 13, 15 and 18."""
import functools

import pytest

from walship_testing import large
from walship_testing import server as pg
from walship_testing.recovery import load_archive

TABLES = 500
SEGMENT_MIB = 1

pytestmark = pytest.mark.directory_only("how a record lies in segments does not depend on where these lie")


@pytest.fixture(params=[13, 15, 18], ids=lambda major: f"pg{major}")
def dropped(request, store, cache):
    major = request.param
    if not pg.find_install(major):
        pytest.skip(f"PostgreSQL {major} is not on this machine; test/install test says why")
    tell = functools.partial(large.drop_many, major=major, tables=TABLES, segment_mib=SEGMENT_MIB,
                             columns=large.WIDE)
    archive = load_archive(cache, f"large-{major}", tell)
    archive.into(store)
    archive.major = major
    return archive


def test_find_tells_all_of_it_and_before_it_everything_can_be_read(dropped, walship, recoveries):
    large.check_find(dropped.facts, walship, dropped.major)
    large.check_before(dropped.facts, recoveries, dropped.major)


@pytest.mark.parametrize("option, member", [("--target-xid", "xid"), ("--target-lsn", "commit_lsn")])
def test_it_is_reached_by_its_transaction_and_by_its_place(dropped, walship, recoveries, option, member):
    drop = large.check_find(dropped.facts, walship, dropped.major)
    large.check_through(dropped.facts, drop, recoveries, dropped.major, option, drop[member])

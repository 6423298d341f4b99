"""drill beside the server that was backed up: counts taken on a standby, with a tolerance, and whether it is ahead."""
import json
import time

import pytest

from walship_testing import server as pg
from walship_testing.proc import wait_until
from walship_testing.recovery import take_backup

pytestmark = pytest.mark.directory_only("what servers say does not depend on the store")

MAJORS = [13, pg.default_major()]  # 13 does not tell when it has paused


def drill(walship, expected, *options):
    return json.loads(walship.fails(expected, "drill", "--json", *options, timeout=50).out)


@pytest.mark.parametrize("of_major", MAJORS)
def test_counts_of_a_standby_are_exact_while_the_primary_writes(of_major, servers, walship, directory):
    if not pg.find_install(of_major):
        pytest.skip(f"PostgreSQL {of_major} is not on this machine; test/install test says why")
    primary = servers.new(major=of_major, wal_keep_size="1GB")
    primary.archive_with(walship)
    primary.start()
    primary.sql("CREATE TABLE busy (i int)")
    primary.sql("CREATE DATABASE shop")
    primary.sql("CREATE TABLE queue AS SELECT generate_series(1, 10) i", database="shop")
    take_backup(walship, primary)
    standby = servers.standby_of(primary).start()
    walship.configure(drill_scratch=directory / "scratch", pg_bindir=primary.install.bindir, conninfo=standby.conninfo)
    with pg.written_to(primary, "busy"):
        wait_until(lambda: standby.value("SELECT count(*) FROM busy") > 100, "the standby follows")
        said = walship.ok("drill", "--record-counts").out
    assert "on a standby, whose replay was paused for" in said and "pg_switch_wal()" in said
    assert standby.value("SELECT pg_is_wal_replay_paused()") is False
    primary.switch_and_archive()
    report = drill(walship, 0, "--count", "all")
    assert report["counts_exact"] is True and report["checks"]["counts"]["checked"] == 2
    assert report["checks"]["counts"]["outcome"] == "passed"

    standby.sql("SELECT pg_wal_replay_pause()")
    walship.ok("drill", "--record-counts")
    assert standby.value("SELECT pg_is_wal_replay_paused()") is True, "who paused it wants it so"


def test_the_live_server_within_a_tolerance_and_whether_it_is_ahead(servers, walship, directory):
    server = servers.new()
    server.archive_with(walship)
    server.start()
    server.write_rows(1000)
    take_backup(walship, server)
    server.sql("CREATE TABLE small AS SELECT 1 i")
    server.switch_and_archive()
    walship.configure(drill_scratch=directory / "scratch", pg_bindir=server.install.bindir, conninfo=server.conninfo,
                      rpo_target="1s")
    time.sleep(1.1)

    # Idle: the last commit is old, and nothing would be lost.
    report = drill(walship, 0, "--count", "all", "--tolerance", "0%")
    assert report["rpo_ms"] > 1000 and report["server_ahead"] == "no" and "missing_transactions" not in report
    assert report["checks"]["counts"]["checked"] == 2 and report["counts_tolerance"] == "0%"
    assert report["checks"]["recent"]["outcome"] == "passed"
    assert "has committed nothing since" in report["checks"]["recent"]["notes"][0]
    assert "and the server has no newer one" in walship.ok("drill", "--history", _moment(report)).out

    # Behind, by two transactions that are not archived.
    server.sql("INSERT INTO rows (filling) SELECT 'new' FROM generate_series(1, 20)")
    server.sql("INSERT INTO small VALUES (2)")
    report = drill(walship, 8, "--count", "all", "--tolerance", "5%")
    assert report["server_ahead"] == "yes" and report["missing_transactions"] == 2
    assert report["checks"]["counts"]["findings"] == [
        'database "postgres", table public.small: 1 rows, and the live server has 2: more than 5% apart'
    ]
    (finding,) = report["checks"]["recent"]["findings"]
    assert "rpo_target is 1.0 s; 2 transactions that the server had committed" in finding, finding

    # Nobody answers: then it is not known.
    server.stop()
    report = drill(walship, 8)
    assert report["server_ahead"] == "not known"
    assert "whether the server has committed anything since is not known: " in report["checks"]["recent"]["findings"][0]
    walship.fails(4, "drill", "--count", "all", "--tolerance", "5%", says="the live server's rows", timeout=50)
    walship.fails(2, "drill", "--tolerance", "5%", says='goes with "--count"')
    walship.fails(2, "drill", "--count", "all", "--tolerance", "many", says="is no tolerance")
    assert list((directory / "scratch").iterdir()) == []


def _moment(report):
    return report["time"].replace("-", "").replace(":", "").split(".")[0].rstrip("Z") + "Z"

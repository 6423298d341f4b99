"""One round trip on every major version of PostgreSQL: archive, backup, disaster, recovery to a time."""
import pytest

from walship_testing.recovery import note_moment, take_backup
from walship_testing.server import find_install


def test_the_main_job_on_every_major(servers, walship, store, recoveries, major):
    server = servers.new(major=major, max_connections=150)
    server.archive_with(walship)
    server.start()
    server.write_rows(2000)
    record = take_backup(walship, server)
    assert record["server_version"] // 10000 == major and record["wal_inside"]
    server.write_rows(1000)
    server.switch_wal()
    server.write_rows(1000, table="more")
    good = note_moment(server)
    server.sql("DROP TABLE rows")
    server.write_rows(1000, table="traffic")
    server.switch_and_archive()
    server.destroy()

    copy = recoveries.copy("--target-time", good.time, major=major)
    assert copy.checksums() == good.tables
    copy.sql("SELECT pg_wal_replay_resume()")
    copy.wait_promoted()
    copy.write_rows(10)
    assert copy.timeline() == 2
    assert copy.value("SHOW archive_mode") == "off"


@pytest.mark.parametrize("major", [13, 18])
def test_a_live_server_archives_on_after_the_recovery(servers, walship, store, recoveries, major):
    if not find_install(major):
        pytest.skip(f"PostgreSQL {major} is not on this machine; test/install test says why")
    server = servers.new(major=major)
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    server.write_rows(1000)
    server.switch_and_archive()
    server.destroy()

    live = recoveries.recover("--latest", "--rejoin", major=major)
    live.archive_with(walship)
    live.start()
    live.wait_promoted()
    live.write_rows(1000, table="new")
    moment = note_moment(live)
    live.write_rows(1, table="later")
    live.switch_and_archive()
    assert store.exists(f"{live.system_identifier()}/wal/00000002.history")
    live.destroy()
    copy = recoveries.copy("--target-time", moment.time, major=major)
    assert copy.checksums() == moment.tables

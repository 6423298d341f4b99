"""What comes back is what was there: under load, large, small, unlogged, and in WAL segments of any size."""
import os
import shutil

import pytest

from walship_testing.proc import wait_until
from walship_testing.recovery import note_moment, take_backup
from walship_testing.wal import MIB, parse_lsn

GIB = 1024 * MIB


@pytest.mark.smoke
def test_a_backup_under_load_recovers_to_the_same_tables(servers, walship, recoveries):
    server = servers.new()
    server.archive_with(walship)
    server.start()
    server.pgbench_init(scale=2)
    with server.pgbench_running():
        record = take_backup(walship, server)
        before = server.value(HISTORY)
    moment = note_moment(server)
    server.write_rows(1)
    server.switch_and_archive()
    assert record["stop_lsn"] > record["start_lsn"] and before > 0
    copy = recoveries.live("--target-time", moment.time, "--action", "promote")
    assert copy.checksums() == moment.tables
    if not copy.amcheck():
        pytest.skip("the tables are equal, but there is no pg_amcheck on this machine")


def test_a_recovery_into_the_middle_of_the_load_is_consistent(servers, walship, recoveries):
    """pgbench keeps the sums of three tables and of its history equal in every committed state."""
    server = servers.new()
    server.archive_with(walship)
    server.start()
    server.pgbench_init()
    with server.pgbench_running():
        take_backup(walship, server)
        count = server.value(HISTORY)
        wait_until(lambda: server.value(HISTORY) > count + 200, "pgbench goes on")
        middle = server.now()
        at_least = server.value("SELECT count(*) FROM pgbench_history WHERE mtime < %s", middle)
        wait_until(lambda: server.value(HISTORY) > count + 400, "pgbench goes on")
    server.write_rows(1)
    server.switch_and_archive()
    copy = recoveries.live("--target-time", middle, "--action", "promote")
    assert len({total for (total,) in copy.sql(SUMS)}) == 1, copy.sql(SUMS)
    assert copy.value(HISTORY) <= server.value(HISTORY)
    assert copy.value(HISTORY) >= at_least - 2
    assert copy.value("SELECT max(mtime) FROM pgbench_history WHERE mtime > %s", middle) is None


HISTORY = "SELECT count(*) FROM pgbench_history"
SUMS = """SELECT sum(abalance) FROM pgbench_accounts UNION ALL SELECT sum(tbalance) FROM pgbench_tellers
          UNION ALL SELECT sum(bbalance) FROM pgbench_branches UNION ALL SELECT sum(delta) FROM pgbench_history"""


@pytest.mark.parametrize("segment_size", [1, 64])
def test_segments_of_other_sizes_make_the_round_trip(servers, walship, recoveries, segment_size):
    server = servers.new(segment_size=segment_size)
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    finish_round_trip(server, recoveries, rows=20000)


def test_segments_of_a_gibibyte_make_the_round_trip(servers, walship, recoveries, directory):
    """One comes with the backup, one from the archive: gigabytes take their time."""
    if shutil.disk_usage(directory).free < 8 * GIB:
        pytest.skip("less than 8 GB of disk are free")
    server = servers.new(segment_size=1024).start()
    take_backup(walship, server)
    server.archive_with(walship)
    server.restart()
    finish_round_trip(server, recoveries, rows=100)


def finish_round_trip(server, recoveries, rows):
    size = server.segment_size()
    server.write_rows(rows)
    moment = note_moment(server)
    server.write_rows(1, table="later")
    server.switch_and_archive()
    server.kill()
    copy = recoveries.copy("--target-time", moment.time)
    assert copy.checksums() == moment.tables
    assert copy.segment_size() == size


def test_a_relation_of_more_than_a_gibibyte_comes_back(servers, walship, recoveries, directory):
    """The server keeps it in two files.  One short row to a page makes it large and cheap."""
    if shutil.disk_usage(directory).free < 5 * GIB:
        pytest.skip("less than 5 GB of disk are free")
    server = servers.new(autovacuum="off", max_wal_size="4GB")
    server.start()
    server.sql("CREATE TABLE large (i int, filling text) WITH (fillfactor = 10)")
    server.sql("ALTER TABLE large ALTER filling SET STORAGE PLAIN")
    server.sql("INSERT INTO large SELECT i, repeat('x', 500) FROM generate_series(1, 131300) i")
    size, path = server.sql("SELECT pg_relation_size('large'), pg_relation_filepath('large')")[0]
    assert size > GIB
    expected = server.value("SELECT count(*) || ' ' || sum(i) FROM large")
    server.sql("CHECKPOINT")
    take_backup(walship, server)
    server.destroy()
    copy = recoveries.copy("--immediate")
    assert os.path.getsize(copy.pgdata / path) == GIB
    assert os.path.getsize(copy.pgdata / f"{path}.1") == size - GIB
    assert copy.value("SELECT count(*) || ' ' || sum(i) FROM large") == expected
    copy.sql("SELECT pg_wal_replay_resume()")


def test_unlogged_tables_come_back_empty_and_usable(server, walship, recoveries):
    server.sql("CREATE UNLOGGED TABLE fleeting AS SELECT i FROM generate_series(1, 1000) i")
    server.sql("CREATE INDEX ON fleeting (i)")
    server.write_rows(100)
    take_backup(walship, server)
    server.sql("INSERT INTO fleeting SELECT i FROM generate_series(1, 1000) i")
    server.switch_and_archive()
    live = recoveries.live("--latest", "--copy")
    assert live.value("SELECT count(*) FROM fleeting") == 0
    assert live.value("SELECT count(*) FROM rows") == 100
    live.sql("INSERT INTO fleeting SELECT i FROM generate_series(1, 10) i")
    assert live.value("SELECT count(*) FROM fleeting WHERE i > 5") == 5


def test_other_databases_roles_and_large_objects_come_back(server, walship, recoveries):
    server.sql("CREATE ROLE somebody LOGIN")
    server.sql('CREATE DATABASE "Another one" OWNER somebody')
    server.sql("CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 'ä' AS text", database="Another one")
    large = server.value("SELECT lo_from_bytea(0, '\\xdeadbeef')")
    take_backup(walship, server)
    expected = server.checksums()
    server.switch_and_archive()
    live = recoveries.live("--latest", "--copy")
    assert live.checksums() == expected
    assert bytes(live.value("SELECT lo_get(%s)", large)) == b"\xde\xad\xbe\xef"
    assert live.value("SELECT count(*) FROM pg_roles WHERE rolname = 'somebody'") == 1


def test_prepared_transactions_come_back_prepared(servers, walship, recoveries):
    server = servers.new(max_prepared_transactions=5)
    server.archive_with(walship)
    server.start()
    server.write_rows(10)
    take_backup(walship, server)
    connection = server.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO rows (filling) VALUES ('prepared')")
        cursor.execute("PREPARE TRANSACTION 'half'")
    connection.close()
    server.switch_and_archive()
    live = recoveries.recover("--latest", "--copy")
    live.start()
    live.wait_promoted()
    assert live.value("SELECT count(*) FROM rows") == 10
    live.sql("COMMIT PREPARED 'half'")
    assert live.value("SELECT count(*) FROM rows") == 11


@pytest.mark.parametrize("codec", ["zstd", "none"])
def test_every_codec_makes_the_round_trip(server, walship, recoveries, codec):
    walship.configure(compression=codec)
    server.write_rows(1000)
    record = take_backup(walship, server)
    assert record["codec"] == codec
    server.write_rows(1000)
    moment = note_moment(server)
    server.write_rows(1, table="later")
    server.switch_and_archive()
    copy = recoveries.copy("--target-time", moment.time)
    assert copy.checksums() == moment.tables


def test_settings_that_a_hot_standby_needs_are_as_high_as_at_the_source(servers, walship, recoveries):
    """They may stand in a file that is not in the data directory; the server would not start without them."""
    server = servers.new(max_connections=321, max_locks_per_transaction=99, max_worker_processes=17)
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    server.switch_and_archive()
    copy = recoveries.recover("--immediate")
    copy.configure(max_connections=10, max_locks_per_transaction=64, max_worker_processes=8)
    copy.start(wait=False)
    copy.wait_paused()
    assert copy.value("SHOW max_connections") == "321"
    assert copy.value("SHOW max_locks_per_transaction") == "99"


def test_restored_files_belong_to_the_server_alone(server, walship, recoveries):
    take_backup(walship, server)
    copy = recoveries.recover("--immediate")
    assert copy.pgdata.stat().st_mode & 0o777 == 0o700
    for path in copy.pgdata.rglob("*"):
        assert path.lstat().st_mode & 0o077 == 0, path


def test_a_long_backup_under_load_is_consistent_by_itself(servers, walship, store, recoveries):
    """Many segments pass meanwhile; the archive is lost; all that is needed is inside."""
    server = servers.new(segment_size=1)
    server.archive_with(walship)
    server.start()
    server.pgbench_init()
    with server.pgbench_running(clients=4):
        record = take_backup(walship, server, "--max-rate", "12MB")
    first, last = (parse_lsn(record[name]) // MIB for name in ("start_lsn", "stop_lsn"))
    assert last - first >= 3
    store.remove_all(f"{record['system_id']}/wal/")
    copy = recoveries.live("--from-backup-only", "--action", "promote")
    assert len({total for (total,) in copy.sql(SUMS)}) == 1, copy.sql(SUMS)
    assert copy.value(HISTORY) > 0
    copy.amcheck()


@pytest.mark.parametrize("jobs", [1, 16])
def test_any_number_of_jobs_restores_the_same(story, walship, recoveries, jobs):
    walship.configure(jobs=jobs)
    evening = story.moment("evening")
    copy = recoveries.copy("--target-time", evening.time)
    assert copy.checksums() == evening.tables


def test_a_server_with_its_wal_elsewhere_can_be_backed_up_and_recovered(servers, walship, recoveries, directory):
    server = servers.new()
    (server.pgdata / "pg_wal").rename(directory / "wal elsewhere")
    (server.pgdata / "pg_wal").symlink_to(directory / "wal elsewhere")
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    server.write_rows(100)
    expected = server.checksums()
    server.switch_and_archive()
    live = recoveries.live("--latest", "--copy")
    assert live.checksums() == expected
    assert (live.pgdata / "pg_wal").is_dir() and not (live.pgdata / "pg_wal").is_symlink()

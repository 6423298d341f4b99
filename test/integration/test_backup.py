"""walship backup, on real servers; restored here with stock tools only, from the backup's own WAL."""
import contextlib
import hashlib
import json
import os
import re
import signal
import time

import pytest

from walship_testing import server as pg
from walship_testing.proc import children_of, run_ok, wait_until

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def take(walship, server, *arguments, rc=0, timeout=40, **options):
    """The record of a backup that is expected to end with this exit code."""
    result = walship.fails(
        rc, "backup", "--fast", "--json", *arguments, env=server.pg_environment, timeout=timeout, **options
    )
    print(result.err)
    return json.loads(result.out)


def prefix_of(record):
    return f"{record['system_id']}/base/{record['id']}/"


def check_objects(store, record):
    """Exactly the objects that the record names are there, with these bytes."""
    prefix = prefix_of(record)
    named = [*record["parts"], record["manifest"], record["map"]]
    assert store.keys(prefix) == sorted([prefix + part["name"] for part in named] + [prefix + "backup.json"])
    stored = store.read_json(prefix + "backup.json")
    assert len(stored.pop("seal")) == 64
    assert stored == record
    for part in named:
        content = store.read(prefix + part["name"])
        assert len(content) == part["stored_size"]
        assert hashlib.sha256(content).hexdigest() == part["stored_sha256"]


def unpack(store, record, of_set, target):
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in record["parts"]:
        if part["set"] == of_set:
            path = store.path(prefix_of(record) + part["name"])
            run_ok(["sh", "-c", f"zstd -dcq '{path}' | tar -x -C '{target}'"])


def restore(store, record, server, *, signal_file=None):
    """Into the empty server, which starts from nothing but the backup."""
    unpack(store, record, "base", server.pgdata)
    unpack(store, record, "wal", server.pgdata / "pg_wal")
    for tablespace in record["tablespaces"]:
        oid = str(tablespace["oid"])
        place = server.pgdata.parent / f"{server.pgdata.name}-{oid}"
        unpack(store, record, oid, place)
        tablespace_map = server.pgdata / "tablespace_map"
        tablespace_map.write_text(
            re.sub(rf"^{oid} .*$", f"{oid} {place}", tablespace_map.read_text(), flags=re.MULTILINE)
        )
    for name in ("standby.signal", "postgresql.auto.conf"):
        (server.pgdata / name).unlink(missing_ok=True)
    if signal_file:
        (server.pgdata / signal_file).touch()
    server.configure(archive_mode="off", primary_conninfo=None, restore_command="false")
    return server


def verify_with_postgres(store, record, server):
    """By PostgreSQL's own program, where it knows the manifest's version."""
    program = server.install.program("pg_verifybackup")
    if program and record["server_version"] < 170000 and not record["tablespaces"]:
        manifest = store.path(prefix_of(record) + record["manifest"]["name"])
        run_ok(["sh", "-c", f"zstd -dcq '{manifest}' > '{server.pgdata}/backup_manifest'"])
        run_ok([program, "-n", "-i", "test.conf", "-i", "postgresql.conf", server.pgdata])


def assert_server_is_sane(server):
    """Nothing of walship is left on it."""
    busy = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND application_name = 'walship'"
    wait_until(lambda: server.value(busy) == 0, "walship's connections are gone", timeout=5)
    assert server.value("SELECT count(*) FROM pg_replication_slots") == 0
    assert server.value("SELECT count(*) FROM pg_stat_progress_basebackup") == 0


def fill(server, megabytes, table="filler"):
    server.sql(f"CREATE TABLE {table} (filling text)")
    server.sql(f"ALTER TABLE {table} ALTER filling SET STORAGE plain")
    server.sql(f"INSERT INTO {table} SELECT repeat('x', 7900) FROM generate_series(1, %s)", megabytes * 128)


def test_a_backup_of_an_idle_server_of_any_major_restores_by_itself(servers, walship, store, major):
    source = servers.new(major=major).start()
    source.write_rows()
    expected = source.checksums()
    record = take(walship, source, "--note", "before the upgrade", "--label", "it's nightly")
    assert record["note"] == "before the upgrade" and record["label"] == "it's nightly"
    assert record["wal_inside"] and not record["page_errors"] and not record["from_standby"]
    assert record["data_checksums"] and record["timeline"] == 1
    assert record["system_id"] == str(source.system_identifier())
    assert record["server_version"] // 10000 == major
    assert record["start_time"] <= record["stop_time"]
    check_objects(store, record)
    assert_server_is_sane(source)

    copy = restore(store, record, servers.empty(major=major))
    verify_with_postgres(store, record, copy)
    assert copy.start().checksums() == expected


@pytest.mark.smoke
def test_a_backup_under_load_is_consistent(servers, walship, store):
    source = servers.new().start()
    source.pgbench_init(5)
    with source.pgbench_running():
        record = take(walship, source, "--max-rate", "40MB")
    check_objects(store, record)
    assert record["wal_inside"]
    assert_server_is_sane(source)

    copy = restore(store, record, servers.empty()).start()
    copy.amcheck()
    tellers, branches, history = (
        copy.value(f"SELECT coalesce(sum({column}), 0) FROM pgbench_{table}")
        for table, column in (("tellers", "tbalance"), ("branches", "bbalance"), ("history", "delta"))
    )
    assert tellers == branches == history


def test_what_is_not_utf8_breaks_no_record(servers, walship, store, recoveries, directory):
    """Notes are shown with a question mark; a tablespace comes back to exactly where it was."""
    source = servers.new().start()
    plain, latin = directory / "plain", os.fsdecode(os.fsencode(directory) + b"/caf\xe9")
    plain.mkdir()
    source.sql(f"CREATE TABLESPACE t LOCATION '{plain}'")
    source.sql("CREATE TABLE in_t TABLESPACE t AS SELECT g FROM generate_series(1, 1000) g")
    oid = source.value("SELECT oid FROM pg_tablespace WHERE spcname = 't'")
    source.stop()
    os.rename(plain, latin)
    link = source.pgdata / "pg_tblspc" / str(oid)
    link.unlink()
    os.symlink(latin, link)
    source.start()
    expected = source.checksums()

    record = take(walship, source, "--note", os.fsdecode(b"caf\xe9"), "--label", os.fsdecode(b"\xe4\xf6\xfc"))
    assert record["note"] == "caf?" and record["label"] == "???"
    assert record["tablespaces"] == [{"oid": oid, "path": {"hex": os.fsencode(latin).hex()}}]
    check_objects(store, record)
    assert json.loads(walship.ok("list", "--json").out)["backups"][0]["note"] == "caf?"
    plan = recoveries.plan("--immediate")
    assert plan["backup"]["id"] == record["id"]

    source.stop()
    os.rename(latin, plain)
    copy = recoveries.live("--immediate", "--action", "promote")
    assert copy.checksums() == expected
    assert os.listdir(latin) == os.listdir(plain)


def test_a_big_relation_and_three_tablespaces_are_cut_at_file_boundaries(servers, walship, store, directory):
    source = servers.new(max_wal_size="4GB").start()
    for n, name in enumerate(("one", "two with spaces", "three")):
        place = directory / name
        place.mkdir()
        source.sql(f"CREATE TABLESPACE t{n} LOCATION '{place}'")
        source.sql(f"CREATE TABLE in_t{n} TABLESPACE t{n} AS SELECT g, md5(g::text) FROM generate_series(1, 50000) g")
    source.sql("CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS x")
    fill(source, 1100)
    record = take(walship, source, "--part-size", "16MB", timeout=50)
    check_objects(store, record)
    assert len(record["tablespaces"]) == 3
    sets = [part["set"] for part in record["parts"]]
    assert set(sets) == {"base", "wal"} | {str(tablespace["oid"]) for tablespace in record["tablespaces"]}
    base = [part for part in record["parts"] if part["set"] == "base"]
    assert any(part["raw_size"] > 1 << 30 for part in base), "a relation's first gigabyte is one file"
    assert all(part["raw_size"] >= 16 << 20 for part in base[:-1])

    copy = restore(store, record, servers.empty()).start()
    assert copy.value("SELECT count(*) FROM filler") == 1100 * 128
    assert [copy.value(f"SELECT count(*) FROM in_t{n}") for n in range(3)] == [50000] * 3
    assert copy.value("SELECT count(*) FROM unlogged") == 0


def test_a_tight_limit_on_slots_does_not_spoil_a_backup(servers, walship, store):
    source = servers.new(max_slot_wal_keep_size="1MB", wal_keep_size=0, min_wal_size="32MB").start()
    source.pgbench_init(3)
    for _ in range(3):
        source.write_rows()  # somewhere in a segment, which the backup's own checkpoint removes
        record = take(walship, source)
        assert record["wal_inside"]
        check_objects(store, record)
    source.configure(max_wal_size="64MB")
    source.reload()
    with source.pgbench_running():
        record = take(walship, source, "--max-rate", "30MB")
    assert record["stop_lsn"] and not record["page_errors"]
    check_objects(store, record)
    if record["wal_inside"]:  # a slow machine may lose that race; the backup stands all the same
        restore(store, record, servers.empty()).start().amcheck()


@pytest.mark.parametrize("segment_size", [1, 64, 1024])
def test_any_segment_size_will_do(servers, walship, store, segment_size):
    source = servers.new(segment_size=segment_size, min_wal_size=f"{2 * segment_size}MB", max_wal_size="4GB").start()
    source.write_rows()
    record = take(walship, source)
    check_objects(store, record)
    assert record["segment_size"] == segment_size << 20 and record["wal_inside"]
    copy = restore(store, record, servers.empty()).start()
    assert copy.checksums() == source.checksums()


@pytest.mark.parametrize("standby_major", [13, 15, 18])
def test_a_standby_of_an_idle_primary_can_be_backed_up(servers, walship, store, standby_major):
    if not pg.find_install(standby_major):
        pytest.skip(f"PostgreSQL {standby_major} is not on this machine; test/install test says why")
    primary = servers.new(major=standby_major).start()
    primary.write_rows()
    standby = servers.standby_of(primary).start()
    standby.wait_replayed(primary)
    primary.sql("CHECKPOINT")
    standby.wait_replayed(primary)
    standby.sql("CHECKPOINT")
    record = take(walship, standby)
    assert record["from_standby"] and record["wal_inside"]
    check_objects(store, record)
    assert_server_is_sane(standby)
    copy = restore(store, record, servers.empty(major=standby_major)).start()
    assert copy.checksums() == primary.checksums()


def test_after_a_promotion_the_backup_carries_its_timeline_history(servers, walship, store):
    primary = servers.new().start()
    primary.write_rows()
    standby = servers.standby_of(primary).start()
    standby.wait_replayed(primary)
    assert standby.promote() == 2
    record = take(walship, standby)
    assert record["timeline"] == 2 and record["wal_inside"]
    copy = restore(store, record, servers.empty(), signal_file="recovery.signal")
    assert (copy.pgdata / "pg_wal/00000002.history").is_file()
    copy.start().wait_promoted()
    assert copy.timeline() == 3 and copy.checksums() == standby.checksums()


def test_wrong_page_checksums_keep_the_backup_and_exit_8(servers, walship, store):
    source = servers.new().start()
    source.write_rows(20000)
    source.sql("CHECKPOINT")
    path = source.pgdata / source.value("SELECT pg_relation_filepath('rows')")
    source.stop()
    with open(path, "r+b") as file:
        file.seek(8192 * 3 + 500)
        file.write(b"damaged")
    source.start()
    record = take(walship, source, rc=8)
    assert record["page_errors"] and record["wal_inside"]
    check_objects(store, record)


def test_a_server_without_a_second_walsender_gives_a_backup_without_wal(servers, walship, store):
    source = servers.new(max_wal_senders=1).start()
    source.write_rows()
    result = walship.ok("backup", "--fast", "--json", env=source.pg_environment)
    record = json.loads(result.out)
    assert not record["wal_inside"]
    assert "needs the archive from" in result.err and "max_wal_senders" in result.err
    assert "HINT:  Raise max_wal_senders (a backup takes two" in result.err
    assert {part["set"] for part in record["parts"]} == {"base"}
    check_objects(store, record)

    insisting = walship.fails(8, "backup", "--fast", "--require-wal", env=source.pg_environment)
    kept = insisting.out.split(":")[0]
    assert f'backup "{kept}" does not hold its own WAL' in insisting.err and "It is kept" in insisting.err
    kept_record = store.read_json(next(key for key in store.keys() if key.endswith(f"{kept}/backup.json")))
    assert not kept_record["wal_inside"] and kept_record["parts"]


def test_a_backup_is_never_a_synchronous_standby(servers, walship, store):
    source = servers.new(synchronous_standby_names="*", synchronous_commit="local", max_replication_slots=0).start()
    source.write_rows()
    writer = walship.start("backup", "--fast", "--max-rate", "10MB", env=source.pg_environment)
    streaming = "SELECT sync_state, flush_lsn FROM pg_stat_replication WHERE state = 'streaming'"
    wait_until(lambda: source.sql(streaming), "walship streams WAL", timeout=10)
    assert all(flushed is None for _, flushed in source.sql(streaming))
    out, err = writer.communicate(timeout=30)
    assert writer.returncode == 0, err
    (key,) = [key for key in store.keys() if key.endswith("backup.json")]
    assert store.read_json(key)["wal_inside"]


@pytest.mark.smoke
@pytest.mark.parametrize("during", ["checkpoint", "copy"])
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_an_interrupted_backup_leaves_nothing(servers, walship, store, number, during):
    source = servers.new(max_wal_size="4GB").start()
    fill(source, 150)
    if during == "checkpoint":
        options = []
        running = "SELECT true FROM pg_stat_progress_basebackup WHERE phase LIKE 'waiting for checkpoint%'"
    else:
        options = ["--fast", "--max-rate", "25MB", "--part-size", "16MB"]
        running = "SELECT true FROM pg_stat_progress_basebackup WHERE backup_streamed > 60000000"
    process = walship.start("backup", *options, env=source.pg_environment)
    wait_until(lambda: source.sql(running), f"walship is in the {during}", timeout=20)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 3
    assert process.returncode == -number and not out, err
    assert number.name.encode() in err
    assert store.keys() == []
    assert_server_is_sane(source)
    check_objects(store, take(walship, source))


def test_a_hung_server_does_not_hold_up_an_interrupt(servers, walship, store):
    source = servers.new().start()
    process = walship.start("backup", "--fast", "--max-rate", "2MB", env=source.pg_environment)
    wait_until(
        lambda: source.sql("SELECT true FROM pg_stat_progress_basebackup WHERE backup_streamed > 1000000"),
        "walship is copying",
    )
    stopped = [source.process.pid, *children_of(source.process.pid)]
    try:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):  # an autovacuum worker ends when it likes
                os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert time.monotonic() - began < 3
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    assert process.returncode == -signal.SIGINT
    assert store.keys() == []
    assert_server_is_sane(source)


def test_a_killed_backup_is_invisible_and_the_next_one_works(servers, walship, store):
    source = servers.new().start()
    fill(source, 120)
    process = walship.start(
        "backup", "--fast", "--max-rate", "25MB", "--part-size", "16MB", env=source.pg_environment
    )
    running = "SELECT true FROM pg_stat_progress_basebackup WHERE backup_streamed > 60000000"
    wait_until(lambda: source.sql(running), "walship is copying", timeout=20)
    process.kill()
    process.communicate(timeout=10)
    assert not [key for key in store.keys() if key.endswith("backup.json")]
    assert_server_is_sane(source)
    check_objects(store, take(walship, source))


def test_a_server_that_dies_leaves_no_backup(servers, walship, store):
    source = servers.new().start()
    fill(source, 120)
    process = walship.start(
        "backup", "--fast", "--max-rate", "25MB", "--part-size", "16MB", env=source.pg_environment
    )
    running = "SELECT true FROM pg_stat_progress_basebackup WHERE backup_streamed > 60000000"
    wait_until(lambda: source.sql(running), "walship is copying", timeout=20)
    source.kill()
    out, err = process.communicate(timeout=20)
    assert process.returncode == 4 and not out, err
    assert store.keys() == []


@pytest.mark.directory_only("S3 has no disk to fill")
def test_a_full_store_leaves_no_backup(servers, walship, small_disk):
    source = servers.new().start()
    source.sql("CREATE TABLE noise AS SELECT gen_random_uuid()::text || gen_random_uuid() FROM generate_series(1, 1000000)")
    place = small_disk / "store"
    place.mkdir()
    walship.configure(store=f"file://{place}")
    walship.ok("check", "--create", "--store-only")
    walship.fails(7, "backup", "--fast", env=source.pg_environment, says="No space left on device")
    assert [path for path in place.rglob("*") if path.is_file() and path.parent != place] == []
    assert_server_is_sane(source)


def test_refusals_say_what_to_do(servers, walship, store):
    source = servers.new().start()
    source.sql("CREATE ROLE plain LOGIN")
    there = source.pg_environment
    cases = [
        (5, {**there, "PGUSER": "plain"}, [], "attribute REPLICATION"),
        (5, {**there, "PGUSER": "nobody"}, [], 'role "nobody" does not exist'),
        (4, {**there, "PGPORT": "1"}, [], "PGHOST"),
        (2, there, ["--system", "123"], "another database system"),
        (2, there, ["--max-rate", "1kB"], "--max-rate"),
        (2, there, ["--max-rate", "fast"], "--max-rate"),
        (2, there, ["--progress", "loud"], "auto, json or none"),
        (2, there, ["--label", "x" * 1001], "label"),
        (2, there, ["--label", "two\nlines"], "control character"),
        (2, there, ["surplus"], "surplus"),
    ]
    for rc, environment, arguments, says in cases:
        walship.fails(rc, "backup", *arguments, env=environment, says=says)
    (source.pgdata / "pg_hba.conf").write_text("local all all trust\n")
    source.reload()
    wait_until(
        lambda: "pg_hba.conf needs" in walship.run("backup", "--fast", env=there).err, "the server has reloaded"
    )
    assert [key for key in store.keys() if "backup.json" in key] == []


def test_progress_for_programs_is_json_on_stderr(servers, walship, store):
    source = servers.new().start()
    fill(source, 60)
    result = walship.ok(
        "backup", "--fast", "--max-rate", "25MB", "--progress", "json", env=source.pg_environment
    )
    lines = [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]
    assert len(lines) >= 2
    assert all(line["operation"] == "backup" for line in lines)
    assert lines[-1]["bytes_done"] >= lines[0]["bytes_done"] and lines[-1]["bytes_total"] > 60 << 20
    assert re.match(r"\d{8}T\d{6}Z-[0-9a-f]{4}: \d", result.out) and result.out.count("\n") == 1

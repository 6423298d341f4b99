"""drill: what passes, what makes it fail, that nothing leads out of it, and that nothing of it is left."""
import json
import os
import random
import re
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest

from walship_testing import server as pg
from walship_testing.proc import run, wait_until
from walship_testing.recovery import take_backup
from walship_testing.store import sealed

pytestmark = pytest.mark.directory_only("WAL and backups are read by the same readers as recover's")


class Drill:
    def __init__(self, walship, directory):
        self.walship = walship
        self.scratch = directory / "scratch"
        self.use(pg.default_major())

    def use(self, major):
        self.walship.configure(drill_scratch=self.scratch, pg_bindir=pg.find_install(major).bindir)

    def run(self, expected, *options, timeout=50):
        result = self.walship.fails(expected, "drill", "--json", *options, timeout=timeout)
        report = json.loads(result.out)
        assert self.left() == [], "nothing is left of a drill"
        return report

    def passes(self, *options):
        report = self.run(0, *options)
        assert report["passed"] is True
        return report

    def fails(self, check, text, *options):
        """By this check alone, with this text."""
        report = self.run(8, *options)
        failed = {name: made["findings"] for name, made in report["checks"].items() if made["outcome"] == "failed"}
        assert list(failed) == [check], failed
        assert any(text in finding for finding in failed[check]), failed
        return report

    def left(self):
        return sorted(self.scratch.glob("drill-*")) if self.scratch.exists() else []


MEMORY = Path("/dev/shm")


def has_fast_memory():
    """A small one, as containers have it, would be full."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return False
    room = os.statvfs(MEMORY)
    return room.f_bavail * room.f_frsize > 2 * 1024**3


@pytest.fixture
def drill(walship, directory):
    """Where there is room enough it restores into memory: its files do not outlive it, and a disk takes longer."""
    place = Path(tempfile.mkdtemp(prefix="walship-drill-", dir=MEMORY)) if has_fast_memory() else directory
    yield Drill(walship, place)
    if place != directory:
        shutil.rmtree(place, ignore_errors=True)


def processes_below(directory):
    """Ids of the processes whose command line names the directory."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    if os.fsencode(str(directory)) in file.read():
                        found.append(int(entry))
            except OSError:
                continue
    return found


def archive_of(server, walship, *statements):
    """A backup, then these statements, archived; the server is still running."""
    take_backup(walship, server)
    for statement in statements:
        server.sql(statement)
    server.switch_and_archive()


@pytest.mark.smoke
def test_a_drill_passes_and_leaves_its_evidence(story, drill, store):
    report = drill.passes("--target-time", story.moment("evening").time, "--dump-check")
    assert [name for name, check in report["checks"].items() if check["outcome"] != "passed"] == [
        "counts", "structure", "sql", "in time", "recent"
    ], "all others passed, and these have notes why they were skipped"
    assert report["last_transaction"] == "committed"
    assert report["checks"]["restored"]["outcome"] == "passed"
    assert report["checks"]["databases"]["checked"] == 2
    evidence = [key for key in store.keys(f"{story.system}/proof/") if key.endswith("-drill.json")]
    assert len(evidence) == 1
    assert json.loads(store.read(evidence[0])) == report
    assert store.keys(f"{story.system}/lease/") == [], "its lease has ended with it"


def test_a_drill_to_the_end_of_the_wal_and_what_the_store_tells_of_it(story, drill, store):
    first = drill.passes()
    assert first["last_transaction"] == "committed"
    assert first["rpo_ms"] > 0
    drill.walship.configure(rpo_target="1s")
    second = drill.fails("recent", "rpo_target is 1.0 s; whether the server has committed anything since is not known")
    assert second["rpo_ms"] > first["rpo_ms"]
    drill.walship.configure(rpo_target=None)

    assert json.loads(drill.walship.ok("drill", "--history", "--json").out) == {
        "older": 0, "compared": 0, "drills": [first, second]
    }
    said = drill.walship.ok("drill", "--history").out
    assert said.startswith("2 drills; the last one, of ") and said.splitlines()[0].endswith(" FAILED")
    evidence = sorted(key for key in store.keys(f"{story.system}/proof/") if key.endswith("-drill.json"))
    moment = evidence[1].split("/")[-1].removesuffix("-drill.json")
    said = drill.walship.ok("drill", "--history", moment).out
    assert said.startswith("FAILED: backup") and "FAILED recent: " in said
    assert json.loads(drill.walship.ok("drill", "--history", moment, "--json").out) == second
    assert "has no drill" in drill.walship.fails(1, "drill", "--history", "20200101T000000Z").err
    store.write(evidence[1], b"{}")
    result = drill.walship.ok("drill", "--history", "--json")
    assert json.loads(result.out)["drills"] == [first] and "could not read" in result.err


def test_a_backup_is_chosen_by_a_word(story, drill):
    """With a random target that backup can reach."""
    oldest, newest = story.backups

    def plan(*options):
        return json.loads(drill.walship.ok("drill", "--plan", "--json", *options).out)

    assert plan("--backup", "oldest")["backup"]["id"] == oldest["id"]
    assert plan("--backup", "newest")["backup"]["id"] == newest["id"]
    chosen = {plan("--random", seed, "--backup", "random")["backup"]["id"] for seed in range(8)}
    assert chosen == {oldest["id"], newest["id"]}
    assert {plan("--random", seed, "--backup", "newest")["backup"]["id"] for seed in range(4)} == {newest["id"]}


@pytest.mark.parametrize("first", range(0, 20, 4))
def test_random_targets_are_reached_to_the_transaction(story, drill, first):
    for seed in range(first, first + 4):
        report = drill.passes("--random", seed)
        assert report["last_transaction"] == "committed"
        assert report["seed"] == str(seed)


def test_a_timeline_without_a_moment_has_no_random_target(story, drill):
    said = drill.walship.fails(9, "drill", "--random", "1", "--timeline", "9").err
    assert "nothing can be recovered on timeline 9 from store" in said and '"walship list"' in said
    assert drill.left() == []


def test_a_drill_of_every_major_passes(major, servers, walship, drill):
    server = servers.new(major=major)
    server.archive_with(walship)
    server.start()
    server.sql("CREATE EXTENSION amcheck")
    server.write_rows(100)
    server.sql("CREATE INDEX ON rows (filling)")
    archive_of(server, walship, "SELECT pg_create_restore_point('here')", "INSERT INTO rows (filling) VALUES ('x')")
    drill.use(major)
    report = drill.passes("--target-name", "here")
    assert report["checks"]["structure"]["outcome"] == "passed"
    assert report["checks"]["structure"]["checked"] > 50


def test_sql_of_ones_own(story, drill, walship, directory):
    sql = directory / "sql"
    sql.mkdir()
    walship.configure(drill_dir=sql)
    (sql / "rows.sql").write_text("SELECT count(*) = 4001 FROM rows;\nSELECT true;\n")
    (sql / "shown.sql").write_text("-- database: postgres\nSELECT 1, 'a'; SELECT NULL;\n")
    (sql / "shown.expected").write_text("1|a\n\n")
    target = ("--target-time", story.moment("evening").time)
    assert drill.passes(*target)["checks"]["sql"]["checked"] == 2
    (sql / "false.sql").write_text("SELECT true;\nSELECT count(*) = 4000 FROM rows;\n")
    drill.fails("sql", "false.sql: statement 2 did not return true but false", *target)
    (sql / "false.sql").write_text("SELECT nothing;")
    drill.fails("sql", 'column "nothing" does not exist', *target)
    (sql / "false.sql").unlink()
    (sql / "shown.expected").write_text("1|b\n\n")
    drill.fails("sql", "shown.sql: its result is not what its .expected says", *target)
    walship.configure(drill_dir=directory / "nowhere")
    walship.fails(2, "drill", *target, says="does not exist", timeout=50)
    assert drill.left() == []


def test_too_slow_and_other_machines(story, drill, walship, directory):
    target = ("--target-time", story.moment("morning").time)
    (directory / "sql").mkdir()
    (directory / "sql" / "slow.sql").write_text("SELECT pg_sleep(1) IS NOT NULL")
    walship.configure(rto_target="1s", drill_dir=directory / "sql")
    drill.fails("in time", "rto_target is 1000 ms", *target)
    walship.configure(rto_target=None, drill_dir=None)
    others = [major for major in pg.MAJORS if major != pg.default_major() and pg.find_install(major)]
    if others:
        drill.use(others[0])
        drill.fails("restored", f"but {pg.default_major()} is needed", *target)
    walship.configure(pg_bindir=directory)
    drill.fails("restored", "no server program", *target)


def rewrite_counts(store, system, change):
    """Of the newest counts in the store: what a server would have said that had other rows."""
    key = [key for key in store.keys(f"{system}/proof/") if key.endswith("-counts.json")][-1]
    kept = store.read(key)
    store.write(key, sealed(change(json.loads(kept))))
    return key, kept


def test_rows_are_those_that_were_counted(servers, walship, drill, store):
    """One server, one backup: exact while others write, off by one, emptied, gone."""
    server = servers.new()
    server.archive_with(walship)
    server.start()
    server.sql("CREATE DATABASE shop")
    server.sql("CREATE TABLE queue AS SELECT generate_series(1, 10) i", database="shop")
    server.sql("CREATE TABLE gone ()", database="shop")
    server.write_rows(1000)
    oid = int(server.value("SELECT 'rows'::regclass::oid"))
    server.sql("CREATE TABLE busy (i int)")
    environment = server.pg_environment

    def record(expected, *options):
        return walship.fails(expected, "drill", "--record-counts", *options, env=environment)

    take_backup(walship, server, "--count", "rows,queue")
    with pg.written_to(server, "busy", writers=4):
        said = record(0).out
    assert re.match(r"counted the rows of 4 tables at \S+ of timeline 1; they were locked for \d+ ms", said)
    assert "has no table" in record(2, "--count", "rows,nothing").err
    server.switch_and_archive()

    report = drill.passes("--count", "all")
    assert report["checks"]["counts"]["checked"] == 4 and report["counts_exact"] is True

    def one_more(document):
        for table in document["tables"]:
            table["rows"] += table["relation"] == oid
        return document

    key, kept = rewrite_counts(store, server.system_identifier(), one_more)
    drill.fails("counts", "table public.rows: 1000 rows, and 1001 were counted on the server", "--count", "all")
    assert drill.passes("--count", "shop.public.queue")["checks"]["counts"]["checked"] == 1
    store.write(key, kept)

    server.sql("DELETE FROM queue", database="shop")
    server.sql("DROP TABLE gone", database="shop")
    server.sql("INSERT INTO rows (filling) VALUES ('another')")
    server.switch_and_archive()
    report = drill.fails("counts", "table public.queue: it is empty, and 10 rows", "--count", "gone,queue,rows",
                         "--latest")
    assert report["counts_exact"] is False
    assert any('no table is "gone" here' in finding for finding in report["checks"]["counts"]["findings"])
    assert any("not exact, +1" in note for note in report["checks"]["counts"]["notes"])
    for key in store.keys(f"{server.system_identifier()}/proof/"):
        store.remove(key)
    assert "has no counts of rows" in walship.fails(9, "drill", "--count", "all", timeout=50).err


def test_a_missing_segment_and_a_damaged_part(story, drill, store, walship):
    keys = store.keys(f"{story.system}/wal/00000001/")
    segments = [key for key in keys if key.endswith(".tar")]
    kept = store.read(segments[-2])
    store.remove(segments[-2])
    walship.fails(9, "drill", "--target-time", story.moment("night").time, timeout=50)
    assert drill.left() == []
    store.write(segments[-2], kept)

    part = next(key for key in store.keys(f"{story.system}/base/{story.backups[1]['id']}/") if "/base-0001" in key)
    content = bytearray(store.read(part))
    content[len(content) // 2] ^= 0xFF
    store.write(part, bytes(content))
    report = drill.run(8, "--target-time", story.moment("night").time)
    assert report["checks"]["restored"]["outcome"] == "failed"
    assert report["checks"]["consistent"]["outcome"] == "not made"


def test_a_full_disk_is_found_before_anything_is_fetched(story, drill, small_disk):
    free = os.statvfs(small_disk)
    with open(small_disk / "fill", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - (4 << 20)))
    drill.walship.configure(drill_scratch=small_disk / "scratch")
    drill.fails("restored", "not enough space", "--target-time", story.moment("night").time)
    assert list((small_disk / "scratch").iterdir()) == []


def corrupt(server, *relations, offset=3000):
    """On the disk of the server that will be backed up; it is down."""
    paths = [server.value(f"SELECT pg_relation_filepath('{relation}')") for relation in relations]
    server.stop()
    for path in paths:
        with open(server.pgdata / path, "r+b") as file:
            file.seek(offset)
            file.write(b"\xde\xad\xbe\xef" * 8)
    server.start()


def test_corrupt_pages_of_heap_and_index_are_found(servers, walship, drill):
    server = servers.new()
    server.archive_with(walship)
    server.start()
    server.write_rows(1000)
    server.sql("CREATE INDEX ids ON rows (id)")
    server.sql("CHECKPOINT")
    corrupt(server, "rows", "ids")
    backup = take_backup(walship, server, expected=8)
    server.switch_and_archive()
    report = drill.run(8, "--immediate", "--backup", backup["id"], "--dump-check")
    checks = {name: check["findings"] for name, check in report["checks"].items() if check["outcome"] == "failed"}
    assert list(checks) == ["tables", "dump", "pages"], checks
    assert "invalid page in block 0" in checks["tables"][0]
    assert any("invalid page in block 0" in finding for finding in checks["dump"])
    assert "checksum verification failed in file" in checks["pages"][0] and len(checks["pages"]) == 2


def test_a_broken_index_is_found_by_amcheck(servers, walship, drill):
    server = servers.new(checksums=False)
    server.archive_with(walship)
    server.start()
    server.sql("CREATE EXTENSION amcheck")
    server.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) i")
    server.sql("CREATE INDEX broken ON t (i)")
    # Not by bytes: the catalog says that it is of another operator class, whose order is the reverse.
    server.sql("CREATE FUNCTION back(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($2, $1)'")
    server.sql(
        "CREATE OPERATOR CLASS backwards FOR TYPE int USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, "
        "OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 back(int, int)"
    )
    server.sql(
        "UPDATE pg_index SET indclass = (SELECT oid::text FROM pg_opclass WHERE opcname = 'backwards')::oidvector "
        "WHERE indexrelid = 'broken'::regclass"
    )
    archive_of(server, walship, "CREATE TABLE other ()")
    drill.fails("structure", "broken", "--immediate")


def test_a_missing_include_and_a_missing_library(servers, walship, drill):
    server = servers.new()
    server.archive_with(walship)
    server.start()
    (server.pgdata / "extra.conf").write_text("")
    with open(server.pgdata / "postgresql.conf", "a") as file:
        file.write("include '/etc/nowhere/extra.conf'\n")
    archive_of(server, walship, "CREATE TABLE other ()")
    drill.fails("configured", "/etc/nowhere/extra.conf", "--immediate")


def test_a_missing_library_of_a_function(servers, walship, drill):
    server = servers.new()
    server.archive_with(walship)
    server.start()
    server.sql("CREATE EXTENSION amcheck")
    server.sql("UPDATE pg_proc SET probin = '$libdir/not_installed' WHERE proname = 'bt_index_parent_check'")
    archive_of(server, walship, "CREATE TABLE other ()")
    drill.fails("configured", "not_installed", "--immediate")


def test_a_database_of_a_missing_locale_cannot_be_entered(servers, walship, drill):
    server = servers.new()
    server.archive_with(walship)
    server.start()
    server.sql("CREATE DATABASE abroad")
    server.sql("UPDATE pg_database SET datcollate = 'xx_XX.utf8', datctype = 'xx_XX.utf8' WHERE datname = 'abroad'")
    archive_of(server, walship, "CREATE TABLE other ()")
    drill.fails("databases", "abroad", "--immediate")


def test_a_server_that_does_not_start_says_why(servers, walship, drill):
    server = servers.new()
    server.archive_with(walship)
    server.start()
    with open(server.pgdata / "postgresql.auto.conf", "a") as file:
        file.write("no_such_setting = on\n")
    archive_of(server, walship, "CREATE TABLE other ()")
    drill.fails("consistent", "configuration file", "--immediate")


def test_nothing_leads_out(servers, walship, drill, directory, store):
    """What the backup would connect to, write to and run, if it were let."""
    decoy = socket.create_server(("127.0.0.1", 0))
    decoy.settimeout(0.2)
    port = decoy.getsockname()[1]
    touched = directory / "touched"
    server = servers.new(wal_level="logical", max_logical_replication_workers=0)  # the live one is not to connect, either
    server.archive_with(walship)
    server.start()
    server.sql(f"CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port={port} dbname=x' PUBLICATION p WITH "
               "(connect = false, slot_name = 's')")
    server.sql("ALTER SUBSCRIPTION s ENABLE")
    server.sql("CREATE EXTENSION postgres_fdw")
    server.sql(f"CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}')")
    server.sql("CREATE USER MAPPING FOR PUBLIC SERVER elsewhere")
    server.sql("CREATE FOREIGN TABLE far (i int) SERVER elsewhere")
    server.sql(
        "CREATE FUNCTION fires() RETURNS event_trigger LANGUAGE plpgsql AS "
        f"$$BEGIN EXECUTE 'COPY (SELECT 1) TO ''{touched}-trigger'''; END$$"
    )
    server.sql("CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION fires()")
    server.stop()
    with open(server.pgdata / "postgresql.auto.conf", "a") as file:
        for name in ("archive_command", "recovery_end_command", "archive_cleanup_command", "restore_command"):
            file.write(f"{name} = 'touch {touched}-{name}; false'\n")
        file.write(f"primary_conninfo = 'host=127.0.0.1 port={port}'\n")
        file.write("shared_preload_libraries = 'pg_prewarm, no_such_worker'\nssl = on\nlisten_addresses = '*'\n")
    (server.pgdata / "postgresql.auto.conf").rename(directory / "auto.conf")
    (server.pgdata / "postgresql.auto.conf").write_text("")
    server.start()
    (directory / "auto.conf").rename(server.pgdata / "postgresql.auto.conf")
    archive_of(server, walship, "SELECT txid_current()")
    server.stop()
    before = set(store.keys(""))
    sql = directory / "sql"
    sql.mkdir()
    (sql / "workers.sql").write_text("SELECT count(*) FROM pg_settings WHERE name = 'pg_prewarm.autoprewarm'")
    (sql / "workers.expected").write_text("0\n")
    walship.configure(drill_dir=sql)
    for target in ((), ("--immediate", "--dump-check")):
        report = drill.fails("configured", 'shared_preload_libraries has "no_such_worker"', *target)
        assert report["checks"]["consistent"]["outcome"] == "passed", "the drill's own server loads none of them"
        assert len(report["checks"]["configured"]["findings"]) == 1, "pg_prewarm is here"
    (sql / "workers.expected").write_text("1\n")
    (sql / "far.sql").write_text("SELECT count(*) FROM far")
    report = drill.run(8, "--immediate", "--preload-libraries", "pg_prewarm", "--network-fence", "auto")
    failed = {name: check["findings"] for name, check in report["checks"].items() if check["outcome"] == "failed"}
    assert list(failed) == ["configured", "sql"], failed
    assert len(failed["sql"]) == 1 and "far.sql: " in failed["sql"][0], "pg_prewarm was loaded, as was said"
    with pytest.raises(TimeoutError):
        decoy.accept()
    decoy.close()
    assert list(directory.glob("touched*")) == []
    new = set(store.keys("")) - before
    assert all("/proof/" in key or "/lease/" in key for key in new), new


def sockets_of(scratch):
    """Where the drills below this directory have, or are about to make, their server's socket."""
    notes = scratch.glob("drill-*/*/walship_server/server.json")
    return {json.loads(note.read_text())["sockets"] for note in notes}


def test_of_a_killed_drill_nothing_is_left_after_the_next(story, drill, walship, store):
    shuffled = random.Random(17)
    sockets = set()
    has_lease = lambda: store.keys(f"{story.system}/lease/") != []  # noqa: E731
    for moment in range(6):
        process = walship.start("drill", "--target-time", story.moment("evening").time)
        if moment == 5:
            wait_until(has_lease, "it has its lease", interval=0.001)
        else:
            time.sleep(shuffled.uniform(0.05, 3.0))
        process.kill()
        said = process.communicate(timeout=20)
        assert process.returncode in (-signal.SIGKILL, 0), said
        wait_until(lambda: processes_below(drill.scratch) == [], "its server has ended with it", timeout=20)
        sockets |= sockets_of(drill.scratch)
    assert has_lease()
    drill.passes("--target-time", story.moment("evening").time)
    assert not has_lease()
    assert sockets and not [path for path in sockets if os.path.exists(path)]


def test_a_directory_for_the_socket_is_noted_before_it_is_made(story, drill, directory):
    """Else nobody finds it after a kill between the two.  A tracer sees the order."""
    if shutil.which("strace") is None or run(["strace", "-o", "/dev/null", "true"]).rc != 0:
        pytest.skip("the order of its steps is NOT TESTED: strace is missing, or may not trace here")
    trace = directory / "trace"
    options = ["-f", "-qq", "-o", trace, "-e", "trace=mkdir,rename,renameat,renameat2"]
    command = drill.walship.command("drill", "--target-time", story.moment("evening").time)
    result = run(["strace", *map(str, options), *command], env={"ASAN_OPTIONS": "detect_leaks=0"}, timeout=50)
    assert result.rc == 0, result
    calls = trace.read_text().splitlines()
    noted = [i for i, call in enumerate(calls) if "rename" in call and "walship_server/server.json" in call]
    made = [i for i, call in enumerate(calls) if re.search(r'mkdir\("/tmp/walship-[0-9a-f]{12}"', call)]
    assert noted and len(made) == 1 and noted[0] < made[0], calls


def test_an_interrupted_drill_tidies_up(story, drill, walship):
    process = walship.start("drill", "--target-time", story.moment("evening").time)
    wait_until(lambda: processes_below(drill.scratch) != [] or process.poll() is not None, "its server runs")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=40)
    assert drill.left() == []
    assert processes_below(drill.scratch) == []


def test_an_environment_that_no_server_takes_is_not_waited_out(story, drill, walship):
    """libpq sends PGTZ; the server refuses it, at every attempt."""
    target = ("--target-time", story.moment("evening").time)
    walship.fails(4, "drill", *target, env={"PGTZ": "Foo/Bar"}, says='"TimeZone": "Foo/Bar"', timeout=40)
    assert drill.left() == []


def test_a_plan_touches_nothing(story, drill, walship):
    result = walship.ok("drill", "--plan", "--target-time", story.moment("evening").time)
    assert "to fetch" in result.out
    assert not drill.scratch.exists()

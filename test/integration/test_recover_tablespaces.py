"""A recovery never touches what is alive: the tablespaces of a server that goes on running, whatever the WAL says."""
import hashlib
import json
import re

import pytest

from walship_testing import server as pg
from walship_testing import wal
from walship_testing.large import fill_segment
from walship_testing.proc import wait_until
from walship_testing.recovery import backup_key, note_moment, snapshot_of, take_backup
from walship_testing.store import sealed
from walship_testing.wal import parse_lsn

MAJORS = [13, 15, 18]


@pytest.fixture(params=[pytest.param(major, id=f"pg{major}") for major in MAJORS])
def some_major(request):
    if not pg.find_install(request.param):
        pytest.skip(f"PostgreSQL {request.param} is not on this machine; test/install test says why")
    return request.param


def files_of(directory):
    """{path: digest}: byte for byte."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


class Live:
    """A server that archives, was backed up, and has made two tablespaces since: "late", with a table and a database, and
    "gone", which was dropped again."""

    def __init__(self, servers, walship, directory, major, name="live"):
        self.walship = walship
        self.place = directory / f"{name}-late"
        self.gone = directory / f"{name}-gone"
        for place in (self.place, self.gone):
            place.mkdir(mode=0o700)
        self.server = servers.new(major=major, name=name)
        self.server.archive_with(walship)
        self.server.start()
        self.record = take_backup(walship, self.server)

    def go_on(self):
        server = self.server
        server.sql(f"CREATE TABLESPACE gone LOCATION '{self.gone}'")
        server.sql("CREATE TABLE in_gone TABLESPACE gone AS SELECT 1 AS i")
        server.sql("DROP TABLE in_gone")
        server.sql("DROP TABLESPACE gone")
        server.sql(f"CREATE TABLESPACE late LOCATION '{self.place}'")
        server.sql("CREATE TABLE spaced TABLESPACE late AS SELECT i, md5(i::text) FROM generate_series(1, 2000) i")
        server.sql("CREATE DATABASE based TABLESPACE late")
        server.sql("CREATE TABLE inside AS SELECT i FROM generate_series(1, 900) i", database="based")
        self.oid = server.value("SELECT oid::int FROM pg_tablespace WHERE spcname = 'late'")
        self.moment = note_moment(server)
        server.switch_wal()
        server.sql("DELETE FROM spaced WHERE i <= 100")
        server.sql("DROP TABLE inside", database="based")
        self.end = note_moment(server)
        server.switch_and_archive()
        server.sql("CHECKPOINT")
        self.files = files_of(self.place)
        assert len(self.files) > 100
        return self

    def check(self):
        """Untouched: the files, and what the server reads after a restart, when nothing is cached."""
        assert files_of(self.place) == self.files
        self.server.restart()
        assert self.server.checksums() == self.end.tables


@pytest.fixture
def live(servers, walship, directory, some_major):
    return Live(servers, walship, directory, some_major).go_on()


@pytest.fixture
def live15(servers, walship, directory):
    return Live(servers, walship, directory, pg.default_major()).go_on()


def location(server, name="late"):
    return server.value("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = %s", name)


def test_a_copy_beside_the_live_server_has_the_tablespace_that_was_made_after_the_backup(live, recoveries):
    """Paused, stopped and started, killed and started, promoted, killed again: the live files stay byte for byte."""
    place = recoveries.place(name="copy", major=live.server.major)
    copy = recoveries.copy("--target-time", live.moment.time, into=place)
    assert copy.checksums() == live.moment.tables
    where = place.pgdata.parent / "copy-tablespaces" / str(live.oid)
    assert location(copy) == str(where) and where.stat().st_mode & 0o777 == 0o700
    copy.stop()
    copy.start(wait=False)
    copy.wait_paused()
    copy.kill()
    copy.start(wait=False)
    copy.wait_paused()
    assert copy.checksums() == live.moment.tables
    assert files_of(live.place) == live.files
    copy.sql("SELECT pg_wal_replay_resume()")
    copy.wait_promoted()
    copy.sql("INSERT INTO spaced SELECT i, 'of the copy' FROM generate_series(1, 1000) i")
    copy.sql("DROP DATABASE based")
    copy.kill()
    copy.start()
    assert copy.value("SELECT count(*) FROM spaced WHERE md5 = 'of the copy'") == 1000
    copy.restart()
    assert copy.value("SELECT count(*) FROM spaced") == 3000
    copy.stop()
    live.check()


def test_a_copy_to_the_end_of_the_wal_leaves_the_live_tablespace_alone(live15, recoveries):
    copy = recoveries.live("--latest", "--copy", name="copy")
    assert copy.checksums() == live15.end.tables
    copy.restart()
    assert copy.checksums() == live15.end.tables
    live15.check()


def test_a_copy_that_shuts_down_at_its_target_leaves_the_live_tablespace_alone(live15, recoveries):
    """What the replay dirtied is written then."""
    copy = recoveries.recover("--target-time", live15.moment.time, "--action", "shutdown", name="copy")
    copy.start(wait=False)
    copy.wait_exit()
    live15.check()


@pytest.mark.parametrize("prefetch", [0, 16])
def test_what_is_fetched_ahead_is_changed_like_all_else(live15, recoveries, walship, prefetch):
    walship.configure(prefetch=prefetch)
    copy = recoveries.live("--latest", "--copy", name="copy")
    assert copy.checksums() == live15.end.tables
    live15.check()


def test_a_mapping_takes_the_path_of_a_tablespace_that_only_the_wal_has(live15, recoveries, directory):
    new = directory / "a=b 'c' 100%"
    escaped = str(new).replace("=", "\\=")
    copy = recoveries.live("--latest", "--copy", "--tablespace-map", f"{live15.place}={escaped}", name="copy")
    assert copy.checksums() == live15.end.tables
    assert location(copy) == str(new)
    live15.check()


def test_the_plan_lists_tablespaces_that_the_wal_makes_and_says_what_is_written(live15, recoveries, walship, directory):
    copy = directory / "copy"
    line = ("--latest", "--copy", "--pgdata", copy)
    late = [item for item in recoveries.plan(*line)["tablespaces"] if item["oid"] == live15.oid]
    assert [(item["path"], item["place"]) for item in late] == [
        (str(live15.place), f"{copy}-tablespaces/{live15.oid}")
    ]
    assert re.fullmatch("[0-9A-F]+/[0-9A-F]+", late[0]["created_lsn"])
    text = walship.ok("recover", "--plan", *line).out
    assert f'WRITES ALSO    "{copy}-tablespaces/{live15.oid}": tablespace {live15.oid} of "{live15.place}"' in text
    assert f'of "{live15.gone}"' in text
    assert not list(directory.glob("copy*"))

    # Before it was made there is nothing to list.
    assert recoveries.plan("--immediate", "--pgdata", copy)["tablespaces"] == []

    # Where the directory is not known, the place is not, either.
    assert {item["place"] for item in recoveries.plan("--latest", "--copy")["tablespaces"]} == {None}


def outside_of_state(directory):
    """All but the times of state_dir, where a job notes how far it is and removes the note."""
    return {name: facts for name, facts in snapshot_of(directory).items() if name != "walship/state"}


def test_the_directory_of_a_copys_new_tablespace_must_be_empty(live15, recoveries, walship, directory):
    default = directory / "refused-tablespaces" / str(live15.oid)
    default.mkdir(parents=True)
    (default / "precious").write_text("")
    before = outside_of_state(directory)
    result = recoveries.refused(3, "--latest", "--copy", says="is not empty")
    assert str(default) in result.err
    recoveries.refused(3, "--latest", "--copy", "--move-aside", says="has no link to it")
    assert outside_of_state(directory) == before


def test_a_tablespace_that_came_after_the_plan_stops_the_copy_with_exit_200(live15, recoveries, directory):
    """No plan can know it, and no mapping covers it."""
    copy = recoveries.recover("--latest", "--copy", name="copy")
    newer = directory / "newer"
    newer.mkdir()
    server = live15.server
    server.sql(f"CREATE TABLESPACE newer LOCATION '{newer}'")
    server.sql("CREATE TABLE in_newer TABLESPACE newer AS SELECT i FROM generate_series(1, 500) i")
    server.switch_and_archive()
    tables = server.checksums()
    server.sql("CHECKPOINT")
    files = files_of(newer)
    copy.start(wait=False)
    copy.wait_exit()
    log = copy.log_text()
    assert "no --tablespace-map says where it goes in this copy" in log and "exit code 200" in log
    assert files_of(newer) == files

    # The way that the hint names.
    settings = copy.pgdata / "postgresql.auto.conf"
    settings.write_text(
        settings.read_text().replace(" %f %p", f" --tablespace-map=''{newer}={directory / 'elsewhere'}'' %f %p")
    )
    copy.start()
    copy.wait_promoted()
    assert copy.checksums() == tables
    assert location(copy, "newer") == str(directory / "elsewhere")
    assert files_of(newer) == files
    server.restart()
    assert server.checksums() == tables


def create_across_a_segment_end(server, directory, name):
    """CREATE TABLESPACE whose record begins in one segment and ends in the next: its path, long, lies in both."""
    made = {}

    def create(number):
        place = directory / f"{name}-{number}" / ("x" * 200) / ("y" * 200) / ("z" * 200)
        place.mkdir(parents=True)
        before = parse_lsn(server.value("SELECT pg_current_wal_insert_lsn()::text"))
        server.sql(f"CREATE TABLESPACE {name}_{number} LOCATION '{place}'")
        made["place"], made["name"] = place, f"{name}_{number}"
        return before, parse_lsn(server.value("SELECT pg_current_wal_insert_lsn()::text"))

    segment_size = 16 * wal.MIB
    server.sql("CHECKPOINT")
    create("first")  # with images of the catalogue's pages
    before, after = create("second")
    for attempt in range(5):
        # What comes before the record, and the commit behind it, are as long as of the last one: its path is at the border.
        fill_segment(server, segment_size, left=after - before - 500)
        before, after = create(attempt)
        if before // segment_size != after // segment_size:
            border = after // segment_size * segment_size
            first = server.pgdata / "pg_wal" / wal.segment_name(1, border // segment_size - 1)
            path = str(made["place"]).encode()
            end = first.read_bytes()[-len(path):]
            cut = next((length for length in range(len(path), 0, -1) if end.endswith(path[:length])), 0)
            if 0 < cut < len(path):
                return made["name"], made["place"]
    raise AssertionError("no record was made across a segment end")


@pytest.mark.parametrize("prefetch", [0, 16])
@pytest.mark.directory_only("how segments come does not matter to what is in them")
def test_a_record_that_lies_in_two_segments_is_changed_in_both(servers, walship, recoveries, directory, prefetch):
    """The server gets its beginning, with the changed CRC, before its end is looked at."""
    walship.configure(prefetch=prefetch)
    server = servers.new(name="live", autovacuum="off", wal_keep_size="256MB")
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    name, place = create_across_a_segment_end(server, directory, "across")
    server.sql(f"CREATE TABLE spaced TABLESPACE {name} AS SELECT i FROM generate_series(1, 2000) i")
    moment = note_moment(server)
    server.sql("DELETE FROM spaced WHERE i > 100")
    server.switch_and_archive()
    server.sql("CHECKPOINT")
    files = files_of(place)

    copy = recoveries.copy("--target-time", moment.time, name="copy")
    assert copy.checksums() == moment.tables
    oid = server.value("SELECT oid::int FROM pg_tablespace WHERE spcname = %s", name)
    assert location(copy, name) == f"{copy.pgdata}-tablespaces/{oid}"
    copy.kill()
    copy.start(wait=False)
    copy.wait_paused()
    copy.sql("SELECT pg_wal_replay_resume()")
    copy.wait_promoted()
    copy.restart()
    assert copy.checksums() == moment.tables
    assert files_of(place) == files


def test_a_tablespace_made_while_the_backup_began_goes_where_the_backups_goes(servers, walship, recoveries, directory):
    """It is in the backup's list, and the WAL from the backup's start makes it once more: over the link that is there."""
    server = servers.new(name="live", checkpoint_timeout="1h", log_checkpoints="on")
    server.archive_with(walship)
    server.start()
    server.write_rows(20000)
    place = directory / "during"
    place.mkdir()
    backup = walship.start("backup", "--json", env=server.pg_environment)
    wait_until(lambda: "checkpoint starting: force wait" in server.log_text(), "the backup's checkpoint has begun")
    server.sql(f"CREATE TABLESPACE during LOCATION '{place}'")
    server.sql("CREATE TABLE spaced TABLESPACE during AS SELECT i FROM generate_series(1, 2000) i")
    server.sql("CHECKPOINT")
    out, err = backup.communicate(timeout=30)
    assert backup.returncode == 0, err
    assert [item["path"] for item in json.loads(out)["tablespaces"]] == [str(place)]
    server.switch_and_archive()
    tables = server.checksums()
    server.sql("CHECKPOINT")
    files = files_of(place)
    new = directory / "new"
    mapping = ("--tablespace-map", f"{place}={new}")
    plan = recoveries.plan("--latest", "--copy", *mapping)
    assert [item["place"] for item in plan["tablespaces"]] == [str(new)] * 2, plan["tablespaces"]
    copy = recoveries.live("--latest", "--copy", *mapping, name="copy")
    assert copy.checksums() == tables and location(copy, "during") == str(new)
    copy.kill()
    copy.start()
    assert copy.checksums() == tables
    assert files_of(place) == files

    # As the lost server's successor it goes back to its place, which the restore has filled.
    server.destroy()
    place.rename(directory / "kept")
    again = recoveries.live("--latest", "--rejoin", name="again")
    assert again.checksums() == tables and location(again, "during") == str(place)


def test_a_server_that_goes_live_makes_missing_directories_and_refuses_others(live15, recoveries, walship, directory):
    line = ("recover", "--latest", "--rejoin", "--pgdata", directory / "new")
    live15.server.stop()
    before = snapshot_of(live15.place)
    result = walship.fails(3, *line, says="is not empty")
    assert str(live15.place) in result.err
    walship.fails(3, *line, "--move-aside", says="has no link to it")
    assert snapshot_of(live15.place) == before and not (directory / "new").exists()
    walship.fails(2, *line, "--tablespace-map", f"{live15.place}={directory / 'x'}", says="only a copy")
    live15.place.rename(directory / "kept")
    server = recoveries.live("--latest", "--rejoin", name="new")
    assert server.checksums() == live15.end.tables
    assert location(server) == str(live15.place) and live15.place.stat().st_mode & 0o777 == 0o700


def test_a_lost_servers_new_tablespace_goes_aside_with_its_data_directory(live15, recoveries):
    live15.server.kill()
    server = recoveries.recover("--latest", "--rejoin", "--move-aside", into=live15.server)
    server.start()
    server.wait_promoted()
    assert server.checksums() == live15.end.tables
    assert len(list(live15.place.parent.glob(f"{live15.place.name}.before-*"))) == 1


def test_a_standby_beside_its_primary_is_stopped_before_it_takes_the_primarys_tablespace(live15, recoveries, walship, directory):
    walship.fails(3, "recover", "--standby", "--pgdata", directory / "standby", says="is not empty")
    standby = recoveries.place(name="late-standby")
    live15.place.rename(directory / "kept")
    recoveries.recover("--standby", into=standby)
    live15.place.rmdir()
    (directory / "kept").rename(live15.place)
    standby.start(wait=False)
    wait_until(lambda: "not empty and not this server" in standby.log_text(), "fetch has refused")
    standby.kill()
    live15.check()


def test_a_running_servers_tablespace_is_not_moved_aside(servers, walship, recoveries, directory):
    """A copy into a new directory, with --move-aside said once too often: the live server's tablespace was renamed."""
    place = directory / "place"
    place.mkdir(mode=0o700)
    server = servers.new(name="live")
    server.archive_with(walship)
    server.start()
    server.sql(f"CREATE TABLESPACE space LOCATION '{place}'")
    server.sql("CREATE TABLE spaced TABLESPACE space AS SELECT i FROM generate_series(1, 2000) i")
    take_backup(walship, server)
    server.switch_and_archive()
    server.sql("CHECKPOINT")
    tables, files = server.checksums(), files_of(place)
    result = recoveries.refused(3, "--latest", "--copy", "--move-aside", says="has no link to it")
    assert str(place) in result.err and "--tablespace-map" in result.err

    # A stale copy of its data directory has the link.
    stale = directory / "stale/pg_tblspc"
    stale.mkdir(parents=True)
    (stale / "16384").symlink_to(place)
    result = walship.fails(
        3, *("recover", "--latest", "--copy", "--move-aside", "--pgdata", stale.parent), says="a server runs in"
    )
    assert str(server.pgdata) in result.err
    assert files_of(place) == files
    server.restart()
    assert server.checksums() == tables
    assert not list(directory.glob("*.before-*"))


def test_a_tablespace_path_that_is_none_is_corrupt(server, walship, recoveries, store, directory):
    """A record may be anybody's: what it says must not make a directory elsewhere than it seems."""
    place = directory / "place"
    place.mkdir()
    server.sql(f"CREATE TABLESPACE space LOCATION '{place}'")
    record = take_backup(walship, server)
    server.switch_and_archive()
    key = backup_key(record, "backup.json")
    inside = str(directory / "refused/x")
    for path in ("relative", "/srv//x", "/srv/../etc", "/srv/./x", "/srv/line\nfeed", "/", "/srv/x/", "pg_tblspc/1", inside):
        changed = {**store.read_json(key), "tablespaces": [{**record["tablespaces"][0], "path": path}]}
        store.write(key, sealed(changed))
        recoveries.refused(6, "--latest", "--copy", says="tablespace")
    store.write(key, sealed({**record, "tablespaces": [{**record["tablespaces"][0], "path": inside}]}))
    recoveries.recover("--latest", "--copy", "--tablespace-map", f"{inside}={directory / 'new'}", name="copy")


# In place, below pg_tblspc itself


def test_tablespaces_in_place_come_back_in_place(servers, walship, recoveries, directory):
    if not pg.find_install(18):
        pytest.skip("PostgreSQL 18 is not on this machine; test/install test says why")
    server = servers.new(major=18, name="live", allow_in_place_tablespaces="on")
    server.archive_with(walship)
    server.start()
    server.sql("CREATE TABLESPACE inside LOCATION ''")
    server.sql("CREATE TABLE spaced TABLESPACE inside AS SELECT i FROM generate_series(1, 3000) i")
    record = take_backup(walship, server)
    server.switch_and_archive()
    tables = server.checksums()
    oid = server.value("SELECT oid::int FROM pg_tablespace WHERE spcname = 'inside'")
    assert record["tablespaces"] == [{"oid": oid, "path": f"pg_tblspc/{oid}"}]
    assert "WRITES ALSO" not in walship.ok("recover", "--plan", "--latest", "--copy", "--pgdata", directory / "planned").out
    copy = recoveries.place(name="copy", major=18)
    copy.settings["allow_in_place_tablespaces"] = "on"
    recoveries.live("--latest", "--copy", into=copy)
    assert copy.checksums() == tables
    place = copy.pgdata / "pg_tblspc" / str(oid)
    assert place.is_dir() and not place.is_symlink()
    copy.restart()
    copy.sql("INSERT INTO spaced VALUES (0)")
    assert server.checksums() == tables


def test_a_server_whose_backups_leave_such_tablespaces_out_is_not_backed_up(servers, walship, store):
    """Before 17, rows would be missing after a recovery, and nobody would have been told."""
    server = servers.new(allow_in_place_tablespaces="on").start()
    result = walship.fails(2, "backup", "--fast", env=server.pg_environment, says="allow_in_place_tablespaces")
    assert "Since 17" in result.err
    server.configure(allow_in_place_tablespaces="off")
    server.reload()
    wait_until(lambda: server.value("SHOW allow_in_place_tablespaces") == "off", "it is off")
    take_backup(walship, server)

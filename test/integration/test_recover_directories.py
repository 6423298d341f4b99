"""Where recover puts things: it never writes over anything, and what it moves aside can be moved back."""
import json
import os
import re
import shlex
import shutil
import signal
import subprocess

import pytest

from walship_testing.proc import clean_environment, run_ok, wait_until
from walship_testing.recovery import COPY_NOTICE, UNFINISHED, snapshot_of, take_backup
from walship_testing.wal import MIB
from walship_testing.walship import Walship


@pytest.fixture
def occupied(directory):
    """A directory with something in it."""
    place = directory / "pgdata"
    place.mkdir()
    (place / "precious").write_text("precious")
    return place


def test_the_plan_touches_nothing(story, walship, directory):
    absent = directory / "absent/data"
    before = snapshot_of(directory)
    out = walship.ok("recover", "--plan", "--verbose", "--target-time", story.moment("evening").time, "--pgdata",
                     absent).out
    assert snapshot_of(directory) == before
    for text in (story.backups[1]["id"], "recovery_target_timeline = '1'", "needed", "free", "restore_command = "):
        assert text in out, out


def test_the_plan_of_a_directory_that_is_occupied_touches_nothing_either(story, walship, occupied, directory):
    before = snapshot_of(directory)
    walship.run("recover", "--plan", "--move-aside", "--immediate", "--pgdata", occupied)
    assert snapshot_of(directory) == before


def test_a_directory_that_is_not_empty_is_refused_and_left_alone(story, walship, occupied):
    before = snapshot_of(occupied)
    result = walship.fails(3, "recover", "--immediate", "--pgdata", occupied, says=str(occupied))
    assert "is not empty" in result.err and "--move-aside" in result.err
    assert snapshot_of(occupied) == before


def test_the_directory_of_a_running_server_is_refused_even_with_move_aside(story, walship, servers):
    running = servers.new().start()
    for options in ([], ["--move-aside"]):
        result = walship.fails(3, "recover", "--immediate", "--pgdata", running.pgdata, *options)
        assert "a server is running" in result.err and str(running.pgdata) in result.err
    assert running.value("SELECT 1") == 1
    running.stop()


def test_a_postmaster_pid_of_a_dead_server_is_refused_without_move_aside(story, walship, servers):
    dead = servers.new().start()
    dead.kill()
    assert (dead.pgdata / "postmaster.pid").exists()
    result = walship.fails(3, "recover", "--immediate", "--pgdata", dead.pgdata)
    assert "postmaster.pid" in result.err and "--move-aside" in result.err
    walship.ok("recover", "--immediate", "--pgdata", dead.pgdata, "--move-aside")


def test_a_lone_postmaster_pid_is_refused(story, walship, directory):
    place = directory / "pgdata"
    place.mkdir()
    for text in (f"{os.getpid()}\n{place}\n", "", "not a number\n"):
        (place / "postmaster.pid").write_text(text)
        walship.fails(3, "recover", "--immediate", "--pgdata", place)
        assert [path.name for path in place.iterdir()] == ["postmaster.pid"]


def test_an_empty_directory_is_filled_and_closed_to_others(story, recoveries):
    server = recoveries.place()
    server.pgdata.mkdir(mode=0o755)
    recoveries.recover("--immediate", into=server)
    assert server.pgdata.stat().st_mode & 0o777 == 0o700
    server.start(wait=False)
    server.wait_paused()


def test_a_missing_directory_is_made_with_its_parents(story, recoveries, directory):
    server = recoveries.place(name="far/away/data")
    recoveries.recover("--immediate", into=server)
    assert server.pgdata.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_cannot_be_made_is_refused(story, walship, directory):
    closed = directory / "closed"
    closed.mkdir(mode=0o500)
    walship.fails(5, "recover", "--immediate", "--pgdata", closed / "data", says=str(closed))
    (directory / "file").write_text("")
    result = walship.run("recover", "--immediate", "--pgdata", directory / "file/data")
    assert result.rc == 7 and str(directory / "file") in result.err, str(result)


@pytest.mark.smoke
def test_a_directory_moved_aside_comes_back_with_the_line_that_was_printed(story, recoveries, occupied, directory):
    before = snapshot_of(occupied)
    server = recoveries.place(name=occupied.name)
    assert server.pgdata == occupied
    recoveries.recover("--immediate", "--move-aside", into=server)
    assert (occupied / "PG_VERSION").exists() and not (occupied / "precious").exists()
    undo = undo_line(server.recovery)
    run_ok(["sh", "-c", undo])
    assert snapshot_of(occupied) == before
    assert not [path for path in directory.iterdir() if path.name.startswith("pgdata.")]


def undo_line(result):
    (line,) = [line for line in result.out.splitlines() if "undo:" in line]
    return line.split("undo:", 1)[1].strip()


def test_moving_aside_twice_keeps_both(story, recoveries, occupied):
    server = recoveries.place(name=occupied.name)
    recoveries.recover("--immediate", "--move-aside", into=server)
    (server.pgdata / "second").write_text("")
    recoveries.recover("--immediate", "--move-aside", into=server)
    kept = [path for path in occupied.parent.iterdir() if path.name.startswith("pgdata.")]
    assert len(kept) == 2
    assert sorted(name for path in kept for name in ("precious", "second") if (path / name).exists()) == [
        "precious",
        "second",
    ]


# Tablespaces


@pytest.fixture
def spaced(server, walship, directory):
    """A server with three tablespaces that was backed up: (server, record, {name: directory})."""
    places = {f"space{n}": directory / f"old space {n}" for n in (1, 2, 3)}
    for name, place in places.items():
        place.mkdir()
        server.sql(f"CREATE TABLESPACE {name} LOCATION '{place}'")
        server.sql(f"CREATE TABLE in_{name} TABLESPACE {name} AS SELECT i, md5(i::text) FROM generate_series(1, 5000) i")
    record = take_backup(walship, server)
    server.sql("INSERT INTO in_space2 SELECT i, 'late' FROM generate_series(1, 100) i")
    server.switch_and_archive()
    return server, record, places


def mappings(places, directory):
    return {name: directory / f"new={name} 'x'" for name in places}


def map_options(places, new):
    return [
        word
        for name, old in places.items()
        for word in ("--tablespace-map", f"{old}={str(new[name]).replace('=', chr(92) + '=')}")
    ]


def locations(server):
    return dict(server.sql("SELECT spcname, pg_tablespace_location(oid) FROM pg_tablespace WHERE oid > 16000"))


@pytest.mark.smoke
def test_three_tablespaces_are_put_elsewhere(spaced, recoveries, directory):
    server, record, places = spaced
    assert len(record["tablespaces"]) == 3
    expected = server.checksums()
    new = mappings(places, directory)
    copy = recoveries.live("--latest", "--copy", *map_options(places, new))
    assert copy.checksums() == expected
    assert locations(copy) == {name: str(place) for name, place in new.items()}
    assert all(place.stat().st_mode & 0o777 == 0o700 for place in new.values())
    server.sql("INSERT INTO in_space1 VALUES (0, 'still the old one')")
    assert server.value("SELECT count(*) FROM in_space1") == copy.value("SELECT count(*) FROM in_space1") + 1
    copy.restart()
    assert copy.checksums() == expected


def test_tablespaces_in_use_are_not_written_over(spaced, recoveries):
    server, _, places = spaced
    before = {name: snapshot_of(place) for name, place in places.items()}
    result = recoveries.refused(3, "--latest", "--copy", says="is not empty")
    assert any(str(place) in result.err for place in places.values()) and "--tablespace-map" in result.err
    assert {name: snapshot_of(place) for name, place in places.items()} == before


def test_tablespaces_come_back_to_their_old_place_when_that_is_empty(spaced, recoveries):
    server, _, places = spaced
    expected = server.checksums()
    server.destroy()
    for place in places.values():
        run_ok(["rm", "-rf", place])
    places["space1"].mkdir()
    copy = recoveries.live("--latest", "--copy")
    assert copy.checksums() == expected
    assert locations(copy) == {name: str(place) for name, place in places.items()}


def test_tablespaces_are_moved_aside_with_the_data_directory_and_all_come_back(spaced, recoveries, walship):
    server, _, places = spaced
    expected = server.checksums()
    server.stop()
    old = {place: snapshot_of(place) for place in [server.pgdata, *places.values()]}
    recoveries.recover("--latest", "--copy", "--move-aside", "--yes", into=server)
    server.start()
    server.wait_promoted()
    assert server.checksums() == expected
    server.stop()
    for line in server.recovery.out.splitlines():
        if "undo:" in line:
            run_ok(["sh", "-c", line.split("undo:", 1)[1]])
    assert {place: snapshot_of(place) for place in old} == old


@pytest.mark.parametrize("bad", ["pgdata", "twice"])
def test_tablespaces_that_would_collide_are_refused(spaced, recoveries, directory, bad):
    _, _, places = spaced
    new = mappings(places, directory)
    if bad == "pgdata":
        new["space1"] = directory / "refused"
    else:
        new["space1"] = new["space2"]
    recoveries.refused(2, "--latest", "--copy", *map_options(places, new), says="tablespace")


# Names and places


def test_paths_with_spaces_quotes_and_percent_signs_work(story, store, directory, servers):
    odd = directory / "it's 100% \"odd\" $HOME `x` \\ %p & ünï"
    odd.mkdir()
    settings = dict(store.settings)
    if hasattr(store, "directory"):
        store.directory.rename(odd / "store")
        settings["store"] = f"file://{odd}/store"
    odd_walship = Walship(odd / "walship", {})
    run_ok(["cp", odd_walship.binary, odd / "the program"])
    odd_walship.binary = odd / "the program"
    flags = ["--store", settings.pop("store"), "--state-dir", str(odd_walship.state_dir)]
    odd_walship.configure(state_dir=None, **settings)
    server = servers.empty(name=odd.name + "/data's")
    night = story.moment("night")
    odd_walship.ok("recover", *flags, "--target-time", night.time, "--pgdata", server.pgdata)
    server.start(wait=False)
    server.wait_paused()
    assert server.checksums() == night.tables


def test_tables_and_tablespaces_of_long_names_survive(server, walship, recoveries, directory):
    """Tar cannot hold every path in its plain form; the server cuts names, not paths."""
    deep = directory / ("d" * 40) / ("e" * 40) / "space"
    deep.mkdir(parents=True)
    server.sql(f"CREATE TABLESPACE deep LOCATION '{deep}'")
    server.sql(f"CREATE DATABASE \"{'long ' * 12}\" TABLESPACE deep")
    server.sql("CREATE TABLE t AS SELECT 1 AS i", database="long " * 12)
    name = "file of a long name " + "x" * 60
    (server.pgdata / name).write_text("kept")
    expected = server.checksums()
    take_backup(walship, server)
    server.switch_and_archive()
    new = directory / "new"
    copy = recoveries.live("--latest", "--copy", "--tablespace-map", f"{deep}={new}")
    assert copy.checksums() == expected
    assert (copy.pgdata / name).read_text() == "kept"


def test_the_data_directory_may_come_from_the_environment(story, walship, directory):
    walship.ok("recover", "--immediate", env={"PGDATA": str(directory / "from the environment")})
    assert (directory / "from the environment/PG_VERSION").exists()


def test_a_relative_data_directory_is_made_absolute(story, walship, directory, servers):
    server = servers.empty(name="relative")
    walship.ok("recover", "--immediate", "--pgdata", "relative/", cwd=directory)
    server.start(wait=False)
    server.wait_paused()


def test_two_copies_are_recovered_at_the_same_time(story, recoveries):
    evening = story.moment("evening")
    copies = [recoveries.place(name=f"copy{n}") for n in (1, 2)]
    running = [
        recoveries.walship.start("recover", "--target-time", evening.time, "--pgdata", copy.pgdata) for copy in copies
    ]
    for process in running:
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
    for copy in copies:
        copy.start(wait=False)
    for copy in copies:
        copy.wait_paused()
        assert copy.checksums() == evening.tables


def test_a_full_disk_is_seen_before_anything_is_written(story, walship, small_disk):
    fill(small_disk, 8 * MIB)
    place = small_disk / "data"
    result = walship.fails(7, "recover", "--immediate", "--pgdata", place, says="not enough space")
    assert "needed" in result.err and "free" in result.err and "--pgdata" in result.err
    assert not place.exists()


def fill(disk, leave):
    """Leaves so many bytes free."""
    status = os.statvfs(disk)
    size = status.f_bavail * status.f_frsize - leave
    with open(disk / "ballast", "wb") as file:
        for _ in range(size // MIB):
            file.write(bytes(MIB))


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_behind(story, walship, small_disk):
    place = small_disk / "data"
    for _ in range(20):
        process = walship.start("recover", "--immediate", "--pgdata", place)
        wait_until(
            lambda: (place / UNFINISHED).exists() or process.poll() is not None, "it has begun", interval=0.0002
        )
        process.send_signal(signal.SIGSTOP)
        fill(small_disk, 0)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=20)
        (small_disk / "ballast").unlink()
        if process.returncode != 0:
            break
        shutil.rmtree(place)
    assert process.returncode == 7 and b"could not write" in err and b"No space left" in err, err
    assert not place.exists()


def test_the_disk_that_is_needed_and_free_is_in_the_plan(story, recoveries, directory):
    plan = recoveries.plan("--immediate", "--pgdata", directory / "data")
    (disk,) = plan["disk"]
    files = plan["backup"]["files_size"]
    assert files <= disk["needed"] <= 2 * files and disk["available"] > 0


def test_config_only_writes_the_settings_into_a_directory_restored_by_other_means(
    server, walship, store, recoveries, servers
):
    """Restored with tar, as docs/format.md says; here by recovering and taking the settings away again."""
    take_backup(walship, server)
    server.write_rows(100)
    expected = server.checksums()
    server.switch_and_archive()
    copy = recoveries.recover("--immediate")
    (copy.pgdata / "recovery.signal").unlink()
    (copy.pgdata / "postgresql.auto.conf").write_text("")
    walship.ok("recover", "--config-only", "--latest", "--copy", "--pgdata", copy.pgdata)
    copy.start()
    copy.wait_promoted()
    assert copy.checksums() == expected


@pytest.mark.directory_only("it is about a store in a directory")
def test_the_store_is_no_place_for_a_recovery_and_does_not_go_aside_with_one(story, walship, store, directory):
    before = snapshot_of(store.directory)
    link = directory / "link"
    link.symlink_to(store.directory)
    for pgdata, says in (
        (store.directory / "copy", "lies in the store"),
        (link / "copy", "lies in the store"),
        (store.directory, "lies in the store"),
        (store.directory.parent, "holds the store"),
    ):
        for options in (["--plan"], ["--move-aside", "--yes"]):
            walship.fails(2, "recover", "--immediate", "--pgdata", pgdata, *options, says=says)
    assert snapshot_of(store.directory) == before


@pytest.mark.directory_only("what is refused here does not depend on the store")
def test_another_servers_directory_is_no_place_for_a_recovery(servers, walship, directory):
    """It would be in that server's next backup, and where it removes what it does not know, gone."""
    live = servers.new(name="live")
    live.archive_with(walship)
    live.start()
    place = directory / "spaced"
    place.mkdir(mode=0o700)
    live.sql(f"CREATE TABLESPACE spaced LOCATION '{place}'")
    take_backup(walship, live)
    recover = ["recover", "--immediate", "--pgdata"]
    elsewhere = ["--tablespace-map", f"{place}={directory / 'new'}"]
    says = f'lies in the data directory "{live.pgdata}"'
    walship.fails(2, *recover, live.pgdata / "pg_wal/copy", *elsewhere, says=says)
    inside = ["--tablespace-map", f"{place}={live.pgdata / 'new'}"]
    walship.fails(2, *recover, directory / "copy", *inside, says=says)
    assert not (live.pgdata / "pg_wal/copy").exists() and not (directory / "copy").exists()

    # In its own one a tablespace may lie, though it is not wise.
    walship.ok(*recover, directory / "copy", "--tablespace-map", f"{place}={directory / 'copy/new'}", "--plan")


@pytest.mark.directory_only("what is refused here does not depend on the store")
def test_a_link_to_nowhere_is_named(story, recoveries, directory):
    (directory / "refused").symlink_to("nowhere")
    recoveries.refused(2, "--immediate", says=['"' + str(directory / "refused") + '" is a symbolic link to what does not exist', "HINT"])
    assert (directory / "refused").is_symlink()


def test_config_only_looks_for_the_backups_own_wal_in_the_directory(story, walship, recoveries):
    """The server would not find it, either; and what the store has lost of a backup does not matter there."""
    copy = recoveries.recover("--from-backup-only")
    wal = copy.pgdata / "pg_wal"
    segments = sorted(path for path in wal.iterdir() if len(path.name) == 24)
    (copy.pgdata / "recovery.signal").unlink()
    run = ["recover", "--config-only", "--from-backup-only", "--pgdata", copy.pgdata]
    walship.ok(*run, "--plan")
    segments[-1].rename(wal / "elsewhere")
    for plan in (["--plan"], []):
        said = walship.fails(9, *run, *plan).err
        assert f'"{wal}" does not have WAL segment {segments[-1].name}' in said and "--immediate" in said
    assert not (copy.pgdata / "recovery.signal").exists()
    segments[-1].write_bytes(bytes(16 << 20))
    walship.fails(9, *run)
    (wal / "elsewhere").rename(segments[-1])
    walship.ok(*run)
    copy.start()
    copy.wait_paused()


def test_config_only_refuses_a_directory_that_holds_no_backup(story, walship, directory, datadir):
    before = snapshot_of(datadir.path)
    result = walship.run("recover", "--config-only", "--immediate", "--pgdata", datadir.path)
    assert result.rc != 0 and "backup_label" in result.err, str(result)
    assert snapshot_of(datadir.path) == before


def test_the_undo_line_survives_a_shell(story, recoveries, directory):
    server = recoveries.place(name="it's mine $(touch pwned)")
    server.pgdata.mkdir()
    (server.pgdata / "precious").write_text("")
    recoveries.recover("--immediate", "--move-aside", into=server)
    done = subprocess.run(
        ["sh", "-c", undo_line(server.recovery)], cwd=directory, env=clean_environment(), capture_output=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in server.pgdata.iterdir()] == ["precious"]
    assert not (directory / "pwned").exists()
    assert shlex.split(undo_line(server.recovery))[0] == "rm"


def test_a_data_directory_may_be_a_link_to_an_empty_directory(story, recoveries, directory):
    """As on machines where the data lie on another disk."""
    server = recoveries.place(name="link")
    (directory / "other disk").mkdir()
    server.pgdata.symlink_to(directory / "other disk")
    recoveries.copy("--immediate", into=server)
    assert server.pgdata.is_symlink() and (directory / "other disk/PG_VERSION").exists()


def test_a_link_to_a_directory_in_use_is_refused(story, walship, occupied, directory):
    (directory / "link").symlink_to(occupied)
    before = snapshot_of(occupied)
    walship.fails(3, "recover", "--immediate", "--pgdata", directory / "link", says="is not empty")
    assert snapshot_of(occupied) == before


def test_with_json_standard_output_is_one_object(story, recoveries, occupied):
    server = recoveries.place(name=occupied.name)
    recoveries.recover("--immediate", "--move-aside", "--json", into=server)
    assert json.loads(server.recovery.out)["backup"]["id"] == story.backups[1]["id"]
    assert "undo:" in server.recovery.err
    assert server.recovery.err.splitlines()[-1] == COPY_NOTICE


def test_a_copy_does_not_take_the_place_of_a_server_that_archived_unless_that_is_meant(server, walship, recoveries):
    """Somebody forgot --rejoin: production would be read-only at first, and then live on unarchived."""
    take_backup(walship, server)
    server.switch_and_archive()
    server.stop()
    before = snapshot_of(server.pgdata)
    line = ("recover", "--immediate", "--move-aside", "--pgdata", server.pgdata)
    result = walship.fails(3, *line, says="belongs to a server that archived")
    assert "--rejoin" in result.err and "--yes" in result.err
    assert snapshot_of(server.pgdata) == before
    server.configure(archive_mode="off")
    walship.fails(3, *line, "--copy", says="belongs to a server that archived")
    recoveries.recover("--immediate", "--move-aside", "--yes", into=server)
    walship.ok(*line)  # what lies there now is a copy
    assert len(list(server.pgdata.parent.glob(f"{server.pgdata.name}.before-*"))) == 2


def test_the_server_itself_may_be_replaced_without_being_asked(server, walship, recoveries):
    take_backup(walship, server)
    server.switch_and_archive()
    server.stop()
    recoveries.recover("--latest", "--rejoin", "--move-aside", into=server)
    server.start()
    server.wait_promoted()
    server.switch_and_archive()


def permissions_of(directory):
    return {
        str(path.relative_to(directory)): path.stat().st_mode & 0o777
        for path in [directory, *directory.rglob("*")]
        if not path.is_symlink()
    }


def test_a_cluster_whose_group_may_read_it_comes_back_so(servers, walship, recoveries, directory):
    """initdb -g: backup tools and monitors of the group read it."""
    server = servers.empty(name="grouped")
    run_ok([server.install.bindir / "initdb", "-D", server.pgdata, "-U", "postgres", "-A", "trust", "-g", "--no-sync"])
    server.mode = 0o750
    server.archive_with(walship)
    server.start()
    place = directory / "space"
    place.mkdir()
    server.sql(f"CREATE TABLESPACE space LOCATION '{place}'")
    server.write_rows(1000)
    server.sql("CREATE TABLE spaced TABLESPACE space AS SELECT 1 AS i")
    (server.pgdata / "server.key").write_text("secret")
    (server.pgdata / "server.key").chmod(0o600)
    take_backup(walship, server)
    server.switch_and_archive()
    tables = server.checksums()
    new = directory / "new"
    copy = recoveries.recover("--latest", "--copy", "--tablespace-map", f"{place}={new}", name="copy")
    copy.mode = 0o750
    found = permissions_of(copy.pgdata)
    before = permissions_of(server.pgdata)
    assert found["."] == found["pg_wal"] == found["base"] == found["pg_tblspc"] == 0o750
    assert found["postgresql.auto.conf"] == found["recovery.signal"] == found["global/pg_control"] == 0o640
    assert found["server.key"] == 0o600
    assert {name: (before[name], mode) for name, mode in found.items() if before.get(name, mode) & 0o770 != mode} == {}
    assert set(permissions_of(new).values()) <= {0o750, 0o640}
    copy.start()
    copy.wait_promoted()
    assert copy.checksums() == tables
    assert copy.value("SHOW data_directory_mode") == "0750"


def test_settings_that_lead_away_from_the_restored_directory_are_told_and_overruled(server, walship, recoveries, directory):
    """The line that was printed started the old directory."""
    elsewhere = directory / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "more.conf").write_text("work_mem = '5MB'\n")
    (elsewhere / "pg_hba.conf").write_text("local all all trust\nlocal replication all trust\n")
    with open(server.pgdata / "postgresql.conf", "a") as file:
        file.write(f"include_if_exists '{elsewhere}/more.conf'\n")
    (server.pgdata / "paths.conf").write_text(
        f"data_directory = '{server.pgdata}'\nhba_file = '{elsewhere}/pg_hba.conf'\n"
        f"external_pid_file = '{directory}/live.pid'\n"
    )
    with open(server.pgdata / "postgresql.conf", "a") as file:
        file.write("include 'paths.conf'\n")
    server.restart()
    server.write_rows(100)
    take_backup(walship, server)
    server.switch_and_archive()
    tables = server.checksums()
    copy = recoveries.recover("--latest", "--copy", name="it's a copy")
    told = [line for line in copy.recovery.out.splitlines() if line.startswith("WARNING: ")]
    for name in ("data_directory", "hba_file", "external_pid_file", "include_if_exists"):
        assert any(f"have {name} = " in line for line in told), copy.recovery.out
    (line,) = [line for line in copy.recovery.out.splitlines() if line.startswith("ready: ")]
    command = line.split("with  ")[1]
    assert " -o " in command
    copy.configure()
    pid_file = (directory / "live.pid").read_text()
    run_ok(["sh", "-c", re.sub(r"-p \d+ ", "", command)], timeout=30)
    try:
        copy.wait_promoted()
        assert copy.value("SHOW data_directory") == str(copy.pgdata)
        assert copy.value("SHOW hba_file") == str(copy.pgdata / "pg_hba.conf")
        assert copy.checksums() == tables
        assert (directory / "live.pid").read_text() == pid_file
    finally:
        run_ok([copy.install.bindir / "pg_ctl", "-D", copy.pgdata, "-m", "fast", "stop"], timeout=30)
    assert server.checksums() == tables


def test_settings_that_stay_in_the_restored_directory_are_not_spoken_of(story, recoveries):
    server = recoveries.recover("--immediate")
    assert "WARNING: The restored" not in server.recovery.out
    (line,) = [line for line in server.recovery.out.splitlines() if line.startswith("ready: ")]
    assert f"pg_ctl -D {server.pgdata} " in line and " -c " not in line


@pytest.mark.directory_only("the same restore")
def test_pg_wal_goes_to_a_disk_of_its_own(story, walship, recoveries, directory):
    place = directory / "wal"
    live = recoveries.live("--target-name", "noon", "--rejoin", "--waldir", place)
    assert (live.pgdata / "pg_wal").is_symlink() and (live.pgdata / "pg_wal").resolve() == place
    assert f'pg_wal         in "{place}"' in live.recovery.out
    assert live.value("SELECT count(*) FROM rows") == 2001
    assert any(len(path.name) == 24 for path in place.iterdir())
    live.stop()

    target = ("--target-name", "noon", "--timeline", "1")
    recoveries.refused(3, *target, "--waldir", place, says="is not empty")
    recoveries.refused(3, *target, "--waldir", place, "--move-aside", says="may be another server's")
    inside = directory / "servers" / "refused"
    walship.fails(2, "recover", *target, "--pgdata", inside, "--waldir", inside / "wal", says="lies in the data directory")
    walship.fails(2, "recover", *target, "--pgdata", inside, "--waldir", inside.parent, says="holds the data directory")

    # Together with the data directory whose WAL it is, it may go aside.
    recoveries.recover(*target, "--rejoin", "--waldir", place, "--move-aside", into=live)
    assert (live.pgdata / "pg_wal").resolve() == place
    assert len(list(directory.glob("wal.before-*"))) == 1


@pytest.mark.directory_only("the same restore")
def test_a_recovery_that_fails_leaves_no_wal_directory(story, walship, store, directory):
    place = directory / "wal"
    part = next(key for key in store.keys(f"{story.system}/base/{story.backups[1]['id']}/") if "/base-0001" in key)
    content = bytearray(store.read(part))
    content[len(content) // 2] ^= 0xFF
    store.write(part, bytes(content))
    walship.fails(6, "recover", "--latest", "--copy", "--pgdata", directory / "new", "--waldir", place)
    assert not place.exists() and not (directory / "new").exists()

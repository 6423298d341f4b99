"""The settings that recover writes: complete, quoted, and stronger than whatever came with the backup."""
import re
import threading

import pytest

from walship_testing.proc import wait_until
from walship_testing.recovery import note_moment, take_backup

LEFTOVERS = {
    "recovery_target_name": "an old one",
    "recovery_target_action": "shutdown",
    "recovery_target_inclusive": "off",
    "recovery_target_timeline": "latest",
    "recovery_min_apply_delay": "1h",
    "restore_command": "cp /nowhere/%f %p",
    "archive_cleanup_command": "false",
    "recovery_end_command": "touch /tmp/never",
    "primary_conninfo": "host=/nowhere user=nobody",
    "primary_slot_name": "old_slot",
    "synchronous_standby_names": "*",
}


def with_leftovers(server):
    """As after an earlier recovery on this server."""
    for name, value in LEFTOVERS.items():
        if name != "synchronous_standby_names":
            server.sql(f"ALTER SYSTEM SET {name} = '{value}'")
    return server


def auto_conf(server):
    """{name: value as written} of the lines that count; the last one wins."""
    text = (server.pgdata / "postgresql.auto.conf").read_text()
    return dict(re.findall(r"^(\w+) = '(.*)'$", text, re.MULTILINE))


def lines_for(server, name):
    text = (server.pgdata / "postgresql.auto.conf").read_text()
    return [line for line in text.splitlines() if re.match(rf"[# ]*{name}\b", line)]


@pytest.mark.smoke
def test_what_an_older_recovery_left_is_commented_out_and_does_not_count(server, walship, recoveries):
    with_leftovers(server)
    take_backup(walship, server)
    server.write_rows(100)
    moment = note_moment(server)
    server.write_rows(1, table="later")
    server.switch_and_archive()
    copy = recoveries.copy("--target-time", moment.time)
    assert copy.checksums() == moment.tables
    for name, value in LEFTOVERS.items():
        active = [line for line in lines_for(copy, name) if not line.lstrip().startswith("#")]
        assert len(active) == 1, (name, active)
        assert value not in active[0] or name == "recovery_target_timeline", active
        if name != "synchronous_standby_names":
            assert any(value in line for line in lines_for(copy, name) if line.startswith("#")), name


@pytest.mark.directory_only("what a copy does does not depend on the store")
def test_a_promoted_copy_does_not_take_the_changes_that_its_server_subscribes_to(servers, walship, recoveries):
    """Its subscriptions have the slots of the server that it came from: what it took, that server would never get."""
    publisher = servers.new(name="publisher", fresh=True, wal_level="logical").start()
    publisher.sql("CREATE TABLE news (i int PRIMARY KEY)")
    publisher.sql("CREATE PUBLICATION p FOR TABLE news")
    live = servers.new(name="live")
    live.archive_with(walship)
    live.start()
    live.sql("CREATE TABLE news (i int PRIMARY KEY)")
    live.sql(f"CREATE SUBSCRIPTION s CONNECTION '{publisher.conninfo}' PUBLICATION p")
    publisher.sql("INSERT INTO news VALUES (1)")
    wait_until(lambda: live.value("SELECT count(*) FROM news") == 1, "the first change is there")
    take_backup(walship, live)
    live.write_rows(10)
    live.switch_and_archive()
    live.stop()  # for maintenance; meanwhile somebody looks at a copy
    copy = recoveries.live("--latest", "--copy", name="copy")
    assert copy.value("SELECT subenabled FROM pg_subscription") is True
    publisher.sql("INSERT INTO news VALUES (2)")
    assert copy.value("SHOW max_logical_replication_workers") == "0"
    assert copy.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical%'") == 0
    assert publisher.value("SELECT count(*) FROM pg_stat_replication") == 0
    live.start()
    wait_until(lambda: live.value("SELECT count(*) FROM news") == 2, "the second change is there, too")
    assert copy.value("SELECT count(*) FROM news") == 1


def test_leftovers_of_the_older_recovery_do_not_count_for_a_live_server_either(server, walship, recoveries):
    with_leftovers(server)
    take_backup(walship, server)
    server.write_rows(100)
    expected = server.checksums()
    server.switch_and_archive()
    server.stop("immediate")
    live = recoveries.recover("--latest", "--rejoin")
    live.archive_with(walship)
    live.start()
    live.wait_promoted()
    assert live.checksums() == expected
    live.write_rows(1)
    assert live.value("SHOW archive_mode") == "on"


def test_leftovers_in_the_main_settings_file_do_not_count_either(server, walship, recoveries):
    """recovery_target_time there and our target together would be two targets."""
    take_backup(walship, server)
    server.write_rows(100)
    moment = note_moment(server)
    server.write_rows(1, table="later")
    server.switch_and_archive()
    copy = recoveries.recover("--target-lsn", moment.lsn, "--exclusive")
    copy.configure(**{**LEFTOVERS, "recovery_target_time": "2020-01-01 00:00:00+00", "recovery_target_name": None})
    copy.start(wait=False)
    copy.wait_paused()
    assert copy.checksums() == moment.tables


def test_quotes_and_backslashes_of_other_settings_survive(server, walship, recoveries):
    prefix = "it''s \\\\ a \"test\" # = %p "
    server.sql(f"ALTER SYSTEM SET log_line_prefix = '{prefix}'")
    server.sql("ALTER SYSTEM SET search_path = '\"$user\", public, \"odd ''name''\"'")
    server.sql("SELECT pg_reload_conf()")
    written = {name: lines_for(server, name) for name in ("log_line_prefix", "search_path")}
    take_backup(walship, server)
    copy = recoveries.copy("--immediate")
    assert {name: lines_for(copy, name) for name in written} == written
    for name in written:
        assert copy.value(f"SHOW {name}") == server.value(f"SHOW {name}")


def test_every_recovery_setting_is_written_once_whatever_the_target(story, recoveries):
    for options in (["--immediate"], ["--target-name", "noon"], ["--target-xid", story.facts["noon_xid"]]):
        server = recoveries.recover(*options)
        written = auto_conf(server)
        for name in [*LEFTOVERS, "recovery_target", "recovery_target_time", "recovery_target_lsn", "recovery_target_xid"]:
            assert len([line for line in lines_for(server, name) if not line.startswith("#")]) == 1, name
        given = [name for name in written if re.fullmatch("recovery_target(_(time|lsn|xid|name))?", name)]
        assert len([name for name in given if written[name]]) == 1, written
        assert written["recovery_target_timeline"] == "1"
        assert written["recovery_min_apply_delay"] == "0"


def test_the_restore_command_has_absolute_paths_and_the_end_of_the_plan(story, recoveries, walship):
    server = recoveries.recover("--target-name", "noon")
    command = auto_conf(server)["restore_command"].replace("''", "'")
    plan = recoveries.plan("--target-name", "noon")
    assert str(walship.binary) in command and str(walship.config) in command
    assert f"--plan-end {plan['wal']['plan_end']} " in command
    assert command.endswith("%f %p")


def test_an_unbounded_recovery_has_no_end_of_the_plan(story, recoveries):
    server = recoveries.recover("--latest", "--copy")
    assert "--plan-end" not in auto_conf(server)["restore_command"]


def test_a_cluster_of_the_settings_file_is_named_in_the_restore_command(story, store, recoveries, walship):
    walship.sections = f"[cluster main]\nstore = {store.settings['store']}\n"
    walship.configure(store="file:///nowhere/at/all")
    server = recoveries.recover("--cluster", "main", "--immediate")
    server.start(wait=False)
    server.wait_paused()


def test_settings_of_the_environment_reach_the_restore_command_or_are_not_needed(story, recoveries, walship, store):
    """The server's environment has none of them."""
    url = walship.settings["store"]
    walship.configure(store=None)
    server = recoveries.place()
    walship.ok("recover", "--target-name", "noon", "--pgdata", server.pgdata, env={"WALSHIP_STORE": url})
    server.start(wait=False)
    server.wait_paused()
    assert server.checksums() == story.moment("noon").tables


def signal_files(pgdata):
    return sorted(path.name for path in pgdata.glob("*.signal"))


@pytest.mark.parametrize("left", [["recovery.signal"], ["standby.signal"], ["recovery.signal", "standby.signal"]])
def test_signal_files_of_the_source_do_not_count(server, walship, recoveries, left):
    for name in left:
        (server.pgdata / name).touch()
    take_backup(walship, server)
    copy = recoveries.copy("--immediate")
    assert signal_files(copy.pgdata) == ["recovery.signal"]
    standby = recoveries.recover("--standby", name="standby")
    assert signal_files(standby.pgdata) == ["standby.signal"]


def test_a_backup_of_a_standby_makes_a_copy_that_is_none(servers, walship, recoveries):
    primary = servers.new(name="primary")
    primary.archive_with(walship)
    primary.start()
    primary.write_rows(100)
    standby = servers.standby_of(primary, name="standby").start()
    standby.wait_replayed(primary)
    record = take_backup(walship, standby)
    assert record["from_standby"]
    primary.write_rows(100)
    moment = note_moment(primary)
    primary.write_rows(1, table="later")
    primary.switch_and_archive()
    copy = recoveries.copy("--target-time", moment.time)
    assert copy.checksums() == moment.tables
    assert signal_files(copy.pgdata) == ["recovery.signal"]
    assert copy.value("SHOW primary_conninfo") == ""


def test_the_conninfo_of_a_standby_survives_its_quotes(story, recoveries):
    conninfo = "host=/tmp/it''s password='a ''\\\\'' \\' b' application_name=x"
    server = recoveries.recover("--standby", "--primary-conninfo", conninfo, name="standby")
    server.start(wait=False)
    server.wait_ready()
    assert server.value("SHOW primary_conninfo") == conninfo


def test_settings_are_closed_to_others(story, recoveries):
    server = recoveries.recover("--standby", "--primary-conninfo", "password=secret", name="standby")
    assert (server.pgdata / "postgresql.auto.conf").stat().st_mode & 0o777 == 0o600


def test_the_plan_shows_the_settings_that_are_written(story, recoveries):
    plan = recoveries.plan("--target-name", "noon")
    server = recoveries.recover("--target-name", "noon")
    text = (server.pgdata / "postgresql.auto.conf").read_text()
    assert plan["settings"].strip() in text


def test_a_primary_that_got_more_connections_after_the_backup_does_not_stop_the_recovery(server, walship, recoveries):
    """With less than the WAL was written with, the server pauses for good, or stops (13)."""
    take_backup(walship, server)
    server.write_rows(100)
    server.stop()
    server.configure(max_connections=234, max_worker_processes=13)
    server.start()
    server.write_rows(100, table="more")
    moment = note_moment(server)
    server.write_rows(1, table="later")
    server.switch_and_archive()
    expected = server.checksums()
    copy = recoveries.copy("--target-time", moment.time, "--copy")
    assert copy.checksums() == moment.tables
    assert copy.value("SHOW max_connections") == "234"
    assert auto_conf(copy)["max_worker_processes"] == "13"
    copy.stop("immediate")
    server.stop("immediate")
    live = recoveries.recover("--latest", "--rejoin", name="live")
    assert "ALTER SYSTEM RESET" in live.recovery.out
    live.archive_with(walship)
    live.start()
    live.wait_promoted()
    assert live.checksums() == expected


def test_a_server_that_goes_live_on_a_new_machine_archives_on(server, walship, recoveries):
    """Its own settings, which said so, lay outside the data directory and died with the old machine."""
    take_backup(walship, server)
    server.write_rows(100)
    expected = server.checksums()
    server.switch_and_archive()
    server.destroy()
    live = recoveries.recover("--latest", "--rejoin", name="new-machine")
    (live.pgdata / "test.conf").write_text("")
    live.settings.update(archive_mode="off", archive_command="false")
    assert "archives on" in live.recovery.out and "wins over postgresql.conf" in live.recovery.out
    live.start()
    live.wait_promoted()
    assert live.checksums() == expected
    assert live.value("SHOW archive_mode") == "on"
    name = live.switch_and_archive()
    assert name.startswith("00000002") and walship.ok("list", "--json").out.count('"timeline"') >= 2
    assert live.value("SELECT last_failed_wal FROM pg_stat_archiver") is None


def test_a_cluster_of_the_settings_file_is_named_in_the_archive_command(server, store, recoveries, walship):
    take_backup(walship, server)
    server.stop()
    walship.sections = f"[cluster main]\nstore = {store.settings['store']}\n"
    walship.configure(store="file:///nowhere/at/all")
    live = recoveries.recover("--cluster", "main", "--latest", "--rejoin")
    command = auto_conf(live)["archive_command"].replace("''", "'")
    assert str(walship.config) in command and "--cluster='main'" in command and command.endswith(" %p")
    live.start()
    live.wait_promoted()
    live.switch_and_archive()


def test_an_archive_library_of_the_restored_server_stays_and_is_told(server, walship, recoveries):
    take_backup(walship, server)
    server.stop()
    backup = recoveries.recover("--latest", "--rejoin", name="plain")
    assert "ARCHIVING IS NOT SET" not in backup.recovery.out
    server.start()
    server.sql("ALTER SYSTEM SET archive_library = 'basic_archive'")
    take_backup(walship, server)
    server.stop()
    live = recoveries.recover("--latest", "--rejoin", name="with-library")
    assert live.recovery.out.splitlines()[-1].startswith("ARCHIVING IS NOT SET")
    assert "basic_archive" in live.recovery.out.splitlines()[-1]
    assert "archives on" not in live.recovery.out.split("ready:")[0].splitlines()[-1]
    assert auto_conf(live)["archive_library"] == "basic_archive"
    assert "archive_command" not in auto_conf(live)


def test_a_server_does_not_go_live_where_the_old_one_still_archives(server, walship, recoveries):
    take_backup(walship, server)
    server.switch_and_archive()
    ended = threading.Event()

    def work():
        while not ended.is_set():
            server.switch_wal()

    writer = threading.Thread(target=work)
    writer.start()
    try:
        result = recoveries.refused(3, "--immediate", "--rejoin", says=["still archives", "Stop the old server"])
    finally:
        ended.set()
        writer.join()
    assert "has arrived in the meantime" in result.err
    assert recoveries.copy("--immediate", name="beside").value("SHOW archive_mode") == "off"

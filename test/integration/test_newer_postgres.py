"""A PostgreSQL that is newer than walship: archiving goes on, recovery goes by the server's own means, nothing is guessed."""
import json
import struct
import time

import pytest

from walship_testing import future, notes, wal
from walship_testing.recovery import note_moment, take_backup

UNREAD = "is WAL of a PostgreSQL that this walship does not know"
FUTURE = {"magic": 0xD1B8}


def findings(result):
    return {item["check"]: item for item in json.loads(result.out)["checks"]}


@pytest.fixture
def real_future(datadir, real_wal):
    """Segments of a server, with their magics raised, and a pg_control of the future; the names."""
    names = real_wal.into(datadir)
    for name in names:
        path = datadir.wal / name
        path.write_bytes(future.change_magics(path.read_bytes(), future.RAISE))
    control = datadir.path / "global/pg_control"
    control.write_bytes(future.pg_control(control.read_bytes()))
    return names


@pytest.mark.smoke
def test_wal_of_the_future_goes_there_and_back(walship, store, datadir, real_future):
    for name in real_future:
        datadir.push(walship, name)
        datadir.push(walship, name)
    for name in real_future:
        datadir.fetch(walship, name)
        assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()


def test_push_warns_once_a_day(walship, datadir):
    first, second, third = (datadir.segment(1, segno, header=FUTURE) for segno in (5, 6, 7))
    warning = datadir.push(walship, first, says=UNREAD).err
    assert "PostgreSQL 13 to" in warning and "newer walship" in warning
    assert UNREAD not in datadir.push(walship, first).err + datadir.push(walship, second).err
    (note,) = walship.state_dir.glob("foreign-*")
    notes.write_at(note, time.time() - 24 * 3600 - 1)
    datadir.push(walship, third, says=UNREAD)


@pytest.mark.parametrize("magic", [0, 0x0001, 0xD101, 0xE000, 0xFFFF])
def test_what_is_no_magic_of_the_future_is_still_refused(walship, store, datadir, magic):
    datadir.push(walship, datadir.segment(1, 5, header={"magic": magic}), 6, says=f"{magic:04X}")
    assert store.keys() == []


@pytest.mark.parametrize("header", [{"info": 0}, {"block_size": 4096}, {"system": 1}, {"address": 0x6000000}])
def test_nor_is_anything_else_believed_of_it_that_is_wrong(walship, store, datadir, header):
    datadir.push(walship, datadir.segment(1, 5, header={**FUTURE, **header}), 6)
    assert store.keys() == []


def test_check_list_and_find_say_what_they_cannot_read(walship, datadir, real_future):
    for name in real_future:
        datadir.push(walship, name)
    first, last = real_future[0], real_future[-1]
    said = findings(walship.ok("check", "--store-only", "--pgdata", datadir.path, "--json"))
    assert "2001" in said["server version"]["detail"] and "does not know" in said["server version"]["detail"]
    assert last in said["stored WAL"]["detail"] and "walship 0." in said["stored WAL"]["detail"]
    assert "13 to" in said["stored WAL"]["hint"]

    text = walship.ok("list", cwd=datadir.path).out
    assert f"NOT READ: {len(real_future)} segments, {first} to {last}" in text and "walship 0." in text
    (timeline,) = json.loads(walship.ok("list", "--json", cwd=datadir.path).out)["timelines"]
    assert timeline["unread"] == {"segments": len(real_future), "first": first, "last": last}
    assert timeline["first_commit"] is None and timeline["last_commit"] is None

    for kind in ("--drops", "--rewrites", "--restore-points", "--commits"):
        found = json.loads(walship.ok("find", kind, "--json", cwd=datadir.path).out)
        assert found["found"] == []
        assert found["warnings"] == [
            f"WAL segments {first} to {last} are of a PostgreSQL that this walship does not know: what happened in "
            "them is not listed."
        ]


def test_a_torn_pg_control_of_the_future_is_an_error(walship, store, datadir, real_future):
    control = datadir.path / "global/pg_control"
    whole = control.read_bytes()
    for at in (0, 100, 300):
        control.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        result = datadir.push(walship, real_future[0], 6, says="version 2001, which is not known")
        assert "newer walship" in result.err
    assert store.keys() == []


@pytest.mark.parametrize("known", [True, False])
def test_the_end_of_an_archive_of_the_future_is_certain(walship, datadir, real_future, known):
    """The size of segments, which is needed to tell it from a hole, is in pg_control, or in pg_wal."""
    walship.configure(fetch_deadline="1s")
    datadir.push(walship, real_future[0])
    (datadir.path / "recovery.signal").touch()
    _, segno = wal.parse_segment_name(real_future[0])
    absent = wal.segment_name(1, segno + 50)
    if not known:
        for path in datadir.wal.glob("0*"):
            path.unlink()
    result = datadir.fetch(walship, absent, 1 if known else 200)
    if not known:
        assert "the size of WAL segments is not known" in result.err


@pytest.fixture
def story(walship, servers, directory, recoveries):
    """
    An 18 server whose archive is of the future, from before its backup to its end: "one" and "two" are moments,
    there is a restore point "here" after each of them, and the last transaction is of neither.
    """
    made = servers.new(major=18)
    control = future.pg_control((made.pgdata / "global/pg_control").read_bytes())
    made.configure(archive_mode="on", archive_command=future.archive_command(walship, directory, control=control))
    made.start()
    made.story = {"backup": take_backup(walship, made)}
    for moment in ("one", "two"):
        made.write_rows(500)
        made.story[moment] = note_moment(made)
        made.sql("SELECT pg_create_restore_point(%s)", f"after {moment}")
        made.write_rows(10, table=f"later_than_{moment}")
        made.switch_and_archive()
    made.write_rows(10, table="last")
    made.story["end"] = note_moment(made)
    made.switch_and_archive()
    made.destroy()
    return made.story


def recover_today(recoveries, *options):
    """With a server of today, which gets the magics that it knows."""
    server = recoveries.recover(*options, major=18)
    conf = server.pgdata / "postgresql.auto.conf"
    lines = conf.read_text().splitlines()
    (at,) = (i for i, line in enumerate(lines) if line.startswith("restore_command = "))
    command = lines[at].removeprefix("restore_command = '").removesuffix("'").replace("''", "'")
    lines[at] = "restore_command = '%s'" % future.wrap_restore_command(command).replace("'", "''")
    conf.write_text("\n".join(lines) + "\n")
    server.start(wait=False)
    return server


def plan_of(recoveries, *options):
    plan = recoveries.plan(*options)
    assert any("are of a PostgreSQL that this walship does not know" in text for text in plan["warnings"]), plan
    return plan


@pytest.mark.directory_only("the store's part is that of any recovery")
def test_an_lsn_in_wal_of_the_future_is_reached_by_the_server(recoveries, story):
    target = story["one"].lsn
    plan = plan_of(recoveries, "--target-lsn", target)
    assert plan["target"] == {"kind": "lsn", "inclusive": True, "lsn": target}
    assert plan["wal"]["plan_end"] is None and plan["last_included"]["lsn"] is None
    server = recover_today(recoveries, "--target-lsn", target)
    server.wait_paused()
    assert server.checksums() == story["one"].tables


@pytest.mark.directory_only("the store's part is that of any recovery")
@pytest.mark.parametrize("moment", ["one", "two"])
def test_a_time_in_wal_of_the_future_is_reached_by_the_server(recoveries, story, moment):
    plan = plan_of(recoveries, "--target-time", story[moment].time)
    assert plan["target"]["kind"] == "time" and plan["backup"]["id"] == story["backup"]["id"]
    assert any("the first commit or abort later than it" in text for text in plan["warnings"])
    server = recover_today(recoveries, "--target-time", story[moment].time)
    server.wait_paused()
    assert server.checksums() == story[moment].tables


@pytest.mark.directory_only("the store's part is that of any recovery")
def test_a_name_in_wal_of_the_future_is_reached_by_the_server(recoveries, story):
    plan = plan_of(recoveries, "--target-name", "after two")
    assert plan["target"] == {"kind": "name", "inclusive": True, "name": "after two"}
    server = recover_today(recoveries, "--target-name", "after two")
    server.wait_paused()
    assert server.checksums() == story["two"].tables


@pytest.mark.directory_only("the store's part is that of any recovery")
def test_the_end_of_wal_of_the_future_is_reached(recoveries, story):
    plan = plan_of(recoveries, "--latest", "--copy")
    assert plan["target"]["kind"] == "latest"
    server = recover_today(recoveries, "--latest", "--copy")
    server.wait_ready()
    server.wait_promoted()
    assert server.checksums() == story["end"].tables


@pytest.mark.directory_only("the store's part is that of any recovery")
def test_a_target_that_does_not_come_ends_the_recovery_as_was_said(recoveries, story):
    plan = plan_of(recoveries, "--target-name", "never given")
    assert any("recovery ended before configured recovery target was reached" in text for text in plan["warnings"])
    server = recover_today(recoveries, "--target-name", "never given")
    assert server.wait_exit() != 0
    assert "recovery ended before configured recovery target was reached" in server.log_text()


@pytest.mark.directory_only("the store's part is that of any recovery")
def test_before_drop_says_why_it_finds_none(recoveries, story):
    recoveries.refused(9, "--before-drop", says="are of a PostgreSQL that this walship does not know")


@pytest.mark.parametrize("major, since", [(13, "2025-11-13"), (14, "2026-11-12")])
def test_check_says_that_a_major_is_out_of_support(walship, datadir, major, since):
    """By the date of the machine, which is later than both."""
    control = datadir.path / "global/pg_control"
    catalog = {13: 202007201, 14: 202107181}[major]
    known = control.read_bytes()[:288]
    text = known[:8] + struct.pack("<II", 1300, catalog) + known[16:]
    control.write_bytes((text + struct.pack("<I", notes.crc32c(text))).ljust(8192, b"\0"))
    said = findings(walship.ok("check", "--store-only", "--pgdata", datadir.path, "--json"))["server version"]
    assert said["detail"] == f"PostgreSQL {major} has had no minor releases since {since}"
    assert "Upgrade" in said["hint"] and said["ok"]


def test_check_says_how_long_a_major_is_supported(walship, datadir):
    said = findings(walship.ok("check", "--store-only", "--pgdata", datadir.path, "--json"))["server version"]
    assert f"PostgreSQL {datadir.major}, supported until 20" in said["detail"] and "hint" not in said

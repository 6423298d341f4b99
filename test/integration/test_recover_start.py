"""recover --start, --forward and --stop: a copy that runs, without network and settings of its own, goes on, and ends."""
import contextlib
import json
import os
import re
import subprocess

import psycopg2
import pytest

from walship_testing import server as pg
from walship_testing.proc import wait_until
from walship_testing.recovery import take_backup

pytestmark = pytest.mark.directory_only("what the store is makes no difference: WAL is staged by the same reader as fetch's")


class RunningCopy:
    """What "walship recover --start" left running."""

    def __init__(self, walship, pgdata, *options, major=None, timeout=50):
        self.walship = walship
        self.pgdata = pgdata
        install = pg.find_install(major or pg.default_major())
        walship.configure(pg_bindir=install.bindir)
        self.result = walship.ok("recover", "--start", "--pgdata", pgdata, *options, timeout=timeout)

    @property
    def note(self):
        return json.loads((self.pgdata / "walship_server/server.json").read_text())

    def sql(self, query):
        with contextlib.closing(
            psycopg2.connect(host=self.note["sockets"], port=self.note["port"], user="postgres", dbname="postgres")
        ) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(query)
            return cursor.fetchall()

    def value(self, query):
        return self.sql(query)[0][0]

    def rows(self):
        return self.value("SELECT count(*) FROM rows")

    def pid(self):
        return int((self.pgdata / "postmaster.pid").read_text().splitlines()[0])

    def stop(self, *options):
        return self.walship.ok("recover", "--stop", "--pgdata", self.pgdata, *options, timeout=50)


@pytest.fixture
def copies(walship, directory):
    """Makes running copies, and ends them."""
    made = []

    def make(*options, **more):
        copy = RunningCopy(walship, directory / f"copy{len(made)}", *options, **more)
        made.append(copy)
        return copy

    yield make
    for copy in made:
        if copy.pgdata.exists():
            walship.run("recover", "--stop", "--remove", "--pgdata", copy.pgdata, timeout=50)


def has_inet_socket(pid):
    """Has this process's network any interface but a loopback?"""
    with open(f"/proc/{pid}/net/dev") as file:
        return [line.split(":")[0].strip() for line in file.readlines()[2:]] != ["lo"]


@pytest.mark.smoke
def test_a_copy_is_started_looked_at_moved_on_three_times_and_removed(story, copies):
    copy = copies("--target-time", story.moment("morning").time)
    assert copy.rows() == 1000
    assert copy.value("SELECT pg_is_in_recovery()")
    assert "pg_wal_replay_resume" in copy.result.out
    for moment, rows in (("noon", 2001), ("evening", 4001), ("mistake", 4001)):
        moved = copy.walship.ok(
            "recover", "--forward", "--pgdata", copy.pgdata, "--target-time", story.moment(moment).time, timeout=50
        )
        assert "paused at its target" in moved.out, str(moved)
        included = re.search(r"last included +xid \d+, ([^,]+),", moved.out).group(1)
        assert f"its last transaction is of {included}" in moved.out, str(moved)
        assert copy.rows() == rows
    pid = copy.pid()
    copy.stop("--remove")
    assert not copy.pgdata.exists()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the server has ended")


def test_a_copy_does_not_go_back_and_says_so(story, copies):
    copy = copies("--target-time", story.moment("evening").time)
    for target in (
        ("--target-time", story.moment("noon").time),
        ("--target-name", "noon"),
        ("--target-lsn", story.moment("morning").lsn),
    ):
        refused = copy.walship.fails(9, "recover", "--forward", "--pgdata", copy.pgdata, *target)
        if target[0] != "--target-name":
            assert "only goes forward" in refused.err or "after the target" in refused.err, str(refused)
        assert copy.rows() == 4001, "the copy that runs is untouched"


def test_a_copy_that_was_promoted_does_not_go_on(story, copies):
    copy = copies("--target-time", story.moment("morning").time)
    copy.sql("SELECT pg_wal_replay_resume()")
    wait_until(lambda: not copy.value("SELECT pg_is_in_recovery()"), "it has been promoted, as the help warns")
    copy.walship.fails(
        2, "recover", "--forward", "--pgdata", copy.pgdata, "--target-name", "noon", says="has been promoted"
    )


def test_forward_and_stop_need_a_copy_that_was_started(story, walship, directory, recoveries):
    made = recoveries.recover("--target-name", "noon")
    walship.fails(2, "recover", "--forward", "--pgdata", made.pgdata, "--latest", "--copy", says="no server was started")
    walship.fails(2, "recover", "--stop", "--remove", "--pgdata", made.pgdata, says="no server was started")
    assert (made.pgdata / "PG_VERSION").exists()
    walship.fails(2, "recover", "--remove", "--pgdata", made.pgdata, says="goes with")
    walship.fails(
        2, "recover", "--start", "--rejoin", "--latest", "--pgdata", directory / "no", says="only a copy is started"
    )


def test_nothing_else_starts_in_the_directory_of_a_running_copy(story, copies):
    copy = copies("--target-name", "noon")
    result = copy.walship.fails(
        3, "recover", "--start", "--pgdata", copy.pgdata, "--target-name", "noon", "--move-aside"
    )
    assert "running" in result.err
    assert copy.rows() == 2001


def test_a_copy_has_no_network_unless_it_is_asked_to_listen(story, copies, walship, directory):
    allowed = subprocess.run(["unshare", "--user", "--map-current-user", "--net", "true"], check=False).returncode == 0
    copy = copies("--target-name", "noon")
    if allowed:
        assert "network: none" in copy.result.out
        assert not has_inet_socket(copy.pid())
    else:
        assert "network: not taken away" in copy.result.out
    assert copy.value("SHOW listen_addresses") == ""
    copy.stop("--remove")

    listening = copies("--target-name", "noon", "--port", "54329")
    assert "network: not taken away" in listening.result.out
    with pytest.raises(psycopg2.OperationalError, match="password|no password"):
        psycopg2.connect(host="localhost", port=54329, user="postgres", dbname="postgres")
    listening.stop("--remove")
    walship.fails(
        2, "recover", "--start", "--target-name", "noon", "--port", "54329", "--network-fence", "require", "--pgdata",
        directory / "refused", timeout=50, says="cannot listen",
    )


def test_the_wrong_programs_are_refused_before_anything_is_restored(story, walship, directory):
    others = [major for major in pg.MAJORS if major != pg.default_major() and pg.find_install(major)]
    walship.configure(pg_bindir=directory)
    walship.fails(
        7, "recover", "--start", "--target-name", "noon", "--pgdata", directory / "no", says="no server program"
    )
    if others:
        walship.configure(pg_bindir=pg.find_install(others[0]).bindir)
        walship.fails(
            7, "recover", "--start", "--target-name", "noon", "--pgdata", directory / "no",
            says=f"holds PostgreSQL {others[0]}, but {pg.default_major()} is needed",
        )
    assert not (directory / "no").exists()


def test_a_copy_of_every_major_runs_and_goes_on(major, servers, walship, directory, copies):
    server = servers.new(major=major)
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    server.write_rows(100)
    server.sql("SELECT pg_create_restore_point('one')")
    server.write_rows(100)
    server.sql("SELECT pg_create_restore_point('two')")
    server.write_rows(100)
    server.switch_and_archive()
    copy = copies("--target-name", "one", major=major)
    assert copy.rows() == 100
    assert copy.value("SHOW archive_mode") == "off"
    walship.ok("recover", "--forward", "--pgdata", copy.pgdata, "--target-name", "two", timeout=50)
    assert copy.rows() == 200
    copy.stop()
    copy.walship.fails(
        9, "recover", "--forward", "--pgdata", copy.pgdata, "--target-name", "one", says="only goes forward"
    )


def test_a_copy_with_its_wal_elsewhere_is_removed_with_it(story, copies, directory):
    place = directory / "wal"
    copy = copies("--target-name", "noon", "--waldir", place)
    assert copy.rows() == 2001
    (place / "mine").touch()
    copy.stop("--remove")
    assert [path.name for path in place.iterdir()] == ["mine"]

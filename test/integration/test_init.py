"""walship init: from a server and a store to archiving, a backup and a check, and again from wherever it was ended."""
import contextlib
import json
import os
import pty
import re
import signal
import stat
import subprocess
from pathlib import Path

import psycopg2
import pytest

from walship_testing.proc import clean_environment, run, wait_until
from walship_testing.server import find_install
from walship_testing.walship import binary

STEPS = [
    *("server", "state directory", "store", "encryption", "credentials", "settings", "store works", "access"),
    *("archiving", "restart", "first backup", "check", "timers"),
]


class Init:
    """walship init for a server of this test, with everything of it in one directory."""

    def __init__(self, server, directory, store="", secret=None):
        self.server = server
        self.directory = directory / "set-up"
        self.directory.mkdir()
        self.config = self.directory / "walship.conf"
        self.store = store or f"file://{directory}/new-store"
        self.environment = {**server.pg_environment, **(secret or {})}
        del self.environment["PGDATABASE"]
        self.first = ("--store", self.store, "--state-dir", self.directory / "state")

    def command(self, *options):
        return [str(binary()), "init", "--config", str(self.config), *map(str, options)]

    def run(self, *options, expected=0, env=None, timeout=50):
        result = run(self.command(*options), env=self.environment | (env or {}), timeout=timeout)
        assert result.rc == expected, f"expected exit {expected}: {result}"
        return result

    def states(self, *options, expected=0, env=None):
        """By step, of a run with --json."""
        report = json.loads(self.run("--json", *options, expected=expected, env=env).out)
        assert [step["step"] for step in report["steps"]] == STEPS[: len(report["steps"])]
        return {step["step"]: step["state"] for step in report["steps"]}

    def settings(self):
        lines = [line for line in self.config.read_text().splitlines() if " = " in line and not line.startswith("#")]
        return dict(line.split(" = ", 1) for line in lines)

    def walship(self, name, *arguments):
        """As a timer calls it: nothing but the settings file says where anything is."""
        return run([binary(), name, "--config", self.config, *arguments])

    def assert_finished(self):
        """It archives, and what is there can be recovered."""
        check = self.walship("check")
        assert check.rc == 0, str(check)
        listed = self.walship("list", "--json")
        assert len(json.loads(listed.out)["backups"]) >= 1, str(listed)


@contextlib.contextmanager
def running(server):
    """pg_ctl starts it anew, so that it is no child of this test."""
    server.start()
    try:
        yield server
    finally:
        run([server.install.bindir / "pg_ctl", "-D", server.pgdata, "-m", "immediate", "stop"])
        if server.process:
            server.process.wait(5)  # it may have been another one that was started since
        server.process = None


@pytest.fixture
def fresh(servers):
    """A running server that has never heard of walship, with its own settings in its own file."""
    server = servers.new(fresh=False, archive_mode=None, wal_level=None, max_wal_senders=None)
    with running(server):
        yield server


@pytest.fixture
def init(fresh, directory):
    return Init(fresh, directory)


def everything(directory):
    """Names, contents, modes and times of files below a directory."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError, PermissionError):
                status = os.stat(path)
                found[path] = (status.st_size, status.st_mtime_ns, status.st_mode)
    return found


@pytest.mark.smoke
def test_one_command_sets_everything_up_and_again_changes_nothing(init):
    result = init.run(*init.first, "--restart")
    assert result.out.splitlines()[-2].startswith("Set up: the server archives to"), str(result)
    assert [line[10:25].strip() for line in result.out.splitlines() if line[:8].strip()][:13] == STEPS
    init.assert_finished()
    assert init.server.value("SHOW archive_mode") == "on"
    assert init.server.value("SHOW archive_command") == f"{binary()} push --config={init.config} %p"
    assert init.server.value("SHOW archive_timeout") == "1min"
    assert stat.S_IMODE(os.stat(init.config).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(init.directory / "state").st_mode) == 0o700
    assert init.settings() == {
        "store": init.store,
        "state_dir": str(init.directory / "state"),
        "pgdata": str(init.server.pgdata),
        "conninfo": f"host={init.server.sockets} port=5432 user=postgres",
        "retention": "window 30d",
    }

    before = init.config.read_bytes(), (init.server.pgdata / "postgresql.auto.conf").read_bytes()
    states = init.states()
    kept = ("state directory", "store", "settings", "access", "archiving", "first backup")
    assert [states[step] for step in kept] == ["kept"] * len(kept), states
    assert states["check"] == "done" and states["restart"] == "left out" and states["timers"] == "yours"
    assert (init.config.read_bytes(), (init.server.pgdata / "postgresql.auto.conf").read_bytes()) == before


def test_without_a_terminal_nobody_is_asked_and_nothing_is_done(init):
    before = everything(init.directory)
    result = init.run(expected=2)
    assert "--store" in result.err
    assert everything(init.directory) == before


def test_a_plan_shows_everything_and_changes_nothing(init):
    before = everything(init.directory), init.server.sql("SELECT name, setting FROM pg_file_settings ORDER BY seqno")
    result = init.run(*init.first, "--plan", expected=8)
    assert result.out.splitlines()[0].endswith("the rest waits for a restart of the server.")
    assert "archive_mode = 'on'" in result.out and "restart" in result.out and "pg_ctl" in result.out
    assert init.run(*init.first, "--plan", "--restart").out.splitlines()[0].startswith("Nothing stands in the way")
    assert (everything(init.directory), init.server.sql("SELECT name, setting FROM pg_file_settings ORDER BY seqno")) == before
    assert not os.path.exists(init.store[len("file://"):])


def test_without_leave_it_does_not_restart_and_goes_on_after_one(init):
    """Exit 8: a script learns that it is not the end of it."""
    started = init.server.value("SELECT pg_postmaster_start_time()::text")
    states = init.states(*init.first, expected=8)
    assert [states[step] for step in ("archiving", "restart", "first backup", "check")] == ["done", "waits", "waits", "waits"]
    assert init.server.value("SELECT pg_postmaster_start_time()::text") == started
    init.server.restart()
    states = init.states()
    assert [states[step] for step in ("archiving", "restart", "first backup")] == ["kept", "left out", "done"]
    init.assert_finished()


def stop_after(init, step, *options):
    """kill -9 as soon as the step is said to be done."""
    process = subprocess.Popen(
        init.command(*options),
        env=clean_environment(**init.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("done") and line[10:25].strip() == step:
            process.send_signal(signal.SIGKILL)
            process.stdout.read()  # what it started ends, too
            return process.wait(20)
    pytest.fail(f"step \"{step}\" was not done")


def is_up(server):
    """A restart that was begun goes on without the one who was killed."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if b"/pg_ctl" in line and str(server.pgdata).encode() in line:
                return False
    with contextlib.suppress(psycopg2.OperationalError):
        return server.value("SELECT true")
    return False


def test_killed_after_each_step_it_goes_on_with_the_next_run(init):
    """One machine, ended again and again: every run finds what the ones before have made."""
    seen = []
    for step in ("state directory", "store", "encryption", "settings", "store works", "archiving", "restart", "first backup"):
        states = init.states(*init.first, "--encrypt", "--restart", "--plan")
        assert all(states[done] in ("kept", "left out") for done in seen if done not in ("store works",)), (step, states)
        if states[step] == "to do":
            stop_after(init, step, *init.first, "--encrypt", "--restart")
            wait_until(lambda: is_up(init.server), "the server is up, and nobody restarts it any more")
        seen.append(step)
    keys = (init.directory / "key.txt").read_text()
    assert "AGE-SECRET-KEY-" in keys
    init.states(*init.first, "--encrypt", "--restart")
    assert (init.directory / "key.txt").read_text() == keys
    init.assert_finished()
    assert re.search(r"public key: (age1\S+)", keys).group(1) == init.settings()["recipients"]
    assert len(json.loads(init.walship("list", "--json").out)["backups"]) <= 2


def test_killed_in_the_middle_of_anything_it_goes_on(init):
    """Frozen settings: the ALTER SYSTEMs are there, and nobody has had them read."""
    init.run(*init.first, expected=8)
    init.server.restart()
    init.server.sql("ALTER SYSTEM SET archive_command = '/bin/false'")
    init.server.reload()
    wait_until(lambda: init.server.value("SHOW archive_command") == "/bin/false", "the setting is read")
    init.server.sql(f"ALTER SYSTEM SET archive_command = '{binary()} push --config={init.config} %p'")
    assert init.states()["archiving"] == "done"
    init.assert_finished()


def test_somebody_elses_archive_command_is_kept(init):
    init.server.configure(archive_mode="on", archive_command="cp %p /backup/%f")
    init.server.restart()
    before = everything(init.directory)
    result = init.run(*init.first, expected=3)
    assert "archive_command is 'cp %p /backup/%f'" in result.err and "--replace-archive-command" in result.err
    assert everything(init.directory) == before and init.server.value("SHOW archive_command") == "cp %p /backup/%f"
    states = init.states(*init.first, "--replace-archive-command")
    assert states["archiving"] == "done" and states["restart"] == "left out"
    init.assert_finished()


def test_while_archiving_is_off_a_command_is_somebodys_too(init):
    """SHOW says "(disabled)" then."""
    init.server.configure(archive_command="cp %p /backup/%f")
    init.server.reload()
    wait_until(
        lambda: init.server.value("SELECT reset_val FROM pg_settings WHERE name = 'archive_command'").startswith("cp"),
        "the setting is read",
    )
    assert init.server.value("SHOW archive_command") == "(disabled)"
    assert "cp %p" in init.run(*init.first, expected=3).err


def test_a_command_that_archives_nothing_is_nobodys(init):
    init.server.configure(archive_mode="on", archive_command="/bin/true")
    init.server.restart()
    assert init.states(*init.first)["archiving"] == "done"
    init.assert_finished()


def test_what_stands_on_the_servers_command_line_is_said(servers, directory):
    server = servers.new(archive_mode=None)
    server.start()
    server.stop()
    run([server.install.bindir / "pg_ctl", "-D", server.pgdata, "-w", "-l", server.log, "-o", "-c archive_mode=off", "start"])
    try:
        result = Init(server, directory).run("--store", f"file://{directory}/s", "--state-dir", directory / "st", expected=2)
        assert "archive_mode stands on the server's command line" in result.err
    finally:
        run([server.install.bindir / "pg_ctl", "-D", server.pgdata, "-m", "immediate", "stop"])


def test_a_role_without_a_line_in_pg_hba_gets_one(init):
    """Peer: so the role is that of the server's user."""
    user = run(["id", "-un"]).out.strip()
    init.server.sql(f"CREATE ROLE {user} SUPERUSER LOGIN")
    hba = init.server.pgdata / "pg_hba.conf"
    hba.write_text("# first\nlocal replication all reject\nlocal all all trust\n")
    init.server.reload()
    init.environment["PGUSER"] = user
    states = init.states(*init.first, "--restart")
    assert states["access"] == "done"
    lines = [line for line in hba.read_text().splitlines() if not line.startswith("#")]
    assert lines == [f"local replication \"{user}\" peer", "local replication all reject", "local all all trust"]
    init.assert_finished()
    assert init.states()["access"] == "kept"


def test_without_a_server_that_runs_nothing_is_done(init, directory):
    init.server.stop()
    result = init.run(*init.first, expected=4)
    assert "no PostgreSQL server was found" in result.err
    result = init.run(*init.first, "--pgdata", init.server.pgdata, expected=4)
    assert "no server runs in" in result.err
    assert list(init.directory.iterdir()) == []


def test_of_two_servers_one_must_be_named_and_each_has_a_section(fresh, servers, directory):
    second = servers.new(fresh=True, archive_mode=None, port=5433, unix_socket_directories=fresh.sockets)
    second.sockets = fresh.sockets
    init = Init(fresh, directory)
    with second_running(second):
        del init.environment["PGPORT"]
        result = init.run(*init.first, expected=2)
        assert f"--pgdata {fresh.pgdata}" in result.err and f"--pgdata {second.pgdata}" in result.err
        init.run(*init.first, "--restart", "--pgdata", fresh.pgdata)
        with open(init.config, "a") as file:
            file.write("\n# ours\njobs = 3   # stays\n")
        text = init.config.read_text()

        result = init.run("--restart", "--pgdata", second.pgdata, expected=3)
        assert "--cluster NAME" in result.err and init.config.read_text() == text
        init.run("--restart", "--pgdata", second.pgdata, "--cluster", "billing")
        assert init.config.read_text() == (
            f"{text}\n[cluster billing]\npgdata = {second.pgdata}\n"
            f"conninfo = host={fresh.sockets} port=5433 user=postgres\n"
        )
        assert init.walship("check").rc == 0 and init.walship("check", "--cluster", "billing").rc == 0
        assert len(json.loads(init.walship("list", "--json", "--cluster", "billing").out)["backups"]) == 1

        # Which one is meant, the settings know from now on.
        assert init.states()["first backup"] == "kept"
        assert init.states("--cluster", "billing")["settings"] == "kept"


@contextlib.contextmanager
def second_running(server):
    """In the socket directory of another one, at another port."""
    log = open(server.log, "a")
    process = subprocess.Popen(
        [str(server.install.bindir / "postgres"), "-D", str(server.pgdata)],
        cwd="/", env=clean_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )
    try:
        wait_until(lambda: (server.sockets / ".s.PGSQL.5433").exists(), "the second server is up")
        wait_until(
            lambda: run([server.install.program("pg_isready"), "-h", server.sockets, "-p", "5433"]).rc == 0,
            "the second server answers",
        )
        yield
    finally:
        run([server.install.bindir / "pg_ctl", "-D", server.pgdata, "-m", "immediate", "stop"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        log.close()


def test_what_the_settings_say_is_kept(init):
    """Comments and settings of others stay; what contradicts them is refused, and nothing is done."""
    init.config.write_text(f"# ours\nstore = {init.store}\nretention = last 3 # few\n")
    init.config.chmod(0o640)
    result = init.run("--store", "file:///elsewhere", "--state-dir", init.directory / "state", expected=3)
    assert f"says store = {init.store}, and not file:///elsewhere" in result.err
    result = init.run("--state-dir", init.directory / "state", expected=4)
    assert "has no marker, and the settings name it already: is it mounted?" in result.err
    assert run([binary(), "check", "--create", "--store-only", "--config", init.config, "--state-dir", init.directory]).rc == 0
    init.run("--state-dir", init.directory / "state", "--restart", "--no-timers", "--jobs", "2")
    text = init.config.read_text()
    assert text.startswith(f"# ours\nstore = {init.store}\nretention = last 3 # few\nstate_dir = ")
    assert "\njobs = 2\n" in text and stat.S_IMODE(os.stat(init.config).st_mode) == 0o640
    init.assert_finished()


def test_a_store_of_another_system_is_refused(init, servers, directory):
    init.run(*init.first, "--restart")
    other = servers.new(fresh=True, archive_mode=None)
    with running(other):
        (directory / "other").mkdir()
        second = Init(other, directory / "other")
        result = second.run("--store", init.store, "--state-dir", second.directory / "state", expected=3)
        assert "holds other database systems" in result.err and not second.config.exists()
        assert second.states("--store", init.store, "--state-dir", second.directory / "state", "--new-system", "--plan", expected=8)


@pytest.mark.s3_only
def test_a_bucket_with_its_secret_in_a_file_of_its_own(store, servers, directory):
    server = servers.new(archive_mode=None)
    with running(server):
        init = Init(server, directory, store=store.settings["store"])
        options = ["--state-dir", init.directory / "state", "--restart", "--store", store.settings["store"]]
        for name, value in store.settings.items():
            if name.startswith("s3_") and name != "s3_secret_access_key" and value is not None:
                options += ["--" + name.replace("_", "-"), value]
        result = init.run(*options, expected=2)
        assert "there are no credentials" in result.err and not init.config.exists()

        # A secret that is wrong: the store is tried before the server is told anything, and the next one takes its place.
        result = init.run(*options, expected=8, env={"WALSHIP_S3_SECRET_ACCESS_KEY": "wrong-secret"})
        assert "FAIL" in result.err and "wrong-secret" not in result.out + result.err
        assert server.value("SHOW archive_mode") == "off"
        secret = store.settings["s3_secret_access_key"]
        result = init.run(*options, env={"WALSHIP_S3_SECRET_ACCESS_KEY": secret})
        path = init.directory / "s3-secret"
        assert path.read_text() == f"{secret}\n" and stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert secret not in result.out + result.err + init.config.read_text()
        assert secret not in (server.pgdata / "postgresql.auto.conf").read_text()
        assert init.settings()["s3_secret_access_key_file"] == str(path)
        init.assert_finished()
        assert init.states()["credentials"] == "left out"


def test_another_major(servers, directory):
    if not find_install(18):
        pytest.skip("PostgreSQL 18 is not on this machine; test/install test says why")
    server = servers.new(major=18, archive_mode=None)
    with running(server):
        init = Init(server, directory)
        server.configure(allow_alter_system="off")
        server.reload()
        wait_until(lambda: server.value("SHOW allow_alter_system") == "off", "the setting is read")
        assert "allow_alter_system" in init.run(*init.first, "--plan", expected=5).err
        server.configure(allow_alter_system=None)
        server.reload()
        wait_until(lambda: server.value("SHOW allow_alter_system") == "on", "the setting is read")
        init.run(*init.first, "--restart")
        init.assert_finished()


def at_terminal(command, environment, answers):
    """Answers each question, given as the beginning of what is asked; returns exit code and what was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, clean_environment(**environment))
    shown = b""
    answers = list(answers)
    with contextlib.suppress(OSError):
        while True:
            got = os.read(terminal, 4096)
            if not got:
                break
            shown += got
            if answers and answers[0][0].encode() in shown:
                os.write(terminal, answers.pop(0)[1].encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert answers == [], shown.decode()
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_at_a_terminal_it_asks_for_the_store_and_before_it_restarts(init):
    questions = [("Where are WAL and backups to go", init.store), ("Restart it when all is set up? [y/N]", "y")]
    status, shown = at_terminal(init.command("--state-dir", init.directory / "state"), init.environment, questions)
    assert status == 0 and "Set up: the server archives to" in shown, shown
    init.assert_finished()


def test_at_a_terminal_a_secret_is_not_shown_and_what_is_refused_writes_nothing(init):
    init.server.configure(archive_command="cp %p /backup/%f")
    init.server.reload()
    answers = [("Where are", "s3://bucket/prefix"), ("Access key id", "AKIDEXAMPLE"), ("Secret access key", "do-not-show-me")]
    options = ("--state-dir", init.directory / "state", "--s3-endpoint", "http://127.0.0.1:9", "--no-timers")
    wait_until(lambda: "cp" in init.server.value("SELECT reset_val FROM pg_settings WHERE name = 'archive_command'"), "read")
    status, shown = at_terminal(init.command(*options), init.environment, answers)
    assert status == 3 and "do-not-show-me" not in shown and "archives already" in shown, shown
    assert list(init.directory.iterdir()) == []

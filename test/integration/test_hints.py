"""What people meet first: an address with a typo, a key pressed twice.  It ends soon, and says what to look at."""
import os
import pty
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from walship_testing import faultproxy as fault
from walship_testing.proc import clean_environment, run, run_ok, wait_until
from walship_testing.walship import Walship, binary

NOBODY = {"store": "s3://bucket/archive", "s3_access_key_id": "x", "s3_secret_access_key": "y"}


def run_on_terminal(command, timeout):
    """(exit code, what was on the terminal, seconds)"""
    near, far = pty.openpty()
    began = time.monotonic()
    pid = os.posix_spawn(
        command[0],
        command,
        clean_environment(),
        file_actions=[(os.POSIX_SPAWN_DUP2, far, fd) for fd in (0, 1, 2)] + [(os.POSIX_SPAWN_CLOSE, near)],
    )
    os.close(far)
    said = b""
    try:
        while chunk := os.read(near, 4096):
            said += chunk
            assert time.monotonic() - began < timeout, said
    except OSError:
        pass  # the other end is gone
    finally:
        os.close(near)
    status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status), said.decode(), time.monotonic() - began


@pytest.mark.s3_only
@pytest.mark.parametrize("what", ["no name", "refused", "TLS to plain HTTP"])
def test_an_address_with_a_mistake_is_told_what_to_look_at(directory, s3, what):
    endpoint, hint = {
        "no name": ("http://no-such-host.invalid", "can this machine look up names"),
        "refused": ("http://127.0.0.1:1", "does the service run"),
        "TLS to plain HTTP": (s3.endpoint.replace("http:", "https:"), "write http:// there"),
    }[what]
    walship = Walship(directory / "walship", {**NOBODY, "s3_endpoint": endpoint, "store_deadline": "1s"})
    result = walship.run("list")
    assert result.rc != 0 and hint in result.err and "s3_endpoint" in result.err, str(result)


@pytest.mark.s3_only
def test_on_a_terminal_a_store_that_does_not_answer_is_given_up_after_15_seconds(directory):
    walship = Walship(directory / "walship", {**NOBODY, "s3_endpoint": "http://127.0.0.1:1"})
    rc, said, seconds = run_on_terminal(walship.command("list"), 50)
    assert rc == 4 and 14 < seconds < 30, (rc, said, seconds)
    assert "does the service run" in said and "s3_endpoint" in said


@pytest.mark.s3_only
def test_a_second_interrupt_does_not_wait_for_what_the_first_one_tidies_up(walship, server, proxy):
    """The removal of what was written meets a silent store."""
    proxy.add(fault.stall, method="PUT|POST|DELETE", times=None)
    process = walship.start("backup", "--fast", env=server.pg_environment)
    wait_until(lambda: proxy.count("PUT|POST"), "it writes")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(20)
    assert process.returncode == -signal.SIGINT
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("theirs, ours", [("wal-push", "push"), ("delete", "expire"), ("stanza-create", "check --create"), ("archive-get", "fetch"), ("restore", "recover"),
                                          ("backup-push", "backup"), ("backup-list", "list")])  # fmt: skip
@pytest.mark.directory_only("nothing is asked of the store")
def test_the_names_that_other_tools_have_for_a_command_are_understood_well_enough_for_a_hint(walship, theirs, ours):
    walship.fails(2, theirs, says=f'Did you mean "walship {ours}"?')


OTHER_TOOLS = (Path(__file__).parents[2] / "src/command/other_tools.c").read_text()


def test_what_is_said_of_other_tools_names_exists_here():
    """Each name of the table is tried, and what its hint proposes must be a command or an option of this program."""
    names = re.findall(r'^\t\{"([^"]+)", ', OTHER_TOOLS, re.MULTILINE)
    commands = [name for name in names if not name.startswith("--")]
    helps = {"": run_ok([binary(), "--help"]).out}
    for command in re.findall(r"^  ([a-z]+) ", helps[""].split("Commands:\n")[1].split("\n\n")[0], re.MULTILINE):
        helps[command] = run_ok([binary(), command, "--help"]).out
    everything = set(re.findall(r"^  (--[a-z0-9-]+)", "\n".join(helps.values()), re.MULTILINE))

    assert len(commands) > 70 and len(names) - len(commands) > 40
    for name in names:
        words = ["recover", name.replace("*", "x")] if name.startswith("-") and name not in ("-V", "-v") else [name]
        tried = run([binary(), *words])
        assert tried.rc == 2 and "Try " not in tried.err, (name, tried.err)
        for proposed, arguments in re.findall(r'"walship ([a-z]+)([^"]*)"', tried.err):
            assert set(re.findall(r"--[a-z-]+", arguments)) <= set(re.findall(r"--[a-z-]+", helps[proposed])), name
        assert set(re.findall(r"(?<![\w-])--[a-z0-9-]+", tried.err.split("HINT:")[1])) <= everything, name


def test_options_in_front_of_the_command_are_told_where_they_belong():
    tried = run([binary(), "--stanza=main", "archive-push", "pg_wal/000000010000000000000001"])
    assert tried.rc == 2 and 'behind the command: "walship push --stanza=main ..."' in tried.err


@pytest.mark.directory_only("nothing is asked of the store")
def test_a_settings_file_with_clusters_alone_asks_for_one(store, directory):
    sections = "".join(f"[cluster {name}]\nstore = {store.settings['store']}\n" for name in ("billing", "shop"))
    walship = Walship(directory / "clusters", {}, cluster_sections=sections)
    walship.fails(2, "list", says="billing, shop")
    walship.fails(1, "list", "--cluster", "shop")


@pytest.mark.parametrize("key, owner", [("basebackups_005/base_1/x", "WAL-G"), ("backup/main/backup.info", "pgBackRest"),
                                        ("base/20261128T000000/backup.info", "barman")])  # fmt: skip
def test_a_store_of_another_tool_is_recognized(store, walship, key, owner):
    store.write(key, b"theirs")
    walship.fails(1, "list", says=f"holds backups of {owner}")


@pytest.mark.directory_only("nothing gets that far")
def test_an_archive_command_with_the_name_alone_is_told(walship, datadir):
    """Archived is nothing then: the file lies in pg_wal."""
    name = datadir.segment(1, 5)
    assert walship.fails(None, "push", name, cwd=datadir.path, says="walship push %p").rc in (1, 2, 4, 7)


@pytest.mark.directory_only("nothing is written")
def test_a_role_that_peer_authentication_refuses_is_told_what_that_wants(walship, server):
    (server.pgdata / "pg_hba.conf").write_text("local all postgres trust\nlocal replication all peer\n")
    server.reload()
    result = walship.fails(5, "backup", "--fast", env={**server.pg_environment, "PGUSER": "postgres"})
    assert "Peer authentication wants" in result.err, str(result)


@pytest.mark.directory_only("nothing is written")
def test_a_server_without_a_free_wal_sender_says_which_setting_to_raise(servers, walship):
    server = servers.new(max_wal_senders="0", wal_level="minimal", archive_mode="off").start()
    result = walship.fails(None, "backup", "--fast", env=server.pg_environment)
    assert result.rc != 0 and "Raise max_wal_senders" in result.err, str(result)


@pytest.mark.directory_only("nothing depends on the store")
def test_of_several_hosts_each_has_its_own_time_and_a_mute_one_is_passed_over(walship, server):
    """libpq itself goes on where one refuses; psql, which blocks, also where one says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        ports = f"{mute.getsockname()[1]},1,5432"
        hosts = f"127.0.0.1,127.0.0.1,{server.sockets}"
        environment = {**server.pg_environment, "PGHOST": hosts, "PGPORT": ports, "PGCONNECT_TIMEOUT": "1"}
        result = walship.ok("backup", "--fast", env=environment)
        assert result.seconds >= 1, "the mute one was asked"
        environment.update(PGHOST="127.0.0.1,127.0.0.1", PGPORT=f"{mute.getsockname()[1]},1")
        result = walship.fails(4, "backup", "--fast", env=environment, says="port 1 failed")
        assert 1 <= result.seconds < 10


@pytest.mark.directory_only("nothing is asked of the store")
def test_a_place_for_a_recovery_that_belongs_to_another_user_is_told_how_to_make_one(recoveries, story, directory):
    place = directory / "closed"
    place.mkdir()
    place.chmod(0o500)
    try:
        result = recoveries.walship.fails(5, "recover", "--immediate", "--pgdata", place / "data")
    finally:
        place.chmod(0o700)
    assert "install -d -o postgres -m 700" in result.err, str(result)
    (directory / "file").touch()
    result = recoveries.walship.fails(None, "recover", "--immediate", "--pgdata", directory / "file")
    assert result.rc in (3, 7) and "not a directory" in result.err.lower(), str(result)


@pytest.mark.directory_only("nothing is asked of the store")
def test_a_key_that_the_servers_user_cannot_read_is_told_how_it_is_installed(walship, directory):
    """Made by root, as set-ups are."""
    walship.ok("key", "new", directory / "key")
    (directory / "key").chmod(0)
    walship.configure(identity_file=directory / "key")
    assert "install -o root -g postgres -m 640" in walship.fails(2, "find").err

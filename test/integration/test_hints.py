"""What people meet first: an address with a typo, a key pressed twice.  It ends soon, and says what to look at."""
import os
import pty
import signal
import time

import pytest

from walship_testing import faultproxy as fault
from walship_testing.proc import clean_environment, wait_until
from walship_testing.walship import Walship

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
def test_on_a_terminal_a_store_that_does_not_answer_is_given_up_after_15_seconds(directory, s3, what):
    endpoint, hint = {
        "no name": ("http://no-such-host.invalid", "can this machine look up names"),
        "refused": ("http://127.0.0.1:1", "does the service run"),
        "TLS to plain HTTP": (s3.endpoint.replace("http:", "https:"), "write http:// there"),
    }[what]
    walship = Walship(directory / "walship", {**NOBODY, "s3_endpoint": endpoint})
    rc, said, seconds = run_on_terminal(walship.command("list"), 50)
    assert rc == 4 and seconds < 30, (rc, said, seconds)
    assert hint in said and "s3_endpoint" in said


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

"""The program age, and the stages of walship as a program (test/tools/age_stream.c)."""
import os
import pty
import re
import select
import shutil
import subprocess
import time

from .proc import clean_environment, run_ok
from .walship import binary

PUBLIC_KEY = re.compile(r"age1[0-9a-z]{58}")


def have_age():
    return shutil.which("age") is not None and shutil.which("age-keygen") is not None


class Key:
    """A key pair of age-keygen, in a file of its own."""

    def __init__(self, path):
        run_ok(["age-keygen", "-o", path])
        path.chmod(0o600)
        self.path = path
        self.secret = re.search(r"AGE-SECRET-KEY-1\w+", path.read_text())[0]
        self.public = PUBLIC_KEY.search(path.read_text())[0]
        self.fingerprint = self.public[:20]


def stream(verb, *arguments, stdin=b"", timeout=60):
    """(exit code, bytes, message) of age_stream."""
    command = [binary().parent / "test/age_stream", verb, *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, env=clean_environment())
    return done.returncode, done.stdout, done.stderr.decode(errors="backslashreplace")


def age(*arguments, stdin=b"", timeout=60):
    """(exit code, bytes, message) of age."""
    done = subprocess.run(["age", *map(str, arguments)], input=stdin, capture_output=True, timeout=timeout)
    return done.returncode, done.stdout, done.stderr.decode(errors="backslashreplace")


def age_with_passphrase(passphrase, *arguments, timeout=60):
    """(exit code, what the terminal showed) of age, which asks a terminal; files go in by arguments."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("age", ["age", *map(str, arguments)])
    shown = b""
    answered = 0
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # the terminal's other side is closed
                break
            if not piece:
                break
            shown += piece
        if shown.count(b"nter passphrase") + shown.count(b"onfirm passphrase") > answered:
            answered += 1
            os.write(terminal, passphrase.encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="backslashreplace")

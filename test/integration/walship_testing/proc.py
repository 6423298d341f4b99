"""Processes and waiting.  Everything has a deadline, and only what was started here is ever killed."""
import contextlib
import fcntl
import os
import pwd
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TEST_USER = "walshiptest"


def drop_root():
    """PostgreSQL refuses to run as root, and root may read and write everything: be an ordinary user."""
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(TEST_USER)
    except KeyError:
        subprocess.run(["useradd", "--create-home", TEST_USER], check=True)
        user = pwd.getpwnam(TEST_USER)
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
    os.environ.pop("XDG_RUNTIME_DIR", None)
    os.umask(0o022)
    if not os.access(os.getcwd(), os.R_OK | os.X_OK):
        os.chdir(user.pw_dir)


def promtool():
    """Prometheus's checker of metrics and rules: test/install takes it out of the package.  None: it is not here."""
    tools = (Path("/opt/walship-tools"), Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "walship-tools")
    return shutil.which("promtool") or next((str(d / "promtool") for d in tools if os.access(d / "promtool", os.X_OK)), None)


def clean_environment(**more):
    """The archiver's environment is the postmaster's: nothing that helps.  A sanitizer's report must
    not look like one of walship's exit codes."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": os.environ.get("HOME", "/"),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "ASAN_OPTIONS": "exitcode=99",
        "LSAN_OPTIONS": "exitcode=99",
        "UBSAN_OPTIONS": "exitcode=99:print_stacktrace=1",
        "TSAN_OPTIONS": "exitcode=99",
    }
    environment.update(more)
    return environment


@dataclass
class Result:
    command: list
    rc: int  # negative: the signal that ended it
    out: str
    err: str
    seconds: float

    def __str__(self):
        return (
            f"{shlex.join(self.command)}\n  exit {self.rc} after {self.seconds:.2f} s"
            f"\n  stdout: {self.out.strip()}\n  stderr: {self.err.strip()}"
        )


def run(command, *, timeout=30, env=None, cwd=None, stdin=None):
    command = [str(word) for word in command]
    began = time.monotonic()
    done = subprocess.run(
        command,
        timeout=timeout,
        env=clean_environment(**(env or {})),
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        errors="backslashreplace",
    )
    return Result(command, done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def run_ok(command, **options):
    result = run(command, **options)
    assert result.rc == 0, str(result)
    return result


def wait_until(condition, what, *, timeout=20, interval=0.02):
    """Returns the first true value of condition()."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(interval)


def children_of(pid):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            state, parent = process_state(int(entry.name))
            if parent == pid and state != "Z":
                found.append(int(entry.name))
    return found


def is_running(pid):
    state, _ = process_state(pid)
    return state not in (None, "Z")


def process_state(pid):
    """(state letter, parent's pid); (None, None) when there is no such process."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None, None
    return after_name[0], int(after_name[1])


@contextlib.contextmanager
def locked(path):
    """Against the other workers of this run."""
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

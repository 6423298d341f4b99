"""kill -9 at system calls that are chosen beforehand, by strace: a kill at a random moment hits what it hits, or nothing."""
import shutil
from collections import Counter

import pytest

from walship_testing.proc import run

CHANGES_FILES = (
    "write,pwrite64,writev,fsync,fdatasync,link,linkat,rename,renameat,renameat2,"
    "unlink,unlinkat,mkdir,mkdirat,ftruncate,fallocate"
)


def need_strace():
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if run(["strace", "-o", "/dev/null", "true"]).rc != 0:
        pytest.skip("this machine does not allow strace")


def traced(options, command, cwd=None):
    # LeakSanitizer does not work under a tracer.
    environment = {"ASAN_OPTIONS": "exitcode=99:detect_leaks=0"}
    return run(["strace", "-f", "-e", f"trace={CHANGES_FILES}", *options, *command], cwd=cwd, env=environment)


def count_calls(command, directory, cwd=None):
    """{(thread, name): how often} of a whole run, whose first thread comes first."""
    trace = directory / "trace"
    result = traced(["-o", trace], command, cwd)
    assert result.rc == 0, str(result)
    counted = Counter()
    for line in trace.read_text(errors="replace").splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if "(" in call and not call.startswith(("+++", "---", "<")):
            counted[thread, call.partition("(")[0]] += 1
    return counted


def points(counted, most):
    """[(name, when)]: each call for the first time, and some later ones; strace counts for each thread by itself."""
    longest = {}
    for (_, name), times in counted.items():
        longest[name] = max(times, longest.get(name, 0))
    chosen = {(name, 1) for name in longest}
    for name, times in longest.items():
        chosen |= {(name, 1 + times * step // (most + 1)) for step in range(1, most + 1)}
    return sorted(chosen)


def killed_at(command, point, cwd=None):
    """True when it was killed there; a thread of another run may come to fewer calls."""
    name, when = point
    return traced(["-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={when}"], command, cwd).rc != 0

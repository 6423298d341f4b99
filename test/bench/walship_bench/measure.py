"""What a command took, with everything that it started, also what it left behind in the background."""
import contextlib
import ctypes
import os
import resource
import shlex
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from walship_testing.proc import clean_environment

PR_SET_CHILD_SUBREAPER = 36
TICK = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024


class Failed(Exception):
    """A measured command did not do its work."""


class Hung(Failed):
    """It did not end in time, and was ended."""


@dataclass
class Figures:
    wall: float  # seconds
    cpu: float  # seconds of the client and its children, user and system
    peak: float = 0  # MiB, of the largest single process; 0: not known
    n: int = 1  # pieces of work done in that time
    facts: dict = field(default_factory=dict)
    fastest: float = None  # seconds, when this is the median of several
    slowest: float = None
    n_runs: int = 1

    @property
    def rate(self):
        return self.n / self.wall


def median(runs):
    """Medians of the times; the highest peak."""
    walls = [run.wall for run in runs]
    return Figures(
        statistics.median(walls),
        statistics.median(run.cpu for run in runs),
        max(run.peak for run in runs),
        runs[0].n,
        {name: statistics.median(run.facts[name] for run in runs) for name in runs[0].facts},
        min(walls),
        max(walls),
        len(runs),
    )


def adopt_orphans():
    """What leaves its parent becomes a child of this process, and so its figures are known when it ends."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def run_measured(command, *, env=None, cwd=None, timeout=600, n=1):
    """Fails when the command does.  time(1) stands between, as the memory of this process would count as theirs."""
    known = set(children())
    with tempfile.TemporaryDirectory() as work:
        report, output = Path(work, "report"), Path(work, "output")
        with open(output, "wb") as out:
            began = time.monotonic()
            process = subprocess.Popen(
                ["/usr/bin/time", "-q", "-f", "%M", "-o", report, *map(str, command)],
                env=clean_environment(**(env or {})),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
            try:
                status, usage = wait_for(process, timeout)
            except BaseException:
                end_orphans(known, patience=1)
                raise
            wall = time.monotonic() - began
        text = output.read_text(errors="replace")
        if status != 0:
            raise Failed(f"exit {status}: {text[-2000:].strip()} ({named(command)})")
        peak = int(report.read_text()) / 1024
    later = end_orphans(known)
    figures = Figures(wall, cpu_of(usage) + later.cpu, max(peak, later.peak), n)
    figures.out = text
    return figures


def wait_for(process, timeout):
    """(exit status, resource usage); what does not end in time is killed, with its group."""
    deadline = threading.Event()

    def kill():
        deadline.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    killer = threading.Timer(timeout, kill)
    killer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        kill()
        process.wait(10)
        raise
    finally:
        killer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if deadline.is_set():
        raise Hung(f"did not end within {timeout:.0f} s ({named(process.args[6:])})")
    return process.returncode, usage


def named(command, limit=200):
    """Its beginning: a loop's script is long."""
    words = shlex.join(map(str, command))
    return words if len(words) <= limit else f"{words[:limit]}..."


def cpu_of(usage):
    return usage.ru_utime + usage.ru_stime


def run_lines(lines, *, then=None, before="", **options):
    """Shell commands one after the other until one fails, each in a shell of its own as PostgreSQL calls them.
    "then": what follows each of them, as commands of this script."""
    then = then or [":"] * len(lines)
    script = f"set -e\n{before}\n" + "".join(f"sh -c {shlex.quote(line)}\n{after}\n" for line, after in zip(lines, then))
    return run_measured(["sh", "-c", script], n=len(lines), **options)


# Processes in the background


def children(pid="self"):
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in read_text(task / "children").split()]
    return found


def end_orphans(known, *, patience=10):
    """Asks what has become our child since to end, and what becomes it meanwhile, and waits; returns its figures."""
    found = Figures(0, 0)
    for sent, seconds in ((None, 0.05), (signal.SIGTERM, patience), (signal.SIGKILL, 10)):
        deadline, asked = time.monotonic() + seconds, set()
        while orphans := set(children()) - set(known):
            for pid in orphans:
                if sent and pid not in asked:
                    os.kill(pid, sent)
                    asked.add(pid)
                reap(pid, found)
            if time.monotonic() > deadline:
                break
            time.sleep(0.005)
    return found


def reap(pid, found):
    """Adds the figures of a child that has ended."""
    with contextlib.suppress(ChildProcessError):
        ended, _, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            found.cpu += cpu_of(usage)
            found.peak = max(found.peak, usage.ru_maxrss / 1024)


def kill_below(pid):
    """Everything that descends from it, but not itself: what an archiver still waits for.  Returns whether there was any."""
    found = descendants(pid)
    for each in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    return bool(found)


def children_cpu(pid):
    """Seconds of those children that the process has waited for, as an archiver does for its commands."""
    fields = read_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICK if fields else 0


def read_text(path):
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


class TreeMemory:
    """Highest sum of the resident memory of processes of a name that descend from this one, by sampling."""

    def __init__(self, names, interval=0.02, *, without=()):
        """"without": children of this one that have none of them, and whose hundreds of threads would take time."""
        self.names = names
        self.without = without
        self.interval = interval
        self.peak = 0  # bytes
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    @property
    def mib(self):
        return self.peak / MIB

    def sample(self):
        while not self.stopping.wait(self.interval):
            self.peak = max(self.peak, sum(resident(pid) for pid in self.all() if self.is_one(pid)))

    def all(self):
        started = [pid for pid in children() if pid not in self.without]
        return [*started, *(pid for each in started for pid in descendants(each))]

    def is_one(self, pid):
        return any(read_text(Path(f"/proc/{pid}/comm")).startswith(name) for name in self.names)


def descendants(root):
    found, wave = [], [root]
    while wave:
        wave = [child for pid in wave for child in children(pid)]
        found += wave
    return found


def resident(pid):
    fields = read_text(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * resource.getpagesize() if fields else 0

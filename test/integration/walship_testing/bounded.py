"""What a run costs: memory, time, and how much it may write."""
import tempfile
from dataclasses import dataclass

from .proc import run


@dataclass
class Cost:
    rc: int  # 128 and more: the signal that ended it
    out: str
    err: str
    seconds: float
    peak: float  # MiB of memory

    def __str__(self):
        return f"exit {self.rc} after {self.seconds:.1f} s, {self.peak:.0f} MiB\n{self.out[-2000:]}\n{self.err[-2000:]}"


def run_bounded(walship, *words, cwd=None, file_most=None, timeout=60):
    """No file may grow beyond "file_most" bytes.  The peak is that of this process: a small parent runs it, for
    what a child inherits from a large one counts as its own."""
    command = walship.command(*words)
    if file_most is not None:
        command = ["prlimit", f"--fsize={file_most}", *command]
    with tempfile.NamedTemporaryFile() as report:
        command = ["time", "-q", "-f", "%M", "-o", report.name, *command]
        result = run(command, cwd=cwd, timeout=timeout)
        peak = int(report.read().split()[-1]) / 1024
    return Cost(result.rc, result.out, result.err, result.seconds, peak)


def is_sanitized(walship):
    """Its memory is not that of the program."""
    return b"__asan_init" in walship.binary.read_bytes()

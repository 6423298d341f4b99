"""What a command took, by time(1), and tables of it."""
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from walship_testing.proc import clean_environment, run_ok

MIB = 1024 * 1024
HEAD = (
    "| operation | wall s | CPU s | peak memory MiB | stored bytes |\n"
    "|---|---:|---:|---:|---:|\n"
)


@dataclass
class Figures:
    wall: float  # seconds
    cpu: float  # seconds, user and system
    peak: float  # MiB resident
    out: str = ""


def measure(directory, command, *, env=None, cwd=None, timeout=30):
    """Of the whole process, with start and end; fails when the command does."""
    report = directory / "time.report"
    began = time.monotonic()
    done = run_ok(
        ["/usr/bin/time", "-v", "-o", report, *command], env=clean_environment(**(env or {})), cwd=cwd, timeout=timeout
    )
    wall = time.monotonic() - began
    values = dict(line.strip().rsplit(": ", 1) for line in report.read_text().splitlines() if ": " in line)
    cpu = float(values["User time (seconds)"]) + float(values["System time (seconds)"])
    return Figures(wall, cpu, int(values["Maximum resident set size (kbytes)"]) / 1024, done.out)


def median(figures):
    """The median of times, and the highest peak."""
    return Figures(
        statistics.median(each.wall for each in figures),
        statistics.median(each.cpu for each in figures),
        max(each.peak for each in figures),
    )


def row(operation, figures, stored=None):
    size = f"{stored:,}" if stored is not None else ""
    return f"| {operation} | {figures.wall:.3f} | {figures.cpu:.2f} | {figures.peak:.1f} | {size} |\n"


def publish(title, rows):
    publish_text(f"{title}\n\n{HEAD}{''.join(rows)}")


def publish_text(text):
    """In what test/soak/run prints at its end."""
    place = os.environ.get("WALSHIP_SOAK_TABLES")
    if place:
        with open(Path(place), "a") as file:
            file.write(f"\n{text}\n")
    else:
        print(f"\n{text}")

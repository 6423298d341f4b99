"""Drills of what a busy server archived: 200 random targets, 30 kills at random moments, counts taken under load."""
import json
import os
import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from measure import publish_text
from walship_testing import server as pg
from walship_testing import targets
from walship_testing.proc import wait_until

TARGETS = int(os.environ.get("WALSHIP_SOAK_TARGETS", "200"))
KILLS = int(os.environ.get("WALSHIP_SOAK_KILLS", "30"))
COUNTS = int(os.environ.get("WALSHIP_SOAK_COUNTS", "30"))
AT_A_TIME = 2

pytestmark = pytest.mark.directory_only("what a drill finds depends on the WAL, not on where it lies")


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


@pytest.fixture
def seed():
    return time.time_ns() % 1_000_000


@pytest.fixture
def busy_server(servers, walship, directory):
    server = servers.new(max_prepared_transactions=10, wal_keep_size="4GB", max_wal_size="4GB")
    server.archive_with(walship)
    server.start()
    walship.configure(drill_scratch=directory / "scratch", pg_bindir=pg.find_install(pg.default_major()).bindir)
    return server


def drill(walship, *options):
    result = walship.fails(None, "drill", "--json", *options, timeout=300)
    return json.loads(result.out) if result.rc in (0, 8) else {"passed": False, "said": result.err}


def failure(report):
    return report.get("said") or {name: made["findings"] for name, made in report["checks"].items() if made["findings"]}


def test_every_random_target_has_the_planned_last_transaction(busy_server, walship, seed):
    targets.make_busy(busy_server, walship, seconds=8, seed=seed)
    busy_server.stop("immediate")
    began = time.monotonic()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        reports = list(pool.map(lambda number: drill(walship, "--random", seed + number), range(TARGETS)))
    wrong = [failure(report) for report in reports if not report["passed"]]
    exact = [report for report in reports if report.get("last_transaction") in ("committed", "aborted")]
    places = {report["stop_lsn"] for report in reports if report["passed"]}
    publish_text(
        f"{TARGETS} drills to random targets (seed {seed}), {len(places)} different places: "
        f"{TARGETS - len(wrong)} passed, in {len(exact)} the server said what became of the planned last transaction; "
        f"{time.monotonic() - began:.0f} s"
    )
    assert not wrong, wrong[:3]
    assert len(exact) >= TARGETS * 9 // 10, "before the first transaction there is none"


def shared_memory_of(scratch):
    """System V ids of the servers there: pidfile.h, line 7."""
    found = set()
    for path in scratch.glob("drill-*/pgdata/postmaster.pid"):
        lines = path.read_text().splitlines()
        if len(lines) > 6 and lines[6].split():
            found.add(lines[6].split()[1])
    return found


def sockets_of(scratch):
    """Where the servers there have, or are about to make, their socket."""
    notes = scratch.glob("drill-*/*/walship_server/server.json")
    return {json.loads(note.read_text())["sockets"] for note in notes}


def left_on_this_machine(scratch):
    """Processes, mounts."""
    processes = subprocess.run(["pgrep", "-f", str(scratch)], capture_output=True, text=True).stdout.split()
    with open("/proc/mounts") as file:
        mounts = [line for line in file if "walship" in line]
    return {
        "processes": processes,
        "mounts": mounts,
    }


def test_of_killed_drills_nothing_is_left(busy_server, walship, store, directory, seed):
    targets.make_busy(busy_server, walship, seconds=2, seed=seed)
    busy_server.stop("immediate")
    scratch = directory / "scratch"
    before = left_on_this_machine(scratch)
    began = time.monotonic()
    assert drill(walship)["passed"]
    duration = time.monotonic() - began
    shuffled = random.Random(seed)
    killed = 0
    segments = set()
    sockets = set()
    for number in range(KILLS):
        process = walship.start("drill")
        time.sleep(shuffled.uniform(0, duration))
        killed += process.poll() is None
        process.kill()
        segments |= shared_memory_of(scratch)
        sockets |= sockets_of(scratch)
        process.communicate(timeout=30)
        wait_until(lambda: left_on_this_machine(scratch)["processes"] == [], "its server has ended with it")
    assert drill(walship)["passed"]
    publish_text(f"{killed} of {KILLS} drills were killed within {duration:.1f} s of their begin (seed {seed})")
    assert left_on_this_machine(scratch) == before
    assert not [path for path in sockets if os.path.exists(path)]
    there = subprocess.run(["ipcs", "-m"], capture_output=True, text=True, check=True).stdout
    assert segments or KILLS < 30, "of so many some hit a running server"
    assert not segments & {line.split()[1] for line in there.splitlines() if line.startswith("0x")}
    assert list(scratch.iterdir()) == []
    assert store.keys(f"{busy_server.system_identifier()}/lease/") == []


def test_counts_under_load_are_exact(busy_server, walship):
    server = busy_server
    server.pgbench_init()
    walship.ok("backup", "--fast", env=server.pg_environment, timeout=120)
    locked = []
    with server.pgbench_running(clients=8):
        for _ in range(COUNTS):
            said = walship.ok("drill", "--record-counts", env=server.pg_environment, timeout=120).out
            locked.append(int(said.split(" for ")[1].split(" ms")[0]))
            plan = ("drill", "--plan", "--count", "all")
            wait_until(lambda: walship.run(*plan, timeout=60).rc == 0, "their WAL is archived", timeout=60)
            report = drill(walship, "--count", "all")
            assert report["passed"] and report["counts_exact"], failure(report)
            time.sleep(0.2)
    publish_text(
        f"{COUNTS} counts while 8 clients wrote, each met exactly by a drill; the tables were locked for "
        f"{min(locked)} to {max(locked)} ms"
    )

"""Encryption: what it costs a push, a fetch and a backup, and 5 GB both ways with the program age."""
import os
import subprocess
import time
from dataclasses import dataclass

import pytest

import segments
from measure import publish_text
from walship_testing.age import Key
from walship_testing.proc import clean_environment, run_ok
from walship_testing.store import DirectoryStore, create_store
from walship_testing.walship import Walship, binary

N_REPEATS = 15
CPU_MOST = 1.10  # of a push without encryption
BIG = 5 * 1024**3
PASSPHRASE = "six words drawn at random"


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


@dataclass
class Way:
    name: str
    walship: Walship


@dataclass
class Cost:
    wall: float  # seconds
    cpu: float  # seconds, user and system


def run_measured(command, *, env=None, cwd=None):
    """By the kernel's own accounts, which are finer than those of time(1)."""
    began = time.monotonic()
    process = subprocess.Popen(
        list(map(str, command)), cwd=cwd, env=clean_environment(**(env or {})), stdin=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Cost(time.monotonic() - began, usage.ru_utime + usage.ru_stime)


def best(costs):
    """The machine is not ours alone: the least disturbed of all runs."""
    return Cost(min(each.wall for each in costs), min(each.cpu for each in costs))


def table(costs):
    """Against the first row of each operation."""
    lines = "| operation | encryption | wall ms | CPU ms | CPU more |\n|---|---|---:|---:|---:|\n"
    for operation, by_way in costs.items():
        plain = best(by_way["none"]).cpu
        for way, each in by_way.items():
            cost = best(each)
            more = f"{(cost.cpu / plain - 1) * 100:+.1f} %" if way != "none" else ""
            lines += f"| {operation} | {way} | {cost.wall * 1000:.0f} | {cost.cpu * 1000:.1f} | {more} |\n"
    return lines


def ways(store, directory):
    keys = [Key(directory / f"key{i}") for i in range(16)]
    passphrase = directory / "passphrase"
    passphrase.write_text(PASSPHRASE)
    passphrase.chmod(0o600)
    settings = {
        "none": {},
        "1 recipient": {"recipients": keys[0].public, "identity_file": keys[0].path},
        "16 recipients": {"recipients": " ".join(key.public for key in keys), "identity_file": keys[15].path},
        "a passphrase": {"passphrase_file": passphrase},
    }
    return [
        Way(name, Walship(directory / f"way-{number}", {**store.settings, **more}))
        for number, (name, more) in enumerate(settings.items())
    ]


def test_what_a_push_and_a_fetch_cost(servers, directory):
    server, name = segments.oltp_segment(servers)
    store = DirectoryStore(directory / "store")
    create_store(store, directory)
    key = f"{system_of(server)}/wal/{name[:8]}/{name}.tar"
    costs = {"push": {}, "fetch": {}}
    everyone = ways(store, directory)
    for _ in range(N_REPEATS):  # interleaved, so that all meet the same machine
        for way in everyone:
            if store.exists(key):
                store.remove(key)
            costs["push"].setdefault(way.name, []).append(
                run_measured(way.walship.command("push", "--push-ahead=0", f"pg_wal/{name}"), cwd=server.pgdata)
            )
            costs["fetch"].setdefault(way.name, []).append(
                run_measured(way.walship.command("fetch", name, directory / "fetched"), cwd=server.pgdata)
            )
            assert (directory / "fetched").read_bytes() == (server.pgdata / "pg_wal" / name).read_bytes()
    publish_text(f"One segment of 16 MiB, to a directory: the best of {N_REPEATS} interleaved runs\n\n{table(costs)}")
    plain, encrypted = (best(costs["push"][way]).cpu for way in ("none", "1 recipient"))
    assert encrypted <= plain * CPU_MOST, f"{encrypted} s of CPU instead of {plain}"


def system_of(server):
    return int.from_bytes((server.pgdata / "global/pg_control").read_bytes()[:8], "little")


def test_what_a_backup_costs(servers, directory):
    server = servers.new(name="source")
    server.start()
    server.pgbench_init(40)
    store = DirectoryStore(directory / "store")
    create_store(store, directory)
    costs = {}
    everyone = ways(store, directory)[:2]
    for _ in range(3):
        for way in everyone:
            store.remove_all()
            costs.setdefault(way.name, []).append(
                run_measured(way.walship.command("backup", "--fast"), env=server.pg_environment)
            )
    publish_text(
        "A backup of 600 MB of pgbench's tables, to a directory: the best of 3 interleaved runs\n\n"
        + table({"backup": costs})
    )


def test_5_gb_go_both_ways_with_age(directory):
    """The same bytes come out, and their number is more than fits into 32 bits."""
    key = Key(directory / "key.txt")
    stream = binary().parent / "test/age_stream"
    noise = f"openssl enc -aes-128-ctr -nosalt -pass pass:x -in /dev/zero 2>/dev/null | head -c {BIG}"
    wanted = run_ok(["sh", "-c", f"{noise} | sha256sum"], timeout=300).out
    for writer, reader in (
        (f"{stream} encrypt -r {key.public}", f"age -d -i {key.path}"),
        (f"age -r {key.public}", f"{stream} decrypt -i {key.path}"),
    ):
        assert run_ok(["sh", "-c", f"{noise} | {writer} | {reader} | sha256sum"], timeout=600).out == wanted

"""Trees of files: a hundred thousand of them and one of more than 8 GiB, beside tar and restic; killed at any time."""
import json
import os
import random
import shutil
import signal
import time

import pytest

from measure import measure, publish, row
from walship_testing import trees
from walship_testing.proc import run_ok

pytestmark = [
    pytest.mark.directory_only("what is measured is the way from files to objects"),
    pytest.mark.skipif(not trees.have_tools(), reason="rsync, acl or attr is missing; run test/install test"),
]

FILES = 100_000
LARGE = 9 << 30  # bytes, most of them a hole
PEAK_LIMIT = 150  # MiB
KILLS = 30
PATIENCE = 900  # seconds for one operation


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


@pytest.fixture
def walship(walship):
    walship.configure(system="7000000000000000001", compression="zstd")
    return walship


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Half noise, half text, of all sizes up to a megabyte or so; and everything else that a tree can have."""
    root = tmp_path_factory.mktemp("files") / "tree"
    trees.make(root)
    chance = random.Random(21)
    noise = os.urandom(8 << 20)
    text = b"".join(b"line %d of a file that is about nothing in particular\n" % number for number in range(30_000))
    for number in range(FILES):
        directory = root / f"many/{number % 100:02}/{number // 100 % 100:02}"
        if number < 10_000:
            directory.mkdir(parents=True, exist_ok=True)
        size = min(int(chance.lognormvariate(8, 1.2)), 1 << 20)
        place = chance.randrange(len(noise) - size)
        (directory / f"file-{number}").write_bytes(noise[place : place + size // 2] + text[: size - size // 2])
    with open(root / "disk.img", "wb") as file:
        file.truncate(LARGE)
        file.seek(5 << 30)
        file.write(noise)
    yield root
    shutil.rmtree(root, ignore_errors=True)


def stored(place):
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(place) for name in names)


def beside(directory, tree):
    """tar with zstd, and restic where it is installed: the first time, and again when nothing has changed."""
    yield "tar, zstd -3", ["sh", "-c", f"tar --sparse -C / -c '{str(tree)[1:]}' | zstd -q -3 -T0 -f -o '{directory}/archive'"], directory / "archive"
    if shutil.which("restic"):
        repository = directory / "restic"
        environment = {"RESTIC_PASSWORD": "none", "RESTIC_REPOSITORY": str(repository), "RESTIC_CACHE_DIR": str(directory / "cache")}
        run_ok(["restic", "init", "-q"], env={**os.environ, **environment}, timeout=60)
        command = ["env", *(f"{name}={value}" for name, value in environment.items()), "restic", "-q", "backup", str(tree)]
        yield "restic", command, repository
        yield "restic, nothing changed", command, repository


def test_a_hundred_thousand_files_and_one_of_nine_gigabytes(walship, store, tree, directory):
    rows = []
    trees.settle()
    for operation in ("walship files", "walship files, nothing changed"):
        before = stored(store.directory)
        figures = measure(directory, walship.command("files", "up", tree), timeout=PATIENCE)
        rows.append(row(operation, figures, stored(store.directory) - before))
        assert figures.peak < PEAK_LIMIT, figures
    record = json.loads(walship.ok("files", "--list", "up", "--json").out)["sets"][-1]
    assert record["files"] > FILES and record["files_size"] > LARGE and record["new_files"] < 50, record
    figures = measure(directory, walship.command("files", "--restore", "up", "--into", directory / "out"), timeout=PATIENCE)
    rows.append(row("walship files --restore", figures))
    assert figures.peak < PEAK_LIMIT, figures
    assert trees.differences(tree, trees.place_of(directory / "out", tree), timeout=PATIENCE) == []
    shutil.rmtree(directory / "out", ignore_errors=True)
    for operation, command, place in beside(directory, tree):
        figures = measure(directory, command, timeout=PATIENCE)
        rows.append(row(operation, figures, os.path.getsize(place) if place.is_file() else stored(place)))
    publish(f"{FILES:,} files and one of 9 GiB with a hole, into a directory", rows)


def test_thirty_kills_leave_nothing_that_counts(walship, store, tree, directory):
    chance = random.Random(9)
    killed = 0
    walship.configure(part_size="16MB")
    for turn in range(KILLS):
        options = ["--full"] if turn % 2 else []
        process = walship.start("files", "up", tree, *options)
        time.sleep(chance.uniform(0.01, 6))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        shown = json.loads(walship.ok("files", "--list", "--json").out)
        for record in shown["sets"][-1:]:
            walship.ok("files", "--verify", "up", record["id"], timeout=PATIENCE)
    assert killed > KILLS / 2
    walship.ok("files", "up", tree, timeout=PATIENCE)
    walship.ok("files", "--restore", "up", "--into", directory / "out", timeout=PATIENCE)
    assert trees.differences(tree, trees.place_of(directory / "out", tree), timeout=PATIENCE) == []

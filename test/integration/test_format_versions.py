"""Format 1 across versions: what 0.1.0 wrote is read by this version, and what this version writes is read by 0.1.0."""
import copy
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

import pytest

from walship_testing import proc, wal

ROOT = pathlib.Path(__file__).parents[2]
VERSION_0_1_0 = "bd8d759"


@pytest.fixture(scope="session")
def walship_0_1_0(cache):
    """The program of that version, built from its commit where git has it: once for all workers of a run."""
    given = os.environ.get("WALSHIP_0_1_0")
    if given:
        return pathlib.Path(given)
    git = ["git", "-c", "safe.directory=*", "-C", ROOT]
    if not shutil.which("git") or subprocess.run([*git, "cat-file", "-e", VERSION_0_1_0], capture_output=True).returncode:
        pytest.skip("NOT TESTED: version 0.1.0, whose commit is not in this copy of the source")
    source = cache / "walship-0.1.0"
    program = source / "build/walship"
    with proc.locked(f"{source}.lock"):
        if not program.exists():
            archive = subprocess.run([*git, "archive", VERSION_0_1_0], check=True, capture_output=True).stdout
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(source)
            # Not optimized: to build it takes longer than all that it is asked to do.
            for command in (["cmake", "-S", source, "-B", source / "build", "-DCMAKE_BUILD_TYPE=Debug",
                             "-DWALSHIP_TESTS=OFF"],
                            ["cmake", "--build", source / "build", "-j", "2", "--target", "walship"]):
                subprocess.run(command, check=True, capture_output=True, timeout=600)
    return program


@pytest.fixture
def old(walship_0_1_0, walship):
    """0.1.0 with this test's settings and notes."""
    older = copy.copy(walship)
    older.binary = walship_0_1_0
    return older


def index_of(store, key):
    with tarfile.open(fileobj=io.BytesIO(store.read(key))) as archive:
        return json.load(archive.extractfile(archive.getmembers()[0]))


NEW_MEMBERS = {"chunk_size", "chunks", "previous", "tablespaces", "databases"}


def assert_fetches(program, datadir, names):
    for name in names:
        datadir.fetch(program, name)
        fetched = datadir.wal / ("RECOVERYHISTORY" if name.endswith(".history") else "RECOVERYXLOG")
        assert fetched.read_bytes() == (datadir.wal / name).read_bytes()


def assert_lists_alike(old, walship):
    """But for what this version says besides."""
    assert json.loads(old.ok("list", "--json").out) == {
        name: value for name, value in json.loads(walship.ok("list", "--json").out).items() if name != "warnings"}


@pytest.mark.parametrize("codec", ["brotli", "zstd", "none"])
def test_0_1_0_reads_what_this_version_writes(codec, old, walship, store, datadir, real_wal):
    walship.configure(compression=codec)
    names = real_wal.into(datadir)
    for name in names:
        datadir.push(walship, name)
    members = set().union(*(index_of(store, datadir.key(name)) for name in names))
    assert NEW_MEMBERS - members == ({"chunk_size", "chunks"} if codec == "none" else set())
    assert_fetches(old, datadir, names)
    assert_lists_alike(old, walship)
    datadir.push(old, names[0])


def test_this_version_reads_what_0_1_0_wrote_and_goes_on_with_it(old, walship, store, datadir, real_wal):
    names = real_wal.into(datadir)
    for name in names[:-1]:
        datadir.push(old, name)
    assert not NEW_MEMBERS & set(index_of(store, datadir.key(names[0])))
    datadir.push(walship, names[-1])
    last = index_of(store, datadir.key(names[-1]))
    assert last["time_high_since"] == last["start_lsn"] and "previous" not in last  # its note has another form
    assert_fetches(walship, datadir, names)


def test_0_1_0_passes_over_the_digests_of_history_files(old, walship, store, datadir, real_wal):
    names = real_wal.into(datadir)
    _, last = wal.parse_segment_name(names[-1])
    datadir.history(2, (1, (last + 1) * 16 * wal.MIB + 0x800000))
    new = datadir.segment(2, last + 1, header={"timeline": 1})
    datadir.push(walship, new)
    assert store.exists(f"{datadir.system}/wal/00000002.history.sha256")
    assert_fetches(old, datadir, [*names, new, "00000002.history"])
    assert_lists_alike(old, walship)

"""walship push: the archive_command.  0 only when the bytes are durable under their own name."""
import hashlib
import json
import os
import subprocess
import tarfile

import pytest

from walship_testing import wal
from walship_testing.proc import run_ok, wait_until
from walship_testing.store import DirectoryStore, create_store
from walship_testing.wal import MIB
from walship_testing.walship import Walship


def index_of(store, key):
    """The index member of a segment object, read as another program would."""
    with tarfile.open(store.path(key)) as tar:
        return json.load(tar.extractfile(tar.getmembers()[0]))


@pytest.mark.smoke
def test_a_segment_is_stored_under_its_own_name(walship, store, datadir):
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    assert store.keys() == [datadir.key(name)]


@pytest.mark.smoke
def test_pushing_the_same_segment_again_is_success_and_rewrites_nothing(walship, store, datadir):
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    before = store.version(datadir.key(name))
    datadir.push(walship, name)
    assert store.version(datadir.key(name)) == before


def test_the_same_segment_stored_with_another_compression_is_the_same(walship, store, datadir):
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    before = store.snapshot()
    for compression in ("zstd", "none"):
        walship.configure(compression=compression)
        datadir.push(walship, name)
    assert store.snapshot() == before


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["segment", "history", "backup"])
def test_other_contents_under_the_same_name_are_refused_and_nothing_is_overwritten(walship, store, datadir, kind):
    name = datadir.segment(1, 5, salt=b"one")
    if kind == "history":
        name = datadir.history(2, (1, 0x5000000))
    elif kind == "backup":
        name += ".00000028.backup"
        (datadir.wal / name).write_text("START WAL LOCATION: 0/5000028\n")
    datadir.push(walship, name)
    before = store.snapshot()
    with open(datadir.wal / name, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x77")
    datadir.push(walship, name, 3, says=name)
    assert store.snapshot() == before


def test_history_and_backup_files_are_stored_verbatim(walship, store, datadir):
    history = datadir.history(2, (1, 0x5000000))
    backup = "000000010000000000000005.00000028.backup"
    (datadir.wal / backup).write_text("START WAL LOCATION: 0/5000028 (file 000000010000000000000005)\n")
    for name in (history, backup):
        datadir.push(walship, name)
        datadir.push(walship, name)
        assert store.read(datadir.key(name)) == (datadir.wal / name).read_bytes()


@pytest.mark.parametrize("text", ["", "# nothing\n", "root:x:0:0:root\n", "1\tnowhere\n", "2\t0/5000000\titself\n"])
def test_nothing_is_stored_of_a_history_that_is_none(walship, store, datadir, text):
    name = datadir.history(2, (1, 0x5000000))
    (datadir.wal / name).write_text(text)
    datadir.push(walship, name, 6, says=name)
    assert store.keys() == []
    datadir.push(walship, datadir.history(2, (1, 0x5000000)))


def test_partials_that_differ_are_all_stored(walship, store, datadir):
    name = "000000010000000000000005.partial"
    digests = []
    for salt in (b"one", b"two", b"two"):
        datadir.segment(1, 5, name=name, salt=salt)
        datadir.push(walship, name)
        digests.append(hashlib.sha256((datadir.wal / name).read_bytes()).hexdigest()[:16])
    prefix = f"{datadir.system}/wal/00000001/{name}"
    assert store.keys() == sorted(f"{prefix}-{digest}.tar" for digest in set(digests))


def test_a_partial_does_not_stand_for_the_segment(walship, store, datadir):
    datadir.segment(1, 5, name="000000010000000000000005.partial")
    datadir.push(walship, "000000010000000000000005.partial")
    name = datadir.segment(1, 5, salt=b"whole")
    datadir.push(walship, name)
    assert len(store.keys()) == 2 and store.exists(datadir.key(name))


SEGMENT_5 = "000000010000000000000005"

WRONG_FILES = {
    "is truncated": dict(size=16 * MIB - 1),
    "is too long": dict(size=16 * MIB + 8192),
    "is cut to its first page": dict(size=8192),
    "is empty": dict(size=0),
    "has the address of another segment": dict(header={"address": 0x6000000}),
    "is of another system": dict(header={"system": 4711}),
    "has a page magic that no server writes": dict(header={"magic": 0xD0FF}),
    "has no long header": dict(header={"info": 0}),
    "has a timeline above its name's": dict(header={"timeline": 2}),
    "has a segment size that is no power of two": dict(header={"segment_size": 3 * MIB}),
    "is of another block size": dict(header={"block_size": 4096}),
}


@pytest.mark.smoke
@pytest.mark.parametrize("wrong", WRONG_FILES)
def test_nothing_is_stored_of_a_segment_that(walship, store, datadir, wrong):
    datadir.segment(1, 5, **WRONG_FILES[wrong])
    datadir.push(walship, SEGMENT_5, 6, says=SEGMENT_5)
    assert store.keys() == []


@pytest.mark.parametrize(
    "name",
    ["garbage", "00000001000000000000000", "00000001000000000000000g", "000000010000000000000005.tmp", "2.history", "."],
)
def test_a_name_that_is_no_wal_file_is_a_usage_error(walship, store, datadir, name):
    if name != ".":
        datadir.segment(1, 5, name=name)
    datadir.push(walship, name, 2)
    assert store.keys() == []


def test_a_directory_in_place_of_the_file_is_refused(walship, store, datadir):
    (datadir.wal / SEGMENT_5).mkdir()
    datadir.push(walship, SEGMENT_5, 2, says="not a regular file")
    assert store.keys() == []


def test_a_fifo_in_place_of_the_file_is_refused_without_waiting(walship, datadir):
    os.mkfifo(datadir.wal / SEGMENT_5)
    result = datadir.push(walship, SEGMENT_5, 2, says="not a regular file")
    assert result.seconds < 5


def test_an_unreadable_file_is_denied(walship, store, datadir):
    datadir.segment(1, 5)
    (datadir.wal / SEGMENT_5).chmod(0)
    datadir.push(walship, SEGMENT_5, 5, says=SEGMENT_5)
    assert store.keys() == []


def test_a_missing_file_is_not_found(walship, datadir):
    datadir.push(walship, SEGMENT_5, 1, says=SEGMENT_5)


def test_no_file_is_a_usage_error(walship, datadir):
    walship.fails(2, "push", cwd=datadir.path)
    walship.fails(2, "push", "pg_wal/a", "pg_wal/b", cwd=datadir.path)


@pytest.mark.smoke
def test_a_missing_store_is_unreachable_and_not_created(walship, store, datadir):
    name = datadir.segment(1, 5)
    store.destroy()
    datadir.push(walship, name, 4, says=store.name)
    assert not store.is_there()


def test_a_directory_without_the_marker_is_unreachable_and_stays_empty(datadir, empty_place, directory):
    walship = Walship(directory / "walship", empty_place.settings)
    name = datadir.segment(1, 5)
    result = datadir.push(walship, name, 4, says=str(empty_place.directory))
    assert "check --create" in result.err
    assert os.listdir(empty_place.directory) == []


def test_a_read_only_store_is_denied(walship, store, datadir):
    name = datadir.segment(1, 5)
    with store.read_only():
        datadir.push(walship, name, 5)
    datadir.push(walship, name)


@pytest.mark.smoke
def test_a_full_store_is_an_error_of_the_system_and_once_there_is_room_push_works(
    small_disk, datadir, directory, cache
):
    store = DirectoryStore(small_disk / "store")
    create_store(store, directory)
    walship = Walship(directory / "walship", {**store.settings, "compression": "none"})
    name = datadir.segment(1, 5)
    filler = small_disk / "filler"
    with pytest.raises(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(MIB))
    datadir.push(walship, name, 7, says="No space left")
    assert store.keys() == []
    filler.unlink()
    datadir.push(walship, name)
    assert store.keys() == [datadir.key(name)]


def test_without_a_system_identifier_push_says_what_to_do(walship, directory, datadir):
    name = datadir.segment(1, 5)
    elsewhere = directory / "elsewhere"
    elsewhere.mkdir()
    (datadir.path / "global/pg_control").unlink()
    walship.fails(2, "push", datadir.wal / name, cwd=elsewhere, says="system")
    walship.configure(system=datadir.system)
    walship.ok("push", datadir.wal / name, cwd=elsewhere)


def test_the_store_may_be_given_by_environment_alone(walship, store, datadir):
    name = datadir.segment(1, 5)
    walship.configure(store=None)
    datadir.push(walship, name, 2, says="store")
    datadir.push(walship, name, 0, env={"WALSHIP_STORE": store.url})
    assert store.exists(datadir.key(name))


@pytest.mark.smoke
def test_eight_pushes_of_the_same_file_at_once_all_succeed(walship, store, datadir, real_wal):
    name = real_wal.into(datadir)[0]
    pushes = [walship.start("push", f"pg_wal/{name}", cwd=datadir.path) for _ in range(8)]
    outcomes = [(push.communicate(timeout=30)[1], push.returncode) for push in pushes]
    assert [code for _, code in outcomes] == [0] * 8, outcomes
    assert store.keys() == [datadir.key(name)]


def test_of_two_different_files_pushed_at_once_under_one_name_one_wins(walship, store, datadir, datadir_factory):
    other = datadir_factory("other")
    for round_number in range(5):
        name = datadir.segment(1, 5 + round_number, salt=b"one")
        other.segment(1, 5 + round_number, salt=b"two")
        pushes = [walship.start("push", f"pg_wal/{name}", cwd=place.path) for place in (datadir, other)]
        for push in pushes:
            push.communicate(timeout=30)
        assert sorted(push.returncode for push in pushes) == [0, 3]
        winner = (datadir, other)[0 if pushes[0].returncode == 0 else 1]
        winner.push(walship, name)


@pytest.mark.parametrize("segment_mib", [pytest.param(1, marks=pytest.mark.smoke), 2, 16, 64, 1024])
def test_segments_of_every_size_are_stored_and_come_back(walship, datadir_factory, segment_mib):
    datadir = datadir_factory(segment_size=segment_mib)
    size = segment_mib * MIB
    name = datadir.segment(1, 3, segment_size=size, salt=os.urandom(100_000))
    datadir.push(walship, name, timeout=60)
    datadir.fetch(walship, name, timeout=60)
    run_ok(["cmp", datadir.wal / name, datadir.fetched])


def test_the_index_says_what_the_segment_is(walship, store, datadir, real_wal):
    name = real_wal.into(datadir)[1]
    datadir.push(walship, name)
    index = index_of(store, datadir.key(name))
    plain = (datadir.wal / name).read_bytes()
    timeline, segno = wal.parse_segment_name(name)
    assert index["segment"] == name
    assert str(index["system_id"]) == str(datadir.system)
    assert index["timeline"] == timeline
    assert index["sha256"] == hashlib.sha256(plain).hexdigest()
    assert index["start_lsn"] == wal.format_lsn(segno * 16 * MIB)
    assert index["end_lsn"] == wal.format_lsn((segno + 1) * 16 * MIB)


STOCK_TOOLS = {"brotli": ["brotli", "-dc"], "zstd": ["zstd", "-qdc"], "none": ["cat"]}


@pytest.mark.parametrize("compression", STOCK_TOOLS)
def test_stock_tools_read_what_was_stored(walship, store, datadir, real_wal, directory, compression):
    walship.configure(compression=compression)
    name = real_wal.into(datadir)[0]
    datadir.push(walship, name)
    unpacked = directory / "unpacked"
    unpacked.mkdir()
    stored = store.path(datadir.key(name))
    run_ok(["tar", "-C", unpacked, "-xf", stored])
    members = run_ok(["tar", "-tf", stored]).out.split()
    assert members[0] == f"{name}.json" and len(members) == 2
    index = json.loads((unpacked / members[0]).read_text())
    plain = subprocess.run(
        [*STOCK_TOOLS[compression], str(unpacked / members[1])], capture_output=True, check=True, timeout=20
    ).stdout
    assert plain == (datadir.wal / name).read_bytes()
    digest = run_ok(["sha256sum", datadir.wal / name]).out.split()[0]
    assert index["sha256"] == digest


def test_a_real_server_archives_with_push_and_reports_no_failure(server, store):
    server.write_rows(1000)
    names = [server.switch_and_archive() for _ in range(3)]
    failed, last = server.sql("SELECT failed_count, last_archived_wal FROM pg_stat_archiver")[0]
    assert failed == 0 and last == names[-1]
    stored = [key.rpartition("/")[2] for key in store.keys(f"{server.system_identifier()}/wal/")]
    assert [f"{name}.tar" for name in names] == [name for name in stored if name[:24] in names]


def test_the_archiver_survives_an_outage_of_the_store(server, walship, store):
    walship.configure(push_deadline="1s")
    with store.outage():
        name = server.switch_wal()
        wait_until(lambda: server.value("SELECT failed_count FROM pg_stat_archiver") > 0, "push has failed")
        assert not server.is_archived(name)
        assert "archiver process" not in server.log_text()  # codes above 125 would have ended it
    server.switch_and_archive(timeout=30)
    assert server.is_archived(name)

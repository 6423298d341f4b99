"""What push learns from one segment for the next, and what it does with a damaged one: on WAL of a real server."""
import json
import tarfile

import pytest

from walship_testing import wal

pytestmark = pytest.mark.directory_only("the store only carries what push wrote")


def index_of(store, key):
    with tarfile.open(store.path(key)) as tar:
        return json.load(tar.extractfile(tar.getmembers()[0]))


def notes(walship):
    return list(walship.state_dir.glob("times-*"))


@pytest.mark.smoke
def test_a_run_of_times_goes_on_from_segment_to_segment(walship, store, datadir, real_wal):
    names = real_wal.into(datadir)
    for name in names:
        datadir.push(walship, name)
    first, second, third = (index_of(store, datadir.key(name)) for name in names)
    assert first["time_high_since"] == first["start_lsn"]
    assert first["parameter_change"], "the server's first segment is the one after initdb"
    assert second["time_high_since"] == second["start_lsn"], "and so no run goes on behind it"
    assert third["time_high_since"] == second["start_lsn"]
    assert third["time_high"] == max(second["max_time"], third["max_time"])
    (note,) = notes(walship)
    assert note.stat().st_mode & 0o777 == 0o600, "it has bytes of a record"


def test_a_lost_note_costs_no_more_than_a_new_run(walship, store, datadir, real_wal):
    names = real_wal.into(datadir)
    for harm in (lambda note: note.unlink(), lambda note: note.write_bytes(b""), lambda note: note.chmod(0)):
        datadir.push(walship, names[0])
        datadir.push(walship, names[1])
        (note,) = notes(walship)
        harm(note)
        datadir.push(walship, names[2])
        index = index_of(store, datadir.key(names[2]))
        assert index["time_high_since"] == index["start_lsn"]
        assert index["time_high"] == index["max_time"]
        (note,) = notes(walship)
        note.unlink()
        for name in names:
            store.path(datadir.key(name)).unlink()


def test_a_segment_that_is_pushed_again_keeps_its_run(walship, store, datadir, real_wal):
    _, second, third = real_wal.into(datadir)
    for name in (second, third, second, third):
        datadir.push(walship, name)
    (note,) = notes(walship)
    note.unlink()
    datadir.push(walship, third)
    (note,) = notes(walship)
    assert f'\nsince {index_of(store, datadir.key(second))["start_lsn"]}\n' in note.read_text()


def test_on_another_disk_under_the_same_path_a_run_begins(walship, store, datadir, real_wal):
    _, second, third = real_wal.into(datadir)
    datadir.push(walship, second)
    marker = store.directory / "walship-store.json"
    other = marker.with_name("other")
    other.write_bytes(marker.read_bytes())
    other.rename(marker)
    datadir.push(walship, third)
    index = index_of(store, datadir.key(third))
    assert index["time_high_since"] == index["start_lsn"]


@pytest.mark.parametrize("ahead", [False, True])
def test_a_push_that_fails_does_not_break_the_run(walship, store, datadir, real_wal, ahead):
    _, second, third = real_wal.into(datadir)
    datadir.push(walship, second)
    if ahead:
        (datadir.wal / "archive_status" / f"{third}.ready").touch()
        (datadir.wal / "archive_status" / f"{wal.segment_name(1, 900)}.ready").touch()
    place = store.path(datadir.key(second)).parent
    place.chmod(0o500)
    datadir.push(walship, third, 5)
    place.chmod(0o700)
    datadir.push(walship, third)
    assert index_of(store, datadir.key(third))["time_high_since"] == index_of(store, datadir.key(second))["start_lsn"]


def test_without_a_state_directory_segments_are_stored_all_the_same(walship, store, datadir, real_wal):
    walship.configure(state_dir=str(walship.state_dir / "missing"))
    for name in real_wal.into(datadir):
        datadir.push(walship, name)
        index = index_of(store, datadir.key(name))
        assert index["time_high_since"] == index["start_lsn"]


def damage(path):
    """A byte in the middle of WAL that is full of records."""
    with path.open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([byte[0] ^ 0x10]))


@pytest.mark.smoke
def test_a_damaged_segment_is_stored_with_a_warning(walship, store, datadir, real_wal):
    _, before, name = real_wal.into(datadir)
    damage(datadir.wal / name)
    datadir.push(walship, before)
    result = datadir.push(walship, name)
    index = index_of(store, datadir.key(name))
    assert index["start_lsn"] < index["damaged_at"] < index["end_lsn"]
    assert f'WARNING:  "pg_wal/{name}" holds a damaged WAL record at {index["damaged_at"]}' in result.err
    assert index["time_high_since"] == index_of(store, datadir.key(before))["start_lsn"]
    assert [line for note in notes(walship) for line in note.read_text().splitlines() if line.startswith("since")] == [
        "since 0/0"], "no run goes on behind damage"


def test_a_damaged_segment_is_refused_by_strict(walship, store, datadir, real_wal):
    walship.configure(wal_check="strict")
    first, name, _ = real_wal.into(datadir)
    damage(datadir.wal / name)
    datadir.push(walship, first)
    result = datadir.push(walship, name, 6)
    assert f'could not archive "pg_wal/{name}": WAL record at ' in result.err
    assert "wal_check" in result.err
    assert store.keys() == [datadir.key(first)]

"""push keeps timelines whole: what a failover left in pg_wal and nowhere else gets into the store."""
import hashlib
import time

import pytest

from walship_testing import wal
from walship_testing.notes import write_at, written
from walship_testing.proc import wait_until
from walship_testing.wal import MIB
from walship_testing.walship import Walship


@pytest.fixture
def promoted(datadir, real_wal):
    """pg_wal after a promotion within the segment that follows the real ones: (datadir, old names, first new name)."""
    old = real_wal.into(datadir)
    _, last = wal.parse_segment_name(old[-1])
    switch = (last + 1) * 16 * MIB + 0x800000
    datadir.history(2, (1, switch))
    new = datadir.segment(2, last + 1, header={"timeline": 1})
    return datadir, old, new


@pytest.mark.smoke
def test_the_first_push_on_a_timeline_stores_its_history_and_the_parents_tail(walship, store, promoted):
    datadir, old, new = promoted
    datadir.push(walship, old[0])
    result = datadir.push(walship, new)
    wanted = [*old, new, "00000002.history"]
    digest = datadir.key("00000002.history") + ".sha256"
    assert store.keys() == sorted([*(datadir.key(name) for name in wanted), digest]), str(result)
    sha256 = hashlib.sha256((datadir.wal / "00000002.history").read_bytes()).hexdigest()
    assert store.read(digest).decode() == f"{sha256}  00000002.history\n"
    for name in wanted:
        assert store.exists(datadir.key(name))
    for name in old:
        datadir.fetch(walship, name)
        assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()


def test_the_parents_segment_with_the_switch_in_it_is_left_alone(walship, store, promoted):
    datadir, old, new = promoted
    split = datadir.segment(1, wal.parse_segment_name(new)[1])
    datadir.push(walship, new)
    assert not store.exists(datadir.key(split))


def test_it_is_done_once_for_a_timeline(walship, store, promoted):
    datadir, old, new = promoted
    datadir.push(walship, new)
    for name in old:
        store.remove(datadir.key(name))
    segno = wal.parse_segment_name(new)[1]
    datadir.push(walship, datadir.segment(2, segno + 1))
    assert not [name for name in old if store.exists(datadir.key(name))]


def push_next(walship, datadir, new):
    datadir.push(walship, datadir.segment(2, wal.parse_segment_name(new)[1] + 1))


@pytest.mark.directory_only("a bucket has no marker")
def test_it_is_done_again_when_another_disk_is_mounted(walship, store, promoted):
    """Nobody pushes a history file twice, so the new store would never get it."""
    datadir, old, new = promoted
    datadir.push(walship, new)
    marker = store.directory / "walship-store.json"
    store.remove_all()
    other = marker.with_name("other")
    other.write_bytes(marker.read_bytes())
    other.rename(marker)
    push_next(walship, datadir, new)
    assert store.exists(datadir.key("00000002.history"))


@pytest.mark.parametrize("age", [2 * 3600, -2 * 3600], ids=["old", "of the future"])
def test_it_is_done_again_after_an_hour(walship, store, promoted, age):
    datadir, old, new = promoted
    datadir.push(walship, new)
    store.remove_all()
    (note,) = walship.state_dir.glob("complete-*")
    write_at(note, time.time() - age)
    push_next(walship, datadir, new)
    assert store.exists(datadir.key("00000002.history"))
    assert abs(written(note) - time.time()) < 60


@pytest.mark.s3_only
def test_segments_that_are_stored_already_cost_no_request_each(walship, store, proxy, promoted):
    """Else a server that keeps much WAL could not archive after a promotion: no attempt would end in time."""
    datadir, old, new = promoted
    walship.configure(push_ahead=0)
    _, first = wal.parse_segment_name(old[0])
    kept = [wal.segment_name(1, first + 1000 + i) for i in range(40)]
    switch = (first + 1050) * 16 * MIB + 0x800000
    datadir.history(2, (1, switch))
    for name in kept:
        (datadir.wal / name).symlink_to(old[0])
        store.write(datadir.key(name), b"whatever it is")
    new = datadir.segment(2, first + 1050, header={"timeline": 1})
    proxy.clear()
    datadir.push(walship, new)
    assert proxy.count("GET|HEAD") <= 4, proxy.log()
    assert [name for name in old if store.exists(datadir.key(name))] == old


def test_it_is_done_again_when_the_notes_are_lost(walship, store, promoted, directory):
    datadir, old, new = promoted
    datadir.push(walship, new)
    for name in old:
        store.remove(datadir.key(name))
    fresh = Walship(directory / "another-walship", store.settings)
    datadir.push(fresh, datadir.segment(2, wal.parse_segment_name(new)[1] + 1))
    assert [name for name in old if store.exists(datadir.key(name))] == old


def test_a_whole_family_of_history_files_is_stored(walship, store, promoted):
    datadir, old, new = promoted
    segno = wal.parse_segment_name(new)[1]
    switch = segno * 16 * MIB + 0x800000
    datadir.history(3, (1, switch), (2, switch + 0x1000000))
    datadir.push(walship, datadir.segment(3, segno + 1))
    assert store.exists(datadir.key("00000002.history"))
    assert store.exists(datadir.key("00000003.history"))


def test_a_damaged_file_of_the_parent_does_not_block_the_archiver(walship, store, promoted):
    datadir, old, new = promoted
    (datadir.wal / old[1]).write_bytes(b"not WAL")
    datadir.push(walship, new, says=old[1])
    assert store.exists(datadir.key(new))
    assert not store.exists(datadir.key(old[1]))


def test_wal_that_ends_at_a_known_switch_is_stored_as_a_partial(walship, store, datadir, servers, directory):
    server = servers.new().start()
    server.write_rows(100)
    server.sql("CHECKPOINT")
    name = server.current_segment()
    server.stop("immediate")
    plain = (server.pgdata / "pg_wal" / name).read_bytes()
    system = server.system_identifier()
    end = server.wal_end(name)
    stub = plain[: end % (16 * MIB)] + bytes(16 * MIB - end % (16 * MIB))
    (server.pgdata / "pg_wal" / name).write_bytes(stub)
    (server.pgdata / "pg_wal/00000002.history").write_text(wal.history_text((1, end)))
    walship.ok("push", f"pg_wal/{name}", cwd=server.pgdata)
    digest = hashlib.sha256(stub).hexdigest()[:16]
    assert store.keys(f"{system}/wal/00000001/") == [f"{system}/wal/00000001/{name}.partial-{digest}.tar"]


def test_after_a_failover_with_an_unarchived_tail_the_new_primary_completes_the_archive(servers, walship, store):
    primary = servers.new(archive_mode="on", archive_command="false", wal_keep_size="256MB").start()
    standby = servers.standby_of(primary, wal_keep_size="256MB").start()
    tail = []
    for _ in range(2):
        primary.write_rows(500)
        tail.append(primary.switch_wal())
    standby.wait_replayed(primary)
    primary.kill()
    standby.stop()
    standby.archive_with(walship)
    standby.start()
    assert standby.promote() == 2
    standby.write_rows(10)
    standby.switch_and_archive()
    wal_prefix = f"{standby.system_identifier()}/wal"
    assert store.exists(f"{wal_prefix}/00000002.history")
    for name in tail:
        assert store.exists(f"{wal_prefix}/00000001/{name}.tar")


def test_a_cascading_standby_that_always_archives_does_not_spoil_the_segment_of_the_switch(servers, walship, store):
    """It sends the old timeline's last segment under its full name, though its WAL ends at the switch."""
    primary = servers.new(wal_keep_size="256MB").start()
    middle = servers.standby_of(primary).start()
    always = servers.standby_of(primary, recovery_target_timeline="latest")
    always.configure(primary_conninfo=middle.conninfo)
    always.archive_with(walship, mode="always")
    always.start()
    primary.write_rows(500)
    always.wait_replayed(primary)
    split = primary.current_segment()
    primary.kill()
    assert middle.promote() == 2
    middle.write_rows(500)
    first_new = middle.switch_wal()
    always.wait_replayed(middle)
    prefix = f"{middle.system_identifier()}/wal"
    wait_until(lambda: store.exists(f"{prefix}/00000002/{first_new}.tar"), "the new timeline is archived")
    assert not store.exists(f"{prefix}/00000001/{split}.tar")
    assert "could not be archived" not in always.log_text()

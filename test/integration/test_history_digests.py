"""A history file decides which WAL is replayed: one that was damaged in the store is never believed."""
import hashlib

import pytest

from walship_testing.objects import FIRST_VERSION, with_index, without

HISTORY = "00000002.history"
PORTAL = b"<!DOCTYPE html><html><body>Please sign in</body></html>\n"


def flip(text, at):
    return text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]


DAMAGES = {
    "one bit of the switch": lambda text: flip(text, text.index(b"/") + 1),
    "one bit of the reason": lambda text: flip(text, len(text) - 2),
    "cut": lambda text: text[:-3],
    "empty": lambda text: b"",
    "overlong": lambda text: text + b"# more\n",
    "very long": lambda text: text + b"#" * (1 << 20),
    "a captive portal": lambda text: PORTAL,
}


def push_two_timelines(walship, datadir):
    datadir.history(2, (1, 0x5800000))
    datadir.push(walship, datadir.segment(2, 5, header={"timeline": 1}))
    return datadir.key(HISTORY)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_history_file_is_not_handed_out(damage, walship, datadir, store):
    walship.configure(fetch_deadline="1s")
    key = push_two_timelines(walship, datadir)
    datadir.fetch(walship, HISTORY)
    store.write(key, DAMAGES[damage](store.read(key)))
    assert HISTORY in datadir.fetch(walship, HISTORY, 6).err
    assert "history" in datadir.fetch(walship, HISTORY, 6).err
    (datadir.path / "recovery.signal").touch()
    datadir.fetch(walship, HISTORY, 200)


@pytest.mark.parametrize("damage", [lambda line: flip(line, 10), lambda line: line[:-1], lambda line: PORTAL, lambda line: b""])
def test_nor_is_one_whose_digest_is_damaged(damage, walship, datadir, store):
    key = push_two_timelines(walship, datadir) + ".sha256"
    store.write(key, damage(store.read(key)))
    assert "remove the damaged one" in datadir.fetch(walship, HISTORY, 6).err


def test_one_without_a_digest_is_handed_out_when_it_is_a_history_file(walship, datadir, store):
    key = push_two_timelines(walship, datadir)
    store.remove(key + ".sha256")
    datadir.fetch(walship, HISTORY)
    store.write(key, PORTAL)
    datadir.fetch(walship, HISTORY, 6)


def timeline_2(branches):
    return f"{branches.system}/wal/{HISTORY}"


def move_switch(text, by):
    """The history file with its last switch elsewhere."""
    parent, switch, reason = text.decode().rstrip("\n").splitlines()[-1].split("\t")
    high, low = (int(part, 16) for part in switch.split("/"))
    lsn = (high << 32 | low) + by
    return f"{parent}\t{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}\t{reason}\n".encode()


def test_a_plan_does_not_believe_a_history_file_without_its_digest(branches, recoveries, walship, store):
    key = timeline_2(branches)
    whole = store.read(key)
    store.write(key, move_switch(whole, 8))
    target = branches.moment("new").time
    for options in (["--latest", "--copy"], ["--target-time", target, "--copy"], ["--latest", "--copy", "--timeline", "2"]):
        recoveries.refused(6, *options, says=["timeline 2", HISTORY])
    assert recoveries.plan("--latest", "--copy", "--timeline", "1")["timeline"] == 1
    assert recoveries.plan("--immediate", "--copy")["timeline"] == 1
    store.write(key, whole)
    assert recoveries.plan("--target-time", target, "--copy")["timeline"] == 2


@pytest.mark.parametrize("old_index", [False, True], ids=["index of today", "index of the first version"])
def test_without_a_digest_the_wal_says_where_a_timeline_began(old_index, branches, recoveries, walship, store):
    key = timeline_2(branches)
    whole = store.read(key)
    walship.configure(fetch_deadline="1s")
    store.remove(key + ".sha256")
    if old_index:
        for name in store.keys(f"{branches.system}/wal/00000002/"):
            if name.endswith(".tar"):
                store.write(name, with_index(store.read(name), lambda index: without(index, FIRST_VERSION)))
    copy = recoveries.recover("--immediate", "--copy").pgdata
    assert recoveries.plan("--latest", "--copy", "--timeline", "2")["timeline"] == 2
    walship.ok("fetch", HISTORY, "pg_wal/RECOVERYHISTORY", cwd=copy)
    segment = 16 << 20
    for by, says in ((8, "begins at"), (-1024, "begins at"), (segment, "before that"), (-segment, "begins in segment")):
        store.write(key, move_switch(whole, by))
        result = recoveries.refused(6, "--latest", "--copy", "--timeline", "2", says="timeline 2")
        assert says in result.err or "no timeline begins in" in result.err
        assert "but" in walship.fails(200, "fetch", HISTORY, "pg_wal/RECOVERYHISTORY", cwd=copy).err
    store.write(key, PORTAL)
    walship.fails(200, "fetch", HISTORY, "pg_wal/RECOVERYHISTORY", cwd=copy)


def test_sha256sum_reads_the_digest(branches, store):
    line = store.read(timeline_2(branches) + ".sha256").decode()
    assert line == f"{hashlib.sha256(store.read(timeline_2(branches))).hexdigest()}  {HISTORY}\n"

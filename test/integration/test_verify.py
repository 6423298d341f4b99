"""verify: every kind of damage to every kind of object is named, and what is as it should be is not."""
import json
import os
import time

import pytest

from walship_testing.recovery import backup_key, segment_key
from walship_testing.store import sealed

pytestmark = pytest.mark.directory_only("verify reads through the same store as list, expire and recover")

DAY = 86400
AWAY = object()


def verify(walship, *options, expected=0):
    return json.loads(walship.fails(expected, "verify", "--json", *options).out)


def found(report):
    return {(item["kind"], item["object"], item["key"]) for item in report["findings"]}


def flip(content):
    at = len(content) * 2 // 3
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


class Case:
    """One object, and what may come in its place."""

    def __init__(self, key, other, foreign):
        self.key = key
        self.contents = {"other": other, "foreign": foreign}

    def damage(self, store, how):
        whole = store.read(self.key)
        if how == "deleted":
            store.remove(self.key)
        else:
            changed = {"truncated": whole[: len(whole) * 3 // 5], "bit": flip(whole), **self.contents}[how]
            assert changed != whole
            store.write(self.key, changed)
        return whole


def cases_of(store, story):
    """Of the older backup, and of WAL that only the way from there to the newer one needs."""
    first, second = story.backups
    other_system = {"system_id": "7300000000000000009"}

    def part(name):
        theirs = store.read(backup_key(second, name))
        return Case(backup_key(first, name), theirs, os.urandom(len(theirs)))

    def segment(number):
        return segment_key(story.system, f"{1:08X}{number:016X}")

    record = store.read_json(backup_key(first, "backup.json"))
    return {
        "segment": Case(segment(3), store.read(segment(4)), os.urandom(3000)),
        "part": part(first["parts"][0]["name"]),
        "manifest": part(first["manifest"]["name"]),
        "map": part(first["map"]["name"]),
        "record": Case(
            backup_key(first, "backup.json"),
            store.read(backup_key(second, "backup.json")),
            sealed({**record, **other_system}),
        ),
    }


# By names, sizes and seals; None: only the contents tell.
SEEN = {
    "segment": {"deleted": "gap", "truncated": "truncated", "bit": None, "other": None, "foreign": "truncated"},
    "part": {"deleted": "missing", "truncated": "truncated", "bit": None, "other": AWAY, "foreign": AWAY},
    "manifest": {"deleted": "missing", "truncated": "truncated", "bit": None, "other": AWAY, "foreign": AWAY},
    "map": {"deleted": "missing", "truncated": "truncated", "bit": None, "other": AWAY, "foreign": AWAY},
    "record": {"deleted": "orphaned", "truncated": "corrupt", "bit": "corrupt", "other": "foreign", "foreign": "foreign"},
}


@pytest.mark.parametrize("kind", SEEN)
def test_what_lists_can_tell_is_named(story, walship, store, kind):
    case = cases_of(store, story)[kind]
    for key in store.keys(f"{story.system}/base/"):
        os.utime(store.path(key), (time.time() - DAY, time.time() - DAY))
    assert verify(walship)["passed"] is True
    for how, expected in SEEN[kind].items():
        same_size = len(case.contents.get(how, b"")) == store.path(case.key).stat().st_size
        if expected is None or (expected is AWAY and same_size):
            continue
        whole = case.damage(store, how)
        report = verify(walship, expected=8)
        said = found(report)
        if expected is AWAY:
            assert said in ({("truncated", kind, case.key)}, {("corrupt", kind, case.key)}), how
        elif kind == "record" and how == "deleted":
            assert ("orphaned", "backup", case.key.removesuffix("backup.json")) in said
        else:
            assert (expected, kind, case.key) in said, how
        assert all(item["reason"] and item["remedy"].endswith(".") for item in report["findings"])
        store.write(case.key, whole)
        if kind == "record" or how == "deleted":
            os.utime(store.path(case.key), (time.time() - DAY, time.time() - DAY))
    assert verify(walship)["passed"] is True


def test_history_files_and_their_digests(branches, walship, store):
    key = f"{branches.system}/wal/00000002.history"
    digest = f"{key}.sha256"
    text = store.read(key)
    assert verify(walship)["looked_at"]["histories"] == 1
    for how, change in {
        "deleted": None,
        "truncated": text[:-5],
        "bit": flip(text),
        "other": text.replace(b"1\t0/4", b"1\t0/3", 1),
        "foreign": b"1\t0/2000000\tof another cluster\n",
    }.items():
        if change is None:
            store.remove(key)
        else:
            store.write(key, change)
        kind = "missing" if change is None else "corrupt"
        assert (kind, "history", key) in found(verify(walship, expected=8)), how
        store.write(key, text)
    line = store.read(digest)
    store.write(digest, flip(line))
    assert ("corrupt", "history", key) in found(verify(walship, expected=8))
    store.remove(digest)
    report = verify(walship)
    assert any("00000002.history has no digest" in note for note in report["notes"])


def test_one_line_for_each_finding_then_windows_and_holes(story, walship, store):
    missing = segment_key(story.system, f"{1:08X}{3:016X}")
    part = backup_key(story.backups[1], story.backups[1]["map"]["name"])
    store.remove(missing)
    store.remove(part)
    result = walship.fails(8, "verify")
    lines = result.out.splitlines()
    assert lines[0] == "NOT WELL: 2 findings (1 missing, 1 gap)."
    assert lines[1].startswith("Looked at 2 backups with 7 objects, 6 WAL segments")
    assert lines[2].startswith(f"missing map {part} (backup {story.backups[1]['id']}): its record names it, and")
    assert lines[3].startswith(f"gap segment {1:08X}{3:016X} (backup {story.backups[0]['id']}): 1 segment is missing")
    assert [line.split()[1] for line in lines if line.startswith("       1  ")] == ["window", "HOLE", "window"]


def test_evidence_is_stored_and_read_only_credentials_are_warned(story, walship, store):
    verify(walship)
    (key,) = [key for key in store.keys(f"{story.system}/proof/") if key.endswith("-verify.json")]
    proof = store.read_json(key)
    assert (proof["kind"], proof["passed"], proof["found"], proof["backups"]) == ("verify", True, 0, 2)
    store.remove(backup_key(story.backups[0], story.backups[0]["manifest"]["name"]))
    verify(walship, expected=8)
    proof = store.read_json(store.keys(f"{story.system}/proof/")[-1])
    assert (proof["passed"], proof["missing"], proof["corrupt"]) == (False, 1, 0)
    if os.geteuid() != 0:
        proofs = store.path(f"{story.system}/proof")
        proofs.chmod(0o555)
        try:
            walship.fails(8, "verify", says="could not store the evidence")
        finally:
            proofs.chmod(0o755)


def test_what_keeps_it_from_looking_is_no_finding(story, walship, store):
    with store.outage():
        walship.fails(4, "verify", "--request-timeout", "1s")
    if os.geteuid() != 0:
        with store.unreadable(f"{story.system}/base"):
            walship.fails(5, "verify")


def test_what_expire_removed_is_not_missing(story, walship, store):
    walship.configure(retention="last 1")
    walship.ok("expire", "--force")
    assert verify(walship)["passed"] is True
    walship.configure(retention=None)
    assert verify(walship)["passed"] is True, "the last expire tells what it went by"


def test_a_backup_under_way_is_no_finding(story, walship, store):
    """Nor is what was broken off a moment ago; an hour later it is."""
    record = story.backups[1]
    store.remove(backup_key(record, "backup.json"))
    assert any(record["id"] in note for note in verify(walship)["notes"])
    for key in store.keys(f"{story.system}/base/{record['id']}/"):
        os.utime(store.path(key), (time.time() - 3700, time.time() - 3700))
    assert found(verify(walship, expected=8)) == {("orphaned", "backup", f"{story.system}/base/{record['id']}/")}

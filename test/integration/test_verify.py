"""verify: every kind of damage to every kind of object is named, and what is as it should be is not."""
import json
import os
import time

import pytest

from walship_testing import server as pg
from walship_testing.age import Key, have_age
from walship_testing.objects import with_index
from walship_testing.recovery import backup_key, segment_key, take_backup
from walship_testing.store import sealed

pytestmark = pytest.mark.directory_only("verify reads through the same store as list, expire and recover")

DAY = 86400
AWAY = object()


def have_pg_dump():
    return pg.client_bindir() is not None and (pg.client_bindir() / "pg_dump").is_file()


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
    whole = store.read(segment(3))
    return {
        "segment": Case(segment(3), store.read(segment(4)), with_index(whole, lambda index: {**index, **other_system})),
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
    "segment": {"deleted": "gap", "truncated": "truncated", "bit": None, "other": None, "foreign": None},
    "part": {"deleted": "missing", "truncated": "truncated", "bit": None, "other": AWAY, "foreign": AWAY},
    "manifest": {"deleted": "missing", "truncated": "truncated", "bit": None, "other": AWAY, "foreign": AWAY},
    "map": {"deleted": "missing", "truncated": "truncated", "bit": None, "other": AWAY, "foreign": AWAY},
    "record": {"deleted": "orphaned", "truncated": "corrupt", "bit": "corrupt", "other": "foreign", "foreign": "foreign"},
}


CONTENTS = {("segment", "bit"): "corrupt", ("segment", "other"): "foreign", ("segment", "foreign"): "foreign"}


@pytest.mark.parametrize("kind", SEEN)
def test_every_damage_is_named(story, walship, store, kind):
    """Deep: all of it.  By lists: what they can tell; a deep verify says the same of that."""
    case = cases_of(store, story)[kind]
    for key in store.keys(f"{story.system}/base/"):
        os.utime(store.path(key), (time.time() - DAY, time.time() - DAY))
    assert verify(walship, "--deep")["passed"] is True
    for how, expected in SEEN[kind].items():
        whole = case.damage(store, how)
        same_size = len(whole) == store.path(case.key).stat().st_size if store.exists(case.key) else False
        by_lists = expected is not None and not (expected is AWAY and same_size)
        report = verify(walship, "--deep", expected=8)
        (finding,) = [item for item in report["findings"] if item["key"].startswith(case.key.removesuffix("backup.json"))]
        if expected in (None, AWAY):
            assert finding["kind"] in ({CONTENTS.get((kind, how), "corrupt")} if same_size else {"truncated", "corrupt", "foreign"})
        else:
            assert finding["kind"] == expected, how
        assert finding["object"] == ("backup" if expected == "orphaned" else kind)
        assert finding["reason"] and finding["remedy"].endswith(".")
        assert found(verify(walship, expected=8 if by_lists else 0)) == (found(report) if by_lists else set()), how
        store.write(case.key, whole)
        os.utime(store.path(case.key), (time.time() - DAY, time.time() - DAY))
    assert verify(walship, "--deep")["passed"] is True
    assert store.keys(f"{story.system}/lease/") == []


def assert_all_named(walship, store, key, object_name, other):
    """By lists, and deep."""
    whole = store.read(key)
    is_record = key.endswith(".json")
    by_lists = {"truncated": "truncated", "bit": None, "other": None if len(other) == len(whole) else AWAY}
    by_lists = {how: "corrupt" for how in by_lists} if is_record else {"deleted": "missing", **by_lists}
    for how, expected in by_lists.items():
        if how == "deleted":
            store.remove(key)
        else:
            store.write(key, {"truncated": whole[: len(whole) * 3 // 5], "bit": flip(whole), "other": other}[how])
        (finding,) = verify(walship, "--deep", expected=8)["findings"]
        assert (finding["object"], finding["key"]) == (object_name, key), how
        assert finding["kind"] == (expected or "corrupt") or expected is AWAY, how
        assert verify(walship, expected=8 if expected else 0)["found"] == (1 if expected else 0), how
        store.write(key, whole)


def test_sets_of_files(story, walship, store, directory):
    tree = directory / "tree"
    tree.mkdir()
    (tree / "first").write_bytes(os.urandom(3000))
    walship.configure(system=story.system)
    first = json.loads(walship.ok("files", "up", tree, "--json").out)
    (tree / "second").write_bytes(os.urandom(2000))
    second = json.loads(walship.ok("files", "up", tree, "--json").out)
    place = f"{story.system}/files/up/{{}}/".format
    part = next(key for key in store.keys(place(first["id"])) if "files-0001" in key)
    theirs = next(key for key in store.keys(place(second["id"])) if "files-0001" in key)
    assert verify(walship, "--deep")["looked_at"]["file_sets"] == 2
    for key, other in {
        theirs: store.read(part),
        next(key for key in store.keys(place(second["id"])) if "/list." in key): b"x" * 100,
        f"{place(second['id'])}files.json": store.read(f"{place(first['id'])}files.json"),
    }.items():
        assert_all_named(walship, store, key, "files", other)

    # Without its record the first set is none; what the second one needs of it is no leftover.
    for key in store.keys(place(first["id"])):
        if key != part:
            store.remove(key)
    assert verify(walship, "--deep")["looked_at"]["file_sets"] == 1
    for key in store.keys(place(second["id"])):
        if key.endswith("files.json"):
            store.remove(key)
    assert verify(walship)["passed"] is True, "within the hour"
    for key in store.keys(f"{story.system}/files/"):
        os.utime(store.path(key), (time.time() - DAY, time.time() - DAY))
    assert found(verify(walship, expected=8)) == {("orphaned", "files", place(each["id"])) for each in (first, second)}


@pytest.mark.skipif(not have_pg_dump(), reason="pg_dump is not installed")
def test_dumps(story, walship, store, server):
    if server.system_identifier() != story.system:
        pytest.skip("the server has another system identifier")
    server.write_rows(100)
    walship.ok("dump", env=server.pg_environment)
    walship.ok("dump", env=server.pg_environment)
    keys = store.keys(f"{story.system}/dump/")
    ids = sorted({key.split("/")[2] for key in keys})
    assert len(ids) == 2 and verify(walship, "--deep")["looked_at"]["dumps"] == 2
    archive = next(key for key in keys if ids[0] in key and ".dump" in key)
    assert_all_named(walship, store, archive, "dump", os.urandom(500))
    record = f"{story.system}/dump/{ids[0]}/dump.json"
    assert_all_named(walship, store, record, "dump", store.read(record.replace(ids[0], ids[1])))

    # A store of dumps alone lacks no backup.
    store.remove_all(f"{story.system}/base/")
    assert ("missing", "backup", f"{story.system}/base/") in found(verify(walship, expected=8))
    store.remove_all(f"{story.system}/wal/")
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


def test_what_is_read_can_be_chosen(story, walship, store):
    first, second = story.backups
    everything = verify(walship, "--deep")["read"]
    assert everything["objects"] == 8 and everything["segments"] == 7 and everything["locked"] == 0
    assert everything["stored_size"] > 3_000_000
    assert verify(walship, "--newer", "1h")["read"] == everything
    for key in store.keys(f"{story.system}/wal/"):
        os.utime(store.path(key), (time.time() - DAY, time.time() - DAY))
    assert verify(walship, "--newer", "12h")["read"]["segments"] == 0
    some = verify(walship, "--sample", "30%")["read"]
    assert some["segments"] <= 7 and some["objects"] <= 8
    assert verify(walship, "--sample", "100%")["read"] == everything
    for wrong in ("5", "0%", "101%", "x%"):
        walship.fails(2, "verify", "--sample", wrong, says="is no sample")
    walship.fails(2, "verify", "--newer", "x", says="is no age")


def test_everything_has_its_turn(story, walship, store):
    """Also when other runs come between, and when one is lost."""
    everything = verify(walship, "--deep")["read"]
    turns = []
    for turn in range(4):
        turns.append(verify(walship, "--rotate", "3"))
        verify(walship)
        verify(walship, "--sample", "50%")
    assert [turn["slice"] for turn in turns] == [0, 1, 2, 0]
    for member in ("objects", "segments"):
        if member == "segments":
            assert sum(turn["read"][member] for turn in turns[:3]) == everything[member]
        else:  # a manifest is read along with every part
            assert everything[member] <= sum(turn["read"][member] for turn in turns[:3])
    broken = segment_key(story.system, f"{1:08X}{3:016X}")
    store.write(broken, flip(store.read(broken)))
    results = [walship.run("verify", "--rotate", "3").rc for _ in range(3)]
    assert sorted(results) == [0, 0, 8]
    walship.fails(2, "verify", "--rotate", "1", says="no number of parts")


def test_a_gap_that_is_known_counts_no_more(story, walship, store):
    first, second = story.backups
    name, behind = f"{1:08X}{3:016X}", f"{1:08X}{7:016X}"
    store.remove(segment_key(story.system, name))
    assert found(verify(walship, expected=8)) == {("gap", "segment", segment_key(story.system, name))}
    walship.fails(2, "verify", "--acknowledge", f"{1:08X}{4:016X}", says="nothing is found from")
    walship.fails(2, "verify", "--acknowledge", f"{behind}-{name}", says="no segments of one timeline")
    walship.fails(2, "verify", "--note", "why", says="--note is for --acknowledge")
    assert store.keys(f"{story.system}/gap/") == []

    report = verify(walship, "--acknowledge", f"{name}-{name}", "--note", "disk of May")
    assert report["passed"] is True and report["found"] == 0
    assert [item["acknowledged"] for item in report["findings"]] == [True]
    assert store.keys(f"{story.system}/gap/") == [f"{story.system}/gap/{name}-{name}.json"]
    result = walship.ok("verify")
    assert "note: the gap from" in result.out and "(disk of May)" in result.out and "HOLE" in result.out

    kept = {key: store.read(key) for key in store.keys(f"{story.system}/base/{second['id']}/")}
    store.remove_all(f"{story.system}/base/{second['id']}/")
    report = verify(walship, expected=8)
    assert ("gap", "segment", segment_key(story.system, name)) in found(report)
    assert any("counts again" in note for note in report["notes"])
    store.remove(f"{story.system}/gap/{name}-{name}.json")
    walship.fails(8, "verify", "--acknowledge", name, says="no complete backup comes after it")
    for key, content in kept.items():
        store.write(key, content)


def test_one_backup_alone(story, walship, store):
    first, second = story.backups
    store.remove(segment_key(story.system, f"{1:08X}{3:016X}"))
    part = backup_key(second, second["parts"][0]["name"])
    store.write(part, flip(store.read(part)))
    report = verify(walship, "--deep", "--backup", first["id"])
    assert report["read"] == {**report["read"], "objects": 4, "segments": 0} and report["looked_at"]["backups"] == 1
    assert found(verify(walship, "--deep", "--backup", second["id"], expected=8)) == {("corrupt", "part", part)}
    walship.fails(9, "verify", "--backup", "20200101T000000Z-abcd", says="there is no backup")
    walship.fails(2, "verify", "--backup", "nonsense", says="no id of a backup")


def test_a_damaged_manifest_keeps_no_part_from_being_looked_at(story, walship, store):
    first, _ = story.backups
    damaged = [backup_key(first, first["manifest"]["name"]), backup_key(first, first["parts"][0]["name"])]
    for key in damaged:
        store.write(key, flip(store.read(key)))
    report = verify(walship, "--deep", expected=8)
    assert {item["key"] for item in report["findings"]} == set(damaged)


@pytest.mark.skipif(not have_age(), reason="the program age makes the keys")
def test_without_the_key_stored_bytes_are_hashed(walship, store, server, directory):
    key, other = Key(directory / "key"), Key(directory / "other")
    walship.configure(recipients=key.public, identity_file=key.path)
    record = take_backup(walship, server)
    server.switch_and_archive()
    read = verify(walship, "--deep")["read"]
    assert read["locked"] == 0

    walship.configure(identity_file=None)
    report = verify(walship, "--deep")
    assert report["read"] == {**read, "locked": read["objects"] + read["segments"]}
    assert any("this host has no key" in note for note in report["notes"])
    part = backup_key(record, record["parts"][0]["name"])
    segment = next(name for name in store.keys(f"{record['system_id']}/wal/") if name.endswith(".tar"))
    for name in (part, segment):
        whole = store.read(name)
        store.write(name, flip(whole))
        kind = "part" if name == part else "segment"
        assert found(verify(walship, "--deep", expected=8)) == {("corrupt", kind, name)}
        store.write(name, whole)

    walship.configure(identity_file=other.path)
    report = verify(walship, "--deep", expected=8)
    assert {item["kind"] for item in report["findings"]} == {"unreadable key"}
    assert found(verify(walship, expected=8)) == {("unreadable key", "backup", backup_key(record, ""))}

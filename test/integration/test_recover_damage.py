"""Damaged backups: recover says so, keeps its exit code, and leaves the target directory as it was."""
import pytest

from walship_testing.recovery import backup_key, snapshot_of
from walship_testing.store import sealed


def flip(place):
    def damage(content):
        at = int(len(content) * place)
        return content[:at] + bytes([content[at] ^ 0x20]) + content[at + 1 :]

    return damage


def truncate(content):
    return content[: len(content) // 2]


def empty(_):
    return b""


def append(content):
    return content + b"more"


HOW = {"flipped early": flip(0.01), "flipped late": flip(0.9), "truncated": truncate, "empty": empty, "longer": append}


@pytest.fixture(params=["absent", "empty"])
def target(request, directory):
    place = directory / "target"
    if request.param == "empty":
        place.mkdir()
    return place


def damage_part(store, record, name, how):
    key = backup_key(record, name)
    store.write(key, HOW[how](store.read(key)))


def assert_refused(walship, target, *options, expected=6, names=()):
    before = snapshot_of(target) if target.exists() else None
    result = walship.fails(expected, "recover", *(options or ["--immediate"]), "--pgdata", target)
    for name in names:
        assert name in result.err, str(result)
    if before is None:
        assert not target.exists(), str(result)
    else:
        assert list(target.iterdir()) == [], str(result)
    return result


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_part_is_noticed_and_named(story, store, walship, target, how):
    name = first_part(story.backups[1], "base")
    damage_part(store, story.backups[1], name, how)
    assert_refused(walship, target, names=[name, story.backups[1]["id"]])


def first_part(record, kind):
    return next(part["name"] for part in record["parts"] if part["set"] == kind)


def last_part(record, kind):
    return [part["name"] for part in record["parts"] if part["set"] == kind][-1]


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_manifest_is_noticed_and_named(story, store, walship, target, how):
    name = story.backups[1]["manifest"]["name"]
    damage_part(store, story.backups[1], name, how)
    assert_refused(walship, target, names=[name, story.backups[1]["id"]])


@pytest.mark.parametrize("how", ["flipped early", "truncated"])
def test_damaged_wal_inside_a_backup_is_noticed_when_it_is_needed(story, store, walship, target, how):
    store.remove_all(f"{story.system}/wal/")
    name = first_part(story.backups[1], "wal")
    damage_part(store, story.backups[1], name, how)
    assert_refused(walship, target, "--from-backup-only", names=[name])


@pytest.mark.parametrize("kind", ["base", "manifest", "wal"])
def test_a_missing_object_is_noticed_and_named(story, store, walship, target, kind):
    record = story.backups[1]
    name = record["manifest"]["name"] if kind == "manifest" else last_part(record, kind)
    store.remove(backup_key(record, name))
    options = ["--from-backup-only"] if kind == "wal" else ["--immediate"]
    assert_refused(walship, target, *options, names=[name])


def test_a_part_replaced_by_another_is_noticed(story, store, walship, target):
    """Both are whole; only the record knows which is which."""
    record = story.backups[1]
    first, last = first_part(record, "base"), last_part(record, "base")
    if first == last:
        first = last_part(record, "wal")
    a, b = store.read(backup_key(record, first)), store.read(backup_key(record, last))
    store.write(backup_key(record, first), b)
    store.write(backup_key(record, last), a)
    assert_refused(walship, target)


def test_a_part_replaced_by_that_of_another_backup_is_noticed(story, store, walship, target):
    older, newer = story.backups
    name = first_part(newer, "base")
    store.write(backup_key(newer, name), store.read(backup_key(older, first_part(older, "base"))))
    assert_refused(walship, target, names=[name])


def test_a_manifest_of_another_backup_is_noticed(story, store, walship, target):
    """Its digest is right in the record, too: only the files themselves tell."""
    older, newer = story.backups
    name = newer["manifest"]["name"]
    store.write(backup_key(newer, name), store.read(backup_key(older, name)))
    record = store.read_json(backup_key(newer, "backup.json"))
    record["manifest"] = older["manifest"]
    store.write(backup_key(newer, "backup.json"), sealed(record))
    assert_refused(walship, target)


@pytest.mark.parametrize("how", ["truncated", "empty", "no JSON", "another format", "a flipped digit"])
def test_a_damaged_record_is_passed_over_and_named(story, store, walship, recoveries, how):
    older, newer = story.backups
    key = backup_key(newer, "backup.json")
    record = store.read_json(key)
    record["format"] = 99
    text = {
        "truncated": store.read(key)[:100],
        "empty": b"",
        "no JSON": b"\\0\\1\\2",
        "another format": sealed(record),
        "a flipped digit": store.read(key).replace(b'"timeline":\t1', b'"timeline":\t3'),
    }[how]
    store.write(key, text)
    plan = recoveries.plan("--target-time", story.moment("evening").time)
    assert plan["backup"]["id"] == older["id"]
    assert any(newer["id"] in warning for warning in plan["warnings"]), plan["warnings"]
    recoveries.refused(9, "--immediate", "--backup", newer["id"], says=newer["id"])
    listed = walship.run("list")
    assert newer["id"] in listed.out + listed.err, str(listed)
    assert older["id"] in listed.out


@pytest.mark.parametrize("target", ["--immediate", "--from-backup-only"])
def test_the_end_of_a_backup_is_not_that_of_an_older_one_when_the_newest_record_is_damaged(
    story, store, recoveries, target
):
    older, newer = story.backups
    key = backup_key(newer, "backup.json")
    store.write(key, store.read(key)[:100])
    recoveries.refused(6, target, says=newer["id"])
    recoveries.refused(6, target, says=f"--backup {older['id']}")
    assert recoveries.plan(target, "--backup", older["id"])["backup"]["id"] == older["id"]


def test_a_record_that_says_something_else_than_its_parts_is_noticed(story, store, walship, target):
    """Sealed by who had no right to: the parts themselves tell."""
    key = backup_key(story.backups[1], "backup.json")
    record = store.read_json(key)
    part = record["parts"][0]
    part["stored_sha256"] = part["stored_sha256"][::-1]
    store.write(key, sealed(record))
    assert_refused(walship, target, names=[part["name"]])


def test_the_older_backup_is_still_good_when_the_newer_is_damaged(story, store, walship, recoveries):
    older, newer = story.backups
    damage_part(store, newer, first_part(newer, "base"), "flipped late")
    evening = story.moment("evening")
    recoveries.refused(6, "--target-time", evening.time, says=newer["id"])
    copy = recoveries.copy("--target-time", evening.time, "--backup", older["id"])
    assert copy.checksums() == evening.tables


@pytest.mark.smoke
def test_what_was_moved_aside_is_back_after_a_failure(story, store, walship, directory):
    occupied = directory / "occupied"
    occupied.mkdir()
    (occupied / "precious").write_text("precious")
    before = snapshot_of(occupied)
    damage_part(store, story.backups[1], last_part(story.backups[1], "base"), "flipped late")
    walship.fails(6, "recover", "--immediate", "--move-aside", "--pgdata", occupied)
    assert snapshot_of(occupied) == before
    assert not [path for path in directory.iterdir() if path.name.startswith("occupied.")]


def test_a_damaged_backup_that_is_not_the_newest_does_not_disturb(story, store, recoveries):
    older, _ = story.backups
    damage_part(store, older, first_part(older, "base"), "empty")
    evening = story.moment("evening")
    copy = recoveries.copy("--target-time", evening.time)
    assert copy.checksums() == evening.tables


def mark_page_errors(store, record):
    key = backup_key(record, "backup.json")
    marked = store.read_json(key)
    marked["page_errors"] = True
    store.write(key, sealed(marked))


def test_a_backup_with_page_errors_is_passed_over_for_an_older_one(story, store, recoveries):
    older, newer = story.backups
    mark_page_errors(store, newer)
    evening = story.moment("evening")
    plan = recoveries.plan("--target-time", evening.time)
    assert plan["backup"]["id"] == older["id"]
    assert [item["id"] for item in plan["rejected"]] == [newer["id"]]
    copy = recoveries.copy("--target-time", evening.time)
    assert copy.checksums() == evening.tables


def test_a_backup_with_page_errors_is_used_when_it_is_named_and_warned_of(story, store, recoveries):
    newer = story.backups[1]
    mark_page_errors(store, newer)
    evening = story.moment("evening")
    plan = recoveries.plan("--target-time", evening.time, "--backup", newer["id"])
    assert any("wrong checksums" in warning for warning in plan["warnings"]), plan
    copy = recoveries.copy("--target-time", evening.time, "--backup", newer["id"])
    assert copy.checksums() == evening.tables


def test_a_backup_whose_own_wal_is_not_inside_depends_on_the_archive(story, store, recoveries):
    newer = story.backups[1]
    key = backup_key(newer, "backup.json")
    record = store.read_json(key)
    record["wal_inside"] = False
    record["parts"] = [part for part in record["parts"] if part["set"] != "wal"]
    store.write(key, sealed(record))
    evening = story.moment("evening")
    copy = recoveries.copy("--target-time", evening.time)
    assert recoveries.plan("--target-time", evening.time)["backup"]["id"] == newer["id"]
    assert copy.checksums() == evening.tables
    store.remove_all(f"{story.system}/wal/")
    recoveries.refused(9, "--immediate", "--backup", newer["id"], says=newer["id"])
    recoveries.refused(9, "--from-backup-only", "--backup", newer["id"], says="does not hold its own WAL")

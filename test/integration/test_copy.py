"""A second store: what the first has and the second lacks is sent, whole and once; what is damaged is named."""
import hashlib
import json
import random
import time

import pytest

from walship_testing import crash
from walship_testing import server as pg
from walship_testing import trees
from walship_testing.age import Key
from walship_testing.objects import index_of
from walship_testing.recovery import Recoveries, backup_key, load_archive, segment_key, tell_story
from walship_testing.store import DirectoryStore, create_store, sealed
from walship_testing.walship import Walship


@pytest.fixture
def offsite(directory, walship):
    """A store that the settings name "offsite"."""
    made = DirectoryStore(directory / "offsite")
    create_store(made, directory)
    name_offsite(walship, made)
    return made


def name_offsite(walship, offsite, **settings):
    lines = {"store": offsite.url, **settings}
    walship.sections = "[store offsite]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())
    walship.write_config()


def copied(walship, *options, expected=0, to="offsite"):
    return json.loads(walship.fails(expected, "copy", "--to", to, "--json", *options).out)


def objects(report, what="copied"):
    return sum(item["objects"] for item in report[what].values())


def archive_of(store):
    """What is in every copy: neither leases nor evidence."""
    return {key: value for key, value in store.snapshot().items() if "/lease/" not in key and "/proof/" not in key}


def part_of(record, part_set):
    return backup_key(record, next(part["name"] for part in record["parts"] if part["set"] == part_set))


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1:]


def test_a_copy_is_a_whole_store(story, walship, store, offsite, servers, directory):
    walship.ok("pin", story.backups[0]["id"], "--note", "kept")
    expected = archive_of(store)
    dry = copied(walship, "--dry-run")
    assert objects(dry, "missing") == len(expected) and objects(dry) == 0 and offsite.keys() == []

    report = copied(walship)
    assert archive_of(offsite) == expected == archive_of(store)
    assert objects(report) == len(expected) and report["findings"] == []
    assert report["copied"]["records"]["objects"] == 2 and report["copied"]["pins"]["objects"] == 1
    assert offsite.keys(f"{story.system}/lease/") == store.keys(f"{story.system}/lease/") == []

    again = copied(walship)
    assert objects(again) == 0 and again["present"]["objects"] == len(expected) - 1

    elsewhere = Walship(directory / "elsewhere", offsite.settings)
    live = Recoveries(elsewhere, servers).live(
        "--target-time", story.moment("mistake").time, "--copy", "--action", "promote"
    )
    assert live.checksums() == story.moment("mistake").tables


def test_from_a_url_into_the_own_store(walship, store, cache, directory):
    story = load_archive(cache, "story", tell_story)
    archive = DirectoryStore(directory / "archive")
    create_store(archive, directory)
    story.into(archive)
    result = walship.ok("copy", "--from", archive.url)
    assert f"from {archive.url} to {store.url}" in result.out
    assert archive_of(store) == archive.snapshot()


@pytest.mark.directory_only("what is asked is no matter of the store")
def test_what_cannot_be_meant_is_refused(story, walship, store, offsite, directory):
    walship.fails(2, "copy", says='needs "--to STORE" or "--from STORE"')
    walship.fails(2, "copy", "--to", "offsite", "--from", "offsite", says="exclude each other")
    walship.fails(2, "copy", "--to", store.url, says="both are the same store")
    assert "there are offsite" in walship.fails(2, "copy", "--to", "offside", says='unknown store "offside"').err
    (directory / "link").symlink_to(store.path(""))
    for same in (f"file://{directory}/link", f"{store.url}/"):
        walship.fails(2, "copy", "--to", same, says="both are the same store")
        walship.fails(0, "list", "--second-store", same, says="is the store itself, and no second copy")
    walship.fails(2, "copy", "--to", "offsite", "--window", says="has no window")
    walship.fails(2, "copy", "--to", "offsite", "--window", "soon", says="no length of a window")
    walship.fails(1, "copy", "--to", "offsite", "--backup", "20200101T000000Z-abcd", says="is not in store")
    (directory / "bare").mkdir()
    walship.fails(4, "copy", "--to", f"file://{directory}/bare")
    assert offsite.keys() == []


@pytest.mark.directory_only("settings are no matter of the store")
def test_a_named_store_has_its_own_settings(story, walship, store, offsite):
    copied(walship)
    here = json.loads(walship.ok("list", "--json").out)
    there = json.loads(walship.ok("list", "--json", "--store", "offsite").out)
    assert [item["id"] for item in there["backups"]] == [item["id"] for item in here["backups"]]
    name_offsite(walship, offsite, retention="last 1")
    walship.configure(retention="last 9")
    plan = json.loads(walship.fails(8, "expire", "--json", "--dry-run", "--store", "offsite").out)
    assert plan["retention"] == "last 1"
    result = walship.fails(2, "list", "--store", "offsite", "--s3-region", "x", says="--s3-region does not go with")
    assert "[store offsite]" in result.err
    name_offsite(walship, offsite, jobs=3)
    walship.fails(2, "list", says='setting "jobs" is not one of a store')


@pytest.mark.directory_only("what goes by retention is no matter of the store")
def test_the_retention_of_the_target_decides(story, walship, store, offsite):
    name_offsite(walship, offsite, retention="last 1")
    old, new = story.backups
    copied(walship)
    assert offsite.exists(backup_key(new, "backup.json")) and offsite.keys(backup_key(old, "")) == []
    assert len(offsite.keys(f"{story.system}/wal/")) < len(store.keys(f"{story.system}/wal/"))
    walship.ok("expire", "--store", "offsite", "--force")
    kept = archive_of(offsite)
    assert objects(copied(walship)) == 0 and archive_of(offsite) == kept
    walship.ok("pin", old["id"])
    assert objects(copied(walship)) > 0
    assert offsite.exists(backup_key(old, "backup.json"))


@pytest.mark.directory_only("what is chosen is no matter of the store")
def test_one_backup_or_a_window(story, walship, store, offsite, servers, directory):
    old, new = story.backups
    copied(walship, "--backup", old["id"])
    assert offsite.exists(backup_key(old, "backup.json")) and offsite.keys(backup_key(new, "")) == []
    assert offsite.keys(f"{story.system}/wal/") == []
    elsewhere = Walship(directory / "elsewhere", offsite.settings)
    Recoveries(elsewhere, servers).live("--immediate", "--copy", "--action", "promote").stop()
    copied(walship, "--window", "1h")
    before_both = segment_key(story.system, "000000010000000000000001")
    assert set(store.keys()) - set(offsite.keys()) <= {before_both}
    live = Recoveries(elsewhere, servers).live(
        "--target-time", story.moment("morning").time, "--copy", "--action", "promote", name="morning"
    )
    assert live.checksums() == story.moment("morning").tables


@pytest.mark.directory_only("what is damaged is no matter of the store")
def test_damage_at_the_source_is_named_and_not_copied(story, walship, store, offsite):
    old, new = story.backups
    segments = [key for key in store.keys(f"{story.system}/wal/") if key.endswith(".tar")]
    other = store.read(segments[3])
    part = part_of(old, "base")
    store.write(segments[0], flipped(store.read(segments[0])))
    store.write(segments[1], store.read(segments[1])[:-1000])
    store.write(segments[2], other)
    store.write(part, flipped(store.read(part)))
    whole = archive_of(store)
    report = copied(walship, expected=8)
    damaged = {segments[0], segments[1], segments[2], part}
    assert {item["key"] for item in report["findings"]} == damaged
    assert {item["problem"] for item in report["findings"]} == {"damaged"}
    assert set(whole) - set(offsite.keys()) == damaged | {backup_key(old, "backup.json")}
    result = walship.fails(8, "copy", "--to", "offsite")
    assert f"DAMAGED at the source, not copied: {segments[0]}" in result.out

    # What the target has already is not looked at; what the source lacks is named.
    store.remove(backup_key(new, new["manifest"]["name"]))
    assert {item["key"] for item in copied(walship, expected=8)["findings"]} == damaged
    offsite.remove(backup_key(new, "backup.json"))
    findings = copied(walship, expected=8)["findings"]
    assert ["lacking", backup_key(new, "backup.json")] in [[item["problem"], item["key"]] for item in findings]
    assert not offsite.exists(backup_key(new, "backup.json"))


@pytest.mark.directory_only("what differs is no matter of the store")
def test_another_object_in_the_target_is_left_as_it_is(story, walship, store, offsite):
    segments = [key for key in store.keys(f"{story.system}/wal/") if key.endswith(".tar")]
    offsite.write(segments[0], b"something else")
    expected = archive_of(store)
    result = walship.fails(3, "copy", "--to", "offsite", says="other objects under the same keys")
    assert f"DIFFERS in the target, left as it is: {segments[0]}" in result.out
    assert archive_of(offsite) == {**expected, segments[0]: b"something else"}


@pytest.mark.directory_only("a writer of one's own")
def test_a_segment_of_another_writer_is_the_same(walship, server, store, offsite, directory):
    """A server may archive into both; how it was compressed and encrypted makes no difference, and no key is needed."""
    walship.configure(recipients=Key(directory / "key").public)
    server.write_rows(100)
    name = server.switch_and_archive()
    other = Walship(directory / "other", {**offsite.settings, "compression": "zstd"})
    other.ok("push", server.pgdata / "pg_wal" / name, cwd=server.pgdata)
    key = segment_key(server.system_identifier(), name)
    before = offsite.read(key)
    assert len(before) != len(store.read(key)) and index_of(store.read(key))["recipients"]
    server.write_rows(100)
    following = segment_key(server.system_identifier(), server.switch_and_archive())
    walship.configure(recipients=None)
    assert copied(walship)["findings"] == []
    assert offsite.read(following) == store.read(following)
    assert offsite.read(key) == before


@pytest.mark.directory_only("it stops at the system calls that make files")
def test_killed_anywhere_the_next_run_goes_on(story, walship, store, offsite, directory):
    crash.need_strace()
    walship.configure(jobs=1)
    expected = archive_of(store)
    copy = walship.command("copy", "--to", "offsite")
    steps = crash.count_calls(copy, directory)
    killed = 0
    for point in crash.points({step: times for step, times in steps.items() if "link" in step[1] or "rename" in step[1]}, 5):
        offsite.remove_all()
        killed += crash.killed_at(copy, point)
        for record in story.backups:
            if offsite.exists(backup_key(record, "backup.json")):
                prefix = backup_key(record, "")
                assert offsite.keys(prefix) == store.keys(prefix), "a record came before what it names"
        there = archive_of(offsite)
        assert there.items() <= expected.items()
        report = copied(walship)
        assert objects(report) == len(expected) - len(there)
        assert archive_of(offsite) == expected
    assert killed >= 5, "strace killed nothing"


@pytest.mark.directory_only("what is at work is no matter of the store")
def test_two_copies_at_once(story, walship, store, offsite):
    runs = [walship.start("copy", "--to", "offsite") for _ in range(2)]
    for run in runs:
        _, err = run.communicate(timeout=50)
        assert run.returncode == 0, err
    assert archive_of(offsite) == archive_of(store)


@pytest.mark.directory_only("what is at work is no matter of the store")
@pytest.mark.parametrize("where", ["source", "target"])
def test_beside_an_expire(story, walship, store, offsite, servers, directory, where):
    """Whatever is removed meanwhile: what has a record is whole, and the newest backup recovers."""
    old, new = story.backups
    if where == "target":
        copied(walship, "--backup", old["id"])
        name_offsite(walship, offsite, retention="last 1")
        run = walship.start("copy", "--to", offsite.url)
        expire = walship.run("expire", "--force", "--store", "offsite", timeout=50)
    else:
        walship.configure(retention="last 1")
        run = walship.start("copy", "--to", "offsite")
        expire = walship.run("expire", "--force", timeout=50)
    _, err = run.communicate(timeout=50)
    assert run.returncode == 0, err
    assert expire.rc == 0, str(expire)
    for record in story.backups:
        if offsite.exists(backup_key(record, "backup.json")):
            names = {part["name"] for part in record["parts"]} | {record["manifest"]["name"]}
            assert {backup_key(record, name) for name in names} <= set(offsite.keys(backup_key(record, "")))
    copied(walship)
    elsewhere = Walship(directory / "elsewhere", offsite.settings)
    live = Recoveries(elsewhere, servers).live(
        "--target-time", story.moment("mistake").time, "--copy", "--action", "promote"
    )
    assert live.checksums() == story.moment("mistake").tables



def fetched(walship, directory, name, expected=0, *options, cwd=None):
    dest = directory / "fetched"
    dest.unlink(missing_ok=True)
    result = walship.fails(expected, "fetch", *options, name, dest, cwd=cwd)
    return dest.read_bytes() if expected == 0 else result


@pytest.fixture
def mirrored(story, walship, store, offsite):
    """Both stores have everything, and the second is set."""
    copied(walship)
    walship.configure(second_store="offsite")
    return story


@pytest.mark.directory_only("one store is like another")
def test_fetch_takes_what_is_missing_or_damaged_from_the_second_store(mirrored, walship, store, offsite, directory):
    key = [key for key in store.keys(f"{mirrored.system}/wal/") if key.endswith(".tar")][3]
    name = key.split("/")[-1][:24]
    walship.configure(system=mirrored.system)
    whole = store.read(key)
    expected = fetched(walship, directory, name)
    for damaged in (None, flipped(whole), whole[:-2000], whole[:100]):
        if damaged is None:
            store.remove(key)
        else:
            store.write(key, damaged)
        assert fetched(walship, directory, name) == expected
        assert store.exists(key) == (damaged is not None), "the first store is not touched"
        code = 1 if damaged is None else 6
        fetched(walship, directory, name, code, "--without-second-store")
    offsite.write(key, flipped(offsite.read(key)))
    fetched(walship, directory, name, 6)
    nowhere = "0000000100000000000000FF"
    fetched(walship, directory, nowhere, 1)
    with offsite.outage():
        result = fetched(walship, directory, nowhere, 4)
        assert "its second store is not to be asked" in result.err and "--without-second-store" in result.err
        fetched(walship, directory, nowhere, 1, "--without-second-store")
        fetched(walship, directory, "0000000100000000000000FE", 1, "--second-store", "none")
        other = [key for key in store.keys(f"{mirrored.system}/wal/") if key.endswith(".tar")][1]
        fetched(walship, directory, other.split("/")[-1][:24])
    walship.fails(2, "fetch", "--second-store", "none", "--without-second-store", nowhere, directory / "x")


@pytest.mark.directory_only("one store is like another")
def test_a_recovery_from_two_halves(mirrored, walship, store, offsite, recoveries):
    """Each object is whole in one of the two stores only, or missing there: the recovery needs both."""
    chooser = random.Random(20261129)
    for number, key in enumerate(store.keys()):
        halves = (store, offsite) if number % 2 == 0 else (offsite, store)
        content = halves[0].read(key)
        if key.endswith(".history"):
            continue
        halves[0].remove(key)
        damage = chooser.choice(["missing", "flipped", "cut"])
        if damage != "missing":
            halves[0].write(key, flipped(content) if damage == "flipped" else content[:-1])
    live = recoveries.live("--target-time", mirrored.moment("mistake").time, "--copy", "--action", "promote")
    assert live.checksums() == mirrored.moment("mistake").tables
    assert "fails its checks; it is read from store" in live.recovery.err
    recoveries.refused(6, "--latest", "--copy", "--without-second-store", name="without")


@pytest.mark.directory_only("one store is like another")
def test_list_find_and_drill_look_into_both(mirrored, walship, store, offsite):
    """As a recovery does: each of the two has an older backup and some WAL that the other lacks or has damaged."""

    def seen(*options):
        listed = json.loads(walship.ok("list", "--json", *options).out)
        found = json.loads(walship.ok("find", "--commits", "--json", *options).out)["found"]
        commits = [(item["time"], item["lsn"]) for item in found]
        return [item["id"] for item in listed["backups"]], listed["timelines"][0]["windows"], commits

    def drilled(*options):
        return json.loads(walship.ok("drill", "--plan", "--immediate", "--backup", "oldest", "--json", *options).out)

    old, new = mirrored.backups
    whole, plan = seen(), drilled()
    assert whole == seen("--without-second-store") and plan["backup"]["id"] == old["id"]
    segments = [key for key in store.keys(f"{mirrored.system}/wal/") if key.endswith(".tar")]
    store.remove(backup_key(old, "backup.json"))
    store.write(segments[1], flipped(store.read(segments[1])))
    store.remove(segments[2])
    offsite.remove(backup_key(new, "backup.json"))
    offsite.remove(segments[3])
    assert seen() == whole and drilled() == plan
    assert json.loads(walship.ok("list", "--json", "--without-second-store").out)["backups"][0]["id"] == new["id"]
    with offsite.outage():
        for command in (["list"], ["list", "--dumps"], ["list", "--files"], ["find"], ["drill", "--plan"]):
            walship.fails(4, *command, says="--without-second-store")
        walship.ok("list", "--without-second-store")
        walship.ok("drill", "--history")


@pytest.mark.directory_only("one store is like another")
def test_an_expire_of_the_second_store_leaves_what_is_read_there(mirrored, walship, store, offsite, recoveries):
    """A recovery and a drill have their leases in both stores, for each has its own retention."""
    name_offsite(walship, offsite, retention="last 1")
    walship.configure(second_store="offsite")
    old, new = mirrored.backups
    key = part_of(old, "base")
    store.remove(key)
    live = recoveries.recover("--target-time", mirrored.moment("morning").time, "--copy", "--action", "promote")
    assert store.keys(f"{mirrored.system}/lease/") == offsite.keys(f"{mirrored.system}/lease/") != []
    plan = json.loads(walship.ok("expire", "--json", "--force", "--store", "offsite").out)
    assert [item["keep"] for item in plan["backups"]] == [True, True]
    assert "in use by recover (host " in plan["backups"][0]["reason"]
    assert offsite.exists(key)
    live.start()
    live.wait_promoted()
    assert live.checksums() == mirrored.moment("morning").tables


@pytest.mark.directory_only("the directory's permissions are what is changed")
def test_a_second_store_that_can_only_be_read_is_warned_of(mirrored, walship, store, offsite, recoveries):
    system = offsite.path(str(mirrored.system))
    system.chmod(0o555)
    try:
        result = recoveries.recover("--latest", "--copy").recovery
    finally:
        system.chmod(0o755)
    assert result.err.count("could not write a lease") == 1 and str(offsite.path("")).rstrip("/") in result.err


@pytest.mark.directory_only("one store is like another")
def test_a_second_store_that_is_dead(mirrored, walship, store, offsite, recoveries, datadir):
    assert "OK    second store" in walship.run("check", "--store-only", "--pgdata", datadir.path).out
    latest = ["--target-time", mirrored.moment("mistake").time, "--copy", "--action", "promote"]
    with offsite.outage():
        result = walship.run("check", "--store-only", "--pgdata", datadir.path)
        assert "WARN  second store" in result.out and "second_store = none" in result.out
        recoveries.refused(4, *latest, says="--without-second-store")
        live = recoveries.live(*latest, "--without-second-store", name="without")
        assert live.checksums() == mirrored.moment("mistake").tables
        settings = (live.pgdata / "postgresql.auto.conf").read_text()
        assert "--second-store=''none''" in settings
    walship.configure(second_store="offside")
    walship.fails(2, "recover", "--plan", "--latest", "--copy", says='setting "second_store": unknown store "offside"')


@pytest.mark.directory_only("one store is like another")
def test_the_second_store_chosen_as_the_first_needs_no_other(mirrored, walship, store, offsite, recoveries):
    with store.outage():
        recoveries.plan("--latest", "--copy", "--store", "offsite")


@pytest.mark.directory_only("one store is like another")
@pytest.mark.skipif(not (pg.client_bindir() and (pg.client_bindir() / "pg_dump").is_file()), reason="no pg_dump")
def test_dumps_and_sets_of_files_come_from_both(walship, store, offsite, server, directory):
    """As a recovery does: what the first has lost or damaged comes from the second one."""
    (directory / "tree").mkdir()
    (directory / "tree" / "file").write_bytes(random.Random(1).randbytes(5000))
    walship.configure(system=server.system_identifier())
    server.write_rows(100)
    walship.ok("dump", env=server.pg_environment)
    walship.ok("files", "up", directory / "tree")
    copied(walship)
    walship.configure(second_store="offsite")
    whole = [walship.ok("list", kind, "--json").out for kind in ("--dumps", "--files")]
    for number, key in enumerate(key for key in store.keys() if "/dump/" in key or "/files/" in key):
        # What a dump's archive holds goes on as it comes: it is not read again.
        lost = number % 2 == 0 or ".dump." in key
        store.remove(key) if lost else store.write(key, flipped(store.read(key)))
    assert [walship.ok("list", kind, "--json").out for kind in ("--dumps", "--files")] == whole
    for schema_only in ([], ["--schema-only"]):
        target = directory / f"out{len(schema_only)}"
        walship.ok("undump", "--database", "postgres", *schema_only, "--into-file", target)
        assert target.stat().st_size > 0
    walship.ok("files", "--restore", "up", "--into", directory / "back")
    back = next((directory / "back").rglob("file"))
    assert back.read_bytes() == (directory / "tree" / "file").read_bytes()


def healed(walship, *options, expected=0):
    return json.loads(walship.fails(expected, "copy", "--heal", "--from", "offsite", "--json", *options).out)


DAMAGES = ["missing", "flipped", "cut", "another"]


@pytest.mark.directory_only("one store is like another")
def test_heal_brings_back_every_kind_of_object(branches, walship, store, offsite, recoveries):
    """Each object in turn, with each damage: segment, history file and its digest, record, part, manifest, map."""
    copied(walship)
    whole = archive_of(store)
    backup = branches.backups[0]
    picked = {
        "segment": [key for key in whole if "/wal/00000001/" in key and key.endswith(".tar")][2],
        "history": next(key for key in whole if key.endswith(".history")),
        "digest": next(key for key in whole if key.endswith(".sha256")),
        "record": backup_key(backup, "backup.json"),
        "part": part_of(backup, "base"),
        "wal part": part_of(backup, "wal"),
        "manifest": backup_key(backup, backup["manifest"]["name"]),
        "map": backup_key(backup, backup["map"]["name"]),
    }
    others = {"segment": [key for key in whole if "/wal/00000001/" in key and key.endswith(".tar")][1]}
    for damage in DAMAGES:
        for name, key in picked.items():
            if damage == "missing" and name in ("record", "digest"):
                continue  # as an expire leaves it; as an older version leaves it
            content = {"flipped": flipped, "cut": lambda was: was[:-700] if len(was) > 1000 else was[:-7],
                       "another": lambda was: whole[others.get(name, picked["part" if name != "part" else "map"])],
                       "missing": lambda was: None}[damage](whole[key])  # fmt: skip
            store.write(key, content) if content is not None else store.remove(key)
        report = healed(walship, "--deep")
        assert report["not_healed"] == [] and report["left"] == [], damage
        assert archive_of(store) == whole, damage
    assert healed(walship, "--deep")["healed"] == []


@pytest.mark.directory_only("one store is like another")
@pytest.mark.skipif(not (pg.client_bindir() and (pg.client_bindir() / "pg_dump").is_file()), reason="no pg_dump")
def test_heal_mends_dumps_and_sets_of_files(walship, store, offsite, server, directory):
    """Each kind of object with each damage; a part, too, that an earlier set has stored, whose own record has expired."""
    tree = directory / "tree"
    tree.mkdir()
    walship.configure(system=server.system_identifier())
    (tree / "first").write_bytes(random.Random(1).randbytes(5000))
    server.write_rows(100)
    for _ in range(2):
        walship.ok("dump", env=server.pg_environment)
    trees.settle()
    sets = [json.loads(walship.ok("files", "up", tree, "--json").out)["id"]]
    (tree / "second").write_bytes(random.Random(2).randbytes(5000))
    sets.append(json.loads(walship.ok("files", "up", tree, "--json").out)["id"])
    files = f"{server.system_identifier()}/files/up/{{}}/".format
    part, theirs = [next(key for key in store.keys(files(each)) if "files-0001" in key) for each in sets]
    copied(walship)
    for key in store.keys(files(sets[0])):
        if key != part:
            store.remove(key)
            offsite.remove(key)
    whole = archive_of(store)
    assert archive_of(offsite) == whole
    assert sets[0] in store.read(f"{files(sets[1])}files.json").decode(), "it builds on the first"
    dumps = [key for key in whole if "/dump/" in key]
    record, other_record = [key for key in dumps if key.endswith("/dump.json")]
    picked = {
        **{key: other_record for key in dumps if key.startswith(record.removesuffix("dump.json"))},
        part: theirs,
        theirs: part,
        next(key for key in store.keys(files(sets[1])) if "/list." in key): record,
        f"{files(sets[1])}files.json": record,
    }
    for damage in DAMAGES:
        for key, other in picked.items():
            if damage == "missing" and key.endswith(".json"):
                continue  # as an expire leaves it
            content = {"flipped": flipped, "cut": lambda was: was[:-7], "another": lambda was: whole[other],
                       "missing": lambda was: None}[damage](whole[key])  # fmt: skip
            store.write(key, content) if content is not None else store.remove(key)
        report = healed(walship, "--deep")
        assert report["not_healed"] == [] and report["left"] == [], damage
        assert archive_of(store) == whole, damage

    # Neither what nobody has, nor what an expire has removed.
    for place in (store, offsite):
        place.write(record, flipped(whole[record]))
    store.remove(f"{files(sets[1])}files.json")
    report = healed(walship, expected=8)
    assert [item["key"] for item in report["not_healed"]] == [record] and report["healed"] == []
    assert not store.exists(f"{files(sets[1])}files.json")


def test_heal_brings_back_nothing_that_expire_removed(mirrored, walship, store, offsite):
    walship.configure(retention="last 1")
    old, new = mirrored.backups
    walship.ok("expire", "--force")
    kept = archive_of(store)
    assert len(kept) < len(archive_of(offsite))
    assert healed(walship)["healed"] == [] and archive_of(store) == kept
    needed = [key for key in kept if key.endswith(".tar")][-2]
    store.remove(needed)
    dry = healed(walship, "--dry-run", expected=8)
    assert dry["healed"] == [needed] and not store.exists(needed)

    # What nobody can begin from needs no WAL: that comes after.
    store.remove(backup_key(new, new["manifest"]["name"]))
    assert healed(walship)["healed"] == [backup_key(new, new["manifest"]["name"]), needed]
    assert archive_of(store) == kept
    store.write(needed, flipped(kept[needed]))
    store.write(part_of(new, "base"), flipped(kept[part_of(new, "base")]))
    assert healed(walship)["healed"] == []
    assert healed(walship, "--deep")["healed"] == [part_of(new, "base"), needed]
    assert archive_of(store) == kept


@pytest.mark.directory_only("what is at work is no matter of the store")
def test_heal_beside_an_expire(mirrored, walship, store, offsite):
    walship.configure(retention="last 1")
    old, new = mirrored.backups
    for record in mirrored.backups:
        store.remove(backup_key(record, record["manifest"]["name"]))
    heal = walship.start("copy", "--heal", "--from", "offsite")
    expires = [walship.run("expire", "--force", timeout=50).rc for _ in range(2)]
    heal.communicate(timeout=50)
    healed(walship)
    walship.run("expire", "--force", timeout=50)
    assert set(expires) <= {0, 8}
    assert store.keys(backup_key(new, "")) == offsite.keys(backup_key(new, ""))
    if not store.exists(backup_key(old, "backup.json")):
        assert healed(walship)["healed"] == []
        assert store.keys(backup_key(old, "")) in ([], [backup_key(old, old["manifest"]["name"])])


@pytest.mark.directory_only("one store is like another")
def test_heal_says_what_it_cannot_bring_back(mirrored, walship, store, offsite):
    segments = [key for key in store.keys(f"{mirrored.system}/wal/") if key.endswith(".tar")]
    for place in (store, offsite):
        place.write(segments[2], flipped(place.read(segments[2])))
    store.remove(segments[3])
    offsite.remove(segments[3])
    result = walship.fails(8, "copy", "--heal", "--deep", "--from", "offsite")
    assert f"NOT HEALED: {segments[2]}: store" in result.out and f"NOT HEALED: {segments[3]}: store" in result.out
    walship.fails(2, "copy", "--heal", "--to", "offsite", says="goes with")
    walship.fails(2, "copy", "--deep", "--from", "offsite", says="goes with")


@pytest.mark.directory_only("one store is like another")
def test_dumps_and_trees_of_files_are_copied_by_their_records(story, walship, store, offsite):
    """Whatever they hold: a record names its objects, and comes last."""

    def write_set(prefix, record, contents, **damage):
        named = [
            {"name": name, "stored_size": len(content), "stored_sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        ]
        document = {"format": 1, "globals": named[0], "deeper": [{"archive": item} for item in named[1:]]}
        for name, content in {**contents, **damage}.items():
            store.write(f"{story.system}/{prefix}{name}", content)
        if record:
            store.write(f"{story.system}/{prefix}{record}", sealed(document))

    one, two, three = ("20261120T023007Z-9f3c", "20261121T023007Z-9f3c", "20261122T023007Z-9f3c")
    write_set(f"dump/{one}/", "dump.json", {"globals": b"a" * 100, "first": b"b" * 5000})
    write_set(f"dump/{two}/", "dump.json", {"globals": b"a" * 100, "first": b"b" * 5000}, first=b"c" * 5000)
    write_set(f"dump/{three}/", None, {"globals": b"a" * 100, "first": b"b" * 5000})
    write_set(f"files/web/{one}/", "files.json", {"files-0001.tar.br": b"x" * 70000, "list.br": b"y" * 10})
    report = copied(walship, expected=8)
    assert [(item["problem"], item["key"]) for item in report["findings"]] == [
        ("damaged", f"{story.system}/dump/{two}/first")
    ]
    assert report["unfinished_backups"] == 1 and report["copied"]["records"]["objects"] == 4
    there = offsite.keys()
    assert there == [
        key for key in store.keys() if three not in key and f"{two}/first" not in key and f"{two}/dump.json" not in key
    ]
    write_set(f"dump/{two}/", "dump.json", {"globals": b"a" * 100, "first": b"b" * 5000})
    assert objects(copied(walship)) == 2 and offsite.exists(f"{story.system}/dump/{two}/dump.json")


@pytest.mark.directory_only("one store is like another")
def test_sets_of_files_that_build_upon_each_other(story, walship, store, offsite):
    """Each has a part of its own by the same name, and the record has the digests of all of them."""
    prefix = f"{story.system}/files/web/"
    ids = [f"2026112{number}T023007Z-9f3c" for number in range(3)]
    contents = {name: random.Random(name).randbytes(10_000) for name in ids}
    for count, name in enumerate(ids, 1):
        parts = [
            {"set": each, "name": "files-0001.tar.br", "stored_size": 10_000,
             "stored_sha256": hashlib.sha256(contents[each]).hexdigest()}
            for each in ids[:count]
        ]  # fmt: skip
        store.write(f"{prefix}{name}/files-0001.tar.br", contents[name])
        store.write(f"{prefix}{name}/files.json", sealed({"format": 1, "parts": parts}))
    part = f"{prefix}{ids[0]}/files-0001.tar.br"
    records = [f"{prefix}{name}/files.json" for name in ids]
    store.write(part, flipped(contents[ids[0]]))
    findings = {item["key"]: item["problem"] for item in copied(walship, expected=8)["findings"]}
    assert findings == {part: "damaged", records[1]: "lacking", records[2]: "lacking"}
    assert not any(offsite.exists(record) for record in records)
    store.write(part, contents[ids[0]])
    assert copied(walship)["findings"] == [] and archive_of(offsite) == archive_of(store)


@pytest.mark.directory_only("one store is like another")
def test_the_rules_of_the_copy_choose_among_sets_of_files(story, walship, store, offsite, directory):
    (directory / "tree").mkdir()
    for number in range(3):
        (directory / "tree" / f"file{number}").write_bytes(b"x" * 1000)
        walship.ok("files", "web", directory / "tree", "--system", story.system, "--full")
        time.sleep(1.1)
    records = [key for key in store.keys(f"{story.system}/files/") if key.endswith("/files.json")]
    name_offsite(walship, offsite, files_retention="last 1")
    assert copied(walship)["findings"] == []
    assert [record for record in records if offsite.exists(record)] == [max(records)] and len(records) == 3

"""walship files: trees of files to the store and back, whole or in part, and what must not happen on the way."""
import contextlib
import hashlib
import io
import json
import os
import signal
import tarfile
import threading
import time
from pathlib import Path

import pytest

from walship_testing import trees
from walship_testing.age import Key, have_age
from walship_testing.hostile_s3 import HostileS3, MemoryS3, error
from walship_testing.proc import run_ok
from walship_testing.recipe import DOCUMENT, scripts_of_document
from walship_testing.recovery import interrupt_when
from walship_testing.store import sealed
from walship_testing.walship import Walship

SYSTEM = "7000000000000000001"
needs_tools = pytest.mark.skipif(not trees.have_tools(), reason="rsync, acl or attr is missing; run test/install test")
directory_only = pytest.mark.directory_only("a set is put together of objects like those of a backup")
pytestmark = needs_tools


@pytest.fixture
def walship(walship):
    walship.configure(system=SYSTEM, compression="zstd")
    return walship


@pytest.fixture
def tree(directory):
    return trees.make(directory / "tree")


def take(walship, tree, *options, name="up", expected=0):
    return json.loads(walship.fails(expected, "files", name, tree, "--json", *options).out)


def restore(walship, into, *options, name="up", expected=0):
    return json.loads(walship.fails(expected, "files", "--restore", name, "--into", into, "--json", *options).out)


def entries(walship, record):
    lines = walship.ok("files", "--list", record["name"], record["id"], "--json").out.splitlines()
    return {item["path"] if isinstance(item["path"], str) else bytes.fromhex(item["path"]["hex"]): item
            for item in map(json.loads, lines[1:])}


def assert_equal(tree, into):
    assert trees.differences(tree, trees.place_of(into, tree)) == []


def prefix(record):
    return f"{SYSTEM}/files/{record['name']}/{record['id']}/"


@directory_only
def test_a_lease_that_may_not_be_removed_ends_by_itself(walship, store, tree, directory):
    take(walship, tree)
    s3 = MemoryS3()
    s3.objects = {f"x/{key}": store.read(key) for key in store.keys()}
    denied = error(403, "AccessDenied")
    with HostileS3(lambda request: denied if request.method == "DELETE" else s3(request)) as server:
        elsewhere = Walship(directory / "elsewhere", {**server.settings, "system": SYSTEM, "log_level": "debug"})
        result = elsewhere.ok("files", "--verify", "up")
    assert "the lease ends by itself" in result.err, str(result)


def test_a_tree_comes_back_equal_and_then_only_what_changed_is_stored(walship, store, tree, directory):
    first = take(walship, tree)
    assert (first["since"], first["changed"], first["missing"]) == (None, 0, 0)
    assert restore(walship, directory / "out")["parts"] == 1
    assert_equal(tree, directory / "out")
    old = {path: (tree / path).read_bytes() for path in ("a.txt", "random")}

    trees.settle()
    take(walship, tree)  # of the first one everything was young when it was read
    (tree / "a.txt").write_text("other\n")
    (tree / "zero").unlink()
    (tree / "sub/new").write_text("new")
    (tree / "modes").chmod(0o600)
    third = take(walship, tree)
    assert (third["chain"], third["new_files"]) == (2, 3), third
    assert sum(part["stored_size"] for part in third["parts"] if part["set"] == third["id"]) < 10_000
    restore(walship, directory / "new")
    assert_equal(tree, directory / "new")
    assert walship.ok("files", "--verify", "up").out.startswith(f"up {third['id']}: ")

    restore(walship, directory / "old", first["id"])
    place = trees.place_of(directory / "old", tree)
    assert {path: (place / path).read_bytes() for path in old} == old and (place / "zero").exists()

    sets = json.loads(walship.ok("list", "--files", "--json").out)["sets"]
    assert [item["id"] for item in sets] == [item["id"] for item in json.loads(walship.ok("files", "--list", "--json").out)["sets"]]
    assert len(sets) == 3 and third["since"] in (item["id"] for item in sets)
    text = walship.ok("files", "--list", "up").out
    assert text.startswith("up: 3 sets, the newest of ") and third["id"] in text
    assert "sub/hard = " in walship.ok("files", "--list", "up", third["id"]).out
    assert take(walship, tree, "--full")["since"] is None


@directory_only
def test_a_set_comes_after_the_one_that_it_builds_on_also_within_a_second(walship, store, tree):
    """Ids have the time in seconds, and whoever goes through a listing takes them for the order of time."""
    sets = [take(walship, tree) for _ in range(4)]
    assert [item["id"] for item in sets] == sorted(item["id"] for item in sets)
    assert [item["since"] for item in sets] == [None] + [item["id"] for item in sets[:3]]


@directory_only
def test_what_is_asked_for_comes_out_of_the_parts_that_hold_it_and_no_other(walship, store, tree, directory):
    walship.configure(part_size="16MB", compression="none")
    for number in range(4):
        (tree / f"large-{number}").write_bytes(os.urandom(17 << 20))
    record = take(walship, tree)
    found = entries(walship, record)
    assert len(record["parts"]) >= 4
    root = str(tree).lstrip("/")
    wanted = found[f"{root}/large-2"]["part"].split("/")[1]
    for part in record["parts"]:
        if part["name"] != wanted:
            store.remove(prefix(record) + part["name"])
    done = restore(walship, directory / "one", "--only", tree / "large-2")
    assert (done["entries"], done["parts"]) == (1, 1)
    place = trees.place_of(directory / "one", tree)
    assert (place / "large-2").read_bytes() == (tree / "large-2").read_bytes() and os.listdir(place) == ["large-2"]
    result = walship.fails(6, "files", "--restore", "up", "--into", directory / "two")
    assert "object is missing" in result.err
    assert "object is missing" in walship.fails(6, "files", "--verify", "up").err

    # The next set finds out, and does without them.
    trees.settle()
    result = walship.ok("files", "up", tree)
    assert "are not in the store" in result.err
    restore(walship, directory / "three")
    assert_equal(tree, directory / "three")


@directory_only
def test_a_part_of_a_tree_has_its_links(walship, store, tree, directory):
    take(walship, tree)
    done = restore(walship, directory / "out", "--only", tree / "sub", "--only", tree / "old")
    place = trees.place_of(directory / "out", tree)
    assert sorted(os.listdir(place)) == ["old", "sub"] and done["files"] == 3
    assert (place / "sub/hard").read_text() == "hello\n"
    assert trees.differences(tree / "sub/deep", place / "sub/deep") == []
    result = walship.fails(1, "files", "--restore", "up", "--into", directory / "no", "--only", "/nowhere")
    assert 'path "/nowhere" is not in set' in result.err and not (directory / "no").exists()

    (directory / "links").mkdir()
    for name in ("1", "2", "3"):
        if name == "1":
            (directory / "links/1").write_text("three names")
        else:
            os.link(directory / "links/1", directory / "links" / name)
    take(walship, directory / "links", name="links")
    restore(walship, directory / "two", "--only", directory / "links/2", "--only", directory / "links/3", name="links")
    place = trees.place_of(directory / "two", directory / "links")
    assert (place / "2").read_text() == "three names" and os.stat(place / "2").st_ino == os.stat(place / "3").st_ino


@directory_only
def test_excluded_names_and_paths_are_left_out(walship, store, tree, directory):
    (tree / "sub/deep/x.tmp").write_text("x")
    record = take(walship, tree, "--exclude", "*.tmp", "--exclude", f"{tree}/d*", "--one-file-system")
    found = entries(walship, record)
    root = str(tree).lstrip("/")
    assert f"{root}/sub/deep" in found and f"{root}/sub/deep/x.tmp" not in found
    assert not [path for path in found if isinstance(path, str) and path.startswith(f"{root}/ddd")]


@directory_only
def test_what_cannot_be_read_is_named_and_the_rest_is_stored(walship, store, tree, directory):
    (tree / "secret").write_text("s")
    (tree / "secret").chmod(0)
    (tree / "closed").mkdir()
    (tree / "closed").chmod(0)
    result = walship.fails(8, "files", "up", tree)
    assert f'"{tree}/secret": it could not be opened: Permission denied' in result.err
    assert f'"{tree}/closed": what is in it could not be read: Permission denied' in result.err
    assert "0 changed while they were read, 2 are missing" in result.out
    restore(walship, directory / "out")
    place = trees.place_of(directory / "out", tree)
    assert not (place / "secret").exists() and (place / "a.txt").exists()
    assert oct((place / "closed").stat().st_mode & 0o777) == "0o0"
    assert "some files are missing" in walship.ok("list", "--files").out
    for path in (tree / "closed", place / "closed"):
        path.chmod(0o700)


@contextlib.contextmanager
def unrest(directory):
    """Files are written, renamed and removed all the time."""
    done = threading.Event()

    def work():
        turn = 0
        while not done.is_set():
            turn += 1
            path = directory / f"file-{turn % 40}"
            path.write_bytes(os.urandom(1000 * (turn % 300)))
            with open(directory / "log", "ab") as log:
                log.write(b"line\n" * 1000)
            if turn % 3 == 0:
                path.rename(directory / f"renamed-{turn % 7}")
            if turn % 5 == 0:
                path.unlink(missing_ok=True)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        done.set()
        worker.join()


@directory_only
def test_a_directory_that_changes_all_the_time_is_stored_as_far_as_it_holds_still(walship, store, tree, directory):
    (tree / "busy").mkdir()
    with unrest(tree / "busy"):
        for turn in range(4):
            result = walship.run("files", "up", tree)
            assert result.rc in (0, 8), result
            walship.ok("files", "--verify", "up")
    trees.settle()
    record = take(walship, tree)
    assert (record["changed"], record["missing"]) == (0, 0)
    restore(walship, directory / "out")
    assert_equal(tree, directory / "out")


@directory_only
def test_a_killed_run_leaves_nothing_that_counts_and_the_next_one_succeeds(walship, store, tree, directory):
    for number in range(1000):
        (tree / "sub/deep" / f"small-{number}").write_bytes(b"x" * number)
    (tree / "large").write_bytes(os.urandom(80 << 20))
    # Brotli 9 needs seconds for what is left when the second part has come.
    walship.configure(part_size="16MB", compression="brotli", compression_level=9)
    for n_parts in range(3):
        before = len(store.keys())
        process = walship.start("files", "up", tree, "--full")
        status = interrupt_when(process, lambda: len(store.keys()) >= before + n_parts, signal.SIGKILL)
        assert status == -signal.SIGKILL, f"the run was quicker than {n_parts} parts"
    walship.configure(compression="zstd", compression_level=None)
    complete = json.loads(walship.ok("files", "--list", "--json").out)["sets"]
    for record in complete:
        walship.ok("files", "--verify", "up", record["id"])
    take(walship, tree)

    process = walship.start("files", "--restore", "up", "--into", directory / "out")
    time.sleep(0.15)
    process.send_signal(signal.SIGKILL)
    if process.wait() == -signal.SIGKILL and (directory / "out").exists() and os.listdir(directory / "out"):
        walship.fails(3, "files", "--restore", "up", "--into", directory / "out", says="is not empty")
    restore(walship, directory / "again")
    assert_equal(tree, directory / "again")


@directory_only
@pytest.mark.skipif(not have_age(), reason="the program age is not installed; run test/install test")
def test_an_encrypted_set_shows_neither_names_nor_contents(walship, store, directory):
    key = Key(directory / "key")
    tree = directory / "MARKER-directory"
    tree.mkdir()
    (tree / "MARKER-name").write_text("MARKER-contents")
    os.symlink("MARKER-target", tree / "link")
    walship.configure(compression="none")
    plain = take(walship, tree)
    assert b"MARKER-directory" in store.read(prefix(plain) + "files.json")
    assert any(b"MARKER-contents" in store.read(name) for name in store.keys())
    store.remove_all()

    walship.configure(recipients=key.public)
    first = take(walship, tree)
    trees.settle()
    second = take(walship, tree)
    (tree / "another").write_text("MARKER-contents")

    # This host has no secret key: what the set before holds it knows from its own copy of the list.
    third = take(walship, tree)
    assert third["since"] == second["id"] and third["new_files"] == 1
    for name in store.keys():
        assert b"MARKER" not in store.read(name), name
    assert "directories" not in third and third["recipients"] == [key.fingerprint]
    assert all(part["name"].endswith(".age") for part in third["parts"]) and third["list"]["name"] == "list.age"

    for copy in walship.state_dir.glob("files-*.list"):
        copy.unlink()
    result = walship.ok("files", "up", tree)
    assert "everything is stored, not only what changed" in result.err
    walship.fails(5, "files", "--restore", "up", "--into", directory / "out", says=key.fingerprint)
    walship.configure(identity_file=key.path)
    restore(walship, directory / "out", third["id"])
    assert_equal(tree, directory / "out")

    # Whoever can write to the store can make a set that is not encrypted.
    walship.configure(recipients=None, identity_file=None)
    take(walship, tree, "--full")
    walship.configure(recipients=key.public, identity_file=key.path)
    walship.fails(6, "files", "--restore", "up", "--into", directory / "no", says="whoever can write to the store")


def sealed(record):
    text = json.dumps(record)
    digest = hashlib.sha256(text[:-1].encode()).hexdigest()
    return f'{text[:-1]},"seal":"{digest}"}}'.encode()


class Forgery:
    """A set that somebody made who can write to the store: everything fits, but what is in it."""

    def __init__(self, store, record):
        self.store = store
        self.record = dict(record)
        self.prefix = prefix(record)

    def put(self, members, listed):
        """"members": (TarInfo, contents); "listed": entries of the list, in their order."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for info, contents in members:
                info.size = len(contents)
                tar.addfile(info, io.BytesIO(contents))
        part = f"{self.record['id']}/files-0001.tar"
        head = {"format": 1, "name": self.record["name"], "id": self.record["id"]}
        lines = [{"mtime": 0, "ctime": 0, "part": part, **item} for item in listed]
        text = "".join(json.dumps(line) + "\n" for line in [head, *lines]).encode()
        self.replace("files-0001.tar", archive.getvalue())
        self.replace("list", text)
        self.record["parts"] = [{"set": self.record["id"], **self.object("files-0001.tar", archive.getvalue())}]
        self.record["list"] = {**self.object("list", text), "raw_sha256": hashlib.sha256(text).hexdigest()}
        self.record.pop("seal", None)
        self.replace("files.json", sealed(self.record))

    def replace(self, name, contents):
        if self.store.exists(self.prefix + name):
            self.store.remove(self.prefix + name)
        self.store.write(self.prefix + name, contents)

    @staticmethod
    def object(name, contents):
        return {"name": name, "raw_size": len(contents), "stored_size": len(contents),
                "stored_sha256": hashlib.sha256(contents).hexdigest()}


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o644
    return info


def hostile_sets(outside):
    """{name: (members, list, exit code)}: each would write to or read from "outside", if it were believed."""
    link = (member("d", tarfile.SYMTYPE, str(outside)), b"")
    listed_link = {"path": "d", "type": "symlink"}

    def file(path, name=None):
        return (member(name or path), b"evil"), {"path": path, "type": "file", "size": 4}

    def hard(path, target):
        return {"path": path, "type": "link", "target": target}

    return {
        "file through a link": ([link, file("d/x")[0]], [listed_link, file("d/x")[1]]),
        "directory through a link": ([link, (member("d/sub", tarfile.DIRTYPE), b"")],
                                     [listed_link, {"path": "d/sub", "type": "directory"}]),
        "link through a link": ([link, (member("d/l", tarfile.SYMTYPE, "x"), b"")],
                                [listed_link, {"path": "d/l", "type": "symlink"}]),
        "hard link through a link": ([link], [listed_link, hard("e", "d/kept")]),
        "hard link into a link": ([link, file("a")[0]], [file("a")[1], listed_link, hard("d/e", "a")][:2] + [hard("d/e", "a")]),
        "hard link to outside": ([], [hard("e", f"../{outside.name}/kept")]),
        "hard link to an absolute path": ([], [hard("e", str(outside / "kept"))]),
        "absolute": ([file("x", str(outside / "x"))[0]], [file(str(outside / "x"))[1]]),
        "dots": ([file("x", f"../{outside.name}/x")[0]], [file(f"../{outside.name}/x")[1]]),
        "dots within": ([file("a/../../x")[0]], [file("a/../../x")[1]]),
        "dots in the part alone": ([file("a", f"../{outside.name}/x")[0]], [file("a")[1]]),
        "empty component": ([file("a//x")[0]], [file("a//x")[1]]),
        "a dot": ([file("./x")[0]], [file("./x")[1]]),
        "twice": ([file("a")[0], file("a")[0]], [file("a")[1], file("a")[1]]),
        "out of order": ([file("b")[0], file("a")[0]], [file("b")[1], file("a")[1]]),
        "not in its part": ([], [file("a")[1]]),
        "another size": ([(member("a"), b"evil!")], [file("a")[1]]),
        "another type": ([(member("a", tarfile.SYMTYPE, str(outside / "x")), b"")], [file("a")[1]]),
        "a file where a directory is": ([file("a")[0], file("a/b")[0]], [file("a")[1], file("a/b")[1]]),
        "an unknown part": ([file("a")[0]], [{**file("a")[1], "part": "20260101T000000Z-0000/files-0001.tar"}]),
    }


@directory_only
def test_hostile_sets_write_nothing_outside(walship, store, directory):
    outside = directory / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    before = os.stat(outside / "kept")
    (directory / "seed").mkdir()
    walship.configure(compression="none")
    forgery = Forgery(store, take(walship, directory / "seed"))
    walship.ok("files", "--verify", "up")
    for number, (name, (members, listed)) in enumerate(hostile_sets(outside).items()):
        forgery.put(members, listed)
        into = directory / f"into-{number}"
        result = walship.run("files", "--restore", "up", "--into", into)
        assert result.rc == 6, f"{name}: {result}"
        assert os.listdir(outside) == ["kept"] and (outside / "kept").read_text() == "kept", name
        after = os.stat(outside / "kept")
        assert (after.st_nlink, after.st_mode, after.st_mtime_ns) == (1, before.st_mode, before.st_mtime_ns), name

    # And what is not hostile in such a set is restored: the forger has done all else right.
    forgery.put([(member("a"), b"good")], [{"path": "a", "type": "file", "size": 4}])
    restore(walship, directory / "good")
    assert (directory / "good/a").read_text() == "good"
    forgery.put([(member("d", tarfile.SYMTYPE, "/etc"), b"")], [{"path": "d", "type": "symlink"}])
    restore(walship, directory / "links")
    assert os.readlink(directory / "links/d") == "/etc"


@directory_only
def test_a_flipped_bit_is_found(walship, store, tree, directory):
    record = take(walship, tree)
    for name in (record["parts"][0]["name"], record["list"]["name"], "files.json"):
        key = prefix(record) + name
        whole = store.read(key)
        damaged = bytearray(whole)
        damaged[len(damaged) // 2] ^= 1
        store.remove(key)
        store.write(key, bytes(damaged))
        walship.fails(6, "files", "--verify", "up", record["id"])
        walship.fails(6, "files", "--restore", "up", record["id"], "--into", directory / f"out-{name}")
        store.remove(key)
        store.write(key, whole)
    walship.ok("files", "--verify", "up")


@directory_only
def test_wrong_calls_say_what_is_wrong(walship, store, directory):
    (directory / "tree/below").mkdir(parents=True)
    (directory / "file").write_text("f")
    tree = directory / "tree"
    for words, code, says in (
        (["up"], 2, "missing argument"),
        ([".up", tree], 2, "no name for a tree"),
        (["a/b", tree], 2, "no name for a tree"),
        (["up", directory / "nowhere"], 1, "does not exist"),
        (["up", directory / "file"], 2, "is no directory"),
        (["up", tree, tree / "below"], 2, "which is named, too"),
        (["up", tree, "--since", "20260101T000000Z-0000"], 1, "20260101T000000Z-0000"),
        (["up", tree, "--since", "x", "--full"], 2, "exclude each other"),
        (["up", tree, "--into", directory], 2, "goes with --restore"),
        (["--restore", "up"], 2, "--into"),
        (["--restore", "up", "--into", directory / "out"], 1, "there is no set"),
        (["--restore", "up", "x", "--into", directory / "out"], 2, "no id of a set"),
        (["--restore", "--into", directory / "out"], 2, "missing argument"),
        (["--restore", "--verify", "up"], 2, "exclude each other"),
        (["--list", "up"], 1, "there is no set"),
    ):
        walship.fails(code, "files", *words, says=says)
    assert walship.ok("files", "--list").out.startswith("No set of files")
    assert store.keys() == []


@directory_only
@pytest.mark.parametrize("codec", ["zstd", "none"])
def test_stock_tools_restore_a_set(walship, store, tree, directory, codec):
    """The script of docs/format.md; of a set that builds on two others, in which files came and went."""
    walship.configure(compression=codec)
    take(walship, tree)
    trees.settle()
    take(walship, tree)
    (tree / "a.txt").write_text("of the last set\n")
    (tree / "zero").unlink()
    (tree / "sub/hard-random").unlink()
    record = take(walship, tree)
    assert len({part["set"] for part in record["parts"]}) > 1
    script = directory / "restore-files"
    script.write_text(scripts_of_document()["restore-files"])
    run_ok(["sh", script, store.path(f"{SYSTEM}/files/up"), record["id"], directory / "out"], env={"PATH": os.environ["PATH"]})
    assert_equal(tree, directory / "out")


@directory_only
def test_the_documents_name_every_member(walship, store, tree):
    """docs/security.md lists what stays plain, docs/format.md says what it means."""
    record = take(walship, tree)
    plain = set(record) | set(record["parts"][0]) | set(record["list"])
    listed = {key for item in entries(walship, record).values() for key in item}
    security = (Path(__file__).parents[2] / "docs/security.md").read_text()
    row = next(line for line in security.splitlines() if line.startswith("| `files.json` |"))
    assert [name for name in plain if f"`{name}`" not in row] == []
    text = DOCUMENT.read_text().split("\n## Trees of files\n")[1].split("\n## ")[0]
    assert [name for name in plain | listed if f"`{name}`" not in text] == []


def expire(walship, *options, expected=0):
    return json.loads(walship.fails(expected, "expire", "--json", *options).out)["files_sets"]


def test_expire_removes_sets_but_none_that_another_one_needs(walship, store, directory):
    tree = directory / "tree"
    tree.mkdir()
    (tree / "base").write_bytes(os.urandom(5000))
    records = [take(walship, tree, "--full")]
    trees.settle()
    for turn in range(3):
        (tree / f"new-{turn}").write_text(str(turn))
        records.append(take(walship, tree, *(["--full"] if turn == 1 else [])))
    other = take(walship, tree, name="other")
    store.write(f"{SYSTEM}/files/up/20260101T000000Z-0000/files-0001.tar.zst", b"of a run that was killed")
    walship.configure(files_retention="last 1")
    walship.fails(8, "expire", says="walship expire --force")
    before = store.snapshot()
    plan = expire(walship, "--dry-run", "--force")
    assert {item["id"] for item in plan["sets"] if not item["keep"]} == {records[0]["id"], records[1]["id"]}
    assert plan["unfinished"][0]["keep"] is True, "it came a moment ago"
    assert store.snapshot() == before

    done = expire(walship, "--force")
    assert done["removed_objects"] == 6, done
    left = [item["id"] for item in json.loads(walship.ok("files", "--list", "up", "--json").out)["sets"]]
    assert sorted(left) == sorted([records[2]["id"], records[3]["id"]]), "the last one, and the one that it builds on"
    assert not [key for key in store.keys() if records[0]["id"] in key or records[1]["id"] in key]
    walship.ok("files", "--verify", "up")
    walship.ok("files", "--verify", "other", other["id"])
    assert expire(walship)["removed_objects"] == 0
    assert "No set of files goes" in walship.ok("expire").out


@directory_only
def test_nothing_goes_of_a_name_in_use_or_with_a_record_that_cannot_be_read(walship, store, directory):
    tree = directory / "tree"
    tree.mkdir()
    (tree / "base").write_text("b")
    records = [take(walship, tree, "--full") for _ in range(3)]
    walship.configure(files_retention="last 1")
    key = prefix(records[1]) + "files.json"
    whole = store.read(key)
    store.remove(key)
    store.write(key, whole.replace(b'"chain"', b'"chaim"'))
    plan = expire(walship, "--force")
    assert len(plan["sets"]) == 2 and all(item["keep"] for item in plan["sets"])
    assert any("cannot be read" in item["reason"] for item in plan["sets"])
    store.remove(key)
    store.write(key, whole)

    (tree / "large").write_bytes(os.urandom(60 << 20))
    process = walship.start("files", "up", tree, "--full")
    deadline = time.monotonic() + 20
    while not store.keys(f"{SYSTEM}/lease/") and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGSTOP)
    plan = expire(walship, "--force")
    assert all(item["keep"] for item in plan["sets"])
    assert sum("in use by files" in item["reason"] for item in plan["sets"]) == 2
    process.send_signal(signal.SIGCONT)
    assert process.wait() == 0
    expire(walship, "--force")
    assert len(json.loads(walship.ok("files", "--list", "up", "--json").out)["sets"]) == 1


@directory_only
def test_a_clock_that_went_back_is_said_and_nothing_is_built_on_the_future(walship, store, tree, directory):
    """The newest set is of a time that has not come: the list of what is real, under another id."""
    first = take(walship, tree)
    future = "20991231T235959Z-ffff"
    made = json.loads(store.read(prefix(first) + "files.json"))
    run_ok(["zstd", "-dq", store.path(prefix(first) + "list.zst"), "-o", directory / "list"])
    real = (directory / "list").read_bytes()
    (directory / "list").write_bytes(real.replace(first["id"].encode(), future.encode(), 1))
    run_ok(["zstd", "-q", directory / "list", "-o", directory / "list.zst"])
    contents, packed = (directory / "list").read_bytes(), (directory / "list.zst").read_bytes()
    made["id"] = future
    made["list"].update(
        raw_size=len(contents),
        stored_size=len(packed),
        raw_sha256=hashlib.sha256(contents).hexdigest(),
        stored_sha256=hashlib.sha256(packed).hexdigest(),
    )
    store.write(f"{SYSTEM}/files/up/{future}/list.zst", packed)
    store.write(f"{SYSTEM}/files/up/{future}/files.json", sealed(made))
    restore(walship, directory / "future")
    assert_equal(tree, directory / "future")

    result = walship.ok("files", "up", tree, "--json")
    record = json.loads(result.out)
    assert f'set "{future}" of files "up" is in the future by this machine\'s clock' in result.err
    assert record["since"] is None and record["chain"] == 0 and record["id"] < future
    walship.ok("files", "--restore", "up", record["id"], "--into", directory / "now")
    assert_equal(tree, directory / "now")

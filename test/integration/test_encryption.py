"""Encryption before anything leaves the machine: what is stored can be read with the right key, by stock programs too,
and by nobody else; what is set up wrongly stores nothing."""
import contextlib
import json
import os
import re
import tarfile
import threading
from pathlib import Path

import pytest

from walship_testing import wal
from walship_testing.age import Key, age, have_age
from walship_testing.proc import process_state, run_ok, wait_until
from walship_testing.recovery import take_backup
from walship_testing.walship import Walship

pytestmark = pytest.mark.skipif(not have_age(), reason="the program age is not installed; run test/install test")

SECURITY = Path(__file__).parents[2] / "docs/security.md"
PASSPHRASE = "six words drawn at random"
MARKER = "Zanzibar-7f3c9e"  # in rows, table names, file names


@pytest.fixture
def key(directory):
    return Key(directory / "key.txt")


@pytest.fixture
def other(directory):
    return Key(directory / "other.txt")


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def index_of(store, key):
    with tarfile.open(store.path(key)) as tar:
        return json.load(tar.extractfile(tar.getmembers()[0]))


def member_of(store, key):
    with tarfile.open(store.path(key)) as tar:
        return tar.extractfile(tar.getmembers()[1]).read()


@pytest.mark.smoke
@pytest.mark.parametrize("codec", ["brotli", "zstd", "none"])
def test_a_segment_opens_with_tar_age_and_brotli_and_with_fetch(walship, store, datadir, key, codec):
    walship.configure(recipients=key.public, compression=codec)
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    index = index_of(store, datadir.key(name))
    suffix = {"brotli": "br", "zstd": "zst", "none": "raw"}[codec]
    assert (index["codec"], index["recipients"]) == (codec, [key.fingerprint])
    assert index["member"] == f"{name}.{suffix}.age"
    stored = member_of(store, datadir.key(name))
    assert len(stored) == index["stored_size"]

    rc, opened, message = age("-d", "-i", key.path, stdin=stored)
    assert rc == 0, message
    packed = key.path.with_name("packed")
    packed.write_bytes(opened)
    decode = {"brotli": "brotli -dc", "zstd": "zstd -dcq", "none": "cat"}[codec]
    run_ok(["sh", "-c", f"{decode} <{packed} | cmp - {datadir.wal / name}"])

    datadir.fetch(walship, name, 5, says=f"is encrypted for {key.fingerprint}, and no secret key is set")
    walship.configure(recipients=None, identity_file=key.path)
    datadir.fetch(walship, name)
    assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()


def test_a_passphrase_is_enough_for_both_ways(walship, store, datadir, directory):
    walship.configure(passphrase_file=private(directory / "passphrase", PASSPHRASE + "\n"))
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    assert index_of(store, datadir.key(name))["recipients"] == ["passphrase"]
    datadir.fetch(walship, name)
    assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()
    private(directory / "passphrase", PASSPHRASE + "!\n")
    datadir.fetch(walship, name, 5, says="the passphrase is not the one")
    walship.configure(passphrase_file=None)
    datadir.fetch(walship, name, 5, says="is encrypted with a passphrase, and none is set")


def test_after_a_rotation_old_and_new_are_readable(walship, store, datadir, directory, key, other):
    old, both, new = (datadir.segment(1, segno) for segno in (5, 6, 7))
    for name, recipients in ((old, key.public), (both, f"{key.public} {other.public}"), (new, other.public)):
        walship.configure(recipients=recipients)
        datadir.push(walship, name)
    assert [index_of(store, datadir.key(name))["recipients"] for name in (old, both, new)] == [
        [key.fingerprint],
        [key.fingerprint, other.fingerprint],
        [other.fingerprint],
    ]
    walship.configure(identity_file=other.path)
    said = datadir.fetch(walship, old, 5, says=f"encrypted for {key.fingerprint}, and the secret keys at hand are others").err
    sentence = said.splitlines()[0]
    assert sentence.count(datadir.key(old)) == 1 and sentence.split("ERROR:  ")[1].count(": ") == 1, said
    datadir.fetch(walship, both)
    datadir.fetch(walship, new)
    walship.configure(identity_file=private(directory / "ring", other.path.read_text() + key.path.read_text()))
    for name in (old, both, new):
        datadir.fetch(walship, name)
        assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()


@pytest.mark.directory_only("what push compares is the index, whatever the store")
def test_pushing_again_compares_contents_whatever_the_key(walship, store, datadir, key, other):
    name = datadir.segment(1, 5, salt=b"one")
    walship.configure(recipients=key.public)
    datadir.push(walship, name)
    before = store.snapshot()
    for settings in ({"recipients": other.public}, {"recipients": None}):
        walship.configure(**settings)
        datadir.push(walship, name)
    assert store.snapshot() == before
    datadir.segment(1, 5, salt=b"two")
    datadir.push(walship, name, 3, says="other contents")
    assert store.snapshot() == before


@pytest.mark.directory_only("the exit code is decided before the store matters")
def test_a_missing_key_is_never_the_end_of_the_archive(walship, datadir, key, other):
    name = datadir.segment(1, 5)
    walship.configure(recipients=key.public)
    datadir.push(walship, name)
    (datadir.path / "recovery.signal").touch()
    datadir.fetch(walship, name, 200, says=key.fingerprint)
    walship.configure(identity_file=other.path)
    datadir.fetch(walship, name, 200, says=key.fingerprint)
    walship.configure(identity_file=other.path.with_name("gone"))
    datadir.fetch(walship, name, 200, says="does not exist")
    (datadir.path / "recovery.signal").unlink()
    datadir.fetch(walship, name, 2, says="does not exist")


def broken_settings(directory, key):
    """{name: (settings, what is said)}"""
    path = directory / "recipients"
    writable = directory / "writable"
    writable.write_text(key.public)
    writable.chmod(0o666)
    unreadable = directory / "unreadable"
    unreadable.write_text(key.public)
    unreadable.chmod(0)
    empty = directory / "empty"
    empty.write_text("# nobody yet\n\n")
    wrong = "p" if key.public.endswith("q") else "q"
    path.write_text(f"{key.public}\n{key.public[:-1]}{wrong}\n")
    open_secret = directory / "open"
    open_secret.write_text(PASSPHRASE)
    open_secret.chmod(0o644)
    long = private(directory / "long", PASSPHRASE)
    return {
        "file missing": ({"recipients_file": directory / "nowhere"}, "does not exist"),
        "file unreadable": ({"recipients_file": unreadable}, "Permission denied"),
        "file empty": ({"recipients_file": empty}, "names no public key"),
        "file empty beside a key": ({"recipients": key.public, "recipients_file": empty}, "names no public key"),
        "file with a malformed key": ({"recipients_file": path}, "line 2: "),
        "file that all may write": ({"recipients_file": writable}, "everyone may write it"),
        "a directory": ({"recipients_file": directory}, "recipients_file"),
        "a passphrase for a key": ({"recipients": "'six words drawn at random'"}, "not a public key of age"),
        "a secret key": ({"recipients": key.secret}, "that is a secret key"),
        "no key": ({"recipients": "','"}, "names no public key"),
        "key and passphrase": ({"recipients": key.public, "passphrase_file": long}, "only one of them"),
        "a short passphrase": ({"passphrase_file": private(directory / "short", "hunter2")}, "shorter than 16"),
        "no passphrase": ({"passphrase_file": private(directory / "none", "\n")}, "is empty"),
        "two lines": ({"passphrase_file": private(directory / "two", f"{PASSPHRASE}\nx\n")}, "more than one line"),
        "a passphrase all may read": ({"passphrase_file": open_secret}, "holds a secret and has mode 0644"),
        "a key for a passphrase": ({"passphrase_file": private(directory / "k", key.secret)}, "holds a secret key"),
    }


@pytest.mark.directory_only("nothing is asked of the store")
def test_what_is_set_up_wrongly_stores_nothing(walship, store, datadir, directory, key):
    segment, history = datadir.segment(1, 5), datadir.history(2, (1, 0x5000000))
    others = [["push", datadir.wal / history], ["backup"], ["check", "--store-only"]]
    for number, (name, (settings, says)) in enumerate(broken_settings(directory, key).items()):
        fresh = Walship(directory / "fresh", {**store.settings, **settings})
        for command in (["push", datadir.wal / segment], others[number % len(others)]):
            result = fresh.run(*command, cwd=datadir.path)
            assert result.rc == (8 if command[0] == "check" else 2), f"{name}: {result}"
            assert says in result.out + result.err, f"{name}: {result}"
            for secret in (key.secret, "hunter2", PASSPHRASE):
                assert secret not in result.out + result.err, name
        assert store.keys() == [], name


@pytest.mark.directory_only("the settings are the same for every store")
def test_check_says_what_this_host_can_do(walship, key, other):
    def detail(expected=0):
        result = walship.fails(expected, "check", "--store-only", "--json")
        return next(item for item in json.loads(result.out)["checks"] if item["check"] == "encryption")

    assert "stored as they are" in detail()["detail"]
    walship.configure(recipients=key.public)
    assert detail()["detail"] == f"for {key.fingerprint}; this host can only encrypt: it has no secret key"
    walship.configure(identity_file=key.path)
    assert detail()["detail"] == f"for {key.fingerprint}; encrypted and decrypted again"
    walship.configure(identity_file=other.path)
    wrong = detail(8)
    assert not wrong["ok"] and key.fingerprint in wrong["detail"] and "identity_file" in wrong["hint"]


def fill(server):
    """The marker in a row, in a table's name and in a file's name."""
    server.sql(f'CREATE TABLE "{MARKER}-table" AS SELECT g, %s || g AS word FROM generate_series(1, 3000) g', MARKER)
    (server.pgdata / f"{MARKER}-file").write_text(f"{MARKER}\n")


@contextlib.contextmanager
def rows_being_written(server):
    """So that some are in the WAL that a backup brings along."""
    done = threading.Event()

    def write():
        while not done.wait(0.02):
            server.sql(f'INSERT INTO "{MARKER}-table" VALUES (0, %s)', MARKER)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


def assert_documented(store, record):
    """docs/security.md lists what stays plain: every member of an index and of a record."""
    listed = set(re.findall(r"`([a-z0-9_]+)`", SECURITY.read_text()))
    seen = set(record) | set(record["parts"][0]) | set(record["manifest"]) | set(record["parameters"])
    seen |= set(record["map"]) | set(record["databases"][0])
    for name in store.keys(f"{record['system_id']}/wal/"):
        if name.endswith(".tar"):
            seen |= set(index_of(store, name))
    assert seen <= listed, seen - listed
    assert not seen & {"head", "tail"}


def all_bytes(store):
    return {key: store.read(key) for key in store.keys()}


def test_no_row_no_table_and_no_file_name_is_stored_in_plain(walship, store, servers, key):
    """Without compression, so that the marker would be seen; and it is seen when nothing is encrypted."""
    server = servers.new()
    server.archive_with(walship)
    server.start()
    for recipients in (None, key.public):
        walship.configure(recipients=recipients, compression="none")
        store.remove_all()
        fill(server)
        with rows_being_written(server):
            record = take_backup(walship, server)
        server.switch_and_archive()
        stored = all_bytes(store)
        assert any("/wal/" in name for name in stored) and any("base-0001" in name for name in stored)
        if recipients is None:
            seen = {name for name, text in stored.items() if MARKER.encode() in text}
            assert any("/wal/" in name for name in seen), "the test would not see a row in WAL"
            assert any("/base-" in name for name in seen), "the test would not see a file's name"
            assert any("/wal-" in name for name in seen), "the test would not see a row in the backup's own WAL"
            assert any("manifest" in name for name in seen), "the test would not see the manifest"
        else:
            assert [name for name, text in stored.items() if MARKER.encode() in text] == []
            assert record["recipients"] == [key.fingerprint]
            assert_documented(store, record)
            for part in [*record["parts"], record["manifest"], record["map"]]:
                assert part["name"].endswith(".age")
                text = stored[f"{record['system_id']}/base/{record['id']}/{part['name']}"]
                assert text.startswith(b"age-encryption.org/v1\n")
        server.sql(f'DROP TABLE "{MARKER}-table"')


def test_a_recovery_says_before_it_begins_which_key_is_missing(walship, store, servers, recoveries, key, other):
    walship.configure(recipients=key.public)
    server = servers.new()
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    server.sql("CREATE TABLE doomed AS SELECT 1 AS a")
    server.sql("DROP TABLE doomed")
    server.write_rows(100)
    server.switch_and_archive()
    wanted = server.checksums()
    server.stop()

    for identity, says in ((None, "no secret key is set"), (other.path, "the secret keys at hand are others")):
        walship.configure(identity_file=identity)
        recoveries.refused(5, "--latest", "--copy", says=[key.fingerprint, says])
        walship.fails(5, "recover", "--plan", "--latest", "--copy", says=key.fingerprint)
        walship.fails(5, "find", "--drops", says=key.fingerprint)
        assert f"NO KEY HERE for {key.fingerprint}" in walship.ok("list").out
        assert json.loads(walship.ok("list", "--json").out)["backups"][0]["key_here"] is False

    walship.configure(identity_file=key.path)
    assert "NO KEY" not in walship.ok("list").out
    assert len(json.loads(walship.ok("find", "--drops", "--json").out)["found"]) == 1
    copy = recoveries.live("--latest", "--copy")
    assert copy.checksums() == wanted


@pytest.mark.directory_only("that keys are asked for on every store: test_a_recovery_says_before_it_begins...")
def test_a_recovery_across_a_rotation_needs_both_keys(walship, store, servers, recoveries, directory, key, other):
    walship.configure(recipients=key.public)
    server = servers.new()
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    server.write_rows(100)
    server.switch_and_archive()
    walship.configure(recipients=other.public)
    for _ in range(3):
        server.write_rows(100)
        server.switch_and_archive()
    wanted = server.checksums()
    server.stop()

    walship.configure(identity_file=key.path)
    recoveries.refused(5, "--latest", "--copy", says=other.fingerprint)
    walship.configure(identity_file=other.path)
    recoveries.refused(5, "--latest", "--copy", says=key.fingerprint)
    walship.configure(identity_file=private(directory / "ring", key.path.read_text() + other.path.read_text()))
    copy = recoveries.live("--latest", "--copy")
    assert copy.checksums() == wanted


@pytest.mark.directory_only("the recipe works on a directory; test_format_recipe.py makes one of a bucket")
def test_stock_tools_restore_what_is_encrypted(walship, store, servers, recipe, key):
    """The scripts of docs/format.md: tar, age, brotli."""
    walship.configure(recipients=key.public)
    server = servers.new()
    server.archive_with(walship)
    server.start()
    record = take_backup(walship, server)
    server.write_rows(100)
    server.switch_and_archive()
    wanted = server.checksums()
    server.destroy()

    copy = servers.empty(name="by-recipe")
    recipe.restore(copy, store, record["system_id"], record["id"], "", AGE_IDENTITY=str(key.path))
    copy.start().wait_promoted()
    assert copy.checksums() == wanted


@pytest.mark.directory_only("the process is the same for every store")
def test_a_process_that_holds_keys_cannot_be_looked_into(walship, datadir, key):
    """Its /proc is not its user's, so nothing can trace it, and it may leave no core file."""
    walship.configure(recipients=key.public)
    for segno in (5, 7):
        datadir.push(walship, datadir.segment(1, segno))
    (datadir.path / "recovery.signal").touch()
    hole = wal.segment_name(1, 6)
    for identity in (None, key.path):
        walship.configure(identity_file=identity)
        process = walship.start("fetch", hole, datadir.fetched, cwd=datadir.path)
        try:
            limits = Path(f"/proc/{process.pid}/limits")
            is_mine = Path(f"/proc/{process.pid}/status")
            if identity is None:
                wait_until(lambda: process_state(process.pid)[0] == "S", "it waits for the segment")
                assert os.stat(is_mine).st_uid == os.getuid()
            else:
                wait_until(lambda: os.stat(is_mine).st_uid != os.getuid(), "it hides")
                wait_until(lambda: re.search(r"Max core file size +0 +0 ", limits.read_text()), "no core file")
        finally:
            process.kill()
            process.communicate()

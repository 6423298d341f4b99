"""Objects that a forger made, who can write to the store and knows no key.  Seals are computed anew, so only settings
and bounds are against it."""
import hashlib
import io
import json
import os
import re
import socket
import subprocess
import tarfile
import tempfile

import pytest

from walship_testing import wal
from walship_testing.age import Key, have_age
from walship_testing.bounded import is_sanitized, run_bounded
from walship_testing.recovery import take_backup
from walship_testing.store import sealed
from walship_testing.walship import Walship

pytestmark = [
    pytest.mark.directory_only("objects are the same in every store; test_hostile_s3.py has what is S3's own"),
    pytest.mark.skipif(not have_age(), reason="the program age is not installed; run test/install test"),
]

MIB = 1024 * 1024
REFUSED = "is not encrypted, but this host has keys"


@pytest.fixture
def key(directory):
    return Key(directory / "key.txt")


@pytest.fixture
def forger(directory, store):
    """Whoever has credentials to write: the same store, and nothing of encryption."""
    return Walship(directory / "forger", store.settings)


def push(walship, datadir, *numbers):
    for segno in numbers:
        datadir.push(walship, datadir.segment(1, segno))


def take_away(datadir):
    """What pg_wal has itself is no matter here."""
    for path in datadir.wal.glob("0*"):
        path.unlink()


def fetch(walship, datadir, segno, expected, says=None):
    datadir.fetched.unlink(missing_ok=True)
    result = datadir.fetch(walship, wal.segment_name(1, segno), expected, says=says)
    assert datadir.fetched.exists() == (expected == 0)
    return result


# What claims to be plain


@pytest.mark.parametrize("holds", ["identity_file", "recipients"])
def test_a_plain_segment_behind_encrypted_ones_is_refused(walship, forger, datadir, key, holds):
    walship.configure(recipients=key.public)
    push(walship, datadir, 5, 6)
    push(forger, datadir, 7)
    take_away(datadir)
    walship.configure(recipients=None)
    walship.configure(**{holds: key.path if holds == "identity_file" else key.public})
    fetch(walship, datadir, 7, 6, says=REFUSED)
    (datadir.path / "recovery.signal").touch()
    fetch(walship, datadir, 7, 200, says=REFUSED)
    fetch(forger, datadir, 7, 0)  # a host without keys has no reason to expect anything else


def test_the_setting_decides(walship, forger, datadir, key):
    walship.configure(recipients=key.public)
    push(walship, datadir, 5)
    push(forger, datadir, 6, 7)
    take_away(datadir)
    walship.configure(identity_file=key.path)
    for setting, expected in [
        ("off", {5: 0, 6: 6, 7: 6}),
        ("on", {5: 0, 6: 0, 7: 0}),
        ("before 0/7000000", {5: 0, 6: 0, 7: 6}),
        ("before 0/7000001", {5: 0, 6: 0, 7: 0}),
        ("before 0/6000000", {5: 0, 6: 6, 7: 6}),
    ]:
        walship.configure(accept_plain=setting)
        for segno, rc in expected.items():
            assert "WARNING" not in fetch(walship, datadir, segno, rc).err
    for wrong in ("yes", "before", "before noon", "before 7000000", "before 0/7000000 "):
        walship.configure(accept_plain=f'"{wrong}"')
        fetch(walship, datadir, 5, 2, says="accept_plain")


def test_an_archive_that_began_unencrypted_is_read_with_a_warning(walship, datadir, key):
    """In this version, so that no standby stops on the day of the update; and check says it before."""
    push(walship, datadir, 5, 6)
    walship.configure(recipients=key.public)
    push(walship, datadir, 7, 8)
    take_away(datadir)
    walship.configure(identity_file=key.path)
    for segno in (5, 6):
        warning = fetch(walship, datadir, segno, 0).err
        assert REFUSED in warning and "WARNING" in warning and "accept_plain = before LSN" in warning
    assert fetch(walship, datadir, 7, 0).err == ""

    told = walship.run("check", "--pgdata", datadir.path).out
    setting = re.search(r"Set accept_plain = (before [0-9A-F/]+)", told)[1]
    assert setting == "before 0/7000000"
    walship.configure(accept_plain=setting)
    for segno in (5, 6, 7, 8):
        assert fetch(walship, datadir, segno, 0).err == ""
    told = walship.run("check", "--pgdata", datadir.path).out
    assert "not encrypted before 0/7000000" in told and "accept_plain" not in told
    walship.configure(accept_plain="off")
    fetch(walship, datadir, 6, 6, says=REFUSED)


def test_an_archive_that_is_not_encrypted_at_all_is_read_with_a_warning(walship, datadir, key):
    """A standby that has keys for later, or a key of another cluster."""
    push(walship, datadir, 5, 6)
    take_away(datadir)
    walship.configure(identity_file=key.path)
    assert "WARNING" in fetch(walship, datadir, 6, 0).err


def test_check_tells_of_what_would_be_refused(walship, forger, datadir, key):
    walship.configure(recipients=key.public)
    push(walship, datadir, 5)
    assert re.search(r"OK +stored objects", walship.run("check", "--pgdata", datadir.path).out)
    push(forger, datadir, 6)
    result = walship.fails(8, "check", "--pgdata", datadir.path)
    assert re.search(r"FAIL +stored objects", result.out) and wal.segment_name(1, 6) in result.out


def test_a_forged_backup_is_not_restored(walship, forger, servers, recoveries, key):
    """It would be the newest, and what is planted in it would run when the server starts."""
    walship.configure(recipients=key.public)
    server = servers.new()
    server.archive_with(walship)
    server.start()
    honest = take_backup(walship, server)
    server.write_rows(100)
    server.switch_and_archive()
    server.sql("ALTER SYSTEM SET archive_cleanup_command = 'touch /tmp/planted'")
    forged = take_backup(forger, server)
    server.sql("ALTER SYSTEM RESET archive_cleanup_command")
    server.switch_and_archive()

    walship.configure(identity_file=key.path)
    listed = json.loads(walship.ok("list", "--json").out)["backups"]
    assert {backup["id"]: backup.get("refused", False) for backup in listed} == {honest["id"]: False, forged["id"]: True}
    assert "REFUSED: NOT ENCRYPTED" in walship.ok("list").out
    recoveries.refused(6, "--latest", "--copy", says=[REFUSED, forged["id"], "accept_plain"])
    walship.fails(6, "recover", "--latest", "--copy", "--plan", says=REFUSED)
    recoveries.refused(6, "--backup", forged["id"], "--immediate", says=REFUSED)
    assert recoveries.plan("--latest", "--copy", "--backup", honest["id"])["backup"]["id"] == honest["id"]
    walship.configure(accept_plain="on")
    assert recoveries.plan("--latest", "--copy")["backup"]["id"] == forged["id"]


def test_a_plan_refuses_a_forged_segment_at_its_end(walship, forger, store, servers, recoveries, key):
    walship.configure(recipients=key.public)
    server = servers.new()
    server.archive_with(walship)
    server.start()
    take_backup(walship, server)
    server.write_rows(100)
    server.switch_and_archive()
    server.archive_with(forger)
    server.reload()
    server.write_rows(100)
    forged = server.switch_and_archive()
    with tarfile.open(store.path(f"{server.system_identifier()}/wal/{forged[:8]}/{forged}.tar")) as tar:
        assert "recipients" not in json.load(tar.extractfile(tar.getmembers()[0]))
    walship.configure(identity_file=key.path)
    recoveries.refused(6, "--latest", "--copy", says=REFUSED)


# Bounds


def add_member(tar, name, size, source):
    info = tarfile.TarInfo(name)
    info.size = size
    tar.addfile(info, source)


@pytest.mark.parametrize("size, says", [(18 * MIB, "has more than 16777216 bytes"), (512 * MIB, "more than any codec")])
def test_a_segment_that_is_not_compressed_is_bounded_while_it_is_written(walship, store, datadir, size, says):
    """More under the name of a segment of 16 MiB, right in everything but its length."""
    walship.configure(compression="none")
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    with tarfile.open(store.path(datadir.key(name))) as tar:
        index = json.load(tar.extractfile(tar.getmembers()[0]))
    payload = datadir.path / "payload"
    payload.write_bytes((datadir.wal / name).read_bytes())
    os.truncate(payload, size)
    with open(payload, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    forged = sealed({**index, "stored_size": size, "stored_sha256": digest})
    path = store.path(datadir.key(name))
    path.unlink()
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar, open(payload, "rb") as file:
        add_member(tar, f"{name}.json", len(forged), io.BytesIO(forged))
        add_member(tar, index["member"], size, file)
    payload.unlink()
    take_away(datadir)
    words = ["fetch", name, "pg_wal/RECOVERYXLOG"]
    cost = run_bounded(walship, *words, cwd=datadir.path, file_most=16 * MIB)
    assert cost.rc == 6 and says in cost.err, str(cost)
    assert is_sanitized(walship) or cost.peak < 40, str(cost)
    assert not datadir.fetched.exists()


def put_record(store, record, document):
    store.write(f"{record['system_id']}/base/{record['id']}/backup.json", document)


def stored_record(store, record):
    return store.read_json(f"{record['system_id']}/base/{record['id']}/backup.json")


def test_a_record_of_many_values_takes_no_memory_beyond_its_size(walship, store, story, directory):
    text = b'{"format":1,"parts":[' + b"1," * (15 * MIB) + b"1]"
    seal = hashlib.sha256(text).hexdigest().encode()
    put_record(store, story.backups[-1], text + b',"seal":"' + seal + b'"}')
    cost = run_bounded(walship, "list", cwd=directory)
    assert cost.rc == 0 and "more values than its size allows for" in cost.out, str(cost)
    assert is_sanitized(walship) or cost.peak < 250, str(cost)


def test_a_manifest_holds_what_its_record_says(walship, store, story, directory):
    record = story.backups[-1]
    stored = stored_record(store, record)
    for change, says in [
        ({"files": stored["manifest"]["files"] - 1}, "lists more than"),
        ({"files": stored["manifest"]["files"] + 1}, "but its record says"),
        ({"files_size": 1000}, "but its record says"),
    ]:
        put_record(store, record, sealed({**stored, "manifest": {**stored["manifest"], **change}}))
        walship.fails(6, "recover", "--immediate", "--pgdata", directory / "data", says=says)
        assert not (directory / "data/PG_VERSION").exists()


# Texts

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")


def test_what_a_record_says_is_not_obeyed_by_a_terminal(walship, store, story):
    record = story.backups[-1]
    stored = stored_record(store, record)
    hostile = "\x1b[2J\x9b31m\u202egpj.\u2066\nRecoverable: everything"
    put_record(store, record, sealed({**stored, "note": hostile, "label": hostile}))
    text = walship.ok("list").out
    assert "Recoverable: everything" in text and not OBEYED.search(text), repr(text)
    assert "\nRecoverable: everything" not in text
    output = walship.ok("list", "--json").out
    assert not OBEYED.search(output), repr(output)
    assert json.loads(output)["backups"][-1]["note"] == hostile
    put_record(store, record, sealed({**stored, "codec": hostile}))
    text = walship.ok("list").out
    assert "DAMAGED" in text and not OBEYED.search(text), repr(text)


# state_dir


def test_check_warns_of_a_state_directory_that_others_can_write(walship):
    assert "others may write" not in walship.run("check").out
    walship.state_dir.chmod(0o777)
    told = walship.run("check").out
    assert "has mode 0777: others may write there" in told and "chmod go-w" in told


# Numbers and names


WRONG = [-1, -(2**53), 2**53 - 1, 2**53 + 1, 2**31, 2**32, 1.5, 1e308, "", "x", "\x00", None, True, [], {}, [[]], "../../etc"]


def members_of(document, path=()):
    """Where something stands: of a list its first item stands for all."""
    items = document.items() if isinstance(document, dict) else list(enumerate(document))[:1]
    for name, value in items:
        yield (*path, name)
        if isinstance(value, (dict, list)):
            yield from members_of(value, (*path, name))


def wrong_values(document):
    """Of all members: (path, one of some values), so that each value comes to many members."""
    for number, path in enumerate(members_of(document)):
        for value in WRONG[number % 5 :: 5]:
            yield path, value


def changed(document, path, value):
    copy = json.loads(json.dumps(document))
    place = copy
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return copy


def test_no_member_of_a_record_may_be_just_anything(walship, store, story, directory):
    """Sealed anew, so that only what is looked at can tell."""
    record = story.backups[-1]
    stored = stored_record(store, record)
    stored.pop("seal")
    target = directory / "data"
    for path, value in wrong_values(stored):
        put_record(store, record, sealed(changed(stored, path, value)))
        plan = walship.run("recover", "--latest", "--copy", "--plan", "--pgdata", target, "--backup", record["id"])
        assert plan.rc in (0, 2, 3, 6, 7, 9), f"{path} = {value!r}: {plan}"
        if isinstance(value, (int, float)):
            listed = walship.run("list", "--json")
            assert listed.rc == 0 and json.loads(listed.out), f"{path} = {value!r}: {listed}"
    assert not target.exists()


def test_no_member_of_an_index_may_be_just_anything(walship, store, datadir):
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    key = datadir.key(name)
    with tarfile.open(store.path(key)) as tar:
        index = json.load(tar.extractfile(tar.getmembers()[0]))
        payload = tar.extractfile(tar.getmembers()[1]).read()
    index.pop("seal")
    content = (datadir.wal / name).read_bytes()
    take_away(datadir)
    for path, value in wrong_values(index):
        forged = sealed(changed(index, path, value))
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            add_member(tar, f"{name}.json", len(forged), io.BytesIO(forged))
            add_member(tar, index["member"], len(payload), io.BytesIO(payload))
        store.write(key, file.getvalue())
        datadir.fetched.unlink(missing_ok=True)
        result = datadir.fetch(walship, name, None)
        assert result.rc in (0, 6), f"{path} = {value!r}: {result}"
        assert datadir.fetched.exists() == (result.rc == 0)
        assert result.rc != 0 or datadir.fetched.read_bytes() == content
        if isinstance(value, (int, float)):
            listed = walship.run("list", "--json")
            assert listed.rc in (0, 6), f"{path} = {value!r}: {listed}"


# What lies in the place of an object


def in_place_of(path, what, directory):
    path.unlink()
    if what == "a FIFO":
        os.mkfifo(path)
    elif what == "a directory":
        path.mkdir()
    elif what == "a socket":
        folder = os.open(path.parent, os.O_RDONLY)  # by it the address is short enough
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)
    elif what == "a link to a secret":
        secret = directory / "secret"
        secret.write_text("the secret")
        path.symlink_to(secret)
    elif what == "a link to a device":
        path.symlink_to("/dev/zero")
    elif what == "a link to itself":
        path.symlink_to(path.name)
    elif what == "an endless file":
        path.touch()
        os.truncate(path, 1 << 40)
    else:
        path.touch()


PLACED = ["a FIFO", "a directory", "a socket", "a link to a secret", "a link to a device", "a link to itself", "an endless file", "nothing in it"]


@pytest.mark.parametrize("what", PLACED)
def test_what_is_no_file_is_no_segment_and_holds_nobody(walship, store, datadir, directory, what):
    names = [datadir.segment(1, segno) for segno in (5, 6)]
    for name in names:
        datadir.push(walship, name)
    in_place_of(store.path(datadir.key(names[0])), what, directory)
    for words in (["push", f"pg_wal/{names[0]}"], ["list"], ["find", "--drops"], ["check", "--pgdata", datadir.path]):
        cost = run_bounded(walship, *words, cwd=datadir.path)
        assert 0 <= cost.rc <= 8 and cost.seconds < 10 and "the secret" not in cost.out + cost.err, str(cost)
        assert words[0] != "push" or cost.rc in (3, 4, 6, 7), str(cost)
    take_away(datadir)
    cost = run_bounded(walship, "fetch", names[0], "pg_wal/RECOVERYXLOG", cwd=datadir.path, file_most=17 * MIB)
    assert cost.rc in (1, 4, 6, 7) and cost.seconds < 10, str(cost)
    assert cost.rc != 1 or what == "a directory", str(cost)
    assert is_sanitized(walship) or cost.peak < 64, str(cost)
    assert not datadir.fetched.exists()


@pytest.mark.parametrize("what", PLACED)
@pytest.mark.parametrize("which", ["backup.json", "manifest", "base-0001", "the marker"])
def test_what_is_no_file_is_no_backup_and_holds_nobody(walship, store, story, directory, what, which):
    record = story.backups[-1]
    prefix = f"{record['system_id']}/base/{record['id']}/"
    if which == "the marker":
        path = store.directory / "walship-store.json"
    else:
        (path,) = [store.path(key) for key in store.keys(prefix) if which in key]
    in_place_of(path, what, directory)
    target = directory / "data"
    cost = run_bounded(walship, "list", cwd=directory)
    assert 0 <= cost.rc <= 8 and cost.seconds < 10 and "the secret" not in cost.out + cost.err, str(cost)
    assert which != "the marker" or cost.rc != 0, str(cost)
    words = ["recover", "--immediate", "--backup", record["id"], "--pgdata", target]
    cost = run_bounded(walship, *words, cwd=directory, file_most=64 * MIB)
    assert cost.rc in (4, 6, 7, 9) and cost.seconds < 20 and "the secret" not in cost.out + cost.err, str(cost)
    assert is_sanitized(walship) or cost.peak < 128, str(cost)
    assert not (target / "PG_VERSION").exists() or (target / "walship_recover_unfinished").exists()


# Tar archives and manifests of a forger


def add_entry(tar, name, kind=tarfile.REGTYPE, content=b"", target=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    info.size = len(content)
    info.mode = 0o600
    tar.addfile(info, io.BytesIO(content))


PACKERS = {"brotli": ["brotli", "-c"], "zstd": ["zstd", "-q", "-c"], "none": ["cat"]}


def first_part(stored):
    return next(part for part in stored["parts"] if part["name"].startswith("base-0001"))


def replace_object(store, record, told, packed):
    """An object of a backup, and what the record tells of it."""
    told.update(stored_size=len(packed), stored_sha256=hashlib.sha256(packed).hexdigest())
    store.write(f"{record['system_id']}/base/{record['id']}/{told['name']}", packed)


def forge_part(store, record, entries):
    """Its first part is this, compressed and told as the record tells it; everything else stays."""
    stored = stored_record(store, record)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry in entries:
            add_entry(tar, **entry)
    command = PACKERS[stored["codec"]]
    packed = subprocess.run(command, input=raw.getvalue(), stdout=subprocess.PIPE, check=True).stdout
    first_part(stored).update(raw_size=len(raw.getvalue()))
    replace_object(store, record, first_part(stored), packed)
    put_record(store, record, sealed(stored))


def repack(store, record, codec):
    """The same backup, compressed by another program."""
    stored = stored_record(store, record)
    for told in (*stored["parts"], stored["manifest"]):
        packed = store.read(f"{record['system_id']}/base/{record['id']}/{told['name']}")
        raw = subprocess.run([*PACKERS[stored["codec"]], "-d"], input=packed, stdout=subprocess.PIPE, check=True).stdout
        packed = subprocess.run(PACKERS[codec], input=raw, stdout=subprocess.PIPE, check=True).stdout
        replace_object(store, record, told, packed)
    stored["codec"] = codec
    put_record(store, record, sealed(stored))
    return stored


def outside(directory):
    return str(directory / "outside")


ENTRIES = {
    "a file above": lambda d: [{"name": "../outside", "content": b"x"}],
    "an absolute file": lambda d: [{"name": outside(d), "content": b"x"}],
    "a file by way of ..": lambda d: [{"name": "base/../../outside", "content": b"x"}],
    "a directory above": lambda d: [{"name": "../outside", "kind": tarfile.DIRTYPE}],
    "a link outside": lambda d: [{"name": "base/1", "kind": tarfile.SYMTYPE, "target": outside(d)}],
    "a link and a file behind it": lambda d: [
        {"name": "base", "kind": tarfile.SYMTYPE, "target": str(d)},
        {"name": "base/outside", "content": b"x"},
    ],
    "a hard link outside": lambda d: [{"name": "PG_VERSION", "kind": tarfile.LNKTYPE, "target": outside(d)}],
    "a hard link above": lambda d: [{"name": "PG_VERSION", "kind": tarfile.LNKTYPE, "target": "../../outside"}],
    "a device": lambda d: [{"name": "PG_VERSION", "kind": tarfile.CHRTYPE}],
    "a FIFO": lambda d: [{"name": "PG_VERSION", "kind": tarfile.FIFOTYPE}],
    "a file that the manifest does not have": lambda d: [{"name": "postgresql.auto.conf.d", "content": b"x"}],
    "a file twice": lambda d: [{"name": "base/1/PG_VERSION", "content": b"15\n"}] * 2,
    "a file that is longer": lambda d: [{"name": "PG_VERSION", "content": b"x" * MIB}],
    "a long name above": lambda d: [{"name": "base/" + "a/" * 200 + "../" * 204 + "outside", "content": b"x"}],
    "an empty name": lambda d: [{"name": "", "content": b"x"}],
    "a name of the recovery": lambda d: [{"name": "recovery.signal"}, {"name": "standby.signal"}],
}


@pytest.mark.parametrize("what", ENTRIES)
def test_a_forged_part_writes_nothing_but_what_the_manifest_lists(walship, store, story, directory, what):
    record = story.backups[-1]
    forge_part(store, record, ENTRIES[what](directory))
    target = directory / "data"
    before = sorted(directory.iterdir())
    words = ["recover", "--immediate", "--backup", record["id"], "--pgdata", target]
    cost = run_bounded(walship, *words, cwd=directory, file_most=64 * MIB)
    assert cost.rc == 6, str(cost)
    assert sorted(path for path in directory.iterdir() if path != target) == [path for path in before if path != target]
    assert not (target / "PG_VERSION").exists() or (target / "walship_recover_unfinished").exists()
    assert not any(path.is_symlink() or not (path.is_file() or path.is_dir()) for path in target.rglob("*"))


# Bombs: few bytes that would be many


BOMBS = {
    "brotli": ["brotli", "-q", "5", "-c"],
    "zstd": ["zstd", "-q", "-c"],
    "zstd with a window of 128 MiB": ["zstd", "-q", "-c", "--long=27"],
    "zstd with a window of 2 GiB": ["zstd", "-q", "-c", "--ultra", "--long=31", "-1"],
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_packed_does_not_become_more_than_its_record_says(walship, store, story, directory, name):
    """A part of 1 GiB of zeros in a few kB, with a window as large as it can be."""
    record = story.backups[-1]
    stored = repack(store, record, name.split()[0])
    recover = ["recover", "--immediate", "--backup", record["id"], "--pgdata"]
    good = run_bounded(walship, *recover, directory / "good", cwd=directory)
    assert good.rc == 0, str(good)
    with tempfile.TemporaryFile(dir=directory) as zeros:
        os.truncate(zeros.fileno(), 1 << 30)
        packed = subprocess.run(BOMBS[name], stdin=zeros, stdout=subprocess.PIPE, check=True).stdout
    replace_object(store, record, first_part(stored), packed)
    put_record(store, record, sealed(stored))
    cost = run_bounded(walship, *recover, directory / "data", cwd=directory, file_most=64 * MIB)
    assert cost.rc == 6 and cost.seconds < 20, str(cost)
    assert is_sanitized(walship) or cost.peak < good.peak + 160, str(cost)

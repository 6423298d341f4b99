"""Objects that a forger made, who can write to the store and knows no key.  Seals are computed anew, so only settings
and bounds are against it."""
import hashlib
import io
import json
import os
import re
import resource
import subprocess
import tarfile

import pytest

from walship_testing import wal
from walship_testing.age import Key, have_age
from walship_testing.proc import clean_environment
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
    assert "ok     stored objects" in walship.run("check", "--pgdata", datadir.path).out
    push(forger, datadir, 6)
    result = walship.fails(8, "check", "--pgdata", datadir.path)
    assert "FAILED stored objects" in result.out and wal.segment_name(1, 6) in result.out


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
    assert [backup.get("refused", False) for backup in listed] == [False, True]
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


def run_bounded(walship, *words, cwd, file_most=None, timeout=60):
    """(exit code, stdout, stderr, peak memory in MiB at most) of a run that may write no file larger than that."""
    command = walship.command(*words)
    if file_most is not None:
        command = ["prlimit", f"--fsize={file_most}", *command]
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = process.communicate(timeout=timeout)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of all children so far
    return process.returncode, out.decode(), err.decode(), peak // 1024


def add_member(tar, name, size, source):
    info = tarfile.TarInfo(name)
    info.size = size
    tar.addfile(info, source)


def test_a_segment_that_is_not_compressed_is_bounded_while_it_is_written(walship, store, datadir):
    """Half a GiB under the name of a segment of 16 MiB, right in everything but its length."""
    walship.configure(compression="none")
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    with tarfile.open(store.path(datadir.key(name))) as tar:
        index = json.load(tar.extractfile(tar.getmembers()[0]))
    size = 512 * MIB
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
    rc, _, err, _ = run_bounded(walship, *words, cwd=datadir.path, file_most=17 * MIB)
    assert rc == 6 and "has more than 16777216 bytes" in err, err
    assert not datadir.fetched.exists()


def put_record(store, record, document):
    store.write(f"{record['system_id']}/base/{record['id']}/backup.json", document)


def stored_record(store, record):
    return store.read_json(f"{record['system_id']}/base/{record['id']}/backup.json")


def test_a_record_of_many_values_takes_no_memory_beyond_its_size(walship, store, story, directory):
    text = b'{"format":1,"parts":[' + b"1," * (15 * MIB) + b"1]"
    seal = hashlib.sha256(text).hexdigest().encode()
    put_record(store, story.backups[-1], text + b',"seal":"' + seal + b'"}')
    rc, out, err, peak = run_bounded(walship, "list", cwd=directory)
    assert rc == 0 and "more values than its size allows for" in out, err
    assert peak < 250, f"{peak} MiB"


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

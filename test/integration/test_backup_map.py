"""What a backup tells of itself besides what a recovery needs: its map, databases, and how its server was set."""
import io
import json
import os
import subprocess
import tarfile

import pytest

from walship_testing.age import Key, age, have_age
from walship_testing.helper import helper_program
from walship_testing.proc import wait_until
from walship_testing.recovery import take_backup

DECODERS = {"brotli": ["brotli", "-dc"], "zstd": ["zstd", "-dcq"], "none": ["cat"]}
BLOCK = 512


@pytest.fixture
def key(directory):
    return Key(directory / "key.txt")


def stored(store, record, name, key=None):
    """The object as it was before it was encrypted."""
    content = store.read(f"{record['system_id']}/base/{record['id']}/{name}")
    return age("--decrypt", "--identity", key.path, stdin=content)[1] if key else content


def decoded(record, content):
    return subprocess.run(DECODERS[record["codec"]], input=content, stdout=subprocess.PIPE, check=True).stdout


def read_map(store, record, key=None):
    """(head, {part: (its line, [path and perhaps size of each member])})"""
    head, *lines = [json.loads(line) for line in decoded(record, stored(store, record, record["map"]["name"], key)).splitlines()]
    parts = {}
    for line in lines:
        if isinstance(line, dict):
            members = []
            parts[line["part"]] = (line, members)
        else:
            members.append(line)
    return head, parts


def path_of(value):
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value.encode()


def sizes_of_manifest(store, record, key=None):
    manifest = json.loads(decoded(record, stored(store, record, record["manifest"]["name"], key)))
    return {
        bytes.fromhex(file["Encoded-Path"]) if "Encoded-Path" in file else file["Path"].encode(): file["Size"]
        for file in manifest["Files"]
    }


def places_by_map(members, sizes):
    """(path, where its contents begin, their size), by the rule of docs/format.md."""
    at = 0
    for path, *exception in members:
        path = path_of(path)
        (size,) = exception or [0 if path.endswith(b"/") else sizes[path]]
        yield path, at + BLOCK, size
        at += BLOCK + -(-size // BLOCK) * BLOCK


def places_by_tar(part, raw):
    prefix = b"" if part["set"] in ("base", "wal") else f"pg_tblspc/{part['set']}/".encode()
    with tarfile.open(fileobj=io.BytesIO(raw), encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            name = prefix + os.fsencode(os.path.normpath(member.name)) + (b"/" if member.isdir() else b"")
            yield name, member.offset_data, member.size


def fill(server, directory):
    (directory / "space").mkdir()
    server.sql(f"CREATE TABLESPACE space LOCATION '{directory / 'space'}'")
    server.sql("CREATE TABLE spaced TABLESPACE space AS SELECT generate_series(1, 1000) AS i")
    server.sql('CREATE DATABASE "zwei W\u00f6rter" TABLESPACE space')
    server.write_rows(3000)


@pytest.mark.parametrize("codec", ["brotli", "zstd", "none", "zstd encrypted", "brotli encrypted"])
def test_the_map_says_where_files_lie_and_where_decoding_can_begin(codec, walship, store, servers, directory, request):
    codec, _, encrypted = codec.partition(" ")
    if encrypted and not have_age():
        pytest.skip("the program age is not on this machine; test/install test installs it")
    key = request.getfixturevalue("key") if encrypted else None
    walship.configure(compression=codec, **({"recipients": key.public} if key else {}))
    server = servers.new().start()
    fill(server, directory)
    record = take_backup(walship, server, "--part-size", "16MB")
    head, parts = read_map(store, record, key)
    sizes = sizes_of_manifest(store, record, key)
    assert head["format"] == 1 and head["backup"] == record["id"]
    assert list(parts) == [part["name"] for part in record["parts"]]
    assert sorted(
        path for name, (_, members) in parts.items() for path, _, _ in places_by_map(members, sizes)
        if not path.endswith(b"/") and not name.startswith("wal-")
    ) == sorted(sizes)

    for part in record["parts"]:
        line, members = parts[part["name"]]
        content = stored(store, record, part["name"], key)
        raw = decoded(record, content)
        assert list(places_by_map(members, sizes)) == list(places_by_tar(part, raw))
        assert ("chunks" in line) == (codec != "none")
        if "chunks" not in line:
            continue
        places = directory / "places"
        places.write_text(
            f"{line['chunk_size']}\n" + "".join(f"{offset} {check:x}\n" for offset, check in line["chunks"])
        )
        command = [helper_program("decode_chunks"), codec, str(len(raw)), places]
        (directory / "stream").write_bytes(content)
        with open(directory / "stream", "rb") as stream:
            assert subprocess.run(command, stdin=stream, stdout=subprocess.PIPE, check=True).stdout == raw
        if codec == "zstd":
            for n, (offset, _) in enumerate(line["chunks"]):
                assert decoded(record, content[offset:]) == raw[n * line["chunk_size"] :]


def test_only_sizes_that_nothing_else_tells_are_in_the_map(walship, store, servers, directory):
    server = servers.new().start()
    fill(server, directory)
    record = take_backup(walship, server)
    _, parts = read_map(store, record)
    told = [path for name, (_, members) in parts.items() if not name.startswith("wal-") for path, *size in members if size]
    assert told == []


def test_a_record_names_databases_and_says_how_the_server_was_set(walship, store, servers, directory):
    server = servers.new().start()
    fill(server, directory)
    expected = [
        {"oid": oid, "name": name, "tablespace": tablespace}
        for oid, name, tablespace in server.sql("SELECT oid, datname, dattablespace FROM pg_database ORDER BY oid")
    ]
    record = take_backup(walship, server)
    assert record["databases"] == expected
    assert {"template0", "zwei W\u00f6rter"} < {database["name"] for database in record["databases"]}
    assert read_map(store, record)[0]["databases"] == expected
    assert record["full_page_writes"] is True and "in_place_tablespaces" not in record
    server.sql("ALTER SYSTEM SET full_page_writes = off")
    server.sql("SELECT pg_reload_conf()")
    server.sql("CHECKPOINT")
    assert take_backup(walship, server)["full_page_writes"] is False


def test_an_encrypted_backup_shows_no_name_of_a_database(walship, store, servers, directory, key):
    walship.configure(recipients=key.public)
    server = servers.new().start()
    fill(server, directory)
    record = take_backup(walship, server)
    assert record["databases"] and all(set(database) == {"oid", "tablespace"} for database in record["databases"])
    head, _ = read_map(store, record, key)
    assert [database["oid"] for database in head["databases"]] == [database["oid"] for database in record["databases"]]
    assert "zwei W\u00f6rter" in {database["name"] for database in head["databases"]}


def test_a_role_that_may_only_replicate_takes_backups_without_that_list(walship, store, servers, directory):
    server = servers.new().start()
    fill(server, directory)
    server.sql("CREATE ROLE replicator LOGIN REPLICATION")
    (server.pgdata / "pg_hba.conf").write_text("local replication replicator trust\nlocal all postgres trust\n")
    server.reload()
    environment = {**server.pg_environment, "PGUSER": "replicator"}
    result = walship.ok("backup", "--fast", "--json", env=environment)
    record = json.loads(result.out)
    assert "databases" not in record and "full_page_writes" in record
    assert "databases" not in read_map(store, record)[0]
    assert "does not say which databases there are" in result.err


@pytest.mark.parametrize("major", [15, 18])
def test_a_record_names_tablespaces_in_place(walship, store, servers, major):
    server = servers.new(major=major, allow_in_place_tablespaces="on").start()
    server.sql("CREATE TABLESPACE inside LOCATION ''")
    oid = server.value("SELECT oid FROM pg_tablespace WHERE spcname = 'inside'")
    if major < 17:  # where it is on, a backup is refused: the server leaves them out
        server.sql("ALTER SYSTEM SET allow_in_place_tablespaces = off")
        server.reload()
        wait_until(lambda: server.value("SHOW allow_in_place_tablespaces") == "off", "the setting is off")
    assert take_backup(walship, server)["in_place_tablespaces"] == [oid]


def test_configuration_outside_the_data_directory_is_kept_beside_the_parts(walship, store, servers, directory, recoveries):
    server = servers.new()
    hba, more = directory / "pg_hba.conf", directory / "more.conf"
    hba.write_bytes((server.pgdata / "pg_hba.conf").read_bytes())
    hba.chmod(0o640)
    more.write_text("work_mem = '5MB'\n")
    with open(server.pgdata / "postgresql.conf", "a") as file:
        file.write(f"hba_file = '{hba}'\ninclude '{more}'\n")
    server.start()
    record = take_backup(walship, server)
    raw = decoded(record, stored(store, record, record["config"]["name"]))
    assert len(raw) == record["config"]["raw_size"]
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        found = {f"/{member.name}": (member.mode, archive.extractfile(member).read()) for member in archive}
    assert found == {str(hba): (0o640, hba.read_bytes()), str(more): (0o644, more.read_bytes())}
    (server.pgdata / "pg_hba.conf").unlink()
    server.stop()
    assert recoveries.recover("--immediate").pgdata.exists()


def test_without_such_files_there_is_none(walship, store, server):
    assert "config" not in take_backup(walship, server)


def test_no_recovery_needs_the_map(walship, store, servers, recoveries):
    server = servers.new().start()
    server.write_rows(100)
    record = take_backup(walship, server)
    store.remove(f"{record['system_id']}/base/{record['id']}/{record['map']['name']}")
    expected = server.checksums()
    server.stop()
    copy = recoveries.live("--immediate", "--action", "promote")
    assert copy.checksums() == expected

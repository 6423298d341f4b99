"""docs/format.md: its restore recipe is taken out of the document and run, and its tables are compared with real objects."""
import hashlib
import io
import json
import re
import tarfile

import pytest

from walship_testing.proc import run_ok
from walship_testing.recipe import DOCUMENT, scripts_of_document
from walship_testing.server import distribution_majors
from walship_testing.wal import segment_name

SCRIPTS = ("restore-wal", "restore-backup", "restore", "restore-files")


def table_members(heading):
    """The names in the first column of the tables below a heading."""
    section = DOCUMENT.read_text().split(f"\n{heading}\n", 1)[1]
    section = re.split(r"\n##+ ", section, maxsplit=1)[0]
    rows = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)}


def index_of(store, key):
    with tarfile.open(fileobj=io.BytesIO(store.read(key))) as archive:
        members = archive.getmembers()
        assert len(members) == 2 and all(member.isreg() for member in members)
        return json.load(archive.extractfile(members[0]))


def test_the_document_holds_the_three_scripts():
    assert tuple(scripts_of_document()) == SCRIPTS


@pytest.mark.parametrize("codec", ["brotli", "zstd", "none"])
def test_stock_tools_restore_a_backup_and_replay_wal_to_a_time(codec, servers, walship, store, directory, recipe):
    assert distribution_majors(), "needs the distribution's PostgreSQL: the recipe uses pg_verifybackup"
    walship.configure(compression=codec)
    server = servers.new()
    server.archive_with(walship)
    server.start()
    (directory / "space").mkdir()
    server.sql(f"CREATE TABLESPACE space LOCATION '{directory / 'space'}'")
    server.sql("CREATE TABLE spaced TABLESPACE space AS SELECT generate_series(1, 1000) AS i")
    server.write_rows(2000)
    walship.ok("backup", "--fast", env=server.pg_environment)
    server.write_rows(3000)
    server.switch_and_archive()
    server.write_rows(10)
    expected = server.checksums()
    moment = server.now()
    server.sql("DROP TABLE rows")
    server.switch_and_archive()

    system = server.system_identifier()
    (record,) = [key for key in store.keys(f"{system}/base/") if key.endswith("/backup.json")]
    server.destroy()
    (directory / "space").rename(directory / "space-lost")

    copy = servers.empty(name="copy")
    recipe.restore(copy, store, system, record.split("/")[2], f"recovery_target_time = '{moment}'")
    copy.start().wait_promoted()
    assert copy.checksums() == expected
    location = copy.value("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'")
    assert location.startswith(f"{directory}/copy-tablespaces/")


def test_a_damaged_segment_stops_the_recipe(server, walship, store, directory):
    walship.configure(compression="none")  # nothing but the digest can tell
    name = server.switch_and_archive()
    key = f"{server.system_identifier()}/wal/{name[:8]}/{name}.tar"
    content = bytearray(store.read(key))
    content[1024 + len(content) // 4] ^= 1
    script = directory / "restore-wal"
    script.write_text(scripts_of_document()["restore-wal"])

    def wal():
        return store.path(f"{server.system_identifier()}/wal")

    run_ok(["sh", script, wal(), name, directory / "whole"])
    assert (directory / "whole").read_bytes() == (server.pgdata / "pg_wal" / name).read_bytes()
    store.write(key, bytes(content))
    with pytest.raises(AssertionError, match="exit 200"):
        run_ok(["sh", script, wal(), name, directory / "damaged"])
    with pytest.raises(AssertionError, match="exit 1 "):
        run_ok(["sh", script, wal(), "0000000100000000000000FF", directory / "absent"])


@pytest.mark.directory_only("the recipe works on a directory")
def test_a_damaged_history_file_stops_the_recipe(datadir, walship, store, directory):
    name = datadir.history(2, (1, 0x5800000))
    datadir.push(walship, name)
    script = directory / "restore-wal"
    script.write_text(scripts_of_document()["restore-wal"])
    command = ["sh", script, store.path(f"{datadir.system}/wal"), name, directory / "fetched"]
    run_ok(command)
    assert (directory / "fetched").read_bytes() == (datadir.wal / name).read_bytes()
    whole = store.read(datadir.key(name))
    store.write(datadir.key(name), whole.replace(b"5800000", b"5900000"))
    with pytest.raises(AssertionError, match="exit 200"):
        run_ok(command)
    store.remove(datadir.key(name) + ".sha256")  # as in the first stores
    run_ok(command)


def test_the_document_names_every_member_of_an_index(server, store, directory):
    server.switch_and_archive()
    (directory / "space").mkdir()
    server.sql(f"CREATE TABLESPACE space LOCATION '{directory / 'space'}'")
    server.sql("DROP TABLESPACE space")
    server.sql("ALTER SYSTEM SET full_page_writes = off")
    server.sql("SELECT pg_reload_conf()")
    server.sql("CREATE TABLE dropped AS SELECT 1 AS a")
    server.sql("DROP TABLE dropped")
    server.sql("CREATE DATABASE dropped")
    server.sql("DROP DATABASE dropped")
    server.sql("SELECT pg_create_restore_point('here')")
    server.sql("SELECT pg_logical_emit_message(false, 'over the border', repeat(md5('x'), 550000))")
    server.switch_and_archive()
    members = set()
    text = DOCUMENT.read_text()
    for key in store.keys():
        if key.endswith(".tar"):
            index = index_of(store, key)
            members |= set(index).union(*index.get("restore_points", []), *index.get("drops", []))
            for change in index["tablespaces"] + index["databases"]:
                assert all(f"`{name}`" in text for name in change), change
    documented = table_members("## Segment objects")
    assert members - {"name"} <= documented
    by_chance = {"head", "tail", "tail_length"}  # of a commit that happens to cross the segments' border
    assert documented - members - by_chance == {"damaged_at", "recipients", "switch_lsn", "previous_timeline",
                                                "wal_level_minimal_at"}


def test_the_document_names_every_member_of_a_record(server, walship, store):
    walship.ok("backup", "--fast", env=server.pg_environment)
    (key,) = [key for key in store.keys() if key.endswith("/backup.json")]
    record = store.read_json(key)
    members = table_members("### backup.json")
    assert set(record) | {"recipients", "in_place_tablespaces", "config"} == members
    text = DOCUMENT.read_text()
    for part in (record["parts"][0], record["manifest"], record["map"], record["parameters"], record["databases"][0]):
        assert all(f"`{name}`" in text for name in part), part


def test_header_and_index_of_a_segment_fit_into_4_kib(server, store):
    server.write_rows(100)
    for number in range(12):
        server.sql(f"SELECT pg_create_restore_point(repeat('x', 60) || {number})")
    key = f"{server.system_identifier()}/wal/00000001/{server.switch_and_archive()}.tar"
    head = store.read(key)[:4096]
    size = int(head[124:135], 8)
    index = json.loads(head[512 : 512 + size])
    assert index["restore_point_count"] == 12
    assert len(index["restore_points"]) == 8


def test_the_key_of_a_partial_carries_the_digest_of_its_raw_bytes(datadir, walship, store):
    name = datadir.segment(1, 3, name=f"{segment_name(1, 3)}.partial")
    datadir.push(walship, name)
    digest = hashlib.sha256((datadir.wal / name).read_bytes()).hexdigest()
    assert store.keys() == [f"{datadir.system}/wal/00000001/{name}-{digest[:16]}.tar"]
    index = index_of(store, store.keys()[0])
    assert index["segment"] == name
    assert index["sha256"] == digest
    assert "records" not in index

"""What it takes to look through an archive of 100,000 objects on S3: requests, seconds, memory."""
import copy
import json
import os
import tarfile
from collections import Counter

import pytest

from measure import measure, publish_text
from walship_testing.objects import members_of
from walship_testing.recovery import segment_key, take_backup
from walship_testing.store import DirectoryStore, create_store, sealed
from walship_testing.wal import MIB, format_lsn, parse_segment_name, segment_name
from walship_testing.walship import Walship

OBJECTS = int(os.environ.get("WALSHIP_SOAK_OBJECTS", "100000"))
SEGMENT = 16 * MIB
PAGE = 1000  # keys in one answer of S3
OTHER_REQUESTS = 200  # for what is read besides: records, indexes, leases
MEMORY_MIB = 300

pytestmark = pytest.mark.s3_only


@pytest.fixture(autouse=True)
def bounded():
    """Longer than a test of test/integration may take; everything that waits has a deadline of its own."""


class Idle:
    """The object of a segment of an idle server, which may stand for any later one: as if nothing happened for years."""

    def __init__(self, content, name):
        (self.index_header, index), (self.payload_header, self.payload) = members_of(content)
        self.index = json.loads(index)
        self.segno = parse_segment_name(name)[1]

    def at(self, segno):
        name = segment_name(1, segno)
        start, own = segno * SEGMENT, self.segno * SEGMENT
        index = {
            **self.index,
            "segment": name,
            "member": name + self.index["member"][len(name) :],
            "start_lsn": format_lsn(start),
            "end_lsn": format_lsn(start + SEGMENT),
            "wal_end": format_lsn(start + SEGMENT),
            "previous": self.index["sha256"],
        }
        for record in ("first_record", "last_record"):
            high, low = self.index[record].split("/")
            index[record] = format_lsn(start + (int(high, 16) << 32 | int(low, 16)) - own)
        headers = copy.copy(self.index_header), copy.copy(self.payload_header)
        headers[1].name = index["member"]
        text = sealed(index)
        headers[0].size = len(text)
        result = b""
        for header, data in zip(headers, (text, self.payload)):
            result += header.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
        return name, result + bytes(1024)


@pytest.fixture
def archive(servers, directory):
    """(walship, its store in a directory): two backups, and WAL that makes up the number."""
    local = DirectoryStore(directory / "local")
    create_store(local, directory)
    walship = Walship(directory / "walship", local.settings)
    server = servers.new()
    server.archive_with(walship)
    server.start()
    for _ in range(2):
        take_backup(walship, server)
        server.write_rows(10)
        server.switch_and_archive()
    server.sql("CHECKPOINT")
    last = server.switch_and_archive()
    server.stop()
    system = server.system_identifier()
    idle = Idle(local.read(segment_key(system, last)), last)
    missing = OBJECTS - len(local.keys())
    for segno in range(idle.segno + 1, idle.segno + 1 + missing):
        name, content = idle.at(segno)
        local.path(segment_key(system, name)).write_bytes(content)
    return walship, local


def table_row(operation, requests, figures):
    kinds = Counter(
        "LIST" if request.method == "GET" and "list-type" in request.query else request.method for request in requests
    )
    cells = " | ".join(str(kinds.pop(kind, 0)) for kind in ("LIST", "GET", "HEAD"))
    return (
        f"| {operation} | {len(requests)} | {cells} | {sum(kinds.values())} | {figures.wall:.1f} | {figures.cpu:.1f} "
        f"| {figures.peak:.0f} |\n"
    )


def test_looking_through_many_objects(archive, s3, directory):
    walship, local = archive
    remote = s3.new_store(directory / "copies")
    direct = {**remote.settings, "s3_endpoint": s3.endpoint}
    far = {name: Walship(directory / name, settings) for name, settings in (("direct", direct), ("counted", remote.settings))}
    sections = {
        name: "[store far]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items() if value is not None)
        for name, settings in (("direct", direct), ("counted", remote.settings))
    }

    def near(name):
        walship.sections = sections[name]
        walship.write_config()
        return walship

    sent = measure(directory, near("direct").command("copy", "--to", "far", "--progress", "none"), timeout=3000)
    rows = f"| copy (all of it) | | | | | | {sent.wall:.1f} | {sent.cpu:.1f} | {sent.peak:.0f} |\n"
    operations = {
        "verify": lambda name: far[name].command("verify"),
        "expire --dry-run": lambda name: far[name].command(
            "expire", "--retention", "last 1", "--dry-run", "--force"
        ),
        "copy --dry-run": lambda name: near(name).command("copy", "--to", "far", "--dry-run", "--progress", "none"),
        "list": lambda name: far[name].command("list"),
    }
    peaks, counts = {}, {}
    for operation, command in operations.items():
        remote.proxy.clear()
        measure(directory, command("counted"), timeout=600)
        requests = remote.proxy.seen()
        figures = measure(directory, command("direct"), timeout=600)
        rows += table_row(operation, requests, figures)
        peaks[operation], counts[operation] = figures.peak, len(requests)
    publish_text(
        f"{OBJECTS:,} objects on S3 (requests by a proxy; seconds and memory without it)\n\n"
        "| operation | requests | LIST | GET | HEAD | others | wall s | CPU s | peak memory MiB |\n"
        f"|---|---:|---:|---:|---:|---:|---:|---:|---:|\n{rows}"
    )
    remote.close()
    assert max(peaks.values()) < MEMORY_MIB, peaks
    assert max(counts.values()) < 3 * OBJECTS / PAGE + OTHER_REQUESTS, counts

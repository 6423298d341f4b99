"""Segment objects, taken apart and put together again."""
import io
import json
import tarfile

from .store import sealed


def members_of(content):
    """[(header, bytes)]"""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [(member, archive.extractfile(member).read()) for member in archive.getmembers()]


def index_of(content):
    return json.loads(members_of(content)[0][1])


def with_index(content, change):
    """The object with the index that "change" makes of its own, sealed; the payload stays, and so does the size,
    by blanks behind the seal."""
    (header, index), (payload_header, payload) = members_of(content)
    text = sealed(change(json.loads(index))).ljust(len(index))
    header.size = len(text)
    result = b""
    for head, data in ((header, text), (payload_header, payload)):
        result += head.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
    return result + bytes(1024)


# Members that came after the first objects of format 1, and others that a reader does without: each line goes as one.
OPTIONAL = [
    {"chunk_size", "chunks"},
    {"previous"},
    {"tablespaces", "databases", "tablespace_count", "database_count", "switch_lsn", "previous_timeline",
     "wal_level_minimal_at", "full_page_writes_off_at"},
    {"time_high", "time_high_since"},
    {"quiet_since"},
    {"head"},
    {"tail"},
]


def without(index, groups):
    """As a writer would have left it that did not know them; of a tail its length stays."""
    gone = set().union(*groups)
    result = {name: value for name, value in index.items() if name not in gone}
    if "tail" in gone and "tail" in index:
        result["tail_length"] = len(index["tail"]) // 2
    return result


FIRST_VERSION = OPTIONAL[:3]

"""WAL files: names, and segments made here that are right in everything push looks at."""
import struct
from dataclasses import dataclass

MIB = 1024 * 1024
PAGE = 8192
LONG_HEADER = struct.Struct("<HHIQI4xQII")  # PostgreSQL: access/xlog_internal.h, XLogLongPageHeaderData
MAGIC = {13: 0xD106, 14: 0xD10D, 15: 0xD110, 16: 0xD113, 17: 0xD116, 18: 0xD118, 19: 0xD122}
XLP_LONG_HEADER = 0x0002


def segment_name(timeline, segno, segment_size=16 * MIB):
    per_log = 0x100000000 // segment_size
    return f"{timeline:08X}{segno // per_log:08X}{segno % per_log:08X}"


def parse_segment_name(name, segment_size=16 * MIB):
    timeline, log, seg = (int(name[at : at + 8], 16) for at in (0, 8, 16))
    return timeline, log * (0x100000000 // segment_size) + seg


def format_lsn(lsn):
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


@dataclass
class Header:
    magic: int
    info: int
    timeline: int
    address: int
    remaining: int
    system: int
    segment_size: int
    block_size: int


def write_segment(
    path, system, timeline, segno, *, major=15, segment_size=16 * MIB, salt=b"", size=None, header=()
):
    """A segment in which nothing happened, sparse; "salt" makes its bytes differ from another's.  "header" is
    what its header should say instead of the truth, "size" the file's size instead of the segment's."""
    fields = Header(MAGIC[major], XLP_LONG_HEADER, timeline, segno * segment_size, 0, system, segment_size, PAGE)
    assert set(header) <= set(vars(fields)), header
    vars(fields).update(header)
    with open(path, "wb") as file:
        file.write(LONG_HEADER.pack(*vars(fields).values()))
        file.truncate(size if size is not None else segment_size)
        if salt:
            file.seek(PAGE)
            file.write(salt)
    return path


def history_text(*switches):
    """Of (timeline, lsn) pairs."""
    return "".join(f"{timeline}\t{format_lsn(lsn)}\tno recovery target specified\n" for timeline, lsn in switches)

"""Notes in the state directory (include/walship/base/state_note.h)."""
import re

WRITTEN = re.compile(rb"(?m)^written (\d+) ")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def written(note):
    """When, in seconds since 1970."""
    return int(WRITTEN.search(note.read_bytes())[1]) / 1000


def write_at(note, seconds):
    """As if it had been written at that time."""
    text = WRITTEN.sub(b"written %d " % int(seconds * 1000), note.read_bytes())
    body, _, _ = text.rpartition(b"crc32c ")
    note.write_bytes(body + b"crc32c %08x\n" % crc32c(body))

"""Notes in the state directory (include/walship/base/state_note.h)."""
import hashlib
import re
import time

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


def write_note(state_dir, kind, bound_to, binding, contents):
    """As walship itself would: "kind" and a digest of what it is bound to are its name."""
    name = f"{kind}-{hashlib.sha256(bound_to.encode()).hexdigest()[:16]}"
    now = time.time_ns() // 1_000_000
    monotonic = time.monotonic_ns() // 1_000_000
    body = f"walship note 1\n{binding}\nwritten {now} {monotonic}\n{contents}".encode()
    (state_dir / name).write_bytes(body + b"crc32c %08x\n" % crc32c(body))
    (state_dir / name).chmod(0o600)

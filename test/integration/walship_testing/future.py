"""A PostgreSQL that nobody knows yet: WAL and pg_control of a real server, with other versions."""
import shlex
import struct
import sys
from pathlib import Path

if __package__:
    from .notes import crc32c
    from .wal import PAGE
else:  # run as a program by a server
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from walship_testing.wal import PAGE

RAISE = 0x00A0  # D118 becomes D1B8: no major's


def change_magics(data, by):
    """Of all pages that are written; the rest of a page is covered by no checksum but those of its records."""
    data = bytearray(data)
    for at in range(0, len(data), PAGE):
        (magic,) = struct.unpack_from("<H", data, at)
        if magic != 0:
            struct.pack_into("<H", data, at, magic + by)
    return bytes(data)


def pg_control(data, *, version=2001, catalog=202707011, longer=28):
    """That of a later major: the members from offset 180 on lie somewhere else, and there are more of them."""
    known = data[:288]
    text = known[:8] + struct.pack("<II", version, catalog) + known[16:180] + bytes(longer) + known[180:]
    return (text + struct.pack("<I", crc32c(text))).ljust(8192, b"\0")


def archive_command(walship, directory, *, control):
    """Pushes each file as the server of the future would have written it, out of a data directory of its own."""
    datadir = directory / "future"
    (datadir / "pg_wal").mkdir(parents=True)
    (datadir / "global").mkdir()
    (datadir / "global/pg_control").write_bytes(control)
    program = shlex.join([sys.executable, str(Path(__file__).resolve()), "push", str(datadir)])
    return f"{program} %p {walship.for_shell('push')}".replace("%%", "%")


def wrap_restore_command(command):
    """For a server of today: what was fetched gets the magic that it knows."""
    program = shlex.join([sys.executable, str(Path(__file__).resolve()), "fetch"])
    return f"{program} %p {command}"


def main():
    import subprocess

    if sys.argv[1] == "push":
        datadir, path, command = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
        copy = datadir / "pg_wal" / path.name
        data = path.read_bytes()
        copy.write_bytes(change_magics(data, RAISE) if len(path.name) == 24 else data)
        status = subprocess.run([*command, str(copy)]).returncode
        copy.unlink()
        sys.exit(status)
    path, command = Path(sys.argv[2]), sys.argv[3:]
    status = subprocess.run(command).returncode
    if status == 0 and "HISTORY" not in path.name:
        path.write_bytes(change_magics(path.read_bytes(), -RAISE))
    sys.exit(status)


if __name__ == "__main__":
    main()

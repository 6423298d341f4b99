"""Trees of files, with everything that a tree can have for an ordinary user, and their comparison by rsync."""
import os
import shutil
import subprocess
import time
from pathlib import Path

from .proc import run_ok

SPARSE_SIZE = 40 << 20


def have_tools():
    return all(shutil.which(program) for program in ("rsync", "setfacl", "setfattr"))


def attributes_work(directory):
    """tmpfs has none in older kernels."""
    try:
        os.setxattr(directory, "user.walship", b"1")
        os.removexattr(directory, "user.walship")
    except OSError:
        return False
    return True


def make(root):
    """Below "root", which is made: links, holes, odd names, odd times, odd modes."""
    root = Path(root)
    (root / "sub/deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "a.txt").write_text("hello\n")
    (root / "zero").touch()
    (root / "random").write_bytes(os.urandom(700_000))
    os.link(root / "a.txt", root / "sub/hard")
    os.link(root / "a.txt", root / "0-first")
    os.link(root / "random", root / "sub/hard-random")
    os.symlink("../a.txt", root / "sub/symlink")
    os.symlink("/etc/passwd", root / "absolute")
    os.symlink("t" * 300, root / "long-target")
    os.mkfifo(root / "fifo")
    (root / os.fsdecode(b"no utf-8 \xff\xfe")).write_text("x")
    (root / "line\nfeed").write_text("x")
    (root / "a!sorts-before-a-slash").write_text("x")
    (root / ("n" * 200)).write_text("x")
    long = root.joinpath(*["d" * 120] * 9)
    long.mkdir(parents=True)
    (long / ("f" * 120)).write_text("deep")
    with open(root / "sparse", "wb") as file:
        file.seek(SPARSE_SIZE // 2)
        file.write(os.urandom(5000))
        file.truncate(SPARSE_SIZE)
    with open(root / "nothing-but-a-hole", "wb") as file:
        file.truncate(1 << 20)
    (root / "old").write_text("o")
    os.utime(root / "old", ns=(0, -1_500_000_000))
    (root / "modes").write_text("m")
    (root / "modes").chmod(0o4751)
    if attributes_work(root):
        os.setxattr(root / "a.txt", "user.comment", "ä=ö%\0".encode())
        os.setxattr(root / "sub", "user.a=b", b"of a directory")
        run_ok(["setfacl", "-m", "u:1234:rwx", root / "random"])
        run_ok(["setfacl", "-d", "-m", "g:77:rx", root / "sub"])
    (root / "read-only").mkdir()
    (root / "read-only/file").write_text("r")
    (root / "read-only").chmod(0o555)
    os.utime(root / "sub", ns=(0, 981_173_106_123_456_789))
    os.utime(root / "read-only", ns=(0, 981_173_106_987_654_321))
    return root


def differences(source, restored, timeout=60):
    """What rsync would have to do: nothing, when they are equal in all that it knows of."""
    done = subprocess.run(
        ["rsync", "-aHAXn", "--numeric-ids", "--delete", "--checksum", "--itemize-changes", f"{source}/", f"{restored}/"],
        capture_output=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.decode(errors="backslashreplace").splitlines() if line]


def settle():
    """What changed less than two seconds ago is stored again by the next set."""
    time.sleep(3.1)


def place_of(into, root):
    """Where a tree comes to lie."""
    return Path(into) / Path(root).relative_to("/")

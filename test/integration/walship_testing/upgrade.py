"""pg_upgrade, the real one: a new database system in the place of an old one."""
import os

from . import server as pg
from .proc import run

SAME_CONTROL = range(13, 17)  # majors with one format of pg_control (pg_control_version 1300)

RESETWAL = """#!/bin/sh
# "pg_resetwal -n DIR" for an installation that came without it: the program of a newer major that knows the same
# format of pg_control prints the same, but wants to see its own number in PG_VERSION.
set -eu
[ "$1" = -n ] || exec {program} "$@"
shadow=$(mktemp -d)
trap 'rm -rf "$shadow"' EXIT
echo {major} >"$shadow/PG_VERSION"
ln -s "$2/global" "$2/pg_wal" "$shadow"
{program} -n "$shadow"
"""


def find_pair():
    """The newest (older, newer) major between which this machine can upgrade, or None.

    pg_upgrade is the newer one's.  It runs pg_controldata and pg_resetwal of the older one, which a mere server lacks;
    the newer one's can take their place where they read the same format."""
    for newer in reversed(pg.MAJORS):
        install = pg.find_install(newer)
        if not install or not has(install, "pg_upgrade"):
            continue
        for older in reversed([major for major in pg.MAJORS if major < newer and pg.find_install(major)]):
            if has(pg.find_install(older), "pg_resetwal") or {older, newer} <= set(SAME_CONTROL):
                return older, newer
    return None


def has(install, program):
    return os.access(install.bindir / program, os.X_OK)


def pg_upgrade(old, new, directory):
    """Its result.  Both servers are stopped; "directory" takes what it leaves behind."""
    directory.mkdir()
    command = [new.install.bindir / "pg_upgrade", "-U", "postgres", "--socketdir", new.sockets]
    command += ["--old-bindir", old_programs(old.install, new.install, directory), "--old-datadir", old.pgdata]
    command += ["--new-bindir", new.install.bindir, "--new-datadir", new.pgdata]
    return run(command, cwd=directory, timeout=50)


def old_programs(old, new, directory):
    """The directory of the older major's programs; made, when its installation has only the server."""
    if has(old, "pg_resetwal"):
        return old.bindir
    made = directory / "bin"
    made.mkdir()
    for program in old.bindir.iterdir():
        (made / program.name).symlink_to(program)
    (made / "pg_controldata").symlink_to(new.bindir / "pg_controldata")
    script = made / "pg_resetwal"
    script.write_text(RESETWAL.format(major=new.major, program=new.bindir / "pg_resetwal"))
    script.chmod(0o755)
    return made

"""Dumps of gigabytes, and what it takes to get them back, beside PostgreSQL's own programs."""
import shlex
import shutil
from dataclasses import dataclass

from .cases_base import running_big
from .measure import Failed, run_measured
from .tools import ZSTD

DATABASE = "postgres"
TARGET = "again"
JOBS = 2


@dataclass(frozen=True)
class Way:
    """Lines for a shell; {tool} is walship with its settings, {to} a directory, {pg} that of PostgreSQL's programs."""

    label: str
    dump: str
    undump: str
    is_ours: bool = False
    is_slow = False
    name = "PostgreSQL"
    codec = "zstd"
    settings = ""

    def __str__(self):
        return self.label

    def program(self):
        return None

    def version(self):
        return ""


OBJECTS = f"--table-size 50MB --jobs {JOBS}"
WAYS = (
    Way(
        "walship, one object",
        "{tool_dump} --table-size 0",
        f"{{tool_undump}} --database {DATABASE} --create --to dbname={TARGET}",
        is_ours=True,
    ),
    Way(
        f"walship, large tables apart, jobs {JOBS}",
        f"{{tool_dump}} {OBJECTS}",
        f"{{tool_undump}} --jobs {JOBS} --database {DATABASE} --create --to dbname={TARGET}",
        is_ours=True,
    ),
    Way(
        "pg_dump -Fc -Z0, zstd -3 -T0, store",
        "{pg}/pg_dump -Fc -Z0 " + DATABASE + " | zstd -q -3 -T0 | (cat >{to}/part && sync {to}/part && mv {to}/part {to}/dump)",
        f"{{pg}}/createdb {TARGET} && zstd -qdc {{to}}/dump | {{pg}}/pg_restore -1 -d {TARGET}",
    ),
    Way(
        "pg_dump -Fc, store",
        "{pg}/pg_dump -Fc " + DATABASE + " | (cat >{to}/part && sync {to}/part && mv {to}/part {to}/dump)",
        f"{{pg}}/createdb {TARGET} && {{pg}}/pg_restore -1 -d {TARGET} <{{to}}/dump",
    ),
    Way(
        f"pg_dump -Fd -j{JOBS}",
        f"{{pg}}/pg_dump -Fd -j{JOBS} -f {{to}}/dump {DATABASE}",
        f"{{pg}}/createdb {TARGET} && {{pg}}/pg_restore -j{JOBS} -d {TARGET} {{to}}/dump",
    ),
)


def dumps(bench):
    """Dumps of the big database into a directory, and restores of them, beside pg_dump in a pipe and pg_dump -Fd -j."""
    with running_big(bench) as server:
        taken, found = {}, {}
        for number in range(bench.rounds):
            for way in WAYS:
                bench.say(f"  {way}, round {number + 1}")
                both = bench.attempt(way, lambda way: dump_and_restore(bench, server, way))
                if both:
                    taken.setdefault(way, []).append(both[0])
                    found.setdefault(way, []).append(both[1])
    reference = WAYS[0].label
    bench.table("Dump, directory", bench.medians(taken), unit="dump", reference=reference)
    bench.table("Restore of the dump, directory", bench.medians(found), unit="dump", reference=reference)


def dump_and_restore(bench, server, way):
    """(figures of the dump, of its restore into the same server)."""
    ours = bench.at(ZSTD, "directory", pgdata=server.pgdata, server=server)
    to = bench.new_directory()
    words = {
        "pg": server.install.bindir,
        "to": to,
        "tool_dump": shlex.join(map(str, ours.walship.command("dump", DATABASE, "--progress", "none"))),
        "tool_undump": shlex.join(map(str, ours.walship.command("undump", "--progress", "none"))),
    }
    environment = server.pg_environment
    try:
        dump = run_measured(["bash", "-o", "pipefail", "-c", way.dump.format(**words)], env=environment, timeout=bench.patience.backup)
        dump.facts["stored bytes"] = (
            ours.place.stored("/dump/") if way.is_ours else sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
        )
        undump = run_measured(["bash", "-o", "pipefail", "-c", way.undump.format(**words)], env=environment, timeout=bench.patience.backup)
        compare(server)
    finally:
        server.sql(f"DROP DATABASE IF EXISTS {TARGET}")
        bench.drop(ours)
        shutil.rmtree(to, ignore_errors=True)
    return dump, undump


def compare(server):
    """Rows and indexes of what was restored."""
    counts = "SELECT sum((xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %I', relname), false, true, '')))[1]::text::bigint), "
    counts += "count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    indexes = "SELECT count(*) FROM pg_index WHERE indrelid >= 16384"
    for question in (counts, indexes):
        if server.sql("SET statement_timeout = 0; " + question) != server.sql("SET statement_timeout = 0; " + question, database=TARGET):
            raise Failed("the restored database is another one")

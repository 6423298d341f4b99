"""What more of something costs walship: each table has a size of its own, and says how fast the cost grows with it."""
import copy
import hashlib
import json
import math
import os
import re
import shutil
import tarfile
import time

from walship_testing.objects import members_of
from walship_testing.recovery import take_backup
from walship_testing.store import sealed
from walship_testing.wal import MIB, format_lsn, parse_segment_name, segment_name
from walship_testing.walship import Walship

from . import report
from .measure import run_lines, run_measured
from .tools import AUTO

SEGMENT = 16 * MIB
OLD_ENOUGH = 0.5  # seconds since a segment's last change, before it is pushed along with another
BATCHES, QUICK_BATCHES = (1, 2, 4, 8, 16, 32, 64), (1, 4)
SEGMENTS, QUICK_SEGMENTS = (2_000, 20_000, 200_000), (100, 1_000)
BACKUPS, QUICK_BACKUPS = (20, 200, 2_000), (2, 20)
FILES, QUICK_FILES = (1_000, 10_000, 30_000), (100, 1_000)
SIZES, QUICK_SIZES = (64, 256, 1024), (8, 32)  # MiB
LOOKS = {  # at an archive
    "list": ("list",),
    "list --json": ("list", "--json"),
    "status": ("status",),
    "verify": ("verify",),
    "expire --dry-run": ("expire", "--retention", "last 1", "--dry-run", "--force"),
    "find": ("find",),
    "recover --plan": ("recover", "--plan", "--latest", "--copy", "--pgdata"),
}
# The bars at the largest size: most seconds of processor time, with two thirds to spare, most MiB, with a third, and most files read, of
# which each is a request on S3 (and so is each thousand names that are listed).
LIMITS = {
    ("segments", "list"): (1.0, 40, 10),
    ("segments", "find"): (1.0, 40, 15),
    ("segments", "recover --plan"): (1.0, 40, 11),
    ("backups", "list"): (0.3, 18, 2_020),
    ("backups", "find"): (0.3, 21, 2_020),
    ("backups", "recover --plan"): (0.25, 19, 2_020),
}
FILES_READ = "files read"
OPENED = re.compile(r"^openat\(.* = \d+<(.*)>$")


def exponent(points):
    """[(size, cost)]: the cost grows as the size to this power, between the two largest; None when that cannot be told."""
    pairs = [(size, cost) for size, cost in points if size > 0 and cost > 0][-2:]
    if len(pairs) < 2 or pairs[0][0] == pairs[1][0]:
        return None
    (small, cheap), (large, dear) = pairs
    return math.log(dear / cheap) / math.log(large / small)


def in_words(power):
    if power is None:
        return "cannot be told"
    for limit, words in ((0.2, "hardly at all"), (0.8, "more slowly than the size"), (1.2, "as the size does")):
        if power < limit:
            return f"{words} (power {power:.1f})"
    return f"FASTER THAN THE SIZE (power {power:.1f})"


def show(bench, title, what, found, *, counts=()):
    """"found": {size: Figures}; "counts": facts that are columns, too."""
    rows = []
    for size, figures in found.items():
        each = [f"{1000 * value / size:.3f}" for value in (figures.wall, figures.cpu)]
        facts = [report.number(figures.facts.get(name)) for name in counts]
        rows.append([f"{size:,}", f"{figures.wall:.3f}", f"{figures.cpu:.3f}", *each, f"{figures.peak:.0f}", *facts])
    heads = [what, "wall s", "CPU s", "wall ms each", "CPU ms each", "peak MiB", *counts]
    print(f"\n### Growth: {title}\n{report.markdown(heads, rows)}", flush=True)
    powers = {
        "processor time": exponent([(size, figures.cpu) for size, figures in found.items()]),
        "memory": exponent([(size, figures.peak) for size, figures in found.items()]),
    }
    print("; ".join(f"{cost} grows {in_words(power)}" for cost, power in powers.items()) + ".", flush=True)
    return powers


def growth_of_segments(bench):
    """Growth: one push with more and more segments waiting, and loops of fetches; a directory, so that the store is no limit."""
    names = bench.data.wal().of_kind("OLTP")
    pushes, fetches, archive = {}, {}, None
    for n in QUICK_BATCHES if bench.quick else BATCHES:
        some = names[:n]
        if len(some) < n:
            break
        view = bench.view(some, ready=True)
        bound = bench.at(AUTO, "directory", pgdata=view)
        time.sleep(OLD_ENOUGH)
        pushes[n] = run_measured(["sh", "-c", bound.push(f"pg_wal/{some[0]}")], cwd=view, timeout=bench.patience.loop(n))
        stored = bound.place.segments()
        pushes[n].facts = {"objects": len(stored), "MB stored": sum(stored.values()) / 1e6}
        bench.drop(bound, view)
    show(bench, "one push, with so many segments waiting", "segments", pushes, counts=("objects", "MB stored"))

    some = names[: max(pushes)]
    view = bench.view(some, ready=True)
    archive = bench.at(AUTO, "directory", pgdata=view)
    run_lines([archive.push(f"pg_wal/{name}") for name in some], cwd=view, timeout=bench.patience.loop(len(some)))
    for n in pushes:
        target = bench.view([], recovery=True)
        bound = archive.at(archive.place, bench.new_directory(), pgdata=target)
        fetches[n] = run_lines(
            [bound.fetch(name, "pg_wal/RECOVERYXLOG") for name in some[:n]], cwd=target, timeout=bench.patience.loop(n)
        )
        shutil.rmtree(target)
    show(bench, "fetches, one after the other, by hand", "segments", fetches)
    bench.drop(archive, view)


def growth_of_archives(bench):
    """Growth: looking through archives of more and more segments, and of more and more backups; a directory."""
    server, walship, store = small_archive(bench)
    idle = Idle(store, server)
    record = json.loads(next(store.glob("*/base/*/backup.json")).read_text())
    places = {"segments": (SEGMENTS, QUICK_SEGMENTS), "backups": (BACKUPS, QUICK_BACKUPS)}
    for what, (sizes, quick_sizes) in places.items():
        found = {look: {} for look in LOOKS}
        made = 0
        for size in quick_sizes if bench.quick else sizes:
            began = time.monotonic()
            if what == "segments":
                idle.write(made, size)
            else:
                copy_backups(store, record, made, size)
            made = size
            bench.say(f"  {size} {what}, made in {time.monotonic() - began:.1f} s")
            for look, words in LOOKS.items():
                command = walship.command(*words, *([store.parent / "pgdata"] if "--pgdata" in words else []))
                figures = bench.attempt(AUTO, lambda tool: look_at_archive(bench, command, store))
                if figures:
                    found[look][size] = figures
        for look, each in found.items():
            if each:
                show(bench, f"{look}, of so many {what}", what, each, counts=(FILES_READ,))
            if sizes[-1] in each and (what, look) in LIMITS:
                bars_of_look(bench, f"{look}, of {sizes[-1]:,} {what}", each[sizes[-1]], *LIMITS[what, look])
        idle.remove()
    shutil.rmtree(store, ignore_errors=True)


def look_at_archive(bench, command, store):
    """Twice: for the time, and for what it reads."""
    # "status" and "verify" end with 8 when something is not well, which idle segments of no server may be.
    words = ["sh", "-c", '"$@"; status=$?; [ $status -ne 8 ] || status=0; exit $status', "sh", *command]
    figures = run_measured(words, timeout=bench.patience.backup)
    logs = bench.new_directory()  # one for each thread: in a common one, calls at the same time are two lines each
    tracer = ["strace", "-ff", "--seccomp-bpf", "-qq", "-y", "-e", "trace=openat", "-o", logs / "opened"]
    run_measured([*tracer, *words], timeout=bench.patience.backup)
    figures.facts[FILES_READ] = sum(n_files_read(log.read_text(), store) for log in logs.iterdir())
    shutil.rmtree(logs)
    return figures


def n_files_read(log, store):
    """Of what is below the store, according to strace -y."""
    found = (OPENED.search(line) for line in log.splitlines() if "O_DIRECTORY" not in line)
    return sum(bool(match) and match[1].startswith(f"{store}/") for match in found)


def bars_of_look(bench, case, figures, cpu, mib, n_read):
    bench.bar(f"{case}: processor time", "auto", f"<= {cpu:g} s", figures.cpu, "s", figures.cpu <= cpu)
    bench.bar(f"{case}: memory", "auto", f"<= {mib} MiB", figures.peak, "MiB", figures.peak <= mib)
    n = figures.facts[FILES_READ]
    bench.bar(f"{case}: {FILES_READ}", "auto", f"<= {n_read:,}", n, "", n <= n_read)


def growth_of_databases(bench):
    """Growth: base backups and restores of databases of more and more files, and of more and more bytes; a directory."""
    for what, sizes, quick_sizes, grow in (("files", FILES, QUICK_FILES, add_tables), ("MiB", SIZES, QUICK_SIZES, add_bytes)):
        server = bench.data.factory.new(fsync="off", autovacuum="off", max_wal_size="8GB", max_locks_per_transaction=2048,
                                        archive_mode="on", archive_command="/bin/true")
        server.start()
        backups, restores, made = {}, {}, 0
        for size in quick_sizes if bench.quick else sizes:
            grow(server, made, size)
            made = size
            server.sql("CHECKPOINT")
            bound = bench.at(AUTO, "directory", pgdata=server.pgdata, server=server)
            backups[size] = run_measured(["sh", "-c", bound.backup()], timeout=bench.patience.backup)
            backups[size].facts = {"MB stored": bound.place.stored(bound.BACKUPS) / 1e6}
            target = bench.new_directory() / "restored"
            restores[size] = run_measured(["sh", "-c", bound.restore(target)], timeout=bench.patience.backup)
            shutil.rmtree(target.parent)
            bench.drop(bound)
        show(bench, f"base backup, of so many {what} more than an empty cluster has", what, backups, counts=("MB stored",))
        show(bench, f"restore, of so many {what} more", what, restores)
        server.stop(timeout=120)
        shutil.rmtree(server.pgdata)


def add_tables(server, first, end):
    for at in range(first, end, 500):
        last = min(at + 500, end) - 1
        server.sql(f"DO $$ BEGIN FOR i IN {at}..{last} LOOP EXECUTE 'CREATE TABLE t' || i || ' AS SELECT 1 AS i'; END LOOP; END $$")


def add_bytes(server, first, end):
    for number in range(first, end, 8):  # MiB at a time
        server.psql(
            f"CREATE TABLE IF NOT EXISTS big (i int, t text); INSERT INTO big SELECT i, md5(i::text) || repeat('word ', i % 9) "
            f"FROM generate_series({number * 10_000}, {number * 10_000 + 95_000}) i",
            timeout=600,
        )


# An archive that can be multiplied


def small_archive(bench):
    """(server that has ended, walship, its store's directory): two backups, and some WAL."""
    directory = bench.new_directory()
    store = directory / "store"
    store.mkdir()
    server = bench.data.factory.new(fsync="off")
    walship = Walship(directory / "walship", {"store": f"file://{store}"})
    walship.ok("check", "--create", "--store-only")
    server.archive_with(walship)
    server.start()
    for _ in range(2):
        take_backup(walship, server)
        server.write_rows(10)
        server.switch_and_archive()
    server.sql("CHECKPOINT")
    server.switch_and_archive()
    server.stop()
    walship.configure(system=server.system_identifier())
    return server, walship, store


class Idle:
    """Objects of an idle server's segments, each made of the last one in the store, as if nothing happened for years."""

    def __init__(self, store, server):
        self.directory = store / str(server.system_identifier()) / "wal/00000001"
        last = max(path for path in self.directory.iterdir() if len(path.name) == 28)
        (self.index_header, index), (self.payload_header, self.payload) = members_of(last.read_bytes())
        self.index = json.loads(index)
        self.segno = parse_segment_name(last.stem)[1]
        self.made = []

    def write(self, first, end):
        for segno in range(self.segno + 1 + first, self.segno + 1 + end):
            name, content = self.at(segno)
            path = self.directory / f"{name}.tar"
            path.write_bytes(content)
            self.made.append(path)

    def remove(self):
        for path in self.made:
            path.unlink()
        self.made.clear()

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


def copy_backups(store, record, first, end):
    """More backups, a second after one another before the real ones: the same objects under other names, and a record."""
    base = next(store.glob("*/base"))
    source = base / record["id"]
    for number in range(first, end):
        when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(1_700_000_000 + 3600 * number))
        target = base / f"{when}-{hashlib.sha256(str(number).encode()).hexdigest()[:4]}"
        target.mkdir(exist_ok=True)
        for path in source.iterdir():
            if path.name != "backup.json":
                os.link(path, target / path.name)
        (target / "backup.json").write_bytes(sealed({**record, "id": target.name}))

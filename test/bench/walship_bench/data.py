"""What is archived and restored, the same for everyone: made once, and kept in the cache between runs.

    archived/   a server, stopped, whose pg_wal holds all segments of the test, each with its .ready file
    start/      a base backup of that server from before the first of them, for replay
    big-ROWS/   a server, stopped, whose database has gigabytes
"""
import io
import itertools
import json
import random
import shutil
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from walship_testing import server as pg
from walship_testing.proc import run_ok, wait_until
from walship_testing.wal import parse_segment_name, segment_name

VERSION = 1  # of what this file makes
END = "bench_end"  # restore point in the last segment
N_SEGMENTS = {"OLTP": 80, "bulk load": 64, "nearly empty": 16}
QUICK_SEGMENTS = {"OLTP": 10, "bulk load": 8, "nearly empty": 4}
BIG_ROWS, QUICK_BIG_ROWS = 7_500_000, 300_000
PATIENCE = 1800  # seconds for one step
SEED = 20261121

QUIET = {"max_wal_size": "64GB", "wal_keep_size": "64GB", "checkpoint_timeout": "1h", "autovacuum": "off"}


@dataclass
class Wal:
    """The archived server's segments."""

    pgdata: Path
    start: Path
    kinds: dict  # segment name: kind, in order
    system: str

    @property
    def names(self):
        return list(self.kinds)

    def of_kind(self, kind):
        return [name for name, its in self.kinds.items() if its == kind]


class Data:
    def __init__(self, cache, *, quick):
        self.place = cache / f"data-{VERSION}{'-quick' if quick else ''}"
        self.place.mkdir(parents=True, exist_ok=True)
        self.n_segments = QUICK_SEGMENTS if quick else N_SEGMENTS
        self.n_rows = QUICK_BIG_ROWS if quick else BIG_ROWS
        self.factory = pg.ServerFactory(self.place, cache)

    def wal(self):
        facts = self.place / "wal.json"
        if not facts.exists():
            made = make_wal(self.factory, self.n_segments)
            facts.write_text(json.dumps(asdict(made), default=str))
        kept = json.loads(facts.read_text())
        return Wal(Path(kept["pgdata"]), Path(kept["start"]), kept["kinds"], kept["system"])

    def big(self):
        """The data directory of the big server."""
        name = f"big-{self.n_rows}"
        done = self.place / f"{name}.done"
        if not done.exists():
            make_big(self.factory, name, self.n_rows)
            done.touch()
        return self.place / name

    def server(self, pgdata, **settings):
        """To run in one of the directories; not started."""
        server = self.factory.empty(name=pgdata.name)
        server.pgdata = pgdata
        server.settings.update({**QUIET, **settings})
        return server

    def close(self):
        self.factory.close()


# WAL


def make_wal(factory, n_segments):
    for name in ("archived", "start"):
        shutil.rmtree(factory.directory / name, ignore_errors=True)
    server = factory.new(
        name="archived", archive_mode="on", archive_command="", shared_buffers="256MB", wal_buffers="16MB", **QUIET
    )
    server.start()
    server.psql(f"CREATE TABLE bulk ({COLUMNS})")
    server.psql("CREATE TABLE heartbeat (at timestamptz)")
    server.pgbench_init(20)
    server.switch_wal()
    beginning = server.current_insert_segment()
    start = server.copy_to(factory.empty(name="start"))
    start.signal_file("recovery.signal", archive_mode="off", archive_command=None)
    server.switch_wal()

    first = server.current_insert_segment()
    kinds = {}
    for kind, write in (("OLTP", write_oltp), ("bulk load", write_bulk), ("nearly empty", write_little)):
        write(server, n_segments[kind])
        names = segments_between(first, server.current_insert_segment())
        if kind == "nearly empty":
            server.sql(f"SELECT pg_create_restore_point('{END}')")
            names.append(server.switch_wal())
        kinds.update((name, kind) for name in names)
        first = segment_after(names[-1])
    server.stop(timeout=120)
    keep_ready(server.pgdata, kinds)
    # The backup's own beginning, which is not in the archives, is where the server looks next.
    for name in [beginning, *segments_between(beginning, next(iter(kinds)))]:
        shutil.copy(server.pgdata / "pg_wal" / name, start.pgdata / "pg_wal" / name)
    return Wal(server.pgdata, start.pgdata, kinds, str(server.system_identifier()))


def write_oltp(server, n):
    """Transactions of pgbench, with checkpoints as often as a busy server has them for each piece of WAL."""
    last = number_of(server) + n
    with server.pgbench_running(4):
        for border in range(number_of(server), last, 12):
            server.psql("CHECKPOINT", timeout=PATIENCE)
            target = min(border + 12, last)
            wait_until(lambda: number_of(server) >= target, "pgbench fills segments", timeout=PATIENCE, interval=0.1)
    server.switch_wal()


def write_bulk(server, n):
    """A load, an index, and updates that touch each page for the first time after a checkpoint."""
    last = number_of(server) + n
    batches = rows(random.Random(SEED), 20_000)
    while number_of(server) < last - n // 2:
        load(server, "bulk", next(batches))
    server.psql("CREATE INDEX ON bulk (account); CREATE INDEX ON bulk (reference)", timeout=PATIENCE)
    server.psql("CHECKPOINT", timeout=PATIENCE)
    for part in itertools.count():
        if number_of(server) >= last:
            break
        server.psql(
            f"UPDATE bulk SET amount = amount + 1 WHERE ctid = ANY (ARRAY(SELECT format('(%s,1)', page)::tid "
            f"FROM generate_series({part * 1000}, {part * 1000 + 999}) page))",
            timeout=PATIENCE,
        )
    server.switch_wal()


def write_little(server, n):
    """As archive_timeout makes them on an idle server."""
    for _ in range(n - 1):
        server.sql("INSERT INTO heartbeat VALUES (now())")
        server.sql("SELECT pg_switch_wal()")


def number_of(server):
    return parse_segment_name(server.current_insert_segment())[1]


def segments_between(first, end):
    timeline, number = parse_segment_name(first)
    return [segment_name(timeline, each) for each in range(number, parse_segment_name(end)[1])]


def segment_after(name):
    timeline, number = parse_segment_name(name)
    return segment_name(timeline, number + 1)


def keep_ready(pgdata, names):
    """Each of these, and nothing else, waits to be archived."""
    status = pgdata / "pg_wal/archive_status"
    for path in list(status.iterdir()):
        if path.suffix == ".ready" and path.stem not in names:
            path.rename(path.with_suffix(".done"))
        elif path.suffix == ".done" and path.stem in names:
            path.rename(path.with_suffix(".ready"))
    missing = [name for name in names if not (status / f"{name}.ready").exists()]
    for name in missing:
        (status / f"{name}.ready").touch()


# The big database

COLUMNS = (
    "id bigint, account int, reference uuid, created timestamptz, amount numeric(12,2), country char(2), "
    "status text, note text, detail jsonb"
)


def make_big(factory, name, n_rows):
    shutil.rmtree(factory.directory / name, ignore_errors=True)
    # Tables made at wal_level minimal write no WAL.
    server = factory.new(
        name=name, wal_level="minimal", max_wal_senders=0, shared_buffers="512MB", maintenance_work_mem="512MB", **QUIET
    )
    server.start()
    batches = rows(random.Random(SEED), 50_000)
    n_tables = 6
    for table in range(n_tables):
        n = n_rows // n_tables
        server.psql(f"CREATE TABLE orders_{table} ({COLUMNS})")
        for _ in range(n // 50_000):
            load(server, f"orders_{table}", next(batches))
        for column in ("id", "reference", "account, created"):
            server.psql(f"CREATE INDEX ON orders_{table} ({column})", timeout=PATIENCE)
    server.psql("VACUUM ANALYZE", timeout=PATIENCE)
    server.stop(timeout=300)
    server.configure(
        wal_level="replica", max_wal_senders=8, archive_mode="on", archive_command="/bin/true", shared_buffers="128MB"
    )


def load(server, table, text):
    run_ok(
        [server.install.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", f"COPY {table} FROM STDIN"],
        env=server.pg_environment,
        stdin=text,
        timeout=PATIENCE,
    )


def rows(dice, n):
    """Batches of n rows for COPY, endlessly: words as often as in a language, numbers, times, identifiers."""
    sentences = make_sentences(dice)
    states = ("new", "paid", "packed", "shipped", "returned", "cancelled")
    countries = ("DE", "FR", "US", "PL", "NL", "IT", "JP", "BR")
    when = 1_700_000_000.0
    for batch in itertools.count():
        text = io.StringIO()
        for number in range(batch * n, batch * n + n):
            when += dice.expovariate(0.3)
            note = " ".join(dice.choices(sentences, k=dice.choice((1, 2, 2, 3, 5))))
            detail = (
                f'{{"sku": "{dice.randrange(10**7):07d}", "quantity": {dice.randrange(1, 20)}, '
                f'"weight": {dice.lognormvariate(1, 0.7):.3f}, "agent": "{dice.choice(sentences)[:24]}"}}'
            )
            text.write(
                f"{number}\t{dice.randrange(2_000_000)}\t{uuid.UUID(int=dice.getrandbits(128))}\tepoch\t"
                f"{dice.lognormvariate(4, 1):.2f}\t{dice.choice(countries)}\t{dice.choice(states)}\t{note}\t{detail}\n".replace(
                    "epoch", timestamp(when), 1
                )
            )
        yield text.getvalue()


def timestamp(seconds):
    whole = int(seconds)
    days, rest = divmod(whole, 86400)
    year, day = divmod(days, 365)  # any calendar will do
    return (
        f"{1970 + year}-{1 + day // 31:02d}-{1 + day % 28:02d} "
        f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}.{int((seconds - whole) * 1e6):06d}+00"
    )


def make_sentences(dice, n=150_000):
    """Of invented words, of which few are frequent (Zipf's law)."""
    syllables = [a + b for a in "bdfghklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er", "in", "st", "ou")]
    words = ["".join(dice.choices(syllables, k=dice.choice((1, 2, 2, 3, 3, 4)))) for _ in range(20_000)]
    weights = list(itertools.accumulate(1 / rank for rank in range(3, len(words) + 3)))
    return [" ".join(dice.choices(words, cum_weights=weights, k=dice.randrange(3, 11))) for _ in range(n)]

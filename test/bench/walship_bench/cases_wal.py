"""Segments: archived one by one, out of a backlog by a real archiver, and fetched again in the order of replay."""
import contextlib
import os
import shutil
import time
from pathlib import Path

from walship_testing.faultproxy import FaultProxy
from walship_testing.proc import children_of, wait_until

from .data import END
from .measure import Failed, Figures, children, children_cpu, cpu_of, end_orphans, median, read_text, run_lines, run_measured
from .tools import BROTLI, BROTLI_HTTP, OURS, BarmanCloud, PgBackRest, WalG, peers

ROUND_TRIPS = (0, 20, 80)  # ms
SYNC = PgBackRest()
ASYNC = tuple(PgBackRest(n, is_async=True) for n in (1, 2, 4))
SLOW_SEGMENTS = 8  # what a slow tool gets of a backlog
PATIENCE = 900
CALL_PATIENCE = 60


# One by one


def one_push_to_a_directory(bench):
    """One segment of OLTP into a directory."""
    found = push_alone(bench, [*OURS, *peers(SYNC, WalG())], "directory", 0, bench.rounds * 3)
    bench.table("One push, directory", found, facts=("stored bytes",))
    bench.compare("one push, directory: wall", found, at_most={"brotli": 0.9, "zstd": 0.7})


def one_push_to_s3(bench):
    """One segment of OLTP to S3, at 20 ms."""
    tools = [*OURS, BROTLI_HTTP, *peers(SYNC, BarmanCloud(), WalG())]
    found = push_alone(bench, tools, "s3", 20, bench.rounds * 3)
    bench.table("One push, S3 over TLS, 20 ms", found, facts=("stored bytes",))
    bench.compare("one push, S3, 20 ms: wall", found, at_most={"brotli": 0.70, "zstd": 0.60})


def push_alone(bench, tools, kind, rtt, rounds):
    """The second of two, for the first one may find things out that it notes."""
    names = bench.data.wal().of_kind("OLTP")
    first, name = names[len(names) // 2 :][:2]

    def run(tool):
        view = bench.view([first, name])
        bound = bench.at(tool, kind, pgdata=view, rtt=rtt)
        run_lines([bound.push(f"pg_wal/{first}")], cwd=view, env=bound.env, timeout=CALL_PATIENCE)
        figures = run_measured(["sh", "-c", bound.push(f"pg_wal/{name}")], cwd=view, env=bound.env, timeout=CALL_PATIENCE)
        figures.facts["stored bytes"] = bound.place.stored(containing=name)
        bench.drop(bound, view)
        return figures

    return bench.interleaved(tools, run, rounds=rounds)


def calls_for_each_kind_of_wal(bench):
    """Loops of push and fetch calls for the three kinds of WAL, at 0, 20 and 80 ms."""
    n = 2 if bench.quick else 4
    for rtt in ROUND_TRIPS[: 2 if bench.quick else 3]:
        for kind in bench.data.n_segments:
            names = bench.data.wal().of_kind(kind)[:n]
            fetches = {}
            tools = [*OURS, *peers(SYNC, BarmanCloud())]

            def run(tool, names=names, rtt=rtt, fetches=fetches):
                pushed, fetched = push_and_fetch(bench, tool, names, rtt)
                fetches.setdefault(tool, []).append(fetched)
                return pushed

            pushes = bench.interleaved(tools, run, rounds=min(bench.rounds, 2))
            bench.table(f"Loop of {n} pushes, {kind}, S3, {rtt} ms", pushes, facts=("stored bytes",))
            bench.table(f"Loop of {n} fetches, {kind}, S3, {rtt} ms", {tool: median(runs) for tool, runs in fetches.items()})


def push_and_fetch(bench, tool, names, rtt):
    view, target = bench.view(names), bench.view(names, recovery=True)
    bound = bench.at(tool, "s3", pgdata=view, rtt=rtt)
    pushed = run_lines([bound.push(f"pg_wal/{name}") for name in names], cwd=view, env=bound.env)
    pushed.facts["stored bytes"] = sum(bound.place.stored(containing=name) for name in names) / len(names)
    fetched = fetch_loop(bench, bound, names, target)
    bench.drop(bound, view, target)
    return pushed, fetched


# Out of a backlog


def backlog_to_s3(bench):
    """A backlog through a real archiver, S3, 20 ms."""
    found = archive_backlog(bench, "s3", 20)
    bench.table("Backlog through a real archiver, S3 over TLS, 20 ms", found)
    bench.compare("backlog, archiver, S3, 20 ms: segments/s", found, at_least={"brotli": 1.1, "zstd": 1.4})


def backlog_to_the_sink(bench):
    """The same against a store that swallows everything: what the client itself can do."""
    found = archive_backlog(bench, "sink", 20)
    bench.table("Backlog through a real archiver, sink over TLS, 20 ms", found)
    bench.compare("backlog, archiver, sink: segments/s", found, at_least={"brotli": 1.5, "zstd": 2.0})


def archive_backlog(bench, kind, rtt):
    names = bench.data.wal().names
    with running_archiver(bench) as server:

        def run(tool):
            bound = bench.at(tool, kind, rtt=rtt, pgdata=server.pgdata)
            some = names[:SLOW_SEGMENTS] if tool.is_slow else names
            figures = drain(server, bound, some)
            bench.drop(bound)
            return figures

        best = bench.best_of(peers(*ASYNC), run)
        tools = [*OURS, *([BROTLI_HTTP] if kind == "sink" else []), *([best] if best else []), *peers(BarmanCloud(), WalG())]
        return bench.interleaved(tools, run)


@contextlib.contextmanager
def running_archiver(bench):
    server = bench.data.server(
        bench.data.wal().pgdata, archive_mode="on", archive_command="", log_min_messages="warning"
    )
    set_backlog(server, [])
    server.start(timeout=120)
    try:
        yield server
    finally:
        server.stop(timeout=120)
        set_backlog(server, bench.data.wal().names)


def drain(server, bound, names):
    """From the moment on at which the archiver gets its command."""
    known = children()
    archiver = archiver_of(server)
    log_size = len(server.log_text())
    set_backlog(server, names)
    before = children_cpu(archiver)
    began = time.monotonic()
    server.configure(archive_command=bound.archive_command())
    server.reload()
    try:
        wait_until(lambda: not waiting(server, log_size), "the backlog is archived", timeout=PATIENCE, interval=0.03)
        wall = time.monotonic() - began
    finally:
        server.configure(archive_command="")
        server.reload()
    cpu = children_cpu(archiver) - before
    background = end_orphans(known)
    return Figures(wall, cpu + background.cpu, n=len(names))


def set_backlog(server, names):
    status = server.pgdata / "pg_wal/archive_status"
    names = set(names)
    for path in list(status.iterdir()):
        wanted = ".ready" if path.stem in names else ".done"
        if path.suffix != wanted:
            path.rename(path.with_suffix(wanted))


def waiting(server, log_size):
    if "failed too many times" in server.log_text()[log_size:]:
        raise Failed(server.log_tail())
    return any(entry.name.endswith(".ready") for entry in os.scandir(server.pgdata / "pg_wal/archive_status"))


def archiver_of(server):
    return wait_until(
        lambda: next((pid for pid in children_of(server.process.pid) if "archiver" in title_of(pid)), None),
        "the archiver runs",
    )


def title_of(pid):
    return read_text(Path(f"/proc/{pid}/cmdline"))


# Fetched again


def fetches_by_a_loop(bench):
    """A loop of fetch calls in the order of replay, S3, 20 ms."""

    def run(tool, bound, names):
        target = bench.view(names, recovery=True)
        figures = fetch_loop(bench, bound, names, target)
        shutil.rmtree(target)
        return figures

    found = fetch_with_all(bench, run)
    bench.table("Loop of fetches in the order of replay, S3 over TLS, 20 ms", found)
    bench.compare("fetch, loop, S3, 20 ms: segments/s", found, at_least={"brotli": 1.2, "zstd": 1.6})


def fetches_by_replay(bench):
    """A real replay, S3, 20 ms; time and processor include the server's."""
    found = fetch_with_all(bench, lambda tool, bound, names: replay(bench, bound, names), slow=False)
    bench.table("Real replay (with the server's own work), S3 over TLS, 20 ms", found)
    bench.compare("fetch, real replay, S3, 20 ms: segments/s", found, at_least={"brotli": 1.2, "zstd": 1.6})


def fetch_with_all(bench, run, *, slow=True):
    """Each tool fetches what it has archived once."""
    names = bench.data.wal().names
    view = bench.view(names, ready=True)
    archives = bench.archives

    def run_on_archive(tool):
        family = tool.label.partition(" x")[0]
        some = names[:SLOW_SEGMENTS] if tool.is_slow else names
        if family not in archives:
            archives[family] = fill(bench, tool, some, view)
        bound = tool.at(archives[family].place, bench.new_directory(), pgdata=view)
        bench.tools[tool.label] = tool
        figures = run(tool, bench.moved(bound, 20), some)
        shutil.rmtree(bound.work, ignore_errors=True)
        return figures

    best = bench.best_of(peers(*ASYNC), run_on_archive)
    tools = [*OURS, *([best] if best else []), *peers(*([BarmanCloud()] if slow else []), WalG())]
    found = bench.interleaved(tools, run_on_archive)
    shutil.rmtree(view)
    return found


def fill(bench, tool, names, view):
    bench.say(f"  {tool} archives {len(names)} segments to fetch")
    bound = bench.at(tool, "s3", pgdata=view)
    run_lines([bound.push(f"pg_wal/{name}") for name in names], cwd=view, env=bound.env, timeout=PATIENCE)
    return bound


def fetch_loop(bench, bound, names, target):
    """As the server does: to RECOVERYXLOG, then renamed.  What came is compared afterwards."""
    bound = bound.at(bound.place, bound.work, pgdata=target)
    lines = [f"{bound.fetch(name, 'pg_wal/RECOVERYXLOG')} && mv pg_wal/RECOVERYXLOG pg_wal/{name}" for name in names]
    # Whoever fetches ahead looks whether a postmaster is there and has called it.
    figures = run_lines(lines, before="echo $$ >postmaster.pid", cwd=target, env=bound.env, timeout=PATIENCE)
    source = bench.data.wal().pgdata / "pg_wal"
    for name in names:
        if (target / "pg_wal" / name).read_bytes() != (source / name).read_bytes():
            raise Failed(f"{bound}: {name} came back with other contents")
    return figures


def replay(bench, bound, names):
    """From the server's start to its stop at the restore point in the last segment."""
    pgdata = bench.new_directory() / "replayed"
    run_measured(["cp", "-a", bench.data.wal().start, pgdata])
    server = bench.data.server(pgdata, shared_buffers="512MB", archive_mode="off", hot_standby="off")
    tool = bound.at(bound.place, bound.work, pgdata=pgdata)
    server.configure(
        restore_command=tool.restore_command(), recovery_target_name=END, recovery_target_action="shutdown"
    )
    known = children()
    began = time.monotonic()
    server.start(wait=False)
    _, _, usage = os.wait4(server.process.pid, 0)
    wall = time.monotonic() - began
    server.process.returncode = 0
    server.process = None
    if f'recovery stopping at restore point "{END}"' not in server.log_text():
        raise Failed(server.log_tail())
    background = end_orphans(known)
    shutil.rmtree(pgdata.parent)
    return Figures(wall, cpu_of(usage) + background.cpu, n=len(names))


# Counting


def requests(bench):
    """Requests for each segment of a backlog, counted in front of the real server; not timed."""
    n = 4 if bench.quick else 12
    names = bench.data.wal().of_kind("OLTP")[:n]
    rows = {}
    for tool in peers(BROTLI, SYNC, ASYNC[1], BarmanCloud(), WalG()):
        bench.tools[tool.label] = tool
        rows[tool] = count_requests(bench, tool, names)
    bench.table(f"Requests for each segment, {n} segments", rows, only=("push", "fetch"))
    for verb in ("push", "fetch"):
        each = rows[BROTLI].facts[f"most {verb}"]
        bench.bar(f"requests for one segment, {verb}", "both", "= 1", each, "", each == 1)


def count_requests(bench, tool, names):
    view, target = bench.view(names, ready=True), bench.view(names, recovery=True)
    bound = bench.at(tool, "s3", pgdata=view)
    server = bound.place.server
    certificate = (server.certificate_file, server.key_file) if tool.tls else None
    proxy = FaultProxy(
        server.address, certificate=certificate, credentials=(server.access_key, server.secret_key), region=server.region
    )
    with proxy:
        near = tool.at(bound.place.on(proxy.port), bench.new_directory(), pgdata=view)
        proxy.clear()
        pushed = run_lines([near.push(f"pg_wal/{name}") for name in names], cwd=view, env=near.env)
        pushes = proxy.seen()
        proxy.clear()
        fetch_loop(bench, near, names, target)
        fetches = proxy.seen()
    for verb, seen in (("push", pushes), ("fetch", fetches)):
        pushed.facts[verb] = len(seen) / len(names)
        pushed.facts[f"most {verb}"] = max(sum(name in each.target for each in seen) for name in names)
    bench.drop(bound, view, target)
    return pushed

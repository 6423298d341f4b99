"""Segments: archived one by one, out of a backlog by a real archiver, and fetched again in the order of replay."""
import contextlib
import os
import shutil
import time
from pathlib import Path

from walship_testing.faultproxy import FaultProxy
from walship_testing.proc import children_of, is_running, wait_until

from .data import END
from .measure import (
    Failed, Figures, Hung, TreeMemory, children, children_cpu, cpu_of, end_orphans, kill_below, median, read_text, run_lines,
    run_measured,
)
from .peers import (
    BARMAN, PGBACKREST, PGBACKREST_ASYNC, PGBACKREST_HTTP, PGBACKREST_LZ4, WALG, WALG_CAREFUL, WALG_RENAMING, WALRUS,
)
from .stores import SEGMENT
from .tools import AUTO, BROTLI_HTTP, ZSTD_1, ZSTD_3

ROUND_TRIPS = (0, 20, 80)  # ms
SLOW_SEGMENTS = 8  # what a slow tool gets of a backlog
NOISE = ("received SIGHUP", "parameter \"archive_command\"", "archiving is not configured")  # of the server's log
STORE_PATIENCE = 10  # seconds until what was said to be archived is seen in the store


# One by one


def one_push_to_a_directory(bench):
    """One segment of OLTP into a directory."""
    theirs = bench.peers(PGBACKREST, PGBACKREST_LZ4, *WALG, WALG_CAREFUL, *WALRUS, minor=True)
    tools = [*bench.ours("segment"), ZSTD_1, *theirs]
    found = push_alone(bench, tools, "directory", 0)
    bench.table("One push, directory", found)
    bench.compare("one push, directory: wall", found, at_most={"brotli": 0.9, "zstd": 0.7})
    bench.compare_with_best("one push, directory", found, {"auto": 1.0, "zstd": 1.0})
    bench.compare_with_best("one push, directory", found, {"auto": 1.0, "zstd": 1.0}, peer="wal-rus")
    bench.compare_at_equal_bytes("one push, directory", found)


def one_push_to_s3(bench):
    """One segment of OLTP to S3, at 20 ms."""
    theirs = bench.peers(PGBACKREST, PGBACKREST_LZ4, PGBACKREST_HTTP, *WALG, WALG_CAREFUL, *WALRUS, *BARMAN, minor=True)
    found = push_alone(bench, [*bench.ours("segment"), ZSTD_1, BROTLI_HTTP, *theirs], "s3", 20)
    bench.table("One push, S3 over TLS, 20 ms", found)
    over_tls = {tool: figures for tool, figures in found.items() if tool.tls}
    bench.compare("one push, S3, 20 ms: wall", over_tls, at_most={"brotli": 0.70, "zstd": 0.60})
    bench.compare_with_best("one push, S3, 20 ms", over_tls, {"auto": 0.95, "zstd": 0.95})
    bench.compare_at_equal_bytes("one push, S3, 20 ms", over_tls)


def push_alone(bench, tools, kind, rtt):
    """The second of two, for the first one may find things out that it notes."""
    names = bench.data.wal().of_kind("OLTP")
    first, name = names[len(names) // 2 :][:2]

    def run(tool):
        view = bench.view([first, name])
        bound = bench.at(tool, kind, pgdata=view, rtt=rtt)
        push_all(bench, bound, [first], view)
        figures = push_all(bench, bound, [name], view)
        bench.drop(bound, view)
        return figures

    return bench.interleaved(tools, run, rounds=bench.rounds * 3)


def push_all(bench, bound, names, view):
    """One call after the other; with the bytes stored of all segments."""
    lines = [bound.push(f"pg_wal/{name}") for name in names]
    if len(lines) == 1:
        figures = run_measured(["sh", "-c", lines[0]], cwd=view, timeout=bench.patience.call)
    else:
        figures = run_lines(lines, cwd=view, timeout=bench.patience.loop(len(lines)))
    stored, late = wait_stored(bound, names)
    figures.wall += late
    figures.facts["stored bytes"] = stored
    return figures


def wait_stored(bound, names):
    """(bytes of all of them, seconds until they are there).  A program's word that it has archived is not taken for it."""
    began = looked = time.monotonic()
    while True:
        sizes = bound.place.segments()
        missing = [name for name in names if not sizes[name]]
        if not missing:
            return sum(sizes[name] for name in names), looked - began
        if looked > began + STORE_PATIENCE:
            raise Failed(f"says that it archived {len(names)} segments, but {len(missing)} are not in the store: {missing[0]}")
        time.sleep(0.05)
        looked = time.monotonic()


def calls_for_each_kind_of_wal(bench):
    """Loops of push calls and of restore_command calls, every peer, the three kinds of WAL, at 0, 20 and 80 ms."""
    n = 2 if bench.quick else 4
    for rtt in ROUND_TRIPS[: 2 if bench.quick else 3]:
        for kind in bench.data.n_segments:
            names = bench.data.wal().of_kind(kind)[:n]
            fetches = {}
            tools = [*bench.ours("segment"), *bench.peers(PGBACKREST, PGBACKREST_LZ4, *WALG, *WALRUS, *BARMAN)]

            def run(tool, names=names, rtt=rtt, fetches=fetches):
                pushed, fetched = push_and_fetch(bench, tool, names, rtt)
                if fetched:
                    fetches.setdefault(tool, []).append(fetched)
                return pushed

            pushes = bench.interleaved(tools, run, rounds=min(bench.rounds, 2))
            bench.table(f"Loop of {n} pushes, {kind}, S3, {rtt} ms", pushes)
            bench.table(f"Loop of {n} fetches, {kind}, S3, {rtt} ms", {tool: median(runs) for tool, runs in fetches.items()})


def push_and_fetch(bench, tool, names, rtt):
    """Two figures; None for the second when that fails, which does not touch the first."""
    view, target = bench.view(names), bench.view(names, recovery=True)
    bound = bench.at(tool, "s3", pgdata=view, rtt=rtt)
    pushed = push_all(bench, bound, names, view)
    fetched = bench.attempt(tool, lambda _: fetch_loop(bench, bound, names, target))
    if fetched:
        fetched.facts.update(pushed.facts)
    bench.drop(bound, view, target)
    return pushed, fetched


# Out of a backlog


def backlog_to_s3(bench):
    """A backlog through a real archiver, S3, 20 ms."""
    found = archive_backlog(bench, "s3", 20, [])
    bench.table("Backlog through a real archiver, S3 over TLS, 20 ms", found)
    bench.compare("backlog, archiver, S3, 20 ms: segments/s", found, at_least={"brotli": 1.1, "zstd": 1.4})
    bench.compare_with_best("backlog, S3, 20 ms", found, {"auto": 0.75}, more_bytes=1.10)
    bench.compare_bytes("backlog, S3, 20 ms", found, {"auto": 1.10})
    bench.compare_at_equal_bytes("backlog, S3, 20 ms", found)


def backlog_to_the_sink(bench):
    """The same against a store that swallows everything: what the client itself can do."""
    found = archive_backlog(bench, "sink", 20, [BROTLI_HTTP])
    bench.table("Backlog through a real archiver, sink over TLS, 20 ms", found)
    bench.compare("backlog, archiver, sink: segments/s", found, at_least={"brotli": 1.5, "zstd": 2.0})


def archive_backlog(bench, kind, rtt, more):
    names = bench.data.wal().names
    with running_archiver(bench) as server:

        def run(tool):
            bound = bench.at(tool, kind, rtt=rtt, pgdata=server.pgdata)
            figures = drain(bench, server, bound, names[:SLOW_SEGMENTS] if tool.is_slow else names)
            bench.drop(bound)
            return figures

        best = bench.with_best(PGBACKREST_ASYNC, run)
        theirs = [*best, *bench.peers(*(tool.with_codec("lz4") for tool in best), *WALG, WALG_RENAMING, *WALRUS, *BARMAN)]
        return bench.interleaved([*bench.ours(), ZSTD_3, *more, *theirs], run)


@contextlib.contextmanager
def running_archiver(bench):
    server = bench.data.server(
        bench.data.wal().pgdata, archive_mode="on", archive_command="", log_min_messages="warning"
    )
    reset_wal_directory(server.pgdata, bench.data.wal().names, [])
    server.start(timeout=120)
    try:
        yield server
    finally:
        server.stop(timeout=120)
        reset_wal_directory(server.pgdata, bench.data.wal().names, bench.data.wal().names)


def drain(bench, server, bound, names):
    """From the moment on at which the archiver gets its command, until all segments are in the store."""
    known = children()
    archiver = archiver_of(server)
    log_size = len(server.log_text())
    reset_wal_directory(server.pgdata, bench.data.wal().names, names)
    before = children_cpu(archiver)
    with TreeMemory(bound.processes, without=bench.stores.pids()) as peak:
        began = time.monotonic()
        server.configure(archive_command=bound.archive_command())
        server.reload()
        try:
            wait_archived(server, log_size, bench.patience.standstill)
            wall = time.monotonic() - began
            stored, late = wait_stored(bound, names)
        except BaseException as error:
            stop_archiving(server)
            # The archiver ends with a command that a signal ends, and the next tool is not to wait for its successor.
            if kill_below(archiver) and isinstance(error, Exception):
                wait_until(lambda: not is_running(archiver), "the archiver ends")
            raise
        finally:
            stop_archiving(server)
            background = end_orphans(known)
    cpu = children_cpu(archiver) - before
    return Figures(wall + late, cpu + background.cpu, peak.mib, len(names), {"stored bytes": stored})


def stop_archiving(server):
    server.configure(archive_command="")
    server.reload()


def reset_wal_directory(pgdata, archived, ready):
    """As if nothing had been archived yet, but for what is to be: these wait for it.  What a tool left there would make
    it believe that it has less to do (WAL-G: pg_wal/walg_data), and is removed."""
    wal = pgdata / "pg_wal"
    for path in list(wal.iterdir()):
        if path.name != "archive_status" and not SEGMENT.match(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    status, ready = wal / "archive_status", set(ready)
    for path in list(status.iterdir()):
        name, state = path.stem, path.suffix
        if state not in (".ready", ".done") or name in archived:
            path.unlink()
        elif state == ".ready":
            path.rename(path.with_suffix(".done"))
    for name in archived:
        (status / f"{name}{'.ready' if name in ready else '.done'}").touch()


def wait_archived(server, log_size, standstill):
    """Until no segment waits any more.  It hangs when there are as many as so long ago."""
    n, deadline = None, None
    while left := count_ready(server):
        log = server.log_text()[log_size:]
        if "failed too many times" in log:
            said = [line for line in log.splitlines() if not any(noise in line for noise in NOISE)]
            raise Failed("the archiver gives up:\n" + "\n".join(said[:20]))
        if left != n:
            n, deadline = left, time.monotonic() + standstill
        if time.monotonic() > deadline:
            raise Hung(f"{left} segments wait, as many as {standstill} s ago:\n{server.log_tail(5)}")
        time.sleep(0.03)


def count_ready(server):
    return sum(entry.name.endswith(".ready") for entry in os.scandir(server.pgdata / "pg_wal/archive_status"))


def archiver_of(server):
    return wait_until(
        lambda: next((pid for pid in children_of(server.process.pid) if "archiver" in title_of(pid)), None),
        "the archiver runs",
        timeout=60,
    )


def title_of(pid):
    return read_text(Path(f"/proc/{pid}/cmdline"))


# Fetched again


def fetches_by_a_loop(bench):
    """A loop of restore_command calls in the order of replay, every peer, S3, 20 ms."""

    def run(tool, bound, names):
        target = bench.view(names, recovery=True)
        figures = fetch_loop(bench, bound, names, target)
        shutil.rmtree(target)
        return figures

    found = fetch_with_all(bench, run, BARMAN)
    bench.table("Loop of fetches in the order of replay, S3 over TLS, 20 ms", found)
    bench.compare("fetch, loop, S3, 20 ms: segments/s", found, at_least={"brotli": 1.2, "zstd": 1.6})
    bench.compare_with_best("fetch, loop, S3, 20 ms", found, {"auto": 0.70, "zstd 3": 0.70})
    bench.compare_at_equal_bytes("fetch, loop, S3, 20 ms", found)


def fetches_by_replay(bench):
    """A real replay, S3, 20 ms; time and processor include the server's."""
    found = fetch_with_all(bench, lambda tool, bound, names: replay(bench, bound, names), ())
    bench.table("Real replay (with the server's own work), S3 over TLS, 20 ms", found)
    bench.compare("fetch, real replay, S3, 20 ms: segments/s", found, at_least={"brotli": 1.2, "zstd": 1.6})
    bench.compare_with_best("fetch, real replay, S3, 20 ms", found, {"auto": 0.85, "zstd 3": 0.70})
    bench.compare_at_equal_bytes("fetch, real replay, S3, 20 ms", found)


def fetch_with_all(bench, run, slow):
    """Each tool fetches what it has archived once."""
    names = bench.data.wal().names
    view = bench.view(names, ready=True)
    archives = bench.archives

    def run_on_archive(tool):
        some = names[:SLOW_SEGMENTS] if tool.is_slow else names
        if tool.archive not in archives:
            archives[tool.archive] = fill(bench, tool, some)
        place = archives[tool.archive].place
        bound = tool.at(place, bench.new_directory(), pgdata=view)
        figures = run(tool, bench.moved(bound, 20), some)
        sizes = place.segments()
        figures.facts["stored bytes"] = sum(sizes[name] for name in some)
        shutil.rmtree(bound.work, ignore_errors=True)
        return figures

    best = bench.with_best(PGBACKREST_ASYNC, run_on_archive)
    theirs = [*best, *bench.peers(*(tool.with_codec("lz4") for tool in best), *WALG, *WALRUS, *slow)]
    found = bench.interleaved([*bench.ours("segment"), ZSTD_3, *theirs], run_on_archive)
    shutil.rmtree(view)
    return found


def fill(bench, tool, names):
    bench.say(f"  {tool} archives {len(names)} segments to fetch")
    # Most WAL is archived as it comes; a backlog would get another codec and level from walship.  pgBackRest's async mode needs it.
    view = bench.view(names, ready=not tool.is_ours)
    bound = bench.at(tool, "s3", pgdata=view)
    push_all(bench, bound, names, view)
    shutil.rmtree(view)
    return bound


def fetch_loop(bench, bound, names, target):
    """As the server does: to RECOVERYXLOG, then renamed.  What came is compared afterwards."""
    bound = bound.at(bound.place, bound.work, pgdata=target)
    figures = run_lines(
        [bound.fetch(name, "pg_wal/RECOVERYXLOG") for name in names],
        then=[f"mv pg_wal/RECOVERYXLOG pg_wal/{name}" for name in names],
        before="echo $$ >postmaster.pid",  # whoever fetches ahead looks whether a postmaster is there and has called it
        cwd=target,
        timeout=bench.patience.loop(len(names)),
    )
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
    with TreeMemory(bound.processes, without=bench.stores.pids()) as peak:
        began = time.monotonic()
        server.start(wait=False)
        try:
            usage = wait_end(server, bench.patience.loop(len(names)))
            wall = time.monotonic() - began
        except BaseException:
            kill_below(server.process.pid)
            server.kill()
            raise
        finally:
            background = end_orphans(known)
    if f'recovery stopping at restore point "{END}"' not in server.log_text():
        raise Failed(server.log_tail())
    shutil.rmtree(pgdata.parent)
    return Figures(wall, cpu_of(usage) + background.cpu, peak.mib, len(names))


def wait_end(server, patience):
    """Its resource usage, when the server has stopped by itself."""
    deadline = time.monotonic() + patience
    while True:
        ended, _, usage = os.wait4(server.process.pid, os.WNOHANG)
        if ended:
            server.process.returncode = 0
            server.process = None
            return usage
        if time.monotonic() > deadline:
            raise Hung(f"the replay did not end within {patience} s:\n{server.log_tail(5)}")
        time.sleep(0.005)


# Counting


def requests(bench):
    """Requests for each segment of a backlog, counted in front of the real server; not timed."""
    n = 4 if bench.quick else 12
    names = bench.data.wal().of_kind("OLTP")[:n]
    tools = [AUTO, *bench.peers(PGBACKREST, PGBACKREST_ASYNC.with_processes(2), WALG[0], WALG_CAREFUL, WALRUS[0], *BARMAN[::2])]
    rows = bench.attempt_all(tools, lambda tool: count_requests(bench, tool, names))
    bench.table(f"Requests for each segment, {n} segments", rows, only=("push", "fetch"))
    for verb in ("push", "fetch"):
        if AUTO in rows:
            each = rows[AUTO].facts[f"most {verb}"]
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
        pushed = push_all(bench, near, names, view)
        pushes = proxy.seen()
        proxy.clear()
        fetch_loop(bench, near, names, target)
        fetches = proxy.seen()
    for verb, seen in (("push", pushes), ("fetch", fetches)):
        pushed.facts[verb] = len(seen) / len(names)
        pushed.facts[f"most {verb}"] = max(sum(name in each.target for each in seen) for name in names)
    bench.drop(bound, view, target)
    return pushed

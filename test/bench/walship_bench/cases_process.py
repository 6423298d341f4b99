"""What a process costs: its start, and its memory."""
from .cases_base import running_big
from .cases_wal import drain, running_archiver
from .measure import Figures, TreeMemory, median, run_lines, run_measured
from .peers import BARMAN, BARMAN_BACKUPS, PGBACKREST, PGBACKREST_ASYNC, WALG, WALRUS
from .tools import AUTO

N_STARTS = 100


def starts(bench):
    """The time of a program that only says its version, and of a push that finds its segment already safe."""
    tools = [AUTO, *bench.peers(PGBACKREST, WALG[0], WALRUS[0], *BARMAN[:1], *BARMAN[2:])]
    rows = bench.attempt_all(tools, lambda tool: start_of(bench, tool))
    bench.table("The version again and again", rows, unit="start")
    if AUTO in rows:
        each = 1000 * rows[AUTO].wall / rows[AUTO].n
        bench.bar("walship --version", "both", "<= 5 ms", each, "ms", each <= 5)

    safe = bench.attempt(AUTO, lambda tool: pushes_found_safe(bench))
    if safe:
        bench.table("A push that finds its segment safe (after one that took the others along), S3, 0 ms", {AUTO: safe})
        each = 1000 * safe.wall / safe.n
        bench.bar("push that finds its segment safe", "both", "<= 6 ms", each, "ms", each <= 6)


def start_of(bench, tool):
    n = N_STARTS // 10 if tool.is_slow else N_STARTS
    return run_lines([tool.line(*tool.version_words())] * n, timeout=2 * bench.patience.call)


def pushes_found_safe(bench):
    """The median of those after the first, which took the others along, or most of them on a busy machine."""
    names = bench.data.wal().names[:17]
    view = bench.view(names, ready=True)
    bound = bench.at(AUTO, "sink", pgdata=view)
    lines = [bound.push(f"pg_wal/{name}") for name in names]
    run_lines(lines[:1], cwd=view)
    figures = median([run_measured(["sh", "-c", line], cwd=view) for line in lines[1:]])
    bench.drop(bound, view)
    return figures


def memory(bench):
    """Resident memory: the sum of a tool's processes at a time, sampled."""
    many = [PGBACKREST_ASYNC.with_processes(n) for n in (2, 4)]
    tools = [*bench.ours(), *bench.peers(PGBACKREST, *many, *WALG, *WALRUS, *BARMAN)]
    backup_tools = [*bench.ours(), *bench.peers(*(PGBACKREST.with_processes(n) for n in (1, 2, 4)), *WALG, *WALRUS, *BARMAN_BACKUPS)]
    found = {"single push MiB": bench.attempt_all(tools, lambda tool: peak_of_push(bench, tool))}
    with running_archiver(bench) as server:
        found["backlog MiB"] = bench.attempt_all(tools, lambda tool: peak_of_backlog(bench, tool, server))
    with running_big(bench) as server:
        # barman-cloud would take minutes
        quick_ones = [tool for tool in backup_tools if not tool.is_slow]
        found["backup MiB"] = bench.attempt_all(quick_ones, lambda tool: peak_of_backup(bench, tool, server))
    rows = {}
    for what, peaks in found.items():
        for tool, mib in peaks.items():
            rows.setdefault(tool, Figures(0, 0)).facts[what] = mib
    bench.table("Peak memory, S3 over TLS, 20 ms", rows, only=tuple(found))
    for tool in bench.ours():
        for what, limit in (("single push", 40), ("backlog", 160), ("backup", 256)):
            mib = rows[tool].facts.get(f"{what} MiB") if tool in rows else None
            if mib is not None:
                bench.bar(f"peak memory: {what}", tool.codec, f"<= {limit} MiB", mib, "MiB", mib <= limit)


def peak_of_push(bench, tool):
    name = bench.data.wal().of_kind("OLTP")[0]
    view = bench.view([name], ready=True)  # pgBackRest's async mode looks for it
    bound = bench.at(tool, "s3", rtt=20, pgdata=view)
    with TreeMemory(tool.processes, 0.002, without=bench.stores.pids()) as peak:
        run_measured(["sh", "-c", bound.push(f"pg_wal/{name}")], cwd=view, timeout=bench.patience.call)
    bench.drop(bound, view)
    return peak.mib


def peak_of_backlog(bench, tool, server):
    names = bench.data.wal().names[:64]
    bound = bench.at(tool, "s3", rtt=20, pgdata=server.pgdata)
    figures = drain(bench, server, bound, names[:8] if tool.is_slow else names)
    bench.drop(bound)
    return figures.peak


def peak_of_backup(bench, tool, server):
    bound = bench.at(tool, "s3", rtt=20, pgdata=server.pgdata, server=server)
    with TreeMemory(tool.processes, 0.05, without=bench.stores.pids()) as peak:
        run_measured(["sh", "-c", bound.backup()], timeout=bench.patience.backup)
    bench.drop(bound)
    return peak.mib

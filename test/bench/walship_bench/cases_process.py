"""What a process costs: its start, and its memory."""
from walship_testing.walship import binary

from .cases_base import PATIENCE, running_big
from .cases_wal import ASYNC, SYNC, drain, running_archiver
from .measure import Figures, TreeMemory, median, run_lines, run_measured
from .tools import BROTLI, OURS, BarmanCloud, PgBackRest, WalG, peers

N_STARTS = 100


def starts(bench):
    """The time of --version, and of a push that finds its segment already safe."""
    rows = {tool: start_of(tool) for tool in peers(BROTLI, SYNC, WalG())}
    for tool in rows:
        bench.tools[tool.label] = tool
    bench.table(f"{N_STARTS} times the version", rows, unit="start")
    each = 1000 * rows[BROTLI].wall / rows[BROTLI].n
    bench.bar("walship --version", "both", "<= 5 ms", each, "ms", each <= 5)

    safe = pushes_found_safe(bench)
    bench.table("A push that finds its segment safe (after one that took the others along), S3, 0 ms", {BROTLI: safe})
    each = 1000 * safe.wall / safe.n
    bench.bar("push that finds its segment safe", "both", "<= 6 ms", each, "ms", each <= 6)


def start_of(tool):
    words = {"walship": "{} --version", "pgbackrest": "pgbackrest version", "wal-g": "wal-g --version"}
    line = words[tool.processes[0]].format(binary())
    script = f"i=0; while [ $i -lt {N_STARTS} ]; do {line}; i=$((i+1)); done"
    return run_measured(["sh", "-c", script], n=N_STARTS)


def pushes_found_safe(bench):
    """The median of those after the first, which took the others along, or most of them on a busy machine."""
    names = bench.data.wal().names[:17]
    view = bench.view(names, ready=True)
    bound = bench.at(BROTLI, "sink", pgdata=view)
    lines = [bound.push(f"pg_wal/{name}") for name in names]
    run_lines(lines[:1], cwd=view)
    figures = median([run_measured(["sh", "-c", line], cwd=view) for line in lines[1:]])
    bench.drop(bound, view)
    return figures


def memory(bench):
    """Resident memory: the sum of a tool's processes at a time, sampled."""
    rows = {}
    tools = [*OURS, *peers(SYNC, *ASYNC[1:], BarmanCloud(), WalG())]
    for tool in tools:
        bench.tools[tool.label] = tool
        rows[tool] = Figures(0, 0, facts={"single push MiB": peak_of_push(bench, tool)})
    with running_archiver(bench) as server:
        names = bench.data.wal().names[:64]
        for tool in tools:
            bound = bench.at(tool, "s3", rtt=20, pgdata=server.pgdata)
            with TreeMemory(tool.processes) as peak:
                drain(server, bound, names[:8] if tool.is_slow else names)
            bench.drop(bound)
            rows[tool].facts["backlog MiB"] = peak.mib
    with running_big(bench) as server:
        for tool in tools:  # barman-cloud would take minutes
            rows[tool].facts["backup MiB"] = None if tool.is_slow else peak_of_backup(bench, tool, server)
    bench.table("Peak memory, S3 over TLS, 20 ms", rows, only=("single push MiB", "backlog MiB", "backup MiB"))
    for tool in OURS:
        for what, limit in (("single push", 40), ("backlog", 160), ("backup", 256)):
            mib = rows[tool].facts[f"{what} MiB"]
            bench.bar(f"peak memory: {what}", tool.codec, f"<= {limit} MiB", mib, "MiB", mib <= limit)


def peak_of_push(bench, tool):
    name = bench.data.wal().of_kind("OLTP")[0]
    view = bench.view([name], ready=True)  # pgBackRest's async mode looks for it
    bound = bench.at(tool, "s3", rtt=20, pgdata=view)
    with TreeMemory(tool.processes, 0.002) as peak:
        run_measured(["sh", "-c", bound.push(f"pg_wal/{name}")], cwd=view, env=bound.env)
    bench.drop(bound, view)
    return peak.mib


def peak_of_backup(bench, tool, server):
    if isinstance(tool, PgBackRest):
        tool = PgBackRest(tool.n_processes)
    bound = bench.at(tool, "s3", rtt=20, pgdata=server.pgdata, server=server)
    with TreeMemory(tool.processes, 0.05) as peak:
        run_measured(bound.backup(), env=bound.env, timeout=PATIENCE)
    bench.drop(bound)
    return peak.mib

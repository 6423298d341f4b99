"""Tables in Markdown."""
import os
import platform
import subprocess
import time
from pathlib import Path

from .measure import Failed


def table(title, found, *, unit="segment", only=(), reference=("walship auto", "walship brotli")):
    """{tool: figures}.  "only": the facts that are the only columns.  The ratio is that of the time for one piece of work."""
    if only:
        rows = [[tool.label, *(number(figures.facts.get(name)) for name in only)] for tool, figures in found.items()]
        return f"\n### {title}\n{markdown(['tool', *only], rows)}"
    n = max((figures.n for figures in found.values()), default=1)
    several = n > 1
    if several:
        title = f"{title}: {n} {unit}s"
    rates = [f"{unit}s/s", f"ms/{unit}"] if several else []
    facts = ["stored bytes"] if any("stored bytes" in figures.facts for figures in found.values()) else []
    heads = ["tool", "wall s", "from - to", "runs", *rates, "CPU s", "peak MiB", *facts, "time, walship = 1"]
    base = next((figures for tool, figures in found.items() if tool.label in reference), None)
    rows = []
    for tool, figures in found.items():
        each = figures.wall / figures.n
        row = [tool.label + (f" ({figures.n} only)" if figures.n < n else ""), f"{figures.wall:.3f}", spread(figures), f"{figures.n_runs}"]
        if several:
            row += [f"{figures.rate:.1f}", f"{1000 * each:.1f}"]
        row += [f"{figures.cpu:.2f}", f"{figures.peak:.0f}" if figures.peak else ""]
        row += [number(figures.facts.get(name)) for name in facts]
        row.append(f"{each / (base.wall / base.n):.2f}" if base else "")
        rows.append(row)
    return f"\n### {title}\n{markdown(heads, rows)}"


def spread(figures):
    return f"{figures.fastest:.3f} - {figures.slowest:.3f}" if figures.fastest is not None else ""


def markdown(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def bars(found):
    verdicts = {True: "met", False: "**missed**", None: "not measured"}
    rows = [[bar.case, bar.codec, bar.wanted, bar.measured, verdicts[bar.is_met]] for bar in found]
    return "\n### Bars\n" + markdown(["case", "walship", "bar", "measured", ""], rows)


def tools(found):
    rows = [[tool.label, version(tool), tool.program() or "", tool.settings] for tool in found]
    return "\n### Who took part\n" + markdown(["tool", "version", "program", "settings"], rows)


def version(tool):
    try:
        return tool.version()
    except (Failed, AssertionError, OSError, IndexError):
        return "does not say"


def failures(found):
    """Nothing, when nothing failed.  The first line of each reason; all of it was on stderr."""
    if not found:
        return ""
    rows = [[each.case, each.who, cell(each.reason)] for each in found]
    return "\n### What failed\n" + markdown(["case", "who", "why"], rows)


def cell(text, limit=160):
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= limit else f"{line[:limit]}..."


def missing(found):
    """{peer: its program}; nothing, when all are here."""
    return "".join(f"NOT MEASURED: {name}: {program} is not in PATH.\n" for name, program in found.items())


def heading(rounds, root):
    commit = subprocess.run(
        ["git", "-c", f"safe.directory={root}", "-C", root, "describe", "--always", "--dirty"],
        capture_output=True, text=True,
    ).stdout.strip()
    return (
        f"## test/bench/run of {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC\n"
        f"{processor()}, {memory()} of memory, Linux {platform.release()}; walship {commit or 'of unknown commit'}; "
        f"medians of up to {rounds} interleaved rounds, memory: the highest.  Load average at the start: "
        f"{os.getloadavg()[0]:.1f}.\n"
    )


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


def memory():
    return f"{int(Path('/proc/meminfo').read_text().split()[1]) / 1024 ** 2:.0f} GiB"

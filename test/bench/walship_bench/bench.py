"""What the cases work with: data, stores, rounds, and where the results go."""
import shutil
import sys
import time
from dataclasses import dataclass, field

from . import report
from .measure import Failed, median
from .tools import copy_of_control, place_for


@dataclass
class Bar:
    """What walship is to reach in a case: "at most" or "at least" so many times the peer, or so much."""

    case: str
    codec: str
    wanted: str
    measured: str
    is_met: bool  # None: not measured


@dataclass
class Bench:
    data: object
    stores: object
    work: object  # directory
    quick: bool
    rounds: int
    tables: list = field(default_factory=list)
    bars: list = field(default_factory=list)
    tools: dict = field(default_factory=dict)  # label: tool, of all that took part
    archives: dict = field(default_factory=dict)  # of the tools that fetch, for several cases
    failures: list = field(default_factory=list)
    n_views: int = 0

    def say(self, text):
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)

    # Running

    def run(self, name, case):
        """A case that breaks off leaves the others their turn."""
        self.say(f"{name}: {case.__doc__}")
        try:
            case(self)
        except (Failed, AssertionError, OSError) as error:
            self.fail(name, error)

    def fail(self, who, error):
        self.failures.append(who)
        self.say(f"  {who} FAILED: {str(error)[-1500:]}")

    def interleaved(self, tools, run, *, rounds=None):
        """{tool: figures}; one run of each, then the next round, so that all see the same disturbances."""
        found = {tool: [] for tool in tools}
        for number in range(rounds or self.rounds):
            for tool in tools:
                if tool.is_slow and number > 0:
                    continue
                self.tools[tool.label] = tool
                try:
                    figures = run(tool)
                except (Failed, AssertionError) as error:
                    self.fail(tool.label, error)
                    continue
                self.say(f"  {tool}: {figures.wall:.3f} s, {figures.cpu:.2f} s CPU, {figures.peak:.0f} MiB {figures.facts}")
                found[tool].append(figures)
        return {tool: median(runs) for tool, runs in found.items() if runs}

    def best_of(self, tools, run):
        """The fastest of a peer's configurations, by one run of each."""
        found = self.interleaved(tools, run, rounds=1)
        return min(found, key=lambda tool: found[tool].wall / found[tool].n) if found else None

    def at(self, tool, kind, *, rtt=0, pgdata=None, server=None):
        """The tool on an empty store."""
        place = place_for(tool, self.stores, kind)
        bound = tool.at(place, self.new_directory(), pgdata=pgdata, server=server)
        return self.moved(bound, rtt) if rtt else bound

    def moved(self, bound, rtt):
        """The same store, so far away; ms."""
        place = bound.place
        if place.kind == "directory":
            return bound
        far = place.on(self.stores.network(place.port, rtt))
        return bound.at(far, bound.work, pgdata=bound.pgdata, server=bound.server)

    def new_directory(self):
        self.n_views += 1
        place = self.work / f"run-{self.n_views}"
        place.mkdir(parents=True)
        return place

    def view(self, names, *, ready=False, recovery=False):
        """A data directory, as far as tools look, with these segments in its pg_wal."""
        wal = self.data.wal()
        view = self.new_directory()
        copy_of_control(wal.pgdata, view)
        status = view / "pg_wal/archive_status"
        status.mkdir(parents=True)
        if recovery:
            (view / "recovery.signal").touch()
            return view
        for name in names:
            (view / "pg_wal" / name).hardlink_to(wal.pgdata / "pg_wal" / name)
            if ready:
                (status / f"{name}.ready").touch()
        return view

    def drop(self, bound, *directories):
        bound.place.remove()
        for directory in (bound.work, *directories):
            shutil.rmtree(directory, ignore_errors=True)

    def drop_archives(self):
        for bound in self.archives.values():
            self.drop(bound)
        self.archives.clear()

    # Results

    def table(self, title, found, **options):
        text = report.table(title, found, **options)
        self.tables.append(text)
        print(text, flush=True)

    def compare(self, case, found, *, at_most=None, at_least=None):
        """The bars against the fastest of pgBackRest.  "at_most": of its wall time, "at_least": of its rate."""
        theirs = [figures for tool, figures in found.items() if tool.label.startswith("pgBackRest")]
        for codec, limit in (at_most or at_least).items():
            ours = [figures for tool, figures in found.items() if tool.label == f"walship {codec}"]
            if not theirs or not ours:
                self.bars.append(Bar(case, codec, "", "", None))
            elif at_most:
                best = min(figures.wall for figures in theirs)
                self.bar(case, codec, f"<= {limit:.2f} x", ours[0].wall / best, "x", ours[0].wall <= limit * best)
            else:
                best = max(figures.rate for figures in theirs)
                self.bar(case, codec, f">= {limit:.2f} x", ours[0].rate / best, "x", ours[0].rate >= limit * best)
        self.compare_slow(case, found)

    def compare_slow(self, case, found, factor=3):
        slow = [figures for tool, figures in found.items() if tool.is_slow]
        ours = [figures for tool, figures in found.items() if tool.label == "walship brotli"]
        if slow and ours:
            ratio = slow[0].wall / slow[0].n / (ours[0].wall / ours[0].n)
            self.bar(f"{case}: against barman-cloud", "brotli", f">= {factor} x", ratio, "x", ratio >= factor)

    def bar(self, case, codec, wanted, measured, unit, is_met):
        self.bars.append(Bar(case, codec, wanted, f"{measured:.2f} {unit}", bool(is_met)))

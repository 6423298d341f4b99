"""What the cases work with: data, stores, rounds, what may fail, and where the results go."""
import shutil
import sys
import time
import traceback
from dataclasses import dataclass, field

from . import report
from .measure import Failed, Hung, children, end_orphans, median
from .peers import NAMES, PEERS
from .tools import AUTO_IS, OURS, copy_of_control

EQUAL = 1.03  # so many times the bytes of another are still as many: walship's segments bring their index along
EQUAL_TO_BEST = 1.05  # of the bars against the best peer, both ways
PEERS_MORE = 1.15  # where none stores as many: who stores more than that for speed is another kind of thing
ROUND_OVERHEAD = 1.25  # times what is measured of a round, it takes
HANGS_MAX = 2  # of a peer, before it is not asked again in this run


@dataclass
class Bar:
    """What walship is to reach in a case: "at most" or "at least" so many times the peer, or so much."""

    case: str
    codec: str
    wanted: str
    measured: str
    is_met: bool  # None: not measured


@dataclass
class Failure:
    case: str
    who: str
    reason: str


@dataclass
class Patience:
    """Seconds; what takes longer hangs."""

    call: int  # for one segment

    @property
    def standstill(self):
        """Of a backlog."""
        return 2 * self.call

    @property
    def backup(self):
        return 30 * self.call

    def loop(self, n):
        """For so many calls, of which each may be slow, but only one very slow."""
        return self.call + 3 * n


@dataclass
class Bench:
    data: object
    stores: object
    work: object  # directory
    quick: bool
    rounds: int
    patience: Patience
    chosen: tuple = NAMES  # peers that take part
    short: bool = False  # the same thing is not measured under two names, and of the peers not what is minor
    until: float = None  # of time.monotonic(): no further round begins that would not end by then
    bars: list = field(default_factory=list)
    tools: dict = field(default_factory=dict)  # label: tool, of all that took part
    archives: dict = field(default_factory=dict)  # of the tools that fetch, for several cases
    failures: list = field(default_factory=list)
    hangs: dict = field(default_factory=dict)  # name of a peer: how often
    case: str = ""  # that runs
    n_views: int = 0

    def say(self, text):
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)

    # Who takes part

    def missing(self):
        """Chosen peers of which there is no program, and where it was looked for."""
        return {peer.name: peer.programs[0] for peer in PEERS if peer.name in self.chosen and not peer.program()}

    def ours(self, work=None):
        """Walship with each codec.  "work": a key of AUTO_IS."""
        return [tool for tool in OURS if not (self.short and tool.codec == AUTO_IS.get(work))]

    def peers(self, *configurations, minor=False):
        """Those that were chosen and are here.  "minor": all of them in a short run, too."""
        found = [tool for tool in configurations if tool.name in self.chosen and tool.available()]
        return [tool for tool in found if minor or not (self.short and tool.is_minor)]

    def in_shares(self, groups):
        """Each of them, with its part of the time that is left."""
        until = self.until
        for number, group in enumerate(groups):
            if until:
                now = time.monotonic()
                self.until = now + (until - now) / (len(groups) - number)
            yield group
        self.until = until

    # Running

    def run(self, name, case):
        """A case that breaks off leaves the others their turn."""
        self.case, known = name, children()
        self.say(f"{name}: {case.__doc__}")
        try:
            case(self)
        except Exception as error:
            self.fail("the case", error)
        end_orphans({*known, *self.stores.pids()})

    def attempt(self, tool, run, *arguments):
        """What run(tool, ...) returns, or None when the tool fails, which is said: the others have their turn."""
        self.tools[tool.label] = tool
        try:
            if self.hangs.get(tool.name, 0) >= HANGS_MAX:
                raise Failed(f"not asked again: {tool.name} hung {HANGS_MAX} times")
            return run(tool, *arguments)
        except Hung as error:
            if not tool.is_ours:
                self.hangs[tool.name] = self.hangs.get(tool.name, 0) + 1
            self.fail(tool.label, f"HUNG: {error}")
        except Exception as error:
            self.fail(tool.label, error)
        return None

    def attempt_all(self, tools, run):
        """{tool: what run(tool) returns} of those that do not fail."""
        found = {}
        for tool in tools:
            self.say(f"  {tool}")
            found[tool] = self.attempt(tool, run)
        return {tool: result for tool, result in found.items() if result is not None}

    def fail(self, who, error):
        reason = redacted(str(error), self.stores.secrets)
        self.failures.append(Failure(self.case, who, reason))
        self.say(f"  {who} FAILED: {reason[-1500:]}")
        if isinstance(error, Exception) and not isinstance(error, (Failed, AssertionError, OSError)):
            traceback.print_exception(error)

    def interleaved(self, tools, run, *, rounds=None):
        """{tool: figures}; one run of each, then the next round, so that all see the same disturbances.  Who fails is
        not in the further rounds, of which there are fewer when the time is short."""
        found = {tool: [] for tool in tools}
        out = set()
        wanted, expected = rounds or self.rounds, 0
        for number in range(wanted):
            began = time.monotonic()
            if number and self.until and began + expected > self.until:
                self.say(f"  {number} of {wanted} rounds: there is no time for more")
                break
            for tool in tools:
                if tool in out or (tool.is_slow and number > 0):
                    continue
                figures = self.attempt(tool, run)
                if figures is None:
                    out.add(tool)
                    continue
                self.say(f"  {tool}: {figures.wall:.3f} s, {figures.cpu:.2f} s CPU, {figures.peak:.0f} MiB {figures.facts}")
                found[tool].append(figures)
            # In the first round tools may also have made what they fetch or restore.
            expected = time.monotonic() - began
            if number == 0:
                expected = min(expected, ROUND_OVERHEAD * sum(runs[-1].wall for runs in found.values() if runs))
        return {tool: median(runs) for tool, runs in found.items() if runs and tool not in out}

    def medians(self, found):
        """{tool: figures} of {tool: runs}."""
        return {tool: median(runs) for tool, runs in found.items()}

    def with_best(self, tool, run, counts=(1, 2, 4)):
        """The tool, if it is here, with the number of processes that is the fastest in one run of each."""
        candidates = self.peers(*map(tool.with_processes, counts))
        found = self.interleaved(candidates, run, rounds=1)
        return [min(found, key=lambda tool: found[tool].wall / found[tool].n)] if found else []

    def at(self, tool, kind, *, rtt=0, rate=0, pgdata=None, server=None):
        """The tool on an empty store."""
        place = self.stores.make(kind, tls=tool.tls)
        bound = tool.at(place, self.new_directory(), pgdata=pgdata, server=server)
        return self.moved(bound, rtt, rate) if rtt or rate else bound

    def moved(self, bound, rtt, rate=0):
        """The same store, so far away (ms), by connections of so many bytes a second."""
        place = bound.place
        if place.kind == "directory":
            return bound
        far = place.on(self.stores.network(place.port, rtt, rate))
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
        print(report.table(title, found, **options), flush=True)

    def compare(self, case, found, *, at_most=None, at_least=None):
        """The bars against the fastest of pgBackRest with zst.  "at_most": of its wall time, "at_least": of its rate."""
        theirs = [figures for tool, figures in found.items() if tool.name == "pgbackrest" and tool.codec == "zst"]
        for codec, limit in (at_most or at_least).items():
            ours = self.figures_of_ours(found, codec)
            wanted = f"{'<=' if at_most else '>='} {limit:.2f} x"
            if not theirs or not ours:
                self.bars.append(Bar(case, codec, wanted, "", None))
            elif at_most:
                best = min(figures.wall for figures in theirs)
                self.bar(case, codec, wanted, ours[0].wall / best, "x", ours[0].wall <= limit * best)
            else:
                best = max(figures.rate for figures in theirs)
                self.bar(case, codec, wanted, ours[0].rate / best, "x", ours[0].rate >= limit * best)
        self.compare_slow(case, found)

    def figures_of_ours(self, found, codec):
        """A list of one, or of none.  In a short run the default stands for what it is in that case."""
        labels = [f"walship {codec}", *(["walship auto"] if self.short else [])]
        by_label = {tool.label: figures for tool, figures in found.items()}
        return [by_label[label] for label in labels if label in by_label][:1]

    def compare_with_best(self, case, found, limits, *, more_bytes=EQUAL_TO_BEST, peer=None):
        """The bars against the fastest of all peers that store as many bytes (best_at_equal_bytes()), or of this one, if
        need be whatever it stores.  What it stores is said, in parts of walship's; so is who is faster and stores
        somewhat more."""
        for codec, limit in limits.items():
            ours = self.figures_of_ours(found, codec)
            theirs = [
                (figures.wall, figures.facts["stored bytes"] / ours[0].facts["stored bytes"], tool.label)
                for tool, figures in found.items()
                if ours and not tool.is_ours and figures.n == ours[0].n and tool.name == (peer or tool.name)
            ]
            best = best_at_equal_bytes(theirs, more_bytes) or (min(theirs, default=None) if peer else None)
            what, wanted = f"{case}: time, {peer or 'the best peer'}'s = 1", f"<= {limit:.2f} x"
            if not best:
                self.bars.append(Bar(what, codec, wanted, "", None))
                continue
            more = min((each for each in theirs if EQUAL_TO_BEST < each[1] <= PEERS_MORE), default=best)
            measured = "; ".join(
                f"{ours[0].wall / wall:.2f} x ({who}: {wall:.3f} s, {bytes_ratio:.2f} x the bytes)"
                for wall, bytes_ratio, who in ([best, more] if more < best else [best])
            )
            self.bars.append(Bar(what, codec, wanted, measured, ours[0].wall <= limit * best[0]))

    def compare_bytes(self, case, found, limits):
        """The bars against the fewest bytes of pgBackRest with zst."""
        theirs = [figures.facts["stored bytes"] for tool, figures in found.items() if tool.name == "pgbackrest" and tool.codec == "zst"]
        for codec, limit in limits.items():
            for ours in self.figures_of_ours(found, codec) if theirs else ():
                ratio = ours.facts["stored bytes"] / min(theirs)
                self.bar(f"{case}: stored bytes", codec, f"<= {limit:.2f} x", ratio, "x", ratio <= limit)

    def compare_at_equal_bytes(self, case, found):
        """The bar against every peer: where one stores so little, walship does so, too, in no more time."""
        n = max((figures.n for figures in found.values()), default=1)  # who had fewer segments cannot be compared
        pieces = [
            (tool.is_ours, (tool.label, figures.wall, figures.facts["stored bytes"]))
            for tool, figures in found.items()
            if figures.n == n
        ]
        ours, theirs = ([piece for is_ours, piece in pieces if is_ours == wanted] for wanted in (True, False))
        if not ours or not theirs:
            self.bars.append(Bar(f"{case}: time at equal bytes", "any", "<= 1.00 x", "", None))
            return
        who, ratio = hardest_at_equal_bytes(ours, theirs)
        measured = f"{ratio:.2f} x ({who})" if ratio else f"only {who} stores so little"
        self.bars.append(Bar(f"{case}: time at equal bytes", "any", "<= 1.00 x", measured, bool(ratio and ratio <= 1)))

    def compare_slow(self, case, found, factor=3):
        slow = [figures.wall / figures.n for tool, figures in found.items() if tool.is_slow]
        ours = [figures.wall / figures.n for figures in self.figures_of_ours(found, "brotli")]
        if slow and ours:
            ratio = min(slow) / ours[0]
            self.bar(f"{case}: against barman-cloud", "brotli", f">= {factor} x", ratio, "x", ratio >= factor)

    def bar(self, case, codec, wanted, measured, unit, is_met):
        """Without a unit it is a count."""
        text = f"{measured:.2f} {unit}" if unit else report.number(measured)
        self.bars.append(Bar(case, codec, wanted, text, bool(is_met)))


def best_at_equal_bytes(theirs, more_bytes=EQUAL_TO_BEST):
    """Of [(seconds, bytes in parts of walship's, label)] the fastest that stores as many bytes as walship does: walship
    "more_bytes" times its at most.  Where there is none, the fastest of those that store somewhat more; else None."""
    equal = [each for each in theirs if 1 / more_bytes <= each[1] <= EQUAL_TO_BEST]
    return min(equal or [each for each in theirs if EQUAL_TO_BEST < each[1] <= PEERS_MORE], default=None)


def hardest_at_equal_bytes(ours, theirs):
    """Each a list of (label, seconds, bytes).  The peer that is hardest to beat, and our time as a part of its: with the
    fastest configuration of ours that stores no more than it does; None when there is none such."""
    found = []
    for label, seconds, size in theirs:
        times = [time_of_ours for _, time_of_ours, size_of_ours in ours if size_of_ours <= EQUAL * size]
        if not times:
            return label, None
        found.append((min(times) / seconds, label))
    ratio, label = max(found)
    return label, ratio


def redacted(text, secrets):
    for secret in secrets:
        text = text.replace(secret, "(secret)")
    return text

"""Times in zones agree with Python's zoneinfo, at all changes of the clocks of all zones; see test/tools/zone_times.c."""
import datetime
import random
import zoneinfo
from pathlib import Path

import pytest

from walship_testing.proc import run_ok
from walship_testing.walship import binary

ZONEINFO = Path("/usr/share/zoneinfo")
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1)
FIRST = int((datetime.datetime(1890, 1, 1) - EPOCH).total_seconds())
LAST = int((datetime.datetime(2090, 1, 1) - EPOCH).total_seconds())


def zone_names():
    zoneinfo.reset_tzpath([str(ZONEINFO)])
    names = {name for name in zoneinfo.available_timezones() if (ZONEINFO / name).is_file()}
    # A few are no full names: EST, and what tzdata has for others' use.
    return sorted(name for name in names if "/" in name and not name.startswith(("right/", "posix/")))


def offset_at(zone, moment):
    return (datetime.datetime.fromtimestamp(moment, UTC)).astimezone(zone).utcoffset().total_seconds()


def changes_of(zone):
    """The moments at which the offset changes, found by halving between samples of ten days."""
    found = []
    before = offset_at(zone, FIRST)
    for moment in range(FIRST, LAST, 10 * 86400):
        now = offset_at(zone, moment)
        if now != before:
            low, high = moment - 10 * 86400, moment
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset_at(zone, middle) == before else (low, middle)
            found.append(high)
        before = now
    return found


def written(zone, moment):
    local = datetime.datetime.fromtimestamp(moment, UTC).astimezone(zone)
    seconds = int(local.utcoffset().total_seconds())
    text = f"{'-' if seconds < 0 else '+'}{abs(seconds) // 3600:02d}"
    text += f":{abs(seconds) // 60 % 60:02d}" if seconds % 3600 else ""
    text += f":{abs(seconds) % 60:02d}" if seconds % 60 else ""
    return local.strftime("%Y-%m-%d %H:%M:%S") + text


def utc_text(moment):
    return (EPOCH + datetime.timedelta(seconds=moment)).isoformat() + "Z"


def meaning(zone, local):
    """What a local time means: of both of its readings (PEP 495), those that lead back to it."""
    moments = set()
    for fold in (0, 1):
        moment = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None, fold=0) == local:
            moments.add(moment)
    if len(moments) == 1:
        return moments.pop().replace(tzinfo=None).isoformat() + "Z"
    return "twice" if moments else "none"


def cases():
    """(line for the tool, expected answer)"""
    chance = random.Random(20261128)
    for name in zone_names():
        zone = zoneinfo.ZoneInfo(name)
        changes = changes_of(zone)
        for change in chance.sample(changes, min(6, len(changes))) + [chance.randrange(FIRST, LAST)]:
            for moment in (change - 1, change, change + chance.randrange(86400)):
                yield f"write {utc_text(moment)} {name}", written(zone, moment)
            for distance in (-90000, -7200, -3600, -1800, -1, 0, 1, 1800, 3600, 7199, 90000):
                local = EPOCH + datetime.timedelta(seconds=change + offset_at(zone, change - 1) + distance)
                yield f"read {local.isoformat()} {name}", meaning(zone, local)


def answers(lines, **environment):
    tool = binary().parent / "test/zone_times"
    return run_ok([tool], stdin="".join(line + "\n" for line in lines), env=environment, timeout=120).out.splitlines()


@pytest.fixture(scope="module")
def expected():
    return dict(cases())


def check(expected, **environment):
    found = dict(zip(expected, answers(expected, **environment), strict=True))
    assert {line: (found[line], answer) for line, answer in expected.items() if found[line] != answer} == {}


def test_times_agree_with_zoneinfo_in_all_zones(expected):
    assert len(expected) > 10_000 and len(zone_names()) > 300
    assert sum(answer in ("none", "twice") for answer in expected.values()) > 1000
    check(expected)


@pytest.mark.parametrize("environment", [
    {"TZ": "Asia/Kolkata"},
    {"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"},
    {"TZDIR": "/usr/share/zoneinfo/right"},
    {"TZDIR": "/nowhere"},
    {"TZ": "/usr/share/zoneinfo/right/Europe/Berlin"},
], ids=str)
def test_the_processs_own_zone_and_directory_change_nothing(expected, environment):
    check(dict(random.Random(1).sample(sorted(expected.items()), 2000)), **environment)


def test_the_comparison_sees_a_difference(expected):
    line, answer = next((line, answer) for line, answer in expected.items() if line.startswith("write 20"))
    assert answers([line.rsplit(" ", 1)[0] + " +13:37"]) != [answer]

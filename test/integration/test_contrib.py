"""What lies in contrib/ is right: units that systemd takes, and lines of commands that there are."""
import re
import shlex
import shutil
from pathlib import Path

import pytest

from walship_testing.proc import run, run_ok
from walship_testing.walship import binary

CONTRIB = Path(__file__).parents[2] / "contrib"
UNITS = sorted(CONTRIB.glob("systemd/*@.*"))
JOBS = [path.name.split("@")[0] for path in UNITS if path.suffix == ".timer"]
EXPOSED_MOST = 3.0  # of 10, by systemd's own measure

with_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not on this machine")


def command_of(job):
    """Words of ExecStart, after the program."""
    text = (CONTRIB / f"systemd/{job}@.service").read_text()
    return shlex.split(re.search(r"^ExecStart=/usr/local/bin/walship (.*)$", text, re.MULTILINE)[1])


def cron_commands():
    lines = [line.split("#")[0].split(">")[0].split() for line in (CONTRIB / "cron/walship").read_text().splitlines()]
    return [words[7:] for words in lines if len(words) > 7 and words[5:7] == ["postgres", "walship"]]


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """As they would be installed, but for the program, which is not in /usr/local/bin here."""
    directory = tmp_path_factory.mktemp("units")
    for path in UNITS:
        (directory / path.name).write_text(path.read_text().replace("/usr/local/bin/walship", "/bin/true"))
    return directory


@with_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_takes_the_unit(units, unit):
    done = run_ok(["systemd-analyze", "verify", "--man=no", units / unit.name])
    assert done.out + done.err == ""


@with_systemd
@pytest.mark.parametrize("job", JOBS)
def test_a_service_can_do_little_but_its_job(units, job):
    done = run(["systemd-analyze", "security", "--offline=yes", units / f"{job}@.service"])
    if "unrecognized option" in done.err:
        pytest.skip("this systemd-analyze cannot look at files (before 250)")
    level = re.search(r"exposure level for \S+: ([0-9.]+)", done.out)
    assert level and float(level[1]) <= EXPOSED_MOST, done.out
    assert "\nRemoveIPC=yes" not in (units / f"{job}@.service").read_text(), "it takes the server's shared memory"


def test_there_is_something_to_look_at():
    assert len(JOBS) == 5 and len(cron_commands()) == len(JOBS)


@pytest.mark.parametrize("job", JOBS)
def test_commands_and_options_are_walships(job):
    words = command_of(job)
    known = set(re.findall(r"--[a-z][a-z-]*", run_ok([binary(), words[0], "--help"]).out)) | {"--config"}
    options = [word for word in words if word.startswith("--")]
    assert options and set(options) <= known
    assert words[-2:] == ["--config", "/etc/walship/%i.conf"]


def test_cron_does_what_the_timers_do():
    of_timers = [[word.replace("%i", "walship") for word in command_of(job)] for job in JOBS]
    assert sorted(cron_commands()) == sorted(of_timers)


@pytest.mark.parametrize("job", JOBS)
def test_a_timer_is_spread_and_says_when_it_failed(job):
    timer = (CONTRIB / f"systemd/{job}@.timer").read_text()
    assert "RandomizedDelaySec=" in timer and "FixedRandomDelay=yes" in timer and "Persistent=" in timer
    assert "OnFailure=walship-failed@%n.service" in (CONTRIB / f"systemd/{job}@.service").read_text()

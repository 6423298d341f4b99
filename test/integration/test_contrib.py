"""What lies in contrib/ is right: units that systemd takes, lines of commands that there are, alerts that come."""
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from walship_testing.proc import promtool, run, run_ok
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
    assert len(JOBS) == 7 and len(cron_commands()) == len(JOBS)


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


# Monitoring

ROOT = CONTRIB.parent
METRICS = set(re.findall(r'"(walship_\w+)"', (ROOT / "src/command/print_status_prometheus.c").read_text()))
ITEMS = {name for path in ROOT.glob("src/upkeep/status/status_items*.c")
         for name in re.findall(r'status_add\(\s*decision,\s*"([^"]+)"', path.read_text())} | {
             "dumps", "files", "certificates", "credentials"}  # fmt: skip


def metrics_in(text):
    return set(re.findall(r"\b(walship_\w+)", text))


def dashboard():
    return json.loads((CONTRIB / "grafana/walship.json").read_text())


def test_alerts_and_dashboard_ask_for_metrics_that_are_written():
    assert len(METRICS) > 25 and len(ITEMS) > 15
    expressions = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    assert metrics_in(" ".join(expressions)) <= METRICS
    rules = (CONTRIB / "prometheus/walship.rules.yml").read_text()
    asked = " ".join(re.findall(r"expr: (.*)", rules))
    assert metrics_in(asked) and metrics_in(asked) <= METRICS
    assert set(re.findall(r'item="([^"]+)"', asked)) <= ITEMS


def test_every_item_and_every_alert_is_in_the_tests_of_the_rules():
    tests = (CONTRIB / "prometheus/walship.test.yml").read_text()
    assert set(re.findall(r'item="([^"]+)"', tests)) == ITEMS
    alerts = re.findall(r"alert: (\w+)", (CONTRIB / "prometheus/walship.rules.yml").read_text())
    raised = re.findall(r"alertname: (\w+)\n        exp_alerts:\n", tests)
    assert alerts and set(raised) == set(alerts)


def test_each_failure_raises_its_alert():
    program = promtool()
    if not program:
        pytest.skip("NO promtool (test/install has it from package prometheus), so the alert rules are NOT TESTED")
    rules = CONTRIB / "prometheus"
    run_ok([program, "check", "rules", rules / "walship.rules.yml"])
    run_ok([program, "test", "rules", rules / "walship.test.yml"], cwd=rules)


def test_the_dashboard_is_one_that_can_be_imported():
    board = dashboard()
    assert board["schemaVersion"] >= 36 and board["title"] == board["uid"] == "walship"
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    names = {variable["name"] for variable in board["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(board))) <= names
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells


def test_nagios_calls_what_there_is():
    text = (CONTRIB / "nagios/walship.cfg").read_text()
    known = set(re.findall(r"--[a-z][a-z-]*", run_ok([binary(), "status", "--help"]).out)) | {"--config", "--cluster"}
    lines = re.findall(r"/usr/local/bin/walship status (.*)", text)
    assert len(lines) >= 4 and all("--nagios" in line for line in lines)
    assert set(re.findall(r"--[a-z][a-z-]*", text)) <= known
    assert re.findall(r"define (\w+) {", text) == ["command"] * 3 + ["service"] and text.count("{") == text.count("}")
    assert re.search(r"check_command +(\S+)", text)[1] in re.findall(r"command_name +(\S+)", text)


# Packages

def test_settings_that_are_installed_set_nothing_and_name_only_what_there_is(directory):
    text = (CONTRIB / "walship.conf").read_text()
    assert all(line.startswith("#") or not line for line in text.splitlines())
    known = {row["name"] for row in json.loads(run_ok([binary(), "config", "--json"]).out)["settings"]}
    named = re.findall(r"^#([a-z][a-z0-9_]*) = (.+)$", text, re.MULTILINE)
    assert "store" in dict(named)
    assert {name for name, _ in named} <= known | {"s3_secret_access_key_file"}, "a secret may stand in a file of its own"
    for name, value in named:
        if "..." not in value and not name.endswith("_file"):
            run_ok([binary(), "config", f"--{name.replace('_', '-')}", value])
    given = directory / "walship.conf"
    given.write_text(text)
    given.chmod(0o640)
    run_ok([binary(), "config", "--config", given])


@pytest.mark.skipif(not shutil.which("cmake"), reason="cmake is not on this machine")
def test_what_is_installed_names_the_program_where_it_is_installed(directory):
    variables = {"source": CONTRIB.parent, "build": directory / "build", "docdir": "share/doc/walship", "CMAKE_INSTALL_PREFIX": "/usr"}
    defines = [f"-D{name}={value}" for name, value in variables.items()]
    run_ok(["cmake", *defines, "-P", CONTRIB / "install.cmake"], env={"DESTDIR": str(directory / "root")})
    installed = directory / "root/usr"
    assert {path.name for path in installed.glob("lib/systemd/system/*")} == {path.name for path in UNITS}
    sample = installed / "share/doc/walship/postgresql.conf.sample"
    assert "archive_command = '/usr/bin/walship push %p'" in sample.read_text()
    assert (installed / "share/doc/walship/docs/operations.md").exists()
    for path in filter(Path.is_file, installed.rglob("*")):
        assert "/usr/local/bin/walship" not in path.read_text(), path


def test_packages_have_the_programs_version():
    version = run_ok([binary(), "--version"]).out.split()[-1]
    assert (CONTRIB / "debian/changelog").read_text().startswith(f"walship ({version}-")
    assert re.search(r"^Version: +(.*)$", (CONTRIB / "rpm/walship.spec").read_text(), re.MULTILINE)[1] == version

"""The command line and the settings: what is wrong is named, with where it came from and what to do."""
import json
import os
import re
import subprocess

import pytest

from walship_testing.proc import clean_environment, run, run_ok
from walship_testing.walship import Walship, binary

COMMANDS = ("push", "fetch", "backup", "list", "find", "recover", "status", "check", "each", "key", "config")


@pytest.fixture
def plain(directory):
    """walship with a settings file of its own, and no store behind it."""
    return Walship(directory / "walship", {"store": "file:///nowhere"})


def setting(plain, name, *arguments, **options):
    """(value, origin) as "walship config" shows them."""
    for entry in json.loads(plain.ok("config", "--json", *arguments, **options).out)["settings"]:
        if entry["name"] == name:
            return str(entry["value"]), entry["origin"]
    raise AssertionError(f"no setting {name}")


def test_help_names_every_command():
    words = run_ok([binary(), "--help"]).out.split()
    assert set(COMMANDS) <= set(words)


@pytest.mark.smoke
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_without_settings(command):
    result = run_ok([binary(), command, "--help"], env={"WALSHIP_CONFIG": "/nowhere"})
    assert f"walship {command}" in result.out and result.err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_two_examples_and_its_exit_codes(command):
    text = run_ok([binary(), command, "--help"]).out
    examples = text.split("\nExamples:\n")[1].split("\n\n")[0].splitlines()
    assert len(examples) == 2 and all(f"walship {command}" in line for line in examples), examples
    options = set(re.findall(r"--[a-z][a-z-]*", text.split("\nExamples:\n")[0])) | {"--cluster"}
    assert set(re.findall(r"(?<= )--[a-z][a-z-]*", "\n".join(examples))) <= options
    codes = re.findall(r"^ +(\d+)  \S", text.split("\nExit codes:\n")[1], re.MULTILINE)
    assert codes[0] == "0" and "2" in codes and len(codes) >= 3


def test_many_options_come_in_groups():
    """What, for what, where: each group begins with its heading, and none is empty or left out."""
    text = run_ok([binary(), "recover", "--help"]).out.split("\nExamples:\n")[0]
    groups = {group.splitlines()[0]: group.splitlines()[1:] for group in text.split("\n\n") if "\n  --" in group}
    assert list(groups)[:5] == ["Up to what, one of:", "How exactly:", "From what:", "For what, one of:", "Where to:"]
    assert "Options:" not in groups and len(groups) == 9
    assert [line.split()[0] for line in groups["For what, one of:"]] == ["--copy", "--rejoin", "--standby", "--action"]


def test_lines_in_a_servers_log_have_time_and_process(tmp_path):
    """Those of push and fetch, which the server calls; not for a person's eyes, and not where the journal adds both."""
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC \[\d+\] walship: "
    for command, stamped in ((["push", "x"], True), (["fetch", "x", "y"], True), (["push", "--x"], True), (["list"], False)):
        said = run([binary(), *command]).err.splitlines()
        assert said and all(bool(re.match(stamp, line)) == stamped for line in said), said
    log = tmp_path / "log"
    with open(log, "w") as stream:
        status = os.fstat(stream.fileno())
        journal = {**clean_environment(), "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        subprocess.run([binary(), "push", "x"], stderr=stream, env=journal, timeout=20)
    assert log.read_text().startswith("walship: ERROR:")
    assert re.match(stamp, run([binary(), "push", "x"], env={"JOURNAL_STREAM": journal["JOURNAL_STREAM"]}).err)


@pytest.mark.directory_only("what is printed where does not depend on the store")
@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_messages_go_into_no_file_when_a_stream_is_closed(walship, datadir, closed):
    """The next file that is opened would get its number, and the messages: a segment, an object, a socket."""
    name = datadir.segment(1, 5)
    for verb, words in (("push", [f"pg_wal/{name}"]), ("fetch", [name, "pg_wal/RECOVERYXLOG"])):
        line = [*walship.command(verb, "--log-level", "debug", *words)]
        script = ["sh", "-c", f'exec "$@" {closed}', "sh", *line]
        assert subprocess.run(script, cwd=datadir.path, env=clean_environment(), timeout=20).returncode == 0
    assert datadir.fetched.read_bytes() == (datadir.wal / name).read_bytes()
    listing = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *walship.command("list")], env=clean_environment(),
                             stderr=subprocess.PIPE, timeout=20)
    assert listing.returncode == 7 and b"could not write to standard output: Bad file descriptor" in listing.stderr


@pytest.mark.directory_only("the limit is of files here")
def test_a_limit_of_the_size_of_files_is_an_error_and_no_signal(walship, datadir):
    name = datadir.segment(1, 5)
    datadir.push(walship, name)
    limited = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *walship.command("fetch", name, "pg_wal/RECOVERYXLOG")]
    done = subprocess.run(limited, cwd=datadir.path, env=clean_environment(), capture_output=True, timeout=20)
    assert done.returncode == 7 and b"RECOVERYXLOG" in done.stderr and b"File too large" in done.stderr, done.stderr
    assert not datadir.fetched.exists()
    assert "is empty" in walship.fails(2, "fetch", name, "", cwd=datadir.path).err


def test_the_version_is_printed():
    assert run_ok([binary(), "--version"]).out.startswith("walship 0.")


WRONG_LINES = {
    "no command": ([], "no command"),
    "a mistyped command": (["psuh"], 'Did you mean "walship push"?'),
    "a mistyped option": (["push", "--stroe", "x", "y"], 'Did you mean "--store"?'),
    "an option without its value": (["push", "--store"], '"--store" needs a value'),
    "a flag with a value": (["config", "--json=yes"], '"--json" takes no value'),
    "an option given twice": (["fetch", "--plan-end", "a", "--plan-end", "b", "c", "d"], "given twice"),
    "a missing argument": (["push"], "missing argument"),
    "an argument too many": (["config", "extra"], "extra"),
}


@pytest.mark.smoke
@pytest.mark.parametrize("wrong", WRONG_LINES)
def test_a_usage_error_says_what_is_wrong(wrong):
    arguments, expected = WRONG_LINES[wrong]
    result = run([binary(), *arguments])
    assert result.rc == 2 and expected in result.err, str(result)
    assert result.out == ""


@pytest.mark.smoke
def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(plain):
    environment = {"WALSHIP_JOBS": "6"}
    assert setting(plain, "jobs") == ("4", "default")
    plain.configure(jobs=5)
    assert setting(plain, "jobs") == ("5", "file")
    assert setting(plain, "jobs", env=environment) == ("6", "environment")
    assert setting(plain, "jobs", "--jobs", "7", env=environment) == ("7", "flag")


def test_the_origin_in_a_file_is_its_line(plain):
    plain.configure(jobs=5)
    line = plain.config.read_text().splitlines().index("jobs = 5") + 1
    assert f"{plain.config}:{line}" in plain.ok("config").out


def test_a_cluster_section_adds_to_the_common_settings(directory):
    walship = Walship(
        directory / "walship",
        {"store": "file:///common", "jobs": 2},
        cluster_sections="[cluster one]\njobs = 3\n[cluster two]\nstore = file:///two\n",
    )
    assert setting(walship, "jobs")[0] == "2"
    one = walship.ok("config", "--cluster", "one").out
    assert "file:///common" in one and ":5" in one
    two = walship.ok("config", env={"WALSHIP_CLUSTER": "two"}).out
    assert "file:///two" in two
    walship.fails(2, "config", "--cluster", "three", says="one, two")


WRONG_FILES = {
    "an unknown setting": ("stroe = file:///x\n", ":1: ", "store"),
    "a value that is no number": ("\njobs = many\n", ":2: ", "jobs"),
    "a value out of range": ("jobs = 65\n", ":1: ", "1 to 64"),
    "an unknown choice": ("compression = lz4\n", ":1: ", "brotli"),
    "a store without a scheme": ("store = /var/backups\n", ":1: ", "file://"),
    "a line without an equals sign": ("store\n", ":1: ", ""),
    "a section that is not closed": ("[cluster one\n", ":1: ", ""),
    "a setting twice": ("jobs = 1\njobs = 2\n", ":2: ", "jobs"),
}


@pytest.mark.parametrize("wrong", WRONG_FILES)
def test_the_settings_file_is_not_read_past(plain, wrong):
    text, where, remedy = WRONG_FILES[wrong]
    plain.config.write_text(text)
    result = plain.fails(2, "config", says=f"{plain.config}{where}")
    assert remedy in result.err, str(result)


def test_a_settings_file_that_is_named_must_be_there(directory):
    missing = directory / "missing.conf"
    for arguments, environment in ((["--config", missing], {}), ([], {"WALSHIP_CONFIG": str(missing)})):
        result = run([binary(), "config", *arguments], env=environment)
        assert result.rc == 2 and str(missing) in result.err, str(result)


def test_a_settings_file_that_everyone_may_write_is_refused(plain):
    plain.config.chmod(0o666)
    plain.fails(2, "config", says="chmod")


def test_wrong_environment_variables_are_named(plain):
    plain.fails(2, "config", env={"WALSHIP_STROE": "x"}, says='"WALSHIP_STORE"')
    plain.fails(2, "config", env={"WALSHIP_JOBS": "x"}, says="WALSHIP_JOBS")


@pytest.mark.parametrize(
    "command",
    [["config"], ["config", "--json"], ["config", "--markdown"], ["recover", "--help"], ["--help"], ["--version"]],
    ids=" ".join,
)
def test_what_cannot_be_printed_is_an_error(plain, command):
    """Short output fails when it is flushed, longer output before."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            plain.command(*command), stdout=full, stderr=subprocess.PIPE, env=clean_environment(), timeout=20
        )
    assert done.returncode == 7, done.stderr
    assert b"could not write to standard output" in done.stderr

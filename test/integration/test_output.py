"""What commands print: whole or an error, and readable by programs whatever is in it."""
import json
import subprocess

import pytest

from walship_testing.proc import clean_environment
from walship_testing.recovery import take_backup

pytestmark = pytest.mark.directory_only("what is printed does not depend on the store")
NO_UTF8 = "caf\udce9"  # the byte 0xE9, as Python passes it on


def run_into_full(walship, *line, env=None):
    with open("/dev/full", "w") as full:
        return subprocess.run(
            walship.command(*line),
            stdout=full,
            stderr=subprocess.PIPE,
            env=clean_environment(**(env or {})),
            timeout=60,
        )


PRINTING = ["list", "list --json", "find", "find --commits", "find --json", "recover --immediate --plan", "key show",
            "recover --immediate --plan --json", "check --store-only", "check --store-only --json", "key show --json",
            "config", "push --help"]  # fmt: skip


@pytest.mark.parametrize("line", PRINTING)
def test_what_cannot_be_printed_is_an_error(story, walship, directory, line):
    walship.ok("key", "new", directory / "key")
    walship.configure(identity_file=directory / "key")
    done = run_into_full(walship, *line.split())
    assert done.returncode == 7, done.stderr
    assert b"could not write to standard output" in done.stderr


def test_a_backup_that_cannot_be_reported_is_an_error_and_is_there(server, walship):
    done = run_into_full(walship, "backup", "--fast", env=server.pg_environment)
    assert done.returncode == 7, done.stderr
    assert len(json.loads(walship.ok("list", "--json").out)["backups"]) == 1


def parsed(walship, *line, env=None, expected=0):
    """Strictly: what is no UTF-8 is an error of this test."""
    done = subprocess.run(
        walship.command(*line), capture_output=True, env=clean_environment(**(env or {})), timeout=60
    )
    assert done.returncode == expected, done
    return json.loads(done.stdout.decode("utf-8"))


def test_text_that_is_no_utf8_makes_no_output_that_is_none(server, walship, directory):
    name = directory / NO_UTF8
    name.mkdir()
    there = server.pg_environment
    parsed(walship, "backup", "--fast", "--json", "--note", NO_UTF8, "--label", NO_UTF8, env=there)
    assert parsed(walship, "list", "--json")["backups"][0]["note"] == "caf?"
    take_backup(walship, server)
    server.sql("SELECT pg_create_restore_point('caf' || chr(233))")
    server.switch_and_archive()
    assert parsed(walship, "find", "--restore-points", "--json")["found"]
    assert "caf?" in parsed(walship, "recover", "--immediate", "--plan", "--json", "--pgdata", name)["disk"][0]["path"]
    said = parsed(walship, "check", "--store-only", "--json", "--state-dir", name / "x", expected=8)
    assert any("caf?" in (item["detail"] or "") for item in said["checks"])
    settings = parsed(walship, "config", "--json", "--state-dir", name)["settings"]
    assert any("caf?" in str(setting["value"]) for setting in settings)
    done = subprocess.run(
        walship.command("push", "--log-format", "json", name / "000000010000000000000001"),
        capture_output=True,
        env=clean_environment(),
    )
    assert done.returncode != 0
    for line in done.stderr.decode("utf-8").splitlines():
        json.loads(line)


def test_the_store_has_no_text_that_is_no_utf8(server, walship, store):
    walship.ok("backup", "--fast", "--note", NO_UTF8, env=server.pg_environment)
    (record,) = [key for key in store.keys() if key.endswith("backup.json")]
    json.loads(store.read(record).decode("utf-8"))


def test_thousands_of_leftovers_are_counted_and_not_listed(story, store, walship):
    for n in range(300):
        store.write(f"{story.system}/base/20261120T0230{n % 60:02d}Z-{n:04x}/base-0001.tar.zst", b"x")
    text = walship.ok("list").out
    assert len(text.splitlines()) < 60 and "290 more" in text, text
    assert len(walship.ok("list", "--verbose").out.splitlines()) > 300
    assert len(json.loads(walship.ok("list", "--json").out)["unfinished"]) == 300

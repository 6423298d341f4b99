"""walship runbook: the page, followed to the letter, brings a table and then a whole server back."""
import json
import re
import shutil

import pytest

from walship_testing import server as pg
from walship_testing.proc import clean_environment, run_ok
from walship_testing.recovery import take_backup
from walship_testing.store import DirectoryStore, create_store

pytestmark = pytest.mark.directory_only("the page's commands are walship's own, and those are tested on both")

SECRET = "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY"


class Page:
    """What a tired reader does with it: a chapter, its commands in their order, CAPITALS filled in."""

    def __init__(self, text, environment):
        self.text = text
        self.environment = environment

    def commands(self, chapter):
        part = self.text.split(f"\n## {chapter}\n")[1].split("\n## ")[0]
        blocks = re.findall(r"^   ```\n(.*?)^   ```$", part, re.DOTALL | re.MULTILINE)
        return [line.strip() for block in blocks for line in block.splitlines()]

    def do(self, line, **filled_in):
        for blank, value in filled_in.items():
            line = re.sub(rf"\b{blank}\b", value, line)
        return run_ok(["sh", "-c", line], env=clean_environment(**self.environment), timeout=50).out


def test_followed_to_the_letter(server, walship, directory):
    key = walship.ok("key", "new", directory / "key.txt").out.strip()
    walship.configure(recipients=key, identity_file=directory / "key.txt", s3_secret_access_key=SECRET,
                      s3_access_key_id="AKIAEXAMPLE", pg_bindir=server.install.bindir, rpo_target="15min")  # fmt: skip
    server.write_rows(100)
    take_backup(walship, server)
    server.write_rows(100)
    before = server.checksums()
    environment = {**server.pg_environment, "PATH": f"{pg.client_bindir()}:/usr/bin:/bin"}
    known = {**server.pg_environment, "WALSHIP_NOTIFY": f"ntfy:https://ntfy.example.com/{SECRET}", "WALSHIP_JOBS": "2"}
    page = Page(walship.ok("runbook", env=known).out, environment)
    assert "--jobs='2'" in page.text
    assert SECRET not in page.text and "AGE-SECRET-KEY" not in page.text
    assert "key id AKIAEXAMPLE" in page.text and key[:20] in page.text and str(server.pgdata) in page.text
    assert "Not known" not in page.text
    assert page.text.startswith(f"# Runbook: PostgreSQL {server.major}, system {server.system_identifier()}\n")

    # A table is dropped.
    server.sql("DROP TABLE rows")
    switch, find, _, recover, dump, end = page.commands("A table was dropped, or emptied")
    server.switch_and_archive()
    page.do(switch)
    xid = re.search(r"--before-drop xid:(\d+)", page.do(find))[1]
    made = page.do(recover, XID=xid)
    socket = re.search(r"^connect: +psql -h '([^']+)'", made, re.MULTILINE)[1]
    page.do(re.sub(r"-h \S+", f"-h {socket}", dump), TABLE="rows", DATABASE="postgres")
    page.do(end)
    assert server.checksums() == before

    # The machine is lost, with everything but the settings file and the key.
    server.switch_and_archive()
    server.stop("immediate")
    shutil.rmtree(server.pgdata)
    shutil.rmtree(walship.state_dir)
    walship.state_dir.mkdir()
    lines = page.commands("The server's machine is lost")
    root, listing, plan, recover, _, ask, check, backup = lines
    assert root == f"install -d -o postgres -g postgres -m 0700 {walship.state_dir}"
    assert "Any moment from" in page.do(listing)
    assert page.do(plan).startswith("Brings back everything")
    assert "ready: start the server with" in page.do(recover)
    server.start()
    server.wait_promoted()
    assert page.do(ask).split()[2] == "f"
    assert server.checksums() == before
    page.do(check)
    page.do(backup)


def test_without_server_and_store_it_says_what_it_could_not_know(walship, store, datadir):
    walship.configure(pgdata=datadir.path)
    shutil.rmtree(store.directory)
    done = walship.ok("runbook", env={"PGHOST": "/nowhere"})
    assert "not known: the server: " in done.err and "not known: the store: " in done.err
    assert "**Not known:** the store: " in done.out and f"--pgdata {datadir.path}" in done.out
    page = walship.ok("runbook", "--html", "--store-only").out
    assert page.startswith("<!DOCTYPE html>") and "<b>Not known:</b> the store: " in page
    walship.configure(store=None)
    walship.fails(2, "runbook", says='setting "store" is not set')


def drill_evidence(system, **facts):
    """As an older walship left it: without checks."""
    return json.dumps({
        "format": "walship drill 1", "passed": True, "time": "2026-11-18T08:00:00Z", "system_id": system, "walship": "0.1.0",
        "backup": "one", "server_version": 150020, "timeline": 1, "target": "the end of the WAL", "random": False,
        "stop_lsn": None, "planned_time": None, "replay_lsn": None, "last_transaction": None, "network_taken_away": True,
        "network_left_because": None, "fetched_bytes": 1, "restore_ms": 1, "replay_ms": 1, "checks_ms": 1, "rto_ms": 252000,
        "rto_target_ms": 0, "rpo_ms": 41000, **facts,
    }).encode()  # fmt: skip


def test_every_recovery_on_the_page_can_be_planned(story, walship, store, directory):
    offsite = DirectoryStore(directory / "offsite")
    create_store(offsite, directory / "for-offsite")
    walship.sections = f"[store offsite]\nstore = file://{offsite.directory}\n"
    walship.configure(second_store="offsite", pgdata=directory / "lost/pgdata", rto_target="1h")
    walship.ok("copy", "--to", "offsite", "--system", story.system)
    page = Page(walship.ok("runbook", "--store-only", "--system", story.system).out, {})
    assert "1 h 0 min (RTO)" in page.text and "there is no drill to be read" in page.text
    store.write(f"{story.system}/proof/20261118T080000Z-drill.json", drill_evidence(str(story.system)))
    measured = "on 2026-11-18 08:00:00+00: the recovery took 4 min 12 s, and the newest transaction in it was 41.0 s old"
    assert measured in walship.ok("runbook", "--store-only", "--system", story.system).out
    text = walship.ok("find", "--system", story.system).out
    xid = re.search(r"--before-drop xid:(\d+)", text)[1]
    lines = [line for chapter in re.findall(r"^## (.*)$", page.text, re.MULTILINE) for line in page.commands(chapter)]
    recoveries = [line for line in lines if " recover " in line and "--stop" not in line and "--forward" not in line]
    for line in {line.replace(" --plan", "") + " --plan" for line in recoveries}:
        line = line.replace("DATE TIME+ZONE", story.moment("evening").time)
        assert page.do(line, XID=xid).startswith(("Brings back", "Makes a standby")), line
    assert len(recoveries) >= 9 and sum("--store=offsite" in line for line in recoveries) == 1
    for line in {line for line in lines if re.search(r"walship (list|find)\b", line)}:
        page.do(line.replace("DATE TIME+ZONE", story.moment("before").time))

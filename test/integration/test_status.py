"""walship status: what is said when all is well, and when it is not; as text, JSON, for Nagios and for Prometheus."""
import html.parser
import json
import os
import shutil
import subprocess
import time

import pytest

from walship_testing import faultproxy as fault
from walship_testing.faultproxy import FaultProxy
from walship_testing.proc import promtool, wait_until
from walship_testing.receiver import make_certificate
from walship_testing.recovery import load_archive, take_backup, tell_story
from walship_testing.store import DirectoryStore, create_store, sealed
from walship_testing.walship import Walship

directory_only = pytest.mark.directory_only("what the store holds is read by the same readers as list's")


def status(walship, *options, expected=0, server=None, **more):
    environment = server.pg_environment if server else None
    options = options if server else ("--store-only", *options)
    return json.loads(walship.fails(expected, "status", "--json", *options, env=environment, **more).out)


def states(report):
    """Of what is not well."""
    found = {item["item"]: item["state"] for item in report["items"] if item["state"] != "OK"}
    found.pop("room", None)  # this machine's own disk may be full
    return found


UNPROVEN = {"drill": "WARN", "verify": "WARN"}


def item(report, name):
    return next(item for item in report["items"] if item["item"] == name)


@pytest.fixture
def backed_up(server, walship):
    """With a backup, and everything archived."""
    take_backup(walship, server)
    server.write_rows(10)
    server.switch_and_archive()
    return server


@pytest.mark.smoke
def test_a_server_with_a_backup_is_well_but_for_the_drill(backed_up, walship, store):
    report = status(walship, server=backed_up)
    assert states(report) == UNPROVEN, report
    assert report["state"] == "WARN" and report["system"] == str(backed_up.system_identifier())
    assert "; nothing waits" in item(report, "archiving")["value"]
    assert report["server"]["waiting"] == 0 and report["server"]["in_recovery"] is False
    assert report["wal"]["last"] == report["server"]["last_archived"][:24]
    assert report["backups"]["count"] == 1 and report["backups"]["newest"]["duration_ms"] > 0
    assert report["gaps"] == {"closed": 0, "open": 0, "last": None}
    assert report["storage"]["objects"] == len(store.keys())
    listed = json.loads(walship.ok("list", "--json").out)
    window = listed["timelines"][0]["windows"][0]
    assert {name: report["window"][name] for name in ("from_time", "to_time", "to_lsn", "replay_estimate_ms")} == {
        name: window[name] for name in ("from_time", "to_time", "to_lsn", "replay_estimate_ms")
    }
    text = walship.ok("status", env=backed_up.pg_environment).out
    assert text.startswith("WARN: drill: no backup was ever proven") and "Run: walship drill" in text


@pytest.mark.smoke
@directory_only
def test_with_the_server_down_the_store_tells_the_rest(backed_up, walship):
    backed_up.stop("immediate")
    report = status(walship, server=backed_up)
    assert states(report) == {"server": "UNKNOWN", **UNPROVEN} and "server" not in report, report
    walship.configure(push_alarm_after="1s")
    time.sleep(1.1)
    assert states(status(walship, server=backed_up))["archiving"] == "UNKNOWN"
    assert states(status(walship))["archiving"] == "UNKNOWN"
    walship.configure(rpo_target="1s")
    assert states(status(walship, expected=8))["archiving"] == "FAIL"


def archive_by(server, command):
    server.configure(archive_command=command)
    server.reload()
    wait_until(lambda: server.value("SHOW archive_command") == command, "the setting is read")
    server.write_rows(1)
    return server.switch_wal()


@directory_only
def test_a_failing_archiver_warns_and_then_fails(backed_up, walship):
    archive_by(backed_up, "false")
    wait_until(lambda: backed_up.value("SELECT failed_count > 0 FROM pg_stat_archiver"), "a failure")
    report = status(walship, server=backed_up)
    assert states(report)["archiving"] == "WARN" and report["server"]["failed"] >= 1, report
    assert report["server"]["waiting"] >= 1 and report["server"]["waiting_since"] is not None
    walship.configure(push_alarm_after="1s")
    time.sleep(1.1)
    report = status(walship, expected=8, server=backed_up)
    assert states(report)["archiving"] == "FAIL" and "server's log" in item(report, "archiving")["remedy"]
    backed_up.sql("CREATE ROLE plain LOGIN")
    environment = {**backed_up.pg_environment, "PGUSER": "plain"}
    report = json.loads(walship.fails(8, "status", "--json", "--pgdata", backed_up.pgdata, env=environment).out)
    assert report["server"]["waiting"] >= 1 and report["server"]["waiting_since"] is None, "seen in the data directory"


@directory_only
def test_what_is_archived_elsewhere_and_another_server_are_told(backed_up, servers, walship):
    name = archive_by(backed_up, "true")
    wait_until(lambda: backed_up.value("SELECT last_archived_wal FROM pg_stat_archiver") >= name, "archived")
    report = status(walship, expected=8, server=backed_up)
    assert "not in this store" in item(report, "archiving")["reason"], report
    other = servers.new(name="other", fresh=True).start()
    report = status(walship, "--system", backed_up.system_identifier(), server=other)
    assert states(report)["server"] == "UNKNOWN" and str(other.system_identifier()) in item(report, "server")["reason"]


@directory_only
def test_how_far_a_job_is_another_process_reads(backed_up, walship):
    job = walship.start("backup", "--fast", "--max-rate", "2MB", "--progress", "none", env=backed_up.pg_environment)
    try:
        (shown,) = wait_until(lambda: [entry for entry in status(walship)["jobs"] if "progress" in entry
                                       and entry["progress"]["done"] > 0], "it copies")  # fmt: skip
        assert (shown["kind"], shown["progress"]["phase"], shown["progress"]["unit"]) == ("backup", "copying", "bytes")
        assert 0 < shown["progress"]["done"] < shown["progress"]["total"] and shown["until"] > shown["began"], shown
        assert shown["holder"].endswith(f"process {job.pid}")
        text = walship.ok("status", env=backed_up.pg_environment).out
        assert f"process {job.pid}, copying: " in text and " so far" in text
        # Of another store, or another cluster of this one, it says nothing.
        walship.configure(store=f"file://{walship.state_dir}")
        assert status(walship, expected=8, server=backed_up)["jobs"] == []
    finally:
        job.kill()
        job.communicate(timeout=20)
    left = list(walship.state_dir.glob("running-*"))
    assert len(left) == 1, "it was killed"
    status(walship, expected=8, server=backed_up)
    assert list(walship.state_dir.glob("running-*")) == []


# Stores


@pytest.mark.smoke
def test_a_story_is_told_without_a_server(story, walship, store):
    report = status(walship)
    assert states(report) == UNPROVEN and report["system"] == str(story.system), report
    assert report["backups"]["newest"]["id"] == story.backups[-1]["id"]


def test_a_store_that_cannot_be_reached_fails(story, walship, store):
    walship.configure(store_deadline="1s")
    with store.outage():
        began = time.monotonic()
        report = status(walship, expected=8, timeout=40)
        assert time.monotonic() - began < 25
    assert states(report) == {"store": "FAIL"} and "wal" not in report
    assert item(report, "store")["value"] == store.url, "which it is, is known all the same"
    assert "nothing is known" in report["verdict"]


def test_a_store_that_may_not_be_read_fails(story, walship, store):
    with store.unreadable(f"{story.system}/base/{story.backups[0]['id']}/backup.json"):
        assert states(status(walship, expected=8)) == {"store": "FAIL"}


@pytest.mark.smoke
def test_an_empty_and_a_foreign_store_fail(walship, store, datadir):
    report = status(walship, expected=8)
    assert "holds nothing yet" in item(report, "store")["reason"]
    report = status(walship, "--pgdata", datadir.path, expected=8)
    assert "holds nothing yet" in item(report, "store")["reason"]
    store.write("basebackups_005/base_1/x", b"theirs")
    assert "WAL-G" in item(status(walship, expected=8), "store")["reason"]
    store.write("4711/wal/00000001/x", b"another system's")
    assert "but of 4711" in item(status(walship, "--pgdata", datadir.path, expected=8), "store")["reason"]


@directory_only
def test_what_is_no_setting_is_no_status(walship, story, store):
    store.write("4711/wal/00000001/x", b"another system's")
    assert "--system" in walship.fails(2, "status", "--store-only").err
    walship.fails(2, "status", "--price-per-gb", "0,02", says="such as 0.023")
    walship.fails(2, "status", "--all", says="no clusters")


def segments(store, story):
    return sorted(key for key in store.keys(f"{story.system}/wal/") if key.endswith(".tar"))


@directory_only
def test_a_gap_before_and_a_gap_behind_the_newest_backup(story, walship, store):
    names = segments(store, story)
    lost = [name for name in names if name_of(name) > segment_of(story.backups[-1]["stop_lsn"])][0]
    assert lost != names[-1]
    content = store.read(lost)
    store.remove(lost)
    report = status(walship)
    assert states(report)["gaps"] == "WARN" and "on its way" in item(report, "gaps")["reason"], report
    walship.configure(push_alarm_after="1s")
    time.sleep(1.1)
    report = status(walship, expected=8)
    assert states(report)["gaps"] == "FAIL" and report["gaps"]["open"] == 1, report
    assert item(report, "gaps")["value"].endswith(name_of(lost))
    store.write(lost, content)
    first, last = (segment_of(backup["stop_lsn"]) for backup in story.backups)
    store.remove([name for name in names if first < name_of(name) < last][0])
    report = status(walship, "--push-alarm-after", "15min")
    assert states(report)["gaps"] == "WARN" and report["gaps"]["closed"] == 1, report


def name_of(key):
    return key.split("/")[-1][:24]


def segment_of(lsn):
    high, low = lsn.split("/")
    return f"00000001{int(high, 16):08X}{int(low, 16) >> 24:08X}"


@directory_only
def test_old_backups_and_clocks(story, walship, store):
    time.sleep(1.1)
    report = status(walship, "--backup-max-age", "1s", expected=8)
    assert states(report)["backup"] == "FAIL" and "backup_max_age = 1s" in item(report, "backup")["threshold"]
    newest = story.backups[-1]
    store.remove(f"{story.system}/base/{newest['id']}/{newest['parts'][0]['name']}")
    report = status(walship)
    assert states(report)["stored backups"] == "WARN" and report["backups"]["newest"]["id"] == story.backups[0]["id"]
    store.write(f"{story.system}/base/20991120T023007Z-0001/base-0001.tar.br", b"x")
    assert states(status(walship)).get("backup") is None, "it may be under way"


@directory_only
def test_a_clock_that_is_behind_the_stores_is_told(story, walship, store):
    ahead = time.time() + 3 * 86400
    os.utime(store.path(segments(store, story)[-1]), (ahead, ahead))
    report = status(walship)
    assert states(report)["clocks"] == "WARN" and " in 2 d" in item(report, "archiving")["value"], report


@directory_only
def test_drills_dumps_and_files_are_read_from_the_store(story, walship, store):
    drill = {"format": "walship drill 1", "passed": True, "time": "2026-01-01T00:00:00Z", "backup": "A",
             "target": "the end", "rto_ms": 240000}  # fmt: skip
    store.write(f"{story.system}/proof/20260101T000000Z-drill.json", json.dumps(drill).encode())
    walship.ok("verify")
    report = status(walship, "--drill-max-age", "3000d")
    assert states(report) == {} and report["verify"]["passed"] and "took 4 min" in report["verdict"] and report["drill"]["rto_ms"] == 240000, report
    assert states(status(walship, "--drill-max-age", "1d", expected=8)) == {"drill": "FAIL"}
    assert states(status(walship, "--drill-max-age", "3000d", "--rto-target", "1min", expected=8))["drill"] == "FAIL"
    store.write(f"{story.system}/proof/20260102T000000Z-drill.json", b"{}")
    assert "cannot be read" in item(status(walship), "drill")["reason"]
    wanted = ("--dump-retention", "last 3", "--files-retention", "last 3")
    found = states(status(walship, *wanted, expected=8))
    assert found["dumps"] == found["files"] == "FAIL"
    store.write(f"{story.system}/dump/20260102T000000Z-0001/dump.json", b"{}")
    store.write(f"{story.system}/files/etc/20260102T000000Z-0001/files.json", b"{}")
    report = status(walship, *wanted)
    assert report["dumps"]["count"] == 1 and report["files"]["stalest"] == "files/etc/", report


@directory_only
def test_how_far_the_second_store_is_behind(story, walship, store, directory):
    second = DirectoryStore(directory / "second")
    create_store(second, directory)
    walship.configure(second_store=second.url, copy_max_age="1s")
    time.sleep(1.1)
    report = status(walship, expected=8)
    assert states(report)["second store"] == "FAIL" and report["second_store"]["objects"] == 0, report
    assert states(status(walship, "--copy-max-age", "1d")) == UNPROVEN
    walship.ok("copy", "--to", second.url)
    report = status(walship)
    assert states(report) == UNPROVEN and report["second_store"]["behind_since"] is None, report
    second.remove(segments(second, story)[-1])
    assert states(status(walship, expected=8))["second store"] == "FAIL"
    with second.outage():
        assert states(status(walship))["second store"] == "WARN"


@pytest.mark.s3_only
def test_a_status_is_few_requests(story, walship, proxy):
    proxy.clear()
    report = status(walship, "--system", story.system)
    made = proxy.seen()
    lists = [request for request in made if "/archive/" not in request.path]
    assert len(lists) == 1 and {request.method for request in made} == {"GET"}, proxy.log()
    assert len(made) <= 1 + 2 + 4 + report["backups"]["count"], proxy.log()
    assert proxy.n_connections <= 4


@pytest.mark.s3_only
def test_records_are_read_once(story, walship, store, proxy):
    """With many backups the second status asks for little more than with one."""
    record = json.loads(store.read(f"{story.system}/base/{story.backups[0]['id']}/backup.json"))
    for number in range(40):
        record["id"] = f"20250101T0000{number:02}Z-{number:04x}"
        store.write(f"{story.system}/base/{record['id']}/backup.json", sealed(record))
    first = status(walship, "--system", story.system)
    proxy.clear()
    again = status(walship, "--system", story.system)
    made = proxy.seen()
    for name in ("window", "backups", "gaps", "wal", "storage"):
        assert again[name] == first[name]
    assert again["backups"]["count"] == 42 and len(made) <= 1 + 4, proxy.log()
    # Of what is new, and of what was lost, it takes notice at once.
    store.remove(f"{story.system}/base/{record['id']}/backup.json")
    record["id"] = "20250102T000000Z-0000"
    store.write(f"{story.system}/base/{record['id']}/backup.json", b"damaged")
    report = status(walship, "--system", story.system)
    assert report["backups"]["count"] == 41
    # At the same time, without what was kept, and where nothing can be kept, they say the same.
    for kept in walship.state_dir.glob("records-*"):
        kept.unlink()
    several = [walship.start("status", "--json", "--store-only", "--system", story.system) for _ in range(3)]
    assert [json.loads(one.communicate(timeout=30)[0])["backups"] for one in several] == [report["backups"]] * 3
    walship.state_dir.chmod(0o555)
    assert status(walship, "--system", story.system)["backups"] == report["backups"]
    walship.state_dir.chmod(0o755)
    kept = list(walship.state_dir.glob("records-*"))
    assert len(kept) == 1 and kept[0].stat().st_mode & 0o777 == 0o600
    kept[0].write_bytes(kept[0].read_bytes()[:-3000])
    assert status(walship, "--system", story.system)["backups"] == report["backups"]


@pytest.mark.s3_only
@pytest.mark.parametrize(("days", "state"), [(1, "FAIL"), (10, "WARN"), (30, None)])
def test_a_certificate_that_ends_soon_is_told(story, walship, store, directory, days, state):
    certificate, key = make_certificate(directory, days=days, name="s3.example.com")
    server = store.server
    with FaultProxy(server.address, certificate=(certificate, key), credentials=(server.access_key, server.secret_key)) as tls:
        walship.configure(s3_endpoint=tls.endpoint, s3_ca_file=certificate)
        report = status(walship, "--system", story.system, expected=8 if state == "FAIL" else 0)
        assert states(report).get("certificates") == state, report
        known = [end["what"] for end in report["ends"]]
        assert known == ["that of s3_ca_file, CN=s3.example.com", "the store's certificate, CN=s3.example.com"]
        assert len([request for request in tls.seen() if "/archive/" not in request.path]) == 1, "no request for that"


@pytest.mark.s3_only
def test_temporary_credentials_are_told_before_they_end(story, walship, store):
    walship.configure(s3_access_key_id=None, s3_secret_access_key=None)
    server = store.server

    def state_with(**variables):
        there = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key, **variables}
        report = json.loads(walship.fails(None, "status", "--json", "--store-only", "--system", story.system, env=there).out)
        return states(report).get("credentials"), report

    in_minutes = lambda minutes: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60 * minutes))  # noqa: E731
    assert state_with()[0] is None
    # The test's server may not know such a token: then the store cannot be read, and the end is known all the same.
    state, report = state_with(AWS_SESSION_TOKEN="t", AWS_CREDENTIAL_EXPIRATION=in_minutes(30))
    assert state == "WARN" and report["ends"][-1]["kind"] == "session", report
    assert state_with(AWS_SESSION_TOKEN="t", AWS_CREDENTIAL_EXPIRATION=in_minutes(5))[0] == "FAIL"
    assert state_with(AWS_SESSION_TOKEN="t", AWS_CREDENTIAL_EXPIRATION=in_minutes(90))[0] is None
    assert state_with(AWS_SESSION_TOKEN="t")[0] == "UNKNOWN"


@directory_only
def test_a_password_that_ends_soon_is_told(backed_up, walship):
    backed_up.sql("CREATE ROLE limited LOGIN PASSWORD 'secret'")
    hba = backed_up.pgdata / "pg_hba.conf"
    hba.write_text("local all limited scram-sha-256\n" + hba.read_text())
    backed_up.reload()
    environment = {**backed_up.pg_environment, "PGUSER": "limited", "PGPASSWORD": "secret"}
    told = {"infinity": None, "5 days": "WARN", "1 day": "FAIL", "20 days": None}
    for until, state in told.items():
        end = until if until == "infinity" else backed_up.value(f"SELECT now() + '{until}'")
        backed_up.sql(f"ALTER ROLE limited VALID UNTIL '{end}'")
        report = json.loads(
            walship.fails(None, "status", "--json", "--pgdata", backed_up.pgdata, env=environment).out)  # fmt: skip
        assert "server" in report and states(report).get("credentials") == state, report
    # Without a password at the door, its end says nothing.
    backed_up.sql("ALTER ROLE limited VALID UNTIL '2001-01-01'")
    hba.write_text(hba.read_text().replace("scram-sha-256", "trust", 1))
    backed_up.reload()
    report = json.loads(walship.fails(None, "status", "--json", "--pgdata", backed_up.pgdata, env=environment).out)
    assert "server" in report and "credentials" not in states(report), report


# For programs


NAGIOS = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}


def nagios(walship, word, *options, **more):
    result = walship.fails(NAGIOS[word], "status", "--nagios", *options, **more)
    lines = result.out.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"WALSHIP {word} - "), str(result)
    return lines[0]


@pytest.mark.smoke
@directory_only
def test_nagios_has_its_own_codes_and_its_data(story, walship, store):
    time.sleep(1.1)
    line = nagios(walship, "WARNING", "--store-only")
    text, data = line.split(" | ")
    values = dict(word.split("=") for word in data.split())
    assert values["'gaps'"] == "0;;;0" and values["'backup_age'"].endswith(";;691200;0"), line
    assert values["'store_size'"].startswith(str(sum(len(store.read(key)) for key in store.keys(f"{story.system}/"))))
    assert nagios(walship, "CRITICAL", "--store-only", "--backup-max-age", "1s").startswith("WALSHIP CRITICAL - backup")
    nagios(walship, "UNKNOWN", "--jobs", "0")
    store.write("4711/wal/00000001/x", b"another system's")
    nagios(walship, "UNKNOWN", "--store-only")


@pytest.mark.s3_only
def test_nagios_is_answered_within_ten_seconds_whatever_hangs(story, walship, proxy):
    proxy.add(fault.stall, times=None)
    began = time.monotonic()
    assert "time limit" in nagios(walship, "UNKNOWN", "--store-only")
    assert time.monotonic() - began < 10


def metrics(path):
    """{name with labels: value}"""
    text = path.read_text()
    assert text.endswith("\n")
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


@directory_only
def test_metrics_are_written_whole(story, walship, directory):
    path = directory / "walship.prom"
    walship.ok("status", "--store-only", "--prometheus", path)
    found = metrics(path)
    assert found["walship_status"] == "1" and found['walship_status_item{item="drill"}'] == "1"
    assert found["walship_backups"] == "2" and float(found["walship_recoverable_to_timestamp_seconds"]) > 1.7e9
    assert not [name for name in found if name.startswith("walship_drill")]
    assert [entry.name for entry in directory.iterdir() if "walship.prom" in entry.name] == ["walship.prom"]
    assert path.stat().st_mode & 0o777 == 0o644
    time.sleep(1.1)
    walship.fails(8, "status", "--store-only", "--prometheus", path, "--backup-max-age", "1s")
    assert metrics(path)["walship_status"] == "2"


@directory_only
def test_promtool_has_nothing_to_say_against_the_metrics(backed_up, walship, store, directory):
    program = promtool()
    if not program:
        pytest.skip("NO promtool (test/install has it from package prometheus), so the metrics are NOT CHECKED by it")
    drill = {"passed": True, "time": "2026-01-01T00:00:00Z", "rto_ms": 240000}
    store.write(f"{backed_up.system_identifier()}/proof/20260101T000000Z-drill.json", json.dumps(drill).encode())
    path = directory / "walship.prom"
    walship.fails(None, "status", "--prometheus", path, env=backed_up.pg_environment)
    assert len(metrics(path)) >= 30
    checked = subprocess.run([program, "check", "metrics"], input=path.read_bytes(), capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


class Balance(html.parser.HTMLParser):
    """What is opened is closed, and there is nothing that a browser would load."""

    def __init__(self):
        super().__init__()
        self.open, self.titles = [], []

    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "img", "iframe", "object", "link", "a"), tag
        assert not {"src", "href", "onload", "onerror"} & set(dict(attributes)), attributes
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in ("line", "path"), tag

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] == "title":
            self.titles.append(text)


@directory_only
def test_the_page_shows_timelines_and_backups(branches, walship, directory):
    path = directory / "page.html"
    walship.ok("status", "--store-only", "--html", path)
    page = Balance()
    page.feed(path.read_text())
    assert page.open == []
    listed = json.loads(walship.ok("list", "--json").out)
    assert [backup["id"] for backup in listed["backups"] if backup["id"] not in path.read_text()] == []
    rows = [f"timeline {timeline['timeline']}</text>" for timeline in listed["timelines"]]
    assert all(row in path.read_text() for row in rows)
    assert len([text for text in page.titles if text.startswith("any moment from")]) == sum(
        len(timeline["windows"]) for timeline in listed["timelines"]
    )
    time.sleep(1.1)
    walship.fails(8, "status", "--store-only", "--html", path, "--backup-max-age", "1s", "--json")
    assert "<h1 class=\"FAIL\">" in path.read_text()


@pytest.fixture
def fifty(directory, cache):
    """Fifty clusters, each with a store of its own, three of which are not well."""
    archive = load_archive(cache, "story", tell_story)
    sections = ""
    first = DirectoryStore(directory / "store-0")
    create_store(first, directory)
    empty = shutil.copytree(first.directory, directory / "store-7")
    for key in archive.kept.keys(f"{archive.system}/"):
        first.write(key, archive.kept.read(key))
    for n in range(50):
        place = directory / f"store-{n}"
        if not place.exists():
            shutil.copytree(first.directory, place, copy_function=os.link)
        sections += f"[cluster db{n}]\nstore = file://{place}\n" + ("backup_max_age = 1s\n" if n in (3, 9) else "")
    assert empty.exists()
    return Walship(directory / "walship", {"jobs": 8}, cluster_sections=sections)


def test_fifty_clusters_side_by_side(fifty, directory):
    began = time.monotonic()
    report = json.loads(fifty.fails(8, "status", "--all", "--store-only", "--json").out)
    assert time.monotonic() - began < 20
    assert [cluster["cluster"] for cluster in report["clusters"]] == [f"db{n}" for n in range(50)]
    assert [n for n, cluster in enumerate(report["clusters"]) if cluster["state"] == "FAIL"] == [3, 7, 9]
    text = fifty.fails(8, "status", "--all", "--store-only").out
    assert text.startswith("FAIL: 50 of 50 clusters are not well: db0, db1") and len(text.splitlines()) == 53
    fifty.fails(8, "status", "--all", "--store-only", "--prometheus", directory / "all.prom")
    found = metrics(directory / "all.prom")
    assert found['walship_status{cluster="db3"}'] == "2" and found['walship_status{cluster="db4"}'] == "1"
    line = nagios(fifty, "CRITICAL", "--all", "--store-only")
    assert "'db4 gaps'=0;;;0" in line and "'db7 gaps'" not in line
    fifty.fails(2, "status", "--all", "--cluster", "db3", says="--all is for every cluster")

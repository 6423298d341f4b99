"""Notifications: who hears of what; and that a command neither fails nor waits because of them."""
import email
import json
import os
import subprocess
import time

import pytest

from test_prefetch import adopts_orphans
from walship_testing.proc import clean_environment, is_running, process_state, wait_until
from walship_testing.receiver import MailServer, Receiver, make_certificate
from walship_testing.recovery import take_backup

pytestmark = pytest.mark.directory_only("what is told does not depend on the store")

FIRST = 2.0  # seconds that a command's own attempt may take
SECRET = "T0PSECRET"


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def notifiers(walship):
    """Processes that go on sending for this configuration."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and process_state(int(entry))[0] not in (None, "Z"):
            try:
                words = open(f"/proc/{entry}/cmdline", "rb").read().split(b"\0")
            except OSError:
                continue
            if words[:2] == [b"walship", b"notifier"] and any(str(walship.config).encode() in word for word in words):
                found.append(int(entry))
    return found


@pytest.fixture
def told(walship, receiver):
    """Its failures are told; nothing that was started stays behind."""
    walship.configure(notify=f"webhook:{receiver.url}/hook", retention="last 1")
    yield walship
    for pid in notifiers(walship):
        os.kill(pid, 15)
        wait_until(lambda pid=pid: not is_running(pid), "the end of a notifier")


def break_store(store):
    marker = store.directory / "walship-store.json"
    marker.rename(store.directory / "gone.json")


def mend_store(store):
    (store.directory / "gone.json").rename(store.directory / "walship-store.json")


def events(messages):
    return [(message.json["event"], message.json["item"]) for message in messages]


def test_test_asks_every_target_and_shows_what_it_answers(told, receiver, directory):
    secrets = {
        "slack": f"{receiver.url}/slack/{SECRET}",
        "discord": f"{receiver.url}/discord/{SECRET}",
        "mattermost": f"{receiver.url}/mattermost/{SECRET}",
        "pagerduty": SECRET,
        "webhook": f"{receiver.url}/file/{SECRET}",
        "token": SECRET,
    }
    for name, secret in secrets.items():
        (directory / name).write_text(secret + "\n")
        (directory / name).chmod(0o600)
    program = directory / "alarm"
    program.write_text(f"#!/bin/sh\ncat > {directory}/stdin\necho heard\n")
    program.chmod(0o700)
    files = [f"{kind}:{directory / kind}" for kind in ("slack", "discord", "mattermost", "pagerduty", "webhook")]
    targets = [*files, "telegram:-42", f"ntfy:{receiver.url}/topic", f"webhook:{receiver.url}/open", f"exec:{program}"]
    told.configure(
        notify=", ".join(targets),
        telegram_token_file=directory / "token",
        telegram_url=receiver.url,
        pagerduty_url=receiver.url,
    )
    receiver.answers = [(200, {}, f"ok, {SECRET}".encode())]
    result = told.ok("notify", "test", "--json")
    report = json.loads(result.out)
    assert report["ok"] and [item["target"] for item in report["targets"]] == targets
    answers = {item["target"]: item["answer"] for item in report["targets"]}
    assert answers[f"exec:{program}"] == "exit code 0: heard"
    assert answers["telegram:-42"] == "HTTP 200: ok, ***"
    assert sorted(message.path for message in receiver.taken) == sorted([
        *(f"/{kind}/{SECRET}" for kind in ("slack", "discord", "mattermost", "file")),
        *("/v2/enqueue", f"/bot{SECRET}/sendMessage", "/topic", "/open"),
    ])  # fmt: skip
    assert json.loads((directory / "stdin").read_text())["event"] == "test"
    assert SECRET not in told.ok("check", "--store-only", "--log-level", "debug").out + result.err
    assert "notify  " in told.ok("check", "--store-only").out
    assert SECRET not in told.ok("config").out

    # One that does not take it, one whose secret others can read, and one that is not there.
    receiver.answers = [(404, {}, b"no such hook")]
    (directory / "slack").chmod(0o644)
    program.unlink()
    result = told.fails(8, "notify", "test")
    assert result.out.startswith("9 of 9 targets did not take the test message."), str(result)
    assert "it answered HTTP 404: no such hook" in result.out and "chmod 0600" in result.out
    assert SECRET not in result.out + result.err
    assert "FAIL  notify" in told.fails(8, "check", "--store-only").out


def test_what_cannot_be_asked_is_said(walship, datadir):
    walship.fails(2, "notify", "test", says='setting "notify" is not set')
    walship.fails(2, "notify", "nonsense", says="nothing that notify does")
    walship.configure(notify=f"slack:https://hooks.slack.com/services/{SECRET}")
    result = walship.fails(2, "notify", "test", says='target 1, of kind "slack", is not well formed')
    assert "Write the webhook's URL" in result.err and SECRET not in result.err
    # What is wrong there stops no archiving.
    pushed = datadir.push(walship, datadir.segment(1, 5))
    assert "could not notify" in pushed.err and SECRET not in pushed.err
    walship.configure(notify="telegram:42")
    assert 'needs the setting "telegram_token_file"' in walship.fails(8, "notify", "test").out


def test_a_failure_is_told_once_and_its_end_too(told, receiver, store):
    told.fails(1, "expire", "--dry-run")
    told.ok("check", "--store-only")
    assert receiver.taken == [], "what works is not told, nor what was only planned"
    break_store(store)
    failed = told.fails(4, "expire")
    told.fails(4, "expire")
    told.fails(8, "check", "--store-only")
    mend_store(store)
    told.ok("check", "--store-only")
    told.ok("check", "--store-only")
    assert events(receiver.taken) == [("failed", "expire"), ("failed", "check"), ("recovered", "check")]
    first, check, recovered = (message.json for message in receiver.taken)
    assert first["reason"] in failed.err and first["exit_status"] == 4 and first["failures"] == 1
    assert first["store"] == f"file://{store.directory}" and first["command"].startswith("walship expire --dry-run")
    assert check["reason"].startswith("1 of ") and check["reason"].endswith("failed: store")
    assert first["key"] == "expire" and check["key"] == recovered["key"] != "check", "a part is not the whole"
    assert recovered["since"] == check["since"] and recovered["time"] > check["time"]
    # Another configuration's failures are others.
    break_store(store)
    told.configure(notify_success="on", state_dir=told.state_dir / "..")
    told.fails(4, "expire")
    mend_store(store)
    told.ok("check", "--store-only")
    assert events(receiver.taken[3:]) == [("failed", "expire"), ("succeeded", "check")]


def test_the_other_commands_are_told_as_well(told, receiver, store, directory, server):
    there = server.pg_environment
    broken = {
        "backup": told.fails(None, "backup", "--conninfo", f"host={directory}"),
        "dump": told.fails(None, "dump", "nonexistent", env=there),
        "copy": told.fails(None, "copy", "--to", f"file://{directory}/nowhere"),
        "files": told.fails(None, "files", "uploads", directory / "nowhere", env=there),
        "verify": told.fails(None, "verify"),
        "drill": told.fails(None, "drill"),
        "status": told.fails(None, "status", "--system", "1"),
    }
    assert all(result.rc > 0 for result in broken.values()), broken
    assert events(receiver.taken) == [("failed", name) for name in broken]
    for message, result in zip(receiver.taken, broken.values()):
        assert message.json["exit_status"] == result.rc and message.json["reason"], message.body
    told.fails(None, "files", "--list", "uploads")
    told.fails(None, "drill", "--plan")
    assert len(receiver.taken) == len(broken)


def test_a_job_that_is_ended_is_told_and_dies_of_the_signal(told, receiver, server):
    job = told.start("backup", "--fast", "--max-rate", "64kB", env=server.pg_environment)
    wait_until(lambda: server.value("SELECT count(*) > 0 FROM pg_stat_replication"), "it copies")
    job.terminate()
    job.communicate(timeout=20)
    assert job.returncode == -15
    assert events(receiver.taken) == [("failed", "backup")] and "SIGTERM" in receiver.taken[0].json["reason"]


@pytest.fixture
def stranger(certificate):
    """TLS with a certificate of nobody."""
    made = Receiver(certificate=certificate)
    yield made
    made.close()


def unchanged(walship, quiet, expected, *line):
    """As without any target: status, output, and the first line of the log; how much longer it took."""
    result = walship.fails(expected, *line)
    assert result.out == quiet.out and result.err.splitlines()[0] == quiet.err.splitlines()[0], str(result)
    return result


@pytest.mark.parametrize("trouble", ["none", "down", "slow", "busy", "untrusted"])
def test_the_commands_own_result_is_the_same_whatever_becomes_of_the_message(told, receiver, store, trouble, request):
    url = receiver.url
    break_store(store)
    told.configure(notify=None)
    quiet = told.fails(4, "expire")
    if trouble == "down":
        receiver.close()
    elif trouble == "slow":
        receiver.delay = 30
    elif trouble == "busy":
        receiver.answers = [(429, {}, b'{"ok": false, "parameters": {"retry_after": 3}}')]
    elif trouble == "untrusted":
        url = request.getfixturevalue("stranger").url
    told.configure(notify=f"webhook:{url}/{SECRET}")
    result = unchanged(told, quiet, 4, "expire")
    print(f"{trouble}: {result.seconds - quiet.seconds:+.3f} s")
    assert result.seconds - quiet.seconds < (FIRST + 1 if trouble == "slow" else 1), str(result)
    assert ("could not notify" in result.err) == (trouble != "none"), str(result)
    if trouble == "none":
        assert events(receiver.taken) == [("failed", "expire")] and notifiers(told) == []
        return
    wait_until(lambda: notifiers(told), "the process that goes on")
    # It is told already: the next one waits for nothing.
    again = unchanged(told, quiet, 4, "expire")
    assert again.seconds - quiet.seconds < 1, str(again)
    assert len(notifiers(told)) == 1


@pytest.fixture
def beating(walship, receiver, store, server, directory):
    """All is well, but that nothing was ever proven; and the heartbeat was heard."""
    address = directory / "heartbeat"
    address.write_text(f"{receiver.url}/{SECRET}\n")
    address.chmod(0o600)
    walship.configure(heartbeat_url=address)
    take_backup(walship, server)
    server.write_rows(10)
    server.switch_and_archive()
    walship.ok("check", "--pgdata", server.pgdata, "--no-wait", env=server.pg_environment)
    assert receiver.taken == [], "a backup, or a check, is not all"
    walship.ok("status", env=server.pg_environment)
    start, beat = receiver.taken
    assert start.path == f"/{SECRET}/start" and b"walship: status begins" in start.body
    assert beat.path == f"/{SECRET}" and b"walship: status succeeded" in beat.body and b"any moment from" in beat.body
    return walship


def beats_of(receiver, before=0):
    """Verdicts alone, without their starts."""
    return [beat for beat in receiver.taken[before:] if not beat.path.endswith("/start")]


def test_a_heartbeat_stops_as_soon_as_any_part_is_stale(beating, receiver, store, server):
    def stops(part):
        before = len(receiver.taken)
        walship.fails(8, "status", env=server.pg_environment)
        (beat,) = beats_of(receiver, before)
        assert beat.path == f"/{SECRET}/fail" and part in beat.body, beat.body

    def beats():
        walship.ok("status", env=server.pg_environment)
        assert receiver.taken[-1].path == f"/{SECRET}"

    walship = beating
    walship.configure(backup_max_age="1s")
    time.sleep(1)
    stops(b"backup")
    walship.configure(backup_max_age=None)
    beats()
    system = server.system_identifier()
    for number, (part, limit) in enumerate({"drill": "drill_max_age", "verify": "verify_max_age", "dumps": "dump_max_age", "files": "files_max_age"}.items()):
        folder = {"dumps": "dump/20260102T000000Z-0001/dump.json", "files": "files/etc/20260102T000000Z-0001/files.json"}.get(
            part, f"proof/20260101T00000{number}Z-{part}.json")  # fmt: skip
        store.write(f"{system}/{folder}", b'{"passed": true, "time": "2026-01-01T00:00:00Z", "rto_ms": 1}')
        os.utime(store.path(f"{system}/{folder}"), (time.time() - 3600,) * 2)
        walship.configure(**{limit: "1s"})
        stops(part.encode())
        walship.configure(**{limit: "3000d"})
        beats()
    name = server.switch_and_archive()
    behind = server.switch_and_archive()
    segment, after = (next(store.directory.rglob(f"{which}.tar")) for which in (name, behind))
    os.utime(after, (time.time() - 3600,) * 2)  # what came just now may come out of order
    segment.rename(segment.with_suffix(".away"))
    stops(b"gap")
    segment.with_suffix(".away").rename(segment)
    beats()
    server.configure(archive_command="false")
    server.reload()
    server.switch_wal()
    walship.configure(push_alarm_after="1s")
    wait_until(lambda: walship.run("status", env=server.pg_environment).rc == 8, "archiving that fails is seen")
    stops(b"archiving")
    break_store(store)
    before = len(receiver.taken)
    walship.fails(None, "status", env=server.pg_environment)
    assert {beat.path for beat in beats_of(receiver, before)} <= {f"/{SECRET}/fail"}


def test_a_heartbeat_is_heard_of_the_whole_alone(beating, receiver, server):
    walship = beating
    # A part of it is not all; and what never begins says nothing.
    walship.ok("status", "--store-only", env=server.pg_environment)
    walship.fails(2, "status", "--jobs", "0", env=server.pg_environment)
    walship.ok("status", "--help")
    walship.run("status", "--nagios", env=server.pg_environment)
    assert len(receiver.taken) == 2
    # A service that knows no start, or answers late, costs the command no more than its verdict's ping.
    receiver.answers = [(404, {}, b""), (200, {}, b"ok")]
    assert "heartbeat" not in walship.ok("status", env=server.pg_environment).err
    assert [beat.path for beat in receiver.taken[2:]] == [f"/{SECRET}"]
    # healthchecks.io's answer to what it does not know.
    receiver.answers = [(200, {}, b"OK (not found)")]
    failed = walship.ok("status", env=server.pg_environment)
    assert 'could not ping "heartbeat_url": it answered HTTP 200' in failed.err
    assert SECRET not in failed.err + failed.out
    assert "FAIL  heartbeat  it answered HTTP 200: OK (not found)" in walship.fails(8, "notify", "test").out
    assert receiver.taken[-1].path == f"/{SECRET}/fail"
    walship.configure(heartbeat_url=f"{receiver.url}/{SECRET}")
    assert SECRET not in walship.ok("config").out


def test_what_was_refused_for_now_is_sent_again_when_it_was_asked_for(told, receiver, store):
    receiver.answers = [(429, {"Retry-After": "1"}, b'{"retry_after": 3}'), (200, {}, b"ok")]
    break_store(store)
    told.fails(4, "expire", says="It will be tried again.")
    receiver.answers.insert(0, (429, {}, b'{"parameters": {"retry_after": 2}}'))
    (message,) = receiver.wait(1)
    assert message.json["event"] == "failed" and message.json["failures"] == 1
    assert message.at - receiver.refused[-1].at >= 2
    wait_until(lambda: not notifiers(told), "the end of the process that has nothing left to do")
    told.fails(4, "expire")
    assert len(receiver.taken) == 1


def test_a_push_that_fails_for_long_is_told_by_another_process(told, receiver, store, datadir):
    told.configure(push_alarm_after="2s", push_deadline="1s", push_ahead=0)
    name = datadir.segment(1, 5)
    quiet = datadir.push(told, datadir.segment(1, 4))
    break_store(store)
    datadir.push(told, name, 4)
    began = time.monotonic()
    assert notifiers(told) == [] and receiver.taken == [], "it may mend itself"
    time.sleep(2)
    receiver.delay = 1
    failed = datadir.push(told, name, 4)
    assert failed.seconds < quiet.seconds + 0.5, str(failed)
    (message,) = receiver.wait(1)
    assert message.at - began >= 2 and message.json["failures"] == 2
    assert (message.json["item"], message.json["cluster"]) == ("push", str(datadir.path))
    datadir.push(told, name, 4)
    mend_store(store)
    assert datadir.push(told, name).seconds < quiet.seconds + 0.5
    assert events(receiver.wait(2)) == [("failed", "push"), ("recovered", "push")]
    assert receiver.taken[1].json["failures"] == 3
    wait_until(lambda: not notifiers(told), "the end of the process")
    datadir.push(told, datadir.segment(1, 6))
    time.sleep(0.2)
    assert len(receiver.taken) == 2 and notifiers(told) == []


def test_a_server_whose_archiving_fails_is_heard_of_and_stops_as_fast(told, receiver, store, server):
    """The archiver's own calls: nothing that was started is the server's child, and none is waited for."""
    told.configure(push_alarm_after="1s", push_deadline="1s")
    server.switch_and_archive()
    receiver.delay = 30
    break_store(store)
    server.switch_wal()
    wait_until(lambda: notifiers(told), "an alarm", timeout=40)
    (pid,) = notifiers(told)
    assert process_state(pid)[1] not in (server.process.pid, os.getpid())
    mend_store(store)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 10
    assert is_running(pid), "it goes on without the server"
    (message,) = receiver.wait(1)
    assert message.json["item"] == "push" and message.json["cluster"] == str(server.pgdata)


def test_where_the_server_would_adopt_that_process_push_sends_it_itself(told, receiver, store, server):
    """The death of an adopted child by a signal is a crash to the postmaster: an alarm is sent within the call."""
    told.configure(push_alarm_after="1s", push_deadline="1s")
    server.switch_and_archive()
    server.stop()
    with open(server.log, "a") as log:
        server.process = subprocess.Popen(
            [server.install.bindir / "postgres", "-D", server.pgdata],
            preexec_fn=adopts_orphans,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    server.wait_ready()
    break_store(store)
    server.switch_wal()
    (message,) = receiver.wait(1, timeout=40)
    assert message.json["event"] == "failed" and message.json["item"] == "push"
    assert notifiers(told) == []
    mend_store(store)
    server.wait_archived(server.switch_wal(), timeout=40)
    assert events(receiver.wait(2)) == [("failed", "push"), ("recovered", "push")]
    assert notifiers(told) == []
    assert "terminat" not in server.log_text() and "crash" not in server.log_text()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(certificate, key) of this machine; nobody else trusts it."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.mark.parametrize("tls", [None, "tls", "starttls"])
def test_mail_goes_to_a_server(told, store, directory, certificate, tls):
    server = MailServer(
        certificate=certificate if tls else None,
        starttls=tls == "starttls",
        credentials=("walship", SECRET) if tls else None,
    )
    try:
        told.configure(notify="mailto:ops@example.com", smtp_url=server.url, mail_from="walship@db1.example.com")
        if tls:
            (directory / "password").write_text(SECRET)
            (directory / "password").chmod(0o600)
            told.configure(
                smtp_user="walship",
                smtp_password_file=directory / "password",
                notify_ca_file=certificate[0],
            )
        break_store(store)
        failed = told.fails(4, "expire")
        assert len(server.mails) == 1, str(failed)
        ((sender, recipient, text),) = server.mails
        assert sender.startswith("FROM:<walship@db1.example.com>") and recipient.startswith("TO:<ops@example.com>")
        mail = email.message_from_bytes(text)
        assert mail["Subject"].startswith("walship: expire failed on ") and mail["To"] == "ops@example.com"
        assert "exit code: 4\n" in mail.get_payload(decode=True).decode()
        assert told.ok("notify", "test").out.endswith("SMTP 250\n")
        server.refuse = "550 no such user"
        refused = told.fails(8, "notify", "test").out
        assert "the mail server refused: RCPT failed: 550" in refused, refused
        if tls:
            told.configure(notify_ca_file=None)
            assert "not trusted" in told.fails(8, "notify", "test").out
            told.configure(notify_ca_file=certificate[0])
            (directory / "password").write_text("wrong\n")
            refused = told.fails(8, "notify", "test").out
            assert "Login denied" in refused and SECRET not in refused, refused
    finally:
        server.close()


def test_mail_goes_to_a_program(told, store, directory):
    program = directory / "sendmail"
    program.write_text(f"""#!/bin/sh
printf '%s\\n' "$@" > {directory}/arguments
cat > {directory}/mail
""")
    program.chmod(0o700)
    told.configure(notify="mailto:ops@example.com", sendmail=program, mail_from="walship@db1.example.com")
    break_store(store)
    told.fails(4, "expire")
    assert (directory / "arguments").read_text() == "-oi\n--\nops@example.com\n"
    text = (directory / "mail").read_bytes()
    assert b"\r" not in text and text.startswith(b"From: walship@db1.example.com\nTo: ops@example.com\nSubject: walship: ")
    assert "exit code: 4\n" in email.message_from_bytes(text).get_payload(decode=True).decode()
    program.write_text("#!/bin/sh\necho no such user >&2\nexit 67\n")
    assert "ended with exit code 67" in told.fails(8, "notify", "test").out
    program.unlink()
    assert f"{program}" in told.fails(8, "notify", "test").out


def test_a_password_is_not_sent_in_the_clear(walship, directory):
    (directory / "password").write_text(SECRET)
    (directory / "password").chmod(0o600)
    server = MailServer(credentials=("walship", SECRET))
    try:
        walship.configure(
            notify="mailto:ops@example.com",
            smtp_url=server.url,
            smtp_user="walship",
            smtp_password_file=directory / "password",
        )
        result = walship.fails(8, "notify", "test")
        assert "STARTTLS not supported" in result.out and server.mails == [], result.out
    finally:
        server.close()

"""The S3 server goes away while PostgreSQL needs it, and comes back: nothing is lost, nobody goes live too early."""
import time

import pytest

from walship_testing import faultproxy as fault
from walship_testing.proc import wait_until
from walship_testing.recovery import take_backup

pytestmark = pytest.mark.s3_only

OUTAGES = {
    "refused": None,
    "503": fault.answer(503, "ServiceUnavailable"),
    "reset": fault.reset_before_body,
    "denied": fault.answer(403, "AccessDenied"),
    "no such bucket": fault.answer(404, "NoSuchBucket"),
    "404 of a proxy": fault.answer(404),
}


class Outage:
    """Of this kind, until end()."""

    def __init__(self, proxy, name):
        self.proxy = proxy
        self.what = OUTAGES[name]
        if self.what is None:
            proxy.down()
        else:
            proxy.add(self.what, times=None)

    def end(self):
        self.proxy.clear()
        self.proxy.up()


kinds = pytest.mark.parametrize("kind", OUTAGES)


@kinds
def test_archiving_goes_on_where_it_stopped(server, walship, store, proxy, kind):
    walship.configure(push_deadline="1s")
    server.write_rows(100)
    first = server.switch_and_archive()
    outage = Outage(proxy, kind)
    names = []
    for _ in range(3):
        server.write_rows(100)
        names.append(server.switch_wal())
    wait_until(lambda: server.value("SELECT failed_count FROM pg_stat_archiver") > 0, "push has failed")
    assert not any(server.is_archived(name) for name in names)
    assert all((server.pgdata / "pg_wal" / name).exists() for name in names)
    outage.end()
    server.wait_archived(names[-1], timeout=25)
    prefix = f"{server.system_identifier()}/wal/00000001"
    for name in [first, *names]:
        assert store.exists(f"{prefix}/{name}.tar")
    assert "archiver process" not in server.log_text()


@kinds
def test_a_recovery_stops_and_does_not_go_live_and_goes_on_later(server, servers, walship, proxy, kind):
    walship.configure(fetch_deadline="1s")
    server.write_rows(1000)
    copy = server.copy_to(servers.empty())
    server.write_rows(1000)
    expected = server.checksums()
    server.switch_and_archive()
    server.kill()
    copy.signal_file("recovery.signal", restore_command=walship.restore_command(), archive_mode="off")
    outage = Outage(proxy, kind)
    copy.start(wait=False)
    assert copy.wait_exit() != 0
    assert (copy.pgdata / "recovery.signal").exists()
    assert "selected new timeline" not in copy.log_text()
    outage.end()
    copy.start()
    copy.wait_promoted()
    assert copy.checksums() == expected


@pytest.mark.parametrize("kind", ["refused", "503", "denied"])
def test_a_standby_waits_and_goes_on_by_itself(server, servers, walship, proxy, kind):
    server.write_rows(1000)
    standby = server.copy_to(servers.empty())
    server.write_rows(1000)
    server.switch_and_archive()
    outage = Outage(proxy, kind)
    standby.signal_file("standby.signal", restore_command=walship.restore_command(), archive_mode="off")
    standby.start(wait=False)
    time.sleep(3)
    assert standby.process.poll() is None
    outage.end()
    standby.wait_ready(timeout=25)
    wait_until(lambda: standby.checksums() == server.checksums(), "the standby has caught up")
    assert standby.value("SELECT pg_is_in_recovery()")


def test_a_short_outage_in_the_middle_of_a_recovery_is_not_even_noticed(server, servers, walship, proxy):
    server.write_rows(1000)
    copy = server.copy_to(servers.empty())
    for _ in range(4):
        server.write_rows(500)
        server.switch_and_archive()
    expected = server.checksums()
    server.kill()
    copy.signal_file("recovery.signal", restore_command=walship.restore_command(), archive_mode="off")
    proxy.clear()
    proxy.add(fault.reset_before_body, method="GET", target=r"\.tar$", skip=2, times=3)
    copy.start()
    copy.wait_promoted()
    assert copy.checksums() == expected


def test_an_outage_during_a_backup_fails_it_and_the_next_one_works(server, walship, store, proxy):
    """The server's own load goes on, and its archiving too."""
    walship.configure(store_deadline="5s")
    process = walship.start("backup", "--fast", "--max-rate", "2MB", env=server.pg_environment)
    wait_until(lambda: server.sql("SELECT true FROM pg_stat_progress_basebackup WHERE backup_streamed > 4000000"), "it runs")
    with store.outage():
        out, err = process.communicate(timeout=50)
        assert process.returncode == 4 and not out, err
    assert not [key for key in store.keys() if key.endswith("backup.json")]
    assert take_backup(walship, server)["id"]

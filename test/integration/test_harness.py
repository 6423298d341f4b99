"""The servers of the tests themselves, on every major: what the other tests take for granted."""


def test_a_server_of_every_major_starts_switches_wal_and_survives_a_crash(servers, major):
    server = servers.new(major=major).start()
    server.write_rows(100)
    before = server.checksums()
    first = server.switch_wal()
    second = server.switch_wal()
    assert first < second
    server.kill()
    server.start()
    assert server.checksums() == before
    server.stop()
    assert server.process is None


def test_a_standby_of_every_major_follows_and_is_promoted(servers, major):
    primary = servers.new(major=major).start()
    primary.write_rows(100)
    standby = servers.standby_of(primary).start()
    primary.write_rows(100)
    standby.wait_replayed(primary)
    assert standby.checksums() == primary.checksums()
    assert standby.promote() == 2


def test_pgbench_and_amcheck_work(servers):
    server = servers.new().start()
    server.pgbench_init()
    with server.pgbench_running():
        pass
    assert server.value("SELECT count(*) FROM pgbench_history") > 0
    assert server.amcheck()

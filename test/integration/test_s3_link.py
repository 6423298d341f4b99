"""Slow links, and silence: what moves may take its time, what does not is given up."""
import os
import time

import pytest

from walship_testing import faultproxy as fault
from walship_testing import slowlink
from walship_testing.proc import wait_until
from walship_testing.wal import MIB

pytestmark = pytest.mark.s3_only


def test_a_push_of_what_cannot_be_compressed_goes_through_a_link_of_2_mbit_per_second(
    walship, proxy, datadir, directory
):
    """A quarter of a segment, and a fifth of the default's request_timeout.  A megabyte waits in the kernel's buffers
    for longer than that, all the while it arrives on the other side."""
    walship.configure(request_timeout="2s")
    name = datadir.segment(1, 5, salt=os.urandom(4 * MIB))
    command = walship.command("push", f"pg_wal/{name}")
    result = slowlink.run_behind("2mbit", proxy.port, command, directory, cwd=datadir.path, timeout=50)
    assert result.returncode == 0, result
    assert proxy.count("PUT") == 1 and proxy.seen("PUT")[0].seconds > 8, proxy.log()


# A server that stops waits for its archiver, and the archiver for push


def test_a_fast_shutdown_with_a_store_that_is_silent_is_soon_over(server, proxy):
    """The archiver calls push three times in each of its last two rounds; it took 70 s, then."""
    server.write_rows(100)
    server.switch_and_archive()
    proxy.clear()
    proxy.add(fault.stall, times=None)
    for _ in range(5):
        server.write_rows(100)
        server.switch_wal()
    wait_until(lambda: proxy.count("PUT"), "a push is under way")
    began = time.monotonic()
    server.stop(timeout=50)
    assert time.monotonic() - began < 30


def say_that_it_stops(datadir):
    """As the postmaster does."""
    lines = ["1", str(datadir.path), "0", "5432", "", "", "", "stopping"]
    (datadir.path / "postmaster.pid").write_text("\n".join(lines) + "\n")


def test_a_push_that_is_under_way_when_the_server_stops_gives_a_silent_store_three_seconds(walship, proxy, datadir):
    name = datadir.segment(1, 5)
    proxy.add(fault.stall, times=None)
    began = time.monotonic()
    process = walship.start("push", f"pg_wal/{name}", cwd=datadir.path)
    wait_until(lambda: proxy.count("PUT"), "a push is under way")
    time.sleep(1)
    say_that_it_stops(datadir)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 4 and b"stalled" in err, err
    assert time.monotonic() - began < 6 and proxy.count("PUT") == 1


def test_a_push_while_the_server_stops_makes_one_attempt(walship, proxy, datadir):
    name = datadir.segment(1, 5)
    say_that_it_stops(datadir)
    proxy.add(fault.answer(503, "SlowDown"), times=None)
    datadir.push(walship, name, 4, says="SlowDown")
    assert proxy.count("PUT") == 1, proxy.log()


def test_a_fast_shutdown_with_a_store_that_answers_archives_all_that_waits(server, walship, store, proxy):
    walship.configure(push_deadline="1s")
    server.write_rows(100)
    server.switch_and_archive()
    proxy.down()
    for _ in range(5):
        server.write_rows(100)
        server.switch_wal()
    names = sorted(path.stem for path in (server.pgdata / "pg_wal/archive_status").glob("*.ready"))
    assert len(names) == 5
    server.write_rows(100)
    names.append(server.current_segment())  # the checkpoint of the shutdown ends it
    prefix = f"{server.system_identifier()}/wal/00000001"
    proxy.up()
    server.stop(timeout=50)
    assert not list((server.pgdata / "pg_wal/archive_status").glob("*.ready"))
    for name in names:
        assert store.exists(f"{prefix}/{name}.tar"), name

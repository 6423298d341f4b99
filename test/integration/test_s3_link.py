"""Slow links, and silence: what moves may take its time, what does not is given up."""
import os

import pytest

from walship_testing import slowlink
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

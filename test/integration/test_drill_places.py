"""drill from each kind of store, with tablespaces, kept: where things go, and what the store sees of it."""
import contextlib
import json
import re
import shlex
import subprocess

import psycopg2

from walship_testing import server as pg
from walship_testing.recovery import take_backup


def test_a_kept_drill_with_tablespaces(servers, walship, store, directory):
    scratch = directory / "scratch"
    live = directory / "space"
    live.mkdir()
    later = directory / "later"
    later.mkdir()
    server = servers.new()
    server.archive_with(walship)
    server.start()
    server.sql(f"CREATE TABLESPACE space LOCATION '{live}'")
    server.sql("CREATE TABLE there TABLESPACE space AS SELECT generate_series(1, 1000) i")
    take_backup(walship, server)
    server.sql(f"CREATE TABLESPACE later LOCATION '{later}'")
    server.sql("CREATE TABLE here TABLESPACE later AS SELECT generate_series(1, 10) i")
    server.switch_and_archive()
    before = {path: path.stat().st_mtime_ns for place in (live, later) for path in place.rglob("*")}
    keys = set(store.keys(""))
    walship.configure(drill_scratch=scratch, pg_bindir=pg.find_install(pg.default_major()).bindir)

    made = walship.ok("drill", "--keep", "--json", timeout=50)
    assert json.loads(made.out)["passed"] is True
    assert all("/proof/" in key for key in set(store.keys("")) - keys), "and its lease has ended"
    (kept,) = scratch.glob("drill-*")
    spaces = sorted(path.name for path in (kept / "tablespaces").iterdir())
    assert len(spaces) == 2

    # The next one leaves it alone.
    walship.fails(9, "drill", "--target-name", "nowhere", timeout=50)
    sockets = re.search(r"it runs: psql -h (\S+) -U postgres postgres", made.err).group(1)
    with contextlib.closing(psycopg2.connect(host=sockets, user="postgres", dbname="postgres")) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT (SELECT count(*) FROM there), (SELECT count(*) FROM here)")
            assert cursor.fetchall() == [(1000, 10)]

    end = re.search(r"to end it: walship (recover --stop --remove --pgdata \S+) && (rm -rf \S+)", made.err)
    walship.ok(*shlex.split(end.group(1)), timeout=50)
    subprocess.run(shlex.split(end.group(2)), check=True)
    assert list(scratch.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for place in (live, later) for path in place.rglob("*")} == before

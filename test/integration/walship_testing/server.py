"""Real PostgreSQL servers, 13 to 18: made fast from cached templates, and taken down whatever happens."""
import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from . import wal
from .proc import children_of, clean_environment, is_running, locked, run, run_ok, wait_until

MAJORS = (13, 14, 15, 16, 17, 18)
DISTRIBUTION = Path("/usr/lib/postgresql")
CACHES = (
    Path("/opt/walship-pg"),
    Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "walship-pg",
)  # filled by test/install
STATEMENT_TIMEOUT = 20000  # ms; a test that waits for a lock says where


@dataclass(frozen=True)
class Install:
    major: int
    bindir: Path

    def program(self, name):
        """Of this major, else the distribution's client; None when there is none."""
        for directory in (self.bindir, client_bindir()):
            if directory and (directory / name).is_file():
                return directory / name
        return None


def find_install(major):
    """None when this machine has no server of this major."""
    for directory in (DISTRIBUTION / str(major) / "bin", *(cache / str(major) / "bin" for cache in CACHES)):
        if os.access(directory / "postgres", os.X_OK) and os.access(directory / "initdb", os.X_OK):
            return Install(major, directory)
    return None


def distribution_majors():
    if not DISTRIBUTION.is_dir():
        return []
    return sorted(int(entry.name) for entry in DISTRIBUTION.iterdir() if (entry / "bin/postgres").is_file())


def default_major():
    """The distribution's newest, with all its tools; that is the major that every test runs on."""
    majors = [major for major in distribution_majors() if major in MAJORS]
    if majors:
        return majors[-1]
    return next((major for major in MAJORS if find_install(major)), None)


def client_bindir():
    majors = distribution_majors()
    return DISTRIBUTION / str(majors[-1]) / "bin" if majors else None


class ServerFailed(AssertionError):
    pass


class Server:
    """A data directory and the postmaster that runs in it, reached through a Unix socket only."""

    BASE_SETTINGS = {
        "listen_addresses": "",
        "port": 5432,
        "fsync": "off",
        "shared_buffers": "16MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "logging_collector": "off",
        "max_wal_senders": 8,
        "wal_level": "replica",
        "archive_mode": "off",
        "wal_retrieve_retry_interval": "200ms",
    }

    def __init__(self, install, pgdata, sockets):
        self.install = install
        self.pgdata = Path(pgdata)
        self.sockets = Path(sockets)
        self.log = self.pgdata.parent / f"{self.pgdata.name}.log"
        self.settings = {**self.BASE_SETTINGS, "unix_socket_directories": self.sockets}
        self.mode = 0o700  # of the data directory, for start()
        self.process = None

    @property
    def major(self):
        return self.install.major

    @property
    def conninfo(self):
        return f"host={self.sockets} port=5432 user=postgres dbname=postgres"

    @property
    def pg_environment(self):
        """For libpq programs."""
        return {"PGHOST": str(self.sockets), "PGPORT": "5432", "PGUSER": "postgres", "PGDATABASE": "postgres"}

    # Settings

    def configure(self, **settings):
        """Written at once; None takes a setting out.  A running server needs reload() or a restart."""
        self.settings.update(settings)
        lines = [
            f"{name} = '{quote_setting(value)}'\n" for name, value in self.settings.items() if value is not None
        ]
        (self.pgdata / "test.conf").write_text("".join(lines))
        (self.pgdata / "test.conf").chmod(0o600)  # as initdb makes its files
        main = self.pgdata / "postgresql.conf"
        if "include 'test.conf'" not in main.read_text():
            with open(main, "a") as file:
                file.write("\ninclude 'test.conf'\n")

    def archive_with(self, walship, mode="on"):
        self.configure(archive_mode=mode, archive_command=walship.archive_command())

    def signal_file(self, name, **settings):
        """recovery.signal or standby.signal, and what goes with it."""
        self.configure(**settings)
        (self.pgdata / name).touch()

    def reload(self):
        os.kill(self.process.pid, signal.SIGHUP)

    # Life

    def start(self, *, wait=True, timeout=20):
        """wait=False returns at once: for a recovery that may fail, stop by itself or take its time."""
        assert self.process is None, "already started"
        self.configure()
        self.pgdata.chmod(self.mode)
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [str(self.install.bindir / "postgres"), "-D", str(self.pgdata)],
                cwd="/",
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_ready(timeout=timeout)
        return self

    def wait_ready(self, *, timeout=20):
        def ready():
            if self.process.poll() is not None:
                raise ServerFailed(f"server exited with {self.process.returncode}:\n{self.log_tail()}")
            with contextlib.suppress(psycopg2.OperationalError):
                return self.value("SELECT true")
            return False

        try:
            wait_until(ready, "server accepts connections", timeout=timeout)
        except ServerFailed:
            self.process = None
            raise
        except AssertionError as error:
            raise ServerFailed(f"{error}\n{self.log_tail()}") from None

    def wait_exit(self, *, timeout=20):
        """Waits for the server to stop by itself; returns its exit status."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"server still runs after {timeout} s:\n{self.log_tail()}") from None
        self.process = None
        return status

    def wait_promoted(self, *, timeout=20):
        wait_until(lambda: not self.value("SELECT pg_is_in_recovery()"), "recovery has ended", timeout=timeout)

    def wait_paused(self, *, timeout=20):
        """Recovery reached its target, with action pause."""
        self.wait_ready(timeout=timeout)
        column = "pg_is_wal_replay_paused()" if self.major < 14 else "pg_get_wal_replay_pause_state() = 'paused'"
        wait_until(lambda: self.value(f"SELECT {column}"), "recovery is paused", timeout=timeout)

    def stop(self, mode="fast", *, timeout=20):
        if self.process is None:
            return
        how = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        self.process.send_signal(how)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"no {mode} shutdown within {timeout} s:\n{self.log_tail()}") from None
        self.process = None

    def restart(self, mode="fast"):
        self.stop(mode)
        return self.start()

    def kill(self):
        """As when the machine loses power: kill -9, everything at once."""
        if self.process is None:
            return
        pids = children_of(self.process.pid)
        shared_memory = self.shared_memory_id()
        self.process.kill()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        self.process = None
        wait_until(lambda: not any(is_running(pid) for pid in pids), "killed processes are gone")
        if shared_memory is not None:
            run(["ipcrm", "--shmem-id", shared_memory])

    def shared_memory_id(self):
        """
        Of the segment that guards the data directory, which outlives a killed postmaster as it would not a loss of
        power; the kernel has only so many (PostgreSQL: pidfile.h, line 7: key and id).
        """
        with contextlib.suppress(OSError, IndexError):
            return (self.pgdata / "postmaster.pid").read_text().splitlines()[6].split()[1]
        return None

    def destroy(self):
        """The disaster: no server, no data directory."""
        self.kill()
        shutil.rmtree(self.pgdata)

    def promote(self):
        assert self.value("SELECT pg_promote(true, 20)")
        self.wait_promoted()
        return self.timeline()

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines=25):
        return "\n".join(self.log_text().splitlines()[-lines:])

    # SQL

    def connect(self, database="postgres"):
        connection = psycopg2.connect(
            host=str(self.sockets),
            port=5432,
            user="postgres",
            dbname=database,
            connect_timeout=10,
            options=f"-c statement_timeout={STATEMENT_TIMEOUT}",
        )
        connection.autocommit = True
        return connection

    def sql(self, query, *arguments, database="postgres"):
        """The rows; [] for a statement that has none."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(query, arguments or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, query, *arguments, database="postgres"):
        return self.sql(query, *arguments, database=database)[0][0]

    def now(self):
        """The server's clock, with microseconds and zone."""
        return self.value("SELECT clock_timestamp()::text")

    def timeline(self):
        """Of what is being written now."""
        return int(self.value("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"), 16)

    def system_identifier(self):
        return int.from_bytes((self.pgdata / "global/pg_control").read_bytes()[:8], "little")

    def segment_size(self):
        return int(self.value("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'"))

    def write_rows(self, n=1000, table="rows"):
        self.sql(f"CREATE TABLE IF NOT EXISTS {table} (id bigserial, filling text, made timestamptz DEFAULT now())")
        self.sql(
            f"INSERT INTO {table} (filling) SELECT md5(i::text) || repeat('x', 100) FROM generate_series(1, %s) i", n
        )

    def checksums(self):
        """{database.schema.table: md5 over its ordered rows} of every table of the users."""
        found = {}
        for (database,) in self.sql("SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"):
            for schema, table in self.sql(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN "
                "('pg_catalog', 'information_schema')",
                database=database,
            ):
                found[f"{database}.{schema}.{table}"] = self.value(
                    f"""SELECT count(*) || ':' || coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '')
                        FROM "{schema}"."{table}" t""",
                    database=database,
                )
        return found

    def amcheck(self):
        """False when there is no pg_amcheck on this machine; fails when it finds anything."""
        program = self.install.program("pg_amcheck")
        if program is None:
            return False
        run_ok([program, "--all", "--install-missing", "--heapallindexed"], env=self.pg_environment, timeout=60)
        return True

    def psql(self, text, *, timeout=30):
        return run_ok(
            [self.install.program("psql"), "-X", "-At", "-v", "ON_ERROR_STOP=1", "-c", text],
            env=self.pg_environment,
            timeout=timeout,
        ).out

    def pgbench_init(self, scale=1):
        run_ok([self.install.program("pgbench"), "-i", "-q", "-s", scale], env=self.pg_environment, timeout=60)

    @contextlib.contextmanager
    def pgbench_running(self, clients=2):
        """Transactions all the while; the table set of pgbench_init() must be there."""
        bench = subprocess.Popen(
            [str(self.install.program("pgbench")), "-n", "-c", str(clients), "-T", "600", "-M", "prepared"],
            env=clean_environment(**self.pg_environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            before = self.value("SELECT count(*) FROM pgbench_history")
            wait_until(lambda: self.value("SELECT count(*) FROM pgbench_history") > before, "pgbench is running")
            yield
            assert bench.poll() is None, "pgbench has ended early"
        finally:
            bench.kill()
            bench.wait(10)

    # WAL

    def switch_wal(self):
        """Completes the current segment, though nothing may have happened in it; returns its name."""
        self.sql("SELECT pg_logical_emit_message(false, 'test', 'something happens')")
        name = self.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
        self.sql("SELECT pg_switch_wal()")
        return name

    def is_archived(self, name):
        status = self.pgdata / "pg_wal/archive_status"
        if (status / f"{name}.ready").exists():
            return False
        return (status / f"{name}.done").exists() or not (self.pgdata / "pg_wal" / name).exists()

    def wait_archived(self, name, *, timeout=20):
        try:
            wait_until(lambda: self.is_archived(name), f"{name} is archived", timeout=timeout)
        except AssertionError as error:
            raise ServerFailed(f"{error}\n{self.log_tail()}") from None

    def switch_and_archive(self, *, timeout=20):
        name = self.switch_wal()
        self.wait_archived(name, timeout=timeout)
        return name

    def current_segment(self):
        return self.value("SELECT pg_walfile_name(pg_current_wal_lsn())")

    def current_insert_segment(self):
        return self.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")

    def wal_end(self, name):
        """End of the last record in the segment, by pg_waldump."""
        dump = run([self.install.program("pg_waldump"), self.pgdata / "pg_wal" / name])
        last = dump.out.splitlines()[-1]
        length = int(last.split("len (rec/tot):")[1].split(",")[0].split("/")[1])
        start = wal.parse_lsn(last.split("lsn: ")[1].split(",")[0])
        assert start // 8192 == (start + length - 1) // 8192, "the last record crosses a page; choose another"
        return (start + length + 7) // 8 * 8

    # Copies

    def copy_to(self, other):
        """A base backup taken by hand, with the SQL functions: works on every major."""
        begin, end = (
            ("pg_backup_start('copy', true)", "pg_backup_stop(false)")
            if self.major >= 15
            else ("pg_start_backup('copy', true, false)", "pg_stop_backup(false, false)")
        )
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT {begin}")
            shutil.copytree(
                self.pgdata,
                other.pgdata,
                symlinks=True,
                dirs_exist_ok=True,
                ignore=lambda folder, names: ignored_in_copy(Path(folder).relative_to(self.pgdata), names),
                copy_function=copy_if_there,
            )
            cursor.execute(f"SELECT labelfile FROM {end}")
            (other.pgdata / "backup_label").write_text(cursor.fetchone()[0])
        for name in ("pg_wal/archive_status", "pg_replslot"):
            (other.pgdata / name).mkdir(parents=True, exist_ok=True)
        other.configure()
        return other

    def follow(self, primary, **settings):
        """Makes this copy a streaming standby."""
        self.signal_file("standby.signal", primary_conninfo=primary.conninfo, hot_standby="on", **settings)
        return self

    def wait_replayed(self, primary, *, timeout=20):
        lsn = primary.value("SELECT pg_current_wal_flush_lsn()::text")
        wait_until(
            lambda: self.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", lsn),
            f"standby has replayed {lsn}",
            timeout=timeout,
        )


def quote_setting(value):
    return str(value).replace("'", "''")


def ignored_in_copy(folder, names):
    if folder in (Path("pg_wal"), Path("pg_replslot"), Path("pg_wal/archive_status")):
        return names
    return [name for name in names if name in ("postmaster.pid", "postmaster.opts") or name.startswith("pgsql_tmp")]


def copy_if_there(source, target):
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(source, target)


class ServerFactory:
    """Makes servers below one directory; close() takes them all down."""

    def __init__(self, directory, cache):
        self.directory = directory
        self.cache = cache
        self.servers = []
        self.sockets = []

    def new(self, *, major=None, name=None, segment_size=16, checksums=True, fresh=False, **settings):
        """Not started.  Servers of one template share its system identifier, unless "fresh"."""
        server = self.empty(major=major, name=name)
        copy_tree(self.template(server.install, segment_size, checksums, fresh), server.pgdata)
        server.configure(**settings)
        return server

    def empty(self, *, major=None, name=None):
        """A server whose data directory is yet to come."""
        major = major or default_major()
        install = find_install(major)
        assert install, f"no PostgreSQL {major} on this machine"
        sockets = Path("/tmp") / f"ws{os.getpid()}-{len(self.sockets)}-{time.monotonic_ns() % 10**6}"  # <= 107 bytes
        sockets.mkdir(mode=0o700)
        self.sockets.append(sockets)
        server = Server(install, self.directory / (name or f"pg{len(self.servers) + 1}"), sockets)
        self.servers.append(server)
        return server

    def standby_of(self, primary, *, name=None, **settings):
        """Not started."""
        standby = primary.copy_to(self.empty(major=primary.major, name=name))
        return standby.follow(primary, **{"archive_mode": "off", **settings})

    def template(self, install, segment_size, checksums, fresh):
        if fresh:
            target = self.directory / f"initdb{len(self.servers)}"
            initdb(install, target, segment_size, checksums)
            return target
        target = self.cache / f"initdb-{install.major}-{segment_size}-{'k' if checksums else 'n'}"
        with locked(f"{target}.lock"):
            if not target.exists():
                unfinished = Path(f"{target}.unfinished")
                initdb(install, unfinished, segment_size, checksums)
                unfinished.rename(target)
        return target

    def close(self):
        for server in self.servers:
            server.kill()
        for sockets in self.sockets:
            shutil.rmtree(sockets, ignore_errors=True)


def initdb(install, target, segment_size, checksums):
    command = [install.bindir / "initdb", "-D", target, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    command += ["--locale=C", "--no-sync", f"--wal-segsize={segment_size}"]
    if checksums:
        command.append("--data-checksums")
    elif install.major >= 18:
        command.append("--no-data-checksums")
    result = run(command, timeout=60)
    assert result.rc == 0, str(result)


def copy_tree(source, target):
    run_ok(["cp", "-a", "--reflink=auto", "--sparse=always", source, target])


@contextlib.contextmanager
def written_to(server, table, writers=4):
    """Small transactions all the while."""
    ended = threading.Event()

    def write():
        with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
            while not ended.is_set():
                cursor.execute(f"INSERT INTO {table} VALUES (1)")

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: server.value(f"SELECT count(*) FROM {table}") > 100, "they write")
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()

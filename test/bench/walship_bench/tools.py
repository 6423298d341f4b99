"""Walship and its peers, each configured as well as its users could, in one form."""
import shlex
import shutil
from pathlib import Path

from walship_testing.proc import run_ok
from walship_testing.walship import Walship, binary

STANZA = "bench"


def section(name, lines):
    return f"[{name}]\n" + "".join(f"{option}={value}\n" for option, value in lines.items())


class Tool:
    """A configuration of a program.  at() binds it to a place; then it has commands."""

    label = None
    settings = ""  # what was set and is not the default
    processes = ()  # what its processes are called
    kinds = ("directory", "s3")
    tls = True
    is_ours = False
    is_slow = False  # so much that it gets fewer segments

    def __str__(self):
        return self.label

    def available(self):
        return True

    def at(self, place, work, *, pgdata=None, server=None):
        """"work": a directory for its files; "server": the running one that it backs up."""
        work.mkdir(parents=True, exist_ok=True)
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__)
        bound.place, bound.work, bound.pgdata, bound.server = place, work, pgdata, server
        bound.env = {}
        bound.prepare()
        return bound

    def prepare(self):
        raise NotImplementedError

    def push(self, path):
        """As a line for a shell."""
        raise NotImplementedError

    def fetch(self, name, target):
        raise NotImplementedError

    def shell(self, *words):
        return shlex.join(map(str, words))

    def archive_command(self):
        return self.push("PATH").replace("%", "%%").replace("PATH", "%p")

    def restore_command(self):
        return self.fetch("NAME", "TARGET").replace("%", "%%").replace("NAME", "%f").replace("TARGET", "%p")


class WalshipTool(Tool):
    is_ours = True
    processes = ("walship",)

    def __init__(self, codec, *, tls=True, **more):
        self.codec = codec
        self.tls = tls
        self.more = more
        self.label = f"walship {codec}" + ("" if tls else ", HTTP")
        self.settings = f"compression = {codec}; all else is the default"

    def prepare(self):
        settings = {"compression": self.codec, **self.more}
        if self.place.kind == "directory":
            settings["store"] = f"file://{self.place.directory}"
        else:
            settings.update(
                store=f"s3://{self.place.bucket}/archive",
                s3_endpoint=self.place.endpoint,
                s3_region=self.place.server.region,
                s3_access_key_id=self.place.server.access_key,
                s3_secret_access_key=self.place.server.secret_key,
                s3_ca_file=self.place.server.ca_file if self.place.tls else None,
            )
        self.walship = Walship(self.work, settings)
        if self.place.kind == "directory":
            self.walship.ok("check", "--create")
        if self.server:
            self.env = self.server.pg_environment

    def push(self, path):
        return self.walship.for_shell("push").replace("%%", "%") + f" {path}"

    def fetch(self, name, target):
        return self.walship.for_shell("fetch").replace("%%", "%") + f" {name} {target}"

    def backup(self):
        return self.walship.command("backup", "--fast")

    def restore(self, target):
        return self.walship.command("recover", "--copy", "--from-backup-only", "--pgdata", target)

    BACKUPS = "/base/"

    def version(self):
        return run_ok([binary(), "--version"]).out.split()[-1]


class PgBackRest(Tool):
    processes = ("pgbackrest",)

    def __init__(self, n_processes=1, *, is_async=False):
        self.n_processes = n_processes
        self.is_async = is_async
        mode = "async" if is_async else "sync"
        self.label = f"pgBackRest {mode} x{n_processes}"
        self.settings = (
            f"compress-type=zst, compress-level=3, process-max={n_processes}, archive-async={'ny'[is_async]}, "
            "archive-get-queue-max=1GiB, repo1-bundle=y, start-fast=y, archive-check=n, log-level-file=off, "
            "repo1-storage-verify-tls=n"
        )

    def available(self):
        return shutil.which("pgbackrest") is not None

    def prepare(self):
        lines = {
            "repo1-path": "/archive",
            "repo1-bundle": "y",
            "repo1-retention-full": 9,
            "compress-type": "zst",
            "compress-level": 3,
            "process-max": self.n_processes,
            "archive-async": "ny"[self.is_async],
            "archive-get-queue-max": "1GiB",
            "archive-check": "n",
            "start-fast": "y",
            "log-level-file": "off",
            "log-level-console": "warn",
            "log-level-stderr": "off",
            "spool-path": self.made("spool"),
            "lock-path": self.made("lock"),
            "log-path": self.made("log"),
        }
        if self.place.kind == "directory":
            lines["repo1-path"] = self.place.directory
        else:
            assert self.place.tls, "pgBackRest has no S3 without TLS"
            lines.update(
                {
                    "repo1-type": "s3",
                    "repo1-s3-bucket": self.place.bucket,
                    "repo1-s3-endpoint": self.place.server.domain,
                    "repo1-storage-host": "127.0.0.1",
                    "repo1-storage-port": self.place.port,
                    "repo1-storage-verify-tls": "n",
                    "repo1-s3-uri-style": "path",
                    "repo1-s3-region": self.place.server.region,
                    "repo1-s3-key": self.place.server.access_key,
                    "repo1-s3-key-secret": self.place.server.secret_key,
                }
            )
        cluster = {"pg1-path": self.pgdata}
        if self.server:
            cluster.update({"pg1-socket-path": self.server.sockets, "pg1-port": 5432, "pg1-user": "postgres"})
        self.config = self.work / "pgbackrest.conf"
        self.config.write_text(section("global", lines) + section(STANZA, cluster))
        online = [] if self.server else ["--no-online"]
        run_ok([*self.command(), "stanza-create", *online], timeout=60)

    def made(self, name):
        place = self.work / name
        place.mkdir(exist_ok=True)
        return place

    def command(self):
        return ["pgbackrest", f"--config={self.config}", f"--stanza={STANZA}"]

    def push(self, path):
        return self.shell(*self.command(), "archive-push", path)

    def fetch(self, name, target):
        return self.shell(*self.command(), "archive-get", name, target)

    def backup(self):
        return [*self.command(), "--type=full", "backup"]

    def restore(self, target):
        return [*self.command(), f"--pg1-path={target}", "--type=immediate", "restore"]

    BACKUPS = "/backup/"

    def version(self):
        return run_ok(["pgbackrest", "version"]).out.split()[-1]


class BarmanCloud(Tool):
    label = "barman-cloud"
    processes = ("barman-cloud",)
    kinds = ("s3",)
    is_slow = True
    settings = "--gzip (--snappy does not work with Debian's python3-snappy), --jobs 2, --immediate-checkpoint"

    def available(self):
        return shutil.which("barman-cloud-wal-archive") is not None

    def prepare(self):
        self.env = {
            "AWS_ACCESS_KEY_ID": self.place.server.access_key,
            "AWS_SECRET_ACCESS_KEY": self.place.server.secret_key,
            "AWS_DEFAULT_REGION": self.place.server.region,
            "AWS_CA_BUNDLE": str(self.place.server.ca_file),
        }

    def words(self, program, *arguments):
        return [program, "--endpoint-url", self.place.endpoint, *arguments, f"s3://{self.place.bucket}/archive", STANZA]

    def line(self, *words):
        """The archiver's environment is the server's: credentials are part of the command."""
        return self.shell("env", *(f"{name}={value}" for name, value in self.env.items()), *words)

    def push(self, path):
        return self.line(*self.words("barman-cloud-wal-archive", "--gzip"), path)

    def fetch(self, name, target):
        return self.line(*self.words("barman-cloud-wal-restore"), name, target)

    def backup(self):
        options = ["--gzip", "--jobs", "2", "--immediate-checkpoint", "--host", str(self.server.sockets)]
        return self.words("barman-cloud-backup", *options, "--port", "5432", "--user", "postgres")

    def restore(self, target):
        listed = run_ok(self.words("barman-cloud-backup-list", "--format", "json"), env=self.env, timeout=60).out
        backup = listed.partition('"backup_id": "')[2].partition('"')[0]
        assert backup, listed
        return [*self.words("barman-cloud-restore"), backup, target]

    BACKUPS = "/base/"

    def version(self):
        return run_ok(["barman-cloud-wal-archive", "--version"]).out.split()[-1]


class WalG(Tool):
    """Not in Debian: measured where it is in PATH."""

    label = "WAL-G"
    processes = ("wal-g",)
    settings = "WALG_COMPRESSION_METHOD=zstd, WALG_UPLOAD_CONCURRENCY=16 (default), WALG_UPLOAD_DISK_CONCURRENCY=2"

    def available(self):
        return shutil.which("wal-g") is not None

    def prepare(self):
        self.env = {"WALG_COMPRESSION_METHOD": "zstd", "WALG_UPLOAD_DISK_CONCURRENCY": "2", "PGDATA": str(self.pgdata)}
        if self.place.kind == "directory":
            self.env["WALG_FILE_PREFIX"] = str(self.place.directory)
        else:
            self.env.update(
                WALG_S3_PREFIX=f"s3://{self.place.bucket}/archive",
                AWS_ENDPOINT=self.place.endpoint,
                AWS_S3_FORCE_PATH_STYLE="true",
                AWS_REGION=self.place.server.region,
                AWS_ACCESS_KEY_ID=self.place.server.access_key,
                AWS_SECRET_ACCESS_KEY=self.place.server.secret_key,
                WALG_S3_CA_CERT_FILE=str(self.place.server.ca_file),
            )
        if self.server:
            self.env.update(self.server.pg_environment)

    def line(self, *words):
        return self.shell("env", *(f"{name}={value}" for name, value in self.env.items()), "wal-g", *words)

    def push(self, path):
        return self.line("wal-push", path)

    def fetch(self, name, target):
        return self.line("wal-fetch", name, target)

    def backup(self):
        return ["wal-g", "backup-push", str(self.pgdata)]

    def restore(self, target):
        return ["wal-g", "backup-fetch", target, "LATEST"]

    BACKUPS = "/basebackups_"

    def version(self):
        return run_ok(["wal-g", "--version"]).out.strip()


BROTLI, ZSTD, BROTLI_HTTP = WalshipTool("brotli"), WalshipTool("zstd"), WalshipTool("brotli", tls=False)
OURS = (BROTLI, ZSTD)


def peers(*configurations):
    """Those that are here."""
    return [each for each in configurations if each.available()]


def place_for(tool, stores, kind, rtt=0):
    """"kind": directory, s3 or sink."""
    if kind == "directory":
        return stores.in_directory()
    make = stores.on_s3 if kind == "s3" else stores.in_sink
    return make(tls=tool.tls, rtt=rtt)


def copy_of_control(pgdata, target):
    """What tools read of a data directory, without its data."""
    for name in ("global/pg_control", "PG_VERSION"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(pgdata) / name, target / name)

"""The peers, each configured as well as its users could, from what its documentation says; none is built here.

    pgbackrest    https://pgbackrest.org/configuration.html
    wal-g         https://github.com/wal-g/wal-g: docs/PostgreSQL.md, docs/STORAGES.md
    wal-rus       https://github.com/ClickHouse/wal-rus: docs/WALG_COMPAT.md, the head of src/config/mod.rs
    barman-cloud  https://docs.pgbarman.org: barman-cloud
"""
import functools
import json
import re

from .measure import Failed, run_measured
from .tools import Tool, find_program

STANZA = "bench"
PREPARATION_PATIENCE = 20  # seconds for what takes none


def output_of(*words):
    """What the program prints about itself, or how it fails; it is asked once."""
    text, error = ask(*words)
    if error:
        raise error
    return text


@functools.cache
def ask(*words):
    try:
        return run_measured(words, timeout=PREPARATION_PATIENCE).out, None
    except Failed as error:
        return None, error


def section(name, lines):
    return f"[{name}]\n" + "".join(f"{option}={value}\n" for option, value in lines.items())


class Peer(Tool):
    programs = ()  # names that it may have in PATH

    @classmethod
    def program(cls):
        return find_program(*cls.programs)

    def version(self):
        return output_of(*self.version_words()).strip()


class PgBackRest(Peer):
    name = "pgbackrest"
    programs = ("pgbackrest",)
    processes = ("pgbackrest",)
    BACKUPS = "/backup/"
    LEVELS = {"zst": 3, "lz4": 1}  # the defaults
    HTTP_SINCE = (2, 58)  # release notes of 2.58.0

    def __init__(self, codec="zst", n_processes=1, *, is_async=False, tls=True):
        self.codec = codec
        self.n_processes = n_processes
        self.is_async = is_async
        self.tls = tls
        self.is_minor = codec == "lz4" or not tls
        mode = "async" if is_async else "sync"
        self.label = f"pgBackRest {codec}, {mode} x{n_processes}" + ("" if tls else ", HTTP")
        self.settings = (
            f"compress-type={codec}, compress-level={self.LEVELS[codec]}, process-max={n_processes}, "
            f"archive-async={'ny'[is_async]}, archive-get-queue-max=1GiB, repo1-bundle=y, start-fast=y, archive-check=n, "
            "log-level-file=off, repo1-storage-verify-tls=n"
        )

    @property
    def archive(self):
        return f"pgBackRest {self.codec}"

    def with_processes(self, n):
        return PgBackRest(self.codec, n, is_async=self.is_async, tls=self.tls)

    def with_codec(self, codec):
        return PgBackRest(codec, self.n_processes, is_async=self.is_async, tls=self.tls)

    def available(self):
        return super().available() and (self.tls or self.release() >= self.HTTP_SINCE)

    def release(self):
        """(major, minor); (0, 0) when it does not say."""
        try:
            numbers = re.search(r"(\d+)\.(\d+)", self.version())
        except Failed:  # which the report says
            numbers = None
        return tuple(map(int, numbers.groups())) if numbers else (0, 0)

    def prepare(self):
        lines = {
            "repo1-path": self.place.directory or "/archive",
            "repo1-bundle": "y",
            "repo1-retention-full": 9,
            "compress-type": self.codec,
            "compress-level": self.LEVELS[self.codec],
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
        if self.place.kind == "s3":
            scheme = "" if self.place.tls else "http://"  # without one it is HTTPS
            lines.update(
                {
                    "repo1-type": "s3",
                    "repo1-s3-bucket": self.place.bucket,
                    "repo1-s3-endpoint": f"{scheme}{self.place.server.domain}",
                    "repo1-storage-host": f"{scheme}127.0.0.1",
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
        self.config.touch(mode=0o600)
        self.config.write_text(section("global", lines) + section(STANZA, cluster))
        online = [] if self.server else ["--no-online"]
        run_measured([*self.words(), "stanza-create", *online], timeout=PREPARATION_PATIENCE)

    def made(self, name):
        place = self.work / name
        place.mkdir(exist_ok=True)
        return place

    def words(self, *more):
        return [self.program(), f"--config={self.config}", f"--stanza={STANZA}", *more]

    def push_words(self):
        return self.words("archive-push")

    def fetch_words(self):
        return self.words("archive-get")

    def backup(self):
        return self.line(*self.words("--type=full", "backup"))

    def restore(self, target):
        return self.line(*self.words(f"--pg1-path={target}", "--type=immediate", "restore"))

    def version_words(self):
        return [self.program(), "version"]


class WalG(Peer):
    """Its own settings are the environment's."""

    name = "wal-g"
    title = "WAL-G"
    programs = ("wal-g",)
    processes = ("wal-g",)
    BACKUPS = "/basebackups_"

    def __init__(self, codec="lz4", *, level=None, **more):
        """"more": further settings, without their prefix: PREVENT_WAL_OVERWRITE (walship and pgBackRest never
        overwrite, WAL-G does by default), READY_RENAME (the archiver is spared calls)."""
        self.codec = codec
        self.is_minor = codec == "brotli" or "PREVENT_WAL_OVERWRITE" in more
        self.level = level
        self.more = {("PG_" if name == "READY_RENAME" else "WALG_") + name: value for name, value in more.items()}
        self.label = f"{self.title} {codec}" + (f" {level}" if level else "") + "".join(f", {name}" for name in self.more)
        self.settings = ", ".join(f"{name}={value}" for name, value in self.set_ones().items())

    def set_ones(self):
        # One reader of the disk is its default, and there are more cores than one.
        return {"WALG_COMPRESSION_METHOD": self.codec, "WALG_UPLOAD_DISK_CONCURRENCY": 2, **self.more}

    def prepare(self):
        variables = {**self.set_ones(), "PGDATA": self.pgdata}
        if self.place.kind == "directory":
            variables["WALG_FILE_PREFIX"] = self.place.directory
        else:
            variables.update(
                WALG_S3_PREFIX=f"s3://{self.place.bucket}/archive",
                AWS_ENDPOINT=self.place.endpoint,
                AWS_S3_FORCE_PATH_STYLE="true",
                AWS_REGION=self.place.server.region,
                AWS_ACCESS_KEY_ID=self.place.server.access_key,
                AWS_SECRET_ACCESS_KEY=self.place.server.secret_key,
                **self.certificates(),
            )
        if self.server:
            variables.update(self.server.pg_environment)
        self.set_environment(variables)

    def certificates(self):
        return {"WALG_S3_CA_CERT_FILE": self.place.server.ca_file}

    def push_words(self):
        return [self.program(), "wal-push"]

    def fetch_words(self):
        return [self.program(), "wal-fetch"]

    def backup(self):
        return self.line(self.program(), "backup-push", self.pgdata)

    def restore(self, target):
        return self.line(self.program(), "backup-fetch", target, "LATEST")


class WalRus(WalG):
    """WAL-G's settings and commands, but for those that it names as not supported.  Its zstd is level 1 by default, which
    stores more than all others' (src/config/mod.rs)."""

    name = "wal-rus"
    title = "wal-rus"
    programs = ("walrus", "wal-rus")
    processes = ("walrus", "wal-rus")

    def __init__(self, codec="lz4", *, level=None, **more):
        super().__init__(codec, level=level, **more)
        self.is_minor = codec == "zstd" and not level

    def set_ones(self):
        level = {"WALG_COMPRESSION_LEVEL": self.level} if self.level else {}
        return {"WALG_COMPRESSION_METHOD": self.codec, **level, **self.more}

    def certificates(self):
        """Not WAL-G's (docs/WALG_COMPAT.md): it asks rustls-native-certs, whose documentation names this one."""
        return {"SSL_CERT_FILE": self.place.server.ca_file}


class BarmanCloud(Peer):
    name = "barman-cloud"
    programs = ("barman-cloud-wal-archive",)
    processes = ("barman-cloud",)
    is_slow = True
    BACKUPS = "/base/"
    CODECS = ("zstd", "lz4")  # of newer ones; gzip is for those that have neither

    def __init__(self, codec, *, backs_up=False):
        """"backs_up": it is measured with base backups, which have other codecs than WAL."""
        self.codec = codec
        self.backs_up = backs_up
        self.label = f"barman-cloud {codec}"
        self.settings = f"--{codec}, --jobs 2, --immediate-checkpoint, AWS_{{REQUEST,RESPONSE}}_CHECKSUM_...=when_required"

    def available(self):
        if not all(map(self.program_for, ("wal-archive", "wal-restore", "backup", "backup-list", "restore"))):
            return False
        offered = [codec for codec in self.CODECS if f"--{codec}" in self.help()]
        return self.codec in (offered or ["gzip"])

    def program_for(self, verb):
        return find_program(f"barman-cloud-{verb}")

    def help(self):
        """Nothing, when that fails: the first command that is measured will, too."""
        try:
            return output_of(self.program_for("backup" if self.backs_up else "wal-archive"), "--help")
        except Failed:
            return ""

    def prepare(self):
        self.set_environment(
            {
                "AWS_ACCESS_KEY_ID": self.place.server.access_key,
                "AWS_SECRET_ACCESS_KEY": self.place.server.secret_key,
                "AWS_DEFAULT_REGION": self.place.server.region,
                "AWS_CA_BUNDLE": self.place.server.ca_file,
                # boto3 since 1.36 sends checksums that other stores than Amazon's do not know
                # (barman: docs/user_guide/barman_cloud.rst).
                "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
                "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
            }
        )

    def words(self, verb, *options):
        where = ["--endpoint-url", self.place.endpoint]
        return [self.program_for(verb), *where, *options, f"s3://{self.place.bucket}/archive", STANZA]

    def push_words(self):
        return self.words("wal-archive", f"--{self.codec}")

    def fetch_words(self):
        return self.words("wal-restore")

    def backup(self):
        options = [f"--{self.codec}", "--jobs", 2, "--immediate-checkpoint", "--host", self.server.sockets]
        return self.line(*self.words("backup", *options, "--port", 5432, "--user", "postgres"))

    def restore(self, target):
        listing = self.line(*self.words("backup-list", "--format", "json"))
        listed = run_measured(["sh", "-c", listing], timeout=PREPARATION_PATIENCE).out
        try:
            backup = json.loads(listed)["backups_list"][0]["backup_id"]
        except (ValueError, LookupError):
            raise Failed(f"no backup is listed: {listed}") from None
        return self.line(*self.words("restore"), backup, target)

    def version(self):
        return super().version().split()[-1]


PEERS = (PgBackRest, WalG, WalRus, BarmanCloud)
NAMES = tuple(peer.name for peer in PEERS)
SLOW = tuple(peer.name for peer in PEERS if peer.is_slow)

# What takes part in a case.

PGBACKREST, PGBACKREST_LZ4 = PgBackRest(), PgBackRest("lz4")
PGBACKREST_HTTP = PgBackRest(tls=False)
PGBACKREST_ASYNC = PgBackRest(is_async=True)
WALG = tuple(map(WalG, ("lz4", "zstd", "brotli")))
WALG_CAREFUL = WalG("lz4", PREVENT_WAL_OVERWRITE="true")
WALG_RENAMING = WalG("zstd", READY_RENAME="true")
WALRUS = (WalRus("zstd", level=3), WalRus("zstd"), WalRus("lz4"))
BARMAN = tuple(map(BarmanCloud, ("zstd", "lz4", "gzip")))
BARMAN_BACKUPS = tuple(BarmanCloud(codec, backs_up=True) for codec in ("zstd", "lz4", "gzip"))

"""What is measured, in one form: a program with one configuration.  Walship is here, its peers are in peers.py."""
import functools
import os
import shlex
import shutil
from pathlib import Path

from walship_testing.proc import run_ok
from walship_testing.walship import Walship, binary


@functools.cache
def find_program(*names):
    """The absolute path of the first of these that PATH has, else None.  What is measured runs with a PATH that is not
    the caller's, and must not be another program there."""
    found = next(filter(None, map(shutil.which, names)), None)
    return os.path.abspath(found) if found else None


class Tool:
    """A configuration of a program.  at() binds it to a place; then it has commands, which are lines for a shell."""

    name = None  # of the program, as --peers has it
    label = None
    settings = ""  # what was set and is not the default
    processes = ()  # what its processes are called
    tls = True
    is_ours = False
    environment = None  # file, see set_environment()
    is_slow = False  # so much that it gets fewer segments
    is_minor = False  # neither what a peer does by default nor the best that it can do, in any case: not in a short run

    def __str__(self):
        return self.label

    @property
    def archive(self):
        """Tools of one name can read what the others of it have archived."""
        return self.label

    def program(self):
        """Its absolute path; None when it is not in PATH."""
        raise NotImplementedError

    def available(self):
        """The program is here, and has what this configuration asks of it."""
        return self.program() is not None

    def at(self, place, work, *, pgdata=None, server=None):
        """"work": a directory for its files; "server": the running one that it backs up."""
        work.mkdir(parents=True, exist_ok=True)
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__)
        bound.place, bound.work, bound.pgdata, bound.server = place, work, pgdata, server
        bound.prepare()
        return bound

    def prepare(self):
        raise NotImplementedError

    def set_environment(self, variables):
        """For all of its commands.  They read it from a file: a command line is for everyone to see, and env(1) takes
        time.  HOME is a directory of this run's own, as WAL-G notes things there for the next one."""
        self.environment = self.work / "environment"
        self.environment.touch(mode=0o600)
        lines = [f"export {name}={shlex.quote(str(value))}\n" for name, value in {**variables, "HOME": self.work}.items()]
        self.environment.write_text("".join(lines))

    def line(self, *words):
        command = shlex.join(map(str, words))
        return f". {shlex.quote(str(self.environment))} && exec {command}" if self.environment else command

    # The words of push() and fetch() before the paths that the server fills in.

    def push_words(self):
        raise NotImplementedError

    def fetch_words(self):
        raise NotImplementedError

    def push(self, path):
        return self.line(*self.push_words(), path)

    def fetch(self, name, target):
        return self.line(*self.fetch_words(), name, target)

    def archive_command(self):
        return self.line(*self.push_words()).replace("%", "%%") + " %p"

    def restore_command(self):
        return self.line(*self.fetch_words()).replace("%", "%%") + " %f %p"

    def backup(self):
        raise NotImplementedError

    def restore(self, target):
        raise NotImplementedError

    BACKUPS = None  # in the names of all objects of backups, and of no others

    def version_words(self):
        return [self.program(), "--version"]

    def version(self):
        return run_ok(self.version_words(), timeout=20).out.split()[-1]


class WalshipTool(Tool):
    name = "walship"
    is_ours = True
    processes = ("walship",)
    BACKUPS = "/base/"

    def __init__(self, codec, *, level="auto", tls=True, part_size=None):
        self.codec = codec
        self.level = level
        self.tls = tls
        self.label = f"walship {codec}" + ("" if level == "auto" else f" {level}") + ("" if tls else ", HTTP")
        self.label += f", parts of {part_size}" if part_size else ""
        self.chosen = {} if codec == "auto" else {"compression": codec, "compression_level": level}
        self.chosen.update({"part_size": part_size} if part_size else {})
        self.settings = ", ".join(f"{name} = {value}" for name, value in self.chosen.items())
        self.settings = f"{self.settings}; all else is the default" if self.settings else "the default"

    def program(self):
        return str(binary())

    def prepare(self):
        settings = dict(self.chosen)
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
            self.walship.run("check", "--create")  # there is no server to be checked yet
        if self.server:
            self.set_environment(self.server.pg_environment)

    def push_words(self):
        return self.walship.command("push")

    def fetch_words(self):
        return self.walship.command("fetch")

    def backup(self):
        return self.line(*self.walship.command("backup", "--fast"))

    def restore(self, target):
        return self.line(*self.walship.command("recover", "--copy", "--from-backup-only", "--pgdata", target))


AUTO, BROTLI, ZSTD = WalshipTool("auto"), WalshipTool("brotli"), WalshipTool("zstd")
AUTO_IS = {"segment": "brotli", "base": "zstd"}  # what the default takes; a backlog gets zstd 1 from it
BROTLI_HTTP = WalshipTool("brotli", tls=False)
# In a backlog the level "auto" is lower than otherwise, and more is stored; this one stays where pgBackRest's is.
ZSTD_3 = WalshipTool("zstd", level=3)
ZSTD_1 = WalshipTool("zstd", level=1)  # wal-rus's default
ONE_PART = WalshipTool("auto", part_size="16GB")  # as that of one very large table
OURS = (AUTO, BROTLI, ZSTD)


def copy_of_control(pgdata, target):
    """What tools read of a data directory, without its data."""
    for name in ("global/pg_control", "PG_VERSION"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(pgdata) / name, target / name)

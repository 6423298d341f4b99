"""Runs the program under test, with a clean environment and a configuration file of its own."""
import os
import shlex
import subprocess
from pathlib import Path

from .proc import clean_environment, run


def binary():
    path = Path(os.environ.get("WALSHIP_BIN", Path(__file__).parents[3] / "build/release/walship"))
    assert os.access(path, os.X_OK), f"{path} is not there (set WALSHIP_BIN, or run test/run)"
    return path.resolve()


class Walship:
    def __init__(self, directory, settings, *, cluster_sections=""):
        """"settings" is what the configuration file says, besides state_dir."""
        directory.mkdir(parents=True, exist_ok=True)
        self.binary = binary()
        self.config = directory / "walship.conf"
        self.state_dir = directory / "state"
        self.state_dir.mkdir(exist_ok=True)
        self.settings = {"state_dir": self.state_dir, **settings}
        self.sections = cluster_sections
        self.write_config()

    def write_config(self):
        lines = [f"{name} = {value}\n" for name, value in self.settings.items() if value is not None]
        self.config.write_text("".join(lines) + self.sections)
        self.config.chmod(0o600)

    def configure(self, **settings):
        """None takes a setting out of the file."""
        self.settings.update(settings)
        self.write_config()

    def command(self, name, *arguments):
        return [str(self.binary), name, "--config", str(self.config), *map(str, arguments)]

    def run(self, name, *arguments, cwd=None, env=None, timeout=30):
        return run(self.command(name, *arguments), cwd=cwd, env=env, timeout=timeout)

    def ok(self, name, *arguments, **options):
        return self.fails(0, name, *arguments, **options)

    def fails(self, expected, name, *arguments, says=None, **options):
        """Expects this exit code, or with None any, and this text on stderr."""
        result = self.run(name, *arguments, **options)
        assert expected in (None, result.rc), f"expected exit {expected}: {result}"
        if says is not None:
            assert says in result.err, f"expected {says!r} on stderr: {result}"
        return result

    def start(self, name, *arguments, cwd=None, env=None):
        """In the background; the caller waits for it."""
        return subprocess.Popen(
            self.command(name, *arguments),
            cwd=cwd,
            env=clean_environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def archive_command(self):
        return self.for_shell("push") + " %p"

    def restore_command(self):
        return self.for_shell("fetch") + " %f %p"

    def for_shell(self, name):
        return shlex.join(self.command(name)).replace("%", "%%")

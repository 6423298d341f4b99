"""Programs of test/bench that stand between a client and a server; built beside the tests, or test/bench/run says where."""
import json
import os
import subprocess
from pathlib import Path

from .proc import clean_environment
from .walship import binary


def helper_program(name):
    program = Path(os.environ.get("WALSHIP_HELPERS", binary().parent / "test")) / name
    assert os.access(program, os.X_OK), f"{program} is not there: build the target {name}"
    return program


class Helper:
    """Prints where it listens, answers a line with figures, and ends with its standard input."""

    def __init__(self, name, *arguments):
        self.process = subprocess.Popen(
            [helper_program(name), *map(str, arguments)],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = json.loads(self.process.stdout.readline())["port"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def figures(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        """Returns its exit status."""
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(10)

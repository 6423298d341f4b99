"""The scripts of docs/format.md, "Restore with stock tools"."""
import re
from pathlib import Path

from .proc import run_ok

DOCUMENT = Path(__file__).parents[3] / "docs/format.md"


def scripts_of_document():
    """{name: text} of the fenced blocks whose second line names them."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    return {re.match(r"# ([a-z-]+) ", block.splitlines()[1]).group(1): block for block in blocks}


class Recipe:
    """Runs the document's script "restore", as the server's user would."""

    def __init__(self, place):
        self.place = place
        place.mkdir()
        for name, text in scripts_of_document().items():
            (place / name).write_text(text)

    def restore(self, server, store, system, backup, target, **environment):
        """Into the data directory of a server that is yet to be."""
        tablespaces = server.pgdata.parent / f"{server.pgdata.name}-tablespaces"
        run_ok(
            ["sh", self.place / "restore", store.path(), system, backup, server.pgdata, tablespaces, target],
            env={"PATH": f"{server.install.bindir}:/usr/bin:/bin", **environment},
            timeout=40,
        )

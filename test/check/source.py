"""What the checks share: the tree's C files, their #includes, their code without comments and texts."""
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True

_TOKEN = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' """, re.VERBOSE | re.DOTALL)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


class Tree:
    """The source tree named on the command line, by default the one that the script lies in."""

    def __init__(self):
        default = Path(__file__).resolve().parents[2]
        self.root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default
        self.problems = 0
        self.files_read = 0

    def files(self, *folders, suffixes=(".c", ".h", ".def")):
        for folder in folders:
            for path in sorted((self.root / folder).rglob("*")):
                if path.suffix in suffixes and path.is_file():
                    self.files_read += 1
                    yield SourceFile(self.root, path)

    def problem(self, file, line, message):
        self.problems += 1
        print(f"{file.name}:{line}: {message}")

    def finish(self):
        """Exits; a check that looked at nothing has not passed."""
        if self.files_read == 0:
            print(f"no source files below {self.root}")
            sys.exit(1)
        print(f"{self.files_read} files, {self.problems} problems")
        sys.exit(1 if self.problems else 0)


class SourceFile:
    def __init__(self, root, path):
        self.path = path
        self.name = str(path.relative_to(root))
        self.text = path.read_text(encoding="utf-8")

    @property
    def layer(self):
        """The folder of src or include/walship that the file is in; "main" for what lies beside them."""
        parts = Path(self.name).parts
        inside = parts[2:] if parts[:2] == ("include", "walship") else parts[1:]
        return inside[0] if len(inside) > 1 else "main"

    def line_of(self, position):
        return self.text.count("\n", 0, position) + 1

    def includes(self):
        """(line, header, is it in angle brackets)"""
        for match in _INCLUDE.finditer(self.text):
            yield self.line_of(match.start()), match.group(2), match.group(1) == "<"

    def code(self):
        """The text with comments and literals blanked out; positions and lines stay."""
        def blank(match):
            text = match.group(0)
            if text[0] in "\"'":
                return text[0] + " " * (len(text) - 2) + text[0]
            return re.sub(r"[^\n]", " ", text)
        return _TOKEN.sub(blank, self.text)

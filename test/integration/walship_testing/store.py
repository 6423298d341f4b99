"""Stores as the tests see them: keys and bytes, past walship's back."""
import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path

from .walship import Walship

NO_ARCHIVE = ("walship-store.json", "walship-check.json")  # the marker, and what "walship check" writes to try
TEMPORARY = ".walship-tmp-"  # where the file system cannot make unnamed files


class DirectoryStore:
    def __init__(self, directory):
        self.directory = Path(directory)

    @property
    def url(self):
        return f"file://{self.directory}"

    @property
    def settings(self):
        return {"store": self.url}

    @property
    def name(self):
        """As messages have it."""
        return str(self.directory)

    def known_to(self, walship):
        """There is nothing to find out."""
        return walship

    def keys(self, prefix=""):
        """Of everything archived, in order."""
        found = []
        for folder, _, names in os.walk(self.directory):
            for name in names:
                key = str(Path(folder, name).relative_to(self.directory))
                if key not in NO_ARCHIVE and key.startswith(prefix) and not name.startswith(TEMPORARY):
                    found.append(key)
        return sorted(found)

    def exists(self, key):
        return (self.directory / key).is_file()

    def read(self, key):
        return (self.directory / key).read_bytes()

    def write(self, key, content):
        path = self.directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    def remove(self, key):
        (self.directory / key).unlink()

    def remove_all(self, prefix=""):
        for key in self.keys(prefix):
            self.remove(key)

    def snapshot(self):
        return {key: self.read(key) for key in self.keys()}

    def path(self, key=""):
        """Of a file with the object's contents, or of a directory with all objects below a prefix."""
        return self.directory / key

    def version(self, key):
        """Differs after the object has been written again."""
        status = (self.directory / key).stat()
        return status.st_ino, status.st_mtime_ns

    def destroy(self):
        shutil.rmtree(self.directory)

    def is_there(self):
        return self.directory.exists()

    @contextlib.contextmanager
    def outage(self):
        """Nobody can reach it for a while."""
        aside = self.directory.with_name("unmounted")
        self.directory.rename(aside)
        try:
            yield
        finally:
            aside.rename(self.directory)

    @contextlib.contextmanager
    def read_only(self):
        self.directory.chmod(0o555)
        try:
            yield
        finally:
            self.directory.chmod(0o755)

    @contextlib.contextmanager
    def unreadable(self, key):
        """The object, or all below a prefix."""
        path = self.directory / key
        mode = path.stat().st_mode
        path.chmod(0)
        try:
            yield
        finally:
            path.chmod(mode)

    def read_json(self, key):
        return json.loads(self.read(key))


def sealed(document):
    """As walship seals an index or a record: docs/format.md, "Seals"."""
    document = {name: value for name, value in document.items() if name != "seal"}
    text = json.dumps(document).encode()[:-1]
    return text + b',"seal":"' + hashlib.sha256(text).hexdigest().encode() + b'"}\n'


def create_store(store, directory):
    """Makes the marker, as an administrator would."""
    Walship(directory / "creator", store.settings).ok("check", "--create", "--store-only")


STORE_KINDS = ("directory", "s3")

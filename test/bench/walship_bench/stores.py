"""Where everyone archives to: a directory, or a real S3 server or the sink behind a network of some length."""
import collections
import contextlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from walship_testing.helper import Helper
from walship_testing.s3 import S3Server

SEGMENT = re.compile("^[0-9A-F]{24}")


@dataclass
class Place:
    """An empty one, for one tool and one run."""

    kind: str  # "directory" or "s3"
    directory: Path = None
    bucket: str = None
    port: int = None
    tls: bool = True
    server: S3Server = None
    sink: object = None  # the program that swallows everything, for what is no real store

    @property
    def is_sink(self):
        return self.sink is not None

    @property
    def endpoint(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def on(self, port):
        """The same store, through another network."""
        return Place(self.kind, self.directory, self.bucket, port, self.tls, self.server, self.sink)

    def objects(self):
        """{name: bytes} of everything in it."""
        if self.kind == "directory":
            paths = [path for path in self.directory.rglob("*") if path.is_file()]
            return {f"/{path.relative_to(self.directory)}": path.stat().st_size for path in paths}
        if self.is_sink:
            prefix = f"/{self.bucket}/"
            return {name: size for name, size in self.sink.objects().items() if name.startswith(prefix)}
        pages = self.server.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {f"/{entry['Key']}": entry["Size"] for page in pages for entry in page.get("Contents", [])}

    def stored(self, containing):
        """Bytes of the objects that have this in their names."""
        return sum(size for name, size in self.objects().items() if containing in name)

    def segments(self):
        """{segment: bytes stored of it}"""
        found = collections.Counter()
        for name, size in self.objects().items():
            for segment in SEGMENT.findall(name.rpartition("/")[2]):
                found[segment] += size
        return found

    def remove(self):
        if self.kind == "directory":
            shutil.rmtree(self.directory, ignore_errors=True)
        elif not self.is_sink:
            keys = [{"Key": name[1:]} for name in self.objects()]
            for at in range(0, len(keys), 1000):
                self.server.client.delete_objects(Bucket=self.bucket, Delete={"Objects": keys[at : at + 1000]})
            self.server.client.delete_bucket(Bucket=self.bucket)


class Sink(Helper):
    """The store that swallows everything."""

    def objects(self):
        """{/BUCKET/KEY: bytes} of what was written whole."""
        self.process.stdin.write("writes\n")
        self.process.stdin.flush()
        found, parts = {}, collections.Counter()
        for path, size, kind in json.loads(self.process.stdout.readline()):
            if kind == "part":
                parts[path] += size
            else:
                found[path] = size if kind == "object" else parts.pop(path, 0)
        return found


class Stores:
    """Makes places; the servers and networks that they need start when they are first asked for."""

    def __init__(self, directory):
        self.directory = directory
        self.helpers = {}
        self.n_places = 0
        self.server = None

    def s3(self):
        if self.server is None:
            self.server = S3Server(self.directory / "s3")
        return self.server

    def in_directory(self):
        self.n_places += 1
        place = self.directory / f"store-{self.n_places}"
        place.mkdir(parents=True)
        return Place("directory", place)

    def on_s3(self, *, tls=True, rtt=0):
        """"rtt": added round trip, ms."""
        server = self.s3()
        self.n_places += 1
        bucket = f"bench-{self.n_places}"
        server.client.create_bucket(Bucket=bucket)
        return Place("s3", None, bucket, self.network(self.s3_port(tls), rtt), tls, server)

    def in_sink(self, *, tls=True, rtt=0):
        certificate = [self.s3().certificate_file, self.s3().key_file] if tls else []
        self.n_places += 1
        sink = self.helper("s3_sink", *certificate)
        return Place("s3", None, f"bench-{self.n_places}", self.network(sink.port, rtt), tls, self.s3(), sink)

    def s3_port(self, tls):
        return self.s3().address[1] + (1 if tls else 0)

    def network(self, port, rtt, rate=0):
        """The port behind which "port" is this far away, and one connection has no more than "rate" bytes a second.
        Without either it is the server itself."""
        return self.helper("delay_proxy", port, rtt * 1000, rate).port if rtt or rate else port

    def helper(self, *command):
        if command not in self.helpers:
            self.helpers[command] = (Sink if command[0] == "s3_sink" else Helper)(*command)
        return self.helpers[command]

    def pids(self):
        """Of the processes that stay until close()."""
        return [each.process.pid for each in (self.server, *self.helpers.values()) if each]

    @property
    def secrets(self):
        return [self.server.access_key, self.server.secret_key] if self.server else []

    def make(self, kind, *, tls, rtt=0):
        """"kind": directory, s3 or sink."""
        if kind == "directory":
            return self.in_directory()
        return (self.on_s3 if kind == "s3" else self.in_sink)(tls=tls, rtt=rtt)

    def close(self):
        with contextlib.ExitStack() as stack:  # each of them, whatever becomes of the others
            for opened in (self.server, *self.helpers.values()):
                if opened:
                    stack.callback(opened.close)

"""Where everyone archives to: a directory, or a real S3 server or the sink behind a network of some length."""
import shutil
from dataclasses import dataclass
from pathlib import Path

from walship_testing.helper import Helper
from walship_testing.s3 import S3Server

REGION = "us-east-1"


@dataclass
class Place:
    """An empty one, for one tool and one run."""

    kind: str  # "directory" or "s3"
    directory: Path = None
    bucket: str = None
    port: int = None
    tls: bool = True
    server: S3Server = None
    is_sink: bool = False

    @property
    def endpoint(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def on(self, port):
        """The same store, through another network."""
        return Place(self.kind, self.directory, self.bucket, port, self.tls, self.server, self.is_sink)

    def stored(self, *, containing=""):
        """Bytes of the objects that have this in their names."""
        if self.kind == "directory":
            files = (path for path in self.directory.rglob("*") if path.is_file() and containing in str(path))
            return sum(path.stat().st_size for path in files)
        return sum(entry["Size"] for entry in self.objects() if containing in entry["Key"])

    def objects(self):
        pages = self.server.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [entry for page in pages for entry in page.get("Contents", [])]

    def remove(self):
        if self.kind == "directory":
            shutil.rmtree(self.directory, ignore_errors=True)
        elif not self.is_sink:
            keys = [{"Key": entry["Key"]} for entry in self.objects()]
            for at in range(0, len(keys), 1000):
                self.server.client.delete_objects(Bucket=self.bucket, Delete={"Objects": keys[at : at + 1000]})
            self.server.client.delete_bucket(Bucket=self.bucket)


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
        port = self.network(self.helper("s3_sink", *certificate).port, rtt)
        return Place("s3", None, f"bench-{self.n_places}", port, tls, self.s3(), is_sink=True)

    def s3_port(self, tls):
        return self.s3().address[1] + (1 if tls else 0)

    def network(self, port, rtt):
        """The port behind which "port" is this far away.  Without a delay it is the server itself."""
        return self.helper("delay_proxy", port, rtt * 1000).port if rtt else port

    def helper(self, *command):
        if command not in self.helpers:
            self.helpers[command] = Helper(*command)
        return self.helpers[command]

    def close(self):
        for helper in self.helpers.values():
            helper.close()
        if self.server:
            self.server.close()

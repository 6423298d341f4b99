"""A real S3 server, and stores on it as the tests see them: keys and bytes, past walship's back."""
import contextlib
import json
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from . import notes
from .faultproxy import FaultProxy
from .proc import clean_environment
from .store import NO_ARCHIVE

SERVER = Path(__file__).parents[2] / "servers/ceph"
NOT_INSTALLED = 77
PREFIX = "archive"


class S3Missing(Exception):
    """There is no S3 server on this machine."""


class S3Server:
    """Runs until close(), and not longer than this process."""

    def __init__(self, directory, program=SERVER):
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise S3Missing("python3-boto3 is not installed; run test/install test") from None
        self.log = directory / "server.log"
        directory.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(program), "--directory", str(directory)],
                env=clean_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        line = self.process.stdout.readline()
        if not line:
            self.refuse()
        for name, value in json.loads(line).items():
            setattr(self, name, value)
        self.address = ("127.0.0.1", urlsplit(self.endpoint).port)
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}, proxies={}),
        )
        self.n_stores = 0

    def refuse(self):
        status = self.process.wait(10)
        reason = self.log.read_text(errors="replace").strip()
        if status == NOT_INSTALLED:
            raise S3Missing(reason)
        raise AssertionError(f"the S3 server did not start: {reason}")

    def proxy(self, *, tls=False):
        return FaultProxy(
            self.address,
            certificate=(self.certificate_file, self.key_file) if tls else None,
            credentials=(self.access_key, self.secret_key),
            region=self.region,
        )

    def new_store(self, directory, *, tls=False, bucket=None, object_lock=None):
        """A bucket of its own, behind a proxy of its own.  "directory": for copies of what is in it; "object_lock": the
        rule of one that locks what is written."""
        self.n_stores += 1
        bucket = bucket or f"walship-{self.n_stores}"
        self.client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=object_lock is not None)
        if object_lock:
            self.client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=object_lock)
        return S3Store(self, bucket, directory, tls=tls)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


class S3Store:
    def __init__(self, server, bucket, directory, *, tls=False):
        self.server = server
        self.client = server.client
        self.bucket = bucket
        self.copies = Path(directory)
        self.proxy = server.proxy(tls=tls)

    @property
    def url(self):
        return f"s3://{self.bucket}/{PREFIX}"

    @property
    def settings(self):
        return {
            "store": self.url,
            "s3_endpoint": self.proxy.endpoint,
            "s3_region": self.server.region,
            "s3_access_key_id": self.server.access_key,
            "s3_secret_access_key": self.server.secret_key,
            "s3_ca_file": self.server.ca_file if self.proxy.context else None,
        }

    @property
    def name(self):
        """As messages have it."""
        return self.url

    def known_to(self, walship):
        """As after its first write: that the server refuses to overwrite is proved, and not proved again."""
        bucket = f"{walship.settings['s3_endpoint']}/{self.bucket}"
        notes.write_note(walship.state_dir, "s3", bucket, f"bucket {bucket}", "if_none_match honoured\n")
        return walship

    def of(self, key):
        """What names an object in a call of the client."""
        return {"Bucket": self.bucket, "Key": f"{PREFIX}/{key}"}

    def keys(self, prefix=""):
        """Of everything archived, in order."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{PREFIX}/{prefix}")
        found = [entry["Key"].removeprefix(f"{PREFIX}/") for page in pages for entry in page.get("Contents", [])]
        return sorted(key for key in found if key not in NO_ARCHIVE)

    def exists(self, key):
        return key in self.keys(key)

    def read(self, key):
        return self.client.get_object(**self.of(key))["Body"].read()

    def write(self, key, content):
        self.client.put_object(**self.of(key), Body=content)

    def remove(self, key):
        self.client.delete_object(**self.of(key))

    def remove_all(self, prefix=""):
        for key in self.keys(prefix):
            self.remove(key)

    def snapshot(self):
        return {key: self.read(key) for key in self.keys()}

    def read_json(self, key):
        return json.loads(self.read(key))

    def path(self, key=""):
        """A copy of the object, or of all objects below a prefix, in the file system; docs/format.md says how."""
        self.copies.mkdir(parents=True, exist_ok=True)
        (self.copies / "walship-store.json").touch()
        for found in self.keys(key):
            copy = self.copies / found
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(self.read(found))
        return self.copies / key

    def version(self, key):
        """Differs after the object has been written through the proxy."""
        return sum(request.status == 200 for request in self.proxy.seen("PUT|POST", key))

    def uploads(self):
        """Multipart uploads that were neither completed nor aborted."""
        return [upload["Key"] for upload in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])]

    def destroy(self):
        self.remove_everything()
        self.client.delete_bucket(Bucket=self.bucket)

    def is_there(self):
        return self.bucket in [bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]]

    def remove_everything(self):
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for entry in page.get("Contents", []):
                self.client.delete_object(Bucket=self.bucket, Key=entry["Key"])
        for upload in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", []):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def outage(self):
        return self.proxy.outage()

    @contextlib.contextmanager
    def denied(self, *actions, keys=("*",)):
        """A policy of the bucket forbids these actions, such as "PutObject"."""
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": [f"s3:{action}" for action in actions],
            "Resource": [f"arn:aws:s3:::{self.bucket}", *(f"arn:aws:s3:::{self.bucket}/{PREFIX}/{key}" for key in keys)],
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self.client.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(policy))
        try:
            yield
        finally:
            self.client.delete_bucket_policy(Bucket=self.bucket)

    def read_only(self):
        return self.denied("PutObject")

    def unreadable(self, key):
        """The object, or all below a prefix."""
        return self.denied("GetObject", keys=(key, f"{key}/*"))

    def create(self):
        """As an administrator would, with means other than walship."""
        self.client.create_bucket(Bucket=self.bucket)

    def close(self):
        """The server forgets nothing by itself, and it keeps everything in memory."""
        self.proxy.close()
        with contextlib.suppress(self.client.exceptions.NoSuchBucket):
            self.remove_everything()

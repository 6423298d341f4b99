"""Encryption is the age format: the program age reads what walship writes and the other way round, and both say the
same of the community's test vectors (test/data/age_testkit)."""
import hashlib
import os
import re
import zlib
from pathlib import Path

import pytest

from walship_testing.age import Key, age, age_with_passphrase, have_age, stream

pytestmark = pytest.mark.skipif(not have_age(), reason="the program age is not installed; run test/install test")

KB64 = 64 * 1024
SIZES = [0, 1, KB64 - 1, KB64, KB64 + 1, 7 * KB64, 7 * KB64 + 100]
VECTORS = Path(__file__).parents[1] / "data/age_testkit"
PASSPHRASE = "six words drawn at random"


@pytest.fixture
def key(directory):
    return Key(directory / "key.txt")


def test_age_reads_what_walship_encrypts_and_walship_what_age_does(key):
    for size in SIZES:
        plain = os.urandom(size)
        rc, sealed, message = stream("encrypt", "-r", key.public, stdin=plain)
        assert rc == 0, message
        assert age("-d", "-i", key.path, stdin=sealed)[:2] == (0, plain), size
        rc, sealed, message = age("-r", key.public, stdin=plain)
        assert rc == 0, message
        assert stream("decrypt", "-i", key.path, stdin=sealed)[:2] == (0, plain), size


def test_a_hundred_megabytes_go_both_ways(key):
    plain = os.urandom(1024 * 1024) * 100
    sealed = stream("encrypt", "-r", key.public, stdin=plain)[1]
    assert age("-d", "-i", key.path, stdin=sealed)[1] == plain
    sealed = age("-r", key.public, stdin=plain)[1]
    assert stream("decrypt", "-i", key.path, stdin=sealed)[1] == plain


def test_every_one_of_many_recipients_can_read(directory):
    keys = [Key(directory / f"key{i}.txt") for i in range(16)]
    sealed = stream("encrypt", *[word for key in keys for word in ("-r", key.public)], stdin=b"for all")[1]
    assert sealed.count(b"-> X25519 ") == 16
    for key in keys:
        assert age("-d", "-i", key.path, stdin=sealed)[:2] == (0, b"for all")

    # More than walship would encrypt for, and a kind that it does not know.
    ssh = directory / "ssh.pub"
    ssh.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMDfqSX4ZoE6kfcGWaC1S1O2N9YcLGbyqvLrIVJdNDbk x\n")
    more = [key for _ in range(3) for key in keys]
    sealed = age("-R", ssh, *[word for key in more for word in ("-r", key.public)], stdin=b"for more")[1]
    assert sealed.count(b"-> ") == 49
    for key in keys[::5]:
        assert stream("decrypt", "-i", key.path, stdin=sealed)[:2] == (0, b"for more")


def test_the_file_of_identities_is_the_one_of_age_keygen(directory, key):
    other = Key(directory / "other.txt")
    both = directory / "both.txt"
    both.write_text(other.path.read_text() + "\n# another one\n" + key.path.read_text())
    sealed = age("-r", key.public, stdin=b"abc")[1]
    assert stream("decrypt", "-i", both, stdin=sealed)[:2] == (0, b"abc")
    rc, out, message = stream("decrypt", "-i", other.path, stdin=sealed)
    assert (rc, out) == (5, b"") and "none of the secret keys at hand opens it" in message


def test_a_passphrase_goes_both_ways(directory):
    plain = os.urandom(KB64 + 5)
    source, sealed, opened = (directory / name for name in ("plain", "sealed", "opened"))
    sealed.write_bytes(stream("encrypt", "-p", PASSPHRASE, stdin=plain)[1])
    rc, shown = age_with_passphrase(PASSPHRASE, "-d", "-o", opened, sealed)
    assert rc == 0, shown
    assert opened.read_bytes() == plain

    source.write_bytes(plain)
    rc, shown = age_with_passphrase(PASSPHRASE, "-p", "-o", sealed.with_name("sealed2"), source)
    assert rc == 0, shown
    contents = sealed.with_name("sealed2").read_bytes()
    assert stream("decrypt", "-p", PASSPHRASE, stdin=contents)[:2] == (0, plain)
    assert stream("decrypt", "-p", PASSPHRASE + "s", stdin=sealed.read_bytes())[:2] == (5, b"")


class Vector:
    def __init__(self, path):
        head, _, body = path.read_bytes().partition(b"\n\n")
        pairs = [line.split(": ", 1) for line in head.decode().splitlines()]
        self.name = path.name
        self.fields = dict(pairs)
        self.identities = [value for name, value in pairs if name == "identity"]
        self.body = zlib.decompress(body) if self.fields.get("compressed") == "zlib" else body

    @property
    def passphrase(self):
        return self.fields.get("passphrase")


VERDICTS = {"success": 0, "no match": 5, "HMAC failure": 6, "header failure": 6, "payload failure": 6}


def all_vectors():
    found = [Vector(path) for path in sorted(VECTORS.iterdir()) if path.suffix != ".md"]
    assert len(found) == 92
    return found


def walships_verdict(vector, directory, step):
    identities = directory / "identities"
    identities.write_text("".join(f"{identity}\n" for identity in vector.identities))
    arguments = ["-i", identities] if vector.identities else []
    if vector.passphrase is not None:
        arguments += ["-p", vector.passphrase]
    return stream("decrypt", *arguments, "-s", step, stdin=vector.body)


def assert_released(vector, directory, released):
    """What the vector says; or of a file that fails, whole chunks less: walship holds a full chunk back until it
    knows whether it is the last one, and age does not."""
    if "payload" not in vector.fields:
        assert released == b"", vector.name
    elif hashlib.sha256(released).hexdigest() != vector.fields["payload"]:
        assert vector.fields["expect"] == "payload failure" and len(released) % KB64 == 0, vector.name
        of_age = age("-d", "-i", directory / "identities", stdin=vector.body)[1]
        assert hashlib.sha256(of_age).hexdigest() == vector.fields["payload"]
        assert len(of_age) == len(released) + KB64 and of_age.startswith(released), vector.name


@pytest.mark.parametrize("step", [1, 256 * 1024])
def test_every_vector_gets_its_verdict(directory, step):
    seen = set()
    for vector in all_vectors():
        if step == 1 and len(vector.body) > 3_000_000:
            continue  # the same, for minutes
        rc, released, message = walships_verdict(vector, directory, step)
        expected = vector.fields["expect"]
        assert rc == VERDICTS[expected], f"{vector.name}: exit {rc} instead of {expected}: {message}"
        assert_released(vector, directory, released)
        if expected == "header failure":
            assert re.search(r"header|share of low order", message), f"{vector.name}: {message}"
        if expected == "HMAC failure":
            assert "authentication code is wrong" in message
        if expected == "payload failure":
            assert re.search(r"chunk|cut off", message) and "header" not in message, f"{vector.name}: {message}"
        seen.add(expected)
    assert seen == set(VERDICTS)


def test_age_says_the_same_of_every_vector(directory):
    """Success or not: age has no exit codes for the reasons."""
    compared = 0
    for vector in all_vectors():
        sealed, opened = directory / "sealed", directory / "opened"
        sealed.write_bytes(vector.body)
        opened.unlink(missing_ok=True)
        if vector.identities:
            identities = directory / "identities"
            identities.write_text("".join(f"{identity}\n" for identity in vector.identities))
            rc = age("-d", "-i", identities, "-o", opened, sealed)[0]
        else:
            rc = age_with_passphrase(vector.passphrase, "-d", "-o", opened, sealed)[0]
        ours = walships_verdict(vector, directory, 256 * 1024)[0]
        assert (rc == 0) == (ours == 0), f"{vector.name}: age exits {rc}, walship {ours}"
        compared += 1
    assert compared == 92


def test_what_is_changed_is_refused_by_both(key):
    """Made by hand: every place of a file of two chunks, in steps."""
    sealed = stream("encrypt", "-r", key.public, stdin=os.urandom(KB64 + 50))[1]
    header_end = sealed.index(b"\n--- ")
    for place in [0, 5, 22, 25, 35, 60, header_end - 3, header_end + 3, header_end + 10, header_end + 60, 40000, 65700, -1]:
        changed = bytearray(sealed)
        changed[place] ^= 1
        assert age("-d", "-i", key.path, stdin=bytes(changed))[0] != 0, place
        assert stream("decrypt", "-i", key.path, stdin=bytes(changed))[0] in (5, 6), place
    for made in (sealed[:-1], sealed + b"x", sealed[:-66], sealed[:100], b"", sealed[: header_end + 49]):
        assert age("-d", "-i", key.path, stdin=made)[0] != 0
        assert stream("decrypt", "-i", key.path, stdin=made)[0] == 6

"""walship key: makes key pairs as age-keygen does, never over an existing file, and shows what the keys are good for."""
import json
import re
import stat

import pytest

from walship_testing.age import PUBLIC_KEY, Key, have_age
from walship_testing.proc import run_ok
from walship_testing.walship import Walship

needs_age = pytest.mark.skipif(not have_age(), reason="the program age is not installed; run test/install test")


@pytest.fixture
def bare(directory):
    """Keys need no store."""
    return Walship(directory / "walship", {})


@needs_age
def test_new_writes_a_file_like_age_keygen_and_prints_the_public_key(bare, directory):
    path = directory / "key.txt"
    result = bare.ok("key", "new", path)
    assert PUBLIC_KEY.fullmatch(result.out.strip())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch(
        rf"# created: \S+Z\n# public key: {result.out.strip()}\nAGE-SECRET-KEY-1[0-9A-Z]{{58}}\n", path.read_text()
    )
    assert run_ok(["age-keygen", "-y", path]).out == result.out
    assert "AGE-SECRET-KEY" not in result.out + result.err
    assert "Keep copies of the file" in result.err


def test_two_keys_are_never_the_same(bare, directory):
    keys = {bare.ok("key", "new", directory / f"key{i}").out for i in range(3)}
    assert len(keys) == 3


def test_an_existing_file_is_left_as_it_is(bare, directory):
    for path in (directory / "a key", directory / "a link"):
        if path.name == "a link":
            path.symlink_to(directory / "nowhere")
        else:
            path.write_text("precious")
        bare.fails(3, "key", "new", path, says="exists already")
    assert (directory / "a key").read_text() == "precious"
    assert not (directory / "nowhere").exists()
    bare.fails(7, "key", "new", directory / "no such directory/key", says="could not create file")


def test_the_file_may_come_from_the_setting(bare, directory):
    bare.fails(2, "key", "new", says="identity_file")
    bare.configure(identity_file=directory / "key.txt")
    public = bare.ok("key", "new").out.strip()
    assert public in bare.ok("key", "show").out


@needs_age
def test_show_says_which_keys_are_here_and_which_are_encrypted_for(bare, directory):
    old, current, other = (Key(directory / name) for name in ("old", "current", "other"))
    both = directory / "both"
    both.write_text(old.path.read_text() + current.path.read_text())
    both.chmod(0o600)
    bare.configure(recipients=f"{current.public}, {other.public}")
    shown = bare.ok("key", "show", both).out.splitlines()
    assert [line.split(maxsplit=1) for line in shown[1:]] == [
        [old.public, "here        no"],
        [current.public, "here        yes"],
        [other.public, "not here    yes"],
    ]
    assert json.loads(bare.ok("key", "show", both, "--json").out) == {
        "format": 1,
        "keys": [
            {"public_key": old.public, "secret_here": True, "encrypted_for": False},
            {"public_key": current.public, "secret_here": True, "encrypted_for": True},
            {"public_key": other.public, "secret_here": False, "encrypted_for": True},
        ],
    }


@pytest.mark.parametrize(
    ("mode", "contents", "says"),
    [
        (0o644, None, "holds a secret and has mode 0644"),
        (0o640, None, "not owned by root"),
        (0o600, "# nothing\n", "holds no key"),
        (0o600, "six words drawn at random\n", "line 1: not a secret key of age"),
        (0o600, "AGE-SECRET-KEY-1GFPYYSJZ\n", "line 1: not a secret key of age"),
    ],
)
def test_a_file_that_is_no_identity_file_is_refused_without_quoting_it(bare, directory, mode, contents, says):
    path = directory / "key.txt"
    bare.ok("key", "new", path)
    if contents is not None:
        path.write_text(contents)
    path.chmod(mode)
    result = bare.fails(2, "key", "show", path, says=says)
    assert "GFPYYSJZ" not in result.err and "six words" not in result.err

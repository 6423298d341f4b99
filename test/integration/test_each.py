"""walship each: every cluster's run, its lines, and the greatest exit code."""
import contextlib
import os
import signal
import socket
import time

import pytest

from walship_testing.recovery import load_archive, tell_story
from walship_testing.store import DirectoryStore, create_store
from walship_testing.walship import Walship

pytestmark = pytest.mark.directory_only("the commands that it runs have their own tests")


@pytest.fixture
def three(directory, cache):
    """One with backups, one with an empty store, one whose store is not mounted."""
    archive = load_archive(cache, "story", tell_story)
    for name in ("one", "two"):
        create_store(DirectoryStore(directory / name), directory)
    archive.into(DirectoryStore(directory / "one"))
    names = ("one", "two", "three")
    sections = "".join(f"[cluster {name}]\nstore = file://{directory / name}\n" for name in names)
    return Walship(directory / "walship", {}, cluster_sections=sections)


LINES = {
    "the greatest exit code": (["list"], 4, {"one"}, {"two", "three"}),
    "all is well": (["config"], 0, {"one", "two", "three"}, set()),
    "side by side": (["--jobs", "3", "list"], 4, {"one"}, {"two", "three"}),
    "options behind the command are the command's": (["list", "--json", "--verbose"], 4, {"one"}, {"two", "three"}),
    "options before it are for all": (["--log-level", "error", "config"], 0, {"one", "two", "three"}, set()),
    "an option that the command does not have": (["list", "--jsn"], 2, set(), {"one", "two", "three"}),
    "a command's own jobs": (["--jobs", "2", "list", "--jobs", "1"], 4, {"one"}, {"two", "three"}),
    "a command's own help": (["list", "--help"], 0, {"one", "two", "three"}, set()),
}


@pytest.mark.smoke
@pytest.mark.parametrize("line", LINES)
def test_every_line_has_its_cluster(three, line):
    arguments, expected, out, err = LINES[line]
    result = three.fails(expected, "each", *arguments)
    prefixes = lambda text: {text.split(": ")[0] for text in text.splitlines()}  # noqa: E731
    summary = [text for text in result.err.splitlines() if text.startswith("walship: ")]
    assert prefixes(result.out) == out, str(result)
    assert prefixes(result.err) - {"walship"} == err, str(result)
    assert len(summary) == bool(err), str(result)
    for name in err:
        assert f"{name} (" in summary[0]


def test_one_after_the_other_they_come_in_the_order_of_the_file(three):
    lines = three.ok("each", "config").out.splitlines()
    assert [text for n, text in enumerate(lines) if n == 0 or text.split(":")[0] != lines[n - 1].split(":")[0]] == [
        next(text for text in lines if text.startswith(f"{name}: ")) for name in ("one", "two", "three")
    ]
    assert any(str(three.config.parent.parent / "two") in text for text in lines if text.startswith("two: "))


WRONG = {
    "no command": ([], "missing argument"),
    "an unknown command": (["lst"], 'unknown command "lst"'),
    "a hidden command": (["prefetcher"], 'unknown command "prefetcher"'),
    "the server's own": (["push", "x"], '"push" is not a command for every cluster'),
    "itself": (["each", "list"], '"each" is not a command'),
    "one cluster": (["list", "--cluster", "one"], "--cluster for one"),
    "one cluster, another way": (["list", "--cluster=one"], "--cluster for one"),
    "a chosen cluster": (["--cluster", "one", "list"], '"one" is chosen'),
    "no jobs": (["--jobs", "0", "list"], "it is 1 to 64"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_run_for_each_is_a_usage_error(three, wrong):
    arguments, said = WRONG[wrong]
    result = three.fails(2, "each", *arguments, says=said)
    assert result.out == "" and "one: " not in result.err


def test_without_clusters_there_is_nothing_to_run(directory):
    Walship(directory / "walship", {}).fails(2, "each", "list", says="no clusters")



def children(process):
    """Of each of its threads."""
    found = []
    for task in os.listdir(f"/proc/{process.pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/task/{task}/children") as file:
            found += [int(word) for word in file.read().split()]
    return found


def test_a_signal_ends_all_of_them(directory):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    sections = "".join(f"[cluster db{n}]\nstore = s3://bucket/{n}\n" for n in range(3))
    settings = {"s3_endpoint": f"http://127.0.0.1:{port}", "s3_access_key_id": "a", "s3_secret_access_key": "b"}
    walship = Walship(directory / "walship", settings, cluster_sections=sections)
    process = walship.start("each", "--jobs", "2", "list")
    deadline = time.monotonic() + 20
    while not (found := children(process)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    listener.accept()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM, err
    assert not [pid for pid in found if os.path.exists(f"/proc/{pid}")]
    assert b"db2: " not in out + err, "it had not begun"
    listener.close()

"""Of the members of an index and a record that a reader can do without, any may be missing: the answers stay the same."""
import json
import re
import random

import pytest

from walship_testing.objects import OPTIONAL, index_of, with_index, without
from walship_testing.store import sealed

RECORD_MEMBERS = ["full_page_writes", "databases", "in_place_tablespaces", "map", "config"]


def take_members_away(store, system, choose):
    """"choose" a subset of a list, anew for each object."""
    for key in store.keys(f"{system}/"):
        if key.endswith(".tar") and "/wal/" in key:
            store.write(key, with_index(store.read(key), lambda index: without(index, choose(OPTIONAL))))
        elif key.endswith("/backup.json"):
            gone = choose(RECORD_MEMBERS)
            record = {name: value for name, value in store.read_json(key).items() if name not in gone}
            store.write(key, sealed(record))
        elif key.endswith(".history.sha256") and choose([key]):
            store.remove(key)


def targets_of(archive):
    yield ["--latest"]
    yield ["--immediate"]
    for name in archive.facts["moments"]:
        moment = archive.moment(name)
        yield ["--target-time", moment.time]
        yield ["--target-lsn", moment.lsn]
    yield ["--target-name", "noon"]
    yield ["--before-drop"]


def answer(walship, *arguments):
    result = walship.run(*arguments)
    return result.rc, result.out, [line for line in result.err.splitlines() if "took" not in line]


def questions_of(archive, numbers):
    """Some of all that could be asked; what is listed, and found, always."""
    plans = [("recover", "--plan", "--json", "--copy", *target) for target in targets_of(archive)]
    plans += [(*plan, "--timeline", number) for plan in plans for number in "12"]
    return [*numbers.sample(plans, 8), ("find", "--json"), ("find", "--json", "--commits"), ("list", "--json")]


@pytest.mark.directory_only("what lies in the store is changed; the readers are the same")
@pytest.mark.parametrize("seed, share", enumerate([1, 0.5, 0.3, 0.7]))
@pytest.mark.parametrize("archive", ["story", "branches"])
def test_any_subset_of_them_missing_gives_the_same_answers(archive, seed, share, walship, store, request):
    archive = request.getfixturevalue(archive)
    numbers = random.Random(seed)
    questions = questions_of(archive, numbers)
    expected = {question: answer(walship, *question) for question in questions}
    assert any(rc == 0 for rc, _, _ in expected.values())
    take_members_away(store, archive.system, lambda items: [item for item in items if numbers.random() < share])
    for question, was in expected.items():
        assert comparable(answer(walship, *question)) == comparable(was), question


def comparable(result):
    """A backup is listed with the size of the objects that its record names; ages go on."""
    rc, out, err = result
    err = [re.sub(r"([0-9.]+ [a-z]+ )+old", "old", line) for line in err]
    if out.startswith("{"):
        out = json.loads(out, object_hook=lambda item: {k: v for k, v in item.items() if k != "stored_size"})
    return rc, out, err


@pytest.mark.s3_only
def test_without_them_it_takes_more_requests_but_not_the_segments_of_a_plan(story, walship, store, proxy):
    def requests_of(*arguments):
        before = proxy.count()
        walship.ok(*arguments)
        return proxy.count() - before

    plan = ("recover", "--plan", "--json", "--copy", "--target-time", story.moment("evening").time)
    find = ("find", "--json")
    walship.ok(*find)  # what is asked of a server the first time is none of it
    was = requests_of(*plan), requests_of(*find)
    members = set().union(*(index_of(store.read(key)) for key in store.keys(f"{story.system}/wal/0") if key.endswith(".tar")))
    assert {"chunks", "previous", "tablespaces", "time_high"} <= members
    take_members_away(store, story.system, lambda items: items)
    bare = requests_of(*plan), requests_of(*find)
    segments = len([key for key in store.keys(f"{story.system}/wal/") if key.endswith(".tar")])
    print(f"requests of a plan and of find, with {segments} segments: {was}, without the members {bare}")
    assert was[0] <= bare[0] <= was[0] + segments and was[1] <= bare[1] <= was[1] + 2 * segments

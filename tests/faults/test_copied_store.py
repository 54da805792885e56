"""A store is copied elsewhere, object by object, and goes on there; a copy that misses something is told."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from refit.core import keys, registry
from refit.core.addresses import file_url
from refit.core.domain import LockRef, Outcome
from refit.core.lock import TTL_SECONDS
from refit.core.runs import read_outcome
from refit.core.store import ObjectStore
from tests.faults.case import SECOND, THIRD, Case, edited, failed_as
from tests.faults.gates import Gate
from tests.fixtures import invariants, loans
from tests.fixtures.calls import call

ORDER = ("history/", "refs/", "versions/", "runs/", "data/", "predictions/")
"""What names others before what it names: the order of docs/copying.md."""


def copy(source: ObjectStore, target: ObjectStore, prefixes: Sequence[str] = ORDER) -> None:
    """Each object as bytes under its key: what any tool does."""
    for prefix in prefixes:
        for found in source.list(prefix):
            target.put(found.key, source.get(found.key))


def elsewhere(case: Case, url: str, name: str) -> Case:
    """The same database, and a copy of the store at another address."""
    scratch = case.scratch / name
    scratch.mkdir()
    there = Case(case.dsn, url, scratch, dict(case.settings))
    copy(case.store, there.store)
    return there


def in_folder(case: Case, name: str = "there") -> Case:
    return elsewhere(case, file_url(case.scratch / name / "store"), name)


def facts(outcome: Outcome) -> dict[str, Any]:
    """All that a run came to but its names and times."""
    assert outcome.verdict is not None
    return {"outcome": outcome.outcome, "rows": outcome.rows, "verdict": outcome.verdict, "scores": outcome.scores}


def test_a_copy_goes_on_as_the_original_does_from_folder_to_bucket_and_back(case: Case, bucket: str) -> None:
    moves = registry.read_history(case.store)
    settings = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    in_bucket = elsewhere(case, f"s3://{bucket}/of/another/team", "in_bucket")
    in_bucket.settings |= settings
    second = in_bucket.good(days=SECOND)
    assert facts(second) == facts(case.good(days=SECOND))
    back = in_folder(in_bucket, "back")
    third = back.good(days=THIRD)
    assert facts(third) == facts(case.good(days=THIRD))
    versions = [*(move.version for move in moves), second.version, third.version]
    assert [move.version for move in registry.read_history(back.store)] == versions


def test_no_document_says_where_the_store_lies(case: Case) -> None:
    case.good(days=SECOND)
    place = str(case.folder.parent)
    for path in case.folder.rglob("*.json"):
        assert place not in path.read_text(), path


def test_another_owner_is_refused_in_the_copy_until_it_adopts_it(case: Case) -> None:
    there = in_folder(case)
    there.refused(64, "config OtherOwner", "'local'", "'cluster/new'", "--adopt", owner="cluster/new")
    there.good(owner="cluster/new", adopt=True)
    there.good(days=THIRD, owner="cluster/new")
    case.good()


@pytest.mark.parametrize("effect", ["before sql copy", "before create versions/", "after swap refs/champion"])
def test_a_copy_taken_while_a_run_goes_on_is_settled_by_the_next_one(case: Case, effect: str) -> None:
    gate = Gate(case.scratch, effect)
    going_on = case.start(inject=gate.inject_in_steps)
    gate.wait_until_reached()
    half = case.runs[-1]
    there = in_folder(case)
    gate.open()
    assert going_on.done().code == 0
    lock = there.folder / keys.ref("lock")
    assert LockRef.from_json(lock.read_bytes(), "lock").holder is not None
    long_ago = time.time() - TTL_SECONDS - 1  # nobody renews it there
    os.utime(lock, (long_ago, long_ago))
    promoted = "champion" in effect
    done = there.run()
    assert done.code == 0, done
    settled = read_outcome(there.store, half)
    assert settled is not None
    assert settled.outcome == ("promoted" if promoted else "failed")
    assert there.champion.as_of == loans.at(SECOND) == case.champion.as_of
    invariants.check(there.store)


@pytest.mark.parametrize("effect", ["before sql copy", "after swap refs/champion"])
def test_a_copy_in_the_order_of_the_page_is_whole_though_a_run_goes_on_meanwhile(case: Case, effect: str) -> None:
    gate = Gate(case.scratch, effect)
    going_on = case.start(inject=gate.inject_in_steps)
    gate.wait_until_reached()
    there = Case(case.dsn, file_url(case.scratch / "there" / "store"), case.scratch / "there")
    there.scratch.mkdir()
    copy(case.store, there.store, ORDER[:2])
    gate.open()
    assert going_on.done().code == 0
    copy(case.store, there.store, ORDER[2:])
    lock, long_ago = there.folder / keys.ref("lock"), time.time() - TTL_SECONDS - 1
    os.utime(lock, (long_ago, long_ago))
    there.good(days=THIRD)
    assert registry.read_history(there.store)[0] == registry.read_history(case.store)[0]


# --- copies that miss something -----------------------------------------------

FOREVER = edited(source={"full_refresh": "never"})


def without(*prefixes: str) -> Callable[[Case], None]:
    def act(case: Case) -> None:
        for prefix in prefixes:
            for found in list(case.store.list(prefix)):
                case.store.delete(found.key)

    return act


def champion_before_the_last_move(case: Case) -> None:
    path = case.folder / keys.ref("champion")
    path.write_bytes(case.store.get(keys.history(1)))


def ways_out(case: Case) -> dict[str, tuple[str, ...]]:
    version = case.champion.version
    return {
        "rollback": ("rollback", "loans", "--to", version, "--reason", "x"),
        "promote": ("promote", "loans", version, "--reason", "x"),
        "exclude": ("exclude", "loans", "--where", EXCLUDED, "--reason", "x"),
    }


EXCLUDED = "income < -2.5"


@pytest.mark.parametrize(
    ("harm", "kind", "words", "way_out"),
    [
        (without("refs/champion.json"), "ChampionLost", ["history has moves"], "rollback"),
        (without("refs/champion.json", "history/"), "Incomplete", ["history/ are gone", "refit promote"], "promote"),
        (without("refs/"), "ChampionLost", ["history has moves"], "rollback"),
        (champion_before_the_last_move, "ChampionBehind", ["tells of move 1", "of move 2"], "rollback"),
        (without("refs/exclusions.json"), "Incomplete", ["does not know exclusion 1", EXCLUDED], "exclude"),
        (without("refs/snapshot.json"), "SnapshotGone", ["--full-refresh"], ""),
        (without("data/"), "SnapshotGone", ["part-", "--full-refresh"], ""),
    ],
    ids=["champion", "champion and history", "all refs", "an older champion", "exclusions", "snapshot", "parts"],
)
def test_a_copy_that_misses_something_is_told_and_goes_on_when_a_person_has_decided(
    copied: Case, harm: Callable[[Case], None], kind: str, words: list[str], way_out: str
) -> None:
    ways = ways_out(copied)
    harm(copied)
    file = copied.scratch / "refit.yaml"
    file.write_bytes(FOREVER)
    tried = call("check", str(file), "--connect", "--fast", "--store", copied.url, "--json")
    assert (not tried.document["connections"][0]["ok"]) == (kind != "SnapshotGone")
    done = copied.run(days=THIRD, file=FOREVER)
    failed_as(done, 66, f"artifact {kind}", *words)
    if way_out:
        called = call(*ways[way_out], "--store", copied.url)
        assert called.code == 0, called.err
        done = copied.run(days=THIRD, file=FOREVER)
    if done.failure is not None and done.failure.type == "SnapshotGone":
        done = copied.run(days=THIRD, file=FOREVER, full_refresh=True)
    assert done.code == 0, done


def test_a_gap_in_the_history_hinders_no_run_and_is_told_by_all_that_needs_it(copied: Case) -> None:
    version = copied.champion.version
    without("history/1.json")(copied)
    for command in (("history",), ("rollback", "--reason", "x"), ("gc",)):
        called = call(command[0], "loans", *command[1:], "--store", copied.url)
        assert (called.code, "history/1.json is gone" in called.err) == (66, True), called.err
    assert call("history", "loans", "--store", copied.url).out.splitlines()[1].startswith("2 ")
    done = copied.run(days=THIRD, file=FOREVER)
    assert done.code == 0, done
    assert copied.champion.previous == version


@pytest.fixture(scope="module")
def two_moves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves what all of them begin with."""
    return tmp_path_factory.mktemp("two-moves") / "loans"


@pytest.fixture
def copied(case: Case, two_moves: Path) -> Case:
    """A copy with two moves of the champion and an exclusion."""
    if not two_moves.exists():
        call("exclude", "loans", "--where", EXCLUDED, "--reason", "x", "--store", case.url)
        case.good(file=FOREVER)
        shutil.copytree(case.folder, two_moves)
    there = Case(case.dsn, file_url(case.scratch / "there" / "store"), case.scratch / "there")
    shutil.copytree(two_moves, there.folder)
    return there

"""A process of a run is killed at each of its effects in turn; the next `refit run` leaves all as if it never was."""

import shutil
import signal
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from refit.core import registry
from refit.core.context import read_manifest
from refit.core.domain import EvaluateManifest, ExtractManifest, TrainManifest
from refit.core.store import ObjectStore, open_store
from refit.demo.postgres import on_database
from tests.faults.case import trust
from tests.fixtures import invariants, loans
from tests.fixtures.forked import Job, run
from tests.fixtures.postgres import execute

FIRST, SECOND = loans.at(42), loans.at(63)
SHARDS = 4


@dataclass(frozen=True)
class World:
    """A store with a champion of FIRST, and what a run at SECOND does there when nobody kills it."""

    dsn: str
    before: Path
    passed: tuple[str, ...]
    champion: dict[str, object]


def pipeline_store(folder: Path) -> ObjectStore:
    return open_store(f"file://{folder}").under("loans/")


def copy(before: Path, folder: Path) -> None:
    """The store stands in `folder`, and is known to honour conditions."""
    shutil.copytree(before, folder)
    trust(f"file://{folder}")


def job(dsn: str, folder: Path, at: datetime, name: str, kill_at: int | None = None) -> Job:
    passed = folder.parent / f"{folder.name}-{name}"
    return Job(f"file://{folder}", dsn, loans.FILE, at, passed, kill_at)


def champion_facts(store: ObjectStore) -> dict[str, object]:
    """What must be the same whether a run was killed or not: all of the champion but its name and times."""
    found = registry.read_champion(store)
    assert found is not None
    version = found[0].version
    extract = read_manifest(store, version, "extract", ExtractManifest)
    train = read_manifest(store, version, "train", TrainManifest)
    evaluate = read_manifest(store, version, "evaluate", EvaluateManifest)
    assert extract is not None
    assert train is not None
    assert evaluate is not None
    return {
        "as_of": found[0].as_of,
        "snapshot": extract.rows.snapshot,
        "trained": (train.rows, train.trained_from, train.trained_until),
        "clean": evaluate.rows_clean,
        "scores": evaluate.scores["candidate"],
        "verdict": evaluate.verdict.result,
    }


@pytest.fixture(scope="module")
def world(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    execute(postgres, "CREATE DATABASE crash")
    dsn = on_database(postgres, "crash")
    loans.load(dsn)
    before = tmp_path_factory.mktemp("crash") / "before"
    assert run(job(dsn, before, FIRST, "first")) == 0
    whole = before.parent / "whole"
    copy(before, whole)
    second = job(dsn, whole, SECOND, "second")
    assert run(second) == 0
    store = pipeline_store(whole)
    invariants.check(store)
    assert [move.as_of for move in registry.read_history(store)] == [FIRST, SECOND]
    return World(dsn, before, tuple(second.passed.read_text().splitlines()), champion_facts(store))


def moments(passed: tuple[str, ...]) -> list[int]:
    """The moments to be killed at: before each effect, and after those that a process does last.

    After any other effect the store is as it is before the next one.
    """
    following = (*passed[1:], "the end")
    ends = {number for number, moment in enumerate(following) if "/logs/" in moment or moment == "the end"}
    return [number for number, moment in enumerate(passed) if moment.startswith("before") or number in ends]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_run_killed_at_any_effect_is_made_good_by_the_next(world: World, tmp_path: Path, shard: int) -> None:
    chosen = moments(world.passed)
    assert len(chosen) > 30
    for number in chosen[shard::SHARDS]:
        folder = tmp_path / str(number)
        copy(world.before, folder)
        told = f"killed {world.passed[number]} (effect {number})"
        run(job(world.dsn, folder, SECOND, "killed", number))
        assert run(job(world.dsn, folder, SECOND, "next")) == 0, told
        store = pipeline_store(folder)
        invariants.check(store)
        assert champion_facts(store) == world.champion, told
        shutil.rmtree(folder)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_run_asked_to_end_at_any_effect_repeats_the_step_or_is_made_good_by_the_next(
    world: World, tmp_path: Path, shard: int
) -> None:
    codes = set()
    for number in moments(world.passed)[shard::SHARDS]:
        folder = tmp_path / str(number)
        copy(world.before, folder)
        told = f"asked at {world.passed[number]} (effect {number})"
        code = run(replace(job(world.dsn, folder, SECOND, "asked", number), kill_with=signal.SIGTERM))
        assert code in (0, 143), told
        if code:
            assert run(job(world.dsn, folder, SECOND, "next")) == 0, told
        store = pipeline_store(folder)
        invariants.check(store)
        assert champion_facts(store) == world.champion, told
        codes.add(code)
        shutil.rmtree(folder)
    assert codes == {0, 143}, "some in a step, some in the run's own process"


def test_the_effects_of_a_run_are_those_that_the_design_names(world: World) -> None:
    text = "\n".join(world.passed)
    for expected in ("run.json", "extract.json", "train.json", "evaluate.json", "publish.json", "outcome.json"):
        assert expected in text
    for expected in ("refs/lock.json", "refs/snapshot.json", "refs/champion.json", "refs/verdict.json"):
        assert expected in text
    for expected in ("versions/", "history/2.json", "part-", "model.skops", "report.html", "copy"):
        assert expected in text

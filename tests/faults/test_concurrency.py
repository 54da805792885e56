"""Two runs at once: one waits or gives way, each move of the champion is one generation, and no dead run blocks."""

import os
import time
from pathlib import Path

import pytest

from refit.core import keys
from refit.core.domain import LockRef
from refit.core.lock import TTL_SECONDS
from refit.core.runs import read_outcome
from tests.faults.case import SECOND, THIRD, Case, failed_as
from tests.faults.gates import Gate, has_ended, wait_until
from tests.fixtures import invariants


@pytest.fixture
def gate(case: Case) -> Gate:
    return Gate(case.scratch, "before sql copy")


def holder_of(case: Case) -> LockRef:
    return LockRef.from_json(case.store.get(keys.ref("lock")), "lock")


def test_a_second_run_waits_for_the_first_and_both_end_well(case: Case, gate: Gate) -> None:
    first = case.start(inject=gate.inject)
    gate.wait_until_reached()
    second = case.start(days=THIRD)
    wait_until(case.waits.exists, "the second run waits")
    gate.open()
    ended = [first.done(), second.done()]
    assert [done.code for done in ended] == [0, 0]
    assert [done.outcome and done.outcome.outcome for done in ended] == ["promoted", "promoted"]
    assert ended[1].outcome is not None
    assert ended[0].outcome is not None
    assert ended[1].outcome.previous_champion == ended[0].outcome.version
    assert case.champion.generation == 3
    assert holder_of(case).holder is None
    invariants.check(case.store)


def test_a_second_run_that_does_not_wait_ends_with_79_and_leaves_no_record(case: Case, gate: Gate) -> None:
    first = case.start(inject=gate.inject)
    gate.wait_until_reached()
    runs = case.runs
    refused = case.run(wait_seconds=0.0)
    failed_as(refused, 79, "superseded LockBusy", runs[-1], "is going on", "--wait")
    assert refused.outcome is None
    assert case.runs == runs
    gate.open()
    assert first.done().code == 0
    assert case.champion.version == runs[-1]
    invariants.check(case.store)


def test_of_runs_that_start_in_one_moment_each_ends_well_and_one_moves_the_champion(case: Case) -> None:
    started = [case.start(wait_seconds=60.0) for _ in range(3)]
    ended = [one.done() for one in started]
    assert [done.code for done in ended] == [0, 0, 0]
    assert sorted(done.outcome.outcome for done in ended if done.outcome) == ["promoted", "skipped", "skipped"]
    assert case.champion.generation == 2
    invariants.check(case.store)


def test_the_run_of_a_killed_lock_holder_is_settled_at_once(case: Case, gate: Gate) -> None:
    first = case.start(inject=gate.inject)
    step = gate.wait_until_reached()
    dead, before = case.runs[-1], case.champion_body
    first.process.kill()
    assert first.done().code == -9
    wait_until(lambda: has_ended(step), "its step has ended with it")
    assert case.champion_body == before
    case.good(wait_seconds=0.0)
    outcome = read_outcome(case.store, dead)
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.outcome, outcome.error.error_class, outcome.exit_code) == ("failed", "killed", 75)


@pytest.mark.parametrize("effect", ["before sql copy", "before create versions/", "before swap refs/champion.json"])
def test_a_run_that_was_thought_dead_comes_back_and_moves_nothing(case: Case, tmp_path: Path, effect: str) -> None:
    gate = Gate(tmp_path, effect)
    zombie = case.start(inject=gate.inject)
    gate.wait_until_reached()
    thought_dead = case.runs[-1]
    lock = case.folder / keys.ref("lock")
    os.utime(lock, (time.time() - TTL_SECONDS - 1,) * 2)  # as if its machine had stood still
    promoted = case.good(days=SECOND + 1, wait_seconds=0.0)
    gate.open()
    done = zombie.done()
    assert done.code == 75  # of the outcome that the other run wrote for it
    assert case.champion.version == promoted.version
    assert case.champion.generation == 2
    outcome = read_outcome(case.store, thought_dead)
    assert outcome is not None
    assert outcome.outcome == "failed"
    invariants.check(case.store)
    case.good(days=THIRD)

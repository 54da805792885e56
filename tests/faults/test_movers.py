"""People who move the champion, exclude rows or collect waste at the same moment as a run or as one another."""

from collections.abc import Sequence
from typing import Any

import pytest

from refit.core.domain import Outcome
from refit.core.runs import read_outcome
from tests.faults.case import THIRD, Case
from tests.faults.conftest import LIVED
from tests.faults.gates import Gate, Turnstile
from tests.faults.lived import Lived
from tests.fixtures import invariants
from tests.fixtures.calls import Called
from tests.fixtures.commands import Answer

WHY = ("--reason", "looked at it")
MOVES = ("create history/", "swap refs/champion.json", "create history/")
"""What a move does, in this order."""


def at(world: Lived, number: int, *words: str, then: Sequence[str]) -> tuple[Called, Answer]:
    """The answers of the second command, called at this effect of the first, and of the first one after it."""
    gate = Turnstile(world.case.scratch)
    calling = world.case.calls(*world.words(words), inject=gate.inject)
    second: Called | None = None
    for passed, _ in enumerate(gate.stops(lambda: not calling.process.is_alive())):
        if passed == number:
            second = world.call(*then)
    assert second is not None, f"there is no effect {number}"
    return second, calling.done()


@pytest.fixture
def world(lived: Case) -> Lived:
    found = Lived.of(lived)
    assert lived.champion.version == found.champion
    assert lived.champion.generation == 2
    return found


ROLLBACK = ("rollback", "loans", *WHY)
PROMOTE = ("promote", "loans", "@newest", *WHY)
ROLLED, PROMOTED = ("rollback", "first"), ("promote", "newest")


@pytest.mark.parametrize(
    ("first", "second", "then"),
    [
        pytest.param(ROLLBACK, ROLLBACK, [ROLLED], id="rollback, rollback"),
        pytest.param(ROLLBACK, PROMOTE, [PROMOTED], id="rollback, promote"),
        pytest.param(PROMOTE, ROLLBACK, [ROLLED], id="promote, rollback"),
        pytest.param(PROMOTE, ("promote", "loans", "@waste", *WHY), [("promote", "waste")], id="promote, promote"),
    ],
)
def test_of_two_people_who_move_the_champion_the_second_is_told(
    world: Lived, first: Sequence[str], second: Sequence[str], then: list[tuple[str, str]]
) -> None:
    for number, effect in enumerate(MOVES):
        copy = world.copied(number)
        one, other = at(copy, number, *first, then=second)
        if number < 2:
            assert (one.code, other.code) == (0, 79), (effect, other)
            assert "at this moment" in other.err
            assert copy.moves(2) == then
        else:  # the first one's move stood already
            assert other.code == 0
            alone = world.copied("alone")
            assert alone.call(*first).code == 0
            assert alone.call(*second).code == one.code
            assert copy.moves(2) == alone.moves(2)
        copy.check()


CHANGES = {
    "exclude": (("exclude", "loans", "--where", "loan_id = 1100", *WHY), "exclusions"),
    "quarantine": (("quarantine", "drop", "loans", "@waste", *WHY), "bad rows"),
}


@pytest.mark.parametrize(("words", "told"), CHANGES.values(), ids=CHANGES)
def test_of_two_people_who_decide_about_rows_the_second_is_told(world: Lived, words: Sequence[str], told: str) -> None:
    other = [word.replace("1100", "1101").replace("drop", "release") for word in words]
    one, answer = at(world, 0, *words, then=other)
    assert (one.code, answer.code) == (0, 79), (one.err, answer)
    assert told in answer.err and "nothing was changed by this command" in answer.err
    assert world.call(*words).code == 0


def test_a_version_that_gc_takes_while_a_person_promotes_it_stands_again(world: Lived) -> None:
    words = ("promote", "loans", "@waste", *WHY)
    for number, _ in enumerate(MOVES):
        copy = world.copied(number)
        one, other = at(copy, number, *words, then=("gc", "loans"))
        assert (one.code, other.code) == (0, 0)
        assert copy.case.champion.version == copy.waste
        copy.check()


@pytest.mark.parametrize("words", [("promote", "loans", "@waste"), ("rollback", "loans", "--to", "@waste")])
def test_a_version_that_a_person_promotes_while_gc_takes_it_stays_or_is_gone_before(
    world: Lived, words: Sequence[str]
) -> None:
    found = []
    for number, _ in enumerate(("swap the lock", "delete the version", "free the lock")):
        copy = world.copied(number)
        one, other = at(copy, number, "gc", "loans", then=(*words, *WHY))
        found.append((one.code, other.code))
        assert (copy.case.champion.version == copy.waste) == (one.code == 0)
        copy.check()
    assert found == [(0, 0), (0, 79), (64, 0)]


@pytest.mark.parametrize("effect", ["swap refs/lock", "delete history/2", "delete refs/champion", "delete versions/"])
def test_a_person_who_moves_the_champion_while_a_pipeline_is_deleted_leaves_nothing_behind(
    world: Lived, effect: str
) -> None:
    gate = Gate(world.case.scratch, f"before {effect}")
    calling = world.case.calls("delete", "loans", "--yes", inject=gate.inject)
    gate.wait_until_reached()
    assert world.call(*PROMOTE).code == 0
    gate.open()
    assert calling.done().code == 0
    assert not list(world.case.store.list(""))


@pytest.mark.parametrize(
    "words", [PROMOTE, ROLLBACK, ("release", "loans", *WHY)], ids=["promote", "rollback", "release"]
)
@pytest.mark.parametrize("place", range(3), ids=MOVES)
def test_a_person_who_stood_still_while_a_pipeline_was_deleted_leaves_nothing_behind(
    world: Lived, words: Sequence[str], place: int
) -> None:
    if words[0] == "release":
        assert world.call(*ROLLBACK).code == 0
    one, other = at(world, place, *words, then=("delete", "loans", "--yes"))
    assert (one.code, other.code) == (0, 79), other
    assert "at this moment" in other.err
    assert not list(world.case.store.list(""))


def test_a_version_that_gc_took_stands_no_more_when_the_pipeline_was_deleted_before_it_is_put_back(
    world: Lived,
) -> None:
    gate = Turnstile(world.case.scratch)
    calling = world.case.calls(*world.words(("promote", "loans", "@waste", *WHY)), inject=gate.inject)
    for effect in gate.stops(lambda: not calling.process.is_alive()):
        if effect == MOVES[1]:
            assert world.call("gc", "loans").code == 0
        elif effect.startswith("create versions/"):
            assert world.call("delete", "loans", "--yes").code == 0
    assert calling.done().code == 79
    assert not list(world.case.store.list(""))


def publishing(world: Lived) -> str:
    """A run whose publish is still to come; its coordinator was killed."""
    gate = Gate(world.case.scratch, "before create versions/")
    going_on = world.case.start(days=THIRD, file=LIVED, inject=gate.inject)
    gate.wait_until_reached()
    going_on.process.kill()
    going_on.done()
    return world.case.runs[-1]


@pytest.mark.parametrize("second", [ROLLBACK, PROMOTE, CHANGES["exclude"][0]], ids=["rollback", "promote", "exclude"])
def test_a_person_who_acts_while_a_run_publishes_comes_before_it_or_after_it(
    world: Lived, second: Sequence[str]
) -> None:
    run_id = publishing(world)
    words = ("step", "publish", "--pipeline", "loans", "--run-id", run_id)
    effects = ("create versions/", *MOVES, "swap refs/verdict.json", "create publish.json", "put attempt.json")
    by_hand = [] if second[0] == "exclude" else [ROLLED if second is ROLLBACK else PROMOTED]
    checked = 1 if second[0] == "exclude" else 3  # from this effect on it is too late to step back
    for number, effect in enumerate(effects):
        copy = world.copied(number)
        one, other = at(copy, number, *words, then=second)
        assert (one.code, other.code) == (0, 79 if number < checked else 0), (effect, one.err, other)
        if number >= checked and second is ROLLBACK:
            by_hand = [("rollback", "champion")]  # the one before the run's
        assert copy.moves(2) == ([("publish", "run")] if number >= checked else []) + by_hand, effect
        copy.check()


STAGES = {"train.json": "awaiting_approval", "evaluate.json": "superseded", "outcome.json": "promoted"}


@pytest.mark.parametrize(("effect", "expected"), STAGES.items(), ids=STAGES)
def test_a_rollback_during_a_run_stays_what_it_was(world: Lived, effect: str, expected: str) -> None:
    outcome = rolled_back_at(world, effect)
    assert outcome.outcome == expected
    back = ("rollback", "champion") if expected == "promoted" else ROLLED
    assert world.moves(2) == [*([("publish", "run")] if expected == "promoted" else []), back]
    invariants.check(world.case.store)


def rolled_back_at(world: Lived, effect: str, **how: Any) -> Outcome:
    case, gate = world.case, Gate(world.case.scratch, effect)
    going_on = case.start(days=THIRD, file=LIVED, inject=gate.inject, **how)
    gate.wait_until_reached()
    run_id = case.runs[-1]
    assert world.call(*ROLLBACK).code == 0
    gate.open()
    going_on.done()
    outcome = read_outcome(case.store, run_id)
    assert outcome is not None
    return outcome

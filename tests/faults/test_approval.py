"""Where a person decides: approval by hand, a rollback and its hold, and their end."""

from datetime import UTC, datetime

from refit.core import hand, registry
from refit.core.domain import Outcome
from tests.faults.case import SECOND, THIRD, Case, edited

BY_HAND = edited(publish={"approval": "manual"})
WHO = {"who": "a person", "why": "looked at it"}


def was_accepted(outcome: Outcome) -> bool:
    return outcome.verdict is not None and outcome.verdict.result == "accepted"


def test_with_approval_by_hand_no_run_moves_the_champion_and_the_next_one_is_held_against_the_promoted(
    case: Case,
) -> None:
    first = case.champion
    waiting = case.good("awaiting_approval", file=BY_HAND)
    assert was_accepted(waiting)
    assert case.champion == first
    case.promote(waiting.version)
    assert (case.champion.version, case.champion.previous) == (waiting.version, first.version)
    after = case.run(days=THIRD, file=BY_HAND)
    assert after.outcome is not None
    assert case.evaluate_of(after.outcome).baseline == waiting.version
    assert case.champion.version == waiting.version
    assert [move.kind for move in registry.read_history(case.store)] == ["publish", "promote"]


def test_after_a_rollback_accepted_candidates_wait_until_the_hold_is_lifted(case: Case) -> None:
    first = case.champion.version
    left = case.good("promoted", days=56).version
    hand.rollback(case.store, None, now=datetime.now(UTC), **WHO)
    assert (case.champion.version, case.champion.barred) == (first, (left,))

    waiting = case.good("awaiting_approval", days=SECOND)
    assert was_accepted(waiting)
    assert case.champion.version == first

    hand.release(case.store, now=datetime.now(UTC), **WHO)
    assert case.champion.version == first
    promoted = case.good("promoted", days=THIRD)
    assert (case.champion.version, case.champion.previous) == (promoted.version, first)
    kinds = [move.kind for move in registry.read_history(case.store)]
    assert kinds == ["publish", "publish", "rollback", "release", "publish"]


def test_a_version_that_waited_can_still_be_promoted_after_a_rollback_and_lifts_the_hold(case: Case) -> None:
    case.good("promoted", days=56)
    hand.rollback(case.store, None, now=datetime.now(UTC), **WHO)
    waiting = case.good("awaiting_approval", days=SECOND)
    case.promote(waiting.version)
    assert case.champion.hold is None
    after = case.run(days=THIRD).outcome
    assert after is not None
    assert after.outcome == ("promoted" if was_accepted(after) else "rejected")

"""No history of runs spends more than the budget (gate.md sections 3 and 10.3)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refit.evaluate.looks import share

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def alpha(days: float, *, last: float | None = None, budget: float = 1.0, tries: int = 1) -> float | None:
    look = share(
        at(days),
        last_look=None if last is None else at(last),
        champion_as_of=START,
        false_promotions_per_year=budget,
        confidence=0.95,
        tries=tries,
    )
    return look.alpha if look else None


def test_a_weekly_look_spends_a_weeks_share() -> None:
    assert alpha(21, last=14) == pytest.approx(0.0192, abs=5e-5)


def test_the_first_look_counts_from_the_champions_as_of() -> None:
    assert alpha(7) == pytest.approx(7 / 365)


def test_a_long_pause_earns_no_more_than_one_look_at_the_least_confidence() -> None:
    assert alpha(300, last=14) == pytest.approx(0.05)


def test_two_tries_share_a_look() -> None:
    assert alpha(21, last=14, tries=2) == pytest.approx(7 / 365 / 2)


def test_the_strict_budget_spends_a_twentieth() -> None:
    assert alpha(21, last=14, budget=0.05) == pytest.approx(0.05 * 7 / 365)


@pytest.mark.parametrize("days", [14.0, 13.0], ids=["the same as_of again", "a backfill"])
def test_no_time_since_the_last_look_buys_nothing(days: float) -> None:
    assert alpha(days, last=14) is None


def test_the_first_model_meets_the_dummy_at_the_confidence() -> None:
    look = share(START, last_look=None, champion_as_of=None, false_promotions_per_year=0.05, confidence=0.95)
    assert look is not None
    assert look.days is None
    assert look.alpha == pytest.approx(0.05)


@given(
    runs=st.lists(st.tuples(st.floats(0.0, 800.0), st.booleans(), st.booleans()), max_size=60),
    budget=st.floats(0.01, 20.0),
    tries=st.integers(1, 3),
)
def test_alpha_sums_to_no_more_than_the_budget_whatever_the_history(
    runs: list[tuple[float, bool, bool]], budget: float, tries: int
) -> None:
    """Runs in any order of as_of: reruns, backfills, runs that found too little data, rollbacks of the champion.

    A rollback may bring back a champion with an older as_of; the last look stays (publish never moves it back).
    """
    spent, last_look, champion, newest = 0.0, None, START, START
    for days, looked, rolled_back in runs:
        look = share(
            at(days),
            last_look=last_look,
            champion_as_of=champion,
            false_promotions_per_year=budget,
            confidence=0.95,
            tries=tries,
        )
        newest = max(newest, at(days))
        if look is None or not looked:
            continue
        spent += tries * look.alpha
        last_look = look.as_of
        champion = START if rolled_back else look.as_of
    assert spent <= budget * ((newest - START) / timedelta(days=365)) + 1e-9

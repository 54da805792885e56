"""Rows that are not independent: entities stay on one side, and what a model has seen of one judges nothing."""

from typing import Any

import pytest

from refit.core.context import read_manifest
from refit.core.domain import Outcome, TrainManifest
from tests.faults.case import FIRST, SECOND, THIRD, Case, edited
from tests.fixtures import loans

REPEATING = "SELECT *, loan_id / 100 * 10 + loan_id % 7 AS customer FROM loans"
"""Each customer has some 14 loans of two or three days."""
FOREVER = "SELECT *, CASE WHEN loan_id % 3 = 0 THEN loan_id % 30 ELSE -loan_id END AS customer FROM loans"
"""A third of the loans are of ten customers who never leave, each of the others of a customer of its own."""
BY_CUSTOMER = ["customer"]


def of_customers(query: str, **split: Any) -> bytes:
    return edited(source={"query": query}, split=split | {"by": BY_CUSTOMER})


def customers(case: Case, outcome: Outcome, file: bytes, side: Any) -> set[int]:
    return {customer for (customer,) in case.rows(outcome, "customer", file=file, side=side)}


def ended(case: Case, file: bytes, days: float) -> Outcome:
    done = case.run(days=days, file=file)
    assert done.outcome is not None, done
    assert done.code == 0, done
    return done.outcome


def test_a_hash_split_by_customer_never_moves_one_and_counts_customers_as_units(empty: Case) -> None:
    file = of_customers(REPEATING, kind="hash", holdout=0.3, salt="pepper", stratify=True)
    sides: list[tuple[set[int], set[int]]] = []
    for days in (FIRST, SECOND):
        outcome = ended(empty, file, days)
        train, held = (customers(empty, outcome, file, side) for side in ("train", "holdout"))
        assert not train & held
        sides.append((train, held))
        assert outcome.verdict is not None
        for check in outcome.verdict.checks:
            assert (check.entities, check.rows) == (len(held), outcome.rows.clean)
        assert outcome.rows.clean == outcome.rows.holdout
    assert not sides[0][0] & sides[1][1] and not sides[0][1] & sides[1][0]
    trained = read_manifest(empty.store, empty.runs[-1], "train", TrainManifest)
    assert trained is not None
    assert "customer" not in trained.columns


def test_a_time_split_by_customer_judges_on_customers_whom_no_model_knows(empty: Case) -> None:
    file = of_customers(FOREVER, kind="time", holdout="14d")
    known: set[int] = set()
    for days in (FIRST, SECOND):
        outcome = ended(empty, file, days)
        known |= customers(empty, outcome, file, "train")
        held = empty.rows(outcome, "customer", "loan_id", file=file, side="holdout")
        clean = [customer for customer, _ in held if customer not in known]
        assert 0 < len(clean) < len(held) == outcome.rows.holdout
        assert outcome.rows.clean == len(clean)
        assert all(customer < 0 for customer in clean)


def test_most_rows_of_known_customers_are_a_warning_and_none_else_an_error(empty: Case) -> None:
    most = FOREVER.replace("% 3 = 0", "% 3 < 2")
    outcome = ended(empty, of_customers(most, holdout="14d"), SECOND)
    told = "373 of the 560 held-out rows share customer (split.by) with rows that a model was trained on"
    assert any(told in warning and "kind: hash" in warning for warning in outcome.warnings), outcome.warnings
    every = of_customers(FOREVER.replace("% 3 = 0", "% 3 < 3"), holdout="14d")
    empty.refused(65, "data NoCleanRows", "all 559 held-out rows share customer", "kind: hash", file=every, days=THIRD)


def test_a_champion_whose_rows_tell_no_customer_is_compared_by_key_with_a_warning(case: Case) -> None:
    champion = case.champion.version
    outcome = ended(case, of_customers(REPEATING, kind="hash", holdout=0.3), SECOND)
    assert case.evaluate_of(outcome).baseline == champion
    assert any("do not tell customer (split.by)" in warning for warning in outcome.warnings)
    assert 0 < (outcome.rows.clean or 0) < (outcome.rows.holdout or 0)


def test_a_rare_class_that_chance_left_out_of_the_holdout_is_told(empty: Case) -> None:
    file = edited(split={"kind": "hash", "holdout": 0.3, "stratify": True})
    even = ended(empty, file, FIRST)
    assert not any("are held out" in warning for warning in even.warnings)
    held = {loan for (loan,) in empty.rows(even, "loan_id", file=file, side="holdout")}
    kept = sorted(set(range(1600)) - held)[:200]
    empty.sql(f"UPDATE loans SET defaulted = loan_id = ANY(ARRAY{kept})")
    uneven = ended_or_refused(empty, file)
    assert any("0 of the" in warning and "class True" in warning and "30%" in warning for warning in uneven)


def ended_or_refused(case: Case, file: bytes) -> tuple[str, ...]:
    """The warnings of the training step, however the run ended."""
    case.run(days=FIRST, file=file, full_refresh=True)
    trained = read_manifest(case.store, case.runs[-1], "train", TrainManifest)
    assert trained is not None
    return trained.warnings


@pytest.mark.parametrize("days_back", [3, 20], ids=["after the cut", "before the cut"])
def test_an_updated_old_row_is_no_clean_row(case: Case, days_back: int) -> None:
    first_unread = FIRST * loans.ROWS_PER_DAY + 1
    case.sql(
        f"UPDATE loans SET applied_at = applied_at + interval '{SECOND - 5 - FIRST + days_back} days'"
        f" WHERE loan_id BETWEEN {first_unread - 40 * days_back} AND {first_unread - 40 * days_back + 9}"
    )
    outcome = ended(case, loans.FILE, SECOND)
    updated = set(range(first_unread - 40 * days_back, first_unread - 40 * days_back + 10))
    standing = {loan for loan, at in case.rows(outcome, "loan_id", "applied_at") if at > loans.at(SECOND - 14)}
    assert updated <= standing  # their newest cursor lies in the holdout
    held = {loan for (loan,) in case.rows(outcome, "loan_id", side="holdout")}
    assert held == standing - updated
    assert (outcome.rows.holdout, outcome.rows.clean) == (len(held), len(held))

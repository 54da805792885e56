"""What a promotion promised is looked back at on rows that neither model has seen, and decides nothing."""

import html

import pandas as pd
import pytest
from sklearn.metrics import log_loss

from refit.core import registry
from refit.core.domain import FitOn, Outcome, Promise
from refit.ml.persist import load
from tests.faults.case import FIRST, SECOND, Case, edited
from tests.fixtures import loans

ALL = edited(publish={"fit_on": "all"})
LAST = SECOND + 7
"""Two weeks after SECOND − 7, where these tests promote a second time: enough days to tell."""


def promise_of(case: Case, outcome: Outcome) -> Promise:
    promise = case.evaluate_of(outcome).promise
    assert promise is not None
    return promise


def report(case: Case, outcome: Outcome) -> str:
    return html.unescape(case.store.get(case.evaluate_of(outcome).report.key).decode())


def test_a_first_champion_has_promised_nothing(case: Case) -> None:
    second = case.good(days=SECOND - 7)
    assert case.evaluate_of(second).promise is None
    assert "promise" not in report(case, second)


def test_a_promise_is_held_against_the_rows_newer_than_both_models(case: Case) -> None:
    first, second = case.champion.version, case.good(days=SECOND - 7)
    third = case.good(days=LAST)
    promise = promise_of(case, third)
    assert (promise.version, promise.over) == (second.version, first)
    assert second.verdict is not None
    assert promise.promised == second.verdict.checks[0]
    assert promise.found is not None
    assert promise.found.result == "accepted"
    assert promise.reason.startswith("it holds on 559 newer rows: neg_log_loss is ")
    rows = case.rows(third, "income", "amount", "region", "defaulted", "applied_at")
    newer = [row for row in rows if row[4] > loans.at(SECOND - 7)]
    assert len(newer) == promise.found.rows
    assert promise.found.gain == pytest.approx(loss(case, first, newer) - loss(case, second.version, newer))
    assert promise.reason in report(case, third)


def test_with_promotions_every_week_the_one_before_the_last_is_looked_back_at(case: Case) -> None:
    first, second = case.champion.version, case.good(days=SECOND - 7)
    case.good()
    promise = promise_of(case, case.good(days=LAST))
    assert (promise.version, promise.over) == (second.version, first)


@pytest.mark.parametrize(
    ("file", "fit_on"),
    [(loans.FILE, "all"), (ALL, "evaluated")],
    ids=["what was in production", "what the gate compared"],
)
def test_the_model_that_was_held_against_is_looked_back_at(empty: Case, file: bytes, fit_on: FitOn) -> None:
    first = empty.good(days=FIRST, file=ALL)
    assert empty.champion.fit_on == "all"
    second = empty.run(days=SECOND - 7, file=file).outcome or pytest.fail("no run")
    if empty.champion.version != second.version:
        empty.promote(second.version)
    third = empty.run(days=LAST, file=loans.FILE).outcome or pytest.fail("no run")
    promise = promise_of(empty, third)
    assert (promise.version, promise.over) == (second.version, first.version)
    assert promise.found is not None
    rows = empty.rows(third, "income", "amount", "region", "defaulted", "applied_at")
    newer = [row for row in rows if row[4] > loans.at(SECOND - 7)]
    gains = {
        kind: loss(empty, first.version, newer, kind) - loss(empty, second.version, newer)
        for kind in ("evaluated", "all")
    }
    assert gains["evaluated"] != pytest.approx(gains["all"])
    assert promise.found.gain == pytest.approx(gains[fit_on])


@pytest.mark.parametrize("days", [SECOND - 27, SECOND - 10], ids=["that trained", "that judged"])
def test_rows_of_then_that_come_back_updated_are_not_newer(case: Case, days: int) -> None:
    """Of one day among the promoted version's training rows, or of one among its held-out rows."""
    case.good(days=SECOND - 7)
    day = f"applied_at > '{loans.at(days)}' AND applied_at <= '{loans.at(days + 1)}'"
    case.sql(f"UPDATE loans SET applied_at = '{loans.at(LAST - 3)}', defaulted = NOT defaulted WHERE {day}")
    third = case.run(days=LAST).outcome or pytest.fail("no run")
    newer = [at for (at,) in case.rows(third, "applied_at") if at > loans.at(SECOND - 7)]
    promise = promise_of(case, third)
    assert len(newer) == 559 + loans.ROWS_PER_DAY
    assert promise.found is not None
    assert promise.found.rows == 559


def test_a_label_that_was_not_known_then_is_a_newer_row(case: Case) -> None:
    day = f"applied_at > '{loans.at(SECOND - 10)}' AND applied_at <= '{loans.at(SECOND - 9)}'"
    case.sql("ALTER TABLE loans ADD COLUMN late boolean", f"UPDATE loans SET late = defaulted WHERE {day}")
    case.sql("UPDATE loans SET defaulted = NULL WHERE late IS NOT NULL")
    query = {"query": "SELECT loan_id, applied_at, income, amount, region, defaulted FROM loans"}
    second = case.run(days=SECOND - 7, file=edited(source=query)).outcome or pytest.fail("no run")
    if case.champion.version != second.version:
        case.promote(second.version)
    case.sql(f"UPDATE loans SET applied_at = '{loans.at(LAST - 3)}', defaulted = late WHERE late IS NOT NULL")
    promise = promise_of(case, case.run(days=LAST, file=edited(source=query)).outcome or pytest.fail("no run"))
    assert promise.found is not None
    assert promise.found.rows == 559 + loans.ROWS_PER_DAY


def loss(case: Case, version: str | None, rows: list[tuple[object, ...]], fit_on: FitOn = "evaluated") -> float:
    assert version is not None
    model = load(case.store.get(registry.read_version(case.store, version).model_of(fit_on).key))
    frame = pd.DataFrame([row[:3] for row in rows], columns=["income", "amount", "region"])
    return float(log_loss([row[3] for row in rows], model.predict_proba(frame)))


def test_a_promise_that_new_rows_belie_is_said_to_be_broken(case: Case) -> None:
    case.good(days=SECOND - 7)
    case.sql(f"UPDATE loans SET defaulted = false WHERE applied_at > '{loans.at(SECOND - 7)}' AND loan_id % 5 > 0")
    promise = promise_of(case, case.run(days=LAST).outcome or pytest.fail("no run"))
    assert promise.found is not None
    assert promise.found.result == "rejected"
    assert "it is broken on 559 newer rows" in promise.reason


def test_too_few_days_leave_it_open(case: Case) -> None:
    case.good()
    promise = promise_of(case, case.good(days=LAST))
    assert promise.reason == "it is open on 279 newer rows: too little data: 7 days of clean rows, 10 are needed"


def test_a_replaced_version_that_is_gone_costs_only_the_look_back(case: Case) -> None:
    first = registry.read_version(case.store, case.champion.version)
    case.good(days=SECOND - 7)
    (case.folder / first.model.key).unlink()
    case.harmed.add(first.model.key)
    promise = promise_of(case, case.good(days=LAST))
    assert promise.found is None
    assert "cannot be told" in promise.reason
    assert first.version in promise.reason

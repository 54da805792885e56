"""Rows left out by hand: the runs after it learn, judge and count without them, and a run under way steps back."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from refit.core import exclusions, keys
from refit.core.domain import Outcome
from refit.core.effects import Moment
from refit.core.store import open_store
from tests.faults.case import FIRST, SECOND, THIRD, Case, edited
from tests.fixtures import loans
from tests.fixtures.calls import Called, call

FLIP = "UPDATE loans SET defaulted = NOT defaulted"
PER_DAY = loans.ROWS_PER_DAY
FLIPPED = f"applied_at between '{loans.at(49).isoformat()}' and '{loans.at(56).isoformat()}'"


def exclude(case: Case, where: str) -> Called:
    called = call("exclude", "loans", "--where", where, "--reason", "a broken join", "--store", case.url)
    assert called.code == 0, called.err
    return called


def undo(case: Case, *words: str) -> Called:
    called = call("exclude", "loans", "--undo", *words, "--reason", "it was right", "--store", case.url)
    assert called.code == 0, called.err
    return called


def ended(case: Case, **how: Any) -> Outcome:
    done = case.run(**how)
    assert done.outcome is not None, done
    assert done.code == 0, done
    return done.outcome


def test_an_exclusion_settles_labels_that_contradict_and_the_next_run_goes_on_by_itself(case: Case) -> None:
    case.sql(f"{FLIP} WHERE applied_at >= '{loans.at(49)}' AND applied_at <= '{loans.at(56)}'")
    case.awaits("contradict the older ones", "refit exclude", days=56)
    called = exclude(case, FLIPPED)
    rows = 7 * PER_DAY + 1
    share = f"{rows} of the {42 * PER_DAY:,} rows in the window"
    assert called.out == f"exclusion 1 leaves {share} out of loans from the next run on\n"
    again = ended(case, days=56)
    assert again.outcome == "rejected"  # nothing was read, and no day has passed since the last look
    assert again.rows.snapshot == 42 * PER_DAY - rows
    promoted = case.good("promoted", days=THIRD)
    assert (promoted.rows.holdout, promoted.rows.clean) == (14 * PER_DAY - 1, 14 * PER_DAY - 1)
    assert not any(check.shifted for check in case.evaluate_of(promoted).shift)


def test_training_holdout_clean_rows_and_counts_leave_excluded_rows_out(case: Case) -> None:
    exclude(case, "loan_id in (1100, 1101) and region is not null")
    exclude(case, f"applied_at > '{loans.at(60).isoformat()}' and income > 0")
    outcome = case.good(days=SECOND)
    kept = case.rows(outcome, "loan_id", "income", "applied_at")
    assert not {1100, 1101} & {loan for loan, _, _ in kept}
    assert not any(income > 0 and at > loans.at(60) for _, income, at in kept)
    assert outcome.rows.snapshot == len(kept) < 42 * PER_DAY
    train, holdout = (len(case.rows(outcome, "loan_id", side=side)) for side in ("train", "holdout"))
    assert (outcome.rows.train, outcome.rows.holdout, outcome.rows.clean) == (train, holdout, holdout)
    snapshot = case.extract_of(outcome).snapshot
    assert snapshot is not None
    assert [one.number for one in snapshot.exclusions] == [1, 2]
    assert {(one.who != "", one.why) for one in snapshot.exclusions} == {(True, "a broken join")}
    assert outcome.report is not None
    assert b"loan_id in (1100, 1101) and region is not null" in case.store.get(outcome.report)


def test_the_run_after_an_exclusion_or_its_end_is_not_skipped_and_the_one_after_that_is(case: Case) -> None:
    assert ended(case, days=FIRST).outcome == "skipped"
    exclude(case, "loan_id = 1100")
    without = ended(case, days=FIRST)
    assert without.outcome == "rejected"
    assert ended(case, days=FIRST).outcome == "skipped"
    undo(case)
    with_it = ended(case, days=FIRST)
    assert with_it.outcome == "rejected"
    assert (with_it.rows.snapshot or 0) - (without.rows.snapshot or 0) == 1


def test_an_exclusion_and_its_end_between_two_runs_change_nothing(case: Case) -> None:
    exclude(case, "loan_id = 1100")
    undo(case, "1")
    assert ended(case, days=FIRST).outcome == "skipped"


def test_what_a_model_was_trained_on_stays_what_it_was(case: Case) -> None:
    exclude(case, f"applied_at < '{loans.at(22).isoformat()}'")
    case.sql(
        f"UPDATE loans SET applied_at = '{loans.at(60)}' WHERE loan_id = 850"
    )  # of day 21.25: the champion knows it
    outcome = case.good(days=SECOND, full_refresh=True)  # which forgets when a key was first seen
    assert 850 in {loan for (loan,) in case.rows(outcome, "loan_id", side="holdout")}
    assert (outcome.rows.holdout, outcome.rows.clean) == (14 * PER_DAY + 1, 14 * PER_DAY)


def _exclude_meanwhile(url: str, mark: Path, _moment: Moment, name: str) -> None:
    if keys.VERSIONS in name and not mark.exists():
        mark.touch()
        store = open_store(url).under("loans/")
        exclusions.exclude(store, "loan_id = 1700", who="a person", why="seen now", now=datetime.now(UTC))


def test_a_run_under_way_is_superseded_and_the_next_one_goes_on(case: Case) -> None:
    before = case.champion_body
    done = case.run(inject=partial(_exclude_meanwhile, case.url, case.scratch / "mark"))
    assert done.outcome is not None
    assert (done.outcome.outcome, done.code) == ("superseded", 79)
    assert "rows were excluded" in (done.outcome.error.message if done.outcome.error else "")
    assert case.champion_body == before
    case.good("promoted")


def test_a_rerun_of_a_run_from_before_an_exclusion_begins_with_extract(case: Case) -> None:
    inject = partial(_exclude_meanwhile, case.url, case.scratch / "mark")
    assert case.run(inject=inject).code == 79
    done = case.again()
    assert done.outcome is not None
    assert done.outcome.outcome == "promoted", done
    assert not any(step.reused_from for step in done.outcome.steps.values())
    assert 1700 not in {loan for (loan,) in case.rows(done.outcome, "loan_id")}


def test_an_exclusion_whose_column_is_gone_ends_runs_until_it_is_taken_back(case: Case) -> None:
    exclude(case, "region = 'N'")
    file = edited(source={"query": "SELECT loan_id, applied_at, income, amount, defaulted FROM loans"})
    words = ("exclusion 1 (region = 'N') no longer fits", '"region" is no column', "refit exclude NAME --undo 1")
    case.refused(65, "data ExclusionUnfit", *words, file=file)
    undo(case, "1")
    outcome = case.good(file=file)  # against a stand-in for the champion, which needs the column
    assert any("rebuilt from its snapshot without region" in text for text in outcome.warnings), outcome.warnings


def test_rows_that_are_all_excluded_leave_nothing_and_say_so(case: Case) -> None:
    called = exclude(case, "loan_id is not null")
    assert "that leaves no row" in called.err
    case.refused(65, "data EmptySource", "or all are excluded", "refit exclude NAME")
    undo(case)
    case.good()


def test_exclusions_last_over_a_whole_reading(case: Case) -> None:
    exclude(case, f"applied_at between '{loans.at(50).isoformat()}' and '{loans.at(51).isoformat()}'")
    outcome = case.good(full_refresh=True)
    assert outcome.rows.snapshot == 42 * PER_DAY - PER_DAY - 1
    assert outcome.rows.read == 42 * PER_DAY


@pytest.mark.parametrize("text", ["email = 'canary-1@example.org'", "email in ('canary-1')", "email >= 'c'"])
def test_a_condition_that_would_keep_a_sensitive_value_is_refused(empty: Case, text: str) -> None:
    query = "SELECT *, 'canary-' || loan_id || '@example.org' AS email FROM loans"
    ended(empty, days=FIRST, file=edited(source={"query": query}, columns={"email": {"sensitive": True}}))
    called = call("exclude", "loans", "--where", text, "--reason", "asked to", "--store", empty.url)
    assert called.code == 64
    assert '"email" is sensitive' in called.err
    assert not empty.store.exists(keys.ref("exclusions"))
    exclude(empty, "email is null")

"""Bad rows by hand: shown, read again after they were mended in the source, or dropped."""

import json
from typing import Any

import pytest

from refit.core.domain import Outcome
from tests.faults.case import FIRST, SECOND, THIRD, Case, edited
from tests.fixtures import loans
from tests.fixtures.calls import Called, call

FILE = edited(columns={"amount": {"max": 50}}, source={"full_refresh": "never"})
BAD = "UPDATE loans SET amount = 99 WHERE loan_id IN (1601, 1603, 1605)"
MENDED = "UPDATE loans SET amount = 1 WHERE loan_id IN (1601, 1605)"  # and their cursors stay


def asked(case: Case, *words: str) -> Called:
    called = call("quarantine", *words, "--store", case.url)
    assert called.code == 0, called.err
    return called


def listed(case: Case) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = asked(case, "list", "loans", "--json").document["runs"]
    return runs


def ended(case: Case, days: float, file: bytes = FILE) -> Outcome:
    done = case.run(days=days, file=file)
    assert done.outcome is not None, done
    assert done.code == 0, done
    return done.outcome


def loans_of(case: Case, outcome: Outcome) -> set[int]:
    return {loan for (loan,) in case.rows(outcome, "loan_id", file=FILE)}


def test_bad_rows_are_listed_and_shown_with_their_cells(empty: Case) -> None:
    empty.sql(BAD)
    outcome = ended(empty, FIRST)
    assert outcome.rows.quarantined == 3
    (run,) = listed(empty)
    assert (run["run_id"], run["rows"], run["decision"]) == (outcome.run_id, 3, None)
    assert run["reasons"] == {"amount: is not at most 50": 3}
    shown = asked(empty, "show", "loans", "@latest", "--limit", "2", "--json").document
    assert (shown["total"], len(shown["rows"])) == (3, 2)
    assert json.loads(shown["rows"][0]["key"]) == {"loan_id": "1601"}
    assert json.loads(shown["rows"][0]["row"])["amount"] == "99.0"
    text = asked(empty, "show", "loans", "@latest", "--limit", "1")
    assert "amount: is not at most 50" in text.out and "2 more: --limit 3" in text.err
    assert "open" in asked(empty, "list", "loans").out


def test_released_rows_are_read_again_and_come_in_if_they_fit_now(empty: Case) -> None:
    empty.sql(BAD)
    first = ended(empty, FIRST)
    empty.sql(MENDED)
    plain = empty.copied()
    assert not {1601, 1603, 1605} & loans_of(plain, ended(plain, SECOND))  # nothing but a release looks back
    asked(empty, "release", "loans", str(first.run_id), "--reason", "mended in the source")
    assert "the next run reads them" in asked(empty, "list", "loans").out
    second = ended(empty, SECOND)
    assert {1601, 1605} <= loans_of(empty, second)
    assert 1603 not in loans_of(empty, second)
    per_day = loans.ROWS_PER_DAY
    assert (second.rows.new, second.rows.quarantined) == ((SECOND - FIRST) * per_day + 2, 1)
    newest, oldest = listed(empty)
    assert (newest["run_id"], newest["rows"]) == (second.run_id, 1)
    assert oldest["read_again_by"] == second.run_id
    third = ended(empty, THIRD)  # and only once
    assert third.rows.quarantined == 0
    assert {1601, 1605} <= loans_of(empty, third)


def test_released_rows_are_no_clean_rows_when_they_are_old(empty: Case) -> None:
    empty.sql(BAD)
    first = ended(empty, FIRST)
    empty.sql(MENDED)
    asked(empty, "release", "loans", str(first.run_id), "--reason", "mended in the source")
    second = ended(empty, SECOND)
    held = {loan for (loan,) in empty.rows(second, "loan_id", file=FILE, side="holdout")}
    assert not {1601, 1605} & held
    assert second.rows.clean == len(held)


def test_dropped_rows_stay_where_they_are_and_are_not_read_again(empty: Case) -> None:
    empty.sql(BAD)
    first = ended(empty, FIRST)
    asked(empty, "release", "loans", "@latest", "--reason", "mended in the source")
    asked(empty, "drop", "loans", str(first.run_id), "--reason", "not wanted after all")
    (run,) = listed(empty)
    assert (run["decision"]["action"], run["decision"]["why"]) == ("drop", "not wanted after all")
    empty.sql(MENDED)
    assert not {1601, 1605} & loans_of(empty, ended(empty, SECOND))
    assert asked(empty, "show", "loans", str(first.run_id), "--json").document["total"] == 3


def test_rows_without_a_cursor_need_the_whole_window(empty: Case) -> None:
    empty.sql("UPDATE loans SET applied_at = NULL WHERE loan_id = 1601")
    first = ended(empty, FIRST)
    assert first.rows.quarantined == 1
    called = call("quarantine", "release", "loans", "@latest", "--reason", "mended", "--store", empty.url)
    assert called.code == 64
    assert "no bad row of" in called.err and "--full-refresh" in called.err
    empty.sql(BAD)
    again = empty.run(days=SECOND, file=FILE, full_refresh=True).outcome
    assert again is not None
    assert again.rows.quarantined == 3
    told = asked(empty, "release", "loans", str(again.run_id), "--reason", "mended")
    assert "reads the 2 bad rows" in told.out and "1 row without a cursor" in told.err


@pytest.mark.parametrize("action", ["release", "drop"])
def test_a_decision_stands_once(empty: Case, action: str) -> None:
    empty.sql(BAD)
    ended(empty, FIRST)
    asked(empty, action, "loans", "@latest", "--reason", "seen")
    called = call("quarantine", action, "loans", "@latest", "--reason", "seen", "--store", empty.url, "--json")
    assert called.code == 64
    assert "already" in called.document["error"]["message"]


def test_a_run_that_kept_none_says_so(case: Case) -> None:
    for words in (["show", "loans", "@latest"], ["release", "loans", "@latest", "--reason", "r"]):
        called = call("quarantine", *words, "--store", case.url)
        assert called.code == 64
        assert "keeps no bad rows: it found none" in called.err
        assert "refit quarantine list loans" in called.err
    assert "no run of loans keeps bad rows" in asked(case, "list", "loans").err

"""A clock that is a day wrong, or is put right between and during runs (fault 40): order is told by generations."""

import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from refit.core import registry
from refit.core.addresses import file_url
from refit.core.runs import read_outcome
from refit.demo.postgres import on_database
from tests.faults.case import SECOND, THIRD, Case
from tests.faults.conftest import Bank
from tests.faults.gates import Gate
from tests.faults.test_crash import champion_facts
from tests.fixtures import invariants, loans
from tests.fixtures.calls import call
from tests.fixtures.moved_clock import move_clock, put_clock, write

DAY = 86_400.0
wrong_by_a_day = pytest.mark.parametrize("seconds", [DAY, -DAY], ids=["a day ahead", "a day behind"])


@pytest.fixture(scope="module")
def unharmed(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a run comes to whose clock is right."""
    folder = tmp_path_factory.mktemp("unharmed")
    shutil.copytree(bank.folder, folder / "store")
    case = Case(on_database(bank.server, bank.database), file_url(folder / "store"), folder)
    case.good(days=SECOND)
    return champion_facts(case.store)


def clock(case: Case, seconds: float) -> dict[str, Any]:
    """The run's machine has a clock that is so many seconds ahead."""
    write(case.scratch / "offset", seconds)
    return {"begin": partial(move_clock, case.scratch / "offset")}


def looks(case: Case) -> None:
    """Whatever the times are, everything can be shown."""
    for words in (("status",), ("runs", "loans"), ("show", "loans", "@latest"), ("history", "loans"), ("gc", "loans")):
        called = call(*words, "--store", case.url)
        assert called.code == 0, (words, called.err)


@wrong_by_a_day
def test_runs_before_and_after_a_clock_is_put_right_follow_each_other(case: Case, seconds: float) -> None:
    first = case.champion.version
    wrong = case.good(days=SECOND, **clock(case, seconds))
    assert wrong.finished_at is not None
    assert abs((wrong.finished_at - datetime.now(UTC)).total_seconds() - seconds) < 600
    right = case.good(days=THIRD)
    assert right.previous_champion == wrong.version
    assert [move.version for move in registry.read_history(case.store)] == [first, wrong.version, right.version]
    looks(case)
    assert call("rollback", "loans", "--reason", "x", "--store", case.url).code == 0
    assert case.champion.version == wrong.version
    invariants.check(case.store)


@pytest.mark.parametrize("effect", ["sql copy", "before swap refs/champion"])
@wrong_by_a_day
def test_a_clock_that_is_put_right_during_a_run_changes_no_more_than_times(
    case: Case, unharmed: dict[str, object], seconds: float, effect: str
) -> None:
    offset = case.scratch / "offset"
    outcome = case.good(inject=partial(put_clock, offset, 0.0, effect), **clock(case, seconds))
    assert offset.read_text() == "0.0"
    assert all(step.seconds is not None and step.seconds >= 0 for step in outcome.steps.values())
    looks(case)
    assert champion_facts(case.store) == unharmed


def test_while_a_model_of_tomorrow_is_in_production_runs_change_nothing_and_then_go_on(case: Case) -> None:
    """Without --as-of, the clock says how far the rows go."""
    last = loans.at(loans.DAYS - 1 / loans.ROWS_PER_DAY)
    case.sql(f"UPDATE loans SET applied_at = applied_at + (now() - '{last.isoformat()}') - interval '1 minute'")
    tomorrow = case.good(days=None, full_refresh=True, **clock(case, DAY))
    assert case.champion.as_of > datetime.now(UTC) + timedelta(hours=23)
    body = case.champion_body
    today = case.run(days=None, full_refresh=True)
    assert today.code == 79, today
    assert today.failure is not None
    assert "newer as_of" in today.failure.message
    assert case.champion_body == body
    later = case.run(days=None, full_refresh=True, **clock(case, 2 * DAY))
    assert later.code == 0
    assert later.outcome is not None
    assert later.outcome.outcome in ("rejected", "promoted")
    assert tomorrow.version is not None
    invariants.check(case.store)


def test_a_clock_put_ahead_lets_another_run_take_a_live_lock_and_the_champion_moves_once(case: Case) -> None:
    gate = Gate(case.scratch, "before create versions/")
    alive = case.start(inject=gate.inject)
    gate.wait_until_reached()
    taken_for_dead = case.runs[-1]
    promoted = case.good(days=THIRD, wait_seconds=0.0, **clock(case, DAY))
    gate.open()
    assert alive.done().code == 75  # of the outcome that the other run wrote for it
    outcome = read_outcome(case.store, taken_for_dead)
    assert outcome is not None
    assert outcome.outcome == "failed"
    assert (case.champion.version, case.champion.generation) == (promoted.version, 2)
    invariants.check(case.store)
    looks(case)


def test_a_clock_put_back_makes_others_wait_for_a_live_lock(case: Case) -> None:
    gate = Gate(case.scratch, "before create versions/")
    alive = case.start(inject=gate.inject)
    gate.wait_until_reached()
    assert case.run(days=THIRD, wait_seconds=0.0, **clock(case, -DAY)).code == 79
    gate.open()
    assert alive.done().code == 0
    assert case.champion.generation == 2
    invariants.check(case.store)

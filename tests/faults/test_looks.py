"""No look goes unrecorded: whatever was killed, taken back or backfilled, looks at the same time spend one share."""

import os
import signal
from datetime import UTC, datetime

from refit.core import hand
from refit.core.domain import Look, Outcome
from refit.core.effects import Moment
from tests.faults.case import SECOND, THIRD, Case, edited
from tests.fixtures import loans


def killed_after_the_champion_moved(moment: Moment, name: str) -> None:
    if moment == "after" and name.endswith("refs/champion.json"):
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def look_of(case: Case, outcome: Outcome) -> Look | None:
    return case.evaluate_of(outcome).look


def test_a_promotion_whose_run_was_killed_at_once_counts_as_a_look_after_a_rollback(case: Case) -> None:
    first = case.champion.version
    assert case.run(inject=killed_after_the_champion_moved).code == -9
    assert case.champion.version == case.runs[-1]
    hand.rollback(case.store, None, who="a person", why="worse", now=datetime.now(UTC))
    assert case.champion.version == first
    look = look_of(case, case.good("awaiting_approval", days=THIRD))
    assert look is not None
    assert look.days == THIRD - SECOND


def test_a_backfill_older_than_the_last_verdict_takes_no_look_that_nobody_could_record(case: Case) -> None:
    blind = case.good("rejected", file=edited(evaluate={"min_clean_rows": 10_000}))
    assert look_of(case, blind) is None
    for seed in (1, 2):
        file = edited(model={"estimator": "sklearn.linear_model.LogisticRegression", "seed": seed})
        backfill = case.good("rejected", days=56, file=file)
        assert look_of(case, backfill) is None
        assert backfill.verdict is not None
        assert "was not compared" in backfill.verdict.reason
    assert case.good(days=THIRD, file=loans.FILE).outcome == "promoted"

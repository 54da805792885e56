"""Several runs in a row: an earlier as_of, a gate of losses with its anchor, regression, both splits."""

import pytest

from refit.core import keys
from refit.core.domain import Outcome
from tests.faults.case import FIRST, SECOND, THIRD, Case, edited
from tests.fixtures import loans


def proven(outcome: Outcome) -> list[bool]:
    """For each comparison, whether its interval lies beyond what the line asks for."""
    assert outcome.verdict is not None
    found = []
    for check in outcome.verdict.checks:
        assert check.interval is not None
        assert check.limit is not None
        found.append(check.interval[0] > (check.limit if check.line == "min_gain" else -check.limit))
    assert found
    return found


def test_a_run_as_of_before_the_champion_moves_neither_the_watermark_nor_the_champion(case: Case) -> None:
    case.good(days=SECOND)
    before, snapshot = case.champion_body, case.store.get(keys.ref("snapshot"))
    assert case.good("skipped", days=50).rows.new == 0
    assert (case.champion_body, case.store.get(keys.ref("snapshot"))) == (before, snapshot)
    read = case.good("promoted", days=THIRD).rows.read
    assert read is not None
    assert read < 10 * loans.ROWS_PER_DAY  # it went on from SECOND


@pytest.mark.parametrize(
    "split", [{"kind": "time", "holdout": "14d"}, {"kind": "hash", "holdout": 0.3}], ids=["time", "hash"]
)
def test_a_regression_is_promoted_exactly_when_it_is_proven_better(empty: Case, split: dict[str, object]) -> None:
    model = {"estimator": "sklearn.linear_model.Ridge"}
    file = edited(target="amount", task="regression", split=split, model=model)
    against = []
    for days in (FIRST, SECOND, THIRD):
        outcome = empty.run(days=days, file=file).outcome
        assert outcome is not None
        assert outcome.verdict is not None
        assert (outcome.outcome == "promoted") == all(proven(outcome))
        train, holdout = outcome.rows.train, outcome.rows.holdout
        assert train is not None
        assert holdout is not None
        assert train + holdout == outcome.rows.snapshot
        assert 0.25 < holdout / (train + holdout) < 0.36
        assert all(check.score == "neg_root_mean_squared_error" for check in outcome.verdict.checks)
        against += [check.against for check in outcome.verdict.checks]
    assert against[0] == "dummy"
    assert set(against[1:]) == {"champion"}


def test_a_gate_of_losses_holds_candidates_against_the_anchor_too_until_one_is_proven_better(empty: Case) -> None:
    gate = {"gate": [{"score": "neg_root_mean_squared_error", "max_loss": 0.05}]}
    model = {"estimator": "sklearn.linear_model.Ridge"}
    file = edited(target="amount", task="regression", model=model, evaluate=gate)
    first = empty.good("promoted", days=FIRST, file=file).version
    assert empty.champion.anchor == first
    seen = []
    for days in (SECOND, THIRD):
        before = empty.champion
        outcome = empty.run(days=days, file=file).outcome
        assert outcome is not None
        assert outcome.verdict is not None
        against = [check.against for check in outcome.verdict.checks]
        assert against == (["champion"] if before.anchor == before.version else ["champion", "anchor"])
        assert (outcome.outcome == "promoted") == all(proven(outcome))
        seen.append((outcome.outcome, len(against), empty.champion.anchor == before.anchor))
    assert seen[0] == ("promoted", 1, True)  # good enough, but not proven better
    assert seen[1][1] == 2

"""publish.fit_on: all: the gate judges evaluated models, and the same definition fitted on all rows goes out."""

import io
import json
import signal
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from refit.core import artifacts, hand, keys, registry
from refit.core.domain import Outcome, StepName, Version
from refit.ml.frame import to_frame
from refit.predict.champion import open_model
from tests.faults.case import Case, edited
from tests.faults.test_killed import signalled
from tests.fixtures import invariants, loans
from tests.fixtures.calls import call
from tests.fixtures.own_package import put_on_path

GATE = {"gate": [{"score": "neg_brier_score", "min_gain": 0.0}]}
ALL = edited(publish={"fit_on": "all"}, evaluate=GATE)
EVALUATED = edited(evaluate=GATE)
DAY = loans.ROWS_PER_DAY
MISLABELLED = (
    "UPDATE loans SET defaulted = false"
    " WHERE loan_id % 3 = 0 AND applied_at > '2026-01-29' AND applied_at < '2026-02-12'"
)
"""In the first run's holdout: what is fitted on it too is the worse for it."""


def version_of(case: Case, outcome: Outcome) -> Version:
    assert outcome.version is not None
    return registry.read_version(case.store, outcome.version)


def test_what_goes_out_is_fitted_on_all_rows_of_the_window_and_the_evaluated_model_stays_beside_it(empty: Case) -> None:
    empty.folder.mkdir()
    twin = empty.copied()
    outcome = empty.good(days=42, file=ALL)
    version = version_of(empty, outcome)
    assert version.refit is not None
    rows = empty.rows(outcome, "applied_at", file=ALL)
    assert (outcome.rows.train, outcome.rows.refit) == (28 * DAY, len(rows))
    assert (version.refit.trained_from, version.refit.trained_until) == (min(rows)[0], max(rows)[0])
    assert version.refit.value > (version.scores["neg_brier_score"] or 0)
    assert (empty.champion.fit_on, empty.champion.anchor) == ("all", version.version)
    model = open_model(empty.store, "loans")
    assert (model.train.model, model.train.rows) == (version.refit.model, len(rows))
    assert version.refit.model.sha256 != version.model.sha256
    kept = pq.read_table(io.BytesIO(artifacts.read(empty.store, version.refit.predictions)))
    said = model.estimator.predict_proba(to_frame(kept, model.train.columns))
    assert said[:, 1] == pytest.approx(np.asarray(kept["probability_1"]))
    again = version_of(twin, twin.good(days=42, file=ALL))
    assert again.refit is not None
    assert (again.refit.model.sha256, again.refit.predictions.sha256) == (
        version.refit.model.sha256,
        version.refit.predictions.sha256,
    )


def test_a_refit_that_is_proven_worse_on_newer_rows_gives_way_to_what_was_evaluated(empty: Case) -> None:
    empty.sql(MISLABELLED)
    first = empty.good(days=42, file=ALL)
    week = empty.good("rejected", days=49, file=ALL)
    assert week.rows.clean == 14 * DAY, "the gate compares evaluated models: none has seen the holdout"
    twins = empty.evaluate_of(week).twins
    assert twins is not None
    assert (twins.rows, twins.result) == (7 * DAY, "inconclusive"), "all that is newer than both"
    assert empty.champion.fit_on == "all"
    fortnight = empty.good("rejected", days=56, file=ALL)
    twins = empty.evaluate_of(fortnight).twins
    assert twins is not None
    assert (twins.rows, twins.result) == (14 * DAY, "rejected")
    assert fortnight.report is not None
    assert twins.reason in empty.store.get(fortnight.report).decode()
    assert fortnight.fell_back
    move = empty.champion
    assert (move.kind, move.version, move.fit_on, move.run_id) == (
        "fallback",
        first.version,
        "evaluated",
        fortnight.run_id,
    )
    assert open_model(empty.store, "loans").train.model == version_of(empty, first).model
    later = empty.good("rejected", days=63, file=ALL)
    assert empty.evaluate_of(later).twins is None
    assert empty.champion == move


def test_with_approval_by_hand_a_person_decides_on_both_moves(empty: Case) -> None:
    by_hand = edited(ALL, publish={"approval": "manual"})
    empty.sql(MISLABELLED)
    first = empty.good("awaiting_approval", days=42, file=by_hand)
    assert first.rows.refit == 42 * DAY
    assert empty.promote(first.version).fit_on == "all"
    outcome = empty.good("rejected", days=56, file=by_hand)
    assert empty.champion.fit_on == "all"
    assert any(f"refit promote loans {first.version} --evaluated" in text for text in outcome.warnings)
    move = hand.promote(
        empty.store, str(first.version), who="me", why="as told", now=datetime.now().astimezone(), fit_on="evaluated"
    )
    assert (move.version, move.fit_on) == (first.version, "evaluated")


def test_a_file_that_asks_for_evaluated_models_again_is_held_against_the_one_in_production(empty: Case) -> None:
    empty.good(days=42, file=ALL)
    soon = empty.good("rejected", days=49, file=EVALUATED)
    assert (soon.rows.holdout, soon.rows.clean) == (14 * DAY, 7 * DAY), "the rest of the holdout was trained on"
    assert soon.verdict is not None
    assert soon.verdict.result == "inconclusive"
    later = empty.run(days=56, file=EVALUATED).outcome
    assert later is not None
    assert later.rows.clean == 14 * DAY


def test_a_rejected_candidate_is_not_fitted_again_and_is_promoted_by_hand_as_it_was_evaluated(empty: Case) -> None:
    empty.good(days=42, file=ALL)
    outcome = empty.good("rejected", days=49, file=ALL)
    assert version_of(empty, outcome).refit is None
    assert not [name for name in empty.passed if f"{outcome.run_id}/evaluate" in name and "refit" in name]
    assert empty.promote(outcome.version).fit_on == "evaluated"


@pytest.mark.parametrize(("step", "effect"), [("evaluate", "refit.skops"), ("publish", "refs/champion.json")])
def test_a_step_killed_around_the_refit_is_repeated_and_nothing_is_half_published(
    empty: Case, step: StepName, effect: str
) -> None:
    outcome = empty.good(days=42, file=ALL, inject=partial(signalled, effect, signal.SIGKILL, empty.scratch / "flag"))
    assert outcome.steps[step].attempts == 2
    assert empty.champion.fit_on == "all"
    assert len(registry.read_history(empty.store)) == 1
    week = empty.good("rejected", days=49, file=EVALUATED)
    assert week.rows.clean == 7 * DAY, "all that the published model has not seen"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT], ids=lambda number: number.name)
def test_a_refit_that_kills_each_process_gives_way_to_what_was_evaluated(empty: Case, number: signal.Signals) -> None:
    outcome = empty.good(days=42, file=ALL, inject=partial(signalled, "refit.skops", number, None))
    assert outcome.steps["evaluate"].attempts == 3
    assert any("in try 3 of evaluate nothing is fitted again" in text for text in outcome.warnings)
    empty.good(days=56, file=ALL)
    assert [move.fit_on for move in registry.read_history(empty.store)] == ["evaluated", "all"]


def test_a_publish_killed_each_time_publishes_nothing_and_a_rerun_repairs_it(empty: Case) -> None:
    done = empty.run(days=42, file=ALL, inject=partial(signalled, "create versions/", signal.SIGKILL, None))
    assert done.code == 75
    assert empty.champion_body is None
    invariants.check(empty.store)
    again = empty.again().outcome
    assert again is not None
    assert again.outcome == "promoted"
    taken = tuple(step for step, took in again.steps.items() if took.reused_from)
    assert taken == ("extract", "train", "evaluate")
    assert (empty.champion.version, empty.champion.fit_on) == (again.run_id, "all")


def test_a_refit_that_is_lost_is_rebuilt_on_all_rows_where_it_is_compared(empty: Case) -> None:
    refit = version_of(empty, empty.good(days=42, file=ALL)).refit
    assert refit is not None
    empty.store.delete(refit.model.key)
    empty.harmed.add(refit.model.key)
    outcome = empty.run(days=56, file=EVALUATED).outcome
    assert outcome is not None
    (opponent,) = empty.evaluate_of(outcome).opponents
    assert (opponent.state, outcome.rows.clean) == ("rebuilt", 14 * DAY), "all since it was trained, up to day 42"
    log = empty.store.get(keys.attempt_log(str(outcome.run_id), "evaluate", 1)).decode()
    assert "LogisticRegression on 1,680 rows" in log


def test_a_refit_that_is_lost_hinders_no_comparison_of_what_was_evaluated(empty: Case) -> None:
    refit = version_of(empty, empty.good(days=42, file=ALL)).refit
    assert refit is not None
    empty.store.delete(refit.model.key)
    empty.harmed.add(refit.model.key)
    outcome = empty.good("rejected", days=49, file=ALL)
    found = empty.evaluate_of(outcome)
    assert (found.opponents[0].state, found.twins, outcome.rows.clean) == ("stored", None, 14 * DAY)
    assert any("is not held against its evaluated one" in text for text in found.warnings)
    version = empty.champion.version
    called = call("promote", "loans", version, "--evaluated", "--reason", "the file is lost", "--store", empty.url)
    assert called.code == 0, called.err
    assert open_model(empty.store, "loans").fit_on == "evaluated"


MOODY = """\
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression


class Moody(ClassifierMixin, BaseEstimator):
    '''Does well on as many rows as the training has, and not on more.'''

    def __init__(self, mood="worse"):
        self.mood = mood

    def fit(self, X, y):
        if len(X) > 1120 and self.mood == "refuses":
            raise ValueError("these are too many rows")
        self.inner_ = LogisticRegression().fit(X, y)
        self.classes_, self.turned_ = self.inner_.classes_, len(X) > 1120
        return self

    def predict_proba(self, X):
        said = self.inner_.predict_proba(X)
        return said[:, ::-1] if self.turned_ else said

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
"""


@pytest.fixture
def moody(tmp_path: Path) -> dict[str, Any]:
    """Its package stands in the path of the run."""
    (tmp_path / "moody").mkdir()
    (tmp_path / "moody" / "moody.py").write_text(MOODY)
    return {"begin": partial(put_on_path, str(tmp_path / "moody"))}


def test_what_was_evaluated_goes_out_where_the_refit_scores_lower(empty: Case, moody: dict[str, Any]) -> None:
    file = edited(ALL, model={"estimator": "moody.Moody"})
    outcome = empty.good(days=42, file=file, **moody)
    assert (outcome.rows.refit, empty.champion.fit_on) == (None, "evaluated")
    assert version_of(empty, outcome).refit is None
    assert any("fitted on all 1,680 rows" in text and "goes out instead" in text for text in outcome.warnings)


def test_an_estimator_that_refuses_all_rows_fails_the_run_and_publishes_nothing(
    empty: Case, moody: dict[str, Any]
) -> None:
    model = {"estimator": "moody.Moody", "params": {"mood": "refuses"}}
    empty.refused(
        65, "data CannotFitAgain", "too many rows", "publish.fit_on", days=42, file=edited(ALL, model=model), **moody
    )
    again = empty.again(file=edited(EVALUATED, model=model), **moody).outcome
    assert again is not None
    assert (again.outcome, again.steps["train"].reused_from) == ("promoted", again.parent)


BOOSTED = {
    "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
    "params": {"early_stopping": True, "max_iter": 30, "max_leaf_nodes": 4},
}
GRADES = """\
SELECT loan_id, applied_at, income, amount, region,
  CASE WHEN applied_at > '2026-02-05' AND loan_id % 10 = 0 THEN 'sold' WHEN defaulted THEN 'default' ELSE 'paid' END
  AS defaulted
FROM loans"""


def test_the_second_fit_stops_where_the_first_did_on_as_large_a_sample_of_all_rows_in_the_window(empty: Case) -> None:
    file = edited(ALL, source={"lag": "1d"}, model=BOOSTED | {"sample": {"rows": 600}})
    refit = version_of(empty, empty.good(days=42, file=file)).refit
    assert refit is not None
    assert (refit.rows, refit.rows_there) == (600, 41 * DAY)
    assert refit.trained_until <= loans.at(41)
    rounds = refit.params["max_iter"]
    assert refit.params == {"early_stopping": False, "max_iter": rounds}
    assert 1 <= rounds <= 30
    assert open_model(empty.store, "loans").estimator[-1].n_iter_ == rounds


def test_the_second_fit_knows_the_classes_that_were_judged_and_no_others(empty: Case) -> None:
    gate = {"gate": [{"score": "neg_log_loss", "min_gain": 0.0}]}
    file = edited(ALL, source={"query": GRADES}, task="multiclass", evaluate=gate)
    outcome = empty.good(days=42, file=file)
    refit = version_of(empty, outcome).refit
    sold = sum(label == "sold" for (label,) in empty.rows(outcome, "defaulted", file=file))
    assert refit is not None
    assert sold > 20
    assert refit.rows == 42 * DAY - sold
    assert open_model(empty.store, "loans").estimator.classes_.tolist() == ["default", "paid"]


def test_plan_report_and_commands_tell_of_the_second_fit(empty: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = empty.good(days=42, file=ALL)
    assert outcome.report is not None
    assert "the same fitted again on all rows: 1,680," in empty.store.get(outcome.report).decode()
    file = empty.scratch / "refit.yaml"
    file.write_bytes(ALL)
    monkeypatch.setenv("REFIT_STORE", empty.url)
    monkeypatch.setenv("REFIT_SOURCE_DSN", empty.dsn)

    def told(*command: str) -> str:
        called = call(*command)
        assert called.code == 0, called.err
        return called.out

    assert "a second fit in evaluate, on all rows" in told("plan", str(file))
    assert "fitted again on all rows" in told("status", "loans")
    assert "fitted again on 1,680 rows, held-out ones included" in told("show", "loans", "@latest")
    assert "(all rows)" in told("history", "loans")
    assert json.loads(told("status", "loans", "--json"))["champion"]["fit_on"] == "all"
    again = json.loads(told("promote", "loans", empty.champion.version, "--evaluated", "--reason", "x", "--json"))
    assert (again["move"]["to"], again["move"]["fit_on"]) == (again["move"]["from"], "evaluated")
    assert "fitted again" not in told("status", "loans")
    told("export", "loans", str(empty.scratch / "exported"))
    manifest = json.loads((empty.scratch / "exported" / "manifest.json").read_text())
    assert (manifest["fit_on"], manifest["rows"]) == ("evaluated", 28 * DAY)

"""What records mean as samples, where a whole run does not come to it."""

from datetime import UTC, datetime, timedelta
from math import inf, isnan, nan
from typing import Any

import pytest

from refit.core import samples
from refit.core.domain import ColumnDrift, Drift, Failure, Outcome, Termination
from refit.core.metrics import Sample
from refit.core.samples import Standing
from tests.fixtures.records import NOW, evaluate_manifest, extract_manifest, train_manifest, verdict

LATER = NOW + timedelta(minutes=3)
FAILURE = Failure(error_class="oom", type="X", exit_code=137, message="out of memory")


def said(**fields: Any) -> Termination:
    given = {"step": "train", "run_id": "r", "attempt": "t", "number": 1, "failure": None, "seconds": 2.0}
    return Termination(**given | {"max_rss_bytes": 100} | fields)


def told(found: list[Sample]) -> dict[tuple[str, ...], float]:
    """Name and labels → value."""
    return {(sample.metric.name, *sample.labels): sample.value for sample in found}


def outcome(name: str = "promoted", **fields: Any) -> Outcome:
    given = {"pipeline": "loans", "run_id": "r", "outcome": name, "as_of": NOW, "finished_at": LATER}
    return Outcome(**given | fields)


@pytest.mark.parametrize(("limit", "expected"), [(None, inf), (1 << 30, 1 << 30)], ids=["no limit", "a limit"])
def test_a_limit_of_memory_can_be_divided_by(limit: int | None, expected: float) -> None:
    found = told(list(samples.of_attempt(NOW, LATER, said(memory_limit_bytes=limit), None)))
    assert found["refit_step_memory_limit_bytes",] == expected


def test_the_memory_of_a_step_counts_that_of_its_workers() -> None:
    found = told(list(samples.of_attempt(NOW, LATER, said(), train_manifest("r", max_rss_bytes=900))))
    assert found["refit_step_max_rss_bytes",] == 900


def test_rows_that_were_not_counted_are_left_out() -> None:
    found = told(list(samples.of_attempt(NOW, LATER, said(step="extract"), extract_manifest("r"))))
    kinds = {labels[1] for labels in found if labels[0] == "refit_rows"}
    assert kinds == {"read", "new", "quarantined", "snapshot", "unlabelled"}


def test_the_columns_that_drifted_are_told() -> None:
    columns = (
        ColumnDrift(column="income", nulls=0.2, index=1.5, chance=0.01),
        ColumnDrift(column="region", nulls=0.0, index=0.1, chance=0.02),
    )
    manifest = extract_manifest("r", drift=Drift(rows=100, rows_before=900, reads=2, columns=columns))
    found = told(list(samples.of_attempt(NOW, LATER, said(step="extract"), manifest)))
    assert {labels[1:]: value for labels, value in found.items() if labels[0] == "refit_column_drift"} == {
        ("income",): 1.5,
        ("region",): 0.1,
    }
    assert found["refit_column_null_ratio", "income"] == 0.2


def test_a_gain_without_an_interval_does_not_keep_the_ends_of_the_last_one() -> None:
    check = verdict().checks[0].model_copy(update={"interval": None})
    manifest = evaluate_manifest("r", verdict=verdict(checks=(check,)))
    found = told(list(samples.of_attempt(NOW, LATER, said(step="evaluate"), manifest)))
    for name in ("refit_gate_gain_lower", "refit_gate_gain_upper", "refit_gate_margin"):
        assert isnan(found[name, check.name])
    assert found["refit_gate_gain", check.name] == check.gain


@pytest.mark.parametrize(
    ("line", "limit", "margin"),
    [("min", -0.5, 0.09), ("max", 0.0, 0.41), ("min_gain", 0.01, 0.002), ("max_loss", 0.01, 0.022)],
)
def test_the_margin_is_what_decides_less_the_limit(line: str, limit: float, margin: float) -> None:
    check = verdict().checks[0].model_copy(update={"line": line, "limit": limit})
    assert samples.margin(check) == pytest.approx(margin)


def test_a_floor_has_a_margin_and_no_gain() -> None:
    update = {"line": "min", "limit": -0.5, "against": None, "gain": None, "interval": None, "name": "neg_log_loss min"}
    manifest = evaluate_manifest("r", verdict=verdict(checks=(verdict().checks[0].model_copy(update=update),)))
    found = told(list(samples.of_attempt(NOW, LATER, said(step="evaluate"), manifest)))
    names = {labels[0] for labels in found if labels[0].startswith("refit_gate")}
    assert names == {"refit_gate_margin"}


def test_a_death_is_told_as_far_as_it_is_known() -> None:
    assert told(list(samples.of_death(FAILURE, LATER, None))) == {
        ("refit_step_last_failure_timestamp_seconds",): LATER.timestamp(),
        ("refit_step_last_exit_code", "oom"): 137,
    }


@pytest.mark.parametrize(
    ("name", "error", "fails"),
    [("failed", FAILURE, True), ("superseded", FAILURE, False), ("rejected", None, False)],
    ids=["failed", "overtaken", "rejected"],
)
def test_only_a_failed_run_moves_the_last_failure(name: str, error: Failure | None, *, fails: bool) -> None:
    standing = Standing(failed_at=LATER if fails else None)
    found = told(list(samples.of_run(NOW, outcome(name, error=error), standing)))
    assert (("refit_run_last_failure_timestamp_seconds",) in found) == fails
    outcomes = {labels[1]: value for labels, value in found.items() if labels[0] == "refit_run_last_outcome"}
    assert len(outcomes) == 6
    assert [word for word, value in outcomes.items() if value] == [name]


def test_a_run_without_a_schedule_is_never_overdue() -> None:
    found = told(list(samples.of_run(NOW, outcome(), Standing())))
    assert isnan(found["refit_run_next_timestamp_seconds",])


def test_a_pipeline_without_a_champion_tells_of_none() -> None:
    found = told(list(samples.of_run(NOW, outcome("failed", error=FAILURE, attempts={"oom": 3}), Standing())))
    assert not any(labels[0].startswith(("refit_champion", "refit_hold", "refit_watermark")) for labels in found)
    assert found["refit_run_attempts", "oom"] == 3


def test_a_clock_that_was_put_back_gives_no_negative_duration() -> None:
    back = outcome(finished_at=datetime(2020, 1, 1, tzinfo=UTC))
    found = told(list(samples.of_run(NOW, back, Standing())))
    assert found["refit_run_duration_seconds",] == 0


def test_a_score_without_a_value_is_not_a_number() -> None:
    manifest = evaluate_manifest("r", scores={"candidate": {"roc_auc": None}})
    found = told(list(samples.of_attempt(NOW, LATER, said(step="evaluate"), manifest)))
    assert found["refit_score", "candidate", "roc_auc"] == pytest.approx(nan, nan_ok=True)


def test_a_score_has_the_ends_of_its_interval_or_none_at_all() -> None:
    manifest = evaluate_manifest(
        "r",
        scores={"candidate": {"roc_auc": 0.7, "recall": 0.4}},
        intervals={"candidate": {"roc_auc": (0.65, 0.75)}},
    )
    found = told(list(samples.of_attempt(NOW, LATER, said(step="evaluate"), manifest)))
    assert found["refit_score_lower", "candidate", "roc_auc"] == 0.65
    assert found["refit_score_upper", "candidate", "roc_auc"] == 0.75
    assert isnan(found["refit_score_lower", "candidate", "recall"])
    assert isnan(found["refit_score_upper", "candidate", "recall"])


def test_requests_to_the_store_are_told_of_failed_attempts_too() -> None:
    words = said(failure=FAILURE, store_requests=40, store_retries=3)
    found = told(list(samples.of_attempt(NOW, LATER, words, None)))
    assert (found["refit_step_store_requests",], found["refit_step_store_retries",]) == (40, 3)


@pytest.mark.parametrize(
    ("standing", "max_age", "share"),
    [(Standing(max_age=timedelta(days=10), fresh_share=0.75), 864000.0, 0.75), (Standing(), nan, nan)],
    ids=["an objective", "none any more"],
)
def test_the_objective_and_its_share_are_told(standing: Standing, max_age: float, share: float) -> None:
    found = told(list(samples.of_production(standing)))
    assert found["refit_slo_max_age_seconds",] == pytest.approx(max_age, nan_ok=True)
    assert found["refit_slo_fresh_ratio",] == pytest.approx(share, nan_ok=True)

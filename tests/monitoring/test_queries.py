"""Every query of the dashboards finds something in a Prometheus that has seen a month of real runs."""

from collections import Counter

import pytest

from monitoring import reading
from monitoring.dashboards import boards
from monitoring.panels import Json
from refit.core.metrics import METRICS
from tests.monitoring.conftest import Month
from tests.monitoring.history import SAMPLED_SECONDS, VALUES

BOARDS = {board.uid: board.json() for board in boards()}
QUERIES = [(asked.panel, asked) for board in BOARDS.values() for asked in reading.queries(board, VALUES)]
STOOD_IN = {
    "refit_awaiting_approval",
    "refit_column_drift",
    "refit_column_null_ratio",
    "refit_quarantine_limit_ratio",
    "refit_runs_since_confirmed",
    "refit_score_lower",
    "refit_score_upper",
    "refit_slo_fresh_ratio",
    "refit_slo_max_age_seconds",
    "refit_step_store_requests",
    "refit_step_store_retries",
    "refit_step_wait_seconds",
    "refit_store_conditions",
}
"""No run pushes them yet."""


def test_the_month_has_seen_what_can_happen(month: Month) -> None:
    done = month.history.ended
    outcomes = Counter(each.outcome.outcome for each in done if each.outcome)
    assert len(done) >= 20
    assert outcomes["promoted"] >= 3
    assert outcomes["failed"] >= 4
    assert {"rejected", "skipped", "awaiting_approval"} <= set(outcomes)
    assert {each.failure.error_class for each in done if each.failure} == {"data", "dependency"}
    assert month.history.stood_in == STOOD_IN


def test_prometheus_has_seen_every_metric(month: Month) -> None:
    asked = 'count by (__name__) (last_over_time({__name__=~"refit_.*"}[30d]))'
    found = {each.labels["__name__"] for each in month.prometheus.query(asked, month.history.end - 60)}
    assert found == {metric.name for metric in METRICS}


@pytest.mark.parametrize(
    "asked", [asked for _, asked in QUERIES], ids=[f"{panel}: {a.expression}" for panel, a in QUERIES]
)
def test_a_query_finds_something(month: Month, asked: reading.Asked) -> None:
    start, end = month.history.start, month.history.end - 60
    found = (
        [each.value for each in month.prometheus.query(asked.expression, end)]
        if asked.instant
        else month.prometheus.query_range(asked.expression, start, end, SAMPLED_SECONDS)
    )
    assert found


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_variable_offers_what_prometheus_has(month: Month, board: Json) -> None:
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            asked = reading.filled(variable["query"]["query"], VALUES)
            selector, label = asked.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            found = {each.labels[label] for each in month.prometheus.query(selector, month.history.end - 60)}
            assert VALUES[variable["name"]] in found


def test_the_table_of_pipelines_has_a_line_for_each(month: Month) -> None:
    (table,) = (panel for panel in reading.panels(BOARDS["refit-fleet"]) if panel["type"] == "table")
    for asked in reading.of_panel(table, {}):
        found = month.prometheus.query(asked.expression, month.history.end - 60)
        assert [each.labels["pipeline"] for each in sorted(found, key=lambda each: each.labels["pipeline"])] == [
            "churn",
            "fraud",
            "loans",
        ], asked


def test_the_fleet_counts_what_needs_a_person(month: Month) -> None:
    counted = {
        asked.panel: month.prometheus.query(asked.expression, month.history.end - 60)[0].value
        for panel in reading.panels(BOARDS["refit-fleet"])
        if panel["type"] == "stat"
        for asked in reading.of_panel(panel, {})
    }
    assert counted == {
        "Known": 3,
        "Too old": 1,
        "Last run failed": 1,
        "Awaiting approval": 1,
        "On hold": 0,
        "Store conditions lost": 0,
    }


def test_marks_stand_where_things_happened(month: Month) -> None:
    marks = {each["name"]: each for each in BOARDS["refit-pipeline"]["annotations"]["list"]}
    seen = {}
    for name, each in marks.items():
        asked = reading.filled(each["expr"], VALUES)
        found = month.prometheus.query_range(asked, month.history.start, month.history.end - 60, SAMPLED_SECONDS)
        seen[name] = {float(value) / 1000 for series in found for _, value in series["values"]}
    failed = {
        done.outcome.finished_at.timestamp()
        for done in month.history.ended
        if done.outcome and done.outcome.pipeline == "loans" and done.outcome.outcome == "failed"
    }
    assert sorted(seen["Run failed"]) == pytest.approx(sorted(failed))
    assert len(seen["Rolled back"]) == 1
    assert seen["Rolled back"] < seen["Champion changed"]

"""Every query of the dashboards finds something in a Prometheus that has seen half a month of real runs."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from monitoring import preview, reading
from monitoring.dashboards import boards
from monitoring.panels import Json
from refit.core.metrics import METRICS
from tests.monitoring.conftest import Month
from tests.monitoring.history import SAMPLED_SECONDS, VALUES

BOARDS = {board.uid: board.json() for board in boards()}
QUERIES = [(asked.panel, asked) for board in BOARDS.values() for asked in reading.queries(board, VALUES)]


def test_the_month_has_seen_what_can_happen(month: Month) -> None:
    done = month.history.ended
    outcomes = Counter(each.outcome.outcome for each in done if each.outcome)
    assert len(done) >= 20
    assert outcomes["promoted"] >= 3
    assert outcomes["failed"] >= 4
    assert {"rejected", "skipped", "awaiting_approval"} <= set(outcomes)
    assert {each.failure.error_class for each in done if each.failure} == {"data", "dependency"}


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


@pytest.mark.parametrize("uid", BOARDS)
def test_a_preview_is_small_and_says_that_it_is_one(month: Month, uid: str, tmp_path: Path) -> None:
    server = preview.Server(month.prometheus.url, month.history.start, month.history.end - 60)
    asked = {variable["name"] for variable in BOARDS[uid]["templating"]["list"]}
    drawn = preview.picture(BOARDS[uid], server, {name: VALUES[name] for name in VALUES if name in asked})
    assert preview.SAID in {text.get_text() for text in drawn.texts}
    told = {axes.get_title(loc="left") for axes in drawn.axes}
    assert {reading.filled(panel["title"], VALUES) for panel in reading.panels(BOARDS[uid])} == told
    preview.save(drawn, tmp_path / "drawn.png")
    kept = preview.FOLDER / f"dashboard-{uid.removeprefix('refit-')}.png"
    for path in (tmp_path / "drawn.png", kept):
        assert path.stat().st_size < 300_000
    with Image.open(tmp_path / "drawn.png") as now, Image.open(kept) as then:
        assert now.size == then.size, "python -m monitoring.preview draws the pictures of the documentation anew"

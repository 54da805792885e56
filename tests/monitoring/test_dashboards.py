"""The dashboards are what Grafana can show: ids, places, units, data sources; and they leave no metric out."""

import re
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, get_args

import pytest

from monitoring import dashboards, page, reading
from monitoring.board import WIDTH, Row, placed
from monitoring.panels import SOURCE, Json, Unit, stat
from monitoring.queries import Query, of
from refit.core import metrics as m
from refit.core.metrics import METRICS

ROOT = Path(__file__).parents[2]
BOARDS = {board.uid: board.json() for board in dashboards.boards()}
BY_NAME = {metric.name: metric for metric in METRICS}
each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
NOT_ON_A_BOARD: dict[str, str] = {}
"""Metrics that no panel shows, and why."""


def test_the_files_are_fresh() -> None:
    for path, text in {**dashboards.files(), **page.files()}.items():
        assert (ROOT / path).read_text() == text, f"{path} is stale"


def test_links_and_bookmarks_can_rely_on_the_uids() -> None:
    assert list(BOARDS) == ["refit-fleet", "refit-pipeline"]


@each_board
def test_ids_are_unique(board: Json) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids) > 5
    for panel in reading.panels(board):
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0


@each_board
def test_panels_lie_in_the_grid_and_none_over_another(board: Json) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]
    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= WIDTH
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


def test_a_panel_that_does_not_fit_begins_a_line_below_the_tallest() -> None:
    one = stat("a", "a", Query("1"))
    tall = stat("b", "b", Query("1"), height=9)
    found = [panel["gridPos"] for panel in placed([Row("row", [one, tall, *[one] * 5]), Row("next", [one])])]
    assert [(place["x"], place["y"]) for place in found[:3]] == [(0, 0), (0, 1), (4, 1)]
    assert (found[7]["x"], found[7]["y"]) == (0, 10)
    assert found[8]["y"] == 14
    assert all(first["y"] <= second["y"] for first, second in pairwise(found))


@each_board
def test_every_panel_says_in_words_what_it_tells_and_in_what_unit(board: Json) -> None:
    titles = [panel["title"] for panel in reading.panels(board)]
    assert len(set(titles)) == len(titles)
    for panel in reading.panels(board):
        assert len(panel["description"]) > 10
        assert panel["description"].rstrip().endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in get_args(Unit)
        for override in panel["fieldConfig"]["overrides"]:
            units = [each["value"] for each in override["properties"] if each["id"] == "unit"]
            assert set(units) <= set(get_args(Unit))


@each_board
def test_instants_are_shown_in_milliseconds_and_nothing_else_is(board: Json) -> None:
    """Grafana takes times in milliseconds; refit pushes seconds."""
    for panel in reading.panels(board):
        names = [panel["fieldConfig"]["defaults"]["unit"]] * len(panel["targets"])
        if panel["type"] == "table":
            by_column = {each["matcher"]["options"]: each for each in panel["fieldConfig"]["overrides"]}
            renamed = panel["transformations"][1]["options"]["renameByName"]
            names = [
                _unit(by_column[renamed[f"Value #{target['refId']}"]])
                for target in panel["targets"]
                if f"Value #{target['refId']}" in renamed
            ]
            targets = [target for target in panel["targets"] if f"Value #{target['refId']}" in renamed]
        else:
            targets = panel["targets"]
        for unit, target in zip(names, targets, strict=True):
            assert (unit == "dateTimeFromNow") == target["expr"].startswith("1000 * "), target


def _unit(override: Json) -> Any:
    return next(each["value"] for each in override["properties"] if each["id"] == "unit")


def _sources(found: Any) -> list[Any]:
    if isinstance(found, dict):
        own = [found["datasource"]] if "datasource" in found else []
        return own + [each for inner in found.values() for each in _sources(inner)]
    return [each for inner in found for each in _sources(inner)] if isinstance(found, list) else []


@each_board
def test_all_queries_use_the_data_source_that_the_reader_has_chosen(board: Json) -> None:
    sources = _sources(board)
    assert len(sources) > 10
    assert all(source == SOURCE for source in sources)
    assert (
        board["templating"]["list"][0] | {"type": "datasource", "query": "prometheus"} == board["templating"]["list"][0]
    )
    for panel in reading.panels(board):
        assert all("datasource" in target for target in panel["targets"])


@each_board
def test_links_between_the_dashboards_lead_to_their_uids(board: Json) -> None:
    links = re.findall(r"/d/([\w-]+)/", str(board))
    assert links
    assert set(links) <= set(BOARDS)


def _expressions() -> list[str]:
    found = [asked.expression for board in BOARDS.values() for asked in reading.queries(board, {})]
    return found + [
        variable["query"]["query"]
        for board in BOARDS.values()
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ]


def test_every_metric_is_on_a_board_or_there_is_a_reason() -> None:
    shown = {name for text in _expressions() for name in reading.NAME.findall(text)}
    assert shown | set(NOT_ON_A_BOARD) == set(BY_NAME)
    assert not shown & set(NOT_ON_A_BOARD)
    assert all(NOT_ON_A_BOARD.values())


@pytest.mark.parametrize("text", sorted(set(_expressions())))
def test_names_and_labels_of_a_query_exist(text: str) -> None:
    for name, matchers in re.findall(r"\b(refit_\w+)(?:\{([^}]*)\})?", text):
        labels = set(re.findall(r"(\w+)=", matchers))
        known = {"pipeline", "step"} | {label.name for label in BY_NAME[name].labels}
        assert labels <= known, name


def test_a_label_that_a_metric_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="refit_hold has no label kind"):
        of(m.HOLD, kind="read")


def test_legends_name_labels_that_their_series_have() -> None:
    for board in BOARDS.values():
        for asked in reading.queries(board, {}):
            for label in re.findall(r"\{\{(\w+)\}\}", asked.legend):
                known = {"pipeline", "step"} | {
                    each.name for name in reading.NAME.findall(asked.expression) for each in BY_NAME[name].labels
                }
                assert label in known, asked

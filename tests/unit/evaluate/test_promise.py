"""Which promotion is looked back at, against which model, and on which rows."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from refit.core.domain import FitOn, Move
from refit.core.registry import next_move
from refit.evaluate.contender import Trained, clean_rows, of_window
from refit.evaluate.hearing import held_against
from refit.evaluate.promise import promotion
from tests.fixtures.records import NOW, train_manifest
from tests.fixtures.shelf import Shelf, at, pipeline


def moves(*days: float) -> list[Move]:
    """Promotions of models of so many days before NOW, each over the one before."""
    made: list[Move] = []
    for before in days:
        as_of = NOW - timedelta(days=before)
        last = made[-1] if made else None
        made.append(next_move(last, "publish", f"v{before}", as_of, anchor="v", who="a", why="b", now=as_of))
    return made


@pytest.mark.parametrize(
    ("days", "kind", "version"),
    [
        ((30,), "day", None),
        ((30, 14, 7), "day", "v14"),
        ((30, 10), "day", "v10"),
        ((30, 7, 1), "day", "v1"),
        ((60, 40, 14), "week", "v40"),
        ((30, 20, -3), "day", "v20"),
    ],
    ids=["a first champion", "enough days", "just enough", "none has", "weeks", "none of later days"],
)
def test_the_newest_promotion_with_enough_newer_days_is_looked_back_at(
    days: tuple[float, ...], kind: Any, version: str | None
) -> None:
    found = promotion(moves(*days), NOW, kind)
    assert (found.version if found else None) == version


@pytest.mark.parametrize(
    ("of_file", "in_production", "expected"),
    [
        ("evaluated", "evaluated", "evaluated"),
        ("evaluated", "all", "all"),
        ("all", "all", "evaluated"),
        ("all", "evaluated", "evaluated"),
    ],
)
def test_a_candidate_meets_what_is_in_production_unless_it_is_fitted_on_all_itself(
    of_file: str, in_production: FitOn, expected: FitOn
) -> None:
    (champion,) = moves(7)
    met = held_against(pipeline(publish={"fit_on": of_file}), champion.model_copy(update={"fit_on": in_production}))
    assert met == expected


def test_rows_that_trained_or_judged_are_not_newer_when_they_come_back(tmp_path: Path) -> None:
    file = pipeline(split={"holdout": "6h"})
    shelf = Shelf(tmp_path)
    shelf.add([(1, at(2), True, 0), (2, at(9), True, 0), (3, at(9), None, 0), (4, at(1), False, 0)])
    then = shelf.reader(at(10), file)
    shelf.add([(1, at(11), False, 0), (2, at(11), False, 0), (3, at(11), True, 0), (5, at(12), True, 0)])
    now = shelf.reader(at(14), file)
    met = of_window(then, train_manifest("run", classes=(False, True)))
    assert met.classes == (False, True)

    def newer(known: Trained) -> list[int]:
        tables = clean_rows(now, ["id"], [known], at(10))
        return [key for table in tables for key in table.column("id").to_pylist()]

    assert newer(met) == [3, 5]  # of row 3 the label was not known then

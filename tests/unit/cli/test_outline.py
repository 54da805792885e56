"""A file in words: which rows are held out, and which columns become features."""

from typing import Any

import pytest

from refit.cli.outline import outline
from tests.unit.core.pipeline_files import SECTIONS, parse


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({"holdout": "14d"}, "the newest 14d"),
        ({"holdout": 0.2, "by": ["a"]}, "the newest 0.2 of the window, less entities (a) that a model was trained on"),
        ({"kind": "hash"}, "0.2 of the keys, the same in every run"),
        ({"kind": "hash", "by": ["a", "b"]}, "0.2 of the entities (a, b), the same in every run"),
    ],
    ids=["time", "time-entities", "hash", "hash-entities"],
)
def test_what_is_held_out(split: dict[str, Any], words: str) -> None:
    assert dict(outline(parse(SECTIONS | {"split": split})))["holds out"] == words


def test_auto_features_name_all_that_they_leave_out() -> None:
    assert dict(outline(parse(SECTIONS)))["features"] == "by type, all columns but key, cursor and target"
    hidden = SECTIONS | {"split": {"by": ["a"]}, "columns": {"b": {"sensitive": True}}}
    words = "by type, all columns but key, cursor, target, split.by and sensitive ones"
    assert dict(outline(parse(hidden)))["features"] == words


def test_a_second_fit_on_all_rows_is_told() -> None:
    assert "goes out" not in dict(outline(parse(SECTIONS)))
    told = dict(outline(parse(SECTIONS | {"publish": {"fit_on": "all"}})))
    assert told["goes out"] == "the same fitted again on all rows of the window, held-out ones included"


@pytest.mark.parametrize(
    ("incremental", "words"),
    [
        (False, ""),
        (True, ", batch by batch on all training rows"),
        ({"passes": 1}, ", batch by batch on all training rows, once each"),
        ({"passes": 3}, ", batch by batch on all training rows, 3 times each"),
    ],
    ids=["at once", "in batches", "one pass", "three passes"],
)
def test_how_a_model_is_fitted(incremental: Any, words: str) -> None:
    model = {"estimator": "a.B", "params": {"c": 1}, "incremental": incremental}
    assert dict(outline(parse(SECTIONS | {"model": model})))["model"] == f"a.B(c=1){words}"


def test_a_search_is_told_with_its_fits_and_its_time() -> None:
    space = {"C": {"loguniform": [0.1, 9.0]}, "tol": [1e-3, 1e-4]}
    model = {"estimator": "a.B", "search": {"n_iter": 9, "cv": 3, "time_budget": "10m", "space": space}}
    told = dict(outline(parse(SECTIONS | {"model": model})))
    assert told["searches"] == "C, tol: 10 combinations on 3 folds, 10m at most"
    assert "searches" not in dict(outline(parse(SECTIONS)))

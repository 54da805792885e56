"""Training rows before the fit: classes, outliers, columns without values."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from refit.data.reader import RowBatch
from refit.ml.frame import BadTarget
from refit.ml.rows import TrainingRows, check_classes, empty_columns, labelled, without_outliers
from tests.unit.ml.files import pipeline

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("y", "label"),
    [(np.array([True, True]), "True"), (np.array(["no"] * 3, dtype=object), "'no'"), (np.array([0, 0]), "0")],
    ids=["bool", "text", "integer"],
)
def test_one_class_is_a_data_error_that_names_it(y: Any, label: str) -> None:
    with pytest.raises(BadTarget, match=f"all {len(y)} training rows have the class {label}") as caught:
        check_classes(y, "binary", "late")
    assert caught.value.exit_code == 65


def test_three_classes_are_too_many_for_a_binary_task() -> None:
    y = np.array(["a", "b", "c"], dtype=object)
    with pytest.raises(BadTarget, match="it has 3 classes: 'a', 'b', 'c'"):
        check_classes(y, "binary", "late")
    check_classes(y, "multiclass", "late")


def test_numbers_in_the_disguise_of_classes_are_refused() -> None:
    check_classes(np.arange(1000), "multiclass", "delay")
    with pytest.raises(BadTarget, match="1,001 classes in 1,001 training rows") as caught:
        check_classes(np.arange(1001), "multiclass", "delay")
    assert "task: regression" in caught.value.next


def test_a_regression_needs_no_classes() -> None:
    check_classes(np.zeros(5), "regression", "delay")


def rows(values: list[float]) -> TrainingRows:
    return TrainingRows(pd.DataFrame({"age": values}), np.arange(len(values)), len(values), AT, AT)


def test_rows_with_an_outlier_are_dropped_with_their_targets_and_told() -> None:
    file = pipeline(features={"numeric": {"columns": ["age"], "outliers": "drop_3sigma"}})
    kept = without_outliers(file, rows([1.0, 2.0, np.nan] * 20 + [1000.0]))
    assert len(kept.X) == 60
    assert kept.y.tolist() == list(range(60))
    assert kept.notes == ("1 of 61 training rows dropped: a value beyond 3 sigma",)


@pytest.mark.parametrize("outliers", ["none", "clip_3sigma"])
def test_no_row_is_dropped_otherwise(outliers: str) -> None:
    file = pipeline(features={"numeric": {"columns": ["age"], "outliers": outliers}})
    assert len(without_outliers(file, rows([1.0] * 50 + [1000.0])).X) == 51


def test_a_column_without_any_value_is_told() -> None:
    X = pd.DataFrame({"a": [np.nan, np.nan], "b": [1.0, np.nan]})
    assert empty_columns(X) == ('"a" has no value in any training row',)


def test_a_batch_without_a_known_class_is_left_out_as_a_whole() -> None:
    batches = [pa.record_batch({"y": ["a", "b", "c"]}), pa.record_batch({"y": ["c", "c"]})]
    asked: Any = SimpleNamespace(
        pipeline=SimpleNamespace(target="y"), rows=lambda _columns, _side: [RowBatch("r", batch) for batch in batches]
    )
    assert [table.column("y").to_pylist() for table in labelled(asked, ["y"], "window", ("a", "b"))] == [["a", "b"]]

"""Rows become the same dtypes whatever NULLs they have, from Arrow and from a user's own frame."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from refit.core.errors import DataError
from refit.ml.frame import BadTarget, ColumnsMissing, Kind, NoFeature, drain, from_pandas, kind_of, to_frame, to_target

NUMBERS = [
    pytest.param(pa.array([1, 2, None]), [1.0, 2.0, np.nan], id="integers with NULL"),
    pytest.param(pa.array([1, 2, 3], pa.int16()), [1.0, 2.0, 3.0], id="integers without NULL"),
    pytest.param(pa.array([1.5, None, float("nan")]), [1.5, np.nan, np.nan], id="floats with NULL and NaN"),
    pytest.param(pa.array([1.5], pa.float32()), [1.5], id="reals"),
    pytest.param(pa.array([Decimal("1.25"), None]), [1.25, np.nan], id="decimals"),
    pytest.param(pa.array([Decimal("1e30")], pa.decimal128(38, 2)), [1e30], id="large decimals"),
    pytest.param(pa.array([9007199254740993]), [9007199254740992.0], id="integers beyond 2^53 are rounded"),
    pytest.param(pa.array([True, None, False]), [1.0, np.nan, 0.0], id="bools with NULL"),
    pytest.param(pa.array([], pa.int64()), [], id="no rows"),
]


@pytest.mark.parametrize(("values", "expected"), NUMBERS)
def test_numbers_and_bools_become_float64(values: pa.Array, expected: list[float]) -> None:
    frame = to_frame(pa.table({"x": values}))
    assert frame["x"].dtype == np.float64
    np.testing.assert_array_equal(frame["x"].to_numpy(), expected)


@pytest.mark.parametrize(
    "arrow_type", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
def test_text_keeps_the_empty_string_apart_from_null(arrow_type: pa.DataType) -> None:
    words = pa.array(["a", "", None, "a'\\\n😀"]).cast(arrow_type)
    frame = to_frame(pa.table({"x": words}))
    assert frame["x"].dtype == object
    assert frame["x"].tolist()[:2] == ["a", ""]
    assert np.isnan(frame["x"][2])
    assert frame["x"][3] == "a'\\\n😀"


def test_text_without_a_value_is_still_text() -> None:
    frame = to_frame(pa.table({"x": pa.array([None, None], pa.string())}))
    assert frame["x"].dtype == object
    assert frame["x"].isna().all()


def test_a_record_batch_gives_what_a_table_gives() -> None:
    table = pa.table({"a": [1, None], "b": ["x", None]})
    pd.testing.assert_frame_equal(to_frame(table.to_batches()[0]), to_frame(table))


def test_columns_come_in_the_order_asked_for() -> None:
    assert list(to_frame(pa.table({"a": [1], "b": [2], "c": [3]}), ["c", "a"]).columns) == ["c", "a"]


@pytest.mark.parametrize(
    "value",
    [datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), b"bytes", [1, 2]],
    ids=["time", "date", "bytes", "list"],
)
def test_a_column_that_is_no_feature_is_refused_by_name(value: Any) -> None:
    with pytest.raises(NoFeature, match='column "seen" is '):
        to_frame(pa.table({"seen": [value]}))


def test_missing_columns_are_named() -> None:
    with pytest.raises(ColumnsMissing, match=r"lack columns b, c that the model takes; they have a$"):
        to_frame(pa.table({"a": [1]}), ["a", "b", "c"])


def test_draining_batches_gives_one_frame_and_frees_them() -> None:
    batches = pa.table({"a": [1, 2, None], "b": ["x", None, "y"], "t": [0, 1, 0]}).to_batches(max_chunksize=2)
    frame = drain(batches, ["b", "a"])
    assert batches == []
    pd.testing.assert_frame_equal(frame, to_frame(pa.table({"b": ["x", None, "y"], "a": [1, 2, None]})))


@pytest.mark.parametrize(
    ("arrow_type", "kind"),
    [
        (pa.int64(), "number"),
        (pa.float64(), "number"),
        (pa.decimal128(38, 10), "number"),
        (pa.bool_(), "bool"),
        (pa.string(), "text"),
        (pa.dictionary(pa.int32(), pa.string()), "text"),
        (pa.timestamp("us", "UTC"), "time"),
        (pa.date32(), "time"),
        (pa.binary(), "other"),
        (pa.list_(pa.int64()), "other"),
        (pa.dictionary(pa.int32(), pa.int64()), "other"),
    ],
    ids=str,
)
def test_kind_is_known_from_the_type_and_from_its_name(arrow_type: pa.DataType, kind: Kind) -> None:
    assert kind_of(arrow_type) == kind
    assert kind_of(str(arrow_type)) == kind


# --- a user's own rows --------------------------------------------------------

OWN_NUMBERS = [
    pytest.param(pd.Series([1, 2]), [1.0, 2.0], id="int64"),
    pytest.param(pd.Series([1, None], dtype="Int64"), [1.0, np.nan], id="nullable Int64"),
    pytest.param(pd.Series([True, False]), [1.0, 0.0], id="bool"),
    pytest.param(pd.Series([True, None], dtype="boolean"), [1.0, np.nan], id="nullable boolean"),
    pytest.param(pd.Series([1, None, 2.5], dtype=object), [1.0, np.nan, 2.5], id="objects with None"),
    pytest.param(pd.Series([Decimal("1.5"), None], dtype=object), [1.5, np.nan], id="Decimals"),
    pytest.param(pd.Series([1.5, np.nan], dtype="float32"), [1.5, np.nan], id="float32"),
    pytest.param(pd.Series([None, None], dtype=object), [np.nan, np.nan], id="only None"),
]


@pytest.mark.parametrize(("series", "expected"), OWN_NUMBERS)
def test_own_numbers_become_float64(series: pd.Series, expected: list[float]) -> None:
    frame = from_pandas(pd.DataFrame({"x": series}), {"x": "number"})
    assert frame["x"].dtype == np.float64
    np.testing.assert_array_equal(frame["x"].to_numpy(), expected)


@pytest.mark.parametrize("dtype", ["object", "str", "string", "category"])
def test_own_text_of_any_dtype_becomes_what_training_saw(dtype: str) -> None:
    own = pd.DataFrame({"x": pd.Series(["a", None, ""], dtype=dtype)})
    pd.testing.assert_frame_equal(from_pandas(own, {"x": "text"}), to_frame(pa.table({"x": ["a", None, ""]})))


def test_none_and_pandas_na_are_both_null() -> None:
    own = pd.DataFrame({"x": pd.Series(["a", None, pd.NA, np.nan], dtype=object)})
    assert from_pandas(own, {"x": "text"})["x"].isna().tolist() == [False, True, True, True]


def test_own_rows_keep_their_index_and_lose_further_columns() -> None:
    own = pd.DataFrame({"extra": [0, 0], "x": [1, 2]}, index=[7, 9])
    frame = from_pandas(own, {"x": "number"})
    assert list(frame.columns) == ["x"]
    assert frame.index.tolist() == [7, 9]
    assert "extra" in own.columns


def test_own_rows_without_a_column_are_refused_by_its_name() -> None:
    with pytest.raises(ColumnsMissing, match="lack column temp that"):
        from_pandas(pd.DataFrame({"x": [1]}), {"x": "number", "temp": "number"})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["abc"], "number"),
        ([object()], "number"),
        ([datetime(2026, 1, 1, tzinfo=UTC)], "number"),
        ([7], "text"),
        ([7.0, None], "text"),
        (["a", 7], "text"),
    ],
    ids=["text as number", "object as number", "time as number", "int as text", "float as text", "mixed as text"],
)
def test_own_values_of_another_kind_are_refused_by_column(values: list[Any], kind: Kind) -> None:
    with pytest.raises(DataError, match='column "temp"'):
        from_pandas(pd.DataFrame({"temp": values}), {"temp": kind})


# --- the target ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected", "dtype"),
    [
        (pa.array([True, False]), [True, False], "bool"),
        (pa.array([0, 1], pa.int16()), [0, 1], "int64"),
        (pa.array(["yes", "no"]), ["yes", "no"], "object"),
        (pa.array(["yes", "no"]).dictionary_encode(), ["yes", "no"], "object"),
        (pa.array([Decimal("1.0"), Decimal("0.0")]), [1, 0], "int64"),
        (pa.array([1.0, 0.0]), [1, 0], "int64"),
    ],
    ids=["bool", "integer", "text", "dictionary", "decimal", "float"],
)
def test_classes_keep_their_type(values: pa.Array, expected: list[Any], dtype: str) -> None:
    for target in (values, pa.chunked_array([values])):
        y = to_target(target, "binary")
        assert y.tolist() == expected
        assert y.dtype == dtype


def test_a_regression_target_is_float64() -> None:
    assert to_target(pa.array([Decimal("1.5"), Decimal(2)]), "regression").tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("values", "task", "reason"),
    [
        (pa.array([1.0, float("nan")]), "regression", "1 of its values are NaN or infinity"),
        (pa.array([1.0, float("inf")]), "regression", "NaN or infinity"),
        (pa.array([1.0, float("nan")]), "binary", "NaN or infinity"),
        (pa.array([1, None]), "binary", "1 of its values are NULL"),
        (pa.array(["high"]), "regression", "it is string, not a number"),
        (pa.array([True]), "regression", "it is bool, not a number"),
        (pa.array([0.5, 1.0]), "binary", r"no class, like 0\.5"),
        (pa.array([1e300]), "binary", r"no class, like 1e\+300"),
        (pa.array([date(2026, 1, 1)]), "binary", "it is date32"),
    ],
    ids=["NaN", "infinity", "NaN class", "NULL", "text", "bool", "fraction", "huge", "date"],
)
def test_a_bad_target_is_refused_with_its_reason(values: pa.Array, task: str, reason: str) -> None:
    with pytest.raises(BadTarget, match=f'the target "late" cannot be used for {task}: .*{reason}') as caught:
        to_target(values, task, "late")
    assert caught.value.exit_code == 65

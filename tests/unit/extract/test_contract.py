"""Which rows break the contract, and which contracts cannot be kept."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from refit.extract.columns import SourceColumn
from refit.extract.contract import UnusableContract, contract_of
from tests.fixtures.shelf import pipeline

INSTANT = pa.timestamp("us", "UTC")
D = Decimal


def broken(rows: list[Any], type_: pa.DataType, limits: dict[str, Any]) -> list[int]:
    """Rows of a column x that break these limits."""
    contract = contract_of(pipeline(columns={"x": limits}), [SourceColumn("x", "any", type_, "none")])
    batch = pa.RecordBatch.from_arrays([pa.array(rows, type_)], names=["x"])
    return sorted(contract.broken(batch))


@pytest.mark.parametrize(
    ("values", "type_", "limits", "bad"),
    [
        pytest.param([1, None], pa.int32(), {}, [], id="no limits"),
        pytest.param([1, None], pa.int32(), {"nullable": False}, [1], id="not null"),
        pytest.param([0, 1, 2, 3, None], pa.int16(), {"min": 1, "max": 2}, [0, 3], id="integers"),
        pytest.param([0, 1, 2], pa.int64(), {"min": 0.5, "max": 1.5}, [0, 2], id="integers within decimals"),
        pytest.param([2**53 + 1], pa.int64(), {"max": 2**53}, [0], id="large integers are not rounded"),
        pytest.param(
            [0.9, 1.0, float("nan"), float("inf"), None], pa.float64(), {"min": 1, "max": 9}, [0, 2, 3], id="floats"
        ),
        pytest.param([D("0.09"), D("0.10")], pa.decimal128(10, 2), {"min": 0.1}, [0], id="decimals are exact"),
        pytest.param([D("0.09"), D("0.10")], pa.decimal128(10, 2), {"min": 0.095}, [0], id="bound between decimals"),
        pytest.param([D("9.99")], pa.decimal128(3, 2), {"max": 6000}, [], id="bound beyond the precision"),
        pytest.param(["", "ab", "ä€😀", None], pa.string(), {"max_length": 2}, [2], id="length in characters"),
        pytest.param(["a", "b", "B", "", None], pa.string(), {"values": ["a", "b"]}, [2, 3], id="values"),
        pytest.param([1, 2, None], pa.int16(), {"values": [1]}, [1], id="values of integers"),
        pytest.param([True, False], pa.bool_(), {"values": [True]}, [1], id="values of bools"),
        pytest.param([D("1.50"), D("2.00")], pa.decimal128(4, 2), {"values": [1.5]}, [1], id="values of decimals"),
        pytest.param(["AB", "ABC", "xAB", "", None], pa.string(), {"pattern": "[A-Z]{2}"}, [1, 2, 3], id="pattern"),
        pytest.param(
            [datetime(2013, 1, 1, 4, 59, tzinfo=UTC), datetime(2013, 1, 1, 5, tzinfo=UTC)],
            INSTANT,
            {"min": "2013-01-01T00:00:00-05:00"},
            [0],
            id="instants",
        ),
        pytest.param(
            [datetime.fromisoformat(day) for day in ("2013-01-01", "2013-01-02")],
            pa.timestamp("us"),
            {"max": "2013-01-01"},
            [1],
            id="timestamps",
        ),
        pytest.param([date(2013, 1, 1), date(2013, 1, 2)], pa.date32(), {"min": "2013-01-01T12:00"}, [0], id="dates"),
        pytest.param(
            [date(2013, 1, 1), date(2013, 1, 2)], pa.date32(), {"values": ["2013-01-02"]}, [0], id="date values"
        ),
    ],
)
def test_limits(values: list[Any], type_: pa.DataType, limits: dict[str, Any], bad: list[int]) -> None:
    assert broken(values, type_, limits) == bad


def test_key_and_cursor_are_never_null_and_reasons_name_no_value() -> None:
    columns = [
        SourceColumn("id", "bigint", pa.int64(), "none"),
        SourceColumn("at", "date", pa.date32(), "date"),
        SourceColumn("x", "text", pa.string(), "size"),
    ]
    contract = contract_of(pipeline(columns={"x": {"max_length": 3, "values": ["ok"]}}), columns)
    batch = pa.RecordBatch.from_pydict({"id": [None, 1], "at": [None, date(2013, 1, 1)], "x": ["secret", "ok"]})
    assert contract.broken(batch) == {
        0: (
            "id: is NULL in the key",
            "at: is NULL, and is the cursor",
            "x: is longer than 3 characters",
            "x: is none of the values",
        )
    }


@pytest.mark.parametrize(
    ("type_", "limits"),
    [
        (pa.string(), {"min": 1}),
        (pa.string(), {"values": [1]}),
        (pa.int64(), {"max": "2013-01-01"}),
        (pa.int64(), {"values": ["1"]}),
        (pa.int16(), {"values": [99999]}),
        (pa.int64(), {"pattern": "a"}),
        (pa.float64(), {"max_length": 3}),
        (pa.bool_(), {"values": [1]}),
        (INSTANT, {"min": 3}),
        (pa.decimal128(4, 2), {"values": [0.125]}),
    ],
)
def test_limits_of_another_kind_than_the_column_are_refused(type_: pa.DataType, limits: dict[str, Any]) -> None:
    (name,) = limits
    with pytest.raises(UnusableContract, match=rf"columns\.x\.{name}: .* does not go with a column of type") as caught:
        broken([], type_, limits)
    assert caught.value.exit_code == 64

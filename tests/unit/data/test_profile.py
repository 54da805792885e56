"""The profile: figures right within their bounds, memory bounded, nothing of sensitive columns."""

import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from refit.data import profiler
from refit.data.profile import ColumnProfile, Profile
from refit.data.profiler import Profiler


def profiled(column: pa.Array, *, batches: int = 1, sensitive: bool = False) -> ColumnProfile:
    schema = pa.schema([("x", column.type)])
    made = Profiler(schema, ["x"] if sensitive else ())
    size = -(-len(column) // batches)
    for start in range(0, len(column), max(size, 1)):
        made.add(pa.RecordBatch.from_arrays([column.slice(start, size)], schema=schema))
    profile = made.profile()
    assert Profile.from_json(profile.to_json(), "profile.json") == profile
    return profile.columns[0]


def test_moments_and_quantiles_of_numbers() -> None:
    numbers = np.random.default_rng(1).lognormal(3, 1, 20_000)
    found = profiled(pa.array(numbers), batches=7)
    assert (found.count, found.min, found.max) == (20_000, numbers.min(), numbers.max())
    assert found.mean == pytest.approx(numbers.mean()) and found.std == pytest.approx(numbers.std())
    assert found.quantiles is not None
    for share, value in found.quantiles.items():
        assert value == pytest.approx(np.quantile(numbers, float(share)), rel=0.06)
    assert found.bins is not None and sum(one.count for one in found.bins) == 20_000


@pytest.mark.parametrize("value", [-1000.0, -0.5, 0.0, 1e-30, 0.5, 7.0, 1e300, 1.7e308])
def test_a_value_lies_in_a_bin_that_does_not_depend_on_the_rest(value: float) -> None:
    alone = profiled(pa.array([value])).bins
    among = profiled(pa.array([value, -3.0, 1e9])).bins
    assert alone is not None and among is not None and alone[0] in among
    low, high = float(alone[0].low), float(alone[0].high)
    assert low <= value <= high and high - low <= max(0.11 * abs(value), 2e-12)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        pytest.param(
            pa.array([1.0, None, math.nan, math.inf]),
            {"count": 4, "nulls": 1, "not_finite": 2, "min": 1.0, "max": 1.0},
            id="NaN",
        ),
        pytest.param(pa.array([None, None], pa.float64()), {"nulls": 2, "mean": None, "bins": None}, id="all NULL"),
        pytest.param(pa.array([], pa.int64()), {"count": 0, "min": None}, id="empty"),
        pytest.param(pa.array([Decimal("1.25"), Decimal("2.75")]), {"mean": 2.0, "std": 0.75}, id="decimal"),
        pytest.param(pa.array([1e308, 1e308, -1e308]), {"std": None, "max": 1e308}, id="overflow"),
        pytest.param(pa.array([True, False, True]), {"distinct": 2, "missed": 0, "mean_length": None}, id="bool"),
        pytest.param(pa.array(["", "ä€😀", None]), {"nulls": 1, "mean_length": 1.5, "max_length": 3}, id="text"),
        pytest.param(
            pa.array([date(2013, 1, 1)]),
            {"min": "2013-01-01T00:00:00+00:00", "max": "2013-01-01T00:00:00+00:00"},
            id="date",
        ),
        pytest.param(pa.array([date(9999, 12, 31)]), {"max": "9999-12-31T00:00:00+00:00"}, id="end of time"),
    ],
)
def test_figures(column: pa.Array, expected: dict[str, Any]) -> None:
    found = profiled(column).model_dump()
    assert {name: found[name] for name in expected} == expected


def test_times_are_binned_by_day_and_by_wider_spans_when_there_are_many() -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    hours = profiled(pa.array([start + timedelta(hours=n) for n in range(72)])).bins
    assert hours is not None and [one.count for one in hours] == [24, 24, 24]
    days = profiled(pa.array([start + timedelta(days=n) for n in range(5000)]), batches=50).bins
    assert days is not None and len(days) <= profiler.MAX_BINS and sum(one.count for one in days) == 5000
    assert {int((datetime.fromisoformat(str(b.high)) - datetime.fromisoformat(str(b.low))).days) for b in days} == {16}


def test_frequent_values_are_found_among_many_rare_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiler, "TRACKED_VALUES", 20)
    words = [["a", "b", "b", f"rare {n}"][n % 4] for n in range(8000)]
    found = profiled(pa.array(words), batches=20)
    assert found.frequent is not None and found.missed is not None and found.distinct is None
    counts = {one.value: one.count for one in found.frequent}
    assert counts["b"] == 4000 and counts["a"] == 2000
    assert len(found.frequent) <= profiler.TOP_VALUES and 0 < found.missed < 2000


def test_long_values_are_cut() -> None:
    found = profiled(pa.array(["x" * 10_000]))
    assert found.frequent is not None and found.frequent[0].value == "x" * 100 and found.max_length == 10_000


def test_sensitive_columns_show_counts_alone() -> None:
    found = profiled(pa.array(["secret", None]), sensitive=True)
    assert json.loads(found.model_dump_json(exclude_defaults=True)) == {
        "name": "x",
        "type": "string",
        "count": 2,
        "nulls": 1,
    }

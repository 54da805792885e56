"""How far two profiles lie apart."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from refit.data.change import ColumnChange, column_changes
from tests.fixtures.profiles import profile

RNG = np.random.default_rng(7)
NUMBERS = RNG.normal(size=4000)
DAYS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(40)]


def change(before: Any, after: Any) -> ColumnChange:
    (found,) = column_changes(profile(x=before), profile(x=after))
    return found


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (NUMBERS, NUMBERS, 0.0),
        (NUMBERS, NUMBERS + 1, ks_2samp(NUMBERS, NUMBERS + 1).statistic),
        (np.abs(NUMBERS), -np.abs(NUMBERS), 1.0),
        ([1.0, 2.0, None, None], [1.0, 2.0, 1.0, 2.0], 0.5),
        ([1.0, 2.0, np.nan, 1.0], [1.0, 2.0, 1.0, 2.0], 0.25),
        (["a", "a", "b", "b"], ["a", "b", "b", "b"], 0.25),
        (["a"], ["b"], 1.0),
        ([True, False], [True, True], 0.5),
        (["a", None], ["a", "a"], 0.5),
        (DAYS[:20], DAYS[20:], 0.0),
        (pa.array([None, None], pa.float64()), [1.0, 2.0], 1.0),
    ],
    ids=[
        *("same", "moved", "mirrored", "fewer-nulls", "nan", "text", "other-text", "bools", "nulls-of-text", "times"),
        "only-nulls",
    ],
)
def test_the_distance_of_a_column(before: Any, after: Any, expected: float) -> None:
    found = change(before, after)
    assert found.state == "stays"
    assert found.distance == pytest.approx(expected, abs=0.03)


def test_without_rows_there_is_no_distance() -> None:
    assert change(pa.array([], pa.float64()), [1.0]).distance is None


def test_values_beyond_the_most_frequent_count_as_one() -> None:
    before = [f"a{n}" for n in range(3000)]
    after = [f"b{n}" for n in range(3000)]
    assert change(before, before).distance == pytest.approx(0.0)
    assert change(before, ["x"] * 3000).distance == pytest.approx(1.0, abs=0.02)
    assert 0.0 <= (change(before, after).distance or 0.0) < 0.05  # nothing is frequent: it cannot be told


def test_columns_that_came_went_or_changed_their_type_stand_first_then_the_largest_change() -> None:
    before = profile(a=[1.0] * 9, b=["x"] * 9, went=[1] * 9, c=[1.0] * 9, typed=[1] * 9)
    after = profile(a=[1.0] * 9, b=["x"] * 6 + ["y"] * 3, c=[2.0] * 9, typed=["1"] * 9, came=[1] * 9)
    found = column_changes(before, after)
    assert [(one.name, one.state) for one in found] == [
        *(("went", "went"), ("typed", "retyped"), ("came", "came")),
        *(("c", "stays"), ("b", "stays"), ("a", "stays")),
    ]
    assert [one.distance for one in found[3:]] == pytest.approx([1.0, 1 / 3, 0.0])


def test_of_a_sensitive_column_only_nulls_count() -> None:
    before, after = profile(("x",), x=["a", "a", None]), profile(("x",), x=["b", "b", "b"])
    (found,) = column_changes(before, after)
    assert found.distance == pytest.approx(1 / 3)


@given(
    before=st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1),
    after=st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1),
)
def test_the_distance_is_a_share_and_the_same_from_both_sides(
    before: list[float | None], after: list[float | None]
) -> None:
    one = change(pa.array(before, pa.float64()), pa.array(after, pa.float64())).distance
    other = change(pa.array(after, pa.float64()), pa.array(before, pa.float64())).distance
    assert one is not None
    assert 0.0 <= one <= 1.0
    assert one == pytest.approx(other)

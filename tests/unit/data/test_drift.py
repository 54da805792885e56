"""The population stability index: small where nothing changed, large where something did, whatever the column."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refit.core.domain import ColumnDrift
from refit.data.drift import drift, merge, stability
from tests.fixtures.profiles import profile

MUCH = 0.25
RNG = np.random.default_rng(11)
MONTHS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(60)]


def drift_of(before: Any, now: Any, *, sensitive: bool = False, late: str = "") -> ColumnDrift:
    hidden = ("x",) if sensitive else ()
    (found,) = drift(profile(hidden, x=before), profile(hidden, x=now), late=late)
    return found


def test_the_index_is_that_of_the_books() -> None:
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.25, 0.25, 0.5])
    index, chance = stability([(200_000, 250_000), (300_000, 250_000), (500_000, 500_000), (0, 0)])
    assert index == pytest.approx(((q - p) * np.log(q / p)).sum(), rel=1e-4)
    assert chance == pytest.approx(2 * 2 / 1_000_000)


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda rows: RNG.normal(50, 20, rows), id="numbers"),
        pytest.param(lambda rows: RNG.lognormal(3, 2, rows), id="skewed"),
        pytest.param(lambda rows: RNG.poisson(3, rows), id="counts"),
        pytest.param(lambda rows: RNG.choice(["a", "b", "c", "d"], rows, p=[0.6, 0.3, 0.08, 0.02]), id="text"),
        pytest.param(lambda rows: np.char.mod("%d", RNG.zipf(2, rows)), id="many values"),
        pytest.param(lambda rows: np.where(RNG.random(rows) < 0.1, np.nan, RNG.normal(size=rows)), id="NaN"),
    ],
)
@pytest.mark.parametrize("rows", [300, 3000])
def test_without_change_the_index_is_what_chance_makes_it(draw: Any, rows: int) -> None:
    found = [drift_of(draw(20_000), draw(rows)) for _ in range(60)]
    mean, chance = np.mean([one.index for one in found]), np.mean([one.chance for one in found])
    assert 0.6 * chance < mean < 1.4 * chance
    assert mean < 0.1
    assert max(one.index for one in found) < MUCH


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (RNG.normal(50, 20, 5000), RNG.normal(70, 20, 800)),
        (RNG.normal(50, 20, 5000), RNG.normal(50, 60, 800)),
        (RNG.normal(50, 20, 5000), [None] * 300 + [50.0] * 500),
        (RNG.normal(50, 20, 5000), np.full(800, np.nan)),
        (np.full(5000, 7.0), np.full(800, -7.0)),
        ([3.0, *[7.0] * 5000, 9.0], [*[3.0] * 200, *[7.0] * 600]),
        (RNG.normal(50, 20, 5000), RNG.normal(5000, 20, 800)),
        (RNG.choice(["a", "b"], 5000, p=[0.9, 0.1]), RNG.choice(["a", "b"], 800, p=[0.5, 0.5])),
        (["a", "b"] * 2500, ["c"] * 800),
        ([True] * 4500 + [False] * 500, [True] * 400 + [False] * 400),
        (pa.array([None] * 5000, pa.float64()), RNG.normal(50, 20, 800)),
    ],
    ids=[
        *(
            "moved",
            "wider",
            "NULL",
            "NaN",
            "other sign",
            "rare ones",
            "beyond all",
            "other shares",
            "other values",
            "bools",
        ),
        "first values",
    ],
)
def test_a_change_is_much(before: Any, now: Any) -> None:
    assert drift_of(before, now).index > MUCH


def test_values_that_a_table_was_full_of_may_go_without_an_infinite_index() -> None:
    found = drift_of(["a"] * 10, ["b"])
    assert MUCH < found.index < 10


@pytest.mark.parametrize(
    ("before", "now", "sensitive"),
    [
        pytest.param(MONTHS[:30], MONTHS[30:], False, id="times"),
        pytest.param(["0000"] * 100, ["1111"] * 100, True, id="sensitive"),
    ],
)
def test_of_times_and_sensitive_columns_only_missing_values_drift(before: Any, now: Any, *, sensitive: bool) -> None:
    assert drift_of(before, now, sensitive=sensitive).index == pytest.approx(0, abs=1e-3)
    fewer = drift_of(before, [*now[: len(now) // 2], *[None] * (len(now) // 2)], sensitive=sensitive)
    assert fewer.index > MUCH
    assert fewer.nulls == 0.5


def test_truths_that_come_late_are_no_drift_of_the_target() -> None:
    before, now = [True, False] * 500, [True, False] * 50 + [None] * 400
    assert drift_of(before, now).index > MUCH
    late = drift_of(before, now, late="x")
    assert late.index < 0.05
    assert late.nulls == 0.8
    assert drift(profile(x=before), profile(x=pa.array([None] * 10, pa.bool_())), late="x") == []


def test_the_most_drifted_columns_come_first_and_keys_not_at_all() -> None:
    numbers = RNG.normal(size=2000)
    before = profile(id=range(2000), b=numbers, a=numbers, much=numbers, some=numbers, gone=numbers, kind=numbers)
    now = profile(id=range(9000, 11000), b=numbers, a=numbers, much=numbers + 2, some=numbers + 0.4, kind=["a"] * 2000)
    found = drift(before, now, leave_out={"id"})
    assert [one.column for one in found] == ["much", "some", "a", "b"]
    assert found[-1].index == 0


PARTS = st.lists(st.integers(1, 400), min_size=1, max_size=5)


@given(sizes=PARTS, seed=st.integers(0, 2**32))
def test_merged_profiles_count_as_the_profile_of_all_rows(sizes: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = sum(sizes)
    table = pa.table(
        {
            "number": np.where(draw.random(rows) < 0.1, np.nan, draw.normal(0, 100, rows)),
            "whole": pa.array([None if draw.random() < 0.1 else int(n) for n in draw.integers(-5, 5, rows)]),
            "text": draw.choice(list("abcdefg"), rows),
            "flag": draw.random(rows) < 0.2,
            "secret": draw.choice(["x", "y"], rows),
        }
    )
    ends = np.cumsum([0, *sizes])
    parts = [table.slice(start, end - start) for start, end in pairwise(ends)]
    made = [profile(("secret",), **{name: part.column(name) for name in table.column_names}) for part in parts]
    whole = profile(("secret",), **{name: table.column(name) for name in table.column_names})
    merged = merge(made)
    assert merged.rows == whole.rows
    told = {"count", "nulls", "not_finite", "bins", "frequent"}
    for one, other in zip(merged.columns, whole.columns, strict=True):
        assert one.model_dump(include=told) == other.model_dump(include=told)
    assert drift(merged, whole) == drift(whole, whole)
    assert all(one.index == 0 for one in drift(whole, whole))

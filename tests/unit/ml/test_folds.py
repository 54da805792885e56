"""Folds: time runs forward in them, entities stay whole, and classes are shared out."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from refit.ml.folds import Folds, by_entity, by_time
from refit.ml.frame import Array

COUNTS = st.integers(2, 8)
SEEDS = st.integers(0, 2**32 - 1)
CURSORS = st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=80).map(lambda values: np.array(values, np.int64))


def entities_of(rows: int, several: int, seed: int) -> Array | None:
    return None if several == 0 else np.random.default_rng(seed).integers(0, several, rows).astype(np.uint64)


def classes_of(rows: int, several: int, seed: int) -> Array:
    return np.random.default_rng(seed).integers(0, several, rows)


@given(CURSORS, st.integers(0, 30), COUNTS, SEEDS, st.integers(1, 4), st.data())
def test_a_fold_by_time_tests_later_rows_of_other_entities_and_known_classes(
    cursors: Array, several: int, count: int, seed: int, classes: int, data: st.DataObject
) -> None:
    y, entities = classes_of(len(cursors), classes, seed), entities_of(len(cursors), several, seed)
    folds = by_time(cursors, entities, count, seed)
    limit = data.draw(st.none() | st.integers(1, len(cursors)))
    assert folds.count <= count
    tested = Counter[int]()
    for fold in range(folds.count):
        train, test = folds.rows(fold, y, limit)
        tested.update(test.tolist())
        if len(train) and len(test):
            assert cursors[train].max() < cursors[test].min()
        assert set(y[test]) <= set(y[train])
        if entities is not None:
            assert not set(entities[test]) & set(entities[train])
    assert not tested or max(tested.values()) == 1


@given(st.integers(1, 80), st.integers(0, 30), COUNTS, SEEDS, st.integers(1, 4), st.data())
def test_a_fold_by_entity_has_whole_entities(
    rows: int, several: int, count: int, seed: int, classes: int, data: st.DataObject
) -> None:
    y, entities = classes_of(rows, classes, seed), entities_of(rows, several, seed)
    folds = by_entity(y, entities, count, seed)
    limit = data.draw(st.none() | st.integers(1, rows))
    for fold in range(folds.count):
        train, test = folds.rows(fold, y, limit)
        assert not set(train) & set(test)
        assert set(y[test]) <= set(y[train])
        if entities is not None:
            assert not set(entities[test]) & set(entities[train])


@given(st.integers(10, 80), SEEDS, st.data())
def test_fewer_rows_are_among_more_of_them(rows: int, seed: int, data: st.DataObject) -> None:
    y = classes_of(rows, 2, seed)
    folds = data.draw(st.sampled_from([by_time(np.arange(rows), None, 3, seed), by_entity(y, None, 3, seed)]))
    few, more = sorted([data.draw(st.integers(1, rows)), data.draw(st.integers(1, rows))])
    for fold in range(folds.count):
        assert set(folds.rows(fold, y * 0, few)[0]) <= set(folds.rows(fold, y * 0, more)[0])


def every(folds: Folds, y: Array) -> list[tuple[list[int], list[int]]]:
    pairs = [folds.rows(fold, y) for fold in range(folds.count)]
    return [(train.tolist(), test.tolist()) for train, test in pairs]


@pytest.mark.parametrize("rows", [6, 60, 61, 65])
def test_folds_by_distinct_instants_are_scikit_learns(rows: int) -> None:
    y = np.zeros(rows)
    expected = [(train.tolist(), test.tolist()) for train, test in TimeSeriesSplit(5).split(y)]
    assert every(by_time(np.arange(rows) * 7, None, 5, 0), y) == expected


def test_rows_of_one_instant_stay_together_and_few_instants_give_fewer_folds() -> None:
    days = np.repeat([0, 1, 2], [5, 40, 5])
    folds = by_time(days, None, 5, 0)
    assert [(set(days[train]), set(days[test])) for train, test in every(folds, np.zeros(50))] == [({0}, {1, 2})]
    assert by_time(np.zeros(50, np.int64), None, 5, 0).count == 0


def test_each_class_is_dealt_out_evenly_where_a_row_is_an_entity() -> None:
    y = np.repeat(["a", "b", "c"], [100, 11, 3]).astype(object)
    counts = [Counter(y[test]) for _, test in every(by_entity(y, None, 5, 1), y)]
    for label in "abc":
        of_label = [count[label] for count in counts]
        assert max(of_label) - min(of_label) <= 1
    assert sum(sum(count.values()) for count in counts) == 114


def test_a_seed_gives_the_same_folds_again_and_another_gives_others() -> None:
    y = classes_of(200, 2, 0)
    assert (
        every(by_entity(y, None, 5, 1), y) == every(by_entity(y, None, 5, 1), y) != every(by_entity(y, None, 5, 2), y)
    )

"""Which rows stand after several extracts: against a plain model, and case by case."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refit.data import parts, search
from refit.data.clean import is_clean, key_hashes, trained_on
from refit.data.hashing import Words
from refit.data.standing import INSTANT
from refit.data.updates import Counts
from tests.fixtures.shelf import Shelf, at, pipeline, values

Read = tuple[int, int]  # key, hour


def shelf(tmp_path: Path, *extracts: list[Read], **options: Any) -> tuple[Shelf, list[Counts]]:
    """A shelf after these extracts; each row's value is its number in the order of reading."""
    made, counts, number = Shelf(tmp_path, options=options), [], 0
    for extract in extracts:
        rows = [(key, at(hour), True, number + i) for i, (key, hour) in enumerate(extract)]
        number += len(extract)
        counts.append(made.add(rows))
    return made, counts


def model(extracts: list[list[Read]], until: int) -> dict[int, list[tuple[int, int]]]:
    """(hour, value) of each key's rows up to `until`, in the order of the rule: by cursor, then by reading."""
    found: dict[int, list[tuple[int, int]]] = {}
    number = 0
    for extract in extracts:
        for key, hour in extract:
            if hour <= until:
                found.setdefault(key, []).append((hour, number))
            number += 1
    return {key: sorted(rows) for key, rows in found.items()}


READS = st.lists(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 10)), max_size=12), min_size=1, max_size=5)


@settings(max_examples=80)
@given(extracts=READS, until=st.integers(0, 10), cut=st.integers(0, 10), collide=st.booleans())
@example(extracts=[[(1, 1)], [(1, 5)], [(1, 3)]], until=4, cut=2, collide=False)
@example(extracts=[[(1, 3)], [(1, 5)], [(1, 1)]], until=10, cut=2, collide=False)
def test_snapshot_equals_a_plain_recomputation(extracts: list[list[Read]], until: int, cut: int, collide: bool) -> None:
    options: dict[str, Any] = {"hasher": two_hashes, "slice_rows": 3, "match_rows": 12} if collide else {}
    with tempfile.TemporaryDirectory() as folder:
        made, _ = shelf(Path(folder), *extracts, **options)
        cut = min(cut, until - 1)
        reader = made.reader(at(until), pipeline(split={"holdout": f"{until - cut}h"}))
        rows = model(extracts, until)
        stands = {key: versions[-1] for key, versions in rows.items()}
        assert sorted(values(reader, "window")) == sorted(value for _, value in stands.values())
        assert reader.count("window", labelled=False) == len(stands)
        assert sorted(values(reader, "train")) == sorted(value for hour, value in stands.values() if hour <= cut)
        held = [value for key, (hour, value) in stands.items() if hour > cut and rows[key][0][0] > cut]
        assert sorted(values(reader, "holdout")) == sorted(held)


def two_hashes(batch: pa.RecordBatch, key: Any) -> Words:
    """Hashes under which half of all keys collide."""
    ids = batch.column(key[0]).to_numpy(zero_copy_only=False)
    hashes: Words = (ids % 2).astype(np.uint64) * np.uint64(2**63)
    return hashes


@pytest.mark.parametrize(
    ("extracts", "expected"),
    [
        pytest.param([[(1, 1), (2, 1)]], [Counts(2)], id="first"),
        pytest.param([[(1, 1)], [(1, 1)]], [Counts(1), Counts(0, 0, 1)], id="read again"),
        pytest.param([[(1, 1)], [(1, 2)]], [Counts(1), Counts(1, 0, 1)], id="updated"),
        pytest.param([[(1, 5)], [(1, 2)]], [Counts(1), Counts(0, 0, 0)], id="too late"),
        pytest.param([[(1, 1), (1, 2), (1, 2)]], [Counts(1, 2, 0)], id="doubles"),
        pytest.param([[(1, 1)], [(1, 2), (1, 3)]], [Counts(1), Counts(1, 1, 1)], id="doubled update"),
        pytest.param([[], [(1, 2)]], [Counts(), Counts(1)], id="nothing at first"),
    ],
)
def test_counts(tmp_path: Path, extracts: list[list[Read]], expected: list[Counts]) -> None:
    assert shelf(tmp_path, *extracts)[1] == expected


def test_rows_that_replace_none_write_no_updates(tmp_path: Path) -> None:
    made, _ = shelf(tmp_path, [(1, 1)], [(2, 2)])
    assert [batch.updates for batch in made.batches] == [None, None]


def test_of_equal_cursors_the_row_read_last_stands(tmp_path: Path) -> None:
    made, _ = shelf(tmp_path, [(1, 1), (1, 1)], [(1, 1)])
    assert values(made.reader(at(5), pipeline()), "window") == [2]


def test_an_earlier_view_shows_what_stood_then(tmp_path: Path) -> None:
    made, _ = shelf(tmp_path, [(1, 1)], [(1, 4)], [(1, 8)])
    seen = {hour: values(made.reader(at(hour), pipeline()), "window") for hour in (0, 1, 5, 8)}
    assert seen == {0: [], 1: [0], 5: [1], 8: [2]}


def test_first_cursor_is_passed_on_when_its_part_has_left_the_window(tmp_path: Path) -> None:
    made = Shelf(tmp_path)
    made.add([(1, at(0), True, 0)])
    made.add([(1, at(50), True, 1), (2, at(60), True, 2)])
    made.add([(1, at(95), True, 3), (2, at(95), True, 4), (3, at(95), True, 5)], window_start=at(40))
    rolling = pipeline(window={"kind": "rolling", "length": "60h"}, split={"holdout": "70h"})
    # the cut lies at hour 30: key 1 was first seen at hour 0, in a part that the last extract did not search
    assert values(made.reader(at(100), rolling), "holdout") == [4, 5]


def test_text_keys_and_keys_of_several_columns_are_compared_exactly(tmp_path: Path) -> None:
    schema = pa.schema(
        [("a", pa.string()), ("b", pa.float64()), ("at", INSTANT), ("y", pa.bool_()), ("value", pa.int64())]
    )

    def constant(batch: pa.RecordBatch, _: Any) -> Words:
        return np.full(len(batch), 42, dtype=np.uint64)

    made = Shelf(tmp_path, schema, ("a", "b"), {"hasher": constant, "slice_rows": 2, "match_rows": 1})
    nan = float("nan")
    made.add([("x", 1.0, at(1), True, 0), ("y", 1.0, at(1), True, 1), ("x", nan, at(1), True, 2)])
    made.add([("x", 1.0, at(2), True, 3), ("x", 2.0, at(2), True, 4), ("x", 0.0, at(2), True, 5)])
    made.add([("x", -0.0, at(3), True, 6)])
    found = values(made.reader(at(5), pipeline(source=two_column_source())), "window")
    assert found == [1, 2, 3, 4, 6]


def two_column_source() -> dict[str, Any]:
    return {"query": "SELECT 1", "key": ["a", "b"], "cursor": "at"}


def test_text_keys_without_collisions_need_one_look(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.string()), ("at", INSTANT), ("y", pa.bool_()), ("value", pa.int64())])
    made = Shelf(tmp_path, schema)
    made.add([(f"k{i}", at(1), True, i) for i in range(50)])
    assert made.add([(f"k{i}", at(2), True, 100 + i) for i in range(40, 60)]) == Counts(20, 0, 10)
    assert values(made.reader(at(5), pipeline()), "window") == [*range(40), *range(140, 160)]


def test_many_parts_and_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "GROUP_ROWS", 20)
    monkeypatch.setattr(parts, "PART_ROWS", 40)
    monkeypatch.setattr(search, "SLICE_ROWS", 1)
    random = np.random.default_rng(3)
    extracts = [[(int(k), int(h)) for k, h in random.integers(0, 60, (150, 2))] for _ in range(3)]
    made, _ = shelf(tmp_path, *extracts, slice_rows=16, match_rows=64)
    assert len(made.batches[0].parts) == 4
    expected = sorted(rows[-1][1] for rows in model(extracts, 60).values())
    assert sorted(values(made.reader(at(60), pipeline()), "window")) == expected


def test_entities_of_the_training_rows_are_found_in_the_same_pass(tmp_path: Path) -> None:
    made = Shelf(tmp_path)
    made.add([(n, at(n), None if n == 2 else True, n % 5) for n in range(8)])
    keys, entities = trained_on(made.reader(at(8), pipeline(split={"holdout": "5h"})), ["id"], ["value"])
    batch = pa.RecordBatch.from_pydict({"id": [0, 2, 4], "value": [0, 2, 4]})
    assert is_clean(key_hashes(batch, ["id"]), [keys]).tolist() == [False, True, True]
    assert is_clean(key_hashes(batch, ["value"]), [entities]).tolist() == [False, True, True]  # 2 has no label
    assert len(entities) == 3


def test_clean_rows_are_those_no_model_trained_on(tmp_path: Path) -> None:
    made, _ = shelf(tmp_path, [(key, key) for key in range(20)])
    reader = made.reader(at(20), pipeline(split={"holdout": "5h"}))
    (trained,) = trained_on(reader, ["id"])
    assert len(trained) == 16 and (np.diff(trained.astype(object)) > 0).all()
    batch = pa.RecordBatch.from_pydict({"id": [3, 15, 16, 99]})
    assert is_clean(key_hashes(batch, ["id"]), [trained, trained[:0]]).tolist() == [False, False, True, True]

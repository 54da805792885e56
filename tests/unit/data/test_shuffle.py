"""The order of rows that were dealt to disk, in whatever batches they came."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refit.core.errors import DiskError
from refit.data import shuffle
from refit.data.hashing import hash_rows
from refit.data.shuffle import Shuffled, deal, salt

KEYS = st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=120, unique=True)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffle, "BLOCK_ROWS", 16)


def batches(keys: list[int], cuts: list[int]) -> list[pa.RecordBatch]:
    """Rows with these keys, cut into batches of uneven size."""
    table = pa.table({"key": pa.array(keys, pa.int64()), "text": pa.array([str(key) for key in keys])})
    places = [0, *sorted(cut % (len(keys) + 1) for cut in cuts), len(keys)]
    return [
        batch for start, stop in itertools.pairwise(places) for batch in table.slice(start, stop - start).to_batches()
    ]


def dealt(tables: list[pa.RecordBatch], path: Path, seed: int = 0) -> Shuffled:
    return deal(tables, ["key", "text"], ["key"], seed, sum(len(table) for table in tables), path)


def keys_of(found: Shuffled, number: int) -> list[int]:
    """All keys in the order of a pass."""
    return [key for block in found.order(number) for key in found.block(block, number)["key"].to_pylist()]


@settings(max_examples=60)
@given(KEYS, st.lists(st.integers(0, 200), max_size=8), st.integers(0, 5), st.integers(0, 3))
def test_each_pass_has_every_row_once_in_an_order_that_no_batch_decides(
    tmp_path_factory: pytest.TempPathFactory, keys: list[int], cuts: list[int], seed: int, number: int
) -> None:
    folder = tmp_path_factory.mktemp("dealt")
    whole, cut = dealt(batches(keys, []), folder / "a", seed), dealt(batches(keys[::-1], cuts), folder / "b", seed)
    assert keys_of(whole, number) == keys_of(cut, number)
    assert sorted(keys_of(whole, number)) == sorted(keys)
    assert (whole.rows, sum(whole.sizes)) == (len(keys), len(keys))


@given(KEYS, st.integers(1, 200))
def test_the_first_rows_are_those_with_the_smallest_hashes(
    tmp_path_factory: pytest.TempPathFactory, keys: list[int], rows: int
) -> None:
    found = dealt(batches(keys, []), tmp_path_factory.mktemp("dealt") / "a", 3)
    hashes = hash_rows([pa.array(keys, pa.int64())], salt(3))
    expected = [keys[place] for place in np.argsort(hashes, kind="stable")[:rows]]
    assert found.first(rows)["key"].to_pylist() == expected


def test_values_of_a_row_stay_together(tmp_path: Path) -> None:
    found = dealt(batches(list(range(500)), [100, 333]), tmp_path / "rows")
    for block in found.order(1):
        rows = found.block(block, 1)
        assert rows["text"].to_pylist() == [str(key) for key in rows["key"].to_pylist()]


def test_passes_and_seeds_have_orders_of_their_own(tmp_path: Path) -> None:
    tables = batches(list(range(300)), [])
    found, other = dealt(tables, tmp_path / "a"), dealt(tables, tmp_path / "b", seed=1)
    orders = [keys_of(found, 0), keys_of(found, 1), keys_of(other, 0), list(range(300))]
    assert len({tuple(order) for order in orders}) == 4
    assert keys_of(found, 1) == keys_of(found, 1)


@pytest.mark.parametrize("number", [0, 1])
def test_every_place_is_as_likely_for_any_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Places of the first hundred of 2,000 rows over 100 seeds, in ten parts: chi-square with 9 degrees of freedom."""
    monkeypatch.setattr(shuffle, "BLOCK_ROWS", 300)
    table, found = pa.RecordBatch.from_pydict({"key": pa.array(range(2000))}), np.zeros(10)
    for seed in range(100):
        order = np.array(keys_of(deal([table], ["key"], ["key"], seed, 2000, tmp_path / "rows"), number))
        found += np.histogram(np.flatnonzero(order < 100), bins=10, range=(0, 2000))[0]
    assert ((found - 1000) ** 2 / 1000).sum() < 27.9  # exceeded by chance once in a thousand


def test_dictionaries_and_gaps_come_back_as_they_were(tmp_path: Path) -> None:
    texts = ["a", None, "", "b"] * 50
    columns = {"key": pa.array(range(200)), "coded": pa.array(texts).dictionary_encode(), "plain": pa.array(texts)}
    found = deal([pa.RecordBatch.from_pydict(columns)], ["coded", "plain"], ["key"], 0, 200, tmp_path / "rows")
    rows = found.first(200)
    assert rows.column_names == ["coded", "plain"]
    assert rows["coded"].to_pylist() == rows["plain"].to_pylist()
    assert sorted(rows["plain"].to_pylist(), key=str) == sorted(texts, key=str)


def test_a_full_disk_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    full = tmp_path / "rows"
    full.symlink_to("/dev/full")
    with pytest.raises(DiskError, match=r"cannot write rows in .*: No space left on device"):
        dealt(batches(list(range(100)), []), full)
    assert not full.is_symlink()


def test_rows_that_cannot_be_read_leave_no_file(tmp_path: Path) -> None:
    def tables() -> Iterator[pa.RecordBatch]:
        yield batches([1, 2, 3], [])[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deal(tables(), ["key"], ["key"], 0, 3, tmp_path / "rows")
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffle, "BLOCK_ROWS", 20_000)
    before, held = pa.total_allocated_bytes(), list[int]()

    def stream() -> Iterator[pa.RecordBatch]:
        for start in range(0, 1_000_000, 20_000):
            values = pa.array(np.arange(start, start + 20_000))
            yield pa.RecordBatch.from_arrays([values, values], names=["key", "x"])
            held.append(pa.total_allocated_bytes() - before)

    found = deal(stream(), ["key", "x"], ["key"], 0, 1_000_000, tmp_path / "rows")
    for block in found.order(0):
        found.block(block, 0)
        held.append(pa.total_allocated_bytes() - before)
    assert max(held) < 2_000_000  # 16 MB came by

"""Which rows a random part has, in whatever batches they come."""

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refit.data.hashing import hash_rows
from refit.data.sampling import salt, smallest

KEYS = st.lists(st.integers(-(2**40), 2**40), max_size=120, unique=True)


def batches(keys: list[int], cuts: list[int]) -> list[pa.RecordBatch]:
    """Rows with these keys, cut into batches of uneven size."""
    table = pa.table({"at": range(len(keys)), "key": pa.array(keys, pa.int64())})
    places = [0, *sorted(cut % (len(keys) + 1) for cut in cuts), len(keys)]
    return [
        batch for start, stop in itertools.pairwise(places) for batch in table.slice(start, stop - start).to_batches()
    ]


def ids(found: list[pa.RecordBatch]) -> list[int]:
    return [at for batch in found for at in batch.column("at").to_pylist()]


@given(KEYS, st.lists(st.integers(0, 200), max_size=8), st.integers(1, 40), st.integers(0, 5))
def test_the_rows_with_the_smallest_hashes_are_kept_in_their_order(
    keys: list[int], cuts: list[int], rows: int, seed: int
) -> None:
    found, seen = smallest(batches(keys, cuts), ["key"], seed, rows)
    hashes = hash_rows([pa.array(keys, pa.int64())], salt(seed))
    assert ids(found) == sorted(np.argsort(hashes, kind="stable")[:rows].tolist())
    assert seen == len(keys)


def test_of_rows_with_one_hash_the_first_are_kept() -> None:
    found, seen = smallest(batches([7] * 50, [3, 9, 30]), ["key"], 0, 10)
    assert ids(found) == list(range(10))
    assert seen == 50


def test_a_larger_part_holds_the_smaller_one_and_another_seed_gives_another() -> None:
    keys = list(range(1000))
    small, large, other = (
        set(ids(smallest(batches(keys, []), ["key"], seed, rows)[0])) for seed, rows in ((1, 100), (1, 300), (2, 100))
    )
    assert small < large
    assert len(small & other) < 40


def test_a_part_does_not_lean_to_any_rows() -> None:
    kept = ids(smallest(batches(list(range(100_000)), []), ["key"], 0, 10_000)[0])
    assert np.histogram(kept, bins=10, range=(0, 100_000))[0] == pytest.approx(1000, abs=120)


def test_memory_follows_the_part_and_not_the_rows() -> None:
    def stream() -> Iterator[pa.RecordBatch]:
        for start in range(0, 2_000_000, 20_000):
            values = np.arange(start, start + 20_000)
            yield pa.RecordBatch.from_arrays([pa.array(values), pa.array(values)], names=["at", "key"])
            held.append(pa.total_allocated_bytes() - before)

    before, held = pa.total_allocated_bytes(), list[int]()
    found, seen = smallest(stream(), ["key"], 0, 5_000)
    assert (sum(map(len, found)), seen) == (5_000, 2_000_000)
    assert max(held) < 2_000_000  # 32 MB came by

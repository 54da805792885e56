"""Where equal keys are looked for, and the exact look at rows whose keys have equal hashes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from refit.core.domain import Batch, Part
from refit.data.clean import key_hashes
from refit.data.hashing import Words, is_injective
from refit.data.keylog import Slice
from refit.data.standing import Fetch, Rows

Hasher = Callable[[pa.RecordBatch, Sequence[str]], Words]

SLICE_ROWS: Final = 1 << 18  # rows read now that are compared at once
MATCH_ROWS: Final = 1 << 19  # older rows that one slice may match before it is halved
ROW_BITS: Final = 40  # a place is the number of a part, then that of a row in it: the order of reading
ROW_MASK: Final = (1 << ROW_BITS) - 1


def place(part: int, row: Rows | int) -> Rows:
    """One number for a row of a part, greater for rows read later."""
    places: Rows = (np.int64(part) << np.int64(ROW_BITS)) + np.asarray(row, dtype=np.int64)
    return places


@dataclass(frozen=True)
class Search:
    """The parts written now, and what the snapshot held before.

    Attributes:
        older: Batches of the snapshot; of them, parts that may hold rows of the window are searched.
        hasher: Of keys; tests give one that collides.
    """

    key: Sequence[str]
    cursor: str
    older: Sequence[Batch]
    written: Sequence[Part]
    fetch: Fetch
    in_window: Callable[[Part], bool] = lambda _: True
    hasher: Hasher = key_hashes
    slice_rows: int = SLICE_ROWS
    match_rows: int = MATCH_ROWS

    @cached_property
    def parts(self) -> list[Part]:
        """All parts that are searched, those written now last."""
        older = [part for batch in self.older for part in batch.parts if self.in_window(part)]
        return [*older, *self.written]

    @property
    def first_written(self) -> int:
        """Number of the first part written now."""
        return len(self.parts) - len(self.written)

    def placed(self, logged: Slice) -> Slice:
        """Rows of a key log with their places; the log numbers the rows written now from 0 on."""
        ends = np.cumsum([part.rows for part in self.written])
        numbers = np.searchsorted(ends, logged.rows, side="right")
        starts = np.concatenate(([0], ends[:-1]))
        places = ((numbers + self.first_written) << ROW_BITS) + (logged.rows - starts[numbers])
        return Slice(logged.hashes, logged.cursors, places)


def exact_groups(search: Search, rows: Slice) -> Rows:
    """A number per row, equal for equal keys and no others, of shape (rows,)."""
    _, groups = np.unique(rows.hashes, return_inverse=True)
    schema = pq.read_schema(search.fetch(search.parts[-1].artifact))
    if search.hasher is key_hashes and is_injective([schema.field(name).type for name in search.key]):
        return groups.astype(np.int64)
    order = np.lexsort((rows.rows, groups))
    keys = _keys_at(search, rows.rows)
    first, second = pa.array(order[:-1]), pa.array(order[1:])
    differ = np.zeros(len(rows) - 1, dtype=bool)
    for column in keys.columns:
        differ |= ~_equal(column.take(first), column.take(second))
    collided = np.unique(groups[order[1:]][differ & (groups[order[1:]] == groups[order[:-1]])])
    exact: Rows = groups.astype(np.int64)
    numbers: dict[tuple[object, ...], int] = {}
    for row in np.flatnonzero(np.isin(groups, collided)):  # two keys with one hash: once in 2^64 pairs
        key = (groups[row], *(column[row].as_py() for column in keys.columns))
        exact[row] = numbers.setdefault(key, len(rows) + len(numbers))
    return exact


def first_cursors(search: Search, places: Rows) -> Rows:
    """What earlier updates call the first cursor under each row's key; the greatest number where they are silent."""
    firsts = np.full(len(places), np.iinfo(np.int64).max)
    order = np.argsort(places)
    ordered = places[order]
    numbers = {part.artifact.key: number for number, part in enumerate(search.parts)}
    for batch in search.older:
        if batch.updates is None:
            continue
        with pq.ParquetFile(search.fetch(batch.updates), pre_buffer=False) as file:
            for updates in file.iter_batches(columns=["new_part", "new_row", "first_cursor"]):
                _take_firsts(updates, numbers, ordered, order, firsts)
    return firsts


def _take_firsts(updates: pa.RecordBatch, numbers: dict[str, int], ordered: Rows, order: Rows, firsts: Rows) -> None:
    parts = updates.column("new_part").dictionary_encode()
    known = np.array([numbers.get(key, -1) for key in parts.dictionary.to_pylist()], dtype=np.int64)
    part = known[parts.indices.to_numpy(zero_copy_only=False)]
    at = (part << ROW_BITS) + updates.column("new_row").to_numpy(zero_copy_only=False)
    found = np.minimum(np.searchsorted(ordered, at), len(ordered) - 1)
    hits = (ordered[found] == at) & (part >= 0)
    cursors = updates.column("first_cursor").cast(pa.int64()).to_numpy(zero_copy_only=False)
    np.minimum.at(firsts, order[found[hits]], cursors[hits])


def _keys_at(search: Search, places: Rows) -> pa.Table:
    """The keys of these rows, in their order; reads the row groups that hold any of them."""
    order = np.argsort(places)
    ordered, tables = places[order], []
    for number in np.unique(ordered >> ROW_BITS).tolist():
        rows = ordered[(ordered >> ROW_BITS) == number] & ROW_MASK
        with pq.ParquetFile(search.fetch(search.parts[number].artifact), pre_buffer=False) as file:
            start = 0
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                wanted = rows[(rows >= start) & (rows < start + size)] - start
                if len(wanted):
                    tables.append(file.read_row_group(group, columns=list(search.key)).take(pa.array(wanted)))
                start += size
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    return pa.concat_tables(tables).combine_chunks().take(pa.array(back)).select(list(search.key))


def _equal(first: pa.ChunkedArray, second: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    equal = pc.equal(first, second)
    if pa.types.is_floating(first.type):
        equal = pc.or_(equal, pc.and_(pc.is_nan(first), pc.is_nan(second)))
    result: np.ndarray[tuple[int], np.dtype[np.bool_]] = equal.combine_chunks().to_numpy(zero_copy_only=False)
    return result

"""Which rows of a snapshot's parts stand: what `updates.parquet` says, held as bits per part.

A row of `updates.parquet` says that the row `new_row` of `new_part` comes after the row `old_row` of `old_part` under
the same key (data/updates.py has the order). Seen from an instant, a row stands unless a row that comes after it has
a cursor up to that instant. Two bits per row of the parts that have updates; nothing for the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from refit.core.domain import Artifact, Batch

Fetch = Callable[[Artifact], Path]
Bits = np.ndarray[tuple[int], np.dtype[np.uint8]]
Rows = np.ndarray[tuple[int], np.dtype[np.int64]]
Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]

INSTANT: Final = pa.timestamp("us", "UTC")
UPDATES_SCHEMA: Final = pa.schema(
    [
        ("old_part", pa.dictionary(pa.int32(), pa.string())),
        ("old_row", pa.int64()),
        ("new_part", pa.dictionary(pa.int32(), pa.string())),
        ("new_row", pa.int64()),
        ("new_cursor", INSTANT),
        ("first_cursor", INSTANT),
    ]
)


def microseconds(at: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exact."""
    return int(pa.scalar(at, INSTANT).value)


def instants(cursor: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The cursor as timestamp[us, UTC]: a timestamp without zone is read as UTC, a date as its midnight in UTC."""
    return cursor.cast(pa.timestamp("us")).cast(INSTANT) if cursor.type != INSTANT else cursor


def microseconds_of(cursor: pa.Array) -> Rows:
    """The cursor as microseconds since 1970-01-01 UTC, of shape (rows,)."""
    values: Rows = instants(cursor).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return values


@dataclass(frozen=True)
class Standing:
    """Marks on rows, by key of their part.

    Attributes:
        replaced: Rows after which another one comes.
        returning: Rows whose key was first seen up to the cut.
    """

    replaced: dict[str, Bits] = field(default_factory=dict)
    returning: dict[str, Bits] = field(default_factory=dict)

    def is_replaced(self, part: str, start: int, stop: int) -> Mask | None:
        """Marks of the rows from `start` up to `stop`; None when the part has none at all."""
        return _slice(self.replaced.get(part), start, stop)

    def is_returning(self, part: str, start: int, stop: int) -> Mask | None:
        """As `is_replaced`, for keys first seen up to the cut."""
        return _slice(self.returning.get(part), start, stop)

    def count_replaced(self, part: str) -> int:
        return int(np.bitwise_count(self.replaced[part]).sum()) if part in self.replaced else 0


def read_standing(batches: Sequence[Batch], fetch: Fetch, until: datetime, cut: datetime | None) -> Standing:
    """The marks as seen from `until`; `returning` stays empty without a cut.

    Raises:
        ArtifactError: an updates file is missing or altered.
    """
    standing = Standing()
    sizes = {part.artifact.key: part.rows for batch in batches for part in batch.parts}
    last, first = microseconds(until), microseconds(cut) if cut is not None else None
    for batch in batches:
        if batch.updates is None:
            continue
        with pq.ParquetFile(fetch(batch.updates), pre_buffer=False) as file:
            for updates in file.iter_batches():
                newer = _integers(updates, "new_cursor") <= last
                _mark(standing.replaced, sizes, updates, "old", newer)
                if first is not None:
                    _mark(standing.returning, sizes, updates, "new", _integers(updates, "first_cursor") <= first)
    return standing


def _integers(batch: pa.RecordBatch, column: str) -> Rows:
    values: Rows = batch.column(column).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return values


def _mark(marks: dict[str, Bits], sizes: dict[str, int], updates: pa.RecordBatch, side: str, chosen: Mask) -> None:
    parts = updates.column(f"{side}_part").dictionary_encode()
    rows, codes = _integers(updates, f"{side}_row"), parts.indices.to_numpy(zero_copy_only=False)
    for code, part in enumerate(parts.dictionary.to_pylist()):
        marked = rows[chosen & (codes == code)]
        if not len(marked) or part not in sizes:
            continue
        bits = marks.setdefault(part, np.zeros((sizes[part] + 7) // 8, dtype=np.uint8))
        np.bitwise_or.at(bits, marked >> 3, np.left_shift(1, marked & 7).astype(np.uint8))


def _slice(bits: Bits | None, start: int, stop: int) -> Mask | None:
    if bits is None:
        return None
    first = start >> 3
    unpacked = np.unpackbits(bits[first : (stop + 7) >> 3], bitorder="little")
    return unpacked[start - first * 8 : stop - first * 8].astype(bool)

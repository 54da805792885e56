"""The keys of the rows read now, as hashes in a file: 16 bytes a row, so that finding updates needs no second read."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Final, Self

import numpy as np

from refit.data.hashing import Words
from refit.data.standing import Rows

CHUNK_ROWS: Final = 1 << 18
_ENTRY: Final = np.dtype([("hash", "<u8"), ("cursor", "<i8")])


@dataclass(frozen=True)
class Slice:
    """Rows whose key's hash lies in one stretch of all hashes; three arrays of one length.

    Attributes:
        hashes: Of the key.
        cursors: Microseconds since 1970-01-01 UTC.
        rows: Place of the row, in the numbering of whoever made the slice.
    """

    hashes: Words
    cursors: Rows
    rows: Rows

    def __len__(self) -> int:
        return len(self.hashes)

    @classmethod
    def joined(cls, slices: list["Slice"]) -> "Slice":
        """All rows, in order."""
        if not slices:
            return cls(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64))
        return cls(
            np.concatenate([one.hashes for one in slices]),
            np.concatenate([one.cursors for one in slices]),
            np.concatenate([one.rows for one in slices]),
        )

    def take(self, chosen: np.ndarray) -> "Slice":
        """The rows that a mask or a list of places chooses."""
        return Slice(self.hashes[chosen], self.cursors[chosen], self.rows[chosen])


class KeyLog:
    """Appends while rows are written; reads slices once all are. Rows are numbered from 0 in that order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BufferedWriter | None = path.open("wb")
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def append(self, hashes: Words, cursors: Rows) -> None:
        """The rows are in the log, behind those before them."""
        if self._file is None:
            raise ValueError("the log is closed")
        entries = np.empty(len(hashes), dtype=_ENTRY)
        entries["hash"], entries["cursor"] = hashes, cursors
        self._file.write(entries.tobytes())
        self.rows += len(hashes)

    def close(self) -> None:
        """The log is complete."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def slice(self, low: int, high: int) -> Slice:
        """The rows with low ≤ hash < high, sorted by hash; equal hashes in the order of rows."""
        found = Slice.joined(list(self._parts(low, high)))
        return found.take(np.argsort(found.hashes, kind="stable"))

    def _parts(self, low: int, high: int) -> Iterator[Slice]:
        for start in range(0, self.rows, CHUNK_ROWS):
            count = min(CHUNK_ROWS, self.rows - start)
            entries = np.fromfile(self._path, _ENTRY, count, offset=start * _ENTRY.itemsize)
            chosen = np.flatnonzero(within(entries["hash"], low, high))
            if len(chosen):
                yield Slice(entries["hash"][chosen], entries["cursor"][chosen], chosen + start)


def within(hashes: Words, low: int, high: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which hashes h satisfy low ≤ h < high, for 0 ≤ low < high ≤ 2^64."""
    return (hashes >= np.uint64(low)) & (hashes <= np.uint64(high - 1))

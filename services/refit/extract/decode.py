"""COPY's CSV rows as Arrow batches; rows that cannot be read are set apart with the reason. Pure.

A block that Arrow refuses is halved until the rows are found that it refuses: one bad row costs some twenty parses
of parts of its block and no other row.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.csv as pa_csv

from refit.extract.columns import SourceColumn

Cells = list[str | None]

_CELL: Final = re.compile(rb'(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|$)')
_FAULT_WORDS: Final = {
    "size": "is larger than max_row_bytes",
    "nan": "is NaN, which no decimal is",
    "float": "is too large for a float",
    "exact": "does not fit 20 digits before and 18 after the point",
    "date": "is infinite or not of the years 1 to 9999",
    "timestamp without time zone": "is infinite or not of the years 1 to 9999",
    "timestamp with time zone": "is infinite or not of the years 1 to 9999",
}


@dataclass(frozen=True)
class BadRow:
    """A row that goes to quarantine: its cells as the database spells them, and why."""

    cells: Cells
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Decoder:
    """Reads rows of these columns, before which stands a cell that names faults."""

    columns: Sequence[SourceColumn]

    def decode(self, rows: Sequence[bytes]) -> tuple[pa.RecordBatch, list[BadRow]]:
        """The rows as one batch of the columns' types, less those that Arrow cannot read."""
        bad: list[BadRow] = []
        batches = self._parse(rows, bad)
        if not batches:
            return pa.RecordBatch.from_pylist([], self.schema), bad
        return pa.concat_batches(batches) if len(batches) > 1 else batches[0], bad

    def faulty(self, row: bytes) -> BadRow:
        """What the database found wrong with a row before it sent it."""
        first, *cells = split(row)
        columns = [self.columns[int(number)] for number in (first or "").split()]
        return BadRow(cells, tuple(f"{column.name}: {_FAULT_WORDS[column.guard]}" for column in columns))

    def oversize(self, row: bytes) -> BadRow:
        """A row that is too long as a whole."""
        return BadRow(split(row)[1:], ("the row is larger than max_row_bytes",))

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(column.name, column.type) for column in self.columns])

    def _parse(self, rows: Sequence[bytes], bad: list[BadRow]) -> list[pa.RecordBatch]:
        if not rows:
            return []
        try:
            return [self._read(rows)]
        except pa.ArrowInvalid:
            if len(rows) == 1:
                bad.append(self._unreadable(rows[0]))
                return []
        middle = len(rows) // 2
        return self._parse(rows[:middle], bad) + self._parse(rows[middle:], bad)

    def _read(self, rows: Sequence[bytes]) -> pa.RecordBatch:
        body = b"".join(rows)
        names = [str(number) for number in range(len(self.columns) + 1)]  # positions, as names may hold anything
        table = pa_csv.read_csv(
            pa.BufferReader(body),
            pa_csv.ReadOptions(column_names=names, block_size=len(body) + 1, use_threads=False),
            pa_csv.ParseOptions(newlines_in_values=True),
            pa_csv.ConvertOptions(
                column_types={name: column.type for name, column in zip(names[1:], self.columns, strict=True)},
                include_columns=names[1:],
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        )
        if len(table) != len(rows):
            raise pa.ArrowInvalid(f"{len(rows)} rows were read as {len(table)}")
        return pa.RecordBatch.from_arrays([column.combine_chunks() for column in table.columns], schema=self.schema)

    def _unreadable(self, row: bytes) -> BadRow:
        reasons = []
        for cell, column in zip(_raw_cells(row)[1:], self.columns, strict=False):
            if cell is None:
                continue
            if not _is_utf8(cell):
                reasons.append(f"{column.name}: is not UTF-8")
            elif not _fits(cell.decode(), column):
                reasons.append(f"{column.name}: does not fit {column.type}")
        return BadRow(split(row)[1:], tuple(reasons) or ("the row cannot be read",))


def split(row: bytes) -> Cells:
    """The cells of one CSV row as COPY writes it: NULL is empty, text may be quoted, quotes are doubled."""
    return [None if cell is None else cell.decode(errors="backslashreplace") for cell in _raw_cells(row)]


def _raw_cells(row: bytes) -> list[bytes | None]:
    cells: list[bytes | None] = []
    for match in _CELL.finditer(row):
        quoted, plain, end = match.groups()
        cells.append(quoted.replace(b'""', b'"') if quoted is not None else plain or None)
        if end != b",":
            break
    return cells


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fits(cell: str, column: SourceColumn) -> bool:
    if pa.types.is_boolean(column.type):
        return cell in ("t", "f")
    try:
        pa.array([cell]).cast(column.type)
    except pa.ArrowInvalid:
        return False
    return True

"""Rows that broke their contract: kept with the reason, and counted."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final, Self

import pyarrow as pa

from refit.core.domain import Artifact
from refit.core.errors import DataError
from refit.data.parts import OpenWriter, ParquetStream
from refit.data.standing import INSTANT, instants
from refit.extract.columns import SourceColumn
from refit.extract.decode import BadRow

SCHEMA: Final = pa.schema(
    [("reason", pa.string()), ("key", pa.string()), ("cursor", INSTANT), ("row", pa.string())],
)
GROUP_ROWS: Final = 10_000
GROUP_BYTES: Final = 8 << 20
ROW_BYTES: Final = 65_536
CELL_CHARACTERS: Final = 1_000  # of a row that is longer than ROW_BYTES
TOP_REASONS: Final = 5
HIDDEN: Final = "(sensitive)"


class BadRowFound(DataError):
    """`on_bad_row.action` is fail, and a row broke the contract."""

    def __init__(self, key: str, reasons: Sequence[str]) -> None:
        super().__init__(
            f"the row with key {key[:500]} breaks the contract: {'; '.join(reasons)}",
            next="correct the row or the contract, or set on_bad_row.action to quarantine",
        )


class TooManyBadRows(DataError):
    """More rows broke the contract than `on_bad_row.max_fraction` allows."""

    def __init__(self, bad: int, read: int, limit: float, reasons: Counter[str]) -> None:
        top = "".join(f"\n  {count:>9,} × {reason}" for reason, count in reasons.most_common(TOP_REASONS))
        super().__init__(
            f"{bad:,} of the {read:,} rows read now break the contract ({bad / read:.2%}, "
            f"more than on_bad_row.max_fraction allows: {limit:.2%}){top}",
            next="correct the rows or the contract in the file",
        )


class Quarantine:
    """Bad rows in, quarantine.parquet out; it is opened when the first one comes."""

    def __init__(
        self, open_writer: OpenWriter, columns: Sequence[SourceColumn], key: Sequence[str], cursor: str,
        sensitive: Collection[str] = (), *, fails: bool = False,
    ) -> None:  # fmt: skip
        self.count = 0
        self.reasons: Counter[str] = Counter()
        self._open, self._columns, self._key, self._cursor = open_writer, columns, key, cursor
        self._sensitive, self._fails = sensitive, fails
        self._pending: list[dict[str, Any]] = []
        self._pending_bytes = 0
        self._stream: ParquetStream | None = None
        self.newest: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            if error is None:
                self._flush()
        except BaseException as failed:
            kind, error, trace = type(failed), failed, failed.__traceback__
            raise
        finally:
            if self._stream is not None:
                self._stream.__exit__(kind, error, trace)

    @property
    def artifact(self) -> Artifact | None:
        """The rows as stored, once the block has ended; None when there were none."""
        return self._stream.artifact if self._stream is not None else None

    def add(self, rows: Sequence[BadRow]) -> None:
        """The rows are in quarantine.

        Raises:
            BadRowFound: the file says that bad rows end the run.
        """
        for row in rows:
            self.count += 1
            self.reasons.update(row.reasons)
            kept = self._kept(row)
            if self._fails:
                raise BadRowFound(kept["key"], row.reasons)
            self._pending.append(kept)
            self._pending_bytes += len(kept["row"])
            if len(self._pending) >= GROUP_ROWS or self._pending_bytes >= GROUP_BYTES:
                self._flush()

    def _kept(self, row: BadRow) -> dict[str, Any]:
        named = dict(zip((column.name for column in self._columns), row.cells, strict=False))
        at = self._instant(named.get(self._cursor))
        if at is not None:
            self.newest = at if self.newest is None else max(at, self.newest)
        shown = {name: HIDDEN if name in self._sensitive else cell for name, cell in named.items()}
        text = json.dumps(shown, ensure_ascii=False)
        if len(text) > ROW_BYTES:
            text = json.dumps(
                {name: cell and cell[:CELL_CHARACTERS] for name, cell in shown.items()}, ensure_ascii=False
            )
        key = json.dumps({name: (shown.get(name) or "")[:CELL_CHARACTERS] for name in self._key}, ensure_ascii=False)
        return {"reason": "; ".join(row.reasons), "key": key, "cursor": at, "row": text}

    def _instant(self, cell: str | None) -> Any:
        column = next(column for column in self._columns if column.name == self._cursor)
        if cell is None:
            return None
        try:
            return instants(pa.array([cell]).cast(column.type))[0].as_py()
        except (pa.ArrowInvalid, ValueError, OverflowError):  # infinity, or not of the years 1 to 9999
            return None

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._stream is None:
            self._stream = ParquetStream(self._open, "quarantine.parquet", SCHEMA)
        self._stream.write(pa.Table.from_pylist(self._pending, SCHEMA))
        self._pending, self._pending_bytes = [], 0

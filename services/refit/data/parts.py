"""Writing rows as parts: immutable Parquet files, streamed into the store with flat memory.

zstd compresses well at little cost. Only text with few distinct values is dictionary-encoded; for other columns the
dictionary costs a quarter of the whole extract (the design's performance notes).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from refit.core.domain import Artifact, Part
from refit.core.store import ObjectWriter
from refit.data.standing import instants

OpenWriter = Callable[[str], AbstractContextManager[ObjectWriter]]

GROUP_ROWS: Final = 65_536
GROUP_BYTES: Final = 24 << 20  # a group is held in memory until it is full
PART_ROWS: Final = 1 << 20
PART_BYTES: Final = 128 << 20
FEW_DISTINCT: Final = 0.05  # of the rows of the first group


class _Sink:
    """An ObjectWriter as the file that Arrow writes to; what is written after `abandon` goes nowhere."""

    closed = False

    def __init__(self, writer: ObjectWriter) -> None:
        self._writer: ObjectWriter | None = writer
        self._position = 0

    def write(self, chunk: bytes) -> int:
        if self._writer is not None:
            self._writer.write(chunk)
        self._position += len(chunk)
        return len(chunk)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """The store decides when bytes travel."""

    def close(self) -> None:
        """The object appears when its writer's block ends, not when Arrow has finished."""

    def abandon(self) -> None:
        self._writer = None


class ParquetStream:
    """One Parquet object; its `with` block makes it appear whole, or not at all."""

    def __init__(self, open_writer: OpenWriter, name: str, schema: pa.Schema, dictionary: Sequence[str] = ()) -> None:
        self._stack = ExitStack()
        self._writer = self._stack.enter_context(open_writer(name))
        self._sink = _Sink(self._writer)
        self._file = pq.ParquetWriter(self._sink, schema, compression="zstd", use_dictionary=list(dictionary))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            self._sink.abandon()
        try:
            self._file.close()
        except BaseException as failed:
            self._sink.abandon()
            self._stack.__exit__(type(failed), failed, failed.__traceback__)
            raise
        self._stack.__exit__(kind, error, trace)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._sink.tell()

    @property
    def artifact(self) -> Artifact:
        """The object, once the block has ended."""
        return self._writer.artifact

    def write(self, table: pa.Table) -> None:
        """The rows stand as one row group."""
        self._file.write_table(table, row_group_size=max(len(table), 1))


@dataclass
class _OpenPart:
    stream: ParquetStream
    cursor: str
    rows: int = 0
    null_counts: dict[str, int] = field(default_factory=dict)
    bounds: list[datetime] = field(default_factory=list)

    def write(self, group: pa.Table) -> None:
        self.stream.write(group)
        self.rows += len(group)
        for column in group.column_names:
            if nulls := group.column(column).null_count:
                self.null_counts[column] = self.null_counts.get(column, 0) + nulls
        found = pc.min_max(instants(group.column(self.cursor)))
        self.bounds += [found["min"].as_py(), found["max"].as_py()]
        self.bounds = [min(self.bounds), max(self.bounds)]

    def end(self) -> Part:
        self.stream.__exit__(None, None, None)
        return Part(
            artifact=self.stream.artifact,
            rows=self.rows,
            cursor_min=self.bounds[0],
            cursor_max=self.bounds[1],
            null_counts=self.null_counts,
        )


class PartWriter:
    """Rows in, parts out: `parts` is complete when the `with` block has ended well."""

    def __init__(self, open_writer: OpenWriter, schema: pa.Schema, cursor: str) -> None:
        self.parts: list[Part] = []
        self._open, self._schema, self._cursor = open_writer, schema, cursor
        self._pending: list[pa.RecordBatch] = []
        self._dictionary: list[str] | None = None
        self._part: _OpenPart | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            if error is None:
                self._write_group()
                self._end_part()
        except BaseException as failed:
            kind, error, trace = type(failed), failed, failed.__traceback__
            raise
        finally:
            if self._part is not None:
                self._part.stream.__exit__(kind, error, trace)

    def write(self, batch: pa.RecordBatch) -> None:
        """The rows will stand behind those before them."""
        if not len(batch):
            return
        self._pending.append(batch)
        rows, size = sum(len(batch) for batch in self._pending), sum(batch.nbytes for batch in self._pending)
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        if not self._pending:
            return
        group = pa.Table.from_batches(self._pending, self._schema)
        self._pending = []
        if self._dictionary is None:
            self._dictionary = _low_cardinality(group)
        if self._part is None:
            name = f"part-{len(self.parts):05d}.parquet"
            self._part = _OpenPart(ParquetStream(self._open, name, self._schema, self._dictionary), self._cursor)
        self._part.write(group)
        if self._part.rows >= PART_ROWS or self._part.stream.size >= PART_BYTES:
            self._end_part()

    def _end_part(self) -> None:
        if self._part is not None:
            self.parts.append(self._part.end())
            self._part = None


def _low_cardinality(table: pa.Table) -> list[str]:
    """Text columns with few distinct values."""
    texts = [column.name for column in table.schema if pa.types.is_string(column.type)]
    return [name for name in texts if pc.count_distinct(table.column(name)).as_py() <= FEW_DISTINCT * len(table)]

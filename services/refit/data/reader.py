"""Reading a snapshot: record batches of the needed columns, with window, updates, exclusions and split applied.

All that trains or scores goes through here, so that both sides of a comparison see the same rows. Memory stays flat:
one batch of rows, and two bits for each row of the parts that have updates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from refit.core.config import Pipeline
from refit.core.config_sections import TimeSplit
from refit.core.domain import Part, Snapshot
from refit.core.errors import DataError
from refit.data import split
from refit.data.condition import Where
from refit.data.hashing import hash_rows
from refit.data.standing import Fetch, Mask, Standing, instants, microseconds, microseconds_of, read_standing
from refit.data.where import read_where

Side = Literal["train", "holdout", "window"]

BATCH_ROWS: Final = 65_536


class NoSuchColumn(DataError):
    """A column is asked for that the snapshot does not have."""

    def __init__(self, columns: Sequence[str], found: Sequence[str]) -> None:
        super().__init__(
            f"the snapshot has no column {', '.join(columns)}; it has {', '.join(found)}",
            next="add the column to the query, or take it out of the file",
        )


@dataclass(frozen=True)
class RowBatch:
    """Rows that one run read.

    Attributes:
        run_id: The run whose extract read them.
        table: Exactly the columns that were asked for, in that order.
    """

    run_id: str
    table: pa.RecordBatch


@dataclass(frozen=True)
class Span:
    """Cursors in (after, until]."""

    after: datetime | None
    until: datetime

    def within(self, after: datetime | None, until: datetime | None) -> "Span":
        """The cursors that also lie in (after, until]; None leaves that end as it is."""
        starts = [start for start in (self.after, after) if start is not None]
        return Span(max(starts, default=None), min(self.until, until) if until is not None else self.until)

    def touches(self, low: datetime, high: datetime) -> bool:
        """Whether a cursor from `low` to `high` may lie in the span."""
        return low <= self.until and (self.after is None or high > self.after)

    def covers(self, low: datetime, high: datetime) -> bool:
        """Whether every cursor from `low` to `high` lies in the span."""
        return high <= self.until and (self.after is None or low > self.after)


@dataclass(frozen=True)
class SnapshotReader:
    """The rows that a pipeline sees of a snapshot at `as_of`, always up to as_of − lag.

    Attributes:
        fetch: Gives a verified local file for an artifact; may raise ArtifactError.
    """

    snapshot: Snapshot
    pipeline: Pipeline
    as_of: datetime
    fetch: Fetch

    @cached_property
    def window(self) -> Span:
        return Span(split.window_start(self.pipeline, self.as_of), split.window_end(self.pipeline, self.as_of))

    @cached_property
    def cut(self) -> datetime | None:
        """Where the training rows of a time split end; None for a hash split.

        A fraction counts from the earliest cursor of the parts in the window.
        """
        if not isinstance(self.pipeline.split, TimeSplit):
            return None
        parts = [part for batch in self.snapshot.batches for part in batch.parts]
        seen = [part.cursor_min for part in parts if self.window.touches(part.cursor_min, part.cursor_max)]
        return split.cut(self.pipeline, self.as_of, min(seen, default=None))

    def rows(
        self,
        columns: Sequence[str],
        side: Side,
        labelled: bool = True,
        after: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[RowBatch]:
        """Batches of the rows on one side that stand, in the order in which they were read.

        Args:
            columns: Names to read; the cursor comes out as timestamp[us, UTC] whatever its type in the source.
            side: `window` is both sides, and the rows that a time split leaves out.
            labelled: Leaves out rows whose target is NULL.
            after: Only rows with a later cursor.
            until: Only rows with a cursor up to here.

        Raises:
            NoSuchColumn: a column is not in the snapshot.
            ArtifactError: a part is missing or altered.
        """
        span = self._span(side).within(after, until)
        for batch in self.snapshot.batches:
            for part in batch.parts:
                if span.touches(part.cursor_min, part.cursor_max):
                    for table in self._part_rows(part, columns, side, labelled, span):
                        yield RowBatch(batch.run_id, table)

    def count(self, side: Side, labelled: bool = True) -> int:
        """Rows on one side that stand. Reads only parts that the window, updates or exclusions may cut into."""
        total, span = 0, self._span(side)
        target = self.pipeline.target
        for batch in self.snapshot.batches:
            for part in batch.parts:
                if side == "window" and span.covers(part.cursor_min, part.cursor_max) and self._is_whole(part):
                    total += part.rows - (part.null_counts.get(target, 0) if labelled else 0)
                elif span.touches(part.cursor_min, part.cursor_max):
                    columns = [self.pipeline.source.cursor]
                    total += sum(len(table) for table in self._part_rows(part, columns, side, labelled, span))
        return total

    @cached_property
    def _standing(self) -> Standing:
        return read_standing(self.snapshot.batches, self.fetch, self.window.until, self.cut)

    @cached_property
    def _exclusions(self) -> tuple[Where, ...]:
        return tuple(read_where(exclusion.where) for exclusion in self.snapshot.exclusions)

    def _excluded_from(self, part: Part) -> tuple[Where, ...]:
        """The exclusions that may hold for a row of the part."""
        low, high, cursor = part.cursor_min, part.cursor_max, self.pipeline.source.cursor
        return tuple(where for where in self._exclusions if where.may_hold(cursor, low, high))

    def _is_whole(self, part: Part) -> bool:
        return self._standing.count_replaced(part.artifact.key) == 0 and not self._excluded_from(part)

    def _span(self, side: Side) -> Span:
        if self.cut is None or side == "window":
            return self.window
        return self.window.within(None, self.cut) if side == "train" else self.window.within(self.cut, None)

    def _part_rows(
        self, part: Part, columns: Sequence[str], side: Side, labelled: bool, span: Span
    ) -> Iterator[pa.RecordBatch]:
        cursor, target = self.pipeline.source.cursor, self.pipeline.target
        excluded = self._excluded_from(part)
        needed = {*columns, cursor, *([target] if labelled else []), *self._entity(side)}
        needed |= {name for where in excluded for name in where.columns}
        with pq.ParquetFile(self.fetch(part.artifact), pre_buffer=False) as file:
            if missing := sorted(needed - set(file.schema_arrow.names)):
                raise NoSuchColumn(missing, file.schema_arrow.names)
            start = 0
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                if _group_touches(file.metadata.row_group(group), cursor, span):
                    offset = start
                    for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=sorted(needed)):
                        kept = self._kept(part, batch, offset, side, labelled, span)
                        for where in excluded:
                            kept &= ~where.holds(batch)
                        offset += len(batch)
                        if kept.any():
                            yield _select(batch, columns, cursor, kept)
                start += size

    def _entity(self, side: Side) -> tuple[str, ...]:
        by_hash = self.cut is None and side != "window"
        return split.entity(self.pipeline)[0] if by_hash else ()

    def _kept(self, part: Part, batch: pa.RecordBatch, offset: int, side: Side, labelled: bool, span: Span) -> Mask:
        at = microseconds_of(batch.column(self.pipeline.source.cursor))
        kept: Mask = at <= microseconds(span.until)
        if span.after is not None:
            kept &= at > microseconds(span.after)
        stop = offset + len(batch)
        replaced = self._standing.is_replaced(part.artifact.key, offset, stop)
        if replaced is not None:
            kept &= ~replaced
        if labelled:
            kept &= batch.column(self.pipeline.target).is_valid().to_numpy(zero_copy_only=False)
        returning = self._standing.is_returning(part.artifact.key, offset, stop) if side == "holdout" else None
        if returning is not None:
            kept &= ~returning
        fraction = split.hash_fraction(self.pipeline)
        if fraction is not None and side != "window":
            names, salt = split.entity(self.pipeline)
            held = split.is_held_out(hash_rows([batch.column(name) for name in names], salt), fraction)
            kept &= held if side == "holdout" else ~held
        return kept


def _group_touches(group: pq.RowGroupMetaData, cursor: str, span: Span) -> bool:
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema == cursor and column.statistics is not None and column.statistics.has_min_max:
            return span.touches(*instants(pa.array([column.statistics.min, column.statistics.max])).to_pylist())
    return True


def _select(batch: pa.RecordBatch, columns: Sequence[str], cursor: str, kept: Mask) -> pa.RecordBatch:
    arrays = [instants(batch.column(name)) if name == cursor else batch.column(name) for name in columns]
    chosen = pa.RecordBatch.from_arrays(arrays, names=list(columns))
    return chosen if kept.all() else chosen.filter(pa.array(kept))

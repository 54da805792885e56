"""One pass over the rows of the query: into parts, key log, profile and quarantine, block by block."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from refit.core.context import Context
from refit.core.domain import Artifact, Part
from refit.core.errors import DataError
from refit.data.clean import key_hashes
from refit.data.keylog import KeyLog
from refit.data.parts import PartWriter
from refit.data.profile import Profile
from refit.data.profiler import Profiler
from refit.data.standing import microseconds_of
from refit.extract.columns import SourceColumn
from refit.extract.contract import Contract, contract_of
from refit.extract.copy import RawBlock, receive
from refit.extract.database import Database
from refit.extract.decode import BadRow, Decoder
from refit.extract.describe import cursor_type
from refit.extract.quarantine import HIDDEN, Quarantine, TooManyBadRows
from refit.extract.query import Bounds, copying, reading

REPORT_SECONDS: Final = 5.0
FIRST_KEYS: Final = 5


class TargetNotFinite(DataError):
    """The target holds NaN or an infinity: neither a truth nor the lack of one."""

    def __init__(self, target: str, count: int, keys: Sequence[str]) -> None:
        super().__init__(
            f'the target "{target}" is NaN or infinite in {count:,} row{"s" if count != 1 else ""}; '
            f"first keys: {', '.join(keys)}",
            next="write NULL in the query where the truth is not known yet, e.g. NULLIF(target, 'NaN')",
        )


@dataclass
class RowsRead:
    """What one pass gave; complete when the pass has ended.

    Attributes:
        newest: The highest cursor, quarantined rows included; None when no row had one.
        summary: Of the good rows; None when there were none.
        profile: The same as it is stored.
    """

    log: KeyLog
    read: int = 0
    quarantined: int = 0
    newest: datetime | None = None
    reasons: Counter[str] = field(default_factory=Counter)
    parts: list[Part] = field(default_factory=list)
    quarantine: Artifact | None = None
    summary: Profile | None = None
    profile: Artifact | None = None


def read_rows(
    context: Context, database: Database, statement: str, columns: Sequence[SourceColumn], bounds: Bounds
) -> RowsRead:
    """All rows within the bounds have been read and written.

    Raises:
        RefitError: the database ended the stream; BadRowFound, TooManyBadRows, TargetNotFinite.
    """
    source = context.pipeline.source
    guards = [(column.name, column.guard) for column in columns]
    cursor = (source.cursor, cursor_type(columns, source.cursor))
    sql = copying(reading(statement, guards, cursor, bounds, source.max_row_bytes))
    with ExitStack() as stack:
        reader = _Reader(context, columns, stack)
        for block in receive(database, sql, source.max_row_bytes):
            reader.take(block)
    return reader.result()


class _Reader:
    """Takes blocks; its writers end with the stack."""

    def __init__(self, context: Context, columns: Sequence[SourceColumn], stack: ExitStack) -> None:
        pipeline = context.pipeline
        self._context, self._pipeline = context, pipeline
        self._decoder = Decoder(columns)
        self._contract: Contract = contract_of(pipeline, columns)
        self._profiler = Profiler(self._decoder.schema, pipeline.sensitive)
        self._rows = RowsRead(stack.enter_context(KeyLog(context.folder / f"keys-{context.attempt}.bin")))
        self._parts = stack.enter_context(PartWriter(context.data_writer, self._decoder.schema, pipeline.source.cursor))
        self._quarantine = stack.enter_context(
            Quarantine(
                context.data_writer, columns, pipeline.source.key, pipeline.source.cursor, pipeline.sensitive,
                fails=pipeline.on_bad_row.action == "fail",
            )
        )  # fmt: skip
        self._unusable_targets, self._unusable_keys = 0, list[str]()
        self._reported_at = time.monotonic()

    def take(self, block: RawBlock) -> None:
        """The block's rows stand in the parts or in quarantine."""
        batch, bad = self._decoder.decode(block.rows)
        bad += [self._decoder.faulty(row) for row in block.faulty]
        bad += [self._decoder.oversize(row) for row in block.oversize]
        self._look_at_target(batch)
        broken = self._contract.broken(batch)
        if broken:
            bad += [BadRow(_cells(batch, row), reasons) for row, reasons in sorted(broken.items())]
            kept = np.ones(len(batch), dtype=bool)
            kept[list(broken)] = False
            batch = batch.filter(pa.array(kept))
        self._rows.read += len(block.rows) + len(block.faulty) + len(block.oversize)
        self._quarantine.add(bad)
        if len(batch):
            self._keep(batch)
        if time.monotonic() - self._reported_at > REPORT_SECONDS:
            self._reported_at = time.monotonic()
            self._context.report(f"{self._rows.read:,} rows read")

    def result(self) -> RowsRead:
        """What was read, once all writers have ended."""
        rows, quarantine = self._rows, self._quarantine
        if self._unusable_targets:
            raise TargetNotFinite(self._pipeline.target, self._unusable_targets, self._unusable_keys)
        limit = self._pipeline.on_bad_row.max_fraction
        if quarantine.count > limit * rows.read:
            raise TooManyBadRows(quarantine.count, rows.read, limit, quarantine.reasons)
        newest = [part.cursor_max for part in self._parts.parts]
        newest += [quarantine.newest] if quarantine.newest is not None else []
        rows.newest = max(newest, default=None)
        rows.quarantined, rows.reasons, rows.quarantine = quarantine.count, quarantine.reasons, quarantine.artifact
        rows.parts = self._parts.parts
        if rows.parts:
            rows.summary = self._profiler.profile()
            rows.profile = self._context.write_data("profile.json", rows.summary.to_json())
        return rows

    def _keep(self, batch: pa.RecordBatch) -> None:
        source = self._pipeline.source
        self._parts.write(batch)
        self._rows.log.append(key_hashes(batch, source.key), microseconds_of(batch.column(source.cursor)))
        self._profiler.add(batch)

    def _look_at_target(self, batch: pa.RecordBatch) -> None:
        target = batch.column(self._pipeline.target)
        if not pa.types.is_floating(target.type):
            return
        known = target.is_valid().to_numpy(zero_copy_only=False)
        found = np.flatnonzero(known & ~np.isfinite(target.to_numpy(zero_copy_only=False)))
        self._unusable_targets += len(found)
        for row in found[: FIRST_KEYS - len(self._unusable_keys)].tolist():
            self._unusable_keys.append("/".join(self._shown(batch, name, row) for name in self._pipeline.source.key))

    def _shown(self, batch: pa.RecordBatch, name: str, row: int) -> str:
        return HIDDEN if name in self._pipeline.sensitive else str(batch.column(name)[row].as_py())


def _cells(batch: pa.RecordBatch, row: int) -> list[str | None]:
    return [_text(column[row].as_py()) for column in batch.columns]


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)

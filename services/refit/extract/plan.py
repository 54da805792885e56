"""What an extract reads: on from the watermark, or the whole window afresh. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from refit.core.config import Pipeline, source_digest
from refit.core.domain import Batch, Column, Decision, RunRecord, Snapshot, Stretch
from refit.core.quarantine import pending
from refit.data import split
from refit.extract.query import Bounds


@dataclass(frozen=True)
class Plan:
    """What to read and what it is added to.

    Attributes:
        bounds: Which rows to read; None: nothing.
        older: The snapshot's batches that stay; none on a fresh start.
        fresh_reason: Why the whole window is read; empty when the snapshot goes on.
        read_again: Batches that held the same rows before a refresh: what stood there is read again, and not new.
        window_start: Rows at or before this cursor are in no part of the snapshot; None: all are.
        warnings: What changed in the query's result.
        released: Runs whose bad rows are read again.
    """

    bounds: Bounds | None
    older: tuple[Batch, ...]
    fresh_reason: str
    refreshed_at: datetime
    window_start: datetime | None
    warnings: tuple[str, ...] = ()
    read_again: tuple[Batch, ...] = ()
    released: tuple[str, ...] = ()

    @property
    def fresh(self) -> bool:
        return bool(self.fresh_reason)


def plan(
    pipeline: Pipeline,
    run: RunRecord,
    snapshot: Snapshot | None,
    columns: Sequence[Column],
    released: Sequence[Decision] = (),
) -> Plan:
    """The plan of a run that finds `snapshot` (None: there is none) and `columns` in the query's result.

    Args:
        released: Bad rows of earlier runs that shall be read again.
    """
    every = tuple(one.run_id for one in released)
    until = split.window_end(pipeline, run.as_of)
    start = split.window_start(pipeline, run.as_of)
    changes = column_changes(snapshot.columns, columns) if snapshot else ()
    reason = _fresh_reason(pipeline, run, snapshot, changes)
    if reason or snapshot is None:
        whole = Bounds(start, until, without_cursor=True)
        same_source = snapshot is not None and not changes and snapshot.source_digest == source_digest(pipeline)
        again = snapshot.batches if snapshot is not None and same_source else ()
        return Plan(whole, (), reason, run.as_of, start, (*changes, *_of_a_day(pipeline, columns)), again, every)
    waiting = pending(released, snapshot.batches)
    bounds = _continued(pipeline, run, snapshot, start, until)
    if bounds is not None:
        bounds = replace(bounds, again=tuple(_within(waiting, start, until)))
    names = tuple(one.run_id for one in waiting)
    return Plan(bounds, snapshot.batches, "", snapshot.refreshed_at, snapshot.window_start, changes, released=names)


def _within(waiting: Sequence[Decision], start: datetime | None, until: datetime) -> Iterator[Stretch]:
    """The stretches that are read again, cut to the window, which begins after `start`."""
    for stretch in (stretch for one in waiting for stretch in one.stretches):
        first = max(stretch.start, start + timedelta(microseconds=1)) if start is not None else stretch.start
        last = min(stretch.end, until)
        if first <= last:
            yield Stretch(start=first, end=last)


def column_changes(before: Sequence[Column], now: Sequence[Column]) -> tuple[str, ...]:
    """Sentences on columns that came, went or changed their type."""
    was, is_ = {column.name: column for column in before}, {column.name: column for column in now}
    came = [
        f'column "{name}" is new in the query\'s result ({is_[name].database_type})' for name in is_ if name not in was
    ]
    went = [f'column "{name}" is gone from the query\'s result' for name in was if name not in is_]
    changed = [
        f'column "{name}" was {was[name].database_type} and is now {is_[name].database_type}'
        for name in is_
        if name in was and (was[name].database_type, was[name].type) != (is_[name].database_type, is_[name].type)
    ]
    return tuple(came + went + changed)


def _of_a_day(pipeline: Pipeline, columns: Sequence[Column]) -> Iterator[str]:
    """A date stands for its midnight, so the rest of a day's rows comes after a run that has read that day."""
    source = pipeline.source
    is_date = any(column.name == source.cursor and column.database_type == "date" for column in columns)
    if is_date and max(source.lag, source.overlap) < timedelta(days=1):
        yield (
            f'the cursor "{source.cursor}" is a date: rows of a day that come after a run has read that day are not '
            "seen; set source.lag or source.overlap to 1d unless a day's rows come all at once"
        )


def _fresh_reason(pipeline: Pipeline, run: RunRecord, snapshot: Snapshot | None, changes: Sequence[str]) -> str:
    if run.full_refresh:
        return "--full-refresh"
    if snapshot is None or snapshot.watermark is None:
        return "the first extract"
    if snapshot.source_digest != source_digest(pipeline):
        return "query, key, cursor or columns of the file changed"
    if changes:
        return "the columns of the query's result changed"
    start = split.window_start(pipeline, run.as_of)
    if snapshot.window_start is not None and (start is None or start < snapshot.window_start):
        return "the window is longer"
    every = pipeline.source.full_refresh
    if every is not None and run.as_of > snapshot.watermark and run.as_of - snapshot.refreshed_at >= every:
        return f"source.full_refresh is due: the last was as of {snapshot.refreshed_at:%Y-%m-%d}"
    return ""


def _continued(
    pipeline: Pipeline, run: RunRecord, snapshot: Snapshot, start: datetime | None, until: datetime
) -> Bounds | None:
    if snapshot.watermark is None or run.as_of <= snapshot.watermark:
        return None
    after = snapshot.watermark - pipeline.source.overlap
    after = max(after, start) if start is not None else after
    return Bounds(after, until) if after < until else None

"""The step extract: new rows become parts, and parts a snapshot."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import stamina

from refit.core import keys, logs
from refit.core.config import source_digest
from refit.core.context import Context, read_manifest
from refit.core.domain import (
    Batch,
    Column,
    Drift,
    Exclusion,
    ExtractManifest,
    Manifest,
    Move,
    Part,
    Rows,
    Snapshot,
    SnapshotRef,
    VerdictRef,
)
from refit.core.errors import ArtifactError, DataError
from refit.core.exclusions import standing
from refit.core.quarantine import releases
from refit.core.refs import move_ref, new_token, read_ref
from refit.core.step import Step
from refit.core.store import Conflict, ObjectStore
from refit.data.condition import BadCondition
from refit.data.parts import ParquetStream
from refit.data.reader import SnapshotReader
from refit.data.search import Search
from refit.data.split import window_end, window_start
from refit.data.standing import UPDATES_SCHEMA
from refit.data.updates import Counts, find_updates
from refit.data.where import read_where
from refit.extract import volume
from refit.extract.database import open_database, read_dsn
from refit.extract.describe import describe
from refit.extract.drift import drift_since
from refit.extract.faults import ReadConflict
from refit.extract.plan import Plan, plan
from refit.extract.read import RowsRead, read_rows
from refit.extract.statement import statement


class SnapshotGone(ArtifactError):
    """refs/snapshot.json names a snapshot that is not there."""

    def __init__(self, what: str, run_id: str) -> None:
        super().__init__(
            f"the snapshot of run {run_id} goes on no more: {what} is missing",
            next="restore it from the bucket's versions, or read all anew: refit run FILE --full-refresh",
        )


class ExclusionUnfit(DataError):
    """Rows that a person left out can no longer be told from others, and must not come back unseen."""

    def __init__(self, exclusion: Exclusion, why: BadCondition) -> None:
        super().__init__(
            f"exclusion {exclusion.number} ({exclusion.where}) no longer fits the query's result: {why.message}",
            next=f"restore the column, or take it back: refit exclude NAME --undo {exclusion.number} --reason …",
        )


class EmptySource(DataError):
    """There is nothing to train on: the whole window holds no row."""

    def __init__(self, context: Context, excluded: int) -> None:
        start, end = window_start(context.pipeline, context.run.as_of), window_end(context.pipeline, context.run.as_of)
        after = f"after {start:%Y-%m-%d %H:%M} and " if start else ""
        super().__init__(
            f"the query gives no usable row in the whole window: none with {context.pipeline.source.cursor} "
            f"{after}up to {end:%Y-%m-%d %H:%M} UTC{', or all are excluded' if excluded else ''}",
            next="check the query, source.cursor, source.lag, window.length and the run's --as-of"
            + (", and refit exclude NAME" if excluded else ""),
        )


def extract(context: Context) -> ExtractManifest:
    """The rows that are new since the watermark stand in parts, or the run is skipped for want of them.

    Raises:
        ConfigError: the connection string, the query or the contract is wrong.
        DataError: the rows or columns break the contract, an exclusion does not fit them, or the window is empty.
        ArtifactError: the snapshot that goes on is gone or altered.
        DependencyError, AccessError: the database or the store.
    """
    ref = read_ref(context.store, "snapshot", SnapshotRef)
    if ref is None:
        _refuse_to_forget(context)
    before = standing_snapshot(context.store, ref[0].run_id) if ref and not context.run.full_refresh else None
    excluded = standing(context.store)
    todo, columns, rows = _read(context, before, excluded)
    counts, batch = _batch(context, todo, rows) if rows and rows.read else (Counts(), None)
    snapshot = Snapshot(
        batches=(*todo.older, batch) if batch else todo.older,
        watermark=_watermark(todo, rows, before),
        source_digest=source_digest(context.pipeline),
        refreshed_at=todo.refreshed_at,
        window_start=todo.window_start,
        columns=columns,
        exclusions=excluded,
    )
    warnings = [*todo.warnings, *volume.warnings(context.pipeline, todo, rows.read if rows else 0)]
    new_since, skipped = volume.since_verdict(context, snapshot)
    counted = _count(context, rows, counts, snapshot)
    if not counted.snapshot and (todo.fresh or not skipped):
        raise EmptySource(context, len(excluded))
    found, lost = (None, ()) if skipped or rows is None else _drift(context, before, rows)
    context.report(_summary(counted, len(excluded), skipped))
    return context.manifest(
        ExtractManifest,
        rows=counted,
        skipped=skipped,
        fresh=todo.fresh,
        fresh_reason=todo.fresh_reason,
        new_since_verdict=new_since,
        doubled=counts.doubled,
        replaced=counts.replaced,
        quarantine_reasons=dict(rows.reasons.most_common()) if rows else {},
        warnings=(*warnings, *lost),
        snapshot=None if skipped else snapshot,
        snapshot_generation=ref[0].generation if ref else 0,
        profile=rows.profile if rows and not skipped else None,
        drift=found,
    )


def _read(
    context: Context, before: Snapshot | None, excluded: Sequence[Exclusion]
) -> tuple[Plan, tuple[Column, ...], RowsRead | None]:
    """What was to be read, the columns as they are, and the rows; a replica's conflict is read again at once.

    A decorator would log the arguments: keys of rows that people excluded.
    """
    for attempt in stamina.retry_context(on=ReadConflict, attempts=3, timeout=None, wait_initial=1.0):
        with attempt:
            return _read_once(context, before, excluded)
    raise AssertionError("unreachable: the last attempt raises")


def _read_once(
    context: Context, before: Snapshot | None, excluded: Sequence[Exclusion]
) -> tuple[Plan, tuple[Column, ...], RowsRead | None]:
    name = f"refit/{context.pipeline.name}/{context.run.run_id}"
    query = statement(context.pipeline.source.query)
    with open_database(read_dsn(), name, context.pipeline.source.statement_timeout) as database:
        columns = describe(database, query, context.pipeline)
        known = tuple(column.column for column in columns)
        refuse_unfit(excluded, known)
        todo = plan(context.pipeline, context.run, before, known, releases(context.store))
        _older_objects(context, todo)
        context.report("asks for new rows")
        rows = read_rows(context, database, query, columns, todo.bounds) if todo.bounds else None
    return todo, known, rows


def settle(store: ObjectStore, manifest: Manifest) -> None:
    """refs/snapshot.json names this run's snapshot, if it read rows and no other run came between. Repeatable."""
    if not isinstance(manifest, ExtractManifest):
        raise TypeError(f"{type(manifest).__name__} is no manifest of extract")
    snapshot = manifest.snapshot
    if snapshot is None or not snapshot.batches or snapshot.batches[-1].run_id != manifest.run_id:
        return
    found = read_ref(store, "snapshot", SnapshotRef)
    last = found[0] if found else None
    if last and (last.run_id == manifest.run_id or last.generation != manifest.snapshot_generation):
        return
    as_of = snapshot.batches[-1].as_of
    if last and last.watermark is not None and as_of <= last.watermark:
        return
    ref = SnapshotRef(
        token=new_token(),
        generation=manifest.snapshot_generation + 1,
        run_id=manifest.run_id,
        watermark=snapshot.watermark,
        source_digest=snapshot.source_digest,
        refreshed_at=snapshot.refreshed_at,
    )
    try:
        move_ref(store, "snapshot", ref, found[1] if found else None)
    except Conflict:
        logs.logger().warning("another run moved the snapshot first; this one goes on with its own")


def _refuse_to_forget(context: Context) -> None:
    """Raises SnapshotGone where a snapshot was there, and may hold rows that no query brings back."""
    if context.pipeline.source.full_refresh is not None or context.run.full_refresh:
        return
    verdict, champion = read_ref(context.store, "verdict", VerdictRef), read_ref(context.store, "champion", Move)
    if verdict is not None:
        raise SnapshotGone(keys.ref("snapshot"), verdict[0].snapshot_run_id)
    if champion is not None:
        raise SnapshotGone(keys.ref("snapshot"), champion[0].version)


def standing_snapshot(store: ObjectStore, run_id: str) -> Snapshot:
    """The snapshot that goes on, all its objects there. Raises SnapshotGone."""
    manifest = read_manifest(store, run_id, "extract", ExtractManifest)
    if manifest is None or manifest.snapshot is None:
        raise SnapshotGone(f"its manifest {keys.manifest(run_id, 'extract')}", run_id)
    return manifest.snapshot


def _older_objects(context: Context, todo: Plan) -> None:
    """Every object that the run builds on is there. Raises SnapshotGone."""
    if missing := _missing(context, todo.older):
        raise SnapshotGone(*missing)


def _missing(context: Context, batches: Sequence[Batch]) -> tuple[str, str] | None:
    """The first object of the batches that is not there, and the run that wrote it."""
    for batch in batches:
        for artifact in (*(part.artifact for part in batch.parts if _in_window(context, part)), batch.updates):
            if artifact is not None and not context.store.exists(artifact.key):
                return artifact.key, batch.run_id
    return None


def _in_window(context: Context, part: Part) -> bool:
    start = window_start(context.pipeline, context.run.as_of)
    return start is None or part.cursor_max > start


def _batch(context: Context, todo: Plan, rows: RowsRead) -> tuple[Counts, Batch]:
    """What was read now as a batch, its updates found and written."""
    context.report(f"{rows.read:,} rows read, which are looked for among older ones")
    updates = ["old_part", "new_part"]  # few distinct values
    counts, stream = find_updates(
        _search(context, todo.older, rows),
        rows.log,
        lambda: ParquetStream(context.data_writer, "updates.parquet", UPDATES_SCHEMA, updates),
    )
    if todo.read_again and not _missing(context, todo.read_again):
        known, _ = find_updates(_search(context, todo.read_again, rows), rows.log, None)
        counts = replace(counts, new=known.new)
    batch = Batch(
        run_id=context.run.run_id,
        as_of=context.run.as_of,
        read=rows.read,
        new=counts.new,
        parts=tuple(rows.parts),
        updates=stream.artifact if stream else None,
        quarantine=rows.quarantine,
        profile=rows.profile,
        released=todo.released,
    )
    return counts, batch


def _search(context: Context, older: Sequence[Batch], rows: RowsRead) -> Search:
    """Where the keys of the rows read now are looked for."""
    return Search(
        key=context.pipeline.source.key,
        cursor=context.pipeline.source.cursor,
        older=older,
        written=rows.parts,
        fetch=context.fetch,
        in_window=lambda part: _in_window(context, part),
    )


def _drift(context: Context, before: Snapshot | None, rows: RowsRead) -> tuple[Drift | None, tuple[str, ...]]:
    """What was read now beside what the snapshot that was there holds, a fresh start included."""
    if rows.summary is None:
        return None, ()
    standing = (
        [batch for batch in before.batches if any(_in_window(context, part) for part in batch.parts)] if before else []
    )
    return drift_since(context, standing, rows.summary)


def _watermark(todo: Plan, rows: RowsRead | None, before: Snapshot | None) -> datetime | None:
    """The highest cursor read so far; a fresh start forgets what was read before."""
    seen = [rows.newest if rows else None, before.watermark if before and not todo.fresh else None]
    return max((at for at in seen if at is not None), default=None)


def refuse_unfit(excluded: Sequence[Exclusion], columns: Sequence[Column]) -> None:
    """Every exclusion fits the columns as they are now. Raises ExclusionUnfit."""
    types = {column.name: column.type for column in columns}
    for exclusion in excluded:
        try:
            read_where(exclusion.where).check(types)
        except BadCondition as error:
            raise ExclusionUnfit(exclusion, error) from error


def _count(context: Context, rows: RowsRead | None, counts: Counts, snapshot: Snapshot) -> Rows:
    reader = SnapshotReader(snapshot, context.pipeline, context.run.as_of, context.fetch)
    standing = reader.count("window", labelled=False)
    return Rows(
        read=rows.read if rows else 0,
        new=counts.new,
        quarantined=rows.quarantined if rows else 0,
        snapshot=standing,
        unlabelled=standing - reader.count("window", labelled=True),
    )


def _summary(rows: Rows, excluded: int, skipped: bool) -> str:
    bad = f" ({rows.quarantined:,} quarantined)" if rows.quarantined else ""
    without = f" without {excluded} exclusion{'s' if excluded > 1 else ''}" if excluded else ""
    tail = ", too few to go on" if skipped else ""
    return f"{rows.new:,} new rows{bad}, {rows.snapshot:,} in the window{without}{tail}"


STEP: Final = Step(name="extract", run=extract, kind=ExtractManifest, settle=settle)

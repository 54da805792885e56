"""The rows that came after the champion was judged, batch by batch, with what it says of them.

After a fresh start one batch holds the whole window. Of it, the rows since the champion's as_of count, week by week
from there: a poisoned week that was a batch of its own must not drown in the others. Rows of entities that the
champion knows count too: poison among known customers must show, and a model is seldom worse on those it knows.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np
import pyarrow as pa

from refit.core.domain import Snapshot
from refit.data import split
from refit.data.clean import key_hashes
from refit.data.reader import RowBatch, SnapshotReader
from refit.evaluate.contender import MODEL_ERRORS, Contender, Unusable, sentence, unseen
from refit.evaluate.rows import CleanRows
from refit.evaluate.shift import ExtractRows
from refit.ml.frame import to_frame, to_target
from refit.ml.scores import collect


def new_rows(reader: SnapshotReader, champion: Contender) -> Iterator[ExtractRows]:
    """The labelled rows of each batch since the champion's as_of that it was not trained on, oldest batch first.

    Rows of classes that it does not know are left out: they say nothing about how it ranks the others.

    Raises:
        Unusable: the champion cannot score them.
    """
    since = [batch for batch in reader.snapshot.batches if batch.as_of > champion.as_of]
    cursors = [part.cursor_min for batch in since for part in batch.parts]
    if not cursors:
        return
    pipeline, runs = reader.pipeline, {batch.run_id for batch in since}
    named = (*pipeline.source.key, *champion.trained.columns, *(split.entities(pipeline) or ()))
    columns = (*champion.columns, *named, pipeline.source.cursor, pipeline.target)
    rows = reader.rows(list(dict.fromkeys(columns)), "window", after=min(cursors) - timedelta(microseconds=1))
    for run_id, batches in groupby(rows, key=lambda batch: batch.run_id):
        if run_id in runs:
            found = _of_run(run_id, batches, reader, champion)
            if found is not None:
                yield from _weeks(found, champion.as_of) if run_id == _refresh(reader.snapshot, champion) else [found]


def _refresh(snapshot: Snapshot, champion: Contender) -> str | None:
    """The run that read the whole window again since the champion's as_of, if one did."""
    if snapshot.refreshed_at <= champion.as_of:
        return None
    return next((batch.run_id for batch in snapshot.batches if batch.as_of == snapshot.refreshed_at), None)


def _weeks(found: ExtractRows, since: datetime) -> Iterator[ExtractRows]:
    """The rows after `since` in runs of seven days."""
    cursor = found.rows.cursor
    assert cursor is not None
    start = np.datetime64(since.replace(tzinfo=None), "us")
    weeks = -((start - cursor) // np.timedelta64(7, "D")) - 1  # the cursor at `since` belongs to the week before
    for week in np.unique(weeks[cursor > start]):
        chosen = np.flatnonzero((weeks == week) & (cursor > start))
        yield ExtractRows(found.run_id, found.rows.take(chosen), found.responses.take(chosen))


def _of_run(
    run_id: str, batches: Iterator[RowBatch], reader: SnapshotReader, champion: Contender
) -> ExtractRows | None:
    pipeline = reader.pipeline
    tables = [unseen(batch.table, [champion.trained], pipeline) for batch in batches]
    table = pa.Table.from_batches(tables)
    if not len(table):
        return None
    try:
        with champion.own_code:
            said = collect(champion.estimator, (to_frame(piece, champion.columns) for piece in tables if len(piece)))
    except MODEL_ERRORS as error:
        raise Unusable(f"{champion.name} cannot score the rows of run {run_id}: {sentence(error)}") from error
    if bad := said.not_finite():
        raise Unusable(f"{champion.name} says NaN or infinity for {bad:,} rows of run {run_id}")
    at = table.column(pipeline.source.cursor).cast(pa.timestamp("us")).to_numpy()
    y = to_target(table.column(pipeline.target), pipeline.task, pipeline.target)
    by = split.entities(pipeline)
    owners = key_hashes(table, by) if by is not None else None
    return ExtractRows(run_id, CleanRows(y, key_hashes(table, pipeline.source.key), owners, np.asarray(at)), said)

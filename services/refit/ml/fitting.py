"""One model fitted as a pipeline file says: by train, and by evaluate where a champion must be made again."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline as Steps

from refit.core.domain import BatchFit, Column
from refit.core.step import scratch
from refit.data.reader import SnapshotReader
from refit.ml import estimator, features, own
from refit.ml.batches import deal_rows
from refit.ml.incremental import Keeper, fit
from refit.ml.partial_fit import check_takes_batches
from refit.ml.rows import check_classes, empty_columns, read, uneven_shares, without_a_value, without_outliers


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model and what it was fitted on.

    Attributes:
        steps: The fitted scikit-learn Pipeline; takes raw rows as frame.to_frame gives them.
        columns: The raw columns that it takes, in order.
        rows: Training rows that it learned from.
        there: Labelled training rows that there were before any was left out.
        first, last: Cursors of the oldest and the newest of these.
        sample: A few of them, as the model takes them.
        warnings: What was left out or is odd, and what the libraries warned of.
        batches: How they were learned from batch by batch; None: all at once.
    """

    steps: Steps
    columns: tuple[str, ...]
    rows: int
    there: int
    first: datetime
    last: datetime
    sample: pd.DataFrame
    warnings: tuple[str, ...]
    batches: BatchFit | None = None


def fitted(
    reader: SnapshotReader,
    columns: Sequence[Column],
    tell: Callable[[str], None],
    keeper: Keeper | None = None,
    folder: Path | None = None,
) -> Fitted:
    """A model of the reader's pipeline, fitted on the reader's training rows.

    Args:
        columns: Those of the snapshot that the model may know of.
        tell: Gets a short line before the fit, which may take hours, and more while it goes on batch by batch.
        keeper: Where states of a fit over batches are kept, and the one to go on from.
        folder: Takes the rows of such a fit, and is rid of them afterwards; by default the system's temporary folder.

    Raises:
        NoTrainingRows, BadTarget, UnfitRows, FeatureGone and their kin: the rows do not allow it (DataError).
        UnknownEstimator, BadParameter, NoBatches, CannotSave and those of own code: the file does not allow it
            (ConfigError).
        ArtifactError: a part of the snapshot is gone or altered.
        DiskError: the folder does not take the rows.
    """
    pipeline = reader.pipeline
    chosen = features.plan(pipeline, columns)
    steps = estimator.build(pipeline, columns)
    if packages := own.packages(pipeline):
        own.check_can_be_saved(steps, packages)  # before the rows are read and fitted, which may take hours
    if pipeline.model.batches is None:
        return _at_once(reader, chosen, steps, tell)
    check_takes_batches(steps[-1], pipeline.model, pipeline.task)
    return _in_batches(reader, chosen, steps, tell, keeper or Keeper(), folder)


def _at_once(reader: SnapshotReader, chosen: features.Plan, steps: Steps, tell: Callable[[str], None]) -> Fitted:
    pipeline = reader.pipeline
    rows = without_outliers(pipeline, read(reader, chosen.columns))
    check_classes(rows.y, pipeline.task, pipeline.target)
    of_all = "" if len(rows.y) == rows.there else f" of {rows.there:,}"
    tell(f"{type(steps[-1]).__name__} on {len(rows.y):,}{of_all} rows")
    said = estimator.fit(steps, rows.X, rows.y, pipeline.model, own.packages(pipeline))
    odd = (*chosen.warnings, *uneven_shares(reader), *empty_columns(rows.X), *rows.notes, *said)
    sample = rows.X.iloc[: estimator.PLAIN_ROWS]
    return Fitted(steps, chosen.columns, len(rows.y), rows.there, rows.first, rows.last, sample, odd)


def _in_batches(
    reader: SnapshotReader,
    chosen: features.Plan,
    steps: Steps,
    tell: Callable[[str], None],
    keeper: Keeper,
    folder: Path | None,
) -> Fitted:
    with scratch("shuffle", folder) as room, _returning_memory():
        rows = deal_rows(reader, chosen.columns, Path(room))
        made = fit(steps, rows, reader.pipeline, keeper, tell)
    empty = (without_a_value(name) for name in rows.empty)
    odd = (*chosen.warnings, *uneven_shares(reader), *empty, *made.notes)
    there = rows.shuffled.rows
    return Fitted(made.steps, chosen.columns, made.rows, there, rows.first, rows.last, made.sample, odd, made.fit)


@contextmanager
def _returning_memory() -> Iterator[None]:
    """What Arrow frees goes back to the system: its own allocator keeps it, 80 MiB of it at the peak of a fit."""
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(pool)

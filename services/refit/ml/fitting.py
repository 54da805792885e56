"""One model fitted as a pipeline file says: by train, and by evaluate on all rows, or in place of a champion."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline as Steps

from refit.core.config import Model
from refit.core.domain import BatchFit, Column, Searched
from refit.core.step import scratch
from refit.data.reader import Side, SnapshotReader
from refit.ml import estimator, features, own
from refit.ml.batches import deal_rows
from refit.ml.incremental import Keeper, fit
from refit.ml.partial_fit import check_takes_batches
from refit.ml.persist import CannotSave, dump, load
from refit.ml.rows import (
    TrainingRows,
    check_classes,
    empty_columns,
    read,
    uneven_shares,
    without_a_value,
    without_outliers,
)

Tune = Callable[[TrainingRows], tuple[Model, Searched | None]]


@dataclass(frozen=True)
class Among:
    """Which labelled rows of a snapshot a fit learns from.

    Attributes:
        side: `window` is all rows, held-out ones included.
        classes: Rows of other classes are left out; empty: none are.
    """

    side: Side = "train"
    classes: tuple[Any, ...] = ()


TRAINING: Final = Among()


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model and what it was fitted on.

    Attributes:
        steps: The fitted scikit-learn Pipeline; takes raw rows as frame.to_frame gives them.
        columns: The raw columns that it takes, in order.
        rows: Rows that it learned from.
        there: Labelled rows that there were before any was left out.
        first, last: Cursors of the oldest and the newest of these.
        sample: A few of them, as the model takes them.
        warnings: What was left out or is odd, and what the libraries warned of.
        model: The section of the file that it was fitted by, with what a search chose as params.
        searched: What chose them; None without a search.
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
    model: Model
    searched: Searched | None = None
    batches: BatchFit | None = None

    @property
    def classes(self) -> tuple[Any, ...]:
        """In the model's order; empty for a regression."""
        return tuple(np.asarray(getattr(self.steps[-1], "classes_", ())).tolist())


def fitted(
    reader: SnapshotReader,
    columns: Sequence[Column],
    tell: Callable[[str], None],
    among: Among = TRAINING,
    *,
    params: Mapping[str, Any] | None = None,
    tune: Tune | None = None,
    keeper: Keeper | None = None,
    folder: Path | None = None,
) -> Fitted:
    """A model of the reader's pipeline, fitted on the reader's rows.

    Args:
        columns: Those of the snapshot that the model may know of.
        tell: Gets a short line before the fit, which may take hours, and more while it goes on batch by batch.
        params: Parameters of the estimator set beside the file's.
        tune: Chooses params on the rows, where the file asks for a search; None: those of the file are taken.
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
    if params:
        steps[-1].set_params(**params)
    if packages := own.packages(pipeline):
        own.check_can_be_saved(steps, packages)  # before the rows are read and fitted, which may take hours
    if pipeline.model.batches is None:
        return _at_once(reader, columns, chosen, steps, among, tell, tune)
    with own.OwnCode(packages):
        check_takes_batches(steps[-1], pipeline.model, pipeline.task)
    return _in_batches(reader, chosen, steps, among, tell, keeper or Keeper(), folder)


def saved(made: Fitted, packages: frozenset[str]) -> tuple[bytes, tuple[str, ...]]:
    """The model file, and the types beyond the built-in list that it holds; read back, it says what the model says.

    Args:
        packages: Those of the user's own code in the steps.

    Raises:
        CannotSave: it holds what no file keeps, or says something else.
        OwnCodeFails: code of the user's own raises anything when it is asked.
    """
    with own.OwnCode(packages):
        body = dump(made.steps)
        trusted = own.trusted_types(body, packages)
        said = np.asarray(load(body, trusted).predict(made.sample))
        before = np.asarray(made.steps.predict(made.sample))
    # Sums may run in another order over an array that was read back: the last digits differ.
    same = np.allclose(said, before, rtol=1e-9, equal_nan=True) if said.dtype.kind == "f" else (said == before).all()
    if not same:
        raise CannotSave("read back, it predicts something else")
    return body, trusted


def _at_once(
    reader: SnapshotReader,
    columns: Sequence[Column],
    chosen: features.Plan,
    steps: Steps,
    among: Among,
    tell: Callable[[str], None],
    tune: Tune | None,
) -> Fitted:
    pipeline, searched = reader.pipeline, None
    tell("reads its rows")
    rows, model = read(reader, chosen.columns, among.side, among.classes), pipeline.model
    if tune is not None:
        model, searched = tune(rows)
        steps = estimator.build(pipeline.model_copy(update={"model": model}), columns)
    rows = without_outliers(pipeline, rows)
    check_classes(rows.y, pipeline.task, pipeline.target)
    of_all = "" if len(rows.y) == rows.there else f" of {rows.there:,}"
    tell(f"{type(steps[-1]).__name__} on {len(rows.y):,}{of_all} rows")
    said = estimator.fit(steps, rows.X, rows.y, model, own.packages(pipeline))
    odd = (*chosen.warnings, *_uneven(reader, among), *empty_columns(rows.X), *rows.notes, *said)
    sample = rows.X.iloc[: estimator.PLAIN_ROWS]
    return Fitted(steps, chosen.columns, len(rows.y), rows.there, rows.first, rows.last, sample, odd, model, searched)


def _in_batches(
    reader: SnapshotReader,
    chosen: features.Plan,
    steps: Steps,
    among: Among,
    tell: Callable[[str], None],
    keeper: Keeper,
    folder: Path | None,
) -> Fitted:
    tell("reads and shuffles its rows")
    with scratch("shuffle", folder) as room, _returning_memory():
        rows = deal_rows(reader, chosen.columns, Path(room), among.side, among.classes)
        made = fit(steps, rows, reader.pipeline, keeper, tell)
    empty = (without_a_value(name) for name in rows.empty)
    odd = (*chosen.warnings, *_uneven(reader, among), *empty, *made.notes)
    there = rows.shuffled.rows
    model = reader.pipeline.model
    return Fitted(
        made.steps, chosen.columns, made.rows, there, rows.first, rows.last, made.sample, odd, model, batches=made.fit
    )


def _uneven(reader: SnapshotReader, among: Among) -> Iterator[str]:
    return uneven_shares(reader) if among.side == "train" else iter(())


@contextmanager
def _returning_memory() -> Iterator[None]:
    """What Arrow frees goes back to the system: its own allocator keeps it, 80 MiB of it at the peak of a fit."""
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(pool)

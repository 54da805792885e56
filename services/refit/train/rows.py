"""The rows that a model is fitted on: read from the snapshot, checked, cleared of outliers where the file says so."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from refit.core.config import Pipeline
from refit.core.config_sections import FeatureBlock
from refit.core.errors import DataError
from refit.data.hashing import Words, hash_rows
from refit.data.reader import Side, SnapshotReader
from refit.data.sampling import smallest
from refit.data.split import entities, hash_fraction
from refit.data.standing import microseconds_of
from refit.ml import outliers
from refit.ml.frame import Array, BadTarget, drain, to_target, too_many_classes

FOLD_SALT: Final = "refit folds"
MOST_CLASSES: Final = 1000  # a model keeps a probability for each: more are numbers or keys in disguise


class NoTrainingRows(DataError):
    """Nothing is left to train on."""

    def __init__(self, why: str, next: str) -> None:
        super().__init__(f"there is no row to train on: {why}", next=next)


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """What is fitted on.

    Attributes:
        X: Raw features, as the model takes them.
        y: The target, shape (rows,).
        there: Labelled training rows that there were before any was left out.
        first, last: Cursors of the oldest and the newest row.
        notes: What was done to the rows, in words.
        cursors: Of each row, in microseconds; None unless a search needs them.
        entities: A hash of each row's entity; None unless a search needs them and several rows may share one.
    """

    X: pd.DataFrame
    y: Array
    there: int
    first: datetime
    last: datetime
    notes: tuple[str, ...] = ()
    cursors: Array | None = None
    entities: Words | None = None


def read(reader: SnapshotReader, columns: Sequence[str]) -> TrainingRows:
    """All labelled training rows of the snapshot, or the part of them that model.sample asks for.

    Raises:
        NoTrainingRows: there is none.
        BadTarget: the target does not suit the task.
    """
    pipeline = reader.pipeline
    target, cursor = pipeline.target, pipeline.source.cursor
    key, sample = pipeline.source.key, pipeline.model.sample
    searches = pipeline.model.search is not None
    by = entities(pipeline) if searches else None
    wanted = list(dict.fromkeys([*columns, target, cursor, *(key if sample else ()), *(by or ())]))
    tables = (batch.table for batch in reader.rows(wanted, "train"))
    if sample:
        batches, there = smallest(tables, key, pipeline.model.seed, sample.rows)
    else:
        batches = list(tables)
        there = sum(len(batch) for batch in batches)
    if not batches:
        raise NoTrainingRows(*_why_none(reader))
    y = to_target(_column(batches, target), pipeline.task, target)
    span = pc.min_max(_column(batches, cursor))
    cursors = microseconds_of(_column(batches, cursor).combine_chunks()) if searches else None
    hashes = hash_rows([_column(batches, name) for name in by], FOLD_SALT) if by else None
    X = drain(batches, columns)
    return TrainingRows(X, y, there, span["min"].as_py(), span["max"].as_py(), (), cursors, hashes)


def dropping(pipeline: Pipeline) -> tuple[str, ...]:
    """The columns whose outliers cost a training row its place."""
    block = pipeline.features.numeric if isinstance(pipeline.features, FeatureBlock) else None
    return block.columns if block is not None and block.outliers == "drop_3sigma" else ()


def without_outliers(pipeline: Pipeline, rows: TrainingRows) -> TrainingRows:
    """The rows less those that `outliers: drop_3sigma` drops."""
    columns = dropping(pipeline)
    if not columns:
        return rows
    kept = outliers.inside(rows.X[list(columns)].to_numpy())
    dropped = int((~kept).sum())
    note = f"{dropped:,} of {len(kept):,} training rows dropped: a value beyond 3 sigma"
    X = rows.X[kept].reset_index(drop=True)
    return replace(rows, X=X, y=rows.y[kept], notes=(note,) if dropped else (), cursors=None, entities=None)


def check_classes(y: Array, task: str, column: str) -> None:
    """The training rows have the classes that the task needs.

    Raises:
        BadTarget: one class only, more than two for a binary task, or more than 1,000.
    """
    if task == "regression":
        return
    classes = np.unique(y).tolist()
    if len(classes) < 2:
        raise BadTarget(
            column,
            task,
            f"all {len(y):,} training rows have the class {classes[0]!r}",
            next="look at the query and the window: a classifier needs rows of two classes",
        )
    if task == "binary" and len(classes) > 2:
        raise too_many_classes(column, classes)
    if len(classes) > MOST_CLASSES:
        raise BadTarget(
            column,
            task,
            f"it has {len(classes):,} classes in {len(y):,} training rows, and a model takes {MOST_CLASSES:,} at most",
            next="take rare classes together in the query; for a quantity use task: regression",
        )


def uneven_shares(reader: SnapshotReader) -> Iterator[str]:
    """A warning per class whose share of held-out rows is far from what a stratified split asks for.

    The hash holds out each entity with one probability whatever its class, so a class of n entities has a share of
    f ± √(f(1−f)/n): chance, or a few large entities, may still take it elsewhere.

    Raises:
        ArtifactError: a part is missing or altered.
    """
    target, fraction = reader.pipeline.target, hash_fraction(reader.pipeline)
    if not reader.pipeline.split.stratify or fraction is None:
        return
    counts: dict[Side, Counter[Any]] = {"train": Counter(), "holdout": Counter()}
    for side, of_class in counts.items():
        for batch in reader.rows([target], side):
            found = batch.table.column(0).value_counts()
            of_class.update(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))
    for label in sorted({*counts["train"], *counts["holdout"]}, key=str):
        held, rows = counts["holdout"][label], counts["train"][label] + counts["holdout"][label]
        if not fraction / 2 <= held / rows <= fraction * 3 / 2:
            yield (
                f"{held:,} of the {rows:,} rows of class {label!r} are held out, {held / rows:.0%} where split.holdout "
                f"asks for {fraction:.0%}: it has few entities, or large ones"
            )


def empty_columns(X: pd.DataFrame) -> tuple[str, ...]:
    """A warning per column that has no value in any training row."""
    return tuple(f'"{name}" has no value in any training row' for name in X.columns if X[name].isna().all())


def _column(batches: Sequence[pa.RecordBatch], name: str) -> pa.ChunkedArray:
    return pa.chunked_array([batch.column(name) for batch in batches])


def _why_none(reader: SnapshotReader) -> tuple[str, str]:
    target, cut = reader.pipeline.target, reader.cut
    unlabelled = reader.count("train", labelled=False)
    if unlabelled:
        return (
            f"{target} is NULL in all {unlabelled:,} of them",
            "set source.lag if labels come later",
        )
    if cut is None:
        return "the window has none", "look at the query and the window"
    return (
        f"the window has none up to {cut:%Y-%m-%d %H:%M} UTC, where the holdout begins",
        "make split.holdout shorter, or wait for more rows",
    )

"""The rows that a model is fitted on: read from the snapshot, checked, cleared of outliers where the file says so."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
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


def read(
    reader: SnapshotReader, columns: Sequence[str], side: Side = "train", classes: Sequence[Any] = ()
) -> TrainingRows:
    """The labelled rows on one side of the snapshot, or the part of them that model.sample asks for.

    Args:
        classes: Rows of other classes are left out; empty: none are.

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
    tables = labelled(reader, wanted, side, classes)
    if sample:
        batches, there = smallest(tables, key, pipeline.model.seed, sample.rows)
    else:
        batches = list(tables)
        there = sum(len(batch) for batch in batches)
    if not sum(len(batch) for batch in batches):
        raise NoTrainingRows(*why_none(reader))
    y = to_target(_column(batches, target), pipeline.task, target)
    span = pc.min_max(_column(batches, cursor))
    cursors = microseconds_of(_column(batches, cursor).combine_chunks()) if searches else None
    hashes = hash_rows([_column(batches, name) for name in by], FOLD_SALT) if by else None
    X = drain(batches, columns)
    return TrainingRows(X, y, there, span["min"].as_py(), span["max"].as_py(), (), cursors, hashes)


def labelled(
    reader: SnapshotReader, columns: Sequence[str], side: Side, classes: Sequence[Any] = ()
) -> Iterator[pa.RecordBatch]:
    """The labelled rows on one side of the snapshot, batch by batch, with the target among the columns.

    Args:
        classes: Rows of other classes are left out; empty: none are.
    """
    pipeline = reader.pipeline
    for batch in reader.rows(columns, side):
        table = batch.table
        if classes:
            table = table.filter(is_known(table.column(pipeline.target), pipeline, classes))
        if len(table):
            yield table


def without_outliers(pipeline: Pipeline, rows: TrainingRows) -> TrainingRows:
    """The rows less those that `outliers: drop_3sigma` drops."""
    columns = columns_to_drop_by(pipeline)
    if not columns:
        return rows
    kept = outliers.inside(rows.X[columns].to_numpy())
    X, notes = rows.X[kept].reset_index(drop=True), dropped(int((~kept).sum()), len(kept))
    return replace(rows, X=X, y=rows.y[kept], notes=notes, cursors=None, entities=None)


def columns_to_drop_by(pipeline: Pipeline) -> list[str]:
    """Columns whose values beyond 3 sigma drop their training rows; none where the file does not say so."""
    block = pipeline.features.numeric if isinstance(pipeline.features, FeatureBlock) else None
    return list(block.columns) if block is not None and block.outliers == "drop_3sigma" else []


def dropped(rows: int, there: int) -> tuple[str, ...]:
    """What is said of rows that were dropped; nothing where none was."""
    return (f"{rows:,} of {there:,} training rows dropped: a value beyond 3 sigma",) if rows else ()


def check_classes(y: Array, task: str, column: str) -> None:
    """The training rows have the classes that the task needs.

    Raises:
        BadTarget: one class only, more than two for a binary task, or more than 1,000.
    """
    if task != "regression":
        check_labels(np.unique(y).tolist(), len(y), task, column)


def check_labels(classes: Sequence[Any], rows: int, task: str, column: str) -> None:
    """As `check_classes`, of the distinct classes of so many training rows."""
    if len(classes) < 2:
        raise BadTarget(
            column,
            task,
            f"all {rows:,} training rows have the class {classes[0]!r}",
            next="look at the query and the window: a classifier needs rows of two classes",
        )
    if task == "binary" and len(classes) > 2:
        raise too_many_classes(column, classes)
    if len(classes) > MOST_CLASSES:
        raise BadTarget(
            column,
            task,
            f"it has {len(classes):,} classes in {rows:,} training rows, and a model takes {MOST_CLASSES:,} at most",
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
    return tuple(without_a_value(name) for name in X.columns if X[name].isna().all())


def without_a_value(name: str) -> str:
    """What is said of such a column."""
    return f'"{name}" has no value in any training row'


def is_known(target: pa.Array, pipeline: Pipeline, classes: Collection[Any]) -> pa.Array:
    """Which labels are among the classes, without a Python object per row for what Arrow itself can compare."""
    if pa.types.is_string(target.type):
        return pc.is_in(target, pa.array([str(label) for label in classes], pa.string()))
    if pa.types.is_boolean(target.type):
        return pc.is_in(target, pa.array([bool(label) for label in classes]))
    return pa.array(is_one_of(to_target(target, pipeline.task, pipeline.target), classes))


def is_one_of(labels: Array, classes: Iterable[Any]) -> npt.NDArray[np.bool_]:
    """Which labels are among the classes, of shape (rows,)."""
    found = np.zeros(len(labels), dtype=bool)
    for label in classes:
        found |= labels == label
    return found


def _column(batches: Sequence[pa.RecordBatch], name: str) -> pa.ChunkedArray:
    return pa.chunked_array([batch.column(name) for batch in batches])


def why_none(reader: SnapshotReader) -> tuple[str, str]:
    """Why the reader has no training row, and what to do."""
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

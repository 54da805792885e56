"""The models that a comparison is about: the candidate, the champion and the anchor, loaded and verified."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from refit.core.config import Pipeline
from refit.core.context import Context
from refit.core.domain import Instant, Opponent, Reference, TrainManifest
from refit.core.errors import ArtifactError, ConfigError, DataError, RefitError
from refit.core.logs import foreign
from refit.data import split
from refit.data.clean import is_clean, key_hashes, trained_on
from refit.data.hashing import Words
from refit.data.reader import Side, SnapshotReader
from refit.evaluate.rows import CleanRows
from refit.ml.frame import to_frame, to_target
from refit.ml.own import OwnCode, named, packages
from refit.ml.persist import load
from refit.ml.predictions import MODEL_FAILS
from refit.ml.rows import is_known
from refit.ml.scores import Responses, collect

# A store or disk that fails is not among it: the step fails then, and is tried again.
MODEL_ERRORS: Final = (ArtifactError, ConfigError, DataError, *MODEL_FAILS)


class Unusable(Exception):
    """A model of the registry cannot be compared; the message says which and why. Never leaves this package."""


@dataclass(frozen=True, eq=False)
class Trained:
    """The rows that a model was trained on, by their key or by their entity: its columns, sorted hashes, classes."""

    columns: tuple[str, ...]
    hashes: Words
    classes: tuple[Any, ...] = ()
    """Empty for regression."""


@dataclass(frozen=True, eq=False)
class Contender:
    """A fitted model with what a fair comparison needs to know of it.

    Attributes:
        name: Its version, or the run's id for the candidate.
        trained: The rows that it was trained on, by the key that they had then.
        until: Its run read no row with a later cursor.
        entities: The same by the entities of today's file; None where these are the keys, or its rows had none.
        reference: How it ranked when it was judged; None for the candidate, or where that had no meaning.
        packages: Those whose code its own file names.
        record: How it came to be compared; None for the candidate.
    """

    name: str
    as_of: Instant
    estimator: Any
    columns: tuple[str, ...]
    trained: Trained
    until: Instant
    entities: Trained | None = None
    reference: Reference | None = None
    packages: frozenset[str] = frozenset()
    record: Opponent | None = None

    @property
    def seen(self) -> tuple[Trained, ...]:
        """What no clean row shares with it."""
        return (self.trained, self.entities) if self.entities is not None else (self.trained,)

    def answer(
        self, reader: SnapshotReader, trained: Sequence[Trained], newer_than: Instant | None = None
    ) -> Responses:
        """What the model says of the clean rows, batch by batch with flat memory.

        Raises:
            OwnCodeFails: code of the user's own raises anything; whatever else raises passes as it is.
        """
        with self.own_code:
            tables = clean_rows(reader, self.columns, trained, newer_than)
            return collect(self.estimator, (to_frame(table) for table in tables))

    @property
    def own_code(self) -> OwnCode:
        """Within it, what code of the user's own raises is told as such."""
        return OwnCode(self.packages)


def clean_rows(
    reader: SnapshotReader, columns: Sequence[str], trained: Sequence[Trained], newer_than: Instant | None = None
) -> Iterator[pa.RecordBatch]:
    """The holdout rows that `unseen` keeps; the same rows in the same order for any columns.

    Args:
        newer_than: Instead of the holdout's, the window's rows with a later cursor.
    """
    keys = (name for known in trained for name in known.columns)
    wanted = list(dict.fromkeys((*columns, *keys, reader.pipeline.target)))
    for batch in reader.rows(wanted, "holdout" if newer_than is None else "window", after=newer_than):
        clean = unseen(batch.table, trained, reader.pipeline)
        if len(clean):
            yield clean.select(list(columns))


def find_clean_rows(reader: SnapshotReader, trained: Sequence[Trained], newer_than: Instant | None = None) -> CleanRows:
    """Target, key, entity and cursor of the clean rows."""
    pipeline = reader.pipeline
    key, cursor, by = pipeline.source.key, pipeline.source.cursor, split.entities(pipeline)
    columns = list(dict.fromkeys((*key, cursor, pipeline.target, *(by or ()))))
    targets: list[pa.Array] = []
    keys: list[Words] = []
    owners: list[Words] = []
    at: list[npt.NDArray[np.datetime64]] = []
    for table in clean_rows(reader, columns, trained, newer_than):
        targets.append(table.column(pipeline.target))
        keys.append(key_hashes(table, key))
        owners += [key_hashes(table, by)] if by is not None else []
        at.append(table.column(cursor).cast(pa.timestamp("us")).to_numpy(zero_copy_only=False))
    if not targets:
        empty = np.empty(0)
        return CleanRows(empty, np.empty(0, dtype=np.uint64), cursor=np.empty(0, dtype="datetime64[us]"))
    y = to_target(pa.chunked_array(targets), pipeline.task, pipeline.target)
    entities = np.concatenate(owners) if owners else None
    return CleanRows(y, np.concatenate(keys), entities, np.concatenate(at))


def unseen(table: pa.RecordBatch, trained: Sequence[Trained], pipeline: Pipeline) -> pa.RecordBatch:
    """The rows that share a key, or an entity, with none of `trained`, and are of classes that all of them know.

    A row of another class is every model's mistake, whatever it says, and most scores have no word for it.
    """
    for columns in dict.fromkeys(known.columns for known in trained):
        hashes = [known.hashes for known in trained if known.columns == columns]
        table = table.filter(pa.array(is_clean(key_hashes(table, columns), hashes)))
    for classes in dict.fromkeys(frozenset(known.classes) for known in trained if known.classes):
        table = table.filter(is_known(table.column(pipeline.target), pipeline, classes))
    return table


def the_candidate(context: Context, reader: SnapshotReader, train: TrainManifest) -> Contender:
    """The model that this run fitted.

    Raises:
        ArtifactError: it is gone, altered, or of a refused type: train wrote it minutes ago, so the store is at fault.
    """
    name, own = context.run.run_id, packages(context.pipeline)
    with OwnCode(own):
        estimator = load(context.read(train.model), named(context.pipeline, train.trusted))
    trained, entities = trained_rows(reader, train, split.entities(context.pipeline))
    until = split.window_end(context.pipeline, context.run.as_of)
    return Contender(name, context.run.as_of, estimator, train.columns, trained, until, entities, packages=own)


def answer_of(
    contender: Contender, reader: SnapshotReader, trained: Sequence[Trained], newer_than: Instant | None = None
) -> Responses:
    """What a version of the registry says of the clean rows.

    Raises:
        Unusable: it cannot score these rows.
    """
    try:
        responses = contender.answer(reader, trained, newer_than)
    except MODEL_ERRORS as error:
        raise Unusable(f"{contender.name} cannot score today's rows: {sentence(error)}") from error
    if bad := responses.not_finite():
        raise Unusable(f"{contender.name} says NaN or infinity for {bad:,} rows")
    return responses


def trained_rows(
    reader: SnapshotReader, train: TrainManifest, by: tuple[str, ...] | None, side: Side = "train"
) -> tuple[Trained, Trained | None]:
    """The training rows by their key and, where `by` names entities, by these."""
    names = [reader.pipeline.source.key, *([by] if by is not None else [])]
    hashes = trained_on(reader, *names, side=side)
    found = [Trained(columns, of_columns, train.classes) for columns, of_columns in zip(names, hashes, strict=True)]
    return found[0], found[1] if by is not None else None


def of_window(reader: SnapshotReader, train: TrainManifest) -> Trained:
    """All labelled rows of the window by their key: those that a model was trained on, and those that judged it."""
    key = reader.pipeline.source.key
    (hashes,) = trained_on(reader, key, side="window")
    return Trained(key, hashes, train.classes)


def sentence(error: Exception) -> str:
    """What a model or its documents raised, in one line."""
    told = error.message if isinstance(error, RefitError) else foreign(error)
    lines = told.strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__

"""The models that a comparison is about: the candidate, the champion and the anchor, loaded and verified."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from refit.core import artifacts, registry
from refit.core.config import Pipeline, parse_pipeline
from refit.core.context import Context
from refit.core.domain import EvaluateManifest, ExtractManifest, FitOn, Instant, Reference, TrainManifest
from refit.core.errors import ArtifactError, ConfigError, DataError, RefitError
from refit.core.logs import foreign
from refit.core.step import read_run
from refit.data import split
from refit.data.clean import is_clean, key_hashes, trained_on
from refit.data.hashing import Words
from refit.data.reader import Side, SnapshotReader
from refit.ml.frame import to_frame
from refit.ml.own import OwnCode, named, packages
from refit.ml.persist import load
from refit.ml.rows import is_known
from refit.ml.scores import Responses, collect

# What a model from another version of its library, or for other columns, may raise when it is loaded or asked.
# A store or disk that fails is not among it: the step fails then, and is tried again.
MODEL_ERRORS: Final = (
    ArtifactError,
    ConfigError,
    DataError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    ImportError,
    ArithmeticError,
)


_ANOTHER_KEY: Final = (
    "the key column {} is gone or of another type, so that it cannot be told which of today's rows the model was "
    "trained on"
)


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
        trained_until: No row with a later cursor was trained on.
        entities: The same by the entities of today's file; None where these are the keys, or its rows had none.
        reference: How it ranked when it was judged; None for the candidate, or where that had no meaning.
        packages: Those whose code its own file names.
    """

    name: str
    as_of: Instant
    estimator: Any
    columns: tuple[str, ...]
    trained: Trained
    trained_until: Instant
    entities: Trained | None = None
    reference: Reference | None = None
    packages: frozenset[str] = frozenset()

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
    estimator = load(context.read(train.model), named(context.pipeline, train.trusted))
    name, own = context.run.run_id, packages(context.pipeline)
    trained, entities = _trained(reader, train, split.entities(context.pipeline), "train")
    return Contender(
        name, context.run.as_of, estimator, train.columns, trained, train.trained_until, entities, packages=own
    )


def of_version(context: Context, version: str, fit_on: FitOn = "evaluated") -> Contender:
    """A version of the registry, verified, with the rows that it was trained on.

    Args:
        fit_on: Which of its models, where it has two.

    Raises:
        Unusable: a document, part or the model is gone, altered or refused, or the model does not load here.
    """
    store = context.store
    try:
        document = registry.read_version(store, version)
        extract = ExtractManifest.from_json(artifacts.read(store, document.extract), document.extract.key)
        train = TrainManifest.from_json(artifacts.read(store, document.train), document.train.key)
        train = document.trained(train, fit_on)
        evaluate = EvaluateManifest.from_json(artifacts.read(store, document.evaluate), document.evaluate.key)
        _refuse_another_question(context, train)
        run = read_run(store, version)
        pipeline = parse_pipeline(artifacts.read(store, run.file), run.file.key)
        if extract.snapshot is None:
            raise Unusable(f"{version} names no snapshot")
        reader = SnapshotReader(extract.snapshot, pipeline, run.as_of, context.fetch)
        if _unlike(context, reader, pipeline.source.key):
            raise ValueError(_ANOTHER_KEY.format(", ".join(pipeline.source.key)))
        estimator, own = load(context.read(train.model), named(pipeline, train.trusted)), packages(pipeline)
        by = split.entities(context.pipeline)
        known = None if by is None or _unlike(context, reader, by) else by
        on_all = fit_on == "all" and document.refit is not None
        trained, entities = _trained(reader, train, known, "window" if on_all else "train")
        return Contender(
            version,
            run.as_of,
            estimator,
            train.columns,
            trained,
            train.trained_until,
            entities,
            evaluate.reference,
            own,
        )
    except MODEL_ERRORS as error:
        raise Unusable(f"{version} cannot be used: {sentence(error)}") from error


def answer_of(
    contender: Contender, reader: SnapshotReader, trained: Sequence[Trained], newer_than: Instant | None = None
) -> Responses:
    """What a version of the registry says of the clean rows.

    Raises:
        Unusable: it needs a column that is gone, or cannot score these rows.
    """
    found = {column.name for column in reader.snapshot.columns}
    if gone := [name for name in contender.columns if name not in found]:
        raise Unusable(f"{contender.name} cannot be used: it needs the column {', '.join(gone)}, which is gone")
    try:
        responses = contender.answer(reader, trained, newer_than)
    except MODEL_ERRORS as error:
        raise Unusable(f"{contender.name} cannot score today's rows: {sentence(error)}") from error
    if bad := responses.not_finite():
        raise Unusable(f"{contender.name} says NaN or infinity for {bad:,} rows")
    return responses


def _trained(
    reader: SnapshotReader, train: TrainManifest, by: tuple[str, ...] | None, side: Side
) -> tuple[Trained, Trained | None]:
    """The training rows by their key and, where `by` names entities, by these."""
    names = [reader.pipeline.source.key, *([by] if by is not None else [])]
    hashes = trained_on(reader, *names, side=side)
    found = [Trained(columns, of_columns, train.classes) for columns, of_columns in zip(names, hashes, strict=True)]
    return found[0], found[1] if by is not None else None


def _unlike(context: Context, then: SnapshotReader, columns: Sequence[str]) -> bool:
    """Whether some of the columns were not there then, are gone now, or changed their type: equal values hash alike
    only where none did."""
    now = context.manifest_of("extract", ExtractManifest).snapshot
    assert now is not None
    was, is_ = ({column.name: column.type for column in snapshot.columns} for snapshot in (then.snapshot, now))
    return any(name not in was or name not in is_ or _family(was[name]) != _family(is_[name]) for name in columns)


def _family(type_name: str) -> str:
    """What an Arrow type's values are, whatever their width: such are hashed alike (data/hashing.py)."""
    return re.split(r"[^a-z_]", type_name)[0].removeprefix("u").removeprefix("large_")


def _refuse_another_question(context: Context, train: TrainManifest) -> None:
    """Two models are compared only when they answer the same question with the same words."""
    pipeline, candidate = context.pipeline, context.manifest_of("train", TrainManifest)
    if (train.task, train.target) != (pipeline.task, pipeline.target):
        raise ValueError(
            f"it predicts {train.target} ({train.task}), and the file now asks for {pipeline.target} ({pipeline.task})"
        )
    if train.classes and candidate.classes and set(train.classes) != set(candidate.classes):
        was, is_ = (", ".join(map(repr, manifest.classes)) for manifest in (train, candidate))
        raise ValueError(f"the classes of {train.target} were {was}, and are now {is_}")


def sentence(error: Exception) -> str:
    """What a model or its documents raised, in one line."""
    told = error.message if isinstance(error, RefitError) else foreign(error)
    lines = told.strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__

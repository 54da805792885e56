"""A version of the registry as one side of a comparison: its model as it is stored, or a stand-in for it.

    its documents, its rows           gone or altered, or about another question: it cannot be compared
    its model file                    loads, and says of the rows that were stored with it what it said: it is compared
                                      else a stand-in is, which is fitted again (rebuild.py)
    columns that today's rows lack    a stand-in without them is compared, unless they are shown to matter

Where nothing has changed since it was fitted, a model that cannot be asked about stored rows is taken as it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from refit.core import artifacts, logs, registry
from refit.core.config import parse_pipeline
from refit.core.context import Context
from refit.core.domain import (
    EvaluateManifest,
    ExtractManifest,
    FitOn,
    Opponent,
    Refit,
    Snapshot,
    TrainManifest,
    Version,
)
from refit.core.errors import ArtifactError, ConfigError, DataError
from refit.core.step import read_run
from refit.data import split
from refit.data.reader import SnapshotReader
from refit.evaluate.contender import MODEL_ERRORS, Contender, Unusable, of_window, sentence, trained_rows
from refit.evaluate.rebuild import CannotRebuild, rebuild
from refit.ml import own
from refit.ml.frame import kind_of
from refit.ml.predictions import SaysOtherwise
from refit.ml.stored import changes, stored_model

Role = Literal["champion", "anchor"]

_ANOTHER_KEY: Final = (
    "the key column {} is gone or of another type, so that it cannot be told which of today's rows the model was "
    "trained on"
)


@dataclass(frozen=True, eq=False)
class Registered:
    """What tells how a version was made.

    Attributes:
        train: As its model has it, where it has two.
        reader: The rows as they were for it, by its own file.
        refit: The model that was fitted on all rows, where it is that which is compared.
    """

    document: Version
    train: TrainManifest
    evaluate: EvaluateManifest
    reader: SnapshotReader
    refit: Refit | None = None


def of_version(context: Context, version: str, role: Role, fit_on: FitOn = "evaluated") -> Contender:
    """A version of the registry, verified, with the rows that it was trained on.

    Args:
        fit_on: Which of its models, where it has two.

    Raises:
        Unusable: it cannot be compared, as it is or rebuilt.
    """
    made, contender, gone = _read(context, version, role, fit_on)
    assert contender.record is not None
    if not contender.record.reason:
        return contender
    try:
        return rebuild(context, made.reader, made.train, contender, gone, made.refit)
    except (ArtifactError, ConfigError, DataError) as error:
        why = f"{contender.record.reason}; nor can it be rebuilt from its snapshot: {_plain(error)}"
        raise Unusable(f"{version} cannot be used: {why}") from error


def stored_version(
    context: Context, version: str, fit_on: FitOn = "evaluated", *, judged_too: bool = False
) -> Contender:
    """As `of_version`, and never a stand-in: one of the version's own models.

    Args:
        judged_too: Keys of all rows of its window count as trained on, held-out ones included.

    Raises:
        Unusable: it cannot be compared as it is stored.
    """
    contender = _read(context, version, "champion", fit_on, judged_too=judged_too)[1]
    if contender.record is not None and contender.record.reason:
        raise Unusable(f"{version} cannot be used: {contender.record.reason}")
    return contender


def _read(
    context: Context, version: str, role: Role, fit_on: FitOn, *, judged_too: bool = False
) -> tuple[Registered, Contender, tuple[str, ...]]:
    """How it was made, its side of the comparison with why its own model cannot be that, and columns that are gone."""
    try:
        made = _registered(context, version, fit_on)
    except MODEL_ERRORS as error:
        raise Unusable(f"{version} cannot be used: {sentence(error)}") from error
    estimator, record = _as_stored(context, made, role)
    gone = _gone(made.train.columns, made.reader.snapshot, _snapshot(context))
    if gone:
        lacking = f"today's rows do not have {', '.join(gone)} as it was"
        record = record.model_copy(update={"reason": "; ".join(filter(None, (record.reason, lacking)))})
    try:
        contender = _contender(context, made, estimator, record)
        if judged_too and made.refit is None:
            contender = replace(contender, trained=of_window(made.reader, made.train))
        return made, contender, gone
    except MODEL_ERRORS as error:
        words = "; ".join(filter(None, (record.reason, sentence(error))))
        raise Unusable(f"{version} cannot be used: {words}") from error


def _contender(context: Context, made: Registered, estimator: Any, record: Opponent) -> Contender:
    reader, by = made.reader, split.entities(context.pipeline)
    known = None if by is None or _unlike(_snapshot(context), reader.snapshot, by) else by
    trained, entities = trained_rows(reader, made.train, known, "train" if made.refit is None else "window")
    return Contender(
        name=made.document.version,
        as_of=reader.as_of,
        estimator=estimator,
        columns=made.train.columns,
        trained=trained,
        until=split.window_end(reader.pipeline, reader.as_of),
        entities=entities,
        reference=made.evaluate.reference,
        packages=own.packages(reader.pipeline),
        record=record,
    )


def _registered(context: Context, version: str, fit_on: FitOn) -> Registered:
    """Every document with its digest compared; the version answers the question that the file asks now."""
    store = context.store
    document = registry.read_version(store, version)
    extract = ExtractManifest.from_json(artifacts.read(store, document.extract), document.extract.key)
    train = TrainManifest.from_json(artifacts.read(store, document.train), document.train.key)
    evaluate = EvaluateManifest.from_json(artifacts.read(store, document.evaluate), document.evaluate.key)
    _refuse_another_question(context, train)
    run = read_run(store, version)
    pipeline = parse_pipeline(artifacts.read(store, run.file), run.file.key)
    if pipeline.sensitive:
        logs.withhold()  # what libraries say of its rows may quote a value, whatever the file says today
    if extract.snapshot is None:
        raise ArtifactError(f"{document.extract.key} names no snapshot")
    if _unlike(_snapshot(context), extract.snapshot, pipeline.source.key):
        raise ValueError(_ANOTHER_KEY.format(", ".join(pipeline.source.key)))
    reader = SnapshotReader(extract.snapshot, pipeline, run.as_of, context.fetch)
    refit = document.refit if fit_on == "all" else None
    return Registered(document, document.trained(train, fit_on), evaluate, reader, refit)


def _as_stored(context: Context, made: Registered, role: Role) -> tuple[Any, Opponent]:
    """The stored model, None where it cannot be taken for what it was; the record then has the reason."""
    record = Opponent(version=made.document.version, role=role, state="stored")
    try:
        said = made.document.predictions if made.refit is None else made.refit.predictions
        found = stored_model(made.train, said, made.reader.pipeline, context.read)
    except MODEL_ERRORS as error:
        changed = changes(made.train, made.reader.pipeline)
        reason = "; ".join((_plain(error), *changed))
        return None, record.model_copy(update={"changes": changed, "reason": reason})
    update = {"changes": found.changes, "asked_rows": found.asked_rows}
    if found.asked_rows is None and found.changes:
        reason = "; ".join((*found.changes, f"and it cannot be asked whether that matters: {found.unasked}"))
        return None, record.model_copy(update=update | {"reason": reason})
    return found.estimator, record.model_copy(update=update)


def _plain(error: Exception) -> str:
    """As `sentence`, without the name of a class that says no more than its message."""
    return error.message if isinstance(error, CannotRebuild | SaysOtherwise) else sentence(error)


def _snapshot(context: Context) -> Snapshot:
    """Of the run that compares."""
    snapshot = context.manifest_of("extract", ExtractManifest).snapshot
    assert snapshot is not None
    return snapshot


def _gone(columns: Sequence[str], then: Snapshot, now: Snapshot) -> tuple[str, ...]:
    """The columns that are not there now, or are of another kind; a bool may become a number, and the reverse."""
    was, is_ = (
        {column.name: kind_of(column.type).replace("bool", "number") for column in one.columns} for one in (then, now)
    )
    return tuple(name for name in columns if is_.get(name) != was.get(name))


def _unlike(now: Snapshot, then: Snapshot, columns: Sequence[str]) -> bool:
    """Whether some of the columns were not there then, are gone now, or changed their type: equal values hash alike
    only where none did."""
    was, is_ = ({column.name: column.type for column in snapshot.columns} for snapshot in (then, now))
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

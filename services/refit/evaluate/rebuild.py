"""A stand-in for a version whose model cannot be compared as it is: its own definition, fitted once more.

The file of its run, the parts of its snapshot, its as_of, its seed and the exclusions of then, with the libraries of
today. It takes the version's place in one comparison and is stored nowhere: the champion's pointer, and what is in
production, stay as they are. As its rows are the version's own, so are the rows that are clean.

A column that today's rows lack is left out. That makes a weaker stand-in, which a candidate beats more easily; so the
two are first held against each other on the version's own holdout, where the column still stands.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from refit.core.config import evaluation
from refit.core.context import Context
from refit.core.domain import Look, Refit, TrainManifest
from refit.core.errors import ArtifactError
from refit.data.reader import SnapshotReader
from refit.evaluate.bench import Bench
from refit.evaluate.contender import Contender, find_clean_rows, sentence
from refit.evaluate.rows import CleanRows, arrange
from refit.evaluate.rule import first_score
from refit.evaluate.shift import reference
from refit.ml import features, own
from refit.ml.combinations import chosen
from refit.ml.fitting import TRAINING, Among, Fitted, fitted
from refit.ml.partial_fit import with_passes
from refit.ml.predictions import MODEL_FAILS
from refit.ml.scores import Responses

LAST_TRY: Final = 3
"""Of a step (core's table of exit codes). What kills each fit must not fail each run."""


class CannotRebuild(ArtifactError):
    """The version cannot be fitted once more as it was."""


def rebuild(
    context: Context,
    reader: SnapshotReader,
    train: TrainManifest,
    stored: Contender,
    gone: Sequence[str],
    refit: Refit | None = None,
) -> Contender:
    """The version with a stand-in for its model.

    Args:
        reader: The version's own rows, by its own file.
        stored: The version with its model; None where that cannot be taken for what it was.
        gone: Columns to leave out.
        refit: Its model is this one, fitted on all rows; `train` is as this has it.

    Raises:
        CannotRebuild: its definition or its rows are not what they were, it is worse without what is gone, or a library
            that it is made of does not fit or ask it.
        ArtifactError, DataError, ConfigError: as `fitted` does.
    """
    _refuse_another_definition(context, train, stored, gone)
    context.report(f"{stored.name} is rebuilt from its snapshot; its training took {train.seconds:,.0f} s")
    estimator, columns = _fit(context, reader, train, stored.packages, gone, refit)
    assert stored.record is not None
    record = stored.record.model_copy(update={"state": "rebuilt", "without": tuple(gone)})
    stand_in = replace(stored, estimator=estimator, columns=columns, record=record)
    rows = find_clean_rows(reader, [stored.trained])
    if not len(rows):
        if gone:
            raise CannotRebuild(f"its own holdout has no row left to tell what it is without {', '.join(gone)}")
        return replace(stand_in, reference=None)
    said = _answer(stand_in, reader)
    if gone:
        _refuse_if_worse(context, rows, said, _answer(stored, reader), gone)
    # What the version itself scored is no measure of another model.
    return replace(stand_in, reference=reference(rows, said))


def _answer(model: Contender, reader: SnapshotReader) -> Responses:
    """What it says of its own holdout."""
    try:
        return model.answer(reader, [model.trained])
    except MODEL_FAILS as error:
        raise CannotRebuild(sentence(error)) from error


def _fit(
    context: Context,
    reader: SnapshotReader,
    train: TrainManifest,
    packages: frozenset[str],
    gone: Sequence[str],
    refit: Refit | None,
) -> tuple[Any, tuple[str, ...]]:
    """The fitted model and its columns; of the rows that it was fitted on nothing is held any more."""
    pipeline = features.without(reader.pipeline, gone)
    # What was chosen then is fitted, and nothing is searched for again.
    model = with_passes(chosen(pipeline.model, train.search), train.batches)
    less = replace(reader, pipeline=pipeline.model_copy(update={"model": model}))
    columns = [column for column in reader.snapshot.columns if column.name not in gone]
    try:
        among, params = (TRAINING, None) if refit is None else (Among("window", train.classes), refit.params)
        made = fitted(less, columns, context.report, among, params=params, folder=context.folder)
    except MemoryError as error:
        raise CannotRebuild("the memory of evaluate does not suffice to fit it") from error
    except MODEL_FAILS as error:
        if not own.place(error, packages | {"sklearn"}):
            raise  # no code of the model's has raised it: that is a fault of refit
        raise CannotRebuild(sentence(error)) from error
    _refuse_others(made, train, gone)
    return made.steps, made.columns


def _refuse_another_definition(context: Context, train: TrainManifest, stored: Contender, gone: Sequence[str]) -> None:
    if context.number >= LAST_TRY:
        raise CannotRebuild(f"this is try {context.number} of evaluate, and those that fitted it did not end well")
    if changed := own.changes(train.code, stored.packages):
        raise CannotRebuild("; ".join(changed))
    if gone and stored.estimator is None:
        raise CannotRebuild(f"as there is no model to ask, nobody can tell what it is without {', '.join(gone)}")


def _refuse_others(made: Fitted, train: TrainManifest, gone: Sequence[str]) -> None:
    """The rows, columns and classes are those that the version was fitted on."""
    there, rows = made.there, made.rows
    if train.rows_there is not None and there != train.rows_there:
        raise CannotRebuild(f"its snapshot gives {there:,} training rows now, and gave {train.rows_there:,} then")
    if train.rows_there is None and not gone and rows != train.rows:
        raise CannotRebuild(f"its snapshot gives {rows:,} training rows now, and gave {train.rows:,} then")
    expected = tuple(name for name in train.columns if name not in gone)
    if made.columns != expected:
        raise CannotRebuild(f"its file means the columns {', '.join(made.columns)} now, not {', '.join(expected)}")
    if made.classes != train.classes:
        raise CannotRebuild(f"it would have the classes {made.classes!r}, and had {train.classes!r}"[:500])


def _refuse_if_worse(
    context: Context, rows: CleanRows, without: Responses, whole: Responses, gone: Sequence[str]
) -> None:
    """The version does not miss the columns on its own holdout, as far as the rows there can show."""
    settings, names = evaluation(context.pipeline, probabilities=whole.predict_proba is not None), ", ".join(gone)
    sample, order = arrange(rows, settings.block)
    look = Look(as_of=context.run.as_of, days=None, alpha=1.0 - settings.confidence)
    models = {"candidate": without.take(order), "champion": whole.take(order)}
    bench, score = Bench(sample, models, look, settings.min_clean_rows), first_score(settings.gate)
    found = bench.compare(score, "champion")
    if found.shortage is not None:
        raise CannotRebuild(f"its own holdout cannot tell what it is without {names}: {found.shortage}")
    if found.interval is not None and not found.same and found.interval.upper < 0:
        raise CannotRebuild(
            f"without {names} it is another model: on its own holdout its {score} falls from {found.baseline:.4g} to "
            f"{found.candidate:.4g}"
        )

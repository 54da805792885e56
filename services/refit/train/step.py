"""train: one model is fitted on the training rows of the snapshot, saved, and read back before it counts."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from refit.core.context import Context
from refit.core.domain import ExtractManifest, TrainManifest
from refit.core.step import Step
from refit.data.reader import SnapshotReader
from refit.ml import estimator, features, own
from refit.ml.persist import CannotSave, dump, load
from refit.train.rows import NoTrainingRows, check_classes, empty_columns, read, uneven_shares, without_outliers
from refit.train.search import search_warnings, tune

PROOF_ROWS: Final = 200


def train(context: Context) -> TrainManifest:
    """A fitted model stands in the store.

    Raises:
        NoTrainingRows, BadTarget, UnfitRows, FeatureGone and their kin: the rows do not allow it (DataError).
        UnknownEstimator, BadParameter, CannotSave and those of own code: the file does not allow it (ConfigError).
        ArtifactError: a part of the snapshot is gone or altered.
    """
    pipeline, extract = context.pipeline, context.manifest_of("extract", ExtractManifest)
    if extract.snapshot is None:
        raise NoTrainingRows("the run was skipped", "run again when there are new rows")
    reader = SnapshotReader(extract.snapshot, pipeline, context.run.as_of, context.fetch)
    chosen = features.plan(pipeline, extract.snapshot.columns)
    steps = estimator.build(pipeline, extract.snapshot.columns)
    packages = own.packages(pipeline)
    if packages:
        own.check_can_be_saved(steps, packages)  # before the rows are read and fitted, which may take hours
    rows = read(reader, chosen.columns)
    model, searched = tune(context, extract.snapshot.columns, rows)
    steps = estimator.build(pipeline.model_copy(update={"model": model}), extract.snapshot.columns)
    rows = without_outliers(pipeline, rows)
    check_classes(rows.y, pipeline.task, pipeline.target)
    of_all = "" if len(rows.y) == rows.there else f" of {rows.there:,}"
    context.report(f"{type(steps[-1]).__name__} on {len(rows.y):,}{of_all} rows")
    warnings = estimator.fit(steps, rows.X, rows.y, model, packages)
    body = dump(steps)
    trusted = own.trusted_types(body, packages)
    prove(body, trusted, steps, rows.X.iloc[:PROOF_ROWS])
    return context.manifest(
        TrainManifest,
        of_workers=searched.memory_bytes if searched else 0,
        model=context.write("model.skops", body),
        rows=len(rows.y),
        rows_there=rows.there,
        trained_from=rows.first,
        trained_until=reader.cut or rows.last,
        estimator=pipeline.model.estimator,
        params=model.params,
        search=searched,
        seed=pipeline.model.seed,
        task=pipeline.task,
        target=pipeline.target,
        classes=tuple(np.asarray(getattr(steps[-1], "classes_", ())).tolist()),
        columns=chosen.columns,
        trusted=trusted,
        warnings=(
            *chosen.warnings,
            *search_warnings(pipeline, searched),
            *uneven_shares(reader),
            *empty_columns(rows.X),
            *rows.notes,
            *warnings,
        ),
    )


def prove(body: bytes, trusted: Sequence[str], steps: Any, X: pd.DataFrame) -> None:
    """The saved model, read back, says of a few rows what the fitted one says.

    Raises:
        CannotSave: it does not.
    """
    said, before = np.asarray(load(body, trusted).predict(X)), np.asarray(steps.predict(X))
    # Sums may run in another order over an array that was read back: the last digits differ.
    same = np.allclose(said, before, rtol=1e-9, equal_nan=True) if said.dtype.kind == "f" else (said == before).all()
    if not same:
        raise CannotSave("read back, it predicts something else")


STEP: Final = Step("train", train, TrainManifest)

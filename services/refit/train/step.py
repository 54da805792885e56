"""train: one model is fitted on the training rows of the snapshot, saved, and read back before it counts."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from refit.core.context import Context
from refit.core.domain import ExtractManifest, TrainManifest
from refit.core.step import Step
from refit.data.reader import SnapshotReader
from refit.ml import own
from refit.ml.fitting import fitted
from refit.ml.persist import CannotSave, dump, load
from refit.ml.rows import NoTrainingRows
from refit.train import checkpoints


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
    made = fitted(
        reader, extract.snapshot.columns, context.report, checkpoints.keeper(context, extract), context.folder
    )
    body, packages = dump(made.steps), own.packages(pipeline)
    trusted = own.trusted_types(body, packages)
    prove(body, trusted, made.steps, made.sample)
    return context.manifest(
        TrainManifest,
        model=context.write("model.skops", body),
        rows=made.rows,
        rows_there=made.there,
        trained_from=made.first,
        trained_until=reader.cut or made.last,
        estimator=pipeline.model.estimator,
        params=pipeline.model.params,
        seed=pipeline.model.seed,
        task=pipeline.task,
        target=pipeline.target,
        classes=tuple(np.asarray(getattr(made.steps[-1], "classes_", ())).tolist()),
        columns=made.columns,
        trusted=trusted,
        code=own.digests(packages),
        batches=made.batches,
        warnings=made.warnings,
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

"""train: one model is fitted on the training rows of the snapshot, saved, and read back before it counts."""

from typing import Final

import numpy as np

from refit.core.context import Context
from refit.core.domain import ExtractManifest, TrainManifest
from refit.core.step import Step
from refit.data.reader import SnapshotReader
from refit.ml import own
from refit.ml.fitting import fitted, saved
from refit.ml.rows import NoTrainingRows


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
    made = fitted(reader, extract.snapshot.columns, context.report)
    rows, packages = made.rows, own.packages(pipeline)
    body, trusted = saved(made, packages)
    return context.manifest(
        TrainManifest,
        model=context.write("model.skops", body),
        rows=len(rows.y),
        rows_there=rows.there,
        trained_from=rows.first,
        trained_until=reader.cut or rows.last,
        estimator=pipeline.model.estimator,
        params=pipeline.model.params,
        seed=pipeline.model.seed,
        task=pipeline.task,
        target=pipeline.target,
        classes=tuple(np.asarray(getattr(made.steps[-1], "classes_", ())).tolist()),
        columns=made.columns,
        trusted=trusted,
        code=own.digests(packages),
        warnings=made.warnings,
    )


STEP: Final = Step("train", train, TrainManifest)

"""train: one model is fitted on the training rows of the snapshot, saved, and read back before it counts."""

from typing import Final

from refit.core.context import Context
from refit.core.domain import ExtractManifest, TrainManifest
from refit.core.step import Step
from refit.data.reader import SnapshotReader
from refit.ml import own
from refit.ml.fitting import fit
from refit.ml.rows import NoTrainingRows, uneven_shares


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
    fitted = fit(reader, context.report)
    return context.manifest(
        TrainManifest,
        model=context.write("model.skops", fitted.body),
        rows=len(fitted.rows.y),
        rows_there=fitted.rows.there,
        trained_from=fitted.rows.first,
        trained_until=reader.cut or fitted.rows.last,
        estimator=pipeline.model.estimator,
        params=pipeline.model.params,
        seed=pipeline.model.seed,
        task=pipeline.task,
        target=pipeline.target,
        classes=fitted.classes,
        columns=fitted.columns,
        trusted=fitted.trusted,
        code=own.digests(own.packages(pipeline)),
        warnings=(*uneven_shares(reader), *fitted.warnings),
    )


STEP: Final = Step("train", train, TrainManifest)

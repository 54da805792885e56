"""train: one model is fitted on the training rows of the snapshot, saved, and read back before it counts."""

from functools import partial
from typing import Final

from refit.core.context import Context
from refit.core.domain import ExtractManifest, TrainManifest
from refit.core.step import Step
from refit.data.reader import SnapshotReader
from refit.ml import own
from refit.ml.fitting import fitted, saved
from refit.ml.rows import NoTrainingRows
from refit.train import checkpoints
from refit.train.search import search_warnings, tune


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
    columns, keeper = extract.snapshot.columns, checkpoints.keeper(context, extract)
    tuned = partial(tune, context, columns)
    made = fitted(reader, columns, context.report, tune=tuned, keeper=keeper, folder=context.folder)
    packages = own.packages(pipeline)
    context.report("saves the model, and reads it back")
    body, trusted = saved(made, packages)
    return context.manifest(
        TrainManifest,
        of_workers=made.searched.memory_bytes if made.searched else 0,
        model=context.write("model.skops", body),
        rows=made.rows,
        rows_there=made.there,
        trained_from=made.first,
        trained_until=reader.cut or made.last,
        estimator=pipeline.model.estimator,
        params=made.model.params,
        search=made.searched,
        seed=pipeline.model.seed,
        task=pipeline.task,
        target=pipeline.target,
        classes=made.classes,
        columns=made.columns,
        trusted=trusted,
        code=own.digests(packages),
        batches=made.batches,
        warnings=(*search_warnings(pipeline, made.searched), *made.warnings),
    )


STEP: Final = Step("train", train, TrainManifest)

"""One model fitted as a pipeline file says: by train, and by evaluate where a champion must be made again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sklearn.pipeline import Pipeline as Steps

from refit.core.domain import Column
from refit.data.reader import SnapshotReader
from refit.ml import estimator, features, own
from refit.ml.rows import TrainingRows, check_classes, empty_columns, read, uneven_shares, without_outliers


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model and what it was fitted on.

    Attributes:
        steps: The fitted scikit-learn Pipeline; takes raw rows as frame.to_frame gives them.
        columns: The raw columns that it takes, in order.
        warnings: What was left out or is odd, and what the libraries warned of.
    """

    steps: Steps
    rows: TrainingRows
    columns: tuple[str, ...]
    warnings: tuple[str, ...]


def fitted(reader: SnapshotReader, columns: Sequence[Column], tell: Callable[[str], None]) -> Fitted:
    """A model of the reader's pipeline, fitted on the reader's training rows.

    Args:
        columns: Those of the snapshot that the model may know of.
        tell: Gets one short line before the fit, which may take hours.

    Raises:
        NoTrainingRows, BadTarget, UnfitRows, FeatureGone and their kin: the rows do not allow it (DataError).
        UnknownEstimator, BadParameter, CannotSave and those of own code: the file does not allow it (ConfigError).
        ArtifactError: a part of the snapshot is gone or altered.
    """
    pipeline = reader.pipeline
    chosen = features.plan(pipeline, columns)
    steps = estimator.build(pipeline, columns)
    packages = own.packages(pipeline)
    if packages:
        own.check_can_be_saved(steps, packages)  # before the rows are read and fitted, which may take hours
    rows = without_outliers(pipeline, read(reader, chosen.columns))
    check_classes(rows.y, pipeline.task, pipeline.target)
    of_all = "" if len(rows.y) == rows.there else f" of {rows.there:,}"
    tell(f"{type(steps[-1]).__name__} on {len(rows.y):,}{of_all} rows")
    warnings = estimator.fit(steps, rows.X, rows.y, pipeline.model, packages)
    odd = (*chosen.warnings, *uneven_shares(reader), *empty_columns(rows.X), *rows.notes, *warnings)
    return Fitted(steps, rows, chosen.columns, odd)

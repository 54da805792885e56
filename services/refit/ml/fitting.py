"""A pipeline file's definition, fitted on one side of a snapshot, saved, and read back before it counts.

train fits it on the training rows. Whoever fits it again, on all rows or on those of an older run, comes through here
too, so that equal rows, file and parameters give equal bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from refit.core.domain import Column
from refit.data.reader import Side, SnapshotReader
from refit.ml import estimator, features, own
from refit.ml.persist import CannotSave, dump, load
from refit.ml.rows import TrainingRows, check_classes, empty_columns, read, without_outliers

PROOF_ROWS: Final = 200


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model and what it was fitted on.

    Attributes:
        steps: The fitted scikit-learn Pipeline.
        body: The model file.
        columns: Raw columns that it takes, in order.
        trusted: Types beyond the built-in list that the file allows the loader to build.
        warnings: What features, rows and libraries gave reason for.
    """

    steps: Any
    body: bytes
    columns: tuple[str, ...]
    trusted: tuple[str, ...]
    rows: TrainingRows
    warnings: tuple[str, ...]

    @property
    def classes(self) -> tuple[Any, ...]:
        """Empty for regression."""
        return tuple(np.asarray(getattr(self.steps[-1], "classes_", ())).tolist())


def fit(
    reader: SnapshotReader,
    report: Callable[[str], None],
    side: Side = "train",
    *,
    columns: Sequence[Column] | None = None,
    classes: Sequence[Any] = (),
    params: Mapping[str, Any] | None = None,
) -> Fitted:
    """The file's definition is fitted on the labelled rows of one side, and its saved form says what it says.

    Args:
        report: Told in one line what is fitted.
        side: `window` is all rows.
        columns: Those of the snapshot that the model may know of; None: all.
        classes: Rows of other classes are left out; empty: none are.
        params: Parameters of the estimator set beside the file's.

    Raises:
        NoTrainingRows, BadTarget, UnfitRows, FeatureGone and their kin: the rows do not allow it (DataError).
        UnknownEstimator, BadParameter, CannotSave and those of own code: the file does not allow it (ConfigError).
        ArtifactError: a part of the snapshot is gone or altered.
    """
    pipeline, packages = reader.pipeline, own.packages(reader.pipeline)
    columns = reader.snapshot.columns if columns is None else columns
    chosen, steps = features.plan(pipeline, columns), estimator.build(pipeline, columns)
    if params:
        steps[-1].set_params(**params)
    if packages:
        own.check_can_be_saved(steps, packages)  # before the rows are read and fitted, which may take hours
    rows = without_outliers(pipeline, read(reader, chosen.columns, side, classes))
    check_classes(rows.y, pipeline.task, pipeline.target)
    of_all = "" if len(rows.y) == rows.there else f" of {rows.there:,}"
    report(f"{type(steps[-1]).__name__} on {len(rows.y):,}{of_all} rows")
    warnings = estimator.fit(steps, rows.X, rows.y, pipeline.model, packages)
    body = dump(steps)
    trusted = own.trusted_types(body, packages)
    prove(body, trusted, steps, rows.X.iloc[:PROOF_ROWS])
    told = (*chosen.warnings, *empty_columns(rows.X), *rows.notes, *warnings)
    return Fitted(steps, body, chosen.columns, trusted, rows, told)


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

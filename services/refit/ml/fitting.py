"""One model fitted as a pipeline file says: by train, and by evaluate on all rows, or in place of a champion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.pipeline import Pipeline as Steps

from refit.core.domain import Column
from refit.data.reader import Side, SnapshotReader
from refit.ml import estimator, features, own
from refit.ml.persist import CannotSave, dump, load
from refit.ml.rows import TrainingRows, check_classes, empty_columns, read, uneven_shares, without_outliers

PROOF_ROWS: Final = 200


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


def fitted(
    reader: SnapshotReader,
    columns: Sequence[Column],
    tell: Callable[[str], None],
    side: Side = "train",
    *,
    classes: Sequence[Any] = (),
    params: Mapping[str, Any] | None = None,
) -> Fitted:
    """A model of the reader's pipeline, fitted on the reader's labelled rows of one side.

    Args:
        columns: Those of the snapshot that the model may know of.
        tell: Gets one short line before the fit, which may take hours.
        side: `window` is all rows, held-out ones included.
        classes: Rows of other classes are left out; empty: none are.
        params: Parameters of the estimator set beside the file's (`settled`).

    Raises:
        NoTrainingRows, BadTarget, UnfitRows, FeatureGone and their kin: the rows do not allow it (DataError).
        UnknownEstimator, BadParameter, CannotSave and those of own code: the file does not allow it (ConfigError).
        ArtifactError: a part of the snapshot is gone or altered.
    """
    pipeline = reader.pipeline
    chosen = features.plan(pipeline, columns)
    steps = estimator.build(pipeline, columns)
    if params:
        steps[-1].set_params(**params)
    packages = own.packages(pipeline)
    if packages:
        own.check_can_be_saved(steps, packages)  # before the rows are read and fitted, which may take hours
    rows = without_outliers(pipeline, read(reader, chosen.columns, side, classes))
    check_classes(rows.y, pipeline.task, pipeline.target)
    of_all = "" if len(rows.y) == rows.there else f" of {rows.there:,}"
    tell(f"{type(steps[-1]).__name__} on {len(rows.y):,}{of_all} rows")
    warnings = estimator.fit(steps, rows.X, rows.y, pipeline.model, packages)
    uneven = uneven_shares(reader) if side == "train" else ()
    odd = (*chosen.warnings, *uneven, *empty_columns(rows.X), *rows.notes, *warnings)
    return Fitted(steps, rows, chosen.columns, odd)


def saved(made: Fitted, packages: frozenset[str]) -> tuple[bytes, tuple[str, ...]]:
    """The model file, and the types beyond the built-in list that it holds; read back, it says what the model says.

    Args:
        packages: Those of the user's own code in the steps.

    Raises:
        CannotSave: it holds what no file keeps, or says something else.
    """
    body = dump(made.steps)
    trusted, X = own.trusted_types(body, packages), made.rows.X.iloc[:PROOF_ROWS]
    said, before = np.asarray(load(body, trusted).predict(X)), np.asarray(made.steps.predict(X))
    # Sums may run in another order over an array that was read back: the last digits differ.
    same = np.allclose(said, before, rtol=1e-9, equal_nan=True) if said.dtype.kind == "f" else (said == before).all()
    if not same:
        raise CannotSave("read back, it predicts something else")
    return body, trusted

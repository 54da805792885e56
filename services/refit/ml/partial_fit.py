"""What partial_fit of an estimator takes: whether it has one, what it is told of classes and weights, how often."""

import inspect
import math
import warnings
from typing import Any, Final

import numpy as np
from sklearn.base import clone

from refit.core.config import Batches, Model
from refit.core.domain import BatchFit
from refit.core.errors import ConfigError
from refit.ml.estimator import FIT_ERRORS, can_fit, check_weights, first_line, plain_rows
from refit.ml.frame import Array

PASS_ROWS: Final = 1_000_000
"""Stochastic gradient descent converges after about so many rows (scikit-learn's user guide on it, Tips on Practical
Use)."""
MOST_PASSES: Final = 100


class NoBatches(ConfigError):
    """The estimator cannot be fitted batch by batch as the key of `model` asks."""

    def __init__(self, key: str, reason: str, next: str) -> None:
        super().__init__(f"model.{key}: {reason}", next=next)
        self.key = key


def check_takes_batches(estimator: Any, model: Model, task: str) -> None:
    """The unfitted estimator can be fitted by partial_fit with its params.

    Raises:
        NoBatches: it has no partial_fit, refuses it with these params, or has no way to weigh rows in it.
    """
    name = type(estimator).__name__
    if not hasattr(estimator, "partial_fit"):
        raise NoBatches(
            "incremental",
            f"{name} has no partial_fit with these params",
            "choose an estimator that has it, like sklearn.linear_model.SGDClassifier, or leave incremental out; "
            "model.sample fits on a part of the rows",
        )
    parameters, weights = estimator.get_params(deep=False), model.class_weight
    if weights is not None and "class_weight" not in parameters and not _takes(estimator, "sample_weight"):
        raise NoBatches(
            "class_weight", f"{name} has no way to weigh rows in partial_fit", "leave it out, or leave incremental out"
        )
    tried = clone(estimator)
    if weights is not None and "class_weight" in parameters:
        tried.set_params(class_weight=None)
    classes = {"regression": 0, "binary": 2}.get(task, 3)
    X, y = plain_rows(classes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tried.partial_fit(X, y, **classes_argument(tried, np.arange(classes)))
    except FIT_ERRORS as error:
        if can_fit(clone(tried), X, y):  # else it wants other rows than these
            raise NoBatches(
                "incremental",
                f"{name} refuses partial_fit with these params: {first_line(error)}",
                "choose other params, or leave incremental out",
            ) from error


def passes_of(settings: Batches, estimator: Any, there: int) -> int:
    """How often each row is learned from."""
    if settings.passes is not None:
        return settings.passes
    if "max_iter" not in estimator.get_params(deep=False):
        return 1
    return min(max(math.ceil(PASS_ROWS / there), 1), MOST_PASSES)


def with_passes(model: Model, before: BatchFit | None) -> Model:
    """The model, fitted again as often over other rows as it was before (gate.md section 5: keeps iterations). Pure."""
    if before is None or model.batches is None:
        return model
    batches = model.batches.model_copy(update={"passes": before.passes})
    return model.model_copy(update={"incremental": batches})


def weights_of(estimator: Any, model: Model, classes: dict[Any, int]) -> Array | None:
    """The weight of each class, in their order, for an estimator without a class_weight of its own; else it has them.

    Balanced weights are computed here, as in scikit-learn's compute_class_weight: partial_fit does not see all rows.
    """
    if model.class_weight is None:
        return None
    if model.class_weight == "balanced":
        total = sum(classes.values())
        of_class = {label: total / (len(classes) * rows) for label, rows in classes.items()}
    else:
        check_weights(model.class_weight, list(classes))
        of_class = {label: model.class_weight.get(label, 1.0) for label in classes}
    if "class_weight" in estimator.get_params(deep=False):
        # skops reads a key of False back as True; 0 and 1 are equal to both.
        keyed = {int(label) if isinstance(label, bool) else label: weight for label, weight in of_class.items()}
        estimator.set_params(class_weight=keyed)
        return None
    return np.array(list(of_class.values()))


def classes_argument(estimator: Any, labels: Array) -> dict[str, Any]:
    """What the first call of partial_fit is told of the classes to come."""
    return {"classes": labels} if len(labels) and _takes(estimator, "classes") else {}


def _takes(estimator: Any, argument: str) -> bool:
    return argument in inspect.signature(estimator.partial_fit).parameters

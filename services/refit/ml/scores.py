"""Scores by scikit-learn scorer name; a model predicts once, and every score is computed from what it said.

`collect` asks a fitted estimator for all that it can say of some rows (`Responses`). `Replay` is an estimator that
says it again, row by row, so that any scorer runs on any subset of the rows without predicting anew; the jackknife
of the gate lives on that. Greater is better always: the sign is the scorer's (scikit-learn user guide, 3.4.3).
"""

import difflib
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import (
    brier_score_loss,
    d2_brier_score,
    d2_log_loss_score,
    get_scorer,
    get_scorer_names,
    log_loss,
)
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if

from refit.core.errors import ConfigError

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class Scorer(Protocol):
    """scikit-learn's scorer interface."""

    def __call__(self, estimator: Any, X: Any, y_true: Any, /, **parameters: Any) -> float: ...


class UnknownScore(ConfigError):
    """No scorer of the installed scikit-learn has this name."""

    def __init__(self, name: str) -> None:
        close = difflib.get_close_matches(name, get_scorer_names(), n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        super().__init__(
            f"scikit-learn has no scorer named {name!r}{meant}",
            next="name one of sklearn.metrics.get_scorer_names()",
        )


class UnusableScore(ConfigError):
    """The scorer does not fit the task, the labels or what the model can say."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"the score {name} cannot be computed: {reason.strip().splitlines()[0][:300]}",
            next="choose a score that fits the task, the target's type and the estimator",
        )


@dataclass(frozen=True, eq=False)
class Responses:
    """What one fitted model says of n rows, in their order.

    Attributes:
        classes: Labels in the order of the probabilities' columns; None for regression.
        predict: Labels or values, shape (n,).
        predict_proba: Shape (n, classes), or None when the estimator has none.
        decision_function: Shape (n,) for two classes, else (n, classes); None when the estimator has none.
    """

    classes: Array | None
    predict: Array
    predict_proba: Array | None = None
    decision_function: Array | None = None

    def __len__(self) -> int:
        return len(self.predict)

    def take(self, rows: Array) -> "Responses":
        """The same model's answers for `rows` (indices or a mask), in that order."""
        return Responses(
            self.classes,
            self.predict[rows],
            None if self.predict_proba is None else self.predict_proba[rows],
            None if self.decision_function is None else self.decision_function[rows],
        )

    def not_finite(self) -> int:
        """Rows for which the model says NaN or infinity anywhere."""
        bad = np.zeros(len(self), dtype=bool)
        for answers in (self.predict, self.predict_proba, self.decision_function):
            if answers is not None and answers.dtype.kind == "f":
                finite = np.isfinite(answers)
                bad |= ~(finite if finite.ndim == 1 else finite.all(axis=1))
        return int(bad.sum())

    def missing(self, truth: Array) -> list[Any]:
        """The classes that the model knows and no row of `truth` has; none for regression."""
        return [] if self.classes is None else [label for label in self.classes.tolist() if not (truth == label).any()]

    def ranking(self) -> Array | None:
        """What scikit-learn's scorers of ROC AUC rank by.

        Two classes: the decision function, else the probability of the last class, shape (n,). Several: the
        probabilities, else the decision function where it has a column per class, shape (n, classes). Regression:
        the prediction. None when the model says nothing of that.
        """
        if self.classes is None:
            return self.predict
        if len(self.classes) == 2:
            return self.decision_function if self.predict_proba is None else self._ranking_of_two(self.predict_proba)
        said = self.decision_function if self.predict_proba is None else self.predict_proba
        return said if said is not None and said.shape == (len(self), len(self.classes)) else None

    def _ranking_of_two(self, probabilities: Array) -> Array:
        return np.asarray(probabilities[:, 1]) if self.decision_function is None else self.decision_function


LABELLED: Final[dict[str, Callable[..., float]]] = {
    "neg_log_loss": lambda *rows, **how: -log_loss(*rows, **how),
    "neg_brier_score": lambda *rows, **how: -brier_score_loss(*rows, **how),
    "d2_log_loss_score": d2_log_loss_score,
    "d2_brier_score": d2_brier_score,
}
"""Scores that keep their meaning on rows which lack a class of the model, if only they are told all classes; the
scorers of the same names do not tell them."""


def collect(estimator: Any, batches: Iterable[Any]) -> Responses:
    """All that a fitted estimator says of the rows of `batches`, features computed once per batch.

    Whatever the estimator raises passes through: the caller knows which model it was.

    Raises:
        ValueError: `batches` is empty.
    """
    features, final = estimator, estimator
    if isinstance(estimator, Pipeline):
        features, final = estimator[:-1], estimator[-1]
    methods = [name for name in ("predict", "predict_proba", "decision_function") if hasattr(final, name)]
    said: dict[str, list[Array]] = {name: [] for name in methods}
    for batch in batches:
        X = features.transform(batch) if isinstance(estimator, Pipeline) and len(features) else batch
        for name in methods:
            said[name].append(np.asarray(getattr(final, name)(X)))
    if not said["predict"]:
        raise ValueError("no batch to predict")
    whole = {name: np.concatenate(answers) for name, answers in said.items()}
    classes = getattr(final, "classes_", None)
    return Responses(
        None if classes is None else np.asarray(classes),
        whole["predict"].reshape(len(whole["predict"])),
        whole.get("predict_proba"),
        whole.get("decision_function"),
    )


def _says(name: str) -> Any:
    return available_if(lambda replay: getattr(replay.responses, name) is not None)


class _Replay(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted estimator whose X is a column of row numbers into stored responses."""

    def __init__(self, responses: Responses) -> None:
        self.responses = responses

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any = None) -> "_Replay":
        return self

    def predict(self, X: Array) -> Array:
        return np.asarray(self.responses.predict[X[:, 0]])


class ReplayRegressor(RegressorMixin, _Replay):  # type: ignore[misc]  # scikit-learn has no types
    """A regressor that repeats what another said."""


class ReplayClassifier(ClassifierMixin, _Replay):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier that repeats what another said; it has only the methods that the other had."""

    @property
    def classes_(self) -> Array | None:
        return self.responses.classes

    @_says("predict_proba")  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Array) -> Array:
        return np.asarray(self.responses.predict_proba[X[:, 0]])  # type: ignore[index]  # available_if

    @_says("decision_function")  # type: ignore[untyped-decorator]
    def decision_function(self, X: Array) -> Array:
        return np.asarray(self.responses.decision_function[X[:, 0]])  # type: ignore[index]  # available_if


def replay(responses: Responses) -> ReplayClassifier | ReplayRegressor:
    """An estimator that repeats `responses`; its X is an integer column of row numbers."""
    return ReplayRegressor(responses) if responses.classes is None else ReplayClassifier(responses)


def find(name: str) -> Scorer:
    """scikit-learn's scorer of that name.

    Raises:
        UnknownScore: there is none.
    """
    try:
        found: Scorer = get_scorer(name)
    except ValueError as error:
        raise UnknownScore(name) from error
    return found


def value(
    name: str,
    responses: Responses,
    y: Array,
    weights: Floats | None = None,
    *,
    rows: Array | None = None,
    scorer: Scorer | None = None,
) -> float:
    """The score of stored responses on `rows` (all by default); greater is better.

    NaN where the score has no meaning on these rows: one class only, a class missing that the score needs, or the
    scorer says so itself.

    Args:
        name: A scorer's name, used in messages too.
        y: The truth, shape (n,).
        weights: Row weights, shape (n,), or None.
        rows: Row numbers to score.
        scorer: The scorer to use instead of the one that `name` names.

    Raises:
        UnknownScore: no scorer has this name.
        UnusableScore: the scorer refuses the task, the labels or the model.
    """
    scorer = scorer or find(name)
    rows = np.arange(len(responses)) if rows is None else rows
    parameters = {} if weights is None else {"sample_weight": weights[rows]}
    truth = y[rows]
    missing = responses.missing(truth)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a score without meaning is told by NaN, not by a warning
            probabilities = responses.predict_proba
            if missing and name in LABELLED and probabilities is not None and probabilities.shape[1] > 2:
                return float(LABELLED[name](truth, probabilities[rows], labels=responses.classes, **parameters))
            return float(scorer(replay(responses), rows[:, np.newaxis], truth, **parameters))
    except (ValueError, TypeError, AttributeError) as error:
        present = set(truth.tolist())
        if responses.classes is not None and (
            len(present) < 2 or (missing and present <= set(responses.classes.tolist()))
        ):
            return float("nan")
        raise UnusableScore(name, str(error)) from error


def values(
    names: Sequence[str], responses: Responses, y: Array, weights: Floats | None = None
) -> dict[str, float | None]:
    """Scores by name, in the order of `names`; None where a score has no meaning on these rows.

    Raises:
        UnknownScore, UnusableScore: as `value` does.
    """
    scores = {name: value(name, responses, y, weights) for name in names}
    return {name: score if np.isfinite(score) else None for name, score in scores.items()}

"""Influence of scores that are means of row scores, or smooth functions of such means (the delta method).

Each function returns the score and each row's influence ψ on it, or None when the score has no closed form for these
labels and responses; scikit-learn's own scorer then decides what they mean. ψ sums to zero. Definitions follow
scikit-learn's (user guide, 3.4: Metrics and scoring); tests hold them equal, weights included.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from refit.evaluate.rows import Sample
from refit.ml.scores import Responses

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Found = tuple[float, Floats] | None
RowScore = Callable[[Array, Responses], Array | None]


def mean(sample: Sample, row_scores: Array) -> tuple[float, Floats]:
    """Weighted mean of row scores and its influence n·w·(s − S)/W."""
    value = float(sample.scale @ row_scores) / len(sample)
    return value, sample.scale * (row_scores - value)


def _ratio(sample: Sample, part: Array, whole: Array) -> tuple[float, Floats]:
    """Mean of `part` over mean of `whole`, 0 over 0 being 0, and its influence."""
    level = float(sample.scale @ whole) / len(sample)
    if level == 0:
        return 0.0, np.zeros(len(sample))
    value = float(sample.scale @ part) / len(sample) / level
    return value, sample.scale * (part - value * whole) / level


# --- row scores ---------------------------------------------------------------


def _neg_log_loss(y: Array, responses: Responses) -> Array | None:
    if responses.predict_proba is None or (codes := class_codes(y, responses)) is None:
        return None
    chosen = np.asarray(responses.predict_proba[np.arange(len(y)), codes])
    if responses.predict_proba.shape[1] == 2:  # scikit-learn looks at the last column alone
        of_last = responses.predict_proba[:, 1]
        chosen = np.where(codes == 1, of_last, 1 - of_last)
    smallest = np.finfo(chosen.dtype).eps
    return np.asarray(np.log(np.clip(chosen, smallest, 1 - smallest)))


def _neg_brier_score(y: Array, responses: Responses) -> Array | None:
    """Two classes: the square of one probability's error; several: the sum of the squares of all (Brier 1950)."""
    codes, several = class_codes(y, responses), responses.classes is not None and len(responses.classes) > 2
    if several and codes is not None and responses.predict_proba is not None:
        truth = codes[:, np.newaxis] == np.arange(responses.predict_proba.shape[1])
        return np.asarray(-np.square(truth - responses.predict_proba).sum(axis=1))
    positive = positives(y, responses)
    if responses.predict_proba is None or positive is None or responses.classes is None or responses.classes[1] != 1:
        return None
    return np.asarray(-np.square(positive - responses.predict_proba[:, 1]))


def _accuracy(y: Array, responses: Responses) -> Array | None:
    return None if responses.classes is None else (responses.predict == y).astype(float)


def _error(y: Array, responses: Responses) -> Array | None:
    return None if responses.classes is not None else responses.predict - y


def _neg_absolute(y: Array, responses: Responses) -> Array | None:
    error = _error(y, responses)
    return None if error is None else -np.abs(error)


def _neg_squared(y: Array, responses: Responses) -> Array | None:
    error = _error(y, responses)
    return None if error is None else -np.square(error)


def _neg_absolute_percentage(y: Array, responses: Responses) -> Array | None:
    error = _error(y, responses)
    return None if error is None else -np.abs(error) / np.maximum(np.abs(y), np.finfo(np.float64).eps)


def _neg_squared_log(y: Array, responses: Responses) -> Array | None:
    if responses.classes is not None or (y <= -1).any() or (responses.predict <= -1).any():
        return None
    return np.asarray(-np.square(np.log1p(responses.predict) - np.log1p(y)))


def _neg_poisson_deviance(y: Array, responses: Responses) -> Array | None:
    if responses.classes is not None or (y < 0).any() or (responses.predict <= 0).any():
        return None
    return -2 * np.asarray(xlogy(y, y / responses.predict) - y + responses.predict)


def _neg_gamma_deviance(y: Array, responses: Responses) -> Array | None:
    if responses.classes is not None or (y <= 0).any() or (responses.predict <= 0).any():
        return None
    return np.asarray(-2 * (np.log(responses.predict / y) + y / responses.predict - 1))


ROW_SCORES: dict[str, RowScore] = {
    "neg_log_loss": _neg_log_loss,
    "neg_brier_score": _neg_brier_score,
    "accuracy": _accuracy,
    "neg_mean_absolute_error": _neg_absolute,
    "neg_mean_squared_error": _neg_squared,
    "neg_mean_absolute_percentage_error": _neg_absolute_percentage,
    "neg_mean_squared_log_error": _neg_squared_log,
    "neg_mean_poisson_deviance": _neg_poisson_deviance,
    "neg_mean_gamma_deviance": _neg_gamma_deviance,
}


# --- smooth functions of means ------------------------------------------------


def _root(row_score: RowScore) -> Callable[[Sample, Responses], Found]:
    def found(sample: Sample, responses: Responses) -> Found:
        rows = row_score(sample.y, responses)
        if rows is None:
            return None
        value, psi = mean(sample, rows)
        root = float(np.sqrt(-value))
        return -root, psi / (2 * root) if root > 0 else np.zeros(len(sample))

    return found


def _explained(centred: bool) -> Callable[[Sample, Responses], Found]:
    """1 − error over variance of y; the error is the mean square, or the variance when `centred`."""

    def found(sample: Sample, responses: Responses) -> Found:
        error = _error(sample.y, responses)
        if error is None:
            return None
        if centred:
            error = error - mean(sample, error)[0]
        level, _ = mean(sample, sample.y)
        lost, of_lost = mean(sample, np.square(error))
        whole, of_whole = mean(sample, np.square(sample.y - level))
        if whole == 0:
            return float(lost == 0), np.zeros(len(sample))
        return 1.0 - lost / whole, lost / whole**2 * of_whole - of_lost / whole

    return found


def _of_positives(parts: Callable[[Array, Array], tuple[Array, Array]]) -> Callable[[Sample, Responses], Found]:
    """A ratio of means of the truth and the prediction as 0 and 1."""

    def found(sample: Sample, responses: Responses) -> Found:
        true = positives(sample.y, responses)
        if true is None:
            return None
        return _ratio(sample, *parts(true.astype(float), (responses.predict == 1).astype(float)))

    return found


def _balanced_accuracy(sample: Sample, responses: Responses) -> Found:
    codes = class_codes(sample.y, responses)
    if codes is None:
        return None
    hit = (responses.predict == sample.y).astype(float)
    recalls = [_ratio(sample, hit * (codes == code), (codes == code).astype(float)) for code in np.unique(codes)]
    return float(np.mean([value for value, _ in recalls])), np.mean([psi for _, psi in recalls], axis=0)


def _matthews(sample: Sample, responses: Responses) -> Found:
    """Matthews' correlation, as the ratio R_K of Gorodkin 2004 in class shares t (truth) and p (predicted)."""
    true, said = class_codes(sample.y, responses), class_codes(responses.predict, responses)
    if true is None or said is None or responses.classes is None:
        return None
    n, classes = len(sample), len(responses.classes)
    t = np.bincount(true, weights=sample.scale, minlength=classes) / n
    p = np.bincount(said, weights=sample.scale, minlength=classes) / n
    hit = (true == said).astype(float)
    both, of_hit = mean(sample, hit - t[said] - p[true])
    both += float(t @ p)  # mean of hit − Σtp, while of_hit is already its influence
    of_p, of_t = mean(sample, -2 * p[said])[1], mean(sample, -2 * t[true])[1]
    spread_p, spread_t = 1.0 - float(p @ p), 1.0 - float(t @ t)
    if spread_p <= 0 or spread_t <= 0:
        return 0.0, np.zeros(n)
    value = both / float(np.sqrt(spread_p * spread_t))
    return value, of_hit / float(np.sqrt(spread_p * spread_t)) - value / 2 * (of_p / spread_p + of_t / spread_t)


SMOOTH: dict[str, Callable[[Sample, Responses], Found]] = {
    "neg_root_mean_squared_error": _root(_neg_squared),
    "neg_root_mean_squared_log_error": _root(_neg_squared_log),
    "r2": _explained(centred=False),
    "explained_variance": _explained(centred=True),
    "precision": _of_positives(lambda true, said: (true * said, said)),
    "recall": _of_positives(lambda true, said: (true * said, true)),
    "f1": _of_positives(lambda true, said: (2 * true * said, true + said)),
    "jaccard": _of_positives(lambda true, said: (true * said, true + said - true * said)),
    "balanced_accuracy": _balanced_accuracy,
    "matthews_corrcoef": _matthews,
}


# --- labels -------------------------------------------------------------------


def class_codes(labels: Array, responses: Responses) -> npt.NDArray[np.int64] | None:
    """Column of each label among the model's classes; None for regression or when a label is none of them."""
    if responses.classes is None:
        return None
    codes = np.full(len(labels), -1, dtype=np.int64)
    for code, label in enumerate(responses.classes):
        codes[labels == label] = code
    return None if (codes < 0).any() else codes


def positives(y: Array, responses: Responses) -> npt.NDArray[np.bool_] | None:
    """Rows of the label 1 (or true) among two classes: what scikit-learn's `pos_label=1` means; None otherwise."""
    codes = class_codes(y, responses)
    if codes is None or responses.classes is None or len(responses.classes) != 2:
        return None
    if responses.classes.dtype.kind not in "biuf" or not (responses.classes == 1).any():
        return None
    return np.asarray(y == 1)

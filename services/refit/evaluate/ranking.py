"""Influence of scores that rank: ROC AUC and average precision, each by one sort, with weights and ties.

ROC AUC after DeLong, DeLong & Clarke-Pearson 1988, Comparing the areas under two or more correlated receiver
operating characteristic curves; its structural components are the V of gate.md section 1. Average precision by the
derivative of Σ w_j P_j / W₁ in the weight of each row (the infinitesimal jackknife).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class _Ranked(NamedTuple):
    """Rows in ascending order of score, cut into runs of equal scores, with both classes' weight per run."""

    order: npt.NDArray[np.intp]
    sizes: npt.NDArray[np.intp]
    positive: Floats
    negative: Floats

    def spread(self, per_run: Floats) -> Floats:
        """A value per run as a value per row, in the rows' own order."""
        out = np.empty(len(self.order))
        out[self.order] = np.repeat(per_run, self.sizes)
        return out


def _rank(positive: Bools, scores: Array, scale: Floats) -> _Ranked:
    order = np.argsort(scores, kind="stable")
    ascending = scores[order]
    starts = np.flatnonzero(np.concatenate(([True], ascending[1:] != ascending[:-1])))
    of_positives = np.where(positive, scale, 0.0)[order]
    all_rows = np.add.reduceat(scale[order], starts)
    positives = np.add.reduceat(of_positives, starts)
    return _Ranked(order, np.diff(np.append(starts, len(order))), positives, all_rows - positives)


def roc_auc(positive: Bools, scores: Array, scale: Floats) -> tuple[float, Floats]:
    """Area under the ROC curve and each row's influence on it; NaN when a class is missing.

    Args:
        positive: The truth, shape (n,).
        scores: What ranks the rows, higher for positives.
        scale: Row weights with mean 1.
    """
    ranked = _rank(positive, scores, scale)
    weight_1, weight_0 = ranked.positive.sum(), ranked.negative.sum()
    if not positive.any() or positive.all():
        return float("nan"), np.full(len(scores), np.nan)
    below = (np.cumsum(ranked.negative) - ranked.negative / 2) / weight_0
    above = 1.0 - (np.cumsum(ranked.positive) - ranked.positive / 2) / weight_1
    area = float(ranked.positive @ below / weight_1)
    share = np.where(positive, ranked.spread(below) - area, 0.0) / weight_1
    share += np.where(positive, 0.0, ranked.spread(above) - area) / weight_0
    return area, len(scores) * scale * share


def average_precision(positive: Bools, scores: Array, scale: Floats) -> tuple[float, Floats]:
    """Average precision and each row's influence on it; NaN without positives. Arguments as roc_auc."""
    if not positive.any():
        return float("nan"), np.full(len(scores), np.nan)
    ranked = _rank(positive, scores, scale)
    weight_1 = ranked.positive.sum()
    at_or_above = np.cumsum((ranked.positive + ranked.negative)[::-1])[::-1]
    precision = np.cumsum(ranked.positive[::-1])[::-1] / at_or_above
    mean = float(ranked.positive @ precision / weight_1)
    per_weight = ranked.positive / (weight_1 * at_or_above)
    gained = ranked.spread((precision - mean) / weight_1 + np.cumsum(per_weight))
    lost = ranked.spread(np.cumsum(per_weight * precision))
    return mean, len(scores) * scale * (np.where(positive, gained, 0.0) - lost)


def roc_auc_one_vs_rest(codes: npt.NDArray[np.int64], scores: Array, scale: Floats) -> tuple[float, Floats]:
    """Mean of the areas of each class against the rest, over classes that have rows; NaN with one class.

    Args:
        codes: Column of `scores` that each row's label belongs to.
        scores: Shape (n, classes).
        scale: Row weights with mean 1.
    """
    areas = [roc_auc(codes == code, scores[:, code], scale) for code in np.unique(codes)]
    return float(np.mean([area for area, _ in areas])), np.mean([psi for _, psi in areas], axis=0)

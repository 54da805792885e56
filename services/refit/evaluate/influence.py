"""A score of one model with the influence of each unit and each block of rows on it (gate.md section 1).

A score S is a function of the rows' weights; the influence ψ of a row is n times the derivative of S when that row
gains weight. Sums of ψ over independent groups give the standard error of S, and the difference of two models' sums
that of their gain: pairing is nothing but that difference. Scores without a closed form go through the jackknife
over groups of rows (Shao & Wu 1989, A general theory for jackknife variance estimation).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from refit.evaluate import means, ranking
from refit.evaluate.rows import Partition, Sample
from refit.ml import scores
from refit.ml.scores import Responses

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Influence:
    """A score or a gain, and the influence on it summed per unit and per block.

    `units` has a sum per unit, or per group of units where the jackknife made it; `blocks` is None where the sample
    has none. NaN when the score has no meaning on these rows.
    """

    value: float
    units: Floats
    blocks: Floats | None
    rows: int


def influence(name: str, sample: Sample, responses: Responses) -> Influence:
    """The score `name` of the responses (in the sample's order) and its influence.

    Raises:
        UnknownScore, UnusableScore: scikit-learn has no such scorer, or it refuses labels, task or model.
    """
    found = closed_form(name, sample, responses)
    if found is None:
        return jackknife(name, sample, responses)
    value, psi = found
    return summed(value, psi, sample)


def summed(value: float, psi: Floats, sample: Sample) -> Influence:
    """Row influence, summed in the sample's partitions."""
    blocks = None if sample.blocks is None else sample.blocks.sums(psi)
    return Influence(value, sample.units.sums(psi), blocks, len(sample))


def difference(candidate: Influence, baseline: Influence) -> Influence:
    """The gain and its influence: row by row, so what moves both models moves neither's gain."""
    blocks = None if candidate.blocks is None or baseline.blocks is None else candidate.blocks - baseline.blocks
    return Influence(candidate.value - baseline.value, candidate.units - baseline.units, blocks, candidate.rows)


def closed_form(name: str, sample: Sample, responses: Responses) -> tuple[float, Floats] | None:
    """The score and ψ per row, or None where only scikit-learn's scorer can tell."""
    if name in means.ROW_SCORES:
        row_scores = means.ROW_SCORES[name](sample.y, responses)
        return None if row_scores is None else means.mean(sample, row_scores)
    if name in means.SMOOTH:
        return means.SMOOTH[name](sample, responses)
    if name in ("roc_auc", "average_precision"):
        return _ranking(name, sample, responses)
    return _one_vs_rest(sample, responses) if name == "roc_auc_ovr" else None


def _ranking(name: str, sample: Sample, responses: Responses) -> tuple[float, Floats] | None:
    """scikit-learn takes the last class as positive for roc_auc, the label 1 for average_precision."""
    ranks, codes = responses.ranking(), means.class_codes(sample.y, responses)
    if ranks is None or codes is None or responses.classes is None or len(responses.classes) != 2:
        return None
    if name == "roc_auc":
        return ranking.roc_auc(codes == 1, ranks, sample.scale)
    positive = means.positives(sample.y, responses)
    if positive is None or responses.classes[1] != 1:
        return None
    return ranking.average_precision(positive, ranks, sample.scale)


def _one_vs_rest(sample: Sample, responses: Responses) -> tuple[float, Floats] | None:
    """As scikit-learn, without a value where a class of the model has no row."""
    codes = means.class_codes(sample.y, responses)
    if codes is None or responses.predict_proba is None or responses.classes is None or len(responses.classes) < 3:
        return None
    if responses.missing(sample.y):
        return float("nan"), np.full(len(sample), np.nan)
    return ranking.roc_auc_one_vs_rest(codes, responses.predict_proba, sample.scale)


def jackknife(name: str, sample: Sample, responses: Responses, scorer: scores.Scorer | None = None) -> Influence:
    """Any scorer's influence by leaving out groups of units, and once more by leaving out blocks.

    Raises:
        UnknownScore, UnusableScore: as `influence`.
    """
    scorer = scorer or scores.find(name)
    value = scores.value(name, responses, sample.y, sample.weights, scorer=scorer)

    def leave_out(partition: Partition) -> Floats:
        if not np.isfinite(value):
            return np.full(partition.count, np.nan)
        codes = np.arange(len(sample)) if partition.codes is None else partition.codes
        without = [
            scores.value(name, responses, sample.y, sample.weights, rows=np.flatnonzero(codes != group), scorer=scorer)
            for group in range(partition.count)
        ]
        sums = len(sample) * (partition.count - 1) / partition.count * (value - np.array(without))
        return np.asarray(sums - sums.mean())

    blocks = None if sample.blocks is None else leave_out(sample.blocks)
    return Influence(value, leave_out(sample.groups), blocks, len(sample))

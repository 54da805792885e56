"""The champion's ranking on each new extract, held against how it ranked when it was judged.

A drop beyond `max_shift` that also exceeds three standard errors means that the new labels contradict the old: poison,
a broken join, or a true break; a candidate that learned flipped labels would win on its own flipped holdout
(architecture.md section 9). Ranking is ROC AUC (mean of one-vs-rest for several classes), R² for regression: neither
moves when only the share of positives does.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from refit.core.domain import Reference, ShiftCheck
from refit.evaluate import means, ranking
from refit.evaluate.bench import LEAST_EFFECTIVE_ROWS, UnscorableModel
from refit.evaluate.influence import Influence, closed_form, summed
from refit.evaluate.interval import spread
from refit.evaluate.rows import CleanRows, Sample, arrange
from refit.ml.scores import Responses

SIGNIFICANT_SES = 3.0


@dataclass(frozen=True, eq=False)
class ExtractRows:
    """Labelled rows that one run read, with what the champion says of them, both in the same order."""

    run_id: str
    rows: CleanRows
    responses: Responses


@dataclass(frozen=True)
class _Rank:
    value: float
    se: float


def reference(rows: CleanRows, responses: Responses) -> Reference | None:
    """How well a model ranks clean rows, to be held against later extracts; None where that has no meaning yet.

    Raises:
        NoCleanRows: there are no rows that weigh anything.
        UnscorableModel: the model says NaN or infinity.
    """
    found = _rank(rows, responses)
    if found is None:
        return None
    score = "r2" if responses.classes is None else "roc_auc"
    return Reference(score=score, value=found.value, se=found.se, rows=len(rows))


def check_shift(held_against: Reference, extracts: Iterable[ExtractRows], max_shift: float) -> tuple[ShiftCheck, ...]:
    """A check per extract, in the order given; `value` is None, and nothing is shifted, where its rows cannot tell.

    Raises:
        UnscorableModel: the champion says NaN or infinity for some rows.
    """
    return tuple(_check(held_against, extract, max_shift) for extract in extracts)


def _check(held_against: Reference, extract: ExtractRows, max_shift: float) -> ShiftCheck:
    found = _rank(extract.rows, extract.responses) if len(extract.rows) else None
    if found is None:
        return ShiftCheck(run_id=extract.run_id, rows=len(extract.rows))
    drop = held_against.value - found.value
    noise = SIGNIFICANT_SES * float(np.hypot(held_against.se, found.se))
    return ShiftCheck(
        run_id=extract.run_id,
        rows=len(extract.rows),
        value=found.value,
        se=found.se,
        drop=drop,
        shifted=drop > max_shift and drop > noise,
    )


def _rank(rows: CleanRows, responses: Responses) -> _Rank | None:
    """The ranking score with its SE; None with one label, too few effective rows, or nothing to rank by."""
    if bad := responses.not_finite():
        raise UnscorableModel("champion", f"it predicts NaN or infinity for {bad:,} of {len(rows):,} rows")
    sample, order = arrange(rows, "day")
    found = _influence(sample, responses.take(order))
    if found is None or not np.isfinite(found.value):
        return None
    told = spread(found)
    effective = told.effective_rows if told.se > 0 else float(_rarest(sample, responses))
    if not np.isfinite(told.se) or effective < LEAST_EFFECTIVE_ROWS:
        return None
    return _Rank(found.value, told.se)


def _influence(sample: Sample, responses: Responses) -> Influence | None:
    if responses.classes is None:
        if (sample.y == sample.y[0]).all():
            return None
        found = closed_form("r2", sample, responses)
    elif len(responses.classes) == 2:
        found = closed_form("roc_auc", sample, responses)
    else:
        codes, ranks = means.class_codes(sample.y, responses), responses.ranking()
        found = None if codes is None or ranks is None else ranking.roc_auc_one_vs_rest(codes, ranks, sample.scale)
    return None if found is None else summed(*found, sample)


def _rarest(sample: Sample, responses: Responses) -> int:
    """Rows of the rarest label where a perfect ranking leaves no influence to count; all rows for numbers."""
    return len(sample) if responses.classes is None else int(np.unique(sample.y, return_counts=True)[1].min())

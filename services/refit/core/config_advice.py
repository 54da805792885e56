"""What a valid pipeline file probably does not mean: warnings that `refit check` prints."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from refit.core.config import Pipeline
from refit.core.config_sections import Schedule
from refit.core.config_types import duration_text

PROBABILITY_SCORES: Final = frozenset({"neg_log_loss", "neg_brier_score", "d2_log_loss_score", "d2_brier_score"})
LEAST_SPAN: Final = {"day": timedelta(days=10), "week": timedelta(weeks=4)}  # gate.md section 1: less is inconclusive

SOME_YEAR: Final = datetime(2026, 1, 1, tzinfo=UTC)
LOOKED_AT: Final = 40
"""Moments of a schedule; of one of all hours this comes to the first night and the next day."""


def warnings(pipeline: Pipeline) -> tuple[str, ...]:
    """One sentence for each doubt, each naming its key; empty when there is none."""
    found = (_weighted_probabilities(pipeline), _short_span(pipeline), _no_comparison(pipeline), _rare_runs(pipeline))
    return tuple(sentence for sentence in found if sentence)


def _weighted_probabilities(pipeline: Pipeline) -> str:
    params = pipeline.model.params
    if pipeline.model.class_weight is None and params.get("class_weight") is None:
        return ""
    spoiled = [line.score for line in pipeline.evaluate.gate if line.score in PROBABILITY_SCORES]
    if not spoiled:
        return ""
    ranking = "roc_auc_ovr" if pipeline.task == "multiclass" else "roc_auc"
    return (
        f"evaluate.gate: class weights spoil probabilities, and {', '.join(spoiled)} measures probabilities: such a "
        f"model loses to a dummy. Gate on {ranking}, or leave model.class_weight out."
    )


def _short_span(pipeline: Pipeline) -> str:
    split, length, block = pipeline.split, pipeline.window.length, pipeline.evaluate.block
    span: timedelta | None
    if split.kind == "hash":
        span, key = length, "window.length"
    elif isinstance(split.holdout, timedelta):
        span, key = split.holdout, "split.holdout"
    else:
        span, key = (None if length is None else length * split.holdout), "split.holdout"
    if span is None or span >= LEAST_SPAN[block] or not _compares(pipeline):
        return ""
    return (
        f"{key}: rows of one {block} win or lose together, and the gate needs {LEAST_SPAN[block].days} days of "
        f"held-out rows; {span / timedelta(days=1):.3g} days make every verdict inconclusive."
    )


def _no_comparison(pipeline: Pipeline) -> str:
    if _compares(pipeline):
        return ""
    return (
        "evaluate.gate: no line compares with the champion, so every candidate that passes replaces it, "
        "better or not. Add a line with min_gain or max_loss."
    )


def _rare_runs(pipeline: Pipeline) -> str:
    max_age, schedule = pipeline.slo.max_age, pipeline.schedule
    if max_age is None or schedule is None:
        return ""
    gap = _longest_gap(schedule)
    if gap < max_age:
        return ""
    return (
        f"slo.max_age: the schedule has {gap / timedelta(days=1):.3g} days between two runs, so an objective of "
        f"{duration_text(max_age)} is broken before the second one ends. Allow more, or run more often."
    )


def _longest_gap(schedule: Schedule) -> timedelta:
    """Between two moments that follow each other, among the first ones of a year."""
    moments = [at] if (at := schedule.next_after(SOME_YEAR)) else []
    while moments and len(moments) <= LOOKED_AT and (at := schedule.next_after(moments[-1])):
        moments.append(at)
    return max((later - earlier for earlier, later in pairwise(moments)), default=timedelta(0))


def _compares(pipeline: Pipeline) -> bool:
    return any(line.line in ("min_gain", "max_loss") for line in pipeline.evaluate.gate)

"""Samples of metrics that nothing pushes yet, so that the queries of them have something to find."""

from collections.abc import Iterable, Mapping
from math import nan, sin
from typing import Final

from refit.core import metrics as m
from refit.core.domain import STEPS
from refit.core.metrics import Group, Sample
from refit.core.pushgateway import Pushgateway

COLUMNS: Final = ("income", "amount", "region")
DAY: Final = 86_400.0


def push(url: str, pipeline: str, held: list[str], now: float, objective_days: float | None, waits: bool) -> set[str]:
    """What stands for the pipeline's unpushed metrics is in its groups; returns their names."""
    missing: set[str] = set()
    for group, samples in _samples(now, objective_days, waits).items():
        own = (f'pipeline="{pipeline}"', f'step="{group}"')
        there = {line.partition("{")[0] for line in held if all(label in line for label in own)}
        if not there:
            continue
        told = [sample for sample in samples if sample.metric.name not in there or sample.metric.name in _OURS]
        _OURS.update(sample.metric.name for sample in told)
        missing |= {sample.metric.name for sample in told}
        assert Pushgateway(url, pipeline).push(group, told) == ""
    return missing


_OURS: Final[set[str]] = set()


def _samples(now: float, objective_days: float | None, waits: bool) -> Mapping[Group, Iterable[Sample]]:
    wave = sin(now / DAY)
    found: dict[Group, list[Sample]] = {
        step: [m.STEP_WAIT.at(2 + wave), m.STEP_REQUESTS.at(40 + len(step)), m.STEP_RETRIES.at(max(0, round(2 * wave)))]
        for step in STEPS
    }
    for place, column in enumerate(COLUMNS):
        found["extract"] += [
            m.COLUMN_DRIFT.at(0.05 * (place + 1) * (2 + wave), column),
            m.COLUMN_NULLS.at(0.01 * place, column),
        ]
    for model in ("candidate", "baseline"):
        for score, value in (("neg_log_loss", -0.5), ("roc_auc", 0.8)):
            found["evaluate"] += [
                m.SCORE_LOWER.at(value - 0.1, model, score),
                m.SCORE_UPPER.at(value + 0.1, model, score),
            ]
    found["run"] = [
        m.QUARANTINE_LIMIT.at(0.1),
        m.RUNS_UNCONFIRMED.at(0),
        m.AWAITING_APPROVAL.at(waits),
        m.SLO_MAX_AGE.at(objective_days * DAY if objective_days else nan),
        m.SLO_FRESH.at(0.97 if objective_days else nan),
        m.STORE_CONDITIONS.at(1),
    ]
    return found

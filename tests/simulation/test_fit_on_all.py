"""publish.fit_on: all in a world that drifts (DGP-D of gate.md): the same decisions, without the price in staleness.

`max_loss: 0.005` with the anchor, coefficients that move by .05 a week, days that differ by .3. Regret is the next
week's expected log loss above that of a model fitted each week on all rows. The reference: 29.3e-4 for evaluated
models, 0.9e-4 for those fitted on all rows (gate.md section 8, s = .05).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import numpy as np
import numpy.typing as npt

from refit.core.domain import Look
from refit.evaluate.rows import CleanRows
from refit.evaluate.rule import Judgement, Settings, judge
from refit.evaluate.twins import NotWorse
from tests.simulation.worlds import Stream, classifier, drifting, expected_loss, fit
from tests.unit.evaluate.samples import GateLine

SHOCK, STEP, HOLDOUT, WEEKS_SEEN, RUNS, YEARS = 0.3, 0.05, 14, 8, 52, 3
LINES = (GateLine("neg_log_loss", "max_loss", 0.005),)
Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Version:
    """Both models of a run, and its day."""

    day: int
    evaluated: Weights
    refit: Weights


@dataclass(frozen=True)
class Found:
    """Means over all weeks and years; fallbacks a year."""

    evaluated: float
    on_all: float
    fallbacks: float
    changes: float


def made(world: Stream, day: int) -> Version:
    first = day - 7 * WEEKS_SEEN
    rows, whole = world.days(first, day - HOLDOUT), world.days(first, day)
    return Version(day, fit(world.X[rows], world.y[rows]), fit(world.X[whole], world.y[whole]))


def held(
    world: Stream, days: slice, candidate: Weights, champion: Weights, anchor: Weights | None, line: object
) -> Judgement:
    rows = CleanRows(world.y[days], np.arange(days.stop - days.start, dtype=np.uint64), None, world.cursor(days))
    X = world.X[days]
    return judge(
        (line,),  # type: ignore[arg-type]  # both lines have what the rule asks for
        rows,
        candidate=classifier(X @ candidate),
        champion=classifier(X @ champion),
        anchor=classifier(X @ anchor) if anchor is not None else None,
        look=Look(as_of=datetime(2026, 1, 1, tzinfo=UTC), days=7, alpha=7 / 365),
        settings=Settings(),
    )


@cache
def year(seed: int) -> Found:
    world, betas = drifting(WEEKS_SEEN + RUNS + 1, SHOCK, STEP, np.random.default_rng(seed))
    champion = anchor = made(world, 7 * WEEKS_SEEN)
    on_all, evaluated, fallbacks, changes = [], [], 0, 0
    falls = False
    for week in range(WEEKS_SEEN + 1, WEEKS_SEEN + RUNS + 1):
        day = 7 * week
        candidate = made(world, day)
        judgement = held(
            world, world.days(day - HOLDOUT, day), candidate.evaluated, champion.evaluated, anchor.evaluated, LINES[0]
        )
        if judgement.verdict.result == "accepted":
            champion, falls, changes = candidate, False, changes + 1
            anchor = candidate if judgement.becomes_anchor else anchor
        elif not falls:
            newer = world.days(champion.day, day)
            twins = held(world, newer, champion.refit, champion.evaluated, None, NotWorse("neg_log_loss"))
            falls = twins.verdict.result == "rejected"
            fallbacks += falls
        best = expected_loss(candidate.refit, SHOCK, betas[week])
        evaluated.append(expected_loss(champion.evaluated, SHOCK, betas[week]) - best)
        production = champion.evaluated if falls else champion.refit
        on_all.append(expected_loss(production, SHOCK, betas[week]) - best)
    return Found(float(np.mean(evaluated)), float(np.mean(on_all)), fallbacks, changes)


def mean(what: str) -> float:
    return float(np.mean([getattr(year(seed), what) for seed in range(YEARS)]))


def test_models_fitted_on_all_rows_do_not_pay_for_the_holdout_with_their_age() -> None:
    assert 15e-4 < mean("evaluated") < 45e-4
    assert mean("on_all") < 3e-4


def test_refits_of_a_drifting_world_seldom_fall_back() -> None:
    assert mean("changes") > 35
    assert mean("fallbacks") < 1

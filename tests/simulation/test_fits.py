"""Real fits on days with levels of their own, judged by the whole rule (DGP-D); and a world that slowly erodes."""

from datetime import UTC, datetime
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from refit.core.domain import Look
from refit.evaluate.influence import influence
from refit.evaluate.rows import CleanRows, arrange
from refit.evaluate.rule import Settings, judge
from tests.simulation.worlds import (
    BETA,
    Gate,
    Stream,
    classifier,
    expected_loss,
    fit,
    production,
    rows_only,
    stream,
)
from tests.unit.evaluate.samples import GateLine

WORLDS, HOLDOUT, WINDOW = 350, 11, 56
CHAMPION_AGES = (1, 4, 12)
SHOCK = 0.6
GATES: dict[str, Gate] = {"production": production, "rows_only": rows_only}


def clean(world: Stream, rows: slice, rng: np.random.Generator) -> CleanRows:
    keys = rng.integers(0, 2**63, rows.stop - rows.start, dtype=np.uint64)
    return CleanRows(world.y[rows], keys, None, world.cursor(rows))


def trained_at(world: Stream, day: int) -> npt.NDArray[np.float64]:
    """The model of a run on that day: the window less its holdout."""
    rows = world.days(day - WINDOW, day - HOLDOUT)
    return fit(world.X[rows], world.y[rows])


@cache
def errors() -> dict[str, float]:
    """Share of decisions in which L lies above the long-run gain, at alpha .05, with days that differ."""
    rng = np.random.default_rng(0)
    wrong = dict.fromkeys(GATES, 0)
    today = WINDOW + 7 * max(CHAMPION_AGES)
    for _ in range(WORLDS):
        world = stream(today, SHOCK, rng)
        rows = world.days(today - HOLDOUT, today)
        sample, order = arrange(clean(world, rows, rng), "day")
        candidate = trained_at(world, today)
        mine = influence("neg_log_loss", sample, classifier(world.X[rows] @ candidate).take(order))
        for age in CHAMPION_AGES:
            champion = trained_at(world, today - 7 * age)
            gain = expected_loss(champion, SHOCK) - expected_loss(candidate, SHOCK)
            other = influence("neg_log_loss", sample, classifier(world.X[rows] @ champion).take(order))
            for name, gate in GATES.items():
                wrong[name] += gate(mine, other, 0.05).lower > gain
    return {name: count / (WORLDS * len(CHAMPION_AGES)) for name, count in wrong.items()}


def test_days_that_win_or_lose_together_do_not_fool_the_gate() -> None:
    """The reference figure is .044."""
    assert errors()["production"] < 0.07


def test_this_check_has_teeth() -> None:
    """Rows taken as independent err four times as often as promised: .202."""
    assert errors()["rows_only"] > 0.12


def test_the_expected_loss_of_these_worlds_is_the_mean_of_many_days() -> None:
    rng = np.random.default_rng(1)
    world = stream(3000, SHOCK, rng)
    b = BETA + 0.1
    logit = world.X @ b
    mean = float(np.mean(np.logaddexp(0, logit) - world.y * logit))
    assert expected_loss(b, SHOCK) == pytest.approx(mean, abs=0.004)
    assert expected_loss(BETA, 0.0) < expected_loss(b, 0.0)


# --- the eroding world --------------------------------------------------------

MARGIN, WEEKS, YEARS = 0.005, 52, 6
LINE = (GateLine("neg_log_loss", "max_loss", MARGIN),)


@cache
def eroded(with_anchor: bool) -> list[float]:
    """Long-run loss of each year's last champion above its first, when run t flips 0.25·t % of its training labels."""
    found = []
    for seed in range(YEARS):
        rng = np.random.default_rng(seed)
        world = stream(WINDOW + 7 * WEEKS, 0.3, rng)
        models = [_eroding_fit(world, week, rng) for week in range(WEEKS + 1)]
        champion = anchor = models[0]
        for week in range(1, WEEKS + 1):
            day = WINDOW + 7 * week
            rows = world.days(day - 14, day)
            X = world.X[rows]
            judgement = judge(
                LINE,
                clean(world, rows, rng),
                candidate=classifier(X @ models[week]),
                champion=classifier(X @ champion),
                anchor=classifier(X @ anchor) if with_anchor else None,
                look=Look(as_of=datetime(2026, 1, 1, tzinfo=UTC), days=7, alpha=7 / 365),
                settings=Settings(),
            )
            if judgement.verdict.result == "accepted":
                champion = models[week]
                anchor = champion if judgement.becomes_anchor else anchor
        found.append(expected_loss(champion, 0.3) - expected_loss(models[0], 0.3))
    return found


def _eroding_fit(world: Stream, week: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    day = WINDOW + 7 * week
    rows = world.days(day - WINDOW, day - 14)
    flips = rng.random(rows.stop - rows.start) < 0.0025 * week
    return fit(world.X[rows], np.where(flips, 1 - world.y[rows], world.y[rows]))


def test_a_slowly_eroding_world_stays_within_the_allowed_loss() -> None:
    assert np.mean(eroded(with_anchor=True)) < MARGIN


def test_without_the_anchor_it_slides_on() -> None:
    """Each step is within the loss of the step before: the ratchet."""
    assert np.mean(eroded(with_anchor=False)) > 1.5 * MARGIN


def test_eroding_fits_do_become_worse() -> None:
    rng = np.random.default_rng(9)
    world = stream(WINDOW + 7 * WEEKS, 0.3, rng)
    last = _eroding_fit(world, WEEKS, rng)
    assert expected_loss(last, 0.3) - expected_loss(BETA, 0.3) > 2 * MARGIN

"""The reference worlds of gate.md section 9, and wrong gates that must fail in them.

A world makes rows and what models say of them; the figures come from refit's own functions. A `Gate` is how a gain is
judged from two influences: the production one, or a mutant with one thing wrong in it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from refit.evaluate.bench import LEAST_EFFECTIVE_ROWS
from refit.evaluate.influence import Influence, difference
from refit.evaluate.interval import Interval, bound
from refit.evaluate.rows import Partition, Sample
from refit.ml.scores import Responses

Array = npt.NDArray[Any]
Gate = Callable[[Influence, Influence, float], Interval]
LABELS = np.array([0, 1])


def sigmoid(logit: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-logit)))


def classifier(logit: Array) -> Responses:
    p = sigmoid(logit)
    return Responses(LABELS, (logit > 0).astype(int), np.column_stack([1 - p, p]), logit)


def units_only(y: Array, entities: Array | None = None) -> Sample:
    """A sample without blocks: rows (or entities) are independent, as DGP-A makes them."""
    rows = Partition(None, len(y))
    units = rows if entities is None else Partition(entities, int(entities.max()) + 1)
    return Sample(y, None, units, None, rows, None)


# --- gates --------------------------------------------------------------------


def production(candidate: Influence, baseline: Influence, alpha: float) -> Interval:
    return bound(difference(candidate, baseline), alpha)


def two_sided(candidate: Influence, baseline: Influence, alpha: float) -> Interval:
    return bound(difference(candidate, baseline), alpha / 2)


def unpaired(candidate: Influence, baseline: Influence, alpha: float) -> Interval:
    """The SE of two independent samples: each model's sums stand for themselves."""
    apart = np.concatenate([candidate.units, baseline.units])
    return bound(Influence(candidate.value - baseline.value, apart, None, candidate.rows), alpha)


def swapped(candidate: Influence, baseline: Influence, alpha: float) -> Interval:
    return bound(difference(baseline, candidate), alpha)


def rows_only(candidate: Influence, baseline: Influence, alpha: float) -> Interval:
    return bound(replace(difference(candidate, baseline), blocks=None), alpha)


def enough(found: Interval) -> bool:
    return found.spread.effective_rows >= LEAST_EFFECTIVE_ROWS


def accepts(found: Interval) -> bool:
    return enough(found) and found.lower > 0


# --- DGP-A: one decision ------------------------------------------------------


@dataclass(frozen=True)
class Decision:
    """One holdout with two models that see z through noise of s.d. τ, half shared."""

    sample: Sample
    candidate: Responses
    champion: Responses
    numbers: Sample
    number_candidate: Responses
    number_champion: Responses


def decisions(
    runs: int, n: int, *, candidate_tau: float = 0.5, intercept: float = 0.0, threshold: float = 0.5, seed: int = 0
) -> Iterator[Decision]:
    """DGP-A as a binary task and, from the same z, as a regression task."""
    rng = np.random.default_rng(seed)
    shift = np.log(threshold / (1 - threshold))
    for _ in range(runs):
        z, shared, own_candidate, own_champion, noise = rng.normal(size=(5, n))
        y = (rng.random(n) < sigmoid(intercept + 1.5 * z)).astype(int)
        seen = [
            (z + tau * (np.sqrt(0.75) * shared + 0.5 * own)) / (1 + tau**2)
            for tau, own in ((candidate_tau, own_candidate), (0.5, own_champion))
        ]
        models = [classifier(intercept + 1.5 * u) for u in seen]
        labelled = [
            replace(model, predict=(intercept + 1.5 * u > shift).astype(int))
            for model, u in zip(models, seen, strict=True)
        ]
        numbers = [Responses(None, u) for u in seen]
        yield Decision(units_only(y), labelled[0], labelled[1], units_only(z + noise), numbers[0], numbers[1])


def shared_entities(runs: int, seed: int = 0) -> Iterator[tuple[Sample, Sample, Responses, Responses]]:
    """DGP-A with 1,000 entities of geometric size (mean 5); the sample by entities, and the same rows as rows."""
    rng = np.random.default_rng(seed)
    for _ in range(runs):
        owner = np.repeat(np.arange(1000), rng.geometric(0.2, 1000))
        n = len(owner)
        z, shared, mine, other = np.sqrt(0.5) * (rng.normal(size=(4, 1000))[:, owner] + rng.normal(size=(4, n)))
        y = (rng.random(n) < sigmoid(1.5 * z + rng.normal(size=1000)[owner])).astype(int)
        models = [classifier(1.5 * (z + 0.5 * (np.sqrt(0.75) * shared + 0.5 * own)) / 1.25) for own in (mine, other)]
        yield units_only(y, owner), units_only(y), models[0], models[1]


# --- DGP-R: a year of weekly looks without any gain ---------------------------

YEAR_DAYS, YEAR_ROWS, LOOKS = 378, 60, 52


@dataclass(frozen=True)
class Year:
    """Rows of 54 weeks, and the logits of the models of week 0 to 52 on each of them."""

    y: Array
    day: Array
    logits: Array

    def look(self, week: int) -> tuple[Sample, slice]:
        """The 14 days that week's candidate and champion are judged on."""
        rows = slice(7 * week * YEAR_ROWS, (7 * week + 14) * YEAR_ROWS)
        units = Partition(None, 14 * YEAR_ROWS)
        return Sample(self.y[rows], None, units, Partition(self.day[rows] - 7 * week, 14), units, 14), rows


def years(count: int, seed: int = 0) -> Iterator[Year]:
    rng = np.random.default_rng(seed)
    n = YEAR_DAYS * YEAR_ROWS
    day = np.repeat(np.arange(YEAR_DAYS), YEAR_ROWS)
    for _ in range(count):
        z = rng.normal(size=n)
        y = (rng.random(n) < sigmoid(1.5 * z + 0.5 * rng.normal(size=YEAR_DAYS)[day])).astype(int)
        yield Year(y, day, _year_logits(z, rng))


def _year_logits(z: Array, rng: np.random.Generator) -> Array:
    """1.5(z + .5ε_t)/1.25 + .2δ_t, with ε (per row) and δ moving sums of 6 weekly draws over √6."""
    draws = rng.standard_normal((LOOKS + 6, len(z)), dtype=np.float32)
    levels = rng.normal(size=LOOKS + 6)
    logits = np.empty((LOOKS + 1, len(z)), dtype=np.float32)
    recent = draws[:6].sum(axis=0)
    for week in range(LOOKS + 1):
        if week:
            recent = recent + draws[week + 5] - draws[week - 1]
        level = levels[week : week + 6].sum() / np.sqrt(6)
        logits[week] = 1.2 * (z + 0.5 / np.sqrt(6) * recent) + 0.2 * level
    return logits


# --- DGP-D: real fits ---------------------------------------------------------

BETA = np.array([0.0, 0.8, -0.6, 0.5, -0.4, 0.3, 0, 0, 0, 0, 0])
"""Intercept and ten coefficients."""
ROWS_A_DAY = 180


@dataclass(frozen=True)
class Stream:
    """Days of rows with a level of their own each: X with a column of ones, y, day and microsecond of each row."""

    X: Array
    y: Array
    day: Array

    def days(self, first: int, last: int) -> slice:
        return slice(first * ROWS_A_DAY, last * ROWS_A_DAY)

    def cursor(self, rows: slice) -> npt.NDArray[np.datetime64]:
        return np.datetime64("2026-01-01", "us") + self.day[rows] * np.timedelta64(86_400_000_000, "us")


def stream(days: int, shock: float, rng: np.random.Generator) -> Stream:
    n = days * ROWS_A_DAY
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 10))])
    day = np.repeat(np.arange(days), ROWS_A_DAY)
    y = (rng.random(n) < sigmoid(X @ BETA + shock * rng.normal(size=days)[day])).astype(int)
    return Stream(X, y, day)


def drifting(weeks: int, shock: float, step: float, rng: np.random.Generator) -> tuple[Stream, Array]:
    """Days whose coefficients move by N(0, step²) each week; and the coefficients, shape (weeks, 11)."""
    n, days = 7 * weeks * ROWS_A_DAY, 7 * weeks
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 10))])
    day = np.repeat(np.arange(days), ROWS_A_DAY)
    betas = BETA + np.cumsum(step * rng.normal(size=(weeks, len(BETA))), axis=0)
    logit = np.einsum("ij,ij->i", X, betas[day // 7]) + shock * rng.normal(size=days)[day]
    return Stream(X, (rng.random(n) < sigmoid(logit)).astype(int), day), betas


def fit(X: Array, y: Array) -> Array:
    """Logistic regression with penalty ½·10⁻³‖b‖², by Newton's method from the truth."""
    b = BETA.copy()
    ridge = 1e-3 * np.eye(len(b))
    for _ in range(4):
        p = sigmoid(X @ b)
        b = b - np.linalg.solve((X.T * (p * (1 - p))) @ X + ridge, X.T @ (p - y) + 1e-3 * b)
    return b


def expected_loss(b: Array, shock: float, beta: Array = BETA) -> float:
    """Long-run log loss of the model b, over rows and days: f = xb and m = xβ + u are jointly normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    spread_f, spread_m = np.linalg.norm(b[1:]), np.hypot(np.linalg.norm(beta[1:]), shock)
    softplus = weights @ np.logaddexp(0.0, b[0] + spread_f * nodes)
    m = spread_m * nodes
    of_m = b[0] + (b[1:] @ beta[1:]) / spread_m**2 * m
    return float(softplus - weights @ (sigmoid(beta[0] + m) * of_m))

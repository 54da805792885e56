"""Small worlds for the tests of evaluate: rows, and what made-up models say of them."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from refit.core.domain import Line, Look
from refit.evaluate.rows import CleanRows, Sample, arrange
from refit.ml.scores import Responses

Array = npt.NDArray[Any]
BINARY = np.array([0, 1])
LOOK = Look(as_of=datetime(2026, 3, 1, tzinfo=UTC), days=7.0, alpha=0.05)


@dataclass(frozen=True)
class GateLine:
    score: str
    line: Line
    limit: float


def sigmoid(logit: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-logit)))


def classifier(logit: Array, classes: Array = BINARY) -> Responses:
    """A binary classifier by the logits of its last class."""
    p = sigmoid(logit)
    return Responses(classes, classes[(logit > 0).astype(int)], np.column_stack([1 - p, p]), logit)


def regressor(values: Array) -> Responses:
    return Responses(None, values)


def keys(n: int, rng: np.random.Generator) -> npt.NDArray[np.uint64]:
    return rng.integers(0, 2**63, n, dtype=np.uint64)


def instants(n: int, days: float, rng: np.random.Generator) -> npt.NDArray[np.datetime64]:
    """n moments within `days` from a Monday's midnight on, in random order; each day has some when n is large."""
    offsets = (rng.permutation(n) + 0.5) / n * days * 86_400_000_000
    return np.datetime64("2026-01-05T00:00:00", "us") + offsets.astype("timedelta64[us]")


@dataclass(frozen=True)
class Binary:
    """Rows of a binary task with two models: the first knows more of z than the second."""

    rows: CleanRows
    better: Responses
    worse: Responses

    def sample(self) -> tuple[Sample, Responses, Responses]:
        sample, order = arrange(self.rows, "day")
        return sample, self.better.take(order), self.worse.take(order)

    def take(self, rows: Array) -> "Binary":
        return Binary(self.rows.take(rows), self.better.take(rows), self.worse.take(rows))

    def with_rows(self, **changes: Any) -> "Binary":
        return replace(self, rows=replace(self.rows, **changes))


def binary(n: int = 2000, days: float = 14.0, seed: int = 0, *, noise: tuple[float, float] = (0.3, 0.9)) -> Binary:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    y = (rng.random(n) < sigmoid(1.5 * z)).astype(int)
    logits = [1.5 * (z + tau * rng.normal(size=n)) / (1 + tau**2) for tau in noise]
    return Binary(CleanRows(y, keys(n, rng), None, instants(n, days, rng)), *map(classifier, logits))


def tied_binary(n: int = 300, seed: int = 1) -> tuple[Sample, Responses]:
    """A binary sample with weights and, by rounding, many equal scores."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    y = (rng.random(n) < sigmoid(1.5 * z)).astype(int)
    rows = CleanRows(y, keys(n, rng), None, instants(n, 14, rng), rng.uniform(0.5, 2.0, n))
    sample, order = arrange(rows, "day")
    return sample, classifier(np.round(1.2 * z + rng.normal(size=n), 1)).take(order)


def counted(n: int = 300, seed: int = 2) -> tuple[Sample, Responses]:
    """A regression sample with weights, positive targets and positive predictions, both with ties."""
    rng = np.random.default_rng(seed)
    level = 5 + rng.normal(size=n)
    y = np.maximum(np.round(level + 0.7 * rng.normal(size=n), 1), 0.1)
    rows = CleanRows(y, keys(n, rng), None, instants(n, 14, rng), rng.uniform(0.5, 2.0, n))
    sample, order = arrange(rows, "day")
    return sample, regressor(np.maximum(np.round(level + 0.4 * rng.normal(size=n), 1), 0.1)).take(order)

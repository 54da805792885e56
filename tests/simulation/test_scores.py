"""The interval of one model's score holds what the score is on all rows of the world as often as it says."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from refit.evaluate.bench import Bench
from refit.evaluate.rows import CleanRows, Sample, arrange
from refit.ml.scores import Responses, value
from tests.simulation.worlds import BETA, ROWS_A_DAY, classifier, decisions, stream

ALPHA = 0.05
RUNS, ROWS = 1500, 1000
SCORES = ("neg_log_loss", "roc_auc", "f1", "accuracy")


def bench_of(sample: Sample, model: Responses) -> Bench:
    return Bench(sample, {"candidate": model}, None, 200)


def misses(benches: Iterator[Bench], name: str, truth: float) -> tuple[float, float]:
    """Shares of the runs in which the truth lies below and above the interval."""
    found = [bench.interval("candidate", name, ALPHA) for bench in benches]
    ends = np.array([one for one in found if one is not None])
    assert len(ends) == len(found)
    return float((ends[:, 0] > truth).mean()), float((ends[:, 1] < truth).mean())


@pytest.mark.parametrize("name", SCORES)
def test_each_end_errs_as_often_as_alpha(name: str) -> None:
    (whole,) = decisions(1, 2_000_000, seed=5)
    truth = value(name, whole.candidate, whole.sample.y)
    benches = (bench_of(one.sample, one.candidate) for one in decisions(RUNS, ROWS, seed=6))
    below, above = misses(benches, name, truth)
    three_se = 3 * np.sqrt(ALPHA * (1 - ALPHA) / RUNS)
    assert below == pytest.approx(ALPHA, abs=three_se)
    assert above == pytest.approx(ALPHA, abs=three_se)


def test_rows_of_days_that_differ_are_not_taken_as_independent() -> None:
    """Fourteen days with a level of their own each, which move the score of a model that says too much."""

    def worlds(runs: int, days: int) -> Iterator[Bench]:
        for seed in range(runs):
            rng = np.random.default_rng(1000 * days + seed)
            world = stream(days, 0.6, rng)
            keys = rng.integers(0, 2**63, days * ROWS_A_DAY, dtype=np.uint64)
            sample, order = arrange(CleanRows(world.y, keys, None, world.cursor(world.days(0, days))), "day")
            yield bench_of(sample, classifier(world.X @ BETA + 1).take(order))

    (long,) = worlds(1, 3000)
    truth = long.influence("candidate", "neg_log_loss").value
    by_days = misses(worlds(600, 14), "neg_log_loss", truth)
    rows_alone = (replace(found, sample=replace(found.sample, blocks=None)) for found in worlds(600, 14))
    assert sum(by_days) < 2 * ALPHA + 3 * np.sqrt(2 * ALPHA * (1 - 2 * ALPHA) / 600)
    assert sum(misses(rows_alone, "neg_log_loss", truth)) > 0.3

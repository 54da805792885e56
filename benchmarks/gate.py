"""The gate's interval of the difference of two AUCs against naive resampling (performance.md, "gate").

    python benchmarks/gate.py [--rows 200000] [--resamples 50] [--out FILE.json]

Measured: refit's production functions, from labels and scores to L and upper, rows as units, weights 1; best of five
after one warm-up. Against: redraw the rows with replacement, call sklearn.metrics.roc_auc_score for both models, take
the 5th and 95th percentile of 1,000 differences. Naive resamples are slow, so only `--resamples` of them are timed, and
1,000 times their median is reported, said so; `--resamples 1000` times them all. The ends to compare with always come
from 1,000 resamples: those not timed are computed from the same redrawn rows through counts on rows sorted once, which
gives the same AUC (asserted on every resample that is timed).
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from refit.evaluate.influence import difference, influence
from refit.evaluate.interval import Interval, bound
from refit.evaluate.rows import CleanRows, Partition, Sample, arrange
from refit.ml.scores import Responses

Array = npt.NDArray[Any]
ALPHA = 0.05
RESAMPLES = 1000
TARGET_RATIO, TARGET_ENDS = 500, 1e-4
LABELS = np.array([0, 1])


def world(rows: int) -> tuple[Array, list[Responses]]:
    """DGP-A of gate.md: labels and two models that see them through noise."""
    rng = np.random.default_rng(0)
    z, shared, mine, other = rng.normal(size=(4, rows))
    y = (rng.random(rows) < 1 / (1 + np.exp(-1.5 * z))).astype(int)
    scores = [1.5 * (z + 0.5 * (np.sqrt(0.75) * shared + 0.5 * own)) / 1.25 for own in (mine, other)]
    return y, [Responses(LABELS, (score > 0).astype(int), None, score) for score in scores]


def interval(sample: Sample, models: list[Responses]) -> Interval:
    return bound(difference(*(influence("roc_auc", sample, model) for model in models)), ALPHA)


def arranged_interval(rows: CleanRows, models: list[Responses]) -> Interval:
    """The same with all that the rule does before: rows put into order, blocks and groups cut."""
    sample, order = arrange(rows, "day")
    return interval(sample, [model.take(order) for model in models])


def best_seconds(call: Callable[[], object]) -> float:
    call()
    return min(_seconds(call) for _ in range(5))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class Recount:
    """AUC of redrawn rows by their counts, on scores sorted once."""

    def __init__(self, y: Array, scores: Array) -> None:
        self.order = np.argsort(scores)
        self.positive = y[self.order] == 1
        ascending = scores[self.order]
        self.untied = bool((ascending[1:] != ascending[:-1]).all())

    def auc(self, counts: Array) -> float:
        ordered = counts[self.order].astype(float)
        positives = np.where(self.positive, ordered, 0.0)
        negatives = ordered - positives
        below = np.cumsum(negatives) - negatives / 2
        return float(positives @ below / (positives.sum() * negatives.sum()))


def resample(y: Array, models: list[Responses], timed: int) -> tuple[list[float], Array]:
    """Seconds of each timed naive resample, and 1,000 differences of AUC."""
    scores = [np.asarray(model.decision_function) for model in models]
    recounts = [Recount(y, score) for score in scores]
    assert all(recount.untied for recount in recounts)
    rng = np.random.default_rng(1)
    seconds, differences = [], []
    for number in range(RESAMPLES):
        start = time.perf_counter()
        drawn = rng.integers(0, len(y), len(y))
        if number < timed:
            naive = [float(roc_auc_score(y[drawn], score[drawn])) for score in scores]
            seconds.append(time.perf_counter() - start)
        counts = np.bincount(drawn, minlength=len(y))
        counted = [recount.auc(counts) for recount in recounts]
        if number < timed:
            assert np.allclose(naive, counted, rtol=0, atol=1e-12)
        differences.append(counted[0] - counted[1])
    return seconds, np.array(differences)


def measure(rows: int, timed: int) -> dict[str, Any]:
    y, models = world(rows)
    every = Partition(None, rows)
    sample = Sample(y, None, every, None, every, None)
    rng = np.random.default_rng(2)
    cursor = np.datetime64("2026-01-01", "us") + rng.integers(0, 14 * 86_400_000_000, rows).astype("timedelta64[us]")
    clean = CleanRows(y, rng.integers(0, 2**63, rows, dtype=np.uint64), None, cursor)
    ours, whole = best_seconds(lambda: interval(sample, models)), best_seconds(lambda: arranged_interval(clean, models))
    seconds, differences = resample(y, models, timed)
    found = interval(sample, models)
    naive_ends = np.percentile(differences, [100 * ALPHA, 100 * (1 - ALPHA)])
    naive = statistics.median(seconds) * RESAMPLES
    return {
        "rows": rows,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "interval_seconds": ours,
        "interval_with_order_and_blocks_seconds": whole,
        "naive_resamples_timed": len(seconds),
        "naive_1000_resamples_seconds": naive,
        "naive_is_extrapolated": len(seconds) < RESAMPLES,
        "ratio": naive / ours,
        "ratio_with_order_and_blocks": naive / whole,
        "ends": [found.lower, found.upper],
        "naive_ends": naive_ends.tolist(),
        "largest_difference_of_ends": float(np.abs(naive_ends - [found.lower, found.upper]).max()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--resamples", type=int, default=50, help="naive resamples to time, up to 1000")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    arguments = parser.parse_args()
    found = measure(arguments.rows, min(arguments.resamples, RESAMPLES))
    width = max(map(len, found))
    for name, figure in found.items():
        print(f"{name:<{width}}  {figure:.6g}" if isinstance(figure, float) else f"{name:<{width}}  {figure}")
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    holds = found["ratio"] >= TARGET_RATIO and found["largest_difference_of_ends"] <= TARGET_ENDS
    print(f"target (ratio ≥ {TARGET_RATIO}, ends within {TARGET_ENDS:g}): {'met' if holds else 'NOT met'}")
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())

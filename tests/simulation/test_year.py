"""A year of weekly runs without any gain changes the model less than once, strictly about never (DGP-R)."""

from functools import cache

import numpy as np
import pytest

from refit.evaluate.influence import Influence, influence
from tests.simulation.worlds import LOOKS, Gate, Year, accepts, classifier, production, rows_only, years

YEARS = 200
POLICIES: dict[str, tuple[float, Gate]] = {
    "default": (7 / 365, production),
    "strict": (0.05 * 7 / 365, production),
    "every look at .05 by rows": (0.05, rows_only),
}


@cache
def changes() -> dict[str, list[int]]:
    """Promotions in each year, by policy."""
    found: dict[str, list[int]] = {policy: [] for policy in POLICIES}
    for year in years(YEARS):
        for policy, (alpha, gate) in POLICIES.items():
            found[policy].append(_changes_of(year, alpha, gate))
    return found


def _changes_of(year: Year, alpha: float, gate: Gate) -> int:
    champion, count = 0, 0
    for week in range(1, LOOKS + 1):
        sample, rows = year.look(week)

        def of(model: int, sample: object = sample, rows: slice = rows) -> Influence:
            return influence("neg_log_loss", sample, classifier(year.logits[model, rows]))  # type: ignore[arg-type]

        if accepts(gate(of(week), of(champion), alpha)):
            champion, count = week, count + 1
    return count


def mean_and_error(policy: str) -> tuple[float, float]:
    counts = np.array(changes()[policy])
    return float(counts.mean()), float(counts.std(ddof=1) / np.sqrt(len(counts)))


def test_by_default_less_than_one_change_a_year() -> None:
    mean, error = mean_and_error("default")
    assert mean < 1.0
    assert mean == pytest.approx(0.57, abs=3 * error + 0.06)  # the reference figure, ± .02


def test_the_strict_budget_holds() -> None:
    mean, error = mean_and_error("strict")
    assert mean <= 0.05 + 3 * error


def test_this_check_has_teeth() -> None:
    """Spending a whole alpha at each look, with days taken as independent, changes the model 2.5 times a year."""
    mean, error = mean_and_error("every look at .05 by rows")
    assert mean == pytest.approx(2.51, abs=3 * error + 0.15)

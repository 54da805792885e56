"""The interval's arithmetic, against formulas by hand, scipy's t and a bootstrap of whole units."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import t as student

from refit.evaluate.influence import Influence, closed_form, difference, influence
from refit.evaluate.interval import (
    LARGEST_DF,
    Spread,
    blocks_follow_each_other,
    bound,
    detectable,
    equal,
    quantile,
    spread,
)
from refit.evaluate.rows import arrange
from tests.unit.evaluate.samples import binary, keys

RNG = np.random.default_rng(4)


def made(units: npt.NDArray[np.float64], blocks: npt.NDArray[np.float64] | None = None, rows: int = 100) -> Influence:
    return Influence(0.1, units, blocks, rows)


def test_the_spread_is_gate_mds_formula() -> None:
    units = RNG.normal(size=40)
    found = spread(made(units))
    fourth = np.sum(units**4) / np.sum(units**2) ** 2
    assert found.se == pytest.approx(np.sqrt(40 / 39 * np.sum(units**2)) / 100)
    assert found.df == pytest.approx(2 / (fourth - 1 / 40))
    assert found.effective_rows == pytest.approx(1 / fourth)


def test_blocks_widen_and_shorten_but_never_narrow() -> None:
    units = RNG.normal(size=400)
    wide = spread(made(units, 50 * RNG.normal(size=14)))
    narrow = spread(made(units, 1e-3 * RNG.normal(size=14)))
    alone = spread(made(units))
    assert wide.se > alone.se == narrow.se
    assert wide.df == narrow.df == 13
    assert wide.effective_rows == narrow.effective_rows == alone.effective_rows


def test_a_few_units_that_carry_all_leave_few_degrees_of_freedom() -> None:
    heavy = np.where(np.arange(1000) < 5, 100.0, 0.01) * RNG.choice([-1, 1], 1000)
    found = spread(made(heavy))
    assert found.effective_rows == pytest.approx(5, rel=0.01)
    assert found.df == pytest.approx(2 / (1 / 5 - 1 / 1000), rel=0.01)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_the_spread_survives_any_unit_of_the_score(size: float) -> None:
    units = RNG.normal(size=50)
    assert spread(made(size * units)).se == pytest.approx(size * spread(made(units)).se)
    assert spread(made(size * units)).df == pytest.approx(spread(made(units)).df)


def test_one_unit_or_block_tells_no_spread() -> None:
    assert np.isnan(spread(made(np.array([0.3]))).se)
    assert np.isnan(spread(made(RNG.normal(size=30), np.array([0.3]))).se)


def test_no_influence_is_no_spread_at_all() -> None:
    assert spread(made(np.zeros(30))) == Spread(0.0, LARGEST_DF, 30.0)


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.0192, 1e-3, 1e-9])
@pytest.mark.parametrize("df", [1.0, 3.0, 13.0, 250.5, LARGEST_DF])
def test_quantiles_are_students(alpha: float, df: float) -> None:
    assert quantile(alpha, df) == pytest.approx(student.isf(alpha, df), rel=1e-6)


def test_bounds_are_one_sided_and_as_far_on_either_side() -> None:
    units = RNG.normal(size=40)
    found = bound(made(units), 0.05)
    reach = student.isf(0.05, found.spread.df) * found.spread.se
    assert found.lower == pytest.approx(0.1 - reach)
    assert found.upper == pytest.approx(0.1 + reach)


def test_the_detectable_gain_is_found_four_times_in_five() -> None:
    told = Spread(0.01, 13.0, 500.0)
    gain = detectable(0.0, told, 0.0192)
    power = student.cdf((gain - quantile(0.0192, 13.0) * 0.01) / 0.01, 13.0)
    assert power == pytest.approx(0.8)
    assert gain / 0.01 == pytest.approx(3.17, abs=0.03)  # gate.md section 6: default with 14 days
    assert detectable(0.0, Spread(0.01, 3.0, 500.0), 0.0192) / 0.01 == pytest.approx(4.52, abs=0.03)


def test_pairing_makes_the_interval_of_like_models_narrow() -> None:
    sample, better, worse = binary(2000, noise=(0.3, 0.35)).sample()
    mine, other = influence("neg_log_loss", sample, better), influence("neg_log_loss", sample, worse)
    apart = np.hypot(spread(mine).se, spread(other).se)
    assert spread(difference(mine, other)).se < 0.5 * apart


@pytest.mark.parametrize("name", ["roc_auc", "neg_log_loss", "f1", "average_precision"])
def test_the_standard_error_is_the_bootstraps(name: str) -> None:
    """The bootstrap redraws whole entities; 1,500 draws know an SE to about 2 %."""
    world = binary(600, seed=7)
    rng = np.random.default_rng(8)
    owners = keys(200, rng)[np.sort(rng.integers(0, 200, 600))]
    sample, order = arrange(world.with_rows(entities=owners, cursor=None).rows, "day")
    better, worse = world.better.take(order), world.worse.take(order)
    gain = difference(influence(name, sample, better), influence(name, sample, worse))
    units_only = spread(Influence(gain.value, gain.units, None, gain.rows))
    assert sample.units.codes is not None
    members = [np.flatnonzero(sample.units.codes == unit) for unit in range(sample.units.count)]
    drawn = []
    for _ in range(1500):
        rows = np.concatenate([members[unit] for unit in rng.integers(0, len(members), len(members))])
        redrawn = replace(sample, y=sample.y[rows])
        mine, other = closed_form(name, redrawn, better.take(rows)), closed_form(name, redrawn, worse.take(rows))
        assert mine is not None
        assert other is not None
        drawn.append(mine[0] - other[0])
    assert units_only.se == pytest.approx(np.std(drawn, ddof=1), rel=0.07)


def test_models_that_earn_the_same_are_equal_rounding_aside() -> None:
    sample, better, worse = binary(500).sample()
    mine, other = influence("neg_log_loss", sample, better), influence("neg_log_loss", sample, worse)
    assert equal(difference(mine, mine), mine, mine)
    assert not equal(difference(mine, other), mine, other)
    shaken = Influence(mine.value * (1 + 1e-15), mine.units * (1 + 1e-15), mine.blocks, mine.rows)
    assert equal(difference(mine, shaken), mine, shaken)


def test_influence_that_is_not_a_number_is_equal_to_nothing() -> None:
    nothing = made(np.full(20, np.nan))
    assert not equal(nothing, nothing, nothing)


def test_days_that_resemble_the_day_before_are_noticed() -> None:
    by_week = np.repeat([1.0, -1.0], 7)
    assert blocks_follow_each_other(by_week)
    assert not blocks_follow_each_other(np.tile([1.0, -1.0], 7))
    assert not blocks_follow_each_other(np.zeros(14))


def test_independent_days_are_rarely_suspected() -> None:
    """Gate.md section 1: about 9 % of looks at 14 days, 39 % where whole weeks differ."""
    days = RNG.normal(size=(4000, 14))
    suspected = np.mean([blocks_follow_each_other(row - row.mean()) for row in days])
    assert 0.06 < suspected < 0.12

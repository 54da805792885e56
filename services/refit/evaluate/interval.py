"""The interval of a gain from sums of influence over units and over blocks (gate.md section 1).

    SE² = J/(J−1) · ΣΨ²/n²
    df  = 2/(ΣΨ⁴/(ΣΨ²)² − 1/J) for units (Satterthwaite 1946, An approximate distribution of estimates of variance
          components), J − 1 for blocks (Ibragimov & Müller 2010)
    the larger SE, the smaller df;  L, upper = Δ ∓ t(1−α, df)·SE;  k = (ΣΨ²)²/ΣΨ⁴ of units

k, the effective rows, counts what carries the variance: rows on which models disagree for accuracy, positives for AUC.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from refit.evaluate.influence import Influence

Floats = npt.NDArray[np.float64]

POWER = 0.8
LARGEST_DF = 1e9
NEGLIGIBLE = 1e-12
"""Influence this small beside the scores themselves is rounding: the models say the same."""


@dataclass(frozen=True)
class Spread:
    """Standard error, degrees of freedom and effective rows; SE is NaN where one group holds everything."""

    se: float
    df: float
    effective_rows: float


@dataclass(frozen=True)
class Interval:
    """A gain with its one-sided lower and upper bounds, each wrong with probability alpha."""

    gain: float
    lower: float
    upper: float
    alpha: float
    spread: Spread


def spread(influence: Influence) -> Spread:
    """How far the value of `influence` may lie from its truth; SE 0, df and k largest when nothing varies."""
    se, fourth = _moments(influence.units, influence.rows)
    excess = fourth - 1.0 / len(influence.units)
    df = 2.0 / excess if excess > 2.0 / LARGEST_DF else LARGEST_DF
    effective = 1.0 / fourth
    if influence.blocks is not None:
        se_blocks, _ = _moments(influence.blocks, influence.rows)
        se = max(se, se_blocks) if np.isfinite(se_blocks) else float("nan")
        df = min(df, len(influence.blocks) - 1.0)
    return Spread(se, df, effective)


def _moments(sums: Floats, rows: int) -> tuple[float, float]:
    """SE, and ΣΨ⁴/(ΣΨ²)²."""
    count = len(sums)
    if count < 2 or not np.isfinite(sums).all():
        return float("nan"), 1.0
    largest = float(np.abs(sums).max())
    if largest == 0:
        return 0.0, 1.0 / count
    squares = np.square(sums / largest)
    total = float(squares.sum())
    se = largest * float(np.sqrt(count / (count - 1) * total)) / rows
    return se, float(squares @ squares) / total**2


def bound(gain: Influence, alpha: float) -> Interval:
    """The interval of a gain at one-sided level alpha."""
    found = spread(gain)
    reach = quantile(alpha, found.df) * found.se
    return Interval(gain.value, gain.value - reach, gain.value + reach, alpha, found)


def quantile(alpha: float, df: float) -> float:
    """t(1−α, df); exact for small α too."""
    return -float(stdtrit(df, alpha))


def detectable(line: float, found: Spread, alpha: float) -> float:
    """The gain that these rows find 4 times in 5: D of gate.md section 6."""
    return line + (quantile(alpha, found.df) + quantile(1.0 - POWER, found.df)) * found.se


def equal(gain: Influence, candidate: Influence, baseline: Influence) -> bool:
    """True when both models earn the same on every unit, rounding aside; False where there is no influence."""
    if not np.isfinite(gain.units).all():
        return False
    size = max(abs(candidate.value), abs(baseline.value), np.abs(candidate.units).max(), np.abs(baseline.units).max())
    return bool(max(abs(gain.value), np.abs(gain.units).max()) <= NEGLIGIBLE * size)


def blocks_follow_each_other(blocks: Floats) -> bool:
    """True when the lag-1 correlation of the block sums exceeds 1/√J: whole weeks may differ, days are too short."""
    total = float(blocks @ blocks)
    return total > 0 and float(blocks[1:] @ blocks[:-1]) / total > 1.0 / np.sqrt(len(blocks))

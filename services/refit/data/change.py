"""How far two profiles of the same table lie apart, column by column. Pure.

The distance is between 0 and 1, the largest of:

- numbers: the greatest gap between the two cumulated distributions over their bins (Kolmogorov & Smirnov)
- text and bools: half the sum of the differences of all shares (total variation distance); what is not among the most
  frequent values counts as one value
- the difference of the shares of NULL, and of NaN and infinities

Dates and times have only the last: a cursor always moves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from refit.data.profile import ColumnProfile, Profile

State = Literal["came", "went", "retyped", "stays"]


@dataclass(frozen=True)
class ColumnChange:
    """One column before and after.

    Attributes:
        distance: None where it cannot be said: the column came, went, changed its type or holds no rows on a side.
        before, after: None where the column is not there.
    """

    name: str
    state: State
    distance: float | None
    before: ColumnProfile | None
    after: ColumnProfile | None


def column_changes(before: Profile, after: Profile) -> list[ColumnChange]:
    """Every column of either profile: first those that came, went or changed their type, then the largest distance."""
    was, is_ = {one.name: one for one in before.columns}, {one.name: one for one in after.columns}
    changes = [_change(name, was.get(name), is_.get(name)) for name in dict.fromkeys([*was, *is_])]
    return sorted(changes, key=lambda one: (one.state == "stays", -(one.distance or 0.0)))


def _change(name: str, before: ColumnProfile | None, after: ColumnProfile | None) -> ColumnChange:
    if before is None or after is None:
        return ColumnChange(name, "came" if before is None else "went", None, before, after)
    if before.type != after.type:
        return ColumnChange(name, "retyped", None, before, after)
    distance = _distance(before, after) if before.count and after.count else None
    return ColumnChange(name, "stays", distance, before, after)


def _distance(before: ColumnProfile, after: ColumnProfile) -> float:
    found = [
        abs(before.nulls / before.count - after.nulls / after.count),
        abs(before.not_finite / before.count - after.not_finite / after.count),
    ]
    if before.quantiles is not None and after.quantiles is not None:
        found.append(_between_numbers(before, after))
    elif before.frequent is not None and after.frequent is not None:
        found.append(_between_values(before, after))
    return min(1.0, max(found))


def _between_numbers(before: ColumnProfile, after: ColumnProfile) -> float:
    """The greatest gap between the cumulated shares; bins with equal bounds are the same in every profile."""
    was, is_ = ({float(one.low): one.count for one in profile.bins or ()} for profile in (before, after))
    lows = sorted({*was, *is_})
    counted, gap, apart = (sum(was.values()), sum(is_.values())), 0.0, 0.0
    for low in lows:
        apart += was.get(low, 0) / counted[0] - is_.get(low, 0) / counted[1]
        gap = max(gap, abs(apart))
    return gap


def _between_values(before: ColumnProfile, after: ColumnProfile) -> float:
    was, is_ = shares(before), shares(after)
    gaps = [abs(was.get(value, 0.0) - is_.get(value, 0.0)) for value in {*was, *is_}]
    return (sum(gaps) + abs(_rest(was.values()) - _rest(is_.values()))) / 2


def shares(profile: ColumnProfile) -> dict[str | bool, float]:
    """The share of each frequent value among the rows that are not NULL, the most frequent first."""
    seen = profile.count - profile.nulls
    return {one.value: one.count / seen for one in profile.frequent or ()} if seen else {}


def _rest(known: Iterable[float]) -> float:
    return max(0.0, 1.0 - sum(known))

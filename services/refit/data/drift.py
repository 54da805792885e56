"""How much the distribution of each column changed between two profiles: the population stability index. Pure.

    PSI = Σ (qᵢ − pᵢ)·ln(qᵢ/pᵢ)            p: shares before, q: shares now, over groups of values

(Siddiqi 2006, Credit Risk Scorecards, chapter 7, whose 0.1 and 0.25 many people read as "some" and "much".) Groups:

- numbers: cut where the rows before have their deciles, on the bins that all profiles share; a bin that alone holds a
  tenth of them is a group, and so is what lies below or beyond them all
- text and bools: the twenty most frequent values of the rows before; all others are one
- times and sensitive columns, of which only counts are known or of use: one
- NULL; NaN and infinities

An empty group would make the index infinite, so each gets half a row more: p = (n + ½)/(N + k/2) (Krichevsky &
Trofimov 1981, The performance of universal encoding).

With few rows the index is large by chance: where nothing changed, PSI/(1/N + 1/M) follows χ² with k − 1 degrees of
freedom (Yurdakul 2018, Statistical properties of population stability index, chapter 4), whose mean is k − 1.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np

from refit.core.domain import ColumnDrift
from refit.data.profile import Bin, ColumnProfile, Frequent, Profile

GROUPS: Final = 10
VALUES: Final = 20
Pairs = list[tuple[int, int]]
"""Rows before and now, of each group."""


def merge(profiles: Sequence[Profile]) -> Profile:
    """Counts of the rows of all profiles as if one profile had seen them; a column of two types stands twice.

    Of text a value is counted where it is among the most frequent ones of a profile.
    """
    by_column: dict[tuple[str, str], list[ColumnProfile]] = {}
    for profile in profiles:
        for column in profile.columns:
            by_column.setdefault((column.name, column.type), []).append(column)
    return Profile(
        rows=sum(profile.rows for profile in profiles),
        columns=tuple(_merged(found) for found in by_column.values()),
    )


def _merged(columns: Sequence[ColumnProfile]) -> ColumnProfile:
    counts: dict[float, int] = {}
    highs: dict[float, float] = {}
    values: dict[str | bool, int] = {}
    for column in columns:
        for one in () if holds_instants(column) else column.bins or ():
            low = float(one.low)
            counts[low], highs[low] = counts.get(low, 0) + one.count, float(one.high)
        for value in column.frequent or ():
            values[value.value] = values.get(value.value, 0) + value.count
    by_count = sorted(values.items(), key=lambda entry: (-entry[1], str(entry[0])))
    return ColumnProfile(
        name=columns[0].name,
        type=columns[0].type,
        count=sum(column.count for column in columns),
        nulls=sum(column.nulls for column in columns),
        not_finite=sum(column.not_finite for column in columns),
        bins=tuple(Bin(low=low, high=highs[low], count=counts[low]) for low in sorted(counts)) or None,
        frequent=tuple(Frequent(value=value, count=count) for value, count in by_count) or None,
    )


def holds_instants(column: ColumnProfile) -> bool:
    """Days come and go; that is no drift, and days of two profiles may be spans of different lengths."""
    return bool(column.bins) and isinstance((column.bins or ())[0].low, str)


def drift(before: Profile, now: Profile, leave_out: Collection[str] = (), late: str = "") -> list[ColumnDrift]:
    """The columns that both profiles have, the most drifted first.

    Args:
        leave_out: Columns whose drift means nothing: keys and the cursor.
        late: The target; its NULLs are truths that come later, and are no value of it.
    """
    was = {(column.name, column.type): column for column in before.columns}
    found = []
    for column in now.columns:
        earlier = was.get((column.name, column.type))
        if earlier is None or column.name in leave_out:
            continue
        pairs = [(earlier.not_finite, column.not_finite), *_groups(earlier, column)]
        if column.name != late:
            pairs.append((earlier.nulls, column.nulls))
        if all(sum(rows) for rows in zip(*pairs, strict=True)):
            index, chance = stability(pairs)
            nulls = column.nulls / column.count
            found.append(ColumnDrift(column=column.name, nulls=nulls, index=index, chance=chance))
    return sorted(found, key=lambda one: (-one.index, one.column))


def stability(pairs: Pairs) -> tuple[float, float]:
    """The index, and its mean where nothing changed; groups that are empty on both sides do not count."""
    counts = np.array([pair for pair in pairs if any(pair)], dtype=float)
    rows, groups = counts.sum(axis=0), len(counts)
    p, q = ((counts + 0.5) / (rows + groups / 2)).T
    return max(0.0, float((q - p) @ np.log(q / p))), float((groups - 1) * (1 / rows).sum())


def _groups(before: ColumnProfile, now: ColumnProfile) -> Pairs:
    """Of what is neither NULL nor NaN nor infinite."""
    if holds_instants(before) or holds_instants(now):
        return [(_known(before), _known(now))]
    if before.bins or now.bins:
        return _by_number(before, now)
    return list(_by_value(before, now))


def _by_number(before: ColumnProfile, now: ColumnProfile) -> Pairs:
    cuts = _cuts(before.bins or ())
    counts = [[0] * (len(cuts) + 1) for _ in range(2)]
    for of_side, column in zip(counts, (before, now), strict=True):
        for one in column.bins or ():
            of_side[bisect_right(cuts, float(one.low))] += one.count
    return list(zip(*counts, strict=True))


def _cuts(bins: Sequence[Bin]) -> list[float]:
    """The lower ends of all groups but the first: what lies below all rows before, then their deciles, then beyond."""
    total, passed, deciles, cuts = sum(one.count for one in bins), 0, -1, list[float]()
    for one in bins:
        if passed * GROUPS // total > deciles or one.count * GROUPS >= total:
            deciles = passed * GROUPS // total
            cuts.append(float(one.low))
        passed += one.count
    return [*cuts, np.nextafter(float(bins[-1].low), np.inf)] if bins else []


def _by_value(before: ColumnProfile, now: ColumnProfile) -> Iterator[tuple[int, int]]:
    was, is_ = ({one.value: one.count for one in column.frequent or ()} for column in (before, now))
    named = list(was)[:VALUES]
    yield from ((was[value], is_.get(value, 0)) for value in named)
    yield _known(before) - sum(was[value] for value in named), _known(now) - sum(is_.get(v, 0) for v in named)


def _known(column: ColumnProfile) -> int:
    return column.count - column.nulls - column.not_finite

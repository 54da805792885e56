"""Clean rows, put into one order and cut into the groups whose members are not independent.

Units are rows, or entities when keys repeat; blocks are runs of time in which models win or lose together
(gate.md section 1; Ibragimov & Müller 2010, t-statistic based correlation and heterogeneity robust inference).
Nothing is drawn: rows are sorted by key hash first, so that the same rows in any order give the same bytes.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from refit.core.errors import DataError

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
BlockKind = Literal["day", "week"]

LEAST_DAYS = 10
LEAST_WEEKS = 4
EQUAL_RUNS = 20
JACKKNIFE_GROUPS = 200
DAY_MICROSECONDS = 86_400_000_000


class NoCleanRows(DataError):
    """There is no row to judge on; such a run never promotes (faults.md 45)."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the candidate cannot be judged: {reason}",
            next="give the holdout more rows, or mend the query that brings them",
        )


@dataclass(frozen=True, eq=False)
class CleanRows:
    """Holdout rows that no compared model trained on, in any order.

    Attributes:
        y: The truth, shape (n,).
        keys: Keyed hash of each row's key, uint64: sorts the rows.
        entities: Keyed hash of each row's entity, uint64, when several rows may share one; None: each row is its own.
        cursor: datetime64[us] in UTC, or None without a cursor of time.
        weights: Row weights, or None for all 1.
    """

    y: Array
    keys: npt.NDArray[np.uint64]
    entities: npt.NDArray[np.uint64] | None = None
    cursor: npt.NDArray[np.datetime64] | None = None
    weights: Floats | None = None

    def __len__(self) -> int:
        return len(self.y)

    def order(self) -> Ints:
        """Row numbers of the rows that weigh anything, by key hash, then cursor.

        Raises:
            NoCleanRows: there are no rows, their weights sum to nothing, or a weight or a target is not a number.
        """
        if len(self) == 0:
            raise NoCleanRows("there are no clean rows")
        if self.y.dtype.kind == "f" and not np.isfinite(self.y).all():
            raise NoCleanRows("the target is NaN or infinite in some clean rows")
        weights = np.ones(len(self)) if self.weights is None else self.weights
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise NoCleanRows("some clean rows have a weight that is negative or not a number")
        sort_keys = (self.keys,) if self.cursor is None else (self.cursor.astype(np.int64), self.keys)
        order = np.lexsort(sort_keys)
        order = order[weights[order] > 0]
        if len(order) == 0:
            raise NoCleanRows("the weights of all clean rows are zero")
        return order

    def take(self, rows: Array) -> "CleanRows":
        return CleanRows(
            self.y[rows],
            self.keys[rows],
            None if self.entities is None else self.entities[rows],
            None if self.cursor is None else self.cursor[rows],
            None if self.weights is None else np.asarray(self.weights, dtype=float)[rows],
        )


@dataclass(frozen=True, eq=False)
class Partition:
    """Groups of rows; `codes` 0…count-1 per row, or None when every row is a group of its own."""

    codes: Ints | None
    count: int

    def sums(self, psi: Floats) -> Floats:
        """Sum of the influence in each group, shape (count,)."""
        if self.codes is None:
            return psi
        return np.asarray(np.bincount(self.codes, weights=psi, minlength=self.count), dtype=float)


@dataclass(frozen=True, eq=False)
class Sample:
    """Clean rows in their one order, with the partitions in which influence is summed.

    `blocks` is None only where rows are known to be independent in time (simulations of units alone).
    """

    y: Array
    weights: Floats | None
    units: Partition
    blocks: Partition | None
    groups: Partition
    """JACKKNIFE_GROUPS groups of whole units by keyed hash (fewer when there are fewer units)."""
    spans: int | None
    """Days (or weeks) that the rows cover; None without a cursor of time."""
    kind: BlockKind = "day"

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def scale(self) -> Floats:
        """n·w/W: row weights with mean 1."""
        if self.weights is None:
            return np.ones(len(self))
        return np.asarray(self.weights * (len(self) / self.weights.sum()), dtype=float)

    @property
    def enough_time(self) -> bool:
        """False when the rows cover too few days or weeks to tell levels from gains."""
        return self.spans is None or self.spans >= least_spans(self.kind)


def least_spans(kind: BlockKind) -> int:
    return LEAST_DAYS if kind == "day" else LEAST_WEEKS


def arrange(rows: CleanRows, kind: BlockKind) -> tuple[Sample, Ints]:
    """The sample of `rows`, and the row numbers that bring any model's responses into its order.

    Raises:
        NoCleanRows: as CleanRows.order does.
    """
    order = rows.order()
    ordered = rows.take(order)
    units, hashes = _units(ordered)
    spans, blocks = _blocks(ordered, kind)
    sample = Sample(ordered.y, ordered.weights, units, blocks, _groups(units, hashes), spans, kind)
    return sample, order


def _units(rows: CleanRows) -> tuple[Partition, npt.NDArray[np.uint64]]:
    if rows.entities is None:
        return Partition(None, len(rows)), rows.keys
    hashes, codes = np.unique(rows.entities, return_inverse=True)
    return (
        (Partition(None, len(rows)), rows.entities)
        if len(hashes) == len(rows)
        else (Partition(codes, len(hashes)), hashes)
    )


def _groups(units: Partition, hashes: npt.NDArray[np.uint64]) -> Partition:
    """Units dealt out in the order of their hash: groups differ by at most one unit."""
    count = min(JACKKNIFE_GROUPS, units.count)
    of_unit = np.empty(units.count, dtype=np.int64)
    of_unit[np.argsort(hashes, kind="stable")] = np.arange(units.count) % count
    return Partition(of_unit if units.codes is None else of_unit[units.codes], count)


def _blocks(rows: CleanRows, kind: BlockKind) -> tuple[int | None, Partition]:
    if rows.cursor is None:
        return None, _equal_runs(np.arange(len(rows)))
    instants = rows.cursor.astype("datetime64[us]").astype(np.int64)
    if kind == "day":
        spans = np.floor_divide(instants, DAY_MICROSECONDS)
    else:  # counted back from the newest row: a holdout of 28 days is four runs whatever hour it ends
        spans = -((instants.max() - instants) // (7 * DAY_MICROSECONDS))
    present, codes = np.unique(spans, return_inverse=True)
    if len(present) < least_spans(kind):
        return len(present), _equal_runs(np.argsort(instants, kind="stable"))
    return len(present), Partition(codes, len(present))


def _equal_runs(in_order: Ints) -> Partition:
    count = min(EQUAL_RUNS, len(in_order))
    codes = np.empty(len(in_order), dtype=np.int64)
    codes[in_order] = np.arange(len(in_order)) * count // len(in_order)
    return Partition(codes, count)

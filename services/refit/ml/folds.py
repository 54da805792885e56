"""Folds of the training rows that keep what the split of the file keeps: time runs forward, entities stay whole.

    time split    rows in order of the cursor are cut into folds + 1 stretches of about equal size, between two
                  instants; each stretch but the first is a test of a model of all before it (forward chaining, as
                  scikit-learn's TimeSeriesSplit). Test rows of an entity that the training rows have judge nothing
    hash split    each entity lies in one fold, chosen by the seed; where an entity is a row, every class is dealt out
                  evenly; each fold is a test of a model of all others

Test rows of a class that the training rows lack judge nothing either, as on the holdout. A search by halves takes the
same folds of fewer rows: those with the smallest ranks, so that each round's rows are among the next one's.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from refit.ml.frame import Array

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Folds:
    """Which rows each fold trains on and tests.

    Attributes:
        stretch: Of each row, from 0 on.
        count: Stretches that are tests: all, or of a time split all but stretch 0.
        forward: A test's training rows are the stretches before it, else all others.
        rank: Each row's place in a random order, by the seed.
        entities: A number for each row's entity; None: each row is its own, or the stretches keep them apart.
    """

    stretch: npt.NDArray[np.uint8]
    count: int
    forward: bool
    rank: npt.NDArray[np.int64]
    entities: npt.NDArray[np.uint64] | None = None

    def rows(self, fold: int, y: Array, limit: int | None = None) -> tuple[Rows, Rows]:
        """Numbers of the rows that a fold trains on, and of those that it tests, both ascending.

        Args:
            fold: From 0 to count − 1.
            y: The target of all rows; classes unless it is of floats.
            limit: So many rows of all, train and test together; None: all.
        """
        tested = fold + 1 if self.forward else fold
        train = self.stretch < tested if self.forward else self.stretch != tested
        test = self.stretch == tested
        if limit is not None:
            train &= self.rank < limit
            test &= self.rank < limit
        if self.entities is not None:
            test[test] = ~np.isin(self.entities[test], self.entities[train])
        if y.dtype.kind != "f":
            test[test] = np.isin(y[test], np.unique(y[train]))
        return np.flatnonzero(train), np.flatnonzero(test)


def by_time(cursors: Array, entities: npt.NDArray[np.uint64] | None, count: int, seed: int) -> Folds:
    """Folds of which each is later than the rows that it is trained on.

    Args:
        cursors: Of each row, as integers.
        entities: A number for each row's entity, where several rows may share one.
        count: How many are wanted; there are fewer where instants are.
    """
    ordered = np.sort(cursors)
    size = len(ordered) // (count + 1)
    starts = np.unique(ordered[[len(ordered) - size * left for left in range(count, 0, -1)]]) if size else ordered[:0]
    starts = starts[starts > ordered[0]] if len(starts) else starts
    stretch = np.searchsorted(starts, cursors, side="right").astype(np.uint8)
    return Folds(stretch, len(starts), True, _ranks(len(cursors), seed), entities)


def by_entity(y: Array, entities: npt.NDArray[np.uint64] | None, count: int, seed: int) -> Folds:
    """Folds of which each has whole entities, or an even share of every class where each row is an entity."""
    ranks = _ranks(len(y), seed)
    if entities is not None:
        names, codes = np.unique(entities, return_inverse=True)
        dealt = np.random.default_rng(seed).permutation(len(names))[codes]
        count = min(count, len(names))
    else:
        classes = np.unique(y, return_inverse=True)[1] if y.dtype.kind != "f" else np.zeros(len(y), dtype=np.int64)
        dealt = np.empty(len(y), dtype=np.int64)
        dealt[np.lexsort((ranks, classes))] = np.arange(len(y))
        count = min(count, len(y))
    return Folds((dealt % max(count, 1)).astype(np.uint8), count, False, ranks)


def _ranks(rows: int, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).permutation(rows)

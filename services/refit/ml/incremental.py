"""A fit by partial_fit: every training row is learned from, batch after batch, with memory that does not grow.

What the features learn (medians, means, scales, bounds, classes) they learn on the first FEATURE_ROWS rows of the
shuffled order, a random part; with fewer rows that is all of them. Then the estimator gets all rows in batches.

At each checkpoint the fit goes on with the model as its file gives it back. So an attempt that takes a checkpoint up
comes to the same bytes as one that nobody killed, whatever a file does not keep.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline as Steps

from refit.core.config import Pipeline
from refit.core.domain import BatchFit
from refit.ml import outliers, own, rows
from refit.ml.batches import DealtRows, Turn
from refit.ml.estimator import FEATURES_STEP, PLAIN_ROWS, learning
from refit.ml.frame import Array
from refit.ml.partial_fit import classes_argument, passes_of, weights_of
from refit.ml.persist import dump, load

FEATURE_ROWS: Final = 100_000
TOLD_ROWS: Final = 500_000
_FREQUENCY: Final = f"{FEATURES_STEP}__categorical__min_frequency"


@dataclass(frozen=True)
class State:
    """A fit between two batches.

    Attributes:
        body: The fitted steps as a model file.
        number: Of the checkpoint, from 1 on.
        batches, rows: Learned from so far, over all passes.
        dropped: Of these rows, outliers that were left out.
    """

    body: bytes
    number: int
    batches: int
    rows: int
    dropped: int
    warnings: tuple[str, ...]


Keep = Callable[[State], State]
"""Keeps a state and returns the one that stands: an attempt that was thought dead may have been first."""


@dataclass(frozen=True)
class Keeper:
    """Where the states of a fit are kept.

    Attributes:
        newest: The state to go on from; None: from the start.
    """

    keep: Keep = field(default=lambda state: state)
    newest: State | None = None


@dataclass(frozen=True, eq=False)
class BatchFitted:
    """A model that was fitted batch by batch.

    Attributes:
        rows: Learned from in each pass: all but outliers that were dropped.
        sample: A few rows, as the model takes them.
        notes: What was done to the rows, and what the libraries warned of.
    """

    steps: Steps
    rows: int
    sample: pd.DataFrame
    notes: tuple[str, ...]
    fit: BatchFit


def fit(steps: Steps, dealt: DealtRows, pipeline: Pipeline, keeper: Keeper, tell: Callable[[str], None]) -> BatchFitted:
    """The steps are fitted on all rows.

    Raises:
        BadParameter, UnfitRows, OwnCodeFails, CannotSave: as a fit on all rows at once.
    """
    settings = pipeline.model.batches
    assert settings is not None
    packages, there = own.packages(pipeline), dealt.shuffled.rows
    passes = passes_of(settings, steps[-1], there)
    batches = dealt.batches(settings.batch_rows)
    tell(f"{type(steps[-1]).__name__} on {there:,} rows in {batches:,} batches, {_times(passes)}")
    course, checkpoints = _Course(dealt, pipeline, packages, passes, tell), 0
    sample, learned_on = course.begin(steps, keeper.newest)
    for turn in dealt.turns(passes, settings.batch_rows, settings.checkpoint_rows):
        checkpoints = max(checkpoints, turn.checkpoint)
        if turn.number > course.batches:
            course.learn(turn)
            if turn.checkpoint and course.has_begun:
                course.restore(keeper.keep(course.state(turn.checkpoint)))
    with learning(course.steps[-1], len(dealt.classes), packages, course.said):
        course.steps.predict(sample)
    found = BatchFit(
        passes=passes,
        batches=passes * batches,
        learned_on=learned_on,
        checkpoints=checkpoints,
        resumed_from=keeper.newest.number if keeper.newest else None,
    )
    out = course.dropped // passes
    return BatchFitted(course.steps, there - out, sample, (*rows.dropped(out, there), *course.said), found)


@dataclass
class _Course:
    """A fit that goes on: the steps as far as they have come, and what has been told of them."""

    dealt: DealtRows
    pipeline: Pipeline
    packages: frozenset[str]
    passes: int
    tell: Callable[[str], None]
    steps: Steps = None
    batches: int = 0
    seen: int = 0
    dropped: int = 0
    said: dict[str, None] = field(default_factory=dict)
    bounds: tuple[Array, Array] | None = None
    weights: Array | None = None
    _block: tuple[int, int, pa.Table] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the estimator has learned from any row."""
        return self.seen > self.dropped

    def begin(self, steps: Steps, newest: State | None) -> tuple[pd.DataFrame, int]:
        """The features are learned, or the fit is where its newest state was; returns a few rows, and how many the
        features learn on."""
        X, y = self.dealt.xy(self.dealt.shuffled.first(FEATURE_ROWS))
        if columns := rows.columns_to_drop_by(self.pipeline):
            self.bounds = outliers.bounds(X[columns].to_numpy())
        X, y = self._within_bounds(X, y)
        self.weights = weights_of(steps[-1], self.pipeline.model, self.dealt.classes)
        if newest is not None:
            self.restore(newest)
            self.tell(f"goes on from checkpoint {newest.number}, after {newest.rows:,} rows")
        else:
            self.steps = steps
            share = len(X) / self.dealt.shuffled.rows
            if share < 1 and _FREQUENCY in steps.get_params():
                least = steps.get_params()[_FREQUENCY]
                steps.set_params(**{_FREQUENCY: max(1, round(least * share))})
            with learning(steps[-1], len(self.dealt.classes), self.packages, self.said):
                steps[0].fit(X, y)
        return X.iloc[:PLAIN_ROWS].copy(), len(X)

    def learn(self, turn: Turn) -> None:
        """The estimator has learned from the rows of one turn."""
        X, y = self._within_bounds(*self._rows(turn))
        arguments = {} if self.has_begun else classes_argument(self.steps[-1], self._labels())
        if self.weights is not None:
            arguments["sample_weight"] = self.weights[np.searchsorted(self._labels(), y)]
        if len(y):
            with learning(self.steps[-1], len(self.dealt.classes), self.packages, self.said):
                self.steps[-1].partial_fit(self.steps[0].transform(X), y, **arguments)
        self.batches, before, self.seen = turn.number, self.seen, turn.seen
        self.dropped += turn.stop - turn.start - len(y)
        there = self.dealt.shuffled.rows
        if self.seen // TOLD_ROWS > before // TOLD_ROWS or self.seen == there * self.passes:
            self.tell(f"pass {turn.passing + 1}/{self.passes}, {self.seen - turn.passing * there:,} of {there:,} rows")

    def state(self, number: int) -> State:
        """Where the fit is now, as checkpoint `number`."""
        return State(dump(self.steps), number, self.batches, self.seen, self.dropped, tuple(self.said))

    def restore(self, state: State) -> None:
        """The fit is where the state says, with the model that its file gives."""
        with own.OwnCode(self.packages):
            self.steps = load(state.body, own.trusted_types(state.body, self.packages))
        self.batches, self.seen, self.dropped = state.batches, state.rows, state.dropped
        self.said = dict.fromkeys(state.warnings)

    def _rows(self, turn: Turn) -> tuple[pd.DataFrame, Array]:
        if self._block is None or self._block[:2] != (turn.passing, turn.block):
            self._block = None  # or two blocks would be in memory at once
            self._block = (turn.passing, turn.block, self.dealt.shuffled.block(turn.block, turn.passing))
        return self.dealt.xy(self._block[2].slice(turn.start, turn.stop - turn.start))

    def _within_bounds(self, X: pd.DataFrame, y: Array) -> tuple[pd.DataFrame, Array]:
        if self.bounds is None:
            return X, y
        kept = outliers.between(X[rows.columns_to_drop_by(self.pipeline)].to_numpy(), *self.bounds)
        return X[kept].reset_index(drop=True), y[kept]

    def _labels(self) -> Array:
        labels = list(self.dealt.classes)
        return np.array(labels, dtype=object if labels and isinstance(labels[0], str) else None)


def _times(passes: int) -> str:
    return "one pass" if passes == 1 else f"{passes} passes"

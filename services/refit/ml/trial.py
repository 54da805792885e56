"""One combination of parameters on one fold: the whole Pipeline is fitted on its training rows and scored on its test.

This is what a worker process of a search does. Nothing that a combination does ends it: whatever is raised, but for
want of memory or disk, is an answer too.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline as Steps

from refit.core import logs
from refit.core.config import Pipeline
from refit.core.domain import Column
from refit.core.errors import DataError, RefitError
from refit.ml import estimator, outliers, own, scores
from refit.ml.folds import Folds, Rows
from refit.ml.frame import Array

BATCH_ROWS: Final = 65_536
PROBE_ROWS: Final = 1000


@dataclass(frozen=True, eq=False)
class Ground:
    """What all trials of a search share.

    Attributes:
        pipeline: The file; each combination is written over its params.
        columns: The snapshot's.
        X, y: The training rows, raw.
        drop: Columns whose outliers cost a training row its place (`outliers: drop_3sigma`).
        combinations: By their numbers.
        packages: Those of the user's own code.
    """

    pipeline: Pipeline
    columns: tuple[Column, ...]
    X: pd.DataFrame
    y: Array
    folds: Folds
    scoring: str
    combinations: Sequence[dict[str, Any]] = field(default_factory=list)
    drop: tuple[str, ...] = ()
    packages: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Trial:
    """What is to be tried: a combination on a fold of so many of the rows."""

    combination: int
    fold: int
    rows: int


@dataclass(frozen=True)
class Answer:
    """What came of it.

    Attributes:
        score: Greater is better; None where it failed.
        failure: Why, in a sentence.
        blames: What an operator would have to change.
    """

    score: float | None = None
    failure: str = ""
    blames: Literal["file", "rows"] = "file"
    seconds: float = 0.0


class _Failure:
    """Within it, whatever an estimator raises is kept as an answer; want of memory or disk, and signals, pass."""

    answer: Answer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> bool:
        if error is None or not own.fails_by_itself(error):
            return False
        words = error.message if isinstance(error, RefitError) else f"{type(error).__name__}: {logs.foreign(error)}"
        blames: Literal["file", "rows"] = "rows" if isinstance(error, DataError) else "file"
        self.answer = Answer(None, logs.redact(words)[:400], blames)
        return True


def attempt(ground: Ground, trial: Trial) -> Answer:
    """The score of a combination on a fold, or why it has none.

    Raises:
        MemoryError: there is too little of it.
        OSError: the disk is full or fails.
    """
    started = time.monotonic()
    train, test = ground.folds.rows(trial.fold, ground.y, trial.rows)
    failure = _Failure()
    with failure:
        answer = _scored(ground, ground.combinations[trial.combination], train, test)
        return _timed(answer, started)
    assert failure.answer is not None
    return _timed(failure.answer, started)


def means_something(ground: Ground, fold: int, rows: int) -> bool:
    """Whether a fold of so many rows can be learned from and scored at all."""
    train, test = ground.folds.rows(fold, ground.y, rows)
    if not len(train) or not len(test):
        return False
    y, tested = ground.y, ground.y[test[:PROBE_ROWS]]
    if ground.pipeline.task == "regression":
        said = scores.Responses(None, np.full(len(tested), y[train].mean()))
    else:
        classes, there = np.unique(y[train]), np.unique(y[test])
        named = ground.pipeline.model.class_weight
        if len(classes) < 2 or (isinstance(named, dict) and not set(named) <= set(classes.tolist())):
            return False
        tested = np.concatenate([there, tested])  # what a score means hangs on the classes that are there
        even = np.full((len(tested), len(classes)), 1 / len(classes))
        said = scores.Responses(classes, np.full(len(tested), classes[0]), even)
    with _Failure():
        return bool(np.isfinite(scores.value(ground.scoring, said, tested)))
    return True  # a scorer that asks for more than this model says: the trials will tell


def _scored(ground: Ground, params: dict[str, Any], train: Rows, test: Rows) -> Answer:
    model = ground.pipeline.model.model_copy(update={"params": {**ground.pipeline.model.params, **params}})
    steps = estimator.build(ground.pipeline.model_copy(update={"model": model}), ground.columns)
    _alone(steps)
    X, y = ground.X.iloc[train].reset_index(drop=True), ground.y[train]
    if ground.drop:
        kept = outliers.inside(X[list(ground.drop)].to_numpy())
        X, y = X[kept].reset_index(drop=True), y[kept]
    with joblib.parallel_config(backend="sequential"):
        estimator.fit(steps, X, y, model, ground.packages)
        with own.OwnCode(ground.packages):
            said = scores.collect(steps, _batches(ground.X, test))
    if bad := said.not_finite():
        return Answer(None, f"says NaN or infinity of {bad:,} of {len(said):,} rows", "file")
    score = scores.value(ground.scoring, said, ground.y[test])
    if not np.isfinite(score):
        return Answer(None, f"{ground.scoring} has no value on these rows", "rows")
    return Answer(score)


def _alone(steps: Steps) -> None:
    """The steps start no threads or processes of their own: the search has one for each core already."""
    names = [name for name in steps.get_params() if name == "n_jobs" or name.endswith("__n_jobs")]
    steps.set_params(**dict.fromkeys(names, 1))


def _batches(X: pd.DataFrame, rows: Rows) -> Iterator[pd.DataFrame]:
    for start in range(0, len(rows), BATCH_ROWS):
        yield X.iloc[rows[start : start + BATCH_ROWS]].reset_index(drop=True)


def _timed(answer: Answer, started: float) -> Answer:
    return Answer(answer.score, answer.failure, answer.blames, time.monotonic() - started)


# --- in a worker process ------------------------------------------------------


def store(ground: Ground, path: Path) -> None:
    """The ground stands in a file that workers map rather than copy."""
    joblib.dump(ground, path)


@cache
def _ground(path: Path) -> Ground:
    found: Ground = joblib.load(path, mmap_mode="r")
    return found


def attempt_stored(path: Path, trial: Trial) -> Answer:
    """As `attempt`, on the ground that `store` left."""
    with logs.one_call():
        ground = _ground(path)
        if ground.pipeline.sensitive:
            logs.withhold()
        return attempt(ground, trial)

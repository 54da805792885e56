"""Which rows are held out: by time, or by a keyed hash of the entity. Pure.

Time split: training rows have a cursor up to the cut; holdout rows lie in (cut, as_of − lag], less the keys that
were first seen up to the cut. Hash split: an entity is held out in every run, or in none.
Source: the design's section "A fair comparison" and gate.md section 5.
"""

from datetime import datetime

import numpy as np

from refit.core.config import Pipeline
from refit.core.config_sections import HashSplit, TimeSplit
from refit.data.hashing import Words


def window_start(pipeline: Pipeline, as_of: datetime) -> datetime | None:
    """Rows at or before this cursor lie outside the window; None: the window is all of the past."""
    return as_of - pipeline.window.length if pipeline.window.length is not None else None


def window_end(pipeline: Pipeline, as_of: datetime) -> datetime:
    """Rows after this cursor are too young to be read."""
    return as_of - pipeline.source.lag


def cut(pipeline: Pipeline, as_of: datetime, first_cursor: datetime | None) -> datetime:
    """The cursor at which the training rows of a time split end and the holdout begins.

    Args:
        first_cursor: The earliest cursor in the window. A fraction is one of the stretch from there, or from the
            start of a rolling window if that is later, to `as_of`; None stands for a window that is full.

    Raises:
        TypeError: the pipeline has a hash split.
    """
    if not isinstance(pipeline.split, TimeSplit):
        raise TypeError("a hash split has no cut")
    holdout = pipeline.split.holdout
    if not isinstance(holdout, float):
        return as_of - holdout
    starts = [start for start in (window_start(pipeline, as_of), first_cursor) if start is not None]
    return as_of - holdout * (as_of - max(starts, default=as_of))


def is_held_out(hashes: Words, fraction: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which entities are held out, of shape (rows,): those whose hash lies in the lowest `fraction` of all 2^64."""
    return hashes < np.uint64(min(round(fraction * 2**64), 2**64 - 1))


def entity(pipeline: Pipeline) -> tuple[tuple[str, ...], str]:
    """The columns whose equal rows stay on one side of the split, and the salt of their hash."""
    return pipeline.split.by or pipeline.source.key, pipeline.split.salt or pipeline.name


def entities(pipeline: Pipeline) -> tuple[str, ...] | None:
    """The columns of the entity where several rows may share one; None: each key is its own entity."""
    by = entity(pipeline)[0]
    return by if set(by) != set(pipeline.source.key) else None


def hash_fraction(pipeline: Pipeline) -> float | None:
    """The held-out fraction of a hash split; None for a time split."""
    return pipeline.split.holdout if isinstance(pipeline.split, HashSplit) else None

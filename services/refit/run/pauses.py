"""The pauses of a run between attempts of a step: how long, and what others are told of the long ones."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from refit.core import keys
from refit.core.domain import Failure, Pause
from refit.core.errors import RefitError
from refit.core.objective import Patience
from refit.core.store import ObjectStore
from refit.run.executor import Attempt, Ended, is_retried, jitter, pause_left

NOTED_SECONDS: Final = 60.0
"""A pause that is shorter is told by nothing but the log."""


def pause_before_next(patience: Patience, attempt: Attempt, ended: Ended | None, failure: Failure) -> float | None:
    """Seconds to the next attempt; None: there is none.

    Args:
        ended: None where the attempt could not begin.
    """
    planned = None
    if is_retried(failure):
        planned = patience.planned(attempt.number, failure.error_class, failure.type)
    if planned is None:
        return None
    now = datetime.now(UTC)
    if ended is None or ended.at is None:
        return patience.fitted(attempt.number, planned, now)
    # as it was when the attempt ended: a process that takes the run up within the pause comes to the same one
    fitted = patience.fitted(attempt.number, planned * (1 + jitter(attempt)), ended.at)
    if fitted is None or patience.fitted(attempt.number, 0.0, now) is None:
        return None
    return pause_left(ended.at, fitted, now)


def note(store: ObjectStore, attempt: Attempt, failure: Failure, seconds: float) -> None:
    """Whoever asks is told what the run waits for, where it is long; a store that is away costs only that."""
    if seconds < NOTED_SECONDS:
        return
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    pause = Pause(step=attempt.step, number=attempt.number, failure=failure, until=until)
    with suppress(RefitError):
        store.put(keys.pause(attempt.run_id), pause.to_json())

"""How long a run goes on trying: derived from the objective, the schedule and the time a run takes. Pure.

Of a failure that may pass by itself for long (a database, bucket or cluster that is away) the next try comes after 5 s,
20 s, then four times as long each time, until a pause is a twelfth of the time that there is, or an hour where that is
longer. So a run goes on by the time that an outage has lasted twice as long on average, and four times at most, or has
been over for that longest pause; it takes about twenty tries, whether there is a day or a month.

The time that there is ends where a run no longer fits before the objective breaks, or before the next scheduled run
begins, which is fresher than another try of this one. A run that begins after the objective broke has only the latter:
those who had to be told have been, and each try may still end it.

What is in these values follows from records, so that a coordinator that takes the run up comes to the same ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

OnFailure = Literal["retry", "alert", "record"]
End = Literal["objective", "schedule"]
"""What the tries of a run stop before."""

USUAL_PAUSES: Final = (5.0, 20.0)
"""Between tries of what may pass by itself, objective or not: the third may meet a new pod, node or connection."""
ONCE_MORE: Final = (20.0,)
FACTOR: Final = 4.0
SHORTEST_LIMIT: Final = 3600.0
"""Pauses may grow so long, however little time there is."""
PART: Final = 12
"""No pause is longer than this part of the time that there is, but for `SHORTEST_LIMIT`."""
PATIENT_CLASSES: Final = frozenset({"dependency", "start"})
"""What passes by itself without a change here. Memory that was too little stays so, and each try costs a fit."""
IMPATIENT_TYPES: Final = frozenset({"StatementTimeout", "WorkerKilled"})
"""Types of failures of these classes for which that holds too, or that cost the database a whole query each time."""
FIRST_RUN: Final = timedelta(hours=1)
"""How long a run is taken to last before one has shown it."""
STARTING: Final = timedelta(minutes=2)
"""What pods and images may add."""
MARGIN: Final = 1.5
"""How much longer than the longest of the last ones a run may take."""


@dataclass(frozen=True)
class Patience:
    """How often a step is tried, and until when.

    Attributes:
        pauses: Seconds between tries, if these took no time; one more try than pauses.
        until: No try begins later, but for the usual ones; None: there are no others.
        end: What comes then; None: there are the usual tries alone.
        ends_at: When that comes.
        takes: How long a run is taken to last, which `until` leaves room for.
    """

    pauses: tuple[float, ...] = USUAL_PAUSES
    until: datetime | None = None
    end: End | None = None
    ends_at: datetime | None = None
    takes: timedelta = FIRST_RUN

    @property
    def tries(self) -> int:
        """How often a step is tried at most."""
        return len(self.pauses) + 1

    def planned(self, number: int, error_class: str, error_type: str = "") -> float | None:
        """Seconds between try `number` and the next one, by how it failed; None: there is no next one."""
        if number > len(self.pauses):
            return None
        may_pass = error_class in PATIENT_CLASSES and error_type not in IMPATIENT_TYPES
        if number > len(USUAL_PAUSES) and not may_pass:
            return None
        return self.pauses[number - 1]

    def fitted(self, number: int, pause: float, now: datetime) -> float | None:
        """The pause as it can still be: cut so that the last try begins at `until`, or None where too little is left.

        Args:
            number: The try that failed.
            pause: As `planned`, with its jitter.
        """
        if self.until is None or number <= len(USUAL_PAUSES):
            return pause
        left = (self.until - now).total_seconds()
        return min(pause, left) if left >= pause / 2 else None


def patience(
    on_failure: OnFailure,
    max_age: timedelta | None,
    *,
    confirmed_at: datetime | None,
    next_at: datetime | None,
    takes: timedelta,
    begun_at: datetime,
) -> Patience:
    """How long a run that began at `begun_at` goes on trying.

    Args:
        max_age: The objective; None: there is none.
        confirmed_at: When a verdict last confirmed or replaced the champion; None: nothing can break yet.
        next_at: The schedule's first moment after `begun_at`; None: it names none.
        takes: How long a run lasts (`reserve`).
    """
    if on_failure == "record":
        return Patience((), takes=takes)
    if on_failure == "alert":
        return Patience(ONCE_MORE, takes=takes)
    if max_age is None or confirmed_at is None:
        return Patience(takes=takes)
    ends: list[tuple[datetime, End]] = [(next_at, "schedule")] if next_at else []
    if (breaks_at := confirmed_at + max_age) > begun_at:
        ends.append((breaks_at, "objective"))
    if not ends:
        return Patience(takes=takes)
    ends_at, end = min(ends)
    until = ends_at - takes
    pauses = tuple(spread((until - begun_at).total_seconds()))
    if len(pauses) <= len(USUAL_PAUSES):
        return Patience(takes=takes)
    return Patience(pauses, until, end, ends_at, takes)


def spread(seconds: float) -> Iterator[float]:
    """The pauses that fit into so many seconds; the last one is cut, by half at most, to end with them.

    Each is at least as long as the one before it, but for the last. More seconds give as many pauses or more.
    """
    limit = max(SHORTEST_LIMIT, seconds / PART)
    pause, left = USUAL_PAUSES[0], seconds
    while left >= pause / 2:
        yield min(pause, left)
        left -= pause
        pause = min(pause * FACTOR, limit)


def reserve(lasted: timedelta | None) -> timedelta:
    """How long a run is taken to last at most, by the longest of the last ones; None: there were none."""
    return FIRST_RUN if lasted is None else lasted * MARGIN + STARTING

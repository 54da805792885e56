"""What a person decides about bad rows."""

from typing import Literal

from refit.core.domain.base import Instant, Record, Value


class Stretch(Value):
    """Cursors from `start` to `end`, both included."""

    start: Instant
    end: Instant


class Decision(Value):
    """What becomes of the rows that one run put into quarantine."""

    run_id: str
    action: Literal["release", "drop"]
    rows: int
    at: Instant
    who: str
    why: str
    stretches: tuple[Stretch, ...] = ()
    """Where a release reads again."""


class QuarantineRef(Record):
    """refs/quarantine.json: the last decision about each run's rows, in the order in which they were made."""

    token: str
    generation: int
    entries: tuple[Decision, ...] = ()

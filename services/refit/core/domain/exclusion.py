"""Rows that a person leaves out."""

from refit.core.domain.base import Instant, Record, Value


class Undone(Value):
    """Who took an exclusion back, when and why."""

    at: Instant
    who: str
    why: str


class Exclusion(Value):
    """Rows that no model sees while it stands; data/where.py reads `where`."""

    number: int
    """From 1 on, never given twice."""
    where: str
    at: Instant
    who: str
    why: str
    undone: Undone | None = None


class ExclusionsRef(Record):
    """refs/exclusions.json: all exclusions ever made, oldest first."""

    token: str
    generation: int
    entries: tuple[Exclusion, ...] = ()

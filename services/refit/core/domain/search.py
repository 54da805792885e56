"""What a search for parameters tried, and what it chose."""

from typing import Any

from pydantic import Field

from refit.core.domain.base import Artifact, Record, Value


class Trial(Value):
    """One combination in one round."""

    round: int
    """From 1 on."""
    mean: float
    """Of its scores on the folds; greater is better."""
    std: float
    seconds: float
    """Fits and scores of all folds, one after the other."""


class Combination(Value):
    """Parameters that were tried, or would have been, had the time sufficed."""

    number: int
    """0 is the file's own params; the others in the order in which they were drawn."""
    params: dict[str, Any] = Field(default_factory=dict)
    """What is drawn from the space; empty for the file's own."""
    trials: tuple[Trial, ...] = ()
    """One for each round that it was in to the end."""
    failure: str = ""
    """Why it could not be fitted or scored."""


class SearchTable(Record):
    """search.json: all that a search tried."""

    scoring: str
    folds: int
    rows: tuple[int, ...]
    """Training rows that each round's folds are made of."""
    chosen: int
    """Number of the combination that was taken."""
    chosen_in: int | None = None
    """The round that decided, from 1 on; None where the time sufficed for nothing."""
    combinations: tuple[Combination, ...]


class Searched(Value):
    """A search in short, as the train manifest tells it."""

    params: dict[str, Any] = Field(default_factory=dict)
    """What was chosen from the space; empty where the file's own params did best."""
    scoring: str
    score: float | None = None
    """Mean over the folds of what was chosen; None where the time sufficed for nothing."""
    own_score: float | None = None
    """The same of the file's own params; None where they failed, or the time did not suffice."""
    tried: int
    """Combinations that were fitted and scored, or failed."""
    combinations: int
    """How many there were to try, the file's own params among them."""
    folds: int
    seconds: float
    workers: int
    memory_bytes: int = 0
    """What they held at most, together: the largest of them times their number."""
    is_cut: bool = False
    """The time budget ended it; the same rows and file may choose otherwise."""
    table: Artifact

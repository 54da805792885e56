"""Decisions about bad rows: refs/quarantine.json, moved by compare-and-swap.

A release makes the next extract that reads rows read the stretches of the cursor again in which the bad rows lie: the
source may have corrected them without moving their cursor. Rows that fit the contract now are taken; the others come
into that run's quarantine. The batch names what it read again, so that each release is read once. Nothing is deleted
by a drop: manifests name what they made for as long as the run is kept.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from refit.core.domain import Batch, Decision, QuarantineRef, Stretch
from refit.core.errors import ConfigError, SupersededError
from refit.core.refs import move_ref, new_token, read_ref
from refit.core.store import Conflict, ObjectStore

MOST_STRETCHES: Final = 100


class DecisionsMoved(SupersededError):
    """Another person decided at the same moment."""

    def __init__(self) -> None:
        super().__init__(
            "another person decided about bad rows at this moment; nothing was changed by this command",
            next="look at them with refit quarantine list NAME, then repeat the command",
        )


def decisions(store: ObjectStore) -> tuple[Decision, ...]:
    """The last decision about each run's rows."""
    found = read_ref(store, "quarantine", QuarantineRef)
    return found[0].entries if found else ()


def decide(store: ObjectStore, decision: Decision) -> None:
    """The decision stands, instead of an earlier one about the same run.

    Raises:
        ConfigError: the same was decided before.
        DecisionsMoved: another person was first.
    """
    found = read_ref(store, "quarantine", QuarantineRef)
    entries = found[0].entries if found else ()
    before = next((one for one in entries if one.run_id == decision.run_id), None)
    if before is not None and before.action == decision.action:
        done = "released" if decision.action == "release" else "dropped"
        raise ConfigError(
            f"the rows of {decision.run_id} were {done} already, by {before.who} on {before.at:%Y-%m-%d}",
            next="rows that were bad again are those of the run that read them: refit quarantine list NAME",
        )
    ref = QuarantineRef(
        token=new_token(),
        generation=found[0].generation + 1 if found else 1,
        entries=(*(one for one in entries if one is not before), decision),
    )
    try:
        move_ref(store, "quarantine", ref, found[1] if found else None)
    except Conflict as error:
        raise DecisionsMoved from error


def releases(store: ObjectStore) -> tuple[Decision, ...]:
    """The releases that stand."""
    return tuple(one for one in decisions(store) if one.action == "release")


def pending(released: Iterable[Decision], batches: Sequence[Batch]) -> tuple[Decision, ...]:
    """The releases that no batch has read again."""
    read = {run_id for batch in batches for run_id in batch.released}
    return tuple(one for one in released if one.run_id not in read)


def stretches(cursors: Iterable[datetime], most: int = MOST_STRETCHES) -> tuple[Stretch, ...]:
    """The shortest stretches, at most so many, that hold all the cursors."""
    at = sorted(set(cursors))
    if not at:
        return ()
    gaps = sorted(range(1, len(at)), key=lambda place: at[place] - at[place - 1], reverse=True)
    edges = [0, *sorted(gaps[: most - 1]), len(at)]
    return tuple(Stretch(start=at[first], end=at[after - 1]) for first, after in pairwise(edges))

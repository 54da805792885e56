"""The rows that a person leaves out: refs/exclusions.json, moved by compare-and-swap.

An extract names the standing exclusions in its snapshot, and whoever reads that snapshot applies these, whatever is
excluded or taken back later. So a model's training rows stay what they were when it was fitted.
"""

from datetime import datetime
from typing import Final

from refit.core.domain import Exclusion, ExclusionsRef, Undone
from refit.core.errors import ConfigError, SupersededError
from refit.core.refs import move_ref, new_token, read_ref
from refit.core.store import Conflict, ObjectStore

MOST: Final = 100


class NoSuchExclusion(ConfigError):
    """There is nothing to take back."""

    def __init__(self, number: int | None, standing: tuple[Exclusion, ...]) -> None:
        known = ", ".join(str(one.number) for one in standing[-10:])
        what = "no exclusion stands" if number is None else f"there is no standing exclusion {number}"
        super().__init__(what, next=f"there are {known}" if known and number is not None else "")


class TooManyExclusions(ConfigError):
    """Every reader of every row would have to look at too many conditions."""

    def __init__(self) -> None:
        super().__init__(
            f"{MOST} exclusions stand already",
            next="correct the rows in the source, read them anew with --full-refresh, and take exclusions back",
        )


class ExclusionsMoved(SupersededError):
    """Another person changed the exclusions at the same moment."""

    def __init__(self) -> None:
        super().__init__(
            "the exclusions were changed by another person at this moment; nothing was changed by this command",
            next="look at them with refit exclude NAME, then repeat the command",
        )


def read_exclusions(store: ObjectStore) -> tuple[Exclusion, ...]:
    """All that were ever made, oldest first."""
    found = read_ref(store, "exclusions", ExclusionsRef)
    return found[0].entries if found else ()


def standing(store: ObjectStore) -> tuple[Exclusion, ...]:
    """Those that are not taken back, oldest first."""
    return tuple(one for one in read_exclusions(store) if one.undone is None)


def are_equal(some: tuple[Exclusion, ...], others: tuple[Exclusion, ...]) -> bool:
    """Whether both leave out the same rows."""
    return {one.where for one in some} == {one.where for one in others}


def exclude(store: ObjectStore, where: str, *, who: str, why: str, now: datetime) -> Exclusion:
    """The rows are left out from the next extract on.

    Args:
        where: A condition that data/where.py has read.

    Raises:
        TooManyExclusions: MOST stand already.
        ConfigError: the same condition stands already.
        ExclusionsMoved: another person was first.
    """
    found = read_ref(store, "exclusions", ExclusionsRef)
    entries = found[0].entries if found else ()
    active = [one for one in entries if one.undone is None]
    if twin := next((one for one in active if one.where == where), None):
        raise ConfigError(f"exclusion {twin.number} says the same already")
    if len(active) >= MOST:
        raise TooManyExclusions
    made = Exclusion(number=max((one.number for one in entries), default=0) + 1, where=where, at=now, who=who, why=why)
    _move(store, found, (*entries, made))
    return made


def undo(store: ObjectStore, number: int | None, *, who: str, why: str, now: datetime) -> Exclusion:
    """The exclusion (None: the newest that stands) is taken back: its rows are seen again from the next extract on.

    Raises:
        NoSuchExclusion: it was never made, or taken back before.
        ExclusionsMoved: another person was first.
    """
    found = read_ref(store, "exclusions", ExclusionsRef)
    entries = found[0].entries if found else ()
    active = tuple(one for one in entries if one.undone is None)
    chosen = next((one for one in reversed(active) if number in (None, one.number)), None)
    if chosen is None:
        raise NoSuchExclusion(number, active)
    undone = chosen.model_copy(update={"undone": Undone(at=now, who=who, why=why)})
    _move(store, found, tuple(undone if one is chosen else one for one in entries))
    return undone


def _move(store: ObjectStore, found: tuple[ExclusionsRef, str] | None, entries: tuple[Exclusion, ...]) -> None:
    generation = found[0].generation + 1 if found else 1
    ref = ExclusionsRef(token=new_token(), generation=generation, entries=entries)
    try:
        move_ref(store, "exclusions", ref, found[1] if found else None)
    except Conflict as error:
        raise ExclusionsMoved from error

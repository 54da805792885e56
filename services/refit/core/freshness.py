"""When the champion was confirmed, how long runs took, and what follows for the objective: read from records.

The champion is fresh while the last verdict that confirmed or replaced it, or the last move by hand, is younger than
`slo.max_age`.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Final

from refit.core import keys
from refit.core.config import Pipeline
from refit.core.domain import STEPS, Move, Outcome, VerdictRef
from refit.core.errors import ArtifactError
from refit.core.objective import Patience, patience, reserve
from refit.core.refs import read_ref
from refit.core.registry import read_champion, stands_since
from refit.core.runs import read_outcome, readable, run_ids
from refit.core.store import ObjectStore

WINDOW: Final = timedelta(days=28)
MOST_READS: Final = 100
"""Documents that are read for the share, of runs and of moves each; what lies before counts as never confirmed."""
RECENT_RUNS: Final = 10
WHOLE_RUNS: Final = 5
_MOVES: Final = frozenset({"publish", "promote", "rollback"})
"""Those that put a version into production."""


def confirmed_at(store: ObjectStore) -> datetime | None:
    """When the champion was last confirmed, replaced or moved by hand; None: there is none.

    Raises:
        ArtifactError: champion.json or verdict.json is lost or malformed.
    """
    champion = read_champion(store)
    if champion is None:
        return None
    promoted_at = stands_since(store, champion[0])
    verdict = read_ref(store, "verdict", VerdictRef)
    return max(promoted_at, (verdict[0].confirmed_at if verdict else None) or promoted_at)


def read_patience(store: ObjectStore, pipeline: Pipeline, begun_at: datetime) -> Patience:
    """How long a run that began then goes on trying, by the records that stand.

    Raises:
        ArtifactError: a ref is lost or malformed.
    """
    slo, schedule = pipeline.slo, pipeline.schedule
    if slo.on_failure != "retry" or slo.max_age is None:
        return patience(slo.on_failure, None, confirmed_at=None, next_at=None, takes=reserve(None), begun_at=begun_at)
    return patience(
        slo.on_failure,
        slo.max_age,
        confirmed_at=confirmed_at(store),
        next_at=schedule.next_after(begun_at) if schedule else None,
        takes=reserve(longest_run(store)),
        begun_at=begun_at,
    )


def longest_run(store: ObjectStore) -> timedelta | None:
    """How long the steps of the longest of the last five whole runs took; None: no run came so far."""
    recent = islice(reversed(list(run_ids(store))), RECENT_RUNS)
    found = (outcome for run_id in recent if (outcome := _outcome(store, run_id)) and _is_whole(outcome))
    took = [sum(step.seconds for step in one.steps.values()) for one in islice(found, WHOLE_RUNS)]
    return timedelta(seconds=max(took)) if took else None


def _is_whole(outcome: Outcome) -> bool:
    steps = outcome.steps
    return outcome.error is None and steps.keys() == set(STEPS) and not any(one.reused_from for one in steps.values())


def fresh_share(
    moments: Iterable[datetime], max_age: timedelta, now: datetime, window: timedelta = WINDOW
) -> float | None:
    """Share of the window up to now within `max_age` of a confirmation, counted from the first; None: there is none.

    Args:
        moments: When the champion was confirmed or replaced; those before the window count as far as they reach into
            it.
    """
    found = sorted(at for at in moments if at <= now)
    if not found:
        return None
    start = max(now - window, found[0])
    length = (now - start).total_seconds()
    if length <= 0:
        return 1.0
    spans = ((max(at, start), min(at + max_age, after)) for at, after in pairwise([*found, now]))
    return min(1.0, sum(max(0.0, (end - begin).total_seconds()) for begin, end in spans) / length)


def read_fresh_share(store: ObjectStore, max_age: timedelta, now: datetime) -> float | None:
    """As `fresh_share`, by runs and moves of the store; a document that cannot be read confirms nothing."""
    since = now - WINDOW - max_age
    return fresh_share((*_confirming_runs(store, since, max_age), *_moves(store, since)), max_age, now)


def _confirming_runs(store: ObjectStore, since: datetime, max_age: timedelta) -> Iterator[datetime]:
    """When runs confirmed the champion, the newest first, by few reads.

    Of the runs within `max_age` before a confirmation the oldest that confirmed is enough: what lies between the two is
    fresh. So a pipeline that is well costs a read or two for each `max_age`.
    """
    ids = [run_id for run_id in run_ids(store) if _begun_by_id(run_id) >= since]
    reads = iter(range(MOST_READS))
    last: datetime | None = None
    while ids and next(reads, None) is not None:
        within = next((place for place, one in enumerate(ids) if last and _begun_by_id(one) >= last - max_age), None)
        if within is None:
            at = _confirmed_by(store, ids.pop())
        else:
            at = _confirmed_by(store, ids.pop(within))
            if at is not None:
                del ids[within:]
        if at is not None:
            yield at
            last = at if last is None else min(at, last)


def _begun_by_id(run_id: str) -> datetime:
    """When the run began, as its id says; the beginning of time where it says nothing."""
    with suppress(ValueError):
        return datetime.strptime(f"{run_id[:15]}+0000", "%Y%m%dt%H%M%S%z")
    return datetime.min.replace(tzinfo=UTC)


def _confirmed_by(store: ObjectStore, run_id: str) -> datetime | None:
    """When the run replaced or confirmed the champion, as publish has it; None: it did neither."""
    outcome = _outcome(store, run_id)
    return outcome.finished_at if outcome is not None and outcome.confirmed else None


def _moves(store: ObjectStore, since: datetime) -> Iterator[datetime]:
    """When a version came into production, the newest first, and the last time before `since`."""
    champion = readable(lambda: read_champion(store))
    if champion is None:
        return
    move = champion[0]
    for generation in range(move.generation - 1, max(-1, move.generation - MOST_READS), -1):
        if move.kind in _MOVES:
            yield move.at
            if move.at < since:
                return
        key = keys.history(generation)
        try:
            move = Move.from_json(store.get(key), key)
        except ArtifactError:
            return


def _outcome(store: ObjectStore, run_id: str) -> Outcome | None:
    return readable(lambda: read_outcome(store, run_id))

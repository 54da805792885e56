"""Where a pipeline stands by the store's records; what cannot be read is not known."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from refit.core import artifacts
from refit.core.config import Pipeline, parse_pipeline
from refit.core.domain import Artifact, Outcome, SnapshotRef, VerdictRef
from refit.core.errors import RefitError
from refit.core.freshness import read_fresh_share
from refit.core.refs import read_ref
from refit.core.registry import known_moves, read_champion, read_version, stands_since
from refit.core.runs import read_outcome, recorded_runs
from refit.core.samples import Standing
from refit.core.store import ObjectStore

LOOKED_BACK: Final = 50
"""Runs that are looked through at most."""
_DECIDED: Final = frozenset({"promoted", "rejected", "awaiting_approval"})
_UNCOUNTED: Final = frozenset({"skipped", "superseded"})
Found = TypeVar("Found")


@dataclass
class _Past:
    """What the newest runs tell.

    Attributes:
        decided: The newest run that had a verdict.
        unconfirmed: Runs since one confirmed or replaced the champion.
    """

    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    decided: Outcome | None = None
    unconfirmed: int = 0


def read_standing(store: ObjectStore, file: Artifact, now: datetime) -> Standing:
    """Where the pipeline stands.

    Args:
        file: The pipeline file as its newest run kept it.
        now: What the schedule's next moment comes after.
    """
    champion = known(lambda: read_champion(store))
    snapshot = known(lambda: read_ref(store, "snapshot", SnapshotRef))
    move = champion[0] if champion else None
    version = known(partial(read_version, store, move.version)) if move else None
    promoted_at = known(partial(stands_since, store, move)) if move else None
    pipeline = read_pipeline(store, file)
    max_age = pipeline.slo.max_age if pipeline else None
    past = known(partial(_look_back, store, promoted_at))  # a part of it would tell of other runs than the newest
    return Standing(
        succeeded_at=past.succeeded_at if past else None,
        failed_at=past.failed_at if past else None,
        next_at=next_at(pipeline, now) if pipeline else None,
        watermark=snapshot[0].watermark if snapshot else None,
        champion=move,
        promoted_at=promoted_at,
        confirmed_at=known(partial(_confirmed_at, store, promoted_at)) if promoted_at else None,
        scores=version.scores if version else {},
        quarantine_limit=pipeline.on_bad_row.max_fraction if pipeline else None,
        unconfirmed=past.unconfirmed if past else None,
        is_file_known=pipeline is not None,
        max_age=max_age,
        fresh_share=known(partial(read_fresh_share, store, max_age, now)) if max_age else None,
        awaits_approval=known(partial(_awaits_approval, store, past.decided)) if past else None,
    )


def read_pipeline(store: ObjectStore, file: Artifact) -> Pipeline | None:
    """What the file says; None where it is lost, or another version of refit wrote it."""
    return known(lambda: parse_pipeline(artifacts.read(store, file), file.key))


def next_at(pipeline: Pipeline, after: datetime) -> datetime | None:
    """The moment that the schedule names next; None without one."""
    schedule = pipeline.schedule
    return schedule.next_after(after) if schedule else None


def known(read: Callable[[], Found]) -> Found | None:
    """What is read; None where it cannot be."""
    try:
        return read()
    except RefitError:
        return None


def newest_outcomes(store: ObjectStore) -> Iterator[Outcome]:
    """The outcomes of the newest runs that have one and can be read, newest first."""
    for run in islice(recorded_runs(store), LOOKED_BACK):
        found = known(partial(read_outcome, store, run.run_id))
        if found is not None:
            yield found


def _look_back(store: ObjectStore, promoted_at: datetime | None) -> _Past:
    """Reads no further than to the newest run that confirmed the champion, which tells all that is asked."""
    past, is_counting = _Past(), True
    for outcome in newest_outcomes(store):
        if outcome.error is None:
            past.succeeded_at = past.succeeded_at or outcome.finished_at
        elif outcome.outcome == "failed":
            past.failed_at = past.failed_at or outcome.finished_at
        if past.decided is None and outcome.outcome in _DECIDED:
            past.decided = outcome
        if outcome.confirmed or outcome.outcome == "promoted":
            break
        # A person's move after the run started the count anew.
        is_counting = is_counting and (promoted_at is None or outcome.finished_at > promoted_at)
        past.unconfirmed += is_counting and outcome.outcome not in _UNCOUNTED
    return past


def _confirmed_at(store: ObjectStore, promoted_at: datetime) -> datetime:
    verdict = read_ref(store, "verdict", VerdictRef)
    return max(promoted_at, (verdict[0].confirmed_at if verdict else None) or promoted_at)


def _awaits_approval(store: ObjectStore, decided: Outcome | None) -> bool:
    """Whether the newest verdict waits for a person, and none has promoted or gone back since."""
    if decided is None or decided.outcome != "awaiting_approval":
        return False
    return not any(
        move.kind in ("promote", "rollback") and move.at > decided.finished_at for move in known_moves(store)
    )

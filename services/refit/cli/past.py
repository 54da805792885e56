"""Runs that were: their records, and what became of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from refit.core import keys
from refit.core.domain import Holder, LockRef, Outcome, OutcomeName, RunRecord
from refit.core.lock import is_gone
from refit.core.runs import read_outcome
from refit.core.store import NotFound, ObjectStore

State = OutcomeName | Literal["running", "dead"]


@dataclass(frozen=True)
class Held:
    """The lock, held: by whom, and until when unless it is renewed."""

    holder: Holder
    expires_at: datetime
    alive: bool


@dataclass(frozen=True)
class PastRun:
    """A run as the store tells it.

    Attributes:
        run: Its record; None when it was killed before it was recorded.
        outcome: None while it goes on, and for a dead run that the next run settles.
    """

    run_id: str
    run: RunRecord | None
    outcome: Outcome | None
    state: State

    @property
    def seconds(self) -> float | None:
        """From its start to its outcome; None without one."""
        if self.run is None or self.outcome is None:
            return None
        return (self.outcome.finished_at - self.run.created_at).total_seconds()


def read_lock(store: ObjectStore, now: datetime) -> Held | None:
    """Who holds the lock; None when it is free.

    A holder lives while its lock is younger than its time to live and its process, if it is one of this machine,
    is still there (core/lock.py).
    """
    key = keys.ref("lock")
    try:
        entry = store.entry(key)
    except NotFound:
        return None
    ref = LockRef.from_json(entry.body, key)
    if ref.holder is None:
        return None
    left_seconds = ref.ttl_seconds - entry.age_seconds
    alive = left_seconds >= 0 and not is_gone(ref.holder)
    return Held(ref.holder, now + timedelta(seconds=left_seconds), alive)


def read_past(store: ObjectStore, run_id: str, now: datetime) -> PastRun:
    """The run with its state: its outcome, else `running` while its holder of the lock lives, else `dead`.

    A run holds the lock from before its record until after its outcome. So one without an outcome that does not hold
    the lock a moment later is dead only if it still has no outcome then.
    """
    outcome = read_outcome(store, run_id)
    running = outcome is None and _is_running(store, run_id, now)
    if outcome is None and not running:
        outcome = read_outcome(store, run_id)
    key = keys.run_record(run_id)
    try:
        run = RunRecord.from_json(store.get(key), key)
    except NotFound:
        run = None
    if outcome is not None:
        return PastRun(run_id, run, outcome, outcome.outcome)
    return PastRun(run_id, run, None, "running" if running else "dead")


def _is_running(store: ObjectStore, run_id: str, now: datetime) -> bool:
    held = read_lock(store, now)
    return held is not None and held.alive and held.holder.run_id == run_id


def newest_first(store: ObjectStore, run_ids: Iterable[str], now: datetime) -> Iterator[PastRun]:
    """The runs, the newest first, each read when it is asked for."""
    return (read_past(store, run_id, now) for run_id in reversed(list(run_ids)))

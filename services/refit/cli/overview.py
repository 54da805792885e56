"""What `refit status` knows of a pipeline: what is in production, since when, how good, and what comes next."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from refit.cli.past import Held, PastRun, read_lock, read_past
from refit.cli.runs import iso, summary
from refit.cli.words import age, figure
from refit.core import keys
from refit.core.config import Pipeline
from refit.core.config_sections import Schedule
from refit.core.domain import Move, Pause, SnapshotRef, VerdictRef, Version
from refit.core.errors import RefitError
from refit.core.freshness import read_fresh_share
from refit.core.refs import read_ref
from refit.core.registry import read_champion, read_version, stands_since
from refit.core.runs import run_ids
from refit.core.store import ObjectStore
from refit.run.standing import read_pipeline


@dataclass(frozen=True)
class Champion:
    """The version in production.

    Attributes:
        promoted_at: When it became the champion; a release moves nothing.
        confirmed_at: When a later verdict last let it stand, or its own made it champion; None: not since then.
        version: Its document; None where that is gone or malformed.
    """

    move: Move
    promoted_at: datetime
    confirmed_at: datetime | None
    version: Version | None

    def age_seconds(self, now: datetime) -> float:
        """Since it was last proven right: an old model that no candidate beats is not stale (config.md, slo)."""
        return (now - (self.confirmed_at or self.promoted_at)).total_seconds()

    def headline(self) -> str:
        """The gate's first score, else any: `neg_log_loss -0.412`."""
        if self.version is None:
            return "-"
        scores = {check.score: check.candidate for check in self.version.verdict.checks[:1]} or self.version.scores
        return next((f"{name} {figure(value)}" for name, value in scores.items()), "-")


@dataclass(frozen=True)
class Overview:
    """A pipeline at one moment."""

    name: str
    at: datetime
    champion: Champion | None
    watermark: datetime | None
    last_run: PastRun | None
    held: Held | None
    pipeline: Pipeline | None
    """The file that the last run kept."""
    fresh_share: float | None = None
    """Of the last 28 days, or of those since the first champion, within the objective."""
    pause: Pause | None = None
    """The last one that the run which goes on has noted."""

    @property
    def schedule(self) -> Schedule | None:
        return self.pipeline.schedule if self.pipeline else None

    @property
    def max_age(self) -> timedelta | None:
        return self.pipeline.slo.max_age if self.pipeline else None

    @property
    def is_old(self) -> bool:
        """The objective is broken: the champion was last confirmed longer ago than it allows."""
        if self.champion is None or self.max_age is None:
            return False
        return self.champion.age_seconds(self.at) > self.max_age.total_seconds()

    def objective(self) -> str:
        """`14 d  ok`, `30 d  OLD`, `30 d` before a first champion; empty without an objective."""
        if self.max_age is None:
            return ""
        limit = age(self.max_age.total_seconds(), short=True)
        return f"{limit}  {'OLD' if self.is_old else 'ok'}" if self.champion else limit

    def next(self) -> str:
        """What has to be done, or when something happens by itself."""
        return self.action() or self.due()

    def action(self) -> str:
        """What a person has to do or to wait for; empty when all is well."""
        last, move = self.last_run, self.champion.move if self.champion else None
        if last is not None and last.state == "running":
            return f"{last.run_id} {self._waits() or 'is running'}"
        if last is not None and last.state in ("failed", "superseded", "dead"):
            return self._repair(last)
        if move is not None and move.hold is not None:
            return f"refit release {self.name} --reason '…'"
        if last is not None and last.state == "awaiting_approval" and not self._moved_since(last):
            return f"refit promote {self.name} {last.run_id} --reason '…'"
        return ""

    def _waits(self) -> str:
        """What a run waits for that goes on and tries a step again later; empty for one that works."""
        pause = self.pause
        if pause is None or pause.until <= self.at:
            return ""
        again = age((pause.until - self.at).total_seconds(), short=True)
        times = "once" if pause.number == 1 else f"{pause.number} times"
        return f"waits: {pause.step} has failed {times} ({pause.failure.error_class}), again in {again}"

    def _repair(self, last: PastRun) -> str:
        """What comes after a run that failed; nothing after one that a newer model has overtaken."""
        if last.run is None:
            return "refit run FILE"
        if self.champion is not None and self.champion.move.as_of > last.run.as_of:
            return ""
        error = last.outcome.error if last.outcome else None
        edited = " --file FILE" if error is not None and error.error_class == "config" else ""
        return f"refit rerun {self.name} {last.run_id}{edited}"

    def _moved_since(self, last: PastRun) -> bool:
        """True when a person has moved the champion after the run's end, and so has settled what it waited for."""
        ended = last.outcome.finished_at if last.outcome else None
        return self.champion is not None and ended is not None and self.champion.promoted_at > ended

    def due(self) -> str:
        """When the schedule asks for the next run: `in 5 d`; empty without one."""
        if self.schedule is None:
            return ""
        at = self.schedule.next_after(self.at)
        return f"in {age((at - self.at).total_seconds(), short=True)}" if at else ""

    def document(self) -> dict[str, Any]:
        """As cli.md gives it."""
        champion, held = self.champion, self.held
        hold = champion.move.hold if champion else None
        return {
            "format": 1,
            "pipeline": self.name,
            "champion": _champion_document(champion, self.at) if champion else None,
            "hold": hold.model_dump(mode="json") if hold else None,
            "watermark": iso(self.watermark),
            "last_run": summary(self.last_run) if self.last_run else None,
            "objective": self._objective_document(),
            "waits": self._waits_document(),
            "lock": {"run_id": held.holder.run_id, "expires_at": iso(held.expires_at)} if held else None,
        }

    def _waits_document(self) -> dict[str, Any] | None:
        pause = self.pause
        if pause is None or not self._waits():
            return None
        failure = pause.failure.model_dump(mode="json", by_alias=True)
        return {"step": pause.step, "attempt": pause.number, "until": iso(pause.until), "error": failure}

    def _objective_document(self) -> dict[str, Any] | None:
        if self.max_age is None:
            return None
        limit, champion = self.max_age.total_seconds(), self.champion
        breaks_at = self.at + timedelta(seconds=limit - champion.age_seconds(self.at)) if champion else None
        return {
            "max_age_seconds": limit,
            "is_met": None if champion is None else not self.is_old,
            "breaks_at": iso(breaks_at),
            "fresh_share_28d": None if self.fresh_share is None else round(self.fresh_share, 4),
        }


def read_overview(store: ObjectStore, name: str, now: datetime) -> Overview:
    """The pipeline as it stands: a listing of its runs and a dozen reads, or two, however long it has run.

    Raises:
        ArtifactError: champion.json or another ref is lost or malformed.
    """
    ids = list(run_ids(store))
    last = read_past(store, ids[-1], now) if ids else None
    held = read_lock(store, now)
    snapshot = read_ref(store, "snapshot", SnapshotRef)
    pipeline = _file(store, last)
    max_age = pipeline.slo.max_age if pipeline else None
    return Overview(
        name=name,
        at=now,
        champion=_read_champion(store),
        watermark=snapshot[0].watermark if snapshot else None,
        last_run=last,
        held=held if held and held.alive else None,
        pipeline=pipeline,
        pause=_pause(store, last) if last and last.state == "running" else None,
        fresh_share=read_fresh_share(store, max_age, now) if max_age else None,
    )


def _read_champion(store: ObjectStore) -> Champion | None:
    found = read_champion(store)
    if found is None:
        return None
    move = found[0]
    promoted_at = stands_since(store, move)
    verdict = read_ref(store, "verdict", VerdictRef)
    confirmed_at = verdict[0].confirmed_at if verdict else None
    try:
        version = read_version(store, move.version)
    except RefitError:
        version = None
    fresh = confirmed_at if confirmed_at and confirmed_at >= promoted_at else None
    return Champion(move, promoted_at, fresh, version)


def _pause(store: ObjectStore, last: PastRun) -> Pause | None:
    key = keys.pause(last.run_id)
    try:
        return Pause.from_json(store.get(key), key)
    except RefitError:
        return None


def _file(store: ObjectStore, last: PastRun | None) -> Pipeline | None:
    """The file that the last run kept; one of another version of refit may say nothing to us."""
    return None if last is None or last.run is None else read_pipeline(store, last.run.file)


def _champion_document(champion: Champion, now: datetime) -> dict[str, Any]:
    return {
        "version": champion.move.version,
        "generation": champion.move.generation,
        "fit_on": champion.move.fit_on,
        "promoted_at": iso(champion.promoted_at),
        "confirmed_at": iso(champion.confirmed_at),
        "age_seconds": round(champion.age_seconds(now), 3),
        "scores": champion.version.scores if champion.version else {},
    }

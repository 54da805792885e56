"""What a coordinator pushes: how its run ended, and how steps did that could not tell it themselves."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from refit.core import artifacts, keys, samples
from refit.core.config import parse_pipeline
from refit.core.cron import next_time
from refit.core.domain import (
    Failure,
    Instant,
    Outcome,
    Record,
    RunRecord,
    SnapshotRef,
    StepName,
    VerdictRef,
)
from refit.core.errors import RefitError
from refit.core.freshness import read_fresh_share
from refit.core.metrics import DONE
from refit.core.pushgateway import Pushgateway
from refit.core.refs import read_ref
from refit.core.registry import read_champion, read_version, stands_since
from refit.core.runs import read_outcome, run_ids
from refit.core.samples import Standing
from refit.core.store import ObjectStore
from refit.run.executor import Ended

LOOKED_BACK: Final = 50
"""Runs that are looked through for the last one that went well."""
Found = TypeVar("Found")


class Unpushed(Record):
    """runs/<run_id>/logs/push.json: why a run's metrics are not in the Pushgateway."""

    at: Instant
    reason: str


@dataclass
class Telemetry:
    """What one run has to push.

    Attributes:
        gateway: None: nobody wants it.
        attempts: Tries of all steps so far, by their class.
        unpushed: Why the last try of a step is not in the Pushgateway.
    """

    gateway: Pushgateway | None
    attempts: Counter[str] = field(default_factory=Counter)
    unpushed: dict[StepName, str] = field(default_factory=dict)

    def attempt_ended(self, step: StepName, ended: Ended, failure: Failure | None) -> None:
        """The attempt is counted, and where its process said something else of its end, or nothing, it is pushed."""
        self.attempts[failure.error_class if failure else DONE] += 1
        if self.gateway is None:
            return
        self.unpushed.pop(step, None)
        said = ended.last_words
        if said is not None and _tells(ended, failure):
            reason = said.unpushed
        else:
            reason = self.gateway.push(step, samples.of_death(failure, datetime.now(UTC), said))
        if reason:
            self.unpushed[step] = reason

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the run's outcome says of metrics that were not pushed: a line for each reason."""
        reasons = dict.fromkeys(self.unpushed.values())
        steps = {why: ", ".join(step for step, found in self.unpushed.items() if found == why) for why in reasons}
        return tuple(f"the metrics of {names} were not pushed: {why}" for why, names in steps.items())

    def run_ended(self, store: ObjectStore, run: RunRecord, outcome: Outcome) -> str:
        """How the run ended and where the pipeline stands is pushed; returns why not, which the store keeps too."""
        if self.gateway is None:
            return ""
        standing = read_standing(store, run, outcome)
        reason = self.gateway.push("run", samples.of_run(run, outcome, self.attempts, standing))
        if reason:
            with suppress(RefitError):
                store.put(keys.unpushed(run.run_id), Unpushed(at=datetime.now(UTC), reason=reason).to_json())
        return reason


def _tells(ended: Ended, failure: Failure | None) -> bool:
    """Whether the process came to the end of its push, and knew how it ended.

    Words with progress and no failure were said on the way. One that was killed while it pushed has another exit code
    than it said, and of a deadline the cluster knows more.
    """
    said = ended.last_words
    if said is None:
        return False
    if failure is None or said.failure is None:
        return failure is None and said.failure is None and not said.progress and ended.exit_code == 0
    return said.failure.error_class == failure.error_class and said.failure.exit_code == ended.exit_code


def read_standing(store: ObjectStore, run: RunRecord, outcome: Outcome) -> Standing:
    """Where the pipeline stands after its run; what cannot be read is not known."""
    champion = _known(lambda: read_champion(store))
    verdict = _known(lambda: read_ref(store, "verdict", VerdictRef))
    snapshot = _known(lambda: read_ref(store, "snapshot", SnapshotRef))
    move = champion[0] if champion else None
    version = _known(partial(read_version, store, move.version)) if move else None
    return Standing(
        succeeded_at=_known(lambda: _succeeded_at(store, outcome)),
        next_at=_known(lambda: _next_at(store, run, outcome.finished_at)),
        watermark=snapshot[0].watermark if snapshot else None,
        champion=move,
        promoted_at=_known(partial(stands_since, store, move)) if move else None,
        confirmed_at=verdict[0].confirmed_at if verdict else None,
        scores=version.scores if version else {},
        max_age=(max_age := _known(partial(_max_age, store, run))),
        fresh_share=_known(partial(read_fresh_share, store, max_age, outcome.finished_at)) if max_age else None,
    )


def _max_age(store: ObjectStore, run: RunRecord) -> timedelta | None:
    return parse_pipeline(artifacts.read(store, run.file), run.file.key).slo.max_age


def _known(read: Callable[[], Found]) -> Found | None:
    try:
        return read()
    except RefitError:
        return None


def _succeeded_at(store: ObjectStore, outcome: Outcome) -> datetime | None:
    """When the last run that went well ended: this one, or one of those before it."""
    if outcome.error is None:
        return outcome.finished_at
    for run_id in _newest(run_ids(store)):
        found = _known(partial(read_outcome, store, run_id))
        if found is not None and found.error is None:
            return found.finished_at
    return None


def _newest(names: Iterable[str]) -> list[str]:
    return list(names)[: -LOOKED_BACK - 1 : -1]


def _next_at(store: ObjectStore, run: RunRecord, after: datetime) -> datetime | None:
    schedule = parse_pipeline(artifacts.read(store, run.file), run.file.key).schedule
    return next_time(schedule.cron, schedule.timezone, after) if schedule else None

"""KubernetesExecutor: each attempt is a Job of a cluster, stamped from the step's template.

It keeps nothing that a restart needs. A Job's name says run, step and attempt, so that whoever comes to the same
attempt finds the same Job: where it stands already, it is followed as one's own.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from refit.core import keys
from refit.core.domain import STEPS, Failure, Outcome, StepName, Termination
from refit.core.effects import effect
from refit.core.environment import of_images
from refit.core.errors import RefitError, Sigterm, TerminatedError
from refit.core.logs import LONGER_THAN_SECRETS, redact
from refit.core.store import Conflict, NotFound, ObjectStore
from refit.run.announcement import event_of_end
from refit.run.cluster import Cluster, NotAdmitted, Stopped
from refit.run.executor import LOG_LIMIT_BYTES, Attempt, Ended, Place, read_last_words
from refit.run.following import Following
from refit.run.jobs import (
    ATTEMPT,
    NOT_STARTED,
    Templates,
    job_name,
    labels_of,
    newest_number,
    refuse_other,
    stamp,
    template_name,
    template_of,
)
from refit.run.judgement import KILLED, GoesOn, Gone, Over, judge, node_lost, not_started, why_waiting

START_SECONDS: Final = 120.0
PATIENCE_FOR_NODES: Final = 5
"""How many times longer a pod may wait for a node: an autoscaler takes minutes to bring one."""
NODE_SECONDS: Final = 300.0
"""How long a Job that was ended may wait for its pod beyond the pod's own time to end: its node may come back."""
_WORDS_LIMIT: Final = 2000
LOOK_SECONDS: Final = 15.0
"""The most that the time between two looks counts: while the API server is away, nothing can start or end."""


@dataclass
class Held:
    """How long something has been so, without a break, under the eyes of this process."""

    clock: Callable[[], float]
    _seen_at: float | None = None
    _seconds: float = 0.0

    def seconds(self, is_so: bool) -> float:
        now = self.clock()
        since = now if self._seen_at is None else self._seen_at
        self._seconds = self._seconds + min(now - since, LOOK_SECONDS) if is_so else 0.0
        self._seen_at = now if is_so else None
        return self._seconds


@dataclass
class KubernetesExecutor:
    """Makes attempts as Jobs of one release's templates.

    Attributes:
        store: The store's root, as the runner has it.
        release: Whose templates are used.
        start_seconds: How long an attempt may take to start.
        leaves_jobs: Another process goes on where this one is asked to end, so the Job goes on too.
        clock, sleep, now: Time, as tests replace it.
    """

    cluster: Cluster
    store: ObjectStore
    release: str
    start_seconds: float = START_SECONDS
    leaves_jobs: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _known: dict[str, Templates] = field(default_factory=dict)

    def environment(self, pipeline: str, run_id: str) -> dict[str, str]:
        """The images that the run's templates name, beside the coordinator's own version."""
        return of_images(self._templates(pipeline, run_id).images())

    def begun(self, attempt: Attempt) -> int:
        labels = {name: value for name, value in labels_of(attempt).items() if name != ATTEMPT}
        return newest_number(self.cluster.jobs(labels))

    def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
        """See `Executor`. Raises TerminatedError, Sigterm or KeyboardInterrupt; with `leaves_jobs` the Job goes on."""
        name = job_name(self.release, attempt)
        try:
            return self._execute(name, attempt, tell)
        except (TerminatedError, Sigterm, KeyboardInterrupt):
            if not self.leaves_jobs:
                with suppress(RefitError):  # no answer is waited for long; the outcome keeps it from publishing
                    self._end(name, "the process that had started it was asked to end", hurry=True)
            raise

    def announce(self, outcome: Outcome) -> None:
        """See `Executor`: an Event on the CronJob that runs the release by the clock."""
        with suppress(RefitError):
            event = event_of_end(outcome, self.cluster.template(self.release), self.cluster.namespace)
            if event is not None:
                with effect(f"announce {outcome.outcome}"):
                    self.cluster.say(event)

    def _execute(self, name: str, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
        refused = self._begin(name, attempt, tell)
        if refused is not None:
            return Ended(refused.exit_code, None, b"", seen=refused, at=self.now(), place=_place(name, refused))
        over = self._follow(name, attempt, tell)
        return _gone(name, attempt.step) if isinstance(over, Gone) else self._ended(name, over)

    def _begin(self, name: str, attempt: Attempt, tell: Callable[[str], None]) -> Failure | None:
        """The Job stands; or returns why the cluster takes none for too long."""
        job = stamp(self._templates(attempt.pipeline, attempt.run_id), attempt, self.now())
        started, told = self.clock(), ""
        while True:
            try:
                with effect(f"create job {name}"):
                    is_new = self.cluster.create(job)
            except NotAdmitted as error:
                spent = self.clock() - started
                if spent >= self.start_seconds:
                    return not_started(attempt.step, error.message)
                if error.message != told:
                    _say(tell, f"Job {name} waits: {error.message}")
                    told = error.message
                self.sleep(_pause(spent))
            else:
                _say(tell, f"Job {name} {'stands' if is_new else 'stood already and is followed'}")
                return None

    def _follow(self, name: str, attempt: Attempt, tell: Callable[[str], None]) -> Over | Gone:
        """The attempt is over, or its Job is gone, or nobody can tell any more."""
        begun, told, is_ended = self.clock(), "", False
        log, waits, fails = Following(self.cluster, tell, self.clock), Held(self.clock), Held(self.clock)
        grace = self._templates(attempt.pipeline, attempt.run_id).grace_seconds(attempt.step)
        while True:
            job = self.cluster.job(name)
            state = judge(attempt.step, job, self.cluster.pods(name) if job else ())
            if not isinstance(state, GoesOn):
                if isinstance(state, Over) and state.pod:
                    log.look(state.pod.name, at_the_end=True)
                return state
            if state.asks_for_events:
                words = why_waiting(state, self.cluster.events(state.asks_for_events))
            else:
                words = state.words
            if words != told:
                _say(tell, words)
                told = words
            if state.pod:
                log.look(state.pod)
            patience = self.start_seconds * (PATIENCE_FOR_NODES if state.is_unschedulable else 1)
            if waits.seconds(not state.has_started) > patience and not is_ended:
                with suppress(NotAdmitted):  # a webhook is away: the next look asks again
                    self._end(name, f"{words} (waited {patience:.0f} s)")
                    is_ended = True
            if fails.seconds(state.is_failing) > grace + NODE_SECONDS:
                return node_lost(attempt.step, name, self.now())
            self.sleep(_pause(0.0 if state.is_ending else self.clock() - begun))

    def _end(self, name: str, why: str, *, hurry: bool = False) -> None:
        """The Job fails within a second, its pods are removed, and it keeps why."""
        words = redact(why)[:_WORDS_LIMIT]
        patch = {"metadata": {"annotations": {NOT_STARTED: words}}, "spec": {"activeDeadlineSeconds": 1}}
        with effect(f"end job {name}"):
            self.cluster.change(name, patch, hurry=hurry)

    def _ended(self, name: str, over: Over) -> Ended:
        raw = self.cluster.log(over.pod.name, LOG_LIMIT_BYTES + LONGER_THAN_SECRETS) if over.pod else b""
        log = redact(raw.decode(errors="replace"))
        if len(raw) == LOG_LIMIT_BYTES + LONGER_THAN_SECRETS:
            log = log[LONGER_THAN_SECRETS:]  # it may begin in the middle of a secret, which nothing knows as one
        last_words = _last_words(over.pod.stopped if over.pod else None)
        place = Place(
            job=name,
            pod=over.pod.name if over.pod else "",
            exit_code=over.exit_code,
            reason=over.reason,
            last_words=last_words,
        )
        tail = log.encode(errors="replace")[-LOG_LIMIT_BYTES:]
        return Ended(over.exit_code, last_words, tail, seen=_told(over, last_words), at=over.at, place=place)

    def _templates(self, pipeline: str, run_id: str) -> Templates:
        """What the run's Jobs are stamped from: kept with the run when it begins, and then never read anew.

        Raises:
            NoTemplate, OtherRelease: the release is not there, or not this pipeline's.
        """
        if run_id not in self._known:
            store, key = self.store.under(f"{pipeline}/"), keys.templates(run_id)
            try:
                kept = store.get(key)
            except NotFound:
                kept = self._read_templates(pipeline).to_json()
                try:
                    store.create(key, kept)
                except Conflict:  # another process of this run came first
                    kept = store.get(key)
            self._known = {run_id: Templates.from_json(kept, key)}
        return self._known[run_id]

    def _read_templates(self, pipeline: str) -> Templates:
        steps = {step: template_of(self.cluster.template(template_name(self.release, step))) for step in STEPS}
        found = Templates(release=self.release, steps=steps)
        refuse_other(found, self.store.url, pipeline)
        return found


def _gone(name: str, step: StepName) -> Ended:
    """The Job was deleted, so its step was killed; what the step may have left before is the runner's to see."""
    lost = Failure(
        error_class="killed",
        type="JobGone",
        step=step,
        exit_code=KILLED,
        message=f"the Job {name} was deleted before it ended",
        next="run again: refit rerun NAME",
    )
    return Ended(KILLED, None, b"", seen=lost, place=_place(name, lost))


def _told(over: Over, last_words: Termination | None) -> Failure | None:
    """What the cluster saw go wrong; the process's own words stand beside it where it had some."""
    if over.seen is None or last_words is None or last_words.failure is None:
        return over.seen
    if over.seen.error_class == last_words.failure.error_class:
        return last_words.failure
    return over.seen.model_copy(
        update={"message": f"{over.seen.message}; it said: {last_words.failure.message}"[:4000]}
    )


def _last_words(stopped: Stopped | None) -> Termination | None:
    if stopped is None or not stopped.message:
        return None
    return read_last_words(stopped.message.encode(errors="replace"), "the termination message")


def _place(name: str, failure: Failure) -> Place:
    return Place(job=name, pod="", exit_code=failure.exit_code, reason=failure.type)


def _pause(elapsed_seconds: float) -> float:
    """Seconds to the next look: a short step costs little waiting, a long one few requests."""
    return min(max(elapsed_seconds / 10, 0.5), 5.0)


def _say(tell: Callable[[str], None], text: str) -> None:
    tell(json.dumps({"event": "pod", "text": redact(text)}))

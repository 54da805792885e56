"""The runner: one pass over extract, train, evaluate, publish.

It keeps nothing in memory that a restart needs: a step is done when its manifest stands, and a run is over when
its outcome does.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count

from refit.core import keys, pushgateway
from refit.core.context import StepMissing, read_manifest
from refit.core.domain import STEPS, ExtractManifest, Failure, LockRef, Manifest, Outcome, RunRecord, StepName
from refit.core.errors import DependencyError, RefitError, Sigterm, SupersededError, TerminatedError
from refit.core.lock import Lock, LockLost
from refit.core.objective import Patience
from refit.core.owner import claim, refuse_other
from refit.core.probe import probe
from refit.core.refs import read_ref
from refit.core.reuse import take
from refit.core.runs import MANIFESTS, conclude, new_run_id, read_outcome, settle_now, write_outcome
from refit.core.step import describe, read_run
from refit.core.store import Conflict, ObjectStore
from refit.core.whole import refuse_incomplete
from refit.run.events import (
    Event,
    Listener,
    NotPushed,
    NotTold,
    RunEnded,
    RunStarted,
    StepDone,
    StepFailed,
    StepStarted,
    StepTold,
    Waiting,
)
from refit.run.executor import Attempt, Ended, Executor, failure_of, signal_of
from refit.run.identity import Identity
from refit.run.pauses import note, pause_before_next
from refit.run.request import Maker, Request, new_run, patience_of, refuse_future, repeated_run
from refit.run.rerun import Rerun
from refit.run.telemetry import Telemetry

Prepare = Callable[[str], tuple[RunRecord, bytes]]
Notify = Callable[[ObjectStore, RunRecord, Outcome], str]


class LeftToNext(TerminatedError):
    """This process was asked to end, and another one with its identity goes on with the run."""

    def __init__(self, why: TerminatedError) -> None:
        super().__init__(why.message, next="nothing: the next pod of this Job goes on with the run")


class _Replaced(TerminatedError):
    """Another process with this one's identity has the run now."""

    def __init__(self) -> None:
        super().__init__("another pod of this Job has taken the run up")


@dataclass
class Runner:
    """Walks runs of any pipeline through one store and one executor.

    Attributes:
        store: The store's root; each pipeline lies below its name.
        listen: Gets every event.
        identity: Who coordinates; where it names a run, one that was begun is gone on with.
        pushgateway_url: Where metrics go; empty: nowhere.
        notify: Tells whoever waits for it of a run's end, and returns why not, or nothing.
    """

    store: ObjectStore
    executor: Executor
    listen: Listener
    sleep: Callable[[float], None] = time.sleep
    identity: Identity = field(default_factory=Identity)
    pushgateway_url: str = ""
    notify: Notify = lambda _store, _run, _outcome: ""
    _attempts: dict[StepName, int] = field(default_factory=dict)
    _is_taken_up: bool = False
    _telemetry: Telemetry = field(default_factory=lambda: Telemetry(None))

    def run(self, request: Request) -> Outcome:
        """The run has ended, and its outcome stands.

        Raises:
            ConditionsIgnored, AccessError, DependencyError: the store cannot be used; no run was started.
            LockBusy: another run went on for longer than `wait_seconds`; no run was started.
            ConfigError: as_of lies in the future.
            OtherOwner: another owner runs this pipeline.
            NoLongerWanted: `request.is_wanted` says so; no run was started.
            ArtifactError: a document of the pipeline is gone, or older than others; no run was started.
            TerminatedError: this process was asked to end; the run's outcome says so.
            Sigterm, KeyboardInterrupt: as that, before its first step or after its last.
        """
        refuse_future(request.as_of)
        self._telemetry = Telemetry(pushgateway.at(self.pushgateway_url, request.pipeline.name))
        with self._telemetry.watching():
            return self._run(request)

    def _run(self, request: Request) -> Outcome:
        probe(self.store, now=datetime.now(UTC))
        store = self.store.under(f"{request.pipeline.name}/")
        owner = self.identity.owner
        if not request.adopt:
            refuse_other(store, owner)  # before any wait

        def prepare(run_id: str) -> tuple[RunRecord, bytes]:
            who = self.identity.created_by
            claim(store, owner, adopt=request.adopt, who=who, now=datetime.now(UTC))
            return new_run(request, run_id, self._maker())

        return self._pass(store, request, prepare)

    def rerun(self, request: Rerun) -> Outcome:
        """A new run has repeated an earlier one from some step on, and its outcome stands.

        Raises:
            ConfigError, ArtifactError: what is asked for cannot be repeated (`repetition`); no run was started.
            Also as `run` does.
        """
        self._telemetry = Telemetry(pushgateway.at(self.pushgateway_url, request.name))
        with self._telemetry.watching():
            probe(self.store, now=datetime.now(UTC))
            store = self.store.under(f"{request.name}/")
            return self._pass(store, request, lambda run_id: repeated_run(store, request, run_id, self._maker()))

    def _maker(self) -> Maker:
        return Maker(self.identity.created_by, self.executor.environment, self.identity.why)

    def _pass(self, store: ObjectStore, request: Request | Rerun, prepare: Prepare) -> Outcome:
        """The run that is prepared under the lock, or was begun by an earlier process, has ended with its outcome."""
        self._attempts = {}
        run_id = self.identity.run_id or new_run_id(datetime.now(UTC))
        if self.identity.run_id and (ended := read_outcome(store, run_id)):
            run = read_run(store, run_id)  # whoever wrote its end may have died before it could tell it
            self._tell_end(store, run, ended, self.notify(store, run, ended))
            return ended
        lock = Lock(store, self.identity.holder(run_id), partial(settle_now, store), self.identity.gone)
        lock.acquire(
            request.wait_seconds,
            time.monotonic,
            self.sleep,
            lambda holder: self.listen(Waiting(holder, request.wait_seconds)),
        )
        with lock:
            run = self._taken_up(store) or self._begun(store, run_id, prepare, lock)
            self.listen(RunStarted(run))
            self._telemetry.begun(store, run)
            failure, terminated = self._walk(store, run, patience_of(store, run, request), lock)
            if failure and not terminated and self._is_replaced(store, run_id, lock):
                terminated = _Replaced()  # what failed here may go well there
            if terminated and self.identity.run_id:
                raise LeftToNext(terminated)  # the lock stays with the run
            outcome = conclude(store, run, failure, self._attempts, datetime.now(UTC))
            told = {
                "warnings": (*outcome.warnings, *self._telemetry.warnings),
                "attempts": dict(self._telemetry.attempts),
            }
            outcome = outcome.model_copy(update=told)
            if terminated and outcome.error:
                outcome = outcome.model_copy(update={"exit_code": terminated.exit_code})
            outcome = write_outcome(store, outcome)
            untold = self.notify(store, run, outcome)  # under the lock: what was told last is read and written
        self._tell_end(store, run, outcome, untold)
        if terminated:
            raise terminated
        return outcome

    def _tell_end(self, store: ObjectStore, run: RunRecord, outcome: Outcome, untold: str) -> None:
        self.listen(RunEnded(outcome))
        if untold:
            self.listen(NotTold(untold))
        self.executor.announce(outcome)
        if unpushed := self._telemetry.run_ended(store, run, outcome):
            self.listen(NotPushed(unpushed))

    def _taken_up(self, store: ObjectStore) -> RunRecord | None:
        """The run that an earlier process of this identity began; None where there is none."""
        self._is_taken_up = False
        if self.identity.run_id is None or not store.exists(keys.run_record(self.identity.run_id)):
            return None
        self._is_taken_up = True
        return read_run(store, self.identity.run_id)

    def _begun(self, store: ObjectStore, run_id: str, prepare: Prepare, lock: Lock) -> RunRecord:
        """The run that is prepared stands, unless another pod has begun it meanwhile."""
        try:
            refuse_incomplete(store)
            lock.check()
            run, file = prepare(run_id)  # takes as long as the API server is away
            lock.check()
        except RefitError as error:
            if self._is_replaced(store, run_id, lock) or (self.identity.run_id and read_outcome(store, run_id)):
                raise LeftToNext(_Replaced()) from error
            lock.free()  # nothing of the run stands
            raise
        try:
            _record(store, run, file)
        except Conflict as error:
            if self.identity.run_id is None:
                raise
            raise LeftToNext(_Replaced()) from error
        return run

    def _is_replaced(self, store: ObjectStore, run_id: str, lock: Lock) -> bool:
        """Whether another pod of this Job, which took this one for dead, goes on with the run."""
        if self.identity.run_id is None:
            return False
        try:
            lock.check()
        except LockLost:
            return _is_holder(store, run_id)
        return False

    def _walk(
        self, store: ObjectStore, run: RunRecord, patience: Patience, lock: Lock
    ) -> tuple[Failure | None, TerminatedError | None]:
        """Walks the steps; returns what ended the run early, if anything did."""
        step: StepName = STEPS[0]
        try:
            for step in STEPS:
                if step in run.reused:
                    self.listen(StepDone(step, take(store, run, step)))
                    continue
                failure = self._step(store, run, step, patience, lock)
                if failure:
                    return failure, None
                if step == "extract" and _skipped(store, run.run_id):
                    break
        except TerminatedError as error:
            return describe(error, step), error
        except (Sigterm, KeyboardInterrupt) as error:
            words = "ended by SIGTERM" if isinstance(error, Sigterm) else "interrupted"
            ended = TerminatedError(words, next="refit rerun NAME")
            return describe(ended, step), ended
        except RefitError as error:
            return describe(error, step), None
        return None, None

    def _step(
        self, store: ObjectStore, run: RunRecord, step: StepName, patience: Patience, lock: Lock
    ) -> Failure | None:
        """The step's manifest stands; or returns why it does not after the last attempt."""
        first = self._first(store, run, step)
        if first is None:
            self.listen(StepDone(step, _manifest(store, run.run_id, step)))
            return None
        for number in range(min(first, patience.tries), patience.tries + 1):
            attempt, ended = Attempt(self.store.url, run.pipeline, run.run_id, step, number), None
            failure = self._store_away(store, run.run_id, step, lock)
            if failure is None:
                ended, failure = self._attempt(store, attempt, patience, lock)
            pause = pause_before_next(patience, attempt, ended, failure) if failure else None
            is_done = failure is None or _did_all(store, run.run_id, step, failure, last=pause is None)
            if ended is not None:
                self._telemetry.attempt_ended(step, ended, None if is_done else failure)
            if failure is None or is_done:
                self.listen(StepDone(step, _manifest(store, run.run_id, step)))
                return None
            self.listen(StepFailed(step, number, failure, pause))
            if pause is None:
                return failure
            note(store, attempt, failure, pause)
            self.sleep(pause)
        raise AssertionError("unreachable")

    def _store_away(self, store: ObjectStore, run_id: str, step: StepName, lock: Lock) -> Failure | None:
        """Why the step cannot be tried now: the store is away, which passes; None where it can.

        Raises:
            LockLost, SupersededError: another run has taken the lock, or settled this one.
        """
        try:
            lock.check()
            if read_outcome(store, run_id) is not None:
                raise SupersededError(f"run {run_id} was thought dead and settled by another run")
        except DependencyError as error:
            return describe(error, step)
        return None

    def _attempt(
        self, store: ObjectStore, attempt: Attempt, patience: Patience, lock: Lock
    ) -> tuple[Ended, Failure | None]:
        """How the attempt ended, and why it failed if it did; its log stands."""
        self._attempts[attempt.step] = attempt.number
        self.listen(StepStarted(attempt.step, attempt.number))
        ended = self._followed(store, attempt, patience, lock)
        failure = failure_of(ended, attempt.step)
        _keep_log(store, attempt, ended, failure)
        return ended, failure

    def _followed(self, store: ObjectStore, attempt: Attempt, patience: Patience, lock: Lock) -> Ended:
        """How the attempt ended. While the executor's own world is away, the same attempt is asked for again.

        Another one could come to work beside it: it may have begun, and go on.
        """
        for number in count(1):
            try:
                return self.executor.execute(attempt, lambda line: self._tell(attempt.step, line))
            except DependencyError as error:
                failure = describe(error, attempt.step)
                pause = pause_before_next(patience, replace(attempt, number=number), None, failure)
                if pause is None:
                    raise
            self.listen(StepFailed(attempt.step, attempt.number, failure, pause))
            note(store, attempt, failure, pause)
            self.sleep(pause)
            self._store_away(store, attempt.run_id, attempt.step, lock)
        raise AssertionError("unreachable")

    def _first(self, store: ObjectStore, run: RunRecord, step: StepName) -> int | None:
        """The number of the attempt to make or to follow; None where the step is done, and nobody is at it."""
        if not self._is_taken_up:
            return 1
        begun = self.executor.begun(Attempt(self.store.url, run.pipeline, run.run_id, step, 1))
        is_done = not begun and store.exists(keys.manifest(run.run_id, step))
        last = _manifest(store, run.run_id, step).attempt_number if is_done else begun - 1
        self._telemetry.recall(store, run.run_id, step, range(1, last + 1), is_done=is_done)
        return None if is_done else begun or 1

    def _tell(self, step: StepName, line: str) -> None:
        try:
            parsed = json.loads(line)
        except (ValueError, RecursionError):  # whatever own code and libraries write
            parsed = None
        if not isinstance(parsed, dict):
            parsed = {"event": line}
        text = parsed.get("text") if parsed.get("event") in ("progress", "pod") else None
        event: Event = StepTold(step, text if isinstance(text, str) else None, parsed)
        self.listen(event)


def _record(store: ObjectStore, run: RunRecord, file: bytes) -> None:
    """The run's file and record stand. Raises Conflict where another process has written the record."""
    record = keys.run_record(run.run_id)
    try:
        store.create(run.file.key, file)
    except Conflict:  # a pod that died here left its own, or one that lives on has begun the run with it
        if store.exists(record):
            raise
        store.put(run.file.key, file)
    store.create(record, run.to_json())


def _is_holder(store: ObjectStore, run_id: str) -> bool:
    """Whether the lock is in the name of this run."""
    found = read_ref(store, "lock", LockRef)
    return found is not None and found[0].holder is not None and found[0].holder.run_id == run_id


def _manifest(store: ObjectStore, run_id: str, step: StepName) -> Manifest:
    manifest = read_manifest(store, run_id, step, MANIFESTS[step])
    if manifest is None:
        raise StepMissing(run_id, step)
    return manifest


def _did_all(store: ObjectStore, run_id: str, step: StepName, failure: Failure, *, last: bool) -> bool:
    """Whether a process that was killed had left the step's manifest, which decides.

    extract still has to move the snapshot then: another attempt does, and where none is left, the next run reads the
    same rows again.
    """
    if signal_of(failure.exit_code) is None or (step == "extract" and not last):
        return False
    with suppress(RefitError):  # a store that is away: what the process said counts
        return store.exists(keys.manifest(run_id, step))
    return False


def _skipped(store: ObjectStore, run_id: str) -> bool:
    extract = read_manifest(store, run_id, "extract", ExtractManifest)
    return extract is not None and extract.skipped


def _keep_log(store: ObjectStore, attempt: Attempt, ended: Ended, failure: Failure | None) -> None:
    """What the attempt wrote to stderr stands under the run; a store that is away costs only the log."""
    named = (attempt.run_id, attempt.step, attempt.number)
    with suppress(Conflict, RefitError):
        store.create(keys.attempt_log(*named), ended.log)
    if ended.place is not None:
        place = ended.place.model_copy(update={"error_class": failure.error_class if failure else ""})
        with suppress(Conflict, RefitError):
            store.create(keys.attempt_place(*named), place.to_json())

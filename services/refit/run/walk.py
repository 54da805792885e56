"""One run's walk over its steps: attempts, the pauses between them, and what stands of each."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count

from refit.core import keys
from refit.core.context import StepMissing, read_manifest
from refit.core.domain import STEPS, ExtractManifest, Failure, Manifest, RunRecord, StepName
from refit.core.errors import DependencyError, RefitError, Sigterm, SupersededError, TerminatedError
from refit.core.lock import Lock
from refit.core.objective import Patience
from refit.core.reuse import take
from refit.core.runs import MANIFESTS, read_outcome
from refit.core.step import describe
from refit.core.store import Conflict, ObjectStore
from refit.run.events import Event, Listener, StepDone, StepFailed, StepStarted, StepTold
from refit.run.executor import Attempt, Ended, Executor, failure_of, signal_of
from refit.run.pauses import note, pause_before_next
from refit.run.telemetry import Telemetry


@dataclass
class Walk:
    """One run, by one coordinator. It keeps nothing that a restart needs.

    Attributes:
        store_url: Of the store's root, for the steps.
        store: The pipeline's part of it.
        lock: Held by the run.
        is_taken_up: An earlier process of this coordinator's identity began the run.
        attempts: The number of the last attempt of each step that this process made or followed.
    """

    store_url: str
    store: ObjectStore
    run: RunRecord
    executor: Executor
    patience: Patience
    lock: Lock
    listen: Listener
    sleep: Callable[[float], None]
    telemetry: Telemetry
    is_taken_up: bool = False
    attempts: dict[StepName, int] = field(default_factory=dict)

    def steps(self) -> tuple[Failure | None, TerminatedError | None]:
        """Every step is done, or what ended the run early is returned: why it failed, and who asked it to end."""
        step: StepName = STEPS[0]
        try:
            for step in STEPS:
                if step in self.run.reused:
                    self.listen(StepDone(step, take(self.store, self.run, step)))
                    continue
                failure = self._step(step)
                if failure:
                    return failure, None
                if step == "extract" and _skipped(self.store, self.run.run_id):
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

    def _step(self, step: StepName) -> Failure | None:
        """The step's manifest stands; or returns why it does not after the last attempt."""
        first = self._first(step)
        if first is None:
            self.listen(StepDone(step, _manifest(self.store, self.run.run_id, step)))
            return None
        for number in range(min(first, self.patience.tries), self.patience.tries + 1):
            attempt, ended = self._named(step, number), None
            failure = self._store_away(step)
            if failure is None:
                ended, failure = self._attempt(attempt)
            pause = pause_before_next(self.patience, attempt, ended, failure) if failure else None
            is_done = failure is None or _did_all(self.store, self.run.run_id, step, failure, last=pause is None)
            if ended is not None:
                self.telemetry.attempt_ended(step, ended, None if is_done else failure)
            if failure is None or is_done:
                self.listen(StepDone(step, _manifest(self.store, self.run.run_id, step)))
                return None
            self.listen(StepFailed(step, number, failure, pause))
            if pause is None:
                return failure
            note(self.store, attempt, failure, pause)
            self.sleep(pause)
        raise AssertionError("unreachable")

    def _store_away(self, step: StepName) -> Failure | None:
        """Why the step cannot be tried now: the store is away, which passes; None where it can.

        Raises:
            LockLost, SupersededError: another run has taken the lock, or settled this one.
        """
        try:
            self.lock.check()
            if read_outcome(self.store, self.run.run_id) is not None:
                raise SupersededError(f"run {self.run.run_id} was thought dead and settled by another run")
        except DependencyError as error:
            return describe(error, step)
        return None

    def _attempt(self, attempt: Attempt) -> tuple[Ended, Failure | None]:
        """How the attempt ended, and why it failed if it did; its log stands."""
        self.attempts[attempt.step] = attempt.number
        self.listen(StepStarted(attempt.step, attempt.number))
        ended = self._followed(attempt)
        failure = failure_of(ended, attempt.step)
        _keep_log(self.store, attempt, ended, failure)
        return ended, failure

    def _followed(self, attempt: Attempt) -> Ended:
        """How the attempt ended. While the executor's own world is away, the same attempt is asked for again.

        Another one could come to work beside it: it may have begun, and go on.
        """
        for number in count(1):
            try:
                return self.executor.execute(attempt, lambda line: self._tell(attempt.step, line))
            except DependencyError as error:
                failure = describe(error, attempt.step)
                pause = pause_before_next(self.patience, replace(attempt, number=number), None, failure)
                if pause is None:
                    raise
            self.listen(StepFailed(attempt.step, attempt.number, failure, pause))
            note(self.store, attempt, failure, pause)
            self.sleep(pause)
            self._store_away(attempt.step)
        raise AssertionError("unreachable")

    def _first(self, step: StepName) -> int | None:
        """The number of the attempt to make or to follow; None where the step is done, and nobody is at it."""
        if not self.is_taken_up:
            return 1
        begun = self.executor.begun(self._named(step, 1))
        is_done = not begun and self.store.exists(keys.manifest(self.run.run_id, step))
        last = _manifest(self.store, self.run.run_id, step).attempt_number if is_done else begun - 1
        self.telemetry.recall(self.store, self.run.run_id, step, range(1, last + 1), is_done=is_done)
        return None if is_done else begun or 1

    def _named(self, step: StepName, number: int) -> Attempt:
        return Attempt(self.store_url, self.run.pipeline, self.run.run_id, step, number)

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

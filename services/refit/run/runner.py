"""The runner: one pass over extract, train, evaluate, publish.

It keeps nothing in memory that a restart needs: a step is done when its manifest stands, and a run is over when
its outcome does.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from refit.core import keys, pushgateway
from refit.core.domain import LockRef, Outcome, RunRecord
from refit.core.errors import RefitError, TerminatedError
from refit.core.lock import Lock, LockLost
from refit.core.owner import claim, refuse_other
from refit.core.probe import probe
from refit.core.refs import read_ref
from refit.core.runs import conclude, new_run_id, read_outcome, settle_now, write_outcome
from refit.core.step import read_run
from refit.core.store import Conflict, ObjectStore
from refit.core.whole import refuse_incomplete
from refit.run.events import (
    Listener,
    NotPushed,
    NotTold,
    RunEnded,
    RunStarted,
    Waiting,
)
from refit.run.executor import Executor
from refit.run.identity import Identity
from refit.run.request import Maker, Request, new_run, patience_of, refuse_future, repeated_run
from refit.run.rerun import Rerun
from refit.run.telemetry import Telemetry
from refit.run.walk import Walk

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
            taken_up = self._taken_up(store)
            run = taken_up or self._begun(store, run_id, prepare, lock)
            self.listen(RunStarted(run))
            self._telemetry.begun(store, run)
            walk = Walk(
                self.store.url, store, run, self.executor, patience_of(store, run, request), lock, self.listen,
                self.sleep, self._telemetry, is_taken_up=taken_up is not None,
            )  # fmt: skip
            failure, terminated = walk.steps()
            if failure and not terminated and self._is_replaced(store, run_id, lock):
                terminated = _Replaced()  # what failed here may go well there
            if terminated and self.identity.run_id:
                raise LeftToNext(terminated)  # the lock stays with the run
            outcome = conclude(store, run, failure, walk.attempts, datetime.now(UTC))
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
        if self.identity.run_id is None or not store.exists(keys.run_record(self.identity.run_id)):
            return None
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

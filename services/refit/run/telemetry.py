"""What a coordinator pushes: how its run began and ended, and how steps ended that could not tell it themselves."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

from refit.core import keys, samples
from refit.core.domain import Failure, Instant, Outcome, Record, RunRecord, StepName
from refit.core.errors import RefitError
from refit.core.metrics import DONE
from refit.core.pushgateway import Pushgateway
from refit.core.step import describe
from refit.core.store import ConditionsIgnored, ObjectStore
from refit.run.executor import Ended, Place
from refit.run.recollection import of_end, push_latest
from refit.run.standing import known, next_at, read_pipeline

_NO_FAILURE: Final = frozenset({"config", "superseded", "killed"})
"""Classes of what keeps a run from its beginning without being one that failed: a word of the call, another run, a
person."""


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
        has_begun: The store knows of the run.
    """

    gateway: Pushgateway | None
    attempts: Counter[str] = field(default_factory=Counter)
    unpushed: dict[StepName, str] = field(default_factory=dict)
    has_begun: bool = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What keeps the run of this block from its beginning is pushed: the store will not know of it."""
        try:
            yield
        except RefitError as error:
            if self.gateway is not None and not self.has_begun:
                self._refused(self.gateway, describe(error), conditions_hold=not isinstance(error, ConditionsIgnored))
            raise

    def _refused(self, gateway: Pushgateway, failure: Failure, *, conditions_hold: bool) -> None:
        if failure.error_class not in _NO_FAILURE or not conditions_hold:
            gateway.push("run", samples.of_refusal(failure, datetime.now(UTC), conditions_hold=conditions_hold))

    def begun(self, store: ObjectStore, run: RunRecord) -> None:
        """That the run goes on is pushed; a push that fails is told at its end, if it still does."""
        self.has_begun = True
        if self.gateway is not None:
            pipeline = read_pipeline(store, run.file)
            following = next_at(pipeline, datetime.now(UTC)) if pipeline else None
            known_file = pipeline is not None
            self.gateway.push("run", samples.of_beginning(run.created_at, following, is_file_known=known_file))

    def recall(self, store: ObjectStore, run_id: str, step: StepName, numbers: range, *, is_done: bool) -> None:
        """The attempts that an earlier process of this run saw end are counted, as far as it came to note them.

        Args:
            is_done: The last of them was the step's.
        """
        for number in numbers:
            place = known(partial(_read_place, store, run_id, step, number))
            if is_done and number == numbers[-1]:
                self.attempts[DONE] += 1
            elif place is not None and place.error_class:
                self.attempts[place.error_class] += 1

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
        reason = push_latest(self.gateway, store, lambda: of_end(store, run, outcome))
        if reason:
            with suppress(RefitError):
                store.put(keys.unpushed(run.run_id), Unpushed(at=datetime.now(UTC), reason=reason).to_json())
        return reason


def _read_place(store: ObjectStore, run_id: str, step: StepName, number: int) -> Place:
    key = keys.attempt_place(run_id, step, number)
    return Place.from_json(store.get(key), key)


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

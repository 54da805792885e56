"""What the runner tells while a run goes on; the command line draws it, tests collect it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refit.core.domain import Failure, Holder, Manifest, Outcome, RunRecord, StepName


@dataclass(frozen=True)
class Waiting:
    """Another run holds the lock."""

    holder: Holder
    seconds: float


@dataclass(frozen=True)
class RunStarted:
    run: RunRecord


@dataclass(frozen=True)
class StepStarted:
    step: StepName
    number: int


@dataclass(frozen=True)
class StepTold:
    """A line of the step's own log, parsed; `text` is set on lines that tell its progress."""

    step: StepName
    text: str | None
    line: dict[str, Any]


@dataclass(frozen=True)
class StepDone:
    step: StepName
    manifest: Manifest


@dataclass(frozen=True)
class StepFailed:
    """An attempt failed; `retry_seconds` is None when it is not repeated."""

    step: StepName
    number: int
    failure: Failure
    retry_seconds: float | None


@dataclass(frozen=True)
class RunEnded:
    outcome: Outcome


@dataclass(frozen=True)
class NotPushed:
    """The run has ended, and its metrics are not in the Pushgateway."""

    reason: str


@dataclass(frozen=True)
class NotTold:
    """The run has ended, and the webhook does not know of it."""

    reason: str


Event = Waiting | RunStarted | StepStarted | StepTold | StepDone | StepFailed | RunEnded | NotPushed | NotTold
Listener = Callable[[Event], None]

"""An Executor starts one attempt of a step somewhere and says how it ended."""

import hashlib
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from refit.core.domain import Failure, Outcome, Record, StepName, Termination
from refit.core.environment import installed
from refit.core.errors import ArtifactError, RefitError
from refit.core.step import more_memory

LOG_LIMIT_BYTES: Final = 256 * 1024
"""How much of the end of an attempt's log is kept."""
RETRIED_CODES: Final = frozenset({74, 75})
"""Beside those of a process that a signal ended."""
JITTER: Final = 0.25
"""The most that a pause is lengthened by, as a part of it."""
_CRASHES: Final = frozenset({"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"})
"""What the kernel or a library's own code ends a process with when native code goes wrong."""
_CUT_SHORT: Final = frozenset({"disk", "killed", "oom", "timeout"})
"""Classes of failures of which it helps to know how far the step was."""
_CLASSES: Final = {known.exit_code: known.error_class for known in RefitError.__subclasses__() if known.exit_code < 128}
"""What exit codes mean where a process left no word."""


@dataclass(frozen=True)
class Attempt:
    """One try of one step: which, and where its store is."""

    store_url: str
    pipeline: str
    run_id: str
    step: StepName
    number: int


class Place(Record):
    """runs/<run_id>/logs/<step>-<number>.json: where an attempt ran, and its termination message."""

    job: str
    pod: str
    exit_code: int
    error_class: str = ""
    """Of the failure; empty where it did not fail."""
    reason: str = ""
    last_words: Termination | None = None


@dataclass(frozen=True)
class Ended:
    """How an attempt ended.

    Attributes:
        exit_code: 0, a code of core/errors.py, or 128 + n for a process that signal n ended.
        last_words: What the process left as its termination message; None when it never wrote one.
        log: The tail of what it wrote to stderr, without secrets.
        starved: The kernel ended a process for want of memory meanwhile.
        seen: What the executor itself saw go wrong, where the attempt could not say it.
        at: When it ended, where that is known apart from this process, which may have started since.
        place: Where it ran, for the record; None for a process of this machine.
    """

    exit_code: int
    last_words: Termination | None
    log: bytes
    starved: bool = False
    seen: Failure | None = None
    at: datetime | None = None
    place: Place | None = None


class Executor(Protocol):
    def environment(self, pipeline: str, run_id: str) -> dict[str, str]:
        """What the steps of this run will run, by name: versions or images; from now on it stays so for the run."""
        ...

    def begun(self, attempt: Attempt) -> int:
        """The newest attempt of that run and step that an earlier process has begun, whatever `number` is; 0: none."""
        ...

    def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
        """The attempt has ended. `tell` gets each line that it writes to stderr meanwhile.

        Raises:
            TerminatedError: this process was asked to end; the attempt was ended first.
        """
        ...

    def announce(self, outcome: Outcome) -> None:
        """Whoever looks at the executor's own world learns how the run ended. Raises nothing."""
        ...


class OfThisMachine:
    """What all executors have in common whose attempts run here, and end with the process that began them."""

    def environment(self, pipeline: str, run_id: str) -> dict[str, str]:
        return installed()

    def begun(self, attempt: Attempt) -> int:
        return 0

    def announce(self, outcome: Outcome) -> None:
        """Nobody looks."""


def read_last_words(body: bytes, name: str) -> Termination | None:
    """What a process left as its last words; None where they are cut, or not those of a step.

    Own code may write there too: a failure whose code says that all went well would end a failed run with 0.
    """
    with suppress(ArtifactError):
        found = Termination.from_json(body, name)
        if found.failure is None or 0 < found.failure.exit_code < 256:
            return found
    return None


def jitter(attempt: Attempt) -> float:
    """How much longer the pause after this attempt is, as a part of it: the same in every process that asks."""
    words = f"{attempt.run_id} {attempt.step} {attempt.number}"
    return JITTER * int.from_bytes(hashlib.sha256(words.encode()).digest()[:4]) / 2**32


def failure_of(ended: Ended, step: StepName) -> Failure | None:
    """Why the attempt failed; None when it did not. A process that a signal ended before it left a word was killed.

    Where it was cut short the message says how far it had told to be.
    """
    failure = _why(ended, step)
    progress = ended.last_words.progress if ended.last_words else ""
    if failure is None or failure.error_class not in _CUT_SHORT or not progress:
        return failure
    return failure.model_copy(update={"message": f"{failure.message}; its last progress: {progress}"})


def _why(ended: Ended, step: StepName) -> Failure | None:
    if ended.seen is not None:
        return ended.seen
    if ended.exit_code == 0:
        return None
    if ended.last_words is not None and ended.last_words.failure is not None:
        return ended.last_words.failure
    code = ended.exit_code
    if code == 137 and ended.starved:
        return Failure(
            error_class="oom",
            type="OutOfMemory",
            step=step,
            exit_code=code,
            message="the kernel ended the process: the memory was used up",
            next=more_memory(step),
        )
    if (name := signal_of(code)) is not None:
        return _killed(name, code, step)
    return Failure(
        error_class=_CLASSES.get(code, "bug"),
        type="Died",
        step=step,
        exit_code=code if code in _CLASSES else 70,
        message=f"the process ended with code {code} and left no word",
        next="look at its log",
    )


def is_retried(failure: Failure) -> bool:
    """Whether another attempt may end otherwise. One that met its deadline would meet it again."""
    if failure.error_class == "timeout":
        return False
    return failure.exit_code in RETRIED_CODES or signal_of(failure.exit_code) is not None


def pause_left(ended_at: datetime, seconds: float, now: datetime) -> float:
    """Seconds until the next attempt, which comes so long after the last one ended.

    A process that takes the run up comes to the same moment. Clocks apart cannot make it longer.
    """
    due = ended_at + timedelta(seconds=seconds)
    return min(max((due - now).total_seconds(), 0.0), seconds)


def signal_of(exit_code: int) -> str | None:
    """The name of the signal that ended a process with this code; None where none did."""
    number = exit_code - 128
    if not 0 < number < signal.NSIG:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _killed(name: str, exit_code: int, step: StepName) -> Failure:
    """Another attempt may end otherwise, also of a process that crashed: its threads and its memory come to differ."""
    crashed = name in _CRASHES
    where = f"look where: refit logs NAME @latest {step}; then try another version of that library, or more memory"
    return Failure(
        error_class="killed",
        type="Crashed" if crashed else "Killed",
        step=step,
        exit_code=exit_code,
        message=f"the process was ended by {name}" + (", a crash in native code" if crashed else " from outside"),
        next=where if crashed else f"if the memory was used up: {more_memory(step)}",
    )

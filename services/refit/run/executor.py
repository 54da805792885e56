"""An Executor starts one attempt of a step somewhere and says how it ended."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from refit.core.domain import Failure, StepName, Termination
from refit.core.step import more_memory

_CRASHES: Final = frozenset({"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"})
"""What the kernel or a library's own code ends a process with when native code goes wrong."""


@dataclass(frozen=True)
class Attempt:
    """One try of one step: which, and where its store is."""

    store_url: str
    pipeline: str
    run_id: str
    step: StepName
    number: int


@dataclass(frozen=True)
class Ended:
    """How an attempt ended.

    Attributes:
        exit_code: 0, a code of core/errors.py, or 128 + n for a process that signal n ended.
        last_words: What the process left as its termination message; None when it died without a word.
        log: The tail of what it wrote to stderr, without secrets.
        starved: The kernel ended a process for want of memory meanwhile.
    """

    exit_code: int
    last_words: Termination | None
    log: bytes
    starved: bool = False


class Executor(Protocol):
    def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
        """The attempt has ended. `tell` gets each line that it writes to stderr meanwhile.

        Raises:
            TerminatedError: this process was asked to end; the attempt was ended first.
        """
        ...


def failure_of(ended: Ended, step: StepName) -> Failure | None:
    """Why the attempt failed; None when it did not. A process that a signal ended before it left a word was killed."""
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
        error_class="bug",
        type="Died",
        step=step,
        exit_code=70,
        message=f"the process ended with code {code} and left no word",
        next="look at its log",
    )


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

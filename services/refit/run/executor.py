"""An Executor starts one attempt of a step somewhere and says how it ended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from refit.core.domain import Failure, StepName, Termination
from refit.core.step import more_memory


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
    """Why the attempt failed; None when it did not. A process that died without a word was killed."""
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
    if code in (137, 143):
        return Failure(
            error_class="killed",
            type="Killed",
            step=step,
            exit_code=code,
            message=f"the process was ended by {'SIGKILL' if code == 137 else 'SIGTERM'} from outside",
            next=f"if the memory was used up: {more_memory(step)}",
        )
    return Failure(
        error_class="bug",
        type="Died",
        step=step,
        exit_code=70,
        message=f"the process ended with code {code} and left no word",
        next="look at its log",
    )

"""Draws a run while it goes on: a spinner with the elapsed time on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol, Self

from refit.cli import story
from refit.cli.answer import is_terminal, paint, talk
from refit.core.domain import Outcome
from refit.run.events import (
    Event,
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

QUIET_SECONDS: Final = 30.0
"""How long a step may work before a log says how far it is, and then until it says so again."""


class Live(Protocol):
    """What moves on a terminal while a step works."""

    def show(self, step: str, text: str) -> None: ...
    def place(self, step: str, text: str) -> None:
        """Tells where the step runs, or what it waits for."""
        ...

    def clear(self) -> None: ...


class Still:
    """Nothing moves: logs and pipes get finished lines, and of a step that takes long a line now and then."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._quiet_until: float | None = None

    def show(self, step: str, text: str) -> None:
        now = self._clock()
        if self._quiet_until is None:
            self._quiet_until = now + QUIET_SECONDS
        elif text and now >= self._quiet_until:
            self.place(step, text)
            self._quiet_until = now + QUIET_SECONDS

    def place(self, step: str, text: str) -> None:
        talk(f"  {step:<{story.STEP_WIDTH}}{text}")

    def clear(self) -> None:
        self._quiet_until = None


class Spinner:
    """A line at the foot of the terminal: step, what it does, how long it has taken."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (TextColumn(" "), SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._step = ""

    def show(self, step: str, text: str) -> None:
        from rich.markup import escape

        description = escape(f"{step}  {text}".rstrip())
        if step != self._step:
            self.clear()
            self._bar.add_task(description, total=None)
            self._bar.start()
            self._step = step
        for task in self._bar.task_ids:
            self._bar.update(task, description=description)

    def place(self, step: str, text: str) -> None:
        self.show(step, text)

    def clear(self) -> None:
        self._bar.stop()
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._step = ""


def live(clock: Callable[[], float] = time.monotonic) -> Live:
    """What suits stderr; the lines are the same. Images without rich have no terminal either."""
    if not is_terminal(sys.stderr):
        return Still(clock)
    try:
        return Spinner()
    except ModuleNotFoundError:
        return Still(clock)


class Progress:
    """A listener of the runner; `with` it, so that the terminal is left clean whatever happens.

    Attributes:
        outcome: The run's outcome, once it has one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._live = clock, live(clock)
        self._started: float | None = None
        self.outcome: Outcome | None = None

    @property
    def seconds(self) -> float:
        """How long the run has taken so far, without the time that it waited for another."""
        return 0.0 if self._started is None else self._clock() - self._started

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepStarted):
            again = f"attempt {event.number}" if event.number > 1 else ""
            return self._live.show(event.step, again)
        if isinstance(event, StepTold):
            tell = self._live.place if event.line.get("event") == "pod" else self._live.show
            return tell(event.step, event.text) if event.text else None
        self._live.clear()
        for line in self._lines(event):
            talk(line.text + (f"  {paint(line.word, line.tone, err=True)}" if line.word else ""))
        return None

    def _lines(self, event: Event) -> list[story.Line]:
        if isinstance(event, Waiting):
            return [story.waiting(event)]
        if isinstance(event, RunStarted):
            self._started = self._clock()
            return [story.started(event.run, local=is_terminal(sys.stderr)), *story.repeated(event.run)]
        if isinstance(event, StepDone):
            return story.done(event.manifest)
        if isinstance(event, StepFailed):
            line = story.tried(event)
            return [line] if line else []
        if isinstance(event, RunEnded):
            self.outcome = event.outcome
        if isinstance(event, NotPushed):
            return [story.not_pushed(event)]
        if isinstance(event, NotTold):
            return [story.not_told(event)]
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.clear()

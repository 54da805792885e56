"""Runs the demo's weeks one after the other, and tells each as it ends."""

import os
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from refit.cli.answer import paint
from refit.cli.failure import block, completed
from refit.cli.place import read_file
from refit.cli.progress import live
from refit.cli.story import OUTCOME_TONES
from refit.core.domain import Outcome, VerdictRef
from refit.core.errors import TerminatedError
from refit.core.pushgateway import url_of
from refit.core.refs import read_ref
from refit.core.store import ObjectStore, open_store
from refit.demo import weeks
from refit.demo.folder import Folder
from refit.run.events import Event, RunEnded, StepStarted, StepTold
from refit.run.local import LocalExecutor
from refit.run.request import Request
from refit.run.runner import Runner

ENDS_THE_SHOW = ("failed", "awaiting_approval", "superseded")
"""Outcomes after which a person has something to do; the next call goes on from there."""


class Show:
    """The weeks of one call.

    Args:
        dsn: The warehouse.
        tell: Writes a line.
        err: The lines go to stderr.

    Attributes:
        done: Outcomes of the weeks so far.
        exit_code: Of the last week.
    """

    def __init__(self, place: Folder, dsn: str, tell: Callable[[str], None], *, err: bool) -> None:
        self._body, self._pipeline = read_file(str(place.file))
        self._root = open_store(place.store_url)
        self._tell, self._err = tell, err
        self._watch = _Watch()
        environment = {name: value for name, value in os.environ.items() if name != "REFIT_SOURCE_DSN_FILE"}
        self._executor = LocalExecutor({**environment, "REFIT_SOURCE_DSN": dsn})
        self._runner = Runner(self._root, self._executor, self._watch, pushgateway_url=url_of(os.environ))
        self.done: list[Outcome] = []
        self.exit_code = 0

    def close(self) -> None:
        """No step's process is left."""
        self._executor.close()

    @property
    def store(self) -> ObjectStore:
        return self._root.under(f"{self._pipeline.name}/")

    def following(self) -> datetime | None:
        """The week that comes next, by the last one that reached a verdict."""
        found = read_ref(self.store, "verdict", VerdictRef)
        return weeks.following(found[0].as_of if found else None)

    def run(self, number: int) -> None:
        """Up to `number` weeks have been run; fewer when the year ends or a week needs a person."""
        if self.following() is not None:
            self._tell(paint(weeks.HEAD, "quiet", err=self._err))
        while len(self.done) < number and (as_of := self.following()) is not None:
            outcome, seconds = self._run_week(as_of)
            self.done.append(outcome)
            self._tell_week(outcome, seconds)
            if outcome.outcome in ENDS_THE_SHOW:
                return

    def _run_week(self, as_of: datetime) -> tuple[Outcome, float]:
        started = time.monotonic()
        self._watch.begin(as_of)
        try:
            outcome = self._runner.run(Request(self._pipeline, self._body, as_of=as_of, why="refit demo"))
            self.exit_code = outcome.exit_code
        except TerminatedError as error:
            if self._watch.outcome is None:
                raise
            outcome, self.exit_code = self._watch.outcome, error.exit_code
        finally:
            self._watch.end()
        return outcome, time.monotonic() - started

    def _tell_week(self, outcome: Outcome, seconds: float) -> None:
        tone = OUTCOME_TONES[outcome.outcome]
        self._tell(weeks.row(outcome, seconds) + paint(outcome.outcome.replace("_", " "), tone, err=self._err))
        if outcome.error is None:
            self._tell(weeks.INDENT + paint(weeks.reason(outcome), "quiet", err=self._err))
        else:
            self._tell(block(completed(outcome.error, None, outcome.pipeline)))


class _Watch:
    """Listens to the runner: what the step at work is doing moves at the foot of a terminal."""

    def __init__(self) -> None:
        self._live, self._week = live(), ""
        self.outcome: Outcome | None = None

    def begin(self, as_of: datetime) -> None:
        self._week, self.outcome = f"{as_of:%Y-%m-%d}", None

    def end(self) -> None:
        self._live.clear()

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepStarted):
            self._live.show(f"{self._week}  {event.step}", "")
        elif isinstance(event, StepTold) and event.text:
            self._live.show(f"{self._week}  {event.step}", event.text)
        elif isinstance(event, RunEnded):
            self.outcome = event.outcome


def document(outcomes: list[Outcome], place: Folder, following: datetime | None) -> dict[str, Any]:
    """What `refit demo --json` answers."""
    return {
        "format": 1,
        "store": place.store_url,
        "file": str(place.file.absolute()),
        "weeks": [outcome.model_dump(mode="json", by_alias=True) for outcome in outcomes],
        "following": None if following is None else following.isoformat().replace("+00:00", "Z"),
    }

"""Runs that failed, one by one: why, the end of what the failed attempt logged, and what to do next."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from refit.cli import words
from refit.cli.answer import is_terminal, paint
from refit.cli.failure import CLASS_WORDS, completed
from refit.cli.logs import AttemptLog, read_logs, readable
from refit.cli.past import PastRun
from refit.core.errors import RefitError
from refit.core.store import ObjectStore

TAIL_LINES: Final = 10
LINE_LIMIT: Final = 400
"""Characters of a line that are shown; `refit logs` has all of it."""


@dataclass(frozen=True)
class Fault:
    """A run that failed.

    Attributes:
        error_class: As in the table of exit codes; `killed` where nobody has settled it yet.
        next: What to do; empty where nothing is.
        log: Its end, of the last attempt of the step that failed; None where none is stored.
    """

    past: PastRun
    error_class: str
    message: str
    next: str
    log: AttemptLog | None

    @property
    def ended_at(self) -> datetime | None:
        if self.past.outcome is not None:
            return self.past.outcome.finished_at
        return self.past.run.created_at if self.past.run else None


def read_fault(store: ObjectStore, name: str, past: PastRun) -> Fault:
    """What is known of the run; a log that cannot be read is none."""
    error = past.outcome.error if past.outcome else None
    if error is None:
        return Fault(
            past,
            "killed",
            "killed without a word; the next run settles it",
            f"refit rerun {name} {past.run_id}",
            _tail(store, past.run_id, None),
        )
    following = completed(error, None, name, past.run_id).next
    return Fault(past, error.error_class, error.message, following, _tail(store, past.run_id, error.step))


def _tail(store: ObjectStore, run_id: str, step: str | None) -> AttemptLog | None:
    """Logs are stored without secrets, and without values of sensitive columns."""
    logs: list[AttemptLog] = []
    with suppress(RefitError):
        logs = [log for log in read_logs(store, run_id) if step in (None, log.step)]
    return replace(logs[-1], lines=logs[-1].lines[-TAIL_LINES:]) if logs else None


def _readable(log: AttemptLog) -> list[str]:
    """The last lines as a person reads them, those of a traceback included."""
    local = is_terminal(sys.stdout)
    told = (line for entry in log.lines for line in readable(entry, local=local).splitlines())
    return [line if len(line) <= LINE_LIMIT else f"{line[:LINE_LIMIT]}…" for line in told if line.strip()][-TAIL_LINES:]


def lines(fault: Fault) -> Iterator[str]:
    """The run as a block; its lines are those that a failure of `refit run` has."""
    past = fault.past
    at = f"  {words.instant(fault.ended_at, local=is_terminal(sys.stdout))}" if fault.ended_at else ""
    means = CLASS_WORDS.get(fault.error_class, fault.error_class)
    yield f"{past.run_id}  {paint(past.state, 'bad')}{at}  {fault.error_class}: {means}"
    step = past.outcome.error.step if past.outcome and past.outcome.error else None
    headline, *details = fault.message.splitlines() or [""]
    yield f"  {f'{step}: ' if step else ''}{headline}"
    for detail in details:
        if detail.strip():
            yield f"    {detail.strip()}"
    if fault.log is not None:
        yield paint(f"  log of {fault.log.step}, attempt {fault.log.number}, its end:", "quiet")
        for line in _readable(fault.log):
            yield f"    {line}"
    if fault.next:
        yield f"  next  {fault.next}"

"""Whether a pipeline's schedule asks for a run: `refit run FILE --if-due`, for a plain cron that calls often."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from refit.cli.runs import iso
from refit.cli.words import instant
from refit.core.config import Pipeline
from refit.core.errors import ConfigError
from refit.core.runs import recorded_runs
from refit.core.store import ObjectStore


class NoSchedule(ConfigError):
    """The file says nothing of when to run."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} has no schedule, so it is never due",
            next='add one to the file, like schedule: {cron: "0 5 * * 1"}, or leave --if-due out',
        )


@dataclass(frozen=True)
class Due:
    """What the schedule asks for at one moment.

    Attributes:
        last: The newest run, and when it began; None: none has begun. Reruns do not count, they end where another did.
        at: The first scheduled moment since; None where the line names no moment that comes.
        is_due: That moment has come, or there was no run yet.
    """

    last: tuple[str, datetime] | None
    at: datetime | None
    is_due: bool

    def sentence(self, *, local: bool) -> str:
        """Why there is a run now, or none."""
        if self.last is None:
            return "due: no run has begun yet"
        began = f"{self.last[0]} began at {instant(self.last[1], local=local)}"
        if self.is_due and self.at is not None:
            return f"due since {instant(self.at, local=local)}: {began}"
        return f"not due{f' until {instant(self.at, local=local)}' if self.at else ''}: {began}"

    def document(self, name: str) -> dict[str, Any]:
        """The answer of a call that starts no run."""
        run_id, began_at = self.last or (None, None)
        last = {"run_id": run_id, "created_at": iso(began_at)} if run_id else None
        answer = {"run_id": None, "outcome": None, "due": self.is_due, "due_at": iso(self.at), "last_run": last}
        return {"format": 1, "pipeline": name} | answer | {"exit_code": 0}


def read_due(store: ObjectStore, pipeline: Pipeline, now: datetime) -> Due:
    """What the file's schedule asks for at `now`. Raises NoSchedule."""
    if pipeline.schedule is None:
        raise NoSchedule(pipeline.name)
    last = next((run for run in recorded_runs(store) if run.parent is None), None)
    if last is None:
        return Due(None, None, is_due=True)
    at = pipeline.schedule.next_after(last.created_at)
    return Due((last.run_id, last.created_at), at, is_due=at is not None and at <= now)

"""How a run's end is told: the answer, the failure's block with what becomes of production, the JSON document."""

from datetime import UTC, datetime
from typing import Any

from refit.cli import story
from refit.cli.answer import say, say_json, talk
from refit.cli.failure import block, completed
from refit.cli.place import Place
from refit.cli.session import Session
from refit.cli.words import age
from refit.core import artifacts
from refit.core.config import parse_pipeline
from refit.core.domain import Failure, Move, Outcome
from refit.core.errors import RefitError
from refit.core.registry import read_champion, stands_since
from refit.core.step import read_run


def not_started(asked: Session, as_of: datetime | None, failure: Failure) -> dict[str, Any]:
    """The document of a call that started no run."""
    outcome = Outcome(
        pipeline=asked.name,
        run_id=None,
        outcome="failed",
        as_of=as_of,
        error=failure,
        exit_code=failure.exit_code,
        finished_at=datetime.now(UTC),
    )
    return outcome.model_dump(mode="json", by_alias=True)


def as_ended(outcome: Outcome, file: str | None, code: int) -> Outcome:
    """The outcome as this process tells it: with its own exit code, and a next step that can be typed."""
    if outcome.error is None:
        return outcome
    error = completed(outcome.error, file, outcome.pipeline, outcome.run_id)
    return outcome.model_copy(update={"error": error, "exit_code": code})


def tell(outcome: Outcome, place: Place, total_seconds: float, *, as_json: bool) -> None:
    """The run's end is told."""
    if outcome.error is not None:
        ended = outcome.error.model_copy(update={"exit_code": outcome.exit_code})
        talk(block(ended, _production(place, datetime.now(UTC))))
    if as_json:
        say_json(outcome.model_dump(mode="json", by_alias=True))
    elif outcome.error is None:
        report = place.report_path(outcome.report) if outcome.report else None
        waiting = story.why_waiting(_champion(place), _approval(place, outcome), place.name)
        for line in story.ending(outcome, total_seconds, report, waiting):
            say(line.text)


def _approval(place: Place, outcome: Outcome) -> str:
    """What the file that the run keeps says of approval; auto where that cannot be read any more."""
    if outcome.run_id is None:
        return "auto"
    try:
        run = read_run(place.store, outcome.run_id)
        return parse_pipeline(artifacts.read(place.store, run.file), run.file.key).publish.approval
    except RefitError:
        return "auto"


def _champion(place: Place) -> Move | None:
    """The champion where it can be read; a run's end is told without it too."""
    try:
        found = read_champion(place.store)
    except RefitError:
        return None
    return found[0] if found else None


def _production(place: Place, now: datetime) -> str:
    """What a failure means for production."""
    champion = _champion(place)
    if champion is None:
        return ""
    promoted_at = stands_since(place.store, champion)
    return f"{champion.version} stays in production, {age((now - promoted_at).total_seconds())} old"

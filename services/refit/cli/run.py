"""`refit run`: the main job."""

import os
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from refit.cli import story
from refit.cli.answer import say, say_json, talk
from refit.cli.failure import block, completed
from refit.cli.options import example, json_option, store_option, wait_option
from refit.cli.overview import since
from refit.cli.place import Place, as_time, open_root, read_file
from refit.cli.progress import Progress
from refit.cli.session import Session, session
from refit.cli.words import age
from refit.core.config import Pipeline
from refit.core.domain import Failure, Move, Outcome
from refit.core.errors import ConfigError, RefitError, TerminatedError
from refit.core.registry import read_champion, read_history
from refit.run.local import LocalExecutor
from refit.run.runner import Request, Runner


class NotBuiltYet(ConfigError):
    """The option is part of the design, and of a later version."""


@click.command(epilog=example("refit run refit.yaml", "refit run refit.yaml --as-of 2013-02-01 --json"))
@click.argument("file", metavar="FILE")
@click.option(
    "--as-of", callback=as_time, metavar="TIME", help="The run's now: an ISO date or time, UTC unless it has an offset."
)
@click.option(
    "--executor",
    type=click.Choice(["local", "kubernetes"]),
    default="local",
    show_default=True,
    help="Where steps run; kubernetes is not built yet.",
)
@wait_option
@click.option("--full-refresh", is_flag=True, help="Read the whole window again, which also shows deletions.")
@click.option("--adopt", is_flag=True, help="Take the pipeline over from another REFIT_OWNER.")
@store_option
@json_option
def run(
    file: str,
    as_of: datetime | None,
    executor: str,
    wait: int,
    full_refresh: bool,
    adopt: bool,
    store: str | None,
    as_json: bool,
) -> None:
    """Extracts new rows, retrains, judges the candidate, and promotes it when it can be trusted.

    FILE is the pipeline file. A candidate that is refused, too few new rows and a wait for approval are good ends:
    exit 0. A failure ends with its own code and leaves production as it is.
    """
    asked = session()
    asked.document = partial(_not_started, asked, as_of)
    if executor == "kubernetes":
        raise NotBuiltYet("--executor kubernetes is not built yet", next="run here: --executor local")
    body, pipeline = read_file(file)
    root = open_root(store)
    place = Place(pipeline.name, root, root.under(f"{pipeline.name}/"))
    code = 0
    request = Request(
        pipeline,
        body,
        as_of=as_of,
        full_refresh=full_refresh,
        wait_seconds=wait,
        owner=os.environ.get("REFIT_OWNER") or "local",
        adopt=adopt,
    )
    with closing(LocalExecutor()) as steps, Progress() as progress:
        try:
            outcome = Runner(root, steps, progress).run(request)
            code = outcome.exit_code
        except TerminatedError as error:
            if progress.outcome is None:
                raise
            outcome, code = progress.outcome, error.exit_code
    _tell(_as_ended(outcome, file, code), place, pipeline, progress.seconds, as_json=as_json)
    click.get_current_context().exit(code)


def _not_started(asked: Session, as_of: datetime | None, failure: Failure) -> dict[str, Any]:
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


def _as_ended(outcome: Outcome, file: str, code: int) -> Outcome:
    """The outcome as this process tells it: with its own exit code, and a next step that can be typed."""
    if outcome.error is None:
        return outcome
    error = completed(outcome.error, file, outcome.pipeline)
    return outcome.model_copy(update={"error": error, "exit_code": code})


def _tell(outcome: Outcome, place: Place, pipeline: Pipeline, total_seconds: float, *, as_json: bool) -> None:
    if outcome.error is not None:
        ended = outcome.error.model_copy(update={"exit_code": outcome.exit_code})
        talk(block(ended, _production(place, datetime.now(UTC))))
    if as_json:
        say_json(outcome.model_dump(mode="json", by_alias=True))
    elif outcome.error is None:
        report = place.report_path(outcome.report) if outcome.report else None
        waiting = story.why_waiting(_champion(place), pipeline.publish.approval, place.name)
        for line in story.ending(outcome, total_seconds, report, waiting):
            say(line.text)


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
    promoted_at = since(read_history(place.store), champion)
    return f"{champion.version} stays in production, {age((now - promoted_at).total_seconds())} old"

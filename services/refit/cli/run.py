"""`refit run`: the main job."""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import click

from refit.cli.answer import is_terminal, say_json, talk
from refit.cli.due import read_due
from refit.cli.ending import as_ended, not_started, tell
from refit.cli.executors import opened
from refit.cli.notices import tell_of_run
from refit.cli.options import example, executor_option, json_option, store_option, wait_option, why_option
from refit.cli.place import Place, as_time, open_root, read_file
from refit.cli.progress import Progress
from refit.cli.session import session
from refit.core import pushgateway
from refit.core.config import Pipeline
from refit.core.domain import Outcome
from refit.core.errors import TerminatedError
from refit.run.request import NoLongerWanted, Request
from refit.run.runner import Runner


@click.command(epilog=example("refit run refit.yaml", "refit run refit.yaml --as-of 2013-02-01 --json"))
@click.argument("file", metavar="FILE")
@click.option(
    "--as-of", callback=as_time, metavar="TIME", help="The run's now: an ISO date or time, UTC unless it has an offset."
)
@executor_option
@wait_option
@click.option("--full-refresh", is_flag=True, help="Read the whole window again, which also shows deletions.")
@click.option("--adopt", is_flag=True, help="Take the pipeline over from another REFIT_OWNER.")
@click.option(
    "--if-due", is_flag=True, help="End at once with 0 unless the schedule has named a moment since the last run began."
)
@why_option
@store_option
@json_option
def run(
    file: str,
    as_of: datetime | None,
    executor: str,
    wait: int,
    full_refresh: bool,
    adopt: bool,
    if_due: bool,
    why: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Extracts new rows, retrains, judges the candidate, and promotes it when it can be trusted.

    FILE is the pipeline file. A candidate that is refused, too few new rows and a wait for approval are good ends:
    exit 0. A failure ends with its own code and leaves production as it is.

    With --if-due a plain cron may call this often: `*/15 * * * * refit run refit.yaml --if-due` runs when the file's
    schedule, in its own time zone, asks for it, and makes up for a time when the machine was off.
    """
    asked = session()
    asked.document = partial(not_started, asked, as_of)
    body, pipeline = read_file(file)
    root = open_root(store)
    place = Place(pipeline.name, root, root.under(f"{pipeline.name}/"))
    if if_due and not _is_due(place, pipeline, as_json=as_json):
        return
    request = Request(
        pipeline,
        body,
        as_of=as_of,
        full_refresh=full_refresh,
        why=why or "",
        wait_seconds=wait,
        adopt=adopt,
        is_wanted=lambda: not if_due or read_due(place.store, pipeline, datetime.now(UTC)).is_due,
    )
    try:
        walk(place, file, lambda runner: runner.run(request), executor=executor, as_json=as_json)
    except NoLongerWanted:
        _is_due(place, pipeline, as_json=as_json)


def _is_due(place: Place, pipeline: Pipeline, *, as_json: bool) -> bool:
    """Whether the schedule asks for a run now, which is told; where it does not, that is the whole answer."""
    due = read_due(place.store, pipeline, datetime.now(UTC))
    talk(f"{pipeline.name}  {due.sentence(local=is_terminal(sys.stderr))}")
    if as_json and not due.is_due:
        say_json(due.document(pipeline.name))
    return due.is_due


def walk(place: Place, file: str | None, go: Callable[[Runner], Outcome], *, executor: str, as_json: bool) -> None:
    """The run that `go` starts has ended and is told; the call ends with its code.

    Args:
        file: The pipeline file as the user named it, for what to do next.
        executor: Where the steps run.
    """
    code = 0
    with opened(executor, place) as (steps, identity), Progress() as progress:
        try:
            url = pushgateway.url_of(os.environ)
            notify = partial(tell_of_run, environment=dict(os.environ))
            runner = Runner(place.root, steps, progress, identity=identity, pushgateway_url=url, notify=notify)
            outcome = go(runner)
            code = outcome.exit_code
        except TerminatedError as error:
            if progress.outcome is None:
                raise
            outcome, code = progress.outcome, error.exit_code
    tell(as_ended(outcome, file, code), place, progress.seconds, as_json=as_json)
    click.get_current_context().exit(code)

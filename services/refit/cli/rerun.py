"""`refit rerun`: a new run from an earlier one."""

from datetime import UTC, datetime
from functools import partial

import click

from refit.cli.ending import not_started
from refit.cli.options import (
    example,
    executor_option,
    json_option,
    name_argument,
    store_option,
    wait_option,
    why_option,
)
from refit.cli.past import read_lock
from refit.cli.place import find, find_run, read_file
from refit.cli.run import walk
from refit.cli.session import session
from refit.core.domain import STEPS, StepName
from refit.core.lock import LockBusy
from refit.run.rerun import Rerun


@click.command(
    epilog=example(
        "refit rerun flight-delays",
        "refit rerun flight-delays --file refit.yaml",
        "refit rerun flight-delays 20130405t000000-k3fw --from train --reason 'more memory'",
    )
)
@name_argument
@click.argument("run_id", metavar="[RUN_ID]", required=False)
@click.option(
    "--from",
    "start",
    type=click.Choice(STEPS),
    help="The first step to do again; default: the one that failed, or extract where none did.",
)
@click.option("--file", metavar="FILE", help="The pipeline file to use; default: the one that the run kept.")
@executor_option
@wait_option
@why_option
@store_option
@json_option
def rerun(
    target: str,
    run_id: str | None,
    start: StepName | None,
    file: str | None,
    executor: str,
    wait: int,
    why: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Repeats a run of pipeline NAME as a new run, with the same as_of, from the step that failed on.

    RUN_ID is the run to repeat, or @latest; without it the newest run is repeated if it failed. What the steps before
    left is verified and taken over; a step that finds another file, and all after it, are done again.
    """
    asked = session()
    asked.document = partial(not_started, asked, None)
    place = find(target, store)
    body = read_file(file)[0] if file is not None else None
    asked.name = place.name
    if run_id is not None:
        run_id = find_run(place, run_id)
        held = read_lock(place.store, datetime.now(UTC))
        if held is not None and held.alive and held.holder.run_id == run_id:
            raise LockBusy(held.holder, 0.0)
    request = Rerun(place.name, run_id, start, body, why or "", wait_seconds=wait)
    walk(place, file, lambda runner: runner.rerun(request), executor=executor, as_json=as_json)

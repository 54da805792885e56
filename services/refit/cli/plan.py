"""`refit plan`: what a run would do now. Changes nothing."""

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from refit.cli.answer import is_terminal, say, say_json
from refit.cli.executors import owner
from refit.cli.notices import doubts
from refit.cli.options import example, json_option, store_option
from refit.cli.past import read_lock
from refit.cli.place import as_time, open_root, read_file
from refit.cli.preview import lines
from refit.cli.prospect import Planned, approval, gains, read_environment, read_prospect
from refit.cli.runs import iso
from refit.core.config_search import Search, most
from refit.core.context import Context
from refit.core.environment import created_by
from refit.core.freshness import read_patience
from refit.core.owner import refuse_other
from refit.data.split import window_end, window_start
from refit.extract.forecast import forecast
from refit.run.request import Maker, Request, new_run, refuse_future


@click.command(epilog=example("refit plan refit.yaml", "refit plan refit.yaml --full-refresh --json"))
@click.argument("file", metavar="FILE")
@click.option(
    "--as-of", callback=as_time, metavar="TIME", help="The run's now: an ISO date or time, UTC unless it has an offset."
)
@click.option("--full-refresh", is_flag=True, help="As `refit run --full-refresh` would.")
@store_option
@json_option
def plan(file: str, as_of: datetime | None, full_refresh: bool, store: str | None, as_json: bool) -> None:
    """Says what a run of FILE would do now, and changes nothing.

    Rows are estimated by PostgreSQL's EXPLAIN; time and memory come from earlier runs.
    """
    body, pipeline = read_file(file)
    refuse_future(as_of)
    place = open_root(store).under(f"{pipeline.name}/")
    who = owner(os.environ)
    refuse_other(place, who)
    now = datetime.now(UTC)
    environment = read_environment(place)
    maker = Maker(created_by(), lambda _name, _run_id: environment)
    run, _ = new_run(Request(pipeline, body, as_of=as_of, full_refresh=full_refresh), "plan", maker)
    with tempfile.TemporaryDirectory(prefix="refit-plan-") as folder:
        context = Context(place, pipeline, run, "extract", "plan", 1, Path(folder), now, lambda _text: None)
        planned = Planned(
            pipeline,
            run,
            forecast(context),
            read_prospect(place, pipeline),
            read_lock(place, now),
            who,
            read_patience(place, pipeline, now),
            doubts(pipeline, os.environ),
        )
    if as_json:
        say_json(document(planned))
        return
    for line in lines(planned, file, local=is_terminal(sys.stdout)):
        say(line)


def document(planned: Planned) -> dict[str, Any]:
    """The plan as JSON; all counts of rows are estimates."""
    pipeline, read, prospect, as_of = planned.pipeline, planned.read, planned.prospect, planned.run.as_of
    bounds, champion = read.todo.bounds, prospect.champion
    found = gains(prospect, pipeline.evaluate.gate, planned.clean_rows)
    return {
        "format": 1,
        "pipeline": pipeline.name,
        "as_of": iso(as_of),
        "window": {"after": iso(window_start(pipeline, as_of)), "until": iso(window_end(pipeline, as_of))},
        "read": {"after": iso(bounds.after), "until": iso(bounds.until), "rows": read.rows} if bounds else None,
        "snapshot": read.goes_on,
        "fresh_reason": read.todo.fresh_reason or None,
        "rows": {"window": planned.window_rows, "clean": planned.clean_rows, "new_since_verdict": read.new + read.rows},
        "may_be_skipped": planned.may_be_skipped,
        "images_assumed": planned.assumes_images,
        "champion": {"version": champion.version, "as_of": iso(champion.as_of)} if champion else None,
        "gate": [
            {"score": line.score, "line": line.line, "limit": line.limit, "detectable": gain} for line, gain in found
        ],
        "approval": approval(planned),
        "fit_on": pipeline.publish.fit_on,
        "steps": {
            step: {"seconds": cost.seconds, "max_rss_bytes": cost.max_rss_bytes}
            for step, cost in prospect.costs.items()
        },
        "search": _search(pipeline.model.search) if pipeline.model.search else None,
        "measured_runs": prospect.measured,
        "on_failure": _on_failure(planned),
        "lock": planned.held.holder.run_id if planned.held and planned.held.alive else None,
        "warnings": [*read.todo.warnings, *planned.warnings],
    }


def _on_failure(planned: Planned) -> dict[str, Any]:
    slo, patience = planned.pipeline.slo, planned.patience
    return {
        "action": slo.on_failure,
        "max_age_seconds": slo.max_age.total_seconds() if slo.max_age else None,
        "attempts": patience.tries,
        "pauses_seconds": list(patience.pauses),
        "until": iso(patience.until),
        "ends": patience.end,
        "ends_at": iso(patience.ends_at),
    }


def _search(search: Search) -> dict[str, Any]:
    budget = search.time_budget.total_seconds() if search.time_budget else None
    return {"combinations": most(search), "folds": search.cv, "time_budget_seconds": budget}

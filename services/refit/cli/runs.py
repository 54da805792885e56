"""`refit runs`: the history of a pipeline's runs."""

import sys
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import click

from refit.cli import words
from refit.cli.answer import is_terminal, paint, say, say_json, talk
from refit.cli.faults import Fault, read_fault
from refit.cli.faults import lines as fault_lines
from refit.cli.logs import parsed
from refit.cli.options import example, json_option, name_argument, store_option
from refit.cli.past import PastRun, newest_first
from refit.cli.place import find
from refit.cli.story import OUTCOME_TONES
from refit.core.runs import run_ids

LIMIT: Final = 20
FAILED: Final = frozenset({"failed", "superseded", "dead"})
HEAD: Final = ("RUN", "AS OF", "OUTCOME", "NEW ROWS", "TOOK", "WHY")


@click.command(epilog=example("refit runs flight-delays", "refit runs flight-delays --failed --limit 5"))
@name_argument
@click.option("--failed", is_flag=True, help="Only runs that failed, were superseded or died.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=LIMIT,
    show_default=True,
    metavar="N",
    help="How many, the newest first; 0: all.",
)
@store_option
@json_option
def runs(target: str, failed: bool, limit: int, store: str | None, as_json: bool) -> None:
    """Lists the runs of pipeline NAME, the newest first.

    With --failed each one is told with the class and message of its failure, the end of the log of the attempt that
    failed, and what to do next.
    """
    place = find(target, store)
    past = newest_first(place.store, run_ids(place.store), datetime.now(UTC))
    wanted = (one for one in past if not failed or one.state in FAILED)
    shown = list(islice(wanted, limit or None))
    if as_json:
        told = [failed_summary(read_fault(place.store, place.name, one)) if failed else summary(one) for one in shown]
        say_json({"format": 1, "pipeline": place.name, "runs": told})
    elif shown and failed:
        for number, one in enumerate(shown):
            say("\n" * (number > 0) + "\n".join(fault_lines(read_fault(place.store, place.name, one))))
    elif shown:
        say(listing(shown, local=is_terminal(sys.stdout)))
        if any(one.state == "dead" for one in shown):
            talk("dead: killed without a word; the next run settles it")
    else:
        talk(f"no {'failed ' if failed else ''}run of {place.name} yet")


def failed_summary(fault: Fault) -> dict[str, Any]:
    """A failed run in JSON: as in other lists, with what `--failed` adds."""
    log = None
    if fault.log is not None:
        lines = [parsed(line) for line in fault.log.lines]
        log = {"step": fault.log.step, "attempt": fault.log.number, "lines": lines}
    return summary(fault.past) | {"class": fault.error_class, "next": fault.next, "log": log}


def summary(past: PastRun) -> dict[str, Any]:
    """What lists and the status say of a run in JSON."""
    outcome, run = past.outcome, past.run
    return {
        "run_id": past.run_id,
        "outcome": past.state,
        "parent": run.parent if run else None,
        "as_of": iso(run.as_of if run else None),
        "created_at": iso(run.created_at if run else None),
        "created_by": run.created_by if run else None,
        "finished_at": iso(outcome.finished_at if outcome else None),
        "exit_code": outcome.exit_code if outcome else None,
        "new_rows": outcome.rows.new if outcome else None,
        "reason": why(past),
        "error": outcome.error.model_dump(mode="json", by_alias=True) if outcome and outcome.error else None,
    }


def why(past: PastRun) -> str:
    """One sentence on what became of the run."""
    outcome = past.outcome
    if outcome is None:
        return "it goes on" if past.state == "running" else "killed without a word; the next run settles it"
    if outcome.error is not None:
        where = f"{outcome.error.step}: " if outcome.error.step else ""
        return f"{where}{outcome.error.message.splitlines()[0]}" if outcome.error.message else where
    if outcome.verdict is not None:
        return outcome.verdict.needs_approval or outcome.verdict.reason
    return "too few new rows, nothing else changed" if outcome.outcome == "skipped" else ""


def listing(shown: list[PastRun], *, local: bool) -> str:
    """The runs as a table; outcomes in colour where that is shown."""
    lines = words.table(HEAD, [_row(past, local=local) for past in shown]).splitlines()
    painted = [
        line.replace(past.state, paint(past.state, OUTCOME_TONES[past.state]), 1)
        for past, line in zip(shown, lines[1:], strict=True)
    ]
    return "\n".join([lines[0], *painted])


def _row(past: PastRun, *, local: bool) -> tuple[str, ...]:
    return (
        past.run_id,
        words.instant(past.run.as_of, local=local) if past.run else "-",
        past.state,
        words.count(past.outcome.rows.new if past.outcome else None),
        words.seconds(past.seconds) if past.seconds is not None else "-",
        words.one_line(why(past), 80),
    )


def iso(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None

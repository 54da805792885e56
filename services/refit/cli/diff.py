"""`refit diff`: two runs side by side."""

import sys
from typing import Any

import click

from refit.cli.answer import is_terminal, say, say_json
from refit.cli.contrast import lines
from refit.cli.options import example, json_option, name_argument, store_option
from refit.cli.place import find, find_run
from refit.cli.runs import iso
from refit.cli.sides import (
    Side,
    file_changes,
    param_changes,
    profile_changes,
    read_side,
    row_changes,
    score_changes,
    version_changes,
)
from refit.data.change import ColumnChange


@click.command(
    epilog=example(
        "refit diff flight-delays 20130329t000000-a9xq 20130405t000000-k3fw",
        "refit diff flight-delays 20130329t000000-a9xq @latest --json",
    )
)
@name_argument
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@store_option
@json_option
def diff(target: str, first: str, second: str, store: str | None, as_json: bool) -> None:
    """Compares two runs of pipeline NAME: file, rows read and their columns, parameters, scores, versions of Python and
    libraries.

    A and B are run ids; @latest is the newest. The columns that changed most come first; the change is between 0 and
    1: the greatest gap between the cumulated distributions of numbers, half the summed differences of shares of text,
    or the change in NULLs, whichever is largest.
    """
    place = find(target, store)
    before, after = (read_side(place, find_run(place, run_id)) for run_id in (first, second))
    if as_json:
        say_json(document(place.name, before, after))
        return
    for line in lines(place.name, before, after, local=is_terminal(sys.stdout)):
        say(line)


def document(name: str, before: Side, after: Side) -> dict[str, Any]:
    """The one document: pairs are [A, B]."""
    changes, columns = file_changes(before, after), profile_changes(before, after)
    return {
        "format": 1,
        "pipeline": name,
        "a": _run_document(before),
        "b": _run_document(after),
        "file": {"same": changes == [] if changes is not None else None, "diff": changes},
        "rows": row_changes(before, after),
        "columns": [_column_document(one) for one in columns] if columns is not None else None,
        "params": param_changes(before, after),
        "scores": score_changes(before, after),
        "versions": version_changes(before, after),
    }


def _run_document(side: Side) -> dict[str, Any]:
    run = side.run
    return {"run_id": run.run_id, "outcome": side.past.state, "as_of": iso(run.as_of), "parent": run.parent}


def _column_document(change: ColumnChange) -> dict[str, Any]:
    sides = {"a": change.before, "b": change.after}
    return {
        "name": change.name,
        "state": change.state,
        "change": change.distance,
        **{side: one.model_dump(mode="json", exclude={"name", "bins"}) if one else None for side, one in sides.items()},
    }

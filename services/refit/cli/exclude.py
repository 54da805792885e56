"""`refit exclude`: rows left out by hand, taken back, and listed."""

import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from refit.cli import words
from refit.cli.answer import is_terminal, say, say_json, talk
from refit.cli.options import example, json_option, name_argument, optional_reason_option, store_option
from refit.cli.place import Place, find
from refit.core import artifacts, exclusions
from refit.core.domain import Exclusion, ExtractManifest, RunRecord, Snapshot, SnapshotRef
from refit.core.environment import created_by
from refit.core.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from refit.core.config import Pipeline
    from refit.data.condition import Where

HEAD: Final = ("NO", "STANDS", "WHEN", "WHO", "ROWS", "WHY")
NEWEST: Final = 0


@click.command(
    epilog=example(
        "refit exclude flight-delays --where \"landed_at between '2013-02-01' and '2013-02-03'\" --reason 'bad join'",
        "refit exclude flight-delays --undo 1 --reason 'the join was right'",
        "refit exclude flight-delays",
    )
)
@name_argument
@click.option("--where", metavar="CONDITION", help="Comparisons, between, in, is null on columns, joined by and.")
@click.option(
    "--undo", type=click.IntRange(min=0), is_flag=False, flag_value=NEWEST, metavar="[NO]",
    help="Take an exclusion back; default: the newest.",
)  # fmt: skip
@optional_reason_option
@store_option
@json_option
def exclude(
    target: str, where: str | None, undo: int | None, reason: str | None, store: str | None, as_json: bool
) -> None:
    """Leaves the rows of pipeline NAME for which CONDITION holds out of all later runs.

    Times are in UTC unless they have an offset, and both ends of between are included. Without --where and --undo the
    exclusions are listed.
    """
    if where is not None and undo is not None:
        raise click.UsageError("--where and --undo do not go together")
    if (where is not None or undo is not None) and reason is None:
        raise click.UsageError("say why: --reason TEXT")
    if where is None and undo is None and reason is not None:
        raise click.UsageError("--reason goes with --where or --undo")
    place = find(target, store)
    if where is not None:
        _exclude(place, where, str(reason), as_json=as_json)
    elif undo is not None:
        _undo(place, undo or None, str(reason), as_json=as_json)
    else:
        _list(place, as_json=as_json)


def _exclude(place: Place, text: str, reason: str, *, as_json: bool) -> None:
    from refit.data.where import read_where

    where = read_where(text)
    run, pipeline, snapshot = _newest(place)
    where.check({column.name: column.type for column in snapshot.columns})
    _refuse_sensitive(where, pipeline)
    made = exclusions.exclude(place.store, text, who=created_by(), why=reason, now=datetime.now(UTC))
    counted = _count(place, run, pipeline, snapshot, made)
    if as_json:
        rows = {"window": counted[0], "excluded": counted[1]} if counted else None
        say_json(_document(place, made) | {"rows": rows})
    else:
        share = f" {counted[1]:,} of the {counted[0]:,} rows in the window" if counted else " rows"
        say(f"exclusion {made.number} leaves{share} out of {place.name} from the next run on")
    if counted and counted[0] and counted[0] == counted[1]:
        talk("note: that leaves no row")
    talk(f"next: refit run FILE; to take it back: refit exclude {place.name} --undo {made.number} --reason '…'")


def _undo(place: Place, number: int | None, reason: str, *, as_json: bool) -> None:
    undone = exclusions.undo(place.store, number, who=created_by(), why=reason, now=datetime.now(UTC))
    if as_json:
        say_json(_document(place, undone))
    else:
        say(f"exclusion {undone.number} of {place.name} is taken back: {undone.where}")
    talk("the next run sees its rows again; next: refit run FILE")


def _list(place: Place, *, as_json: bool) -> None:
    found = exclusions.read_exclusions(place.store)
    if as_json:
        entries = [one.model_dump(mode="json") for one in found]
        say_json({"format": 1, "pipeline": place.name, "exclusions": entries})
    elif found:
        local = is_terminal(sys.stdout)
        say(words.table(HEAD, [_row(one, local=local) for one in found]))
    else:
        talk(f"nothing of {place.name} is excluded")


def _row(one: Exclusion, *, local: bool) -> tuple[str, ...]:
    why = one.why if one.undone is None else f"{one.why}; taken back by {one.undone.who}: {one.undone.why}"
    stands = "yes" if one.undone is None else "no"
    return (str(one.number), stands, words.instant(one.at, local=local), one.who, one.where, words.one_line(why))


def _document(place: Place, exclusion: Exclusion) -> dict[str, object]:
    return {"format": 1, "pipeline": place.name, "exclusion": exclusion.model_dump(mode="json")}


def _newest(place: Place) -> "tuple[RunRecord, Pipeline, Snapshot]":
    """The run whose snapshot the next extract continues, its file, and that snapshot."""
    from refit.core.config import parse_pipeline
    from refit.core.context import read_manifest
    from refit.core.refs import read_ref
    from refit.core.step import read_run

    ref = read_ref(place.store, "snapshot", SnapshotRef)
    manifest = read_manifest(place.store, ref[0].run_id, "extract", ExtractManifest) if ref else None
    if manifest is None or manifest.snapshot is None:
        raise ConfigError(
            f"no run of {place.name} has read rows, so there are no columns to speak of", next="refit run FILE"
        )
    run = read_run(place.store, manifest.run_id)
    return run, parse_pipeline(artifacts.read(place.store, run.file), run.file.key), manifest.snapshot


def _refuse_sensitive(where: "Where", pipeline: "Pipeline") -> None:
    """The condition is kept in plain words, so it may not quote a value of a sensitive column."""
    from refit.data.condition import BadCondition

    for condition in where.conditions:
        if condition.column in pipeline.sensitive and condition.literals:
            raise BadCondition(
                f'"{condition.column}" is sensitive, and the condition would keep its values in plain words',
                condition.place,
                next="name the rows by other columns",
            )


def _count(
    place: Place, run: RunRecord, pipeline: "Pipeline", snapshot: Snapshot, made: Exclusion
) -> tuple[int, int] | None:
    """Rows in the window of the newest snapshot, and those of them that the exclusion newly leaves out."""
    from refit.data.reader import SnapshotReader

    before = exclusions.standing(place.store)
    others = tuple(one for one in before if one.number != made.number)
    with tempfile.TemporaryDirectory(prefix="refit-exclude-") as folder:
        fetch = partial(artifacts.fetch, place.store, folder=Path(folder))
        try:
            counts = [
                SnapshotReader(snapshot.model_copy(update={"exclusions": named}), pipeline, run.as_of, fetch).count(
                    "window", labelled=False
                )
                for named in (others, (*others, made))
            ]
        except ArtifactError as error:
            talk(f"note: the rows cannot be counted: {error.message}")
            return None
    return counts[0], counts[0] - counts[1]

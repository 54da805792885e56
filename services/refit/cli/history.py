"""`refit history`: every move of the champion."""

import sys
from typing import Final

import click

from refit.cli import words
from refit.cli.answer import is_terminal, say, say_json, talk
from refit.cli.options import example, json_option, name_argument, store_option
from refit.cli.place import find
from refit.core.domain import Move
from refit.core.registry import HistoryLost, known_moves, read_history

HEAD: Final = ("MOVE", "WHEN", "HOW", "FROM", "TO", "WHO", "WHY")


@click.command(epilog=example("refit history flight-delays"))
@name_argument
@store_option
@json_option
def history(target: str, store: str | None, as_json: bool) -> None:
    """Lists every move of the champion of pipeline NAME: when, from, to, who, why; the oldest first.

    "all rows": the version's model that was fitted again on all rows (publish.fit_on).
    """
    place = find(target, store)
    try:
        moves = read_history(place.store)
    except HistoryLost:
        if not as_json:
            _list(known_moves(place.store))
        raise
    if as_json:
        entries = [move.model_dump(mode="json", by_alias=True) for move in moves]
        say_json({"format": 1, "pipeline": place.name, "history": entries})
    elif moves:
        _list(moves)
    else:
        talk(f"nothing of {place.name} was promoted yet")


def _list(moves: list[Move]) -> None:
    local = is_terminal(sys.stdout)
    say(words.table(HEAD, [_row(move, local=local) for move in moves]))


def _row(move: Move, *, local: bool) -> tuple[str, ...]:
    return (
        str(move.generation),
        words.instant(move.at, local=local),
        move.kind,
        move.previous or "-",
        f"{move.version} (all rows)" if move.fit_on == "all" else move.version,
        move.who,
        words.one_line(move.why),
    )

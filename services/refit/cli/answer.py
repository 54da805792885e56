"""What a command says: the answer on stdout, the talk on stderr, colour only on a terminal.

A reader that has gone away (`| head`) is no fault: what is left to say goes nowhere, and the command ends with the
code of its own work.
"""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal, TextIO

import click

Tone = Literal["plain", "good", "bad", "odd", "quiet"]

_COLOURS: Final[Mapping[Tone, dict[str, Any]]] = {
    "plain": {},
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "odd": {"fg": "yellow"},
    "quiet": {"dim": True},
}


def say(text: str) -> None:
    """The text is a line of the answer."""
    _write(text, err=False)


def talk(text: str) -> None:
    """The text is a line beside the answer."""
    _write(text, err=True)


def say_json(document: Mapping[str, Any]) -> None:
    """The document is the whole answer. Raises ValueError for NaN and infinity, which JSON does not know."""
    say(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))


def is_terminal(stream: TextIO) -> bool:
    """True when a person reads the stream as it comes, and it can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, tone: Tone, *, err: bool = False) -> str:
    """The text in the tone's colour on a terminal, and as it is elsewhere (https://no-color.org)."""
    stream = sys.stderr if err else sys.stdout
    if tone == "plain" or os.environ.get("NO_COLOR") or not is_terminal(stream):
        return text
    return click.style(text, **_COLOURS[tone])


def hush() -> None:
    """Whatever is still written to stdout or stderr goes nowhere (docs.python.org, library/signal, "SIGPIPE")."""
    for stream in (sys.stdout, sys.stderr):
        _hush(stream)


def _write(text: str, *, err: bool) -> None:
    try:
        click.echo(text, err=err)
    except BrokenPipeError:
        _hush(sys.stderr if err else sys.stdout)


def _hush(stream: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)

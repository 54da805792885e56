"""One call of the command line: how it wants its answer, and what its last words need to know."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from refit.core.domain import Failure


@dataclass
class Session:
    """Made by `refit` for each call; commands fill in what they learn on the way.

    Attributes:
        as_json: stdout gets exactly one JSON document, failures included.
        traceback: A failure shows where it came from.
        file: The pipeline file as the user named it.
        name: The pipeline's name.
        document: The JSON document of a failure where a command promises more than `{"format", "error"}`.
        until_told: What holds until the call's end has been told.
    """

    as_json: bool = False
    traceback: bool = False
    file: str | None = None
    name: str | None = None
    document: "Callable[[Failure], dict[str, Any]] | None" = None
    until_told: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def of(cls, arguments: Sequence[str]) -> "Session":
        """The session of a command line, read without parsing it: it must stand when parsing fails."""
        words = _options(arguments)
        return cls(as_json="--json" in words, traceback="--traceback" in words)


def session() -> Session:
    """The session of the call that is going on."""
    context = click.get_current_context(silent=True)
    return (context.find_object(Session) if context else None) or Session()


def without_traceback_flag(arguments: Sequence[str]) -> list[str]:
    """The arguments less `--traceback`, which may stand anywhere on the line."""
    words = _options(arguments)
    return [word for word in words if word != "--traceback"] + list(arguments[len(words) :])


def _options(arguments: Sequence[str]) -> list[str]:
    """The arguments before `--`, which ends the options."""
    words = list(arguments)
    return words[: words.index("--")] if "--" in words else words

"""Logs: JSON lines in pods, a readable console on a terminal, always on stderr, never a secret.

The credentials of the environment are replaced wherever they appear, and so is the password of anything that
looks like a connection string.

Where a pipeline has sensitive columns, the words of foreign exceptions are withheld too: they may quote a value.

structlog is imported when something is logged: half of its cost is its drawing on terminals, and `refit status` logs
nothing.
"""

import os
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    import structlog


HIDDEN: Final = "***"
WITHHELD: Final = "(its words are withheld: the pipeline has sensitive columns)"
LINE_LIMIT: Final = 8000
_SECRET_NAMES: Final = re.compile(r"(SECRET|TOKEN(?!IZ)|PASSWORD|PASSWD|DSN|WEBHOOK)", re.IGNORECASE)
_ORDINARY: Final = frozenset({"true", "false", "none", "null"})
_URL_PASSWORD: Final = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s:/@]*:)\S*@", re.IGNORECASE)
_KEY_PASSWORD: Final = re.compile(r"(?P<head>password\s*=\s*)('(?:[^'\\]|\\.)*'|(?:\\.|[^\s&'\"\\])+)", re.IGNORECASE)


_withheld = False


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text without the credentials of the environment and without passwords in connection strings."""
    for secret in _secrets(os.environ if environment is None else environment):
        text = text.replace(secret, HIDDEN)
    text = _URL_PASSWORD.sub(rf"\g<head>{HIDDEN}@", text)
    return _KEY_PASSWORD.sub(rf"\g<head>{HIDDEN}", text)


def withhold() -> None:
    """From now on `foreign` and all tracebacks of this process tell types and places, not the words of others."""
    global _withheld
    _withheld = True


def foreign(error: BaseException | Warning | str, words: str | None = None) -> str:
    """The words of an exception that is not ours, where they may be told.

    Args:
        words: The part of them that matters; default all.
    """
    if _withheld:
        return WITHHELD
    return str(error) if words is None else words


def are_withheld() -> bool:
    """Whether the words of others may quote a value of a sensitive column."""
    return _withheld


def _secrets(environment: Mapping[str, str]) -> Iterable[str]:
    """The values to hide, longest first; shorter than 4 characters would hide ordinary words."""
    found: set[str] = set()
    for name, value in environment.items():
        if not _SECRET_NAMES.search(name):
            continue
        text = _from_file(value) if name.endswith("_FILE") else value
        found.add(text)
        for password in re.findall(r"://[^\s:/@]*:(\S*)@", text):
            found.update((password, unquote(password)))
        for match in _KEY_PASSWORD.finditer(text):
            password = match[2].removeprefix("'").removesuffix("'")
            found.update((password, unquote(password), re.sub(r"\\(.)", r"\1", password)))
    return sorted((text for text in found if len(text) >= 4 and text.lower() not in _ORDINARY), key=len, reverse=True)


def _from_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _traceback(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """The places of an exception and of those that led to it; their words where nothing is withheld."""
    if not _withheld:
        return "".join(traceback.format_exception(exc_info[1])).rstrip()
    error: BaseException | None = exc_info[1]
    lines, seen = list[str](), set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
        lines.append(f"{type(error).__name__} {WITHHELD}\n{frames}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\ncaused by: ".join(lines)


def _redacted(_logger: Any, _method: str, event: "structlog.typing.EventDict") -> "structlog.typing.EventDict":
    return {name: redact(value)[:LINE_LIMIT] if isinstance(value, str) else value for name, value in event.items()}


def configure(mode: str | None = None, **context: str) -> None:
    """All loggers write to stderr from now on, in `mode`, with `context` (run_id, step) on every line.

    Args:
        mode: `console` or `json`; default REFIT_LOG, else by whether stderr is a terminal.
    """
    import structlog

    global _withheld
    _withheld = False
    chosen = mode or os.environ.get("REFIT_LOG") or ("console" if sys.stderr.isatty() else "json")
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ,
            exception_formatter=structlog.dev.plain_traceback,
        )
        if chosen == "console"
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_traceback),
            _redacted,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**context)


def logger() -> Any:
    """The logger of this process; on stderr also where nobody called `configure`."""
    import structlog

    if not structlog.is_configured():
        configure()
    return structlog.get_logger()

"""Logs: JSON lines in pods, a readable console on a terminal, always on stderr, never a secret.

The credentials of the environment are replaced wherever they appear, and so is the password of anything that
looks like a connection string.

Where a pipeline has sensitive columns, the words of foreign exceptions and warnings are withheld too: they may quote a
value.

structlog is imported when something is logged: half of its cost is its drawing on terminals, and `refit status` logs
nothing.
"""

import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO
from urllib.parse import unquote

if TYPE_CHECKING:
    import structlog


HIDDEN: Final = "***"
WITHHELD: Final = "(its words are withheld: the pipeline has sensitive columns)"
LINE_LIMIT: Final = 8000
LONGER_THAN_SECRETS: Final = 4096
"""Characters or bytes that are looked at beside what is kept: a part of a secret would not be known as one."""
_SECRET_NAMES: Final = re.compile(r"(SECRET|TOKEN(?!IZ)|PASSWORD|PASSWD|DSN|WEBHOOK|PUSHGATEWAY)", re.IGNORECASE)
_LINE_OF_A_SECRET: Final = 12
"""Characters that a line of a key or a JSON document needs to be hidden by itself."""
_ORDINARY: Final = frozenset({"true", "false", "none", "null"})
_URL_PASSWORD: Final = re.compile(r"(?P<head>[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,1000}:)\S{0,1000}@", re.IGNORECASE)
_KEY_PASSWORD: Final = re.compile(r"(?P<head>password\s*=\s*)('(?:[^'\\]|\\.)*'|(?:\\.|[^\s&'\"\\])+)", re.IGNORECASE)

# One call of several in a process may withhold, and its libraries work in threads that know nothing of it. So every
# call withholds for all of them, and each takes back no more than its own.
_withholding: Final[set[object]] = set()
_call: ContextVar[object] = ContextVar("_call", default="this process")


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text without the credentials of the environment and without passwords in connection strings."""
    for secret in _secrets(os.environ if environment is None else environment):
        text = text.replace(secret, HIDDEN)
    text = _URL_PASSWORD.sub(rf"\g<head>{HIDDEN}@", text)
    return _KEY_PASSWORD.sub(rf"\g<head>{HIDDEN}", text)


@contextmanager
def one_call() -> Iterator[None]:
    """What is withheld within the block is withheld until its end, and then no more.

    Warnings that nobody catches come out as `foreign` tells them.
    """
    call, shown = object(), warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        shown(WITHHELD if _withholding else message, category, filename, lineno, file, line)

    before = _call.set(call)
    warnings.showwarning = show
    try:
        yield
    finally:
        if warnings.showwarning is show:  # else another thread's call began since, and passes on to this one
            warnings.showwarning = shown
        _withholding.discard(call)
        _call.reset(before)


def withhold() -> None:
    """Until the end of the call that goes on here, types and places are told, and not the words of others.

    That holds for `foreign`, `places` and warnings in all of this process; outside of any `one_call` for good.
    """
    _withholding.add(_call.get())


def foreign(error: BaseException | Warning | str, words: str | None = None) -> str:
    """The words of an exception that is not ours, where they may be told.

    Args:
        words: The part of them that matters; default all.
    """
    if _withholding:
        return WITHHELD
    return str(error) if words is None else words


def are_withheld() -> bool:
    """Whether the words of others may quote a value of a sensitive column."""
    return bool(_withholding)


def _secrets(environment: Mapping[str, str]) -> Iterable[str]:
    """The values to hide, longest first; shorter than 4 characters would hide ordinary words."""
    found: set[str] = set()
    for name, value in environment.items():
        if not _SECRET_NAMES.search(name):
            continue
        text = _from_file(value) if name.endswith("_FILE") else value
        found.add(text.strip())  # a Secret made of a file ends with a line end
        lines = text.splitlines()  # a log has them one by one
        found.update(line for line in map(str.strip, lines) if len(lines) > 1 and len(line) >= _LINE_OF_A_SECRET)
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


def places(error: BaseException) -> str:
    """The places of an exception and of those that led to it; their words where nothing is withheld."""
    if not _withholding:
        return "".join(traceback.format_exception(error)).rstrip()
    cause: BaseException | None = error
    lines, seen = list[str](), set[int]()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        frames = "".join(traceback.format_tb(cause.__traceback__)).rstrip()
        lines.append(f"{type(cause).__name__} {WITHHELD}\n{frames}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\ncaused by: ".join(lines)


def _redacted(_logger: Any, _method: str, event: "structlog.typing.EventDict") -> "structlog.typing.EventDict":
    return {name: _clean(value) for name, value in event.items()}


def _clean(value: Any) -> Any:
    """The value without secrets, however deep they stand; what is neither text nor number becomes text."""
    if isinstance(value, Mapping):
        return {str(name): _clean(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(value if isinstance(value, str) else repr(value))[:LINE_LIMIT]


def configure(mode: str | None = None, **context: str) -> None:
    """All loggers write to stderr from now on, in `mode`, with `context` (run_id, step) on every line.

    Args:
        mode: `console` or `json`; default REFIT_LOG, else by whether stderr is a terminal.
    """
    import structlog

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
            structlog.processors.ExceptionRenderer(lambda exc_info: places(exc_info[1])),
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

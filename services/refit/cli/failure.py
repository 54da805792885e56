"""How a command fails: one block on stderr, one JSON document on stdout when asked for, one exit code.

    failed in extract: column "temp" is gone from the query's result
      expected  temp: float, nullable
      found     flight_id, landed_at, carrier
      champion  20130329t000000-a9xq stays in production, 8 days old
      next      take it out of the file, then:  refit rerun flight-delays 20130405t000000-k3fw --file refit.yaml
    exit 65 (the data breaks its contract, not retried)

Commands raise; nothing but `outcome_of` turns an exception into words, and nothing but `report` writes them.
"""

import re
import shlex
from typing import TYPE_CHECKING, Any, Final

import click

from refit.cli.answer import paint, say_json, talk
from refit.cli.session import Session

if TYPE_CHECKING:
    from refit.core.domain import Failure

LABEL_WIDTH: Final = 10
USAGE_CODE: Final = 64

CLASS_WORDS: Final = {
    "config": "the file, the command or a name is wrong",
    "data": "the data breaks its contract",
    "artifact": "a stored object is missing, altered or refused",
    "bug": "a fault of refit",
    "disk": "the local disk is full or fails",
    "dependency": "database, bucket or API server is away or too slow",
    "permission": "credentials or permissions do not suffice",
    "superseded": "another run or person came first",
    "killed": "the process was ended from outside, or crashed",
    "oom": "out of memory",
    "timeout": "too slow for its deadline",
    "start": "the step could not be started",
}
_WORTH_ANOTHER_TRY: Final = frozenset({"disk", "dependency", "killed", "oom", "start"})
_REPAIRED_BY_HAND: Final = frozenset({"config", "data", "artifact", "disk", "dependency", "permission"})
_REPAIRED_IN_FILE: Final = frozenset({"config", "data"})
_NAMED: Final = re.compile(
    r"(refit (?:rerun|status|runs|show|logs|history|promote|rollback|release|export|exclude|delete|gc|quarantine \w+) )"
    r"NAME\b"
)


def outcome_of(error: BaseException, session: Session) -> int:
    """What ended a command is told in the session's way; returns the exit code.

    Help, completion and a command that has spoken for itself end by SystemExit, which passes.
    """
    if isinstance(error, SystemExit):
        return _code(error)
    failure = completed(describe(error), session.file, session.name)
    report(failure, session, champion="")
    if session.traceback:
        from refit.core.logs import places

        talk(places(error))
    return failure.exit_code


def report(failure: "Failure", session: Session, champion: str) -> None:
    """The failure stands on stderr as a block, and on stdout as the one JSON document when that was asked for."""
    talk(block(failure, champion))
    if session.as_json:
        say_json(session.document(failure) if session.document else error_document(failure))


def error_document(failure: "Failure") -> dict[str, Any]:
    """The least JSON document of a failure."""
    return {"format": 1, "error": failure.model_dump(mode="json", by_alias=True)}


def block(failure: "Failure", champion: str = "") -> str:
    """The failure in words, as the module's docstring shows it.

    Args:
        champion: What becomes of production; empty where that is not known.
    """
    headline, *details = failure.message.splitlines() or [failure.type]
    verb = "superseded" if failure.error_class == "superseded" else "failed"
    where = f" in {failure.step}" if failure.step else ""
    lines = [f"{paint(verb + where, 'bad', err=True)}: {headline}"]
    lines += [f"  {line.strip()}" for line in details if line.strip()]
    lines += _labelled("champion", champion) + _labelled("next", failure.next)
    words = CLASS_WORDS.get(failure.error_class, failure.error_class)
    again = "worth another try" if failure.error_class in _WORTH_ANOTHER_TRY else "not retried"
    return "\n".join([*lines, paint(f"exit {failure.exit_code} ({words}, {again})", "quiet", err=True)])


def completed(failure: "Failure", file: str | None, name: str | None, run_id: str | None = None) -> "Failure":
    """The failure with a next step that can be typed as it stands: the file and the pipeline by their names.

    Args:
        run_id: The run that failed; None where none was started.
    """
    text = failure.next
    again = _again(failure, file, name, run_id)
    if again and failure.step and not text and failure.error_class not in ("bug", "superseded"):
        text = again
    elif again and failure.step and "refit " not in text and failure.error_class in _REPAIRED_BY_HAND:
        text = f"{text}, then:  {again}"
    if file:
        text = text.replace("refit run FILE", f"refit run {shlex.quote(file)}")
    if name:
        text = _NAMED.sub(rf"\g<1>{name}", text)
    return failure.model_copy(update={"next": text})


def _again(failure: "Failure", file: str | None, name: str | None, run_id: str | None) -> str | None:
    """The command that repeats what failed: the run, with the file as it is now where that may be what is repaired."""
    if name and run_id:
        edited = f" --file {shlex.quote(file)}" if file and failure.error_class in _REPAIRED_IN_FILE else ""
        return f"refit rerun {name} {run_id}{edited}"
    return f"refit run {shlex.quote(file)}" if file else None


def describe(error: BaseException) -> "Failure":
    """The failure that an exception means; those of the command line itself, and what core/step.py knows."""
    if isinstance(error, click.ClickException):
        from refit.core.domain import Failure

        return Failure(
            error_class="config", type="Usage", exit_code=USAGE_CODE, message=_usage(error), next=_help(error)
        )
    from refit.core.errors import ConfigError
    from refit.core.step import describe as describe_any

    if isinstance(error, click.Abort):
        return describe_any(KeyboardInterrupt())
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("refit"):
        return describe_any(
            ConfigError(f"this command needs the package {error.name}", next="pip install 'refit[cli]' brings it")
        )
    failure = describe_any(error)
    if failure.error_class != "bug":
        return failure
    return failure.model_copy(
        update={"next": "this is a fault of refit: please report it with what --traceback, added to the line, shows"}
    )


def _usage(error: click.ClickException) -> str:
    message = error.format_message().rstrip()
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    return f"{message}\nusage     {context.get_usage().removeprefix('Usage:').strip()}"


def _help(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'refit'} --help"


def _labelled(label: str, text: str) -> list[str]:
    return [f"  {label:<{LABEL_WIDTH}}{text}"] if text else []


def _code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else 1

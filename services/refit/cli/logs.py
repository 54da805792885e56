"""`refit logs`: what the steps of a run wrote, kept with the run."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click

from refit.cli.answer import Tone, is_terminal, paint, say, say_json, talk
from refit.cli.options import example, json_option, name_argument, run_id_argument, store_option
from refit.cli.past import read_past
from refit.cli.place import find, find_run
from refit.core import keys
from refit.core.domain import STEPS, StepName
from refit.core.errors import ArtifactError
from refit.core.store import ObjectStore
from refit.run.executor import Place

_NAME: Final = re.compile(r"(?P<step>[a-z]+)-(?P<number>\d+)\.txt")
_LEVELS: Final[dict[str, Tone]] = {"warning": "odd", "error": "bad", "critical": "bad"}
_TOLD: Final = frozenset({"timestamp", "level", "event", "run_id", "step", "exception", "text"})


@dataclass(frozen=True)
class AttemptLog:
    """What one attempt of a step wrote to stderr, line by line.

    Attributes:
        place: Where it ran, if not on this machine.
    """

    step: str
    number: int
    lines: tuple[str, ...]
    place: Place | None = None


@click.command(epilog=example("refit logs flight-delays @latest", "refit logs flight-delays @latest train"))
@name_argument
@run_id_argument
@click.argument("step", type=click.Choice(STEPS), required=False)
@store_option
@json_option
def logs(target: str, run_id: str, step: str | None, store: str | None, as_json: bool) -> None:
    """Prints the logs of a run of pipeline NAME, all steps or one, also when the processes are long gone.

    RUN_ID may be @latest.
    """
    where = find(target, store)
    run_id = find_run(where, run_id)
    found = [log for log in read_logs(where.store, run_id) if step in (None, log.step)]
    if as_json:
        entries = [_entry(log) for log in found]
        say_json({"format": 1, "pipeline": where.name, "run_id": run_id, "logs": entries})
        return
    for log in found:
        pod = f", pod {log.place.pod}" if log.place and log.place.pod else ""
        say(paint(f"-- {log.step}, attempt {log.number}{pod}", "quiet"))
        for line in log.lines:
            say(readable(line, local=is_terminal(sys.stdout)))
    if not found:
        past = read_past(where.store, run_id, datetime.now(UTC))
        talk("no log yet: a step's log is stored when it ends" if past.state == "running" else "no log is stored")
        for name, taken in (past.run.reused if past.run else {}).items():
            if step in (None, name):
                doer = keys.run_of(taken.key)
                talk(f"{name} was taken over:  refit logs {where.name} {doer} {name}")


def read_logs(store: ObjectStore, run_id: str) -> Iterator[AttemptLog]:
    """The stored logs in the order in which they were written."""
    prefix = keys.run_logs(run_id)
    names = {listed.key.removeprefix(prefix) for listed in store.list(prefix)}
    matches = [match for name in names if (match := _NAME.fullmatch(name)) and match["step"] in STEPS]
    for position, number in sorted((STEPS.index(match["step"]), int(match["number"])) for match in matches):
        step = STEPS[position]
        text = store.get(keys.attempt_log(run_id, step, number)).decode(errors="replace")
        place = _place(store, run_id, step, number) if f"{step}-{number}.json" in names else None
        yield AttemptLog(step, number, tuple(text.splitlines()), place)


def _place(store: ObjectStore, run_id: str, step: StepName, number: int) -> Place | None:
    key = keys.attempt_place(run_id, step, number)
    try:
        return Place.from_json(store.get(key), key)
    except ArtifactError:  # the log is asked for
        return None


def _entry(log: AttemptLog) -> dict[str, Any]:
    entry = {"step": log.step, "attempt": log.number, "lines": [parsed(x) for x in log.lines]}
    return entry | ({"place": log.place.model_dump(mode="json", by_alias=True)} if log.place else {})


def readable(line: str, *, local: bool) -> str:
    """A line for a person: time, level, words, what else it names; a line that is no JSON stays as it is."""
    entry = parsed(line)
    if not isinstance(entry, dict):
        return line
    at, level = _time(entry.get("timestamp"), local=local), str(entry.get("level", ""))
    told = str(entry.get("text") or entry.get("event", ""))
    rest = " ".join(f"{name}={value}" for name, value in entry.items() if name not in _TOLD)
    shown = paint(f"{level:<8}", _LEVELS.get(level, "quiet"))
    text = f"{at}  {shown}{told}  {rest}".rstrip()
    return f"{text}\n{entry['exception']}".rstrip() if entry.get("exception") else text


def parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return line


def _time(value: object, *, local: bool) -> str:
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return "-" * 8
    return f"{at.astimezone() if local else at.astimezone(UTC):%H:%M:%S}"

"""What to type after the demo: commands that work as they stand. Pure."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from refit.cli.words import plural
from refit.core.domain import Outcome
from refit.demo.folder import PIPELINE, Folder

LIMIT: Final = 72
"""Characters of a command beside which its explanation still fits a line."""
Line = tuple[str, str]
"""A command, and what it shows or does."""


def program(called: str, path: str | None) -> str:
    """How this refit is called from a shell: by its name where PATH finds it, else by its place.

    Args:
        called: sys.argv[0].
        path: What PATH finds under the name refit.
    """
    if Path(called).name != "refit":
        return f"{shlex.quote(sys.executable)} -m refit.cli"
    if path is not None and Path(path).resolve() == Path(called).resolve():
        return "refit"
    beside = os.path.relpath(called)
    return shlex.quote(str(Path(called).absolute()) if beside.startswith("..") else beside)


def this_program() -> str:
    return program(sys.argv[0], shutil.which("refit"))


def store_option(place: Folder, environment: Mapping[str, str], here: Path) -> str:
    """` --store …` where the demo's store is not the one that refit would find by itself."""
    if "REFIT_STORE" not in environment and place.root.resolve() == here.resolve():
        return ""
    return f" --store {shlex.quote(place.store_url)}"


def demo_call(place: Folder, refit: str) -> str:
    return f"{refit} demo" if place.root == Path() else f"{refit} demo --dir {shlex.quote(str(place.root))}"


def after_weeks(
    place: Folder, refit: str, store: str, last: Outcome, following: datetime | None, predictable: bool
) -> list[Line]:
    """After the weeks: to look around, to settle what waits, to go on; after a failure, to see why."""
    if last.outcome in ("failed", "superseded"):
        return [
            (f"{refit} logs {PIPELINE} @latest{store}", "what its steps wrote"),
            (demo_call(place, refit), "the same week again, and those that follow"),
        ]
    file, rows = shlex.quote(str(place.file)), shlex.quote(str(place.rows))
    lines = [
        (f"{refit} status{store}", "what is in production"),
        (f"{refit} show {PIPELINE} @latest{store}", "the last run, with its reasons"),
        (f"{refit} history {PIPELINE}{store}", "every move of the champion"),
    ]
    if last.outcome == "awaiting_approval":
        command = f"{refit} promote {PIPELINE} {last.version} --reason 'looked at it'{store}"
        lines.append((command, "settles what waits for a person; without it later weeks wait too"))
    if predictable:
        command = f"{refit} predict {file} --input {rows} --output predictions.parquet{store}"
        lines.append((command, "the champion's word on the flights of the next week"))
    lines.append((f"{demo_call(place, refit)} --database", "keeps the database up, for runs of your own"))
    if following is not None:
        lines.append((demo_call(place, refit), f"the weeks that follow, from {following:%Y-%m-%d} on"))
    lines.append((f"{demo_call(place, refit)} --fresh", "starts with the first week again"))
    return lines


def beside_database(place: Folder, refit: str, store: str, as_of: datetime) -> list[Line]:
    """While the database is up: a run of one's own, in another terminal."""
    file = shlex.quote(str(place.file))
    return [
        (f"export REFIT_SOURCE_DSN_FILE={shlex.quote(str(place.dsn.absolute()))}", ""),
        (f"{refit} run {file} --as-of {as_of:%Y-%m-%d}{store}", "a week more; change the file first, if you like"),
    ]


def summary(done: Sequence[Outcome]) -> str:
    """`8 weeks: 6 promoted, 2 rejected; in production: 20261121t094512-k3fw`."""
    names = list(dict.fromkeys(outcome.outcome for outcome in done))
    counts = ", ".join(f"{sum(o.outcome == name for o in done)} {name.replace('_', ' ')}" for name in names)
    champion = done[-1].champion
    return f"{plural(len(done), 'week')}: {counts}" + (f"; in production: {champion}" if champion else "")


def columns(lines: Sequence[Line]) -> list[str]:
    """The lines with their second halves below each other where that fits a page, else on a line of their own."""
    width = max((len(command) for command, _ in lines if len(command) <= LIMIT), default=LIMIT)
    shown = []
    for command, does in lines:
        if len(command) <= width:
            shown.append(f"  {command:<{width}}  {does}".rstrip())
        else:
            shown += [f"  {command}", *([f"  {'':<{width}}  {does}"] if does else [])]
    return shown

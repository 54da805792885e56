"""`refit step`: one attempt of one step, as a pod runs it."""

import importlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from refit.cli.answer import say_json
from refit.cli.options import example, json_option, store_option
from refit.core.domain import STEPS, Termination
from refit.core.errors import ArtifactError, ConfigError
from refit.core.step import Step, attempt


class StepNotHere(ConfigError):
    """This image lacks what the step needs."""


@click.command(
    epilog=example(
        "REFIT_PIPELINE=flight-delays REFIT_RUN_ID=20130405t000000-k3fw refit step train",
        "refit step train --pipeline flight-delays --run-id 20130405t000000-k3fw",
    )
)
@click.argument("step", metavar="STEP", type=click.Choice(STEPS))
@click.option("--run-id", envvar="REFIT_RUN_ID", metavar="RUN_ID", help="The run; default REFIT_RUN_ID.")
@click.option("--pipeline", envvar="REFIT_PIPELINE", metavar="NAME", help="The pipeline; default REFIT_PIPELINE.")
@click.option(
    "--attempt",
    "number",
    envvar="REFIT_ATTEMPT",
    type=click.IntRange(min=1),
    metavar="N",
    help="The attempt's number, from 1 on; default REFIT_ATTEMPT, else 1.",
)
@store_option
@json_option
def step(
    step: str, run_id: str | None, pipeline: str | None, number: int | None, store: str | None, as_json: bool
) -> None:
    """Runs STEP (extract, train, evaluate or publish) of a run that `refit run` has started.

    A step whose manifest stands is done: it only makes the moves that it still owes. Logs go to stderr.
    """
    found = _load(step)
    named = {"REFIT_RUN_ID": run_id, "REFIT_PIPELINE": pipeline, "REFIT_STORE": store}
    flags = {name: value for name, value in named.items() if value} | {"REFIT_ATTEMPT": str(number or 1)}
    with tempfile.TemporaryDirectory(prefix="refit-step-") as folder:
        environment = _with_last_words({**os.environ, **flags}, Path(folder))
        code = attempt(found, environment)
        if as_json:
            last_words = _read(Path(environment["REFIT_TERMINATION"]))
            say_json(_document(step, pipeline, run_id, code, last_words))
    click.get_current_context().exit(code)


def _load(name: str) -> Step:
    try:
        found: Step = importlib.import_module(f"refit.{name}.step").STEP
    except ModuleNotFoundError as error:
        raise StepNotHere(
            f"the step {name} needs the package {error.name}, which is not installed here",
            next=f"pip install 'refit[{name}]' brings it, as does the image of {name}",
        ) from error
    return found


def _with_last_words(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """The environment with a file for the last words, which the answer is made of."""
    if environment.get("REFIT_TERMINATION") or Path("/dev/termination-log").exists():
        return {"REFIT_TERMINATION": "/dev/termination-log", **environment}
    file = folder / "termination"
    file.touch()
    return environment | {"REFIT_TERMINATION": str(file)}


def _read(path: Path) -> Termination | None:
    with suppress(OSError, ArtifactError):
        return Termination.from_json(path.read_bytes(), path.name)
    return None


def _document(
    step: str, pipeline: str | None, run_id: str | None, code: int, last_words: Termination | None
) -> dict[str, Any]:
    failure = last_words.failure if last_words else None
    return {
        "format": 1,
        "pipeline": pipeline,
        "run_id": run_id,
        "step": step,
        "exit_code": code,
        "seconds": last_words.seconds if last_words else None,
        "max_rss_bytes": last_words.max_rss_bytes if last_words else None,
        "error": failure.model_dump(mode="json", by_alias=True) if failure else None,
    }

"""`refit check` and `refit schema`: what a pipeline file may hold, and every fault of one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from refit.cli import words
from refit.cli.answer import paint, say, say_json, talk
from refit.cli.connect import Tried, connected
from refit.cli.failure import block, completed, describe
from refit.cli.options import example, json_option, store_option
from refit.cli.place import open_root, read_file
from refit.cli.session import session

if TYPE_CHECKING:
    from refit.core.config import Pipeline
    from refit.core.config_faults import InvalidFile
    from refit.core.domain import Failure
    from refit.core.yaml_file import Fault

PROBE_SECONDS: Final = 120.0


@click.command(epilog=example("refit check refit.yaml", "refit check refit.yaml --connect"))
@click.argument("file", metavar="FILE", type=click.Path())
@click.option("--fast", is_flag=True, help="Structure only; the estimator, its params and the scores are not tried.")
@click.option("--connect", is_flag=True, help="Also try store, database, query and columns.")
@store_option
@json_option
def check(file: str, fast: bool, connect: bool, store: str | None, as_json: bool) -> None:
    """Finds every fault of FILE at once, each as file:line:column.

    The structure is checked first; then the estimator, its params and the scores are tried in a process of their own.
    With --connect the store must take conditional writes, and the query must give the columns that the file names; no
    row is read.
    """
    from refit.cli.notices import doubts as unset
    from refit.core.config_advice import warnings
    from refit.core.config_faults import InvalidFile
    from refit.run.jobs import check_release

    session().document = lambda failure: _document(file, None, failure=failure)
    if release := os.environ.get("REFIT_RELEASE"):
        check_release(release)
    try:
        body, pipeline = read_file(file)
        if not fast and (faults := tuple(tried(body))):
            raise InvalidFile(file, faults)
    except InvalidFile as error:
        _refuse(error, as_json)
        return
    tries = tuple(connected(pipeline, lambda: open_root(store))) if connect else ()
    doubts = (*warnings(pipeline), *unset(pipeline, os.environ))
    for doubt in doubts:
        talk(f"{paint('warning', 'odd', err=True)}  {doubt}")
    _tell(file, pipeline, tries, doubts, fast=fast, as_json=as_json)


@click.command(epilog=example("refit schema > refit.schema.json"))
@json_option
def schema(as_json: bool) -> None:
    """Prints the JSON schema of the pipeline file, for editors and tools; --json changes nothing."""
    from refit.core.config_schema import schema as written

    say_json(written())


def _tell(
    file: str, pipeline: "Pipeline", tries: Sequence[Tried], doubts: Sequence[str], *, fast: bool, as_json: bool
) -> None:
    """A file without faults, and what was tried for it; the first thing that cannot be used is the command's code."""
    failures = [each.failure for each in tries if each.failure]
    if as_json:
        document = _document(file, pipeline.name, warnings=doubts, failure=failures[0] if failures else None)
        document["valid"] = True
        found = [{"name": each.what, "ok": each.failure is None, "text": each.text} for each in tries]
        say_json(document | ({"connections": found} if tries else {}))
    else:
        for line in _summary(file, pipeline, tried=not fast):
            say(line)
        for each in tries:
            say(f"  {each.what:<11}{paint('cannot be used', 'bad') if each.failure else each.text}")
    for failure in failures:
        talk(block(completed(failure, file, pipeline.name)))
    if failures:
        click.get_current_context().exit(failures[0].exit_code)
    talk(f"next     refit plan {file}")


# --- faults -------------------------------------------------------------------


def _refuse(error: "InvalidFile", as_json: bool) -> None:
    """The faults are told, one line each, and the command ends with their code."""
    for line in error.lines:
        talk(line)
    talk(paint(f"{words.plural(len(error.faults), 'fault')} in {error.source}", "bad", err=True))
    if as_json:
        failure = describe(error)
        say_json(_document(error.source, session().name, faults=error.faults, failure=failure))
    click.get_current_context().exit(error.exit_code)


def _document(
    file: str,
    pipeline: str | None,
    *,
    faults: "Sequence[Fault]" = (),
    warnings: Sequence[str] = (),
    failure: "Failure | None" = None,
) -> dict[str, Any]:
    return {
        "format": 1,
        "file": file,
        "pipeline": pipeline,
        "valid": failure is None,
        "faults": [
            {"line": fault.place.line, "column": fault.place.column, "key": fault.path, "message": fault.message}
            for fault in faults
        ],
        "warnings": list(warnings),
        "error": failure.model_dump(mode="json", by_alias=True) if failure else None,
    }


def tried(body: bytes) -> "Iterator[Fault]":
    """What building the estimator and asking for the scores shows, at its places in the file.

    Args:
        body: A file whose structure is valid.
    """
    from refit.core.config_faults import fault_at
    from refit.core.yaml_file import read_yaml
    from refit.run.local import threads

    document = read_yaml(body)
    command = [sys.executable, "-P", "-W", "ignore", "-m", "refit.ml.probe"]
    environment = os.environ | threads(os.environ)
    try:
        ended = subprocess.run(  # noqa: S603  our own interpreter and module
            command, input=body, capture_output=True, env=environment, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"could not be imported and built within {PROBE_SECONDS:.0f} seconds"
        yield fault_at(document, ("model", "estimator"), message)
        return
    if ended.returncode != 0:
        yield fault_at(document, ("model", "estimator"), f"cannot be tried here: {_last_words(ended)}")
        return
    for fault in json.loads(ended.stdout)["faults"]:
        yield fault_at(document, tuple(fault["path"]), fault["message"])


def _last_words(ended: "subprocess.CompletedProcess[bytes]") -> str:
    lines = ended.stderr.decode(errors="replace").strip().splitlines()
    return words.one_line(lines[-1] if lines else f"its process ended with {ended.returncode}", limit=300)


# --- a valid file in words ----------------------------------------------------


def _summary(file: str, pipeline: "Pipeline", *, tried: bool) -> Iterator[str]:
    from refit.cli.outline import outline

    yield f"{pipeline.name}  {paint('no faults', 'good')} in {file}"
    for label, text in outline(pipeline):
        yield f"  {label:<11}{text}"
    yield f"  {'tried':<11}" + ("estimator, params and scores" if tried else "nothing: --fast looks at structure only")

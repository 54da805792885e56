"""`refit show`: one run, whole."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from refit.cli import words
from refit.cli.answer import is_terminal, paint, say, say_json
from refit.cli.failure import block, completed
from refit.cli.options import example, json_option, name_argument, run_id_argument, store_option
from refit.cli.past import PastRun, read_past
from refit.cli.place import Place, find, find_run
from refit.cli.runs import why
from refit.cli.story import OUTCOME_TONES, check_lines, opponent_words, refit_lines
from refit.core.context import read_manifest
from refit.core.domain import (
    STEPS,
    Artifact,
    EvaluateManifest,
    ExtractManifest,
    Manifest,
    Outcome,
    RunRecord,
    TrainManifest,
    Verdict,
)
from refit.core.runs import MANIFESTS

LABEL_WIDTH = 11


@click.command(
    epilog=example("refit show flight-delays @latest", "refit show flight-delays 20130405t000000-k3fw --json")
)
@name_argument
@run_id_argument
@store_option
@json_option
def show(target: str, run_id: str, store: str | None, as_json: bool) -> None:
    """Shows one run of pipeline NAME: its verdict with reasons, rows, steps, files and report.

    RUN_ID may be @latest.
    """
    place = find(target, store)
    run_id = find_run(place, run_id)
    past = read_past(place.store, run_id, datetime.now(UTC))
    found = [manifest for step in STEPS if (manifest := read_manifest(place.store, run_id, step, MANIFESTS[step]))]
    if as_json:
        say_json(document(place.name, past, found))
        return
    for line in lines(place, past, found, local=is_terminal(sys.stdout)):
        say(line)
    if past.outcome and past.outcome.error:
        say(block(completed(past.outcome.error, None, place.name, run_id)))


def document(name: str, past: PastRun, found: list[Manifest]) -> dict[str, Any]:
    return {
        "format": 1,
        "pipeline": name,
        "run_id": past.run_id,
        "state": past.state,
        "run": past.run.model_dump(mode="json", by_alias=True) if past.run else None,
        "outcome": past.outcome.model_dump(mode="json", by_alias=True) if past.outcome else None,
        "manifests": {manifest.step: manifest.model_dump(mode="json", by_alias=True) for manifest in found},
    }


def lines(place: Place, past: PastRun, found: list[Manifest], *, local: bool) -> Iterator[str]:
    """The run in lines, from its head to its files."""
    state = paint(past.state.replace("_", " "), OUTCOME_TONES[past.state])
    yield f"{place.name}  run {past.run_id}  {state}"
    if past.run:
        yield _labelled("as of", words.instant(past.run.as_of, local=local))
        started = words.instant(past.run.created_at, local=local)
        yield _labelled("started", f"{started} by {past.run.created_by}: {past.run.why}")
        if past.run.parent:
            yield _labelled("repeats", f"{past.run.parent}{_taken_over(past.run)}")
    if past.outcome and past.outcome.verdict:
        yield from _verdict_lines(past.outcome.verdict)
    else:
        yield _labelled("why", why(past))
    for manifest in found:
        if not isinstance(manifest, EvaluateManifest):
            continue
        yield from refit_lines(manifest, indent=" " * (2 + LABEL_WIDTH))
        for one in manifest.opponents:
            yield _labelled(one.role, opponent_words(one))
        if manifest.promise:
            promise = manifest.promise
            yield _labelled("promise", f"{promise.version} was promoted over {promise.over}: {promise.reason}")
    if past.outcome:
        yield from _outcome_lines(place, past.outcome)
    for manifest in found:
        if isinstance(manifest, TrainManifest) and manifest.search is not None:
            yield _labelled("search", words.search(manifest.search))
    for artifact in artifacts_of(found):
        yield _labelled("file", f"{artifact.key}  {artifact.size:,} bytes  sha256 {artifact.sha256[:12]}")


def _taken_over(run: RunRecord) -> str:
    return f", whose {', '.join(run.reused)} it takes over" if run.reused else ""


def _verdict_lines(verdict: Verdict) -> Iterator[str]:
    yield _labelled("verdict", f"{verdict.result}: {verdict.reason}")
    if verdict.needs_approval:
        yield _labelled("", f"a person decides: {verdict.needs_approval}")
    for line in check_lines(verdict.checks, indent=" " * (2 + LABEL_WIDTH)):
        yield f"{line.text}  {paint(line.word, line.tone)}".rstrip()
    for check in verdict.checks:
        if check.reason not in verdict.reason:
            yield _labelled("", check.reason)


def _outcome_lines(place: Place, outcome: Outcome) -> Iterator[str]:
    rows = outcome.rows.model_dump(exclude_none=True)
    yield _labelled("rows", ", ".join(f"{count:,} {name}" for name, count in rows.items()) or "none")
    for step, took in outcome.steps.items():
        if took.reused_from:
            yield _labelled(step, f"done by {took.reused_from}")
            continue
        tries = words.plural(took.attempts, "attempt")
        done = f"{words.seconds(took.seconds)}, {took.max_rss_bytes / 2**20:,.0f} MiB at most, "
        yield _labelled(step, f"{done if took.seconds else ''}{tries}")
    for text in outcome.warnings:
        yield _labelled("warning", text)
    if outcome.report:
        yield _labelled("report", place.report_path(outcome.report))


def artifacts_of(found: list[Manifest]) -> Iterator[Artifact]:
    """What the steps' manifests name as this run's own, in the order of the steps."""
    for manifest in found:
        if isinstance(manifest, ExtractManifest):
            own = (
                [batch for batch in manifest.snapshot.batches if batch.run_id == manifest.run_id]
                if (manifest.snapshot)
                else []
            )
            for batch in own:
                yield from (part.artifact for part in batch.parts)
                yield from (one for one in (batch.updates, batch.quarantine) if one)
            if manifest.profile:
                yield manifest.profile
        elif isinstance(manifest, TrainManifest):
            yield manifest.model
            yield from (manifest.search.table,) if manifest.search else ()
        elif isinstance(manifest, EvaluateManifest):
            again = (manifest.refit.model, manifest.refit.predictions) if manifest.refit else ()
            yield from (one for one in (manifest.predictions, *again, manifest.report) if one)


def _labelled(label: str, text: str) -> str:
    return f"  {label:<{LABEL_WIDTH}}{text}".rstrip()

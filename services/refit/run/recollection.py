"""A pipeline's samples once more, from the store's records: for a Pushgateway that forgot, or where none is."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

from refit.core import keys, samples
from refit.core.context import read_manifest
from refit.core.domain import STEPS, RunRecord, StepName, Termination
from refit.core.metrics import STEP_SUCCESS, Group, Sample
from refit.core.runs import MANIFESTS, read_outcome, recorded_runs
from refit.core.store import ObjectStore
from refit.run.standing import LOOKED_BACK, known, next_at, read_pipeline, read_standing

_WORDS: Final = "attempt.json"


def recollect(store: ObjectStore, now: datetime) -> Iterator[tuple[Group, list[Sample]]]:
    """Each group with what its last push said, as far as records tell it; none of a pipeline without runs.

    Steps that died without a word have left nothing that could be told again.
    """
    runs = list(islice(recorded_runs(store), LOOKED_BACK))
    for step in STEPS:
        if found := list(_of_step(store, runs, step)):
            yield step, found
    if runs:
        yield "run", list(_of_runs(store, runs, now))


def _of_runs(store: ObjectStore, runs: list[RunRecord], now: datetime) -> Iterator[Sample]:
    """Of the newest run that has ended; and of the one that goes on, that it began."""
    going: list[RunRecord] = []
    for run in runs:
        outcome = known(partial(read_outcome, store, run.run_id))
        if outcome is not None:
            standing = read_standing(store, runs[0].file, now)
            yield from samples.of_run(going[0].created_at if going else run.created_at, outcome, standing)
            return
        going.append(run)
    pipeline = read_pipeline(store, runs[0].file)
    yield from samples.of_beginning(runs[0].created_at, next_at(pipeline, now) if pipeline else None)


def _of_step(store: ObjectStore, runs: list[RunRecord], step: StepName) -> Iterator[Sample]:
    """How the last process of the step ended that said so, and what the last one counted that ended well."""
    is_told = False
    for run in runs:
        said = _last_words(store, run, step)
        if said is None or said.at is None:
            continue
        manifest = known(partial(read_manifest, store, run.run_id, step, MANIFESTS[step]))
        if not is_told:
            yield from samples.of_attempt(said.at - timedelta(seconds=said.seconds), said.at, said, manifest)
            is_told = True
        elif said.failure is None and manifest is not None:
            yield STEP_SUCCESS.at(said.at.timestamp())
            yield from samples.of_manifest(manifest)
        if said.failure is None:
            return


def _last_words(store: ObjectStore, run: RunRecord, step: StepName) -> Termination | None:
    """Of the run's last process of the step that came to its end; None where none did."""
    prefix = keys.step_folder(run.run_id, step)
    found = [entry.key for entry in store.list(prefix) if entry.key.endswith(f"/{_WORDS}")]
    said = [words for key in found if (words := known(partial(_read_words, store, key)))]
    return max(said, key=lambda words: words.number, default=None)


def _read_words(store: ObjectStore, key: str) -> Termination:
    return Termination.from_json(store.get(key), key)

"""A pipeline's samples once more, from the store's records: for a Pushgateway that forgot, or where none is."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

from refit.core import keys, samples
from refit.core.context import read_manifest
from refit.core.domain import STEPS, RunRecord, StepName, Termination
from refit.core.metrics import Group, Sample
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
        found = next((said for run in runs if (said := _of_step(store, run, step))), None)
        if found:
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


def _of_step(store: ObjectStore, run: RunRecord, step: StepName) -> list[Sample]:
    """What the last process of the run's step said at its end; nothing where none did."""
    prefix = keys.step_folder(run.run_id, step)
    found = [entry.key for entry in store.list(prefix) if entry.key.endswith(f"/{_WORDS}")]
    said = [words for key in found if (words := known(partial(_read_words, store, key))) and words.at is not None]
    if not said:
        return []
    last = max(said, key=lambda words: words.number)
    assert last.at is not None
    manifest = known(partial(read_manifest, store, run.run_id, step, MANIFESTS[step]))
    mine = manifest if manifest and manifest.attempt == last.attempt else None
    return list(samples.of_attempt(last.at - timedelta(seconds=last.seconds), last.at, last, mine))


def _read_words(store: ObjectStore, key: str) -> Termination:
    return Termination.from_json(store.get(key), key)

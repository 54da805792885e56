"""A pipeline's samples once more, from the store's records: for a Pushgateway that forgot, or where none is."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import islice, takewhile
from typing import Final

from refit.core import keys, samples
from refit.core.context import read_manifest
from refit.core.domain import STEPS, Move, Outcome, RunRecord, StepName, Termination
from refit.core.metrics import STEP_SUCCESS, Group, Sample
from refit.core.pushgateway import Pushgateway
from refit.core.refs import read_ref
from refit.core.runs import MANIFESTS, read_outcome, recorded_runs, run_ids
from refit.core.store import ObjectStore
from refit.run.standing import LOOKED_BACK, known, next_at, read_pipeline, read_standing

_WORDS: Final = "attempt.json"
_TRIES: Final = 3
"""Pushes of what changes while it is pushed."""


def push_latest(gateway: Pushgateway, store: ObjectStore, read: Callable[[], list[Sample]]) -> str:
    """The group `run` has what stands; returns why it has not, in words without secrets, or nothing.

    A run that ends, one that begins and a person may push at once. Whoever pushes last may have read first: so each
    looks once more after its push, and who finds that something moved meanwhile pushes again.

    Args:
        read: The samples, from the store as it is then.
    """
    before = _mark(store)
    for _ in range(_TRIES):
        if why := gateway.push("run", read()):
            return why
        after = _mark(store)
        if after == before:
            break
        before = after
    return ""


def _mark(store: ObjectStore) -> object:
    """Another value where a run began or ended or the champion was moved; None where it cannot be read."""

    def read() -> tuple[str, bool, int]:
        newest, champion = max(run_ids(store), default=""), read_ref(store, "champion", Move)
        return newest, store.exists(keys.outcome(newest)), champion[0].generation if champion else 0

    return known(read)


def of_end(store: ObjectStore, run: RunRecord, outcome: Outcome) -> list[Sample]:
    """What the end of `run` means, or of one that has ended since; and of a later one that goes on, that it began."""

    def later() -> list[RunRecord]:
        newest = islice(recorded_runs(store), LOOKED_BACK)
        return list(takewhile(lambda one: one.run_id != run.run_id, newest))

    since, going = known(later) or [], list[RunRecord]()
    newest = since[0] if since else run
    for one in since:
        ended = known(partial(read_outcome, store, one.run_id))
        if ended is not None:
            run, outcome = one, ended
            break
        going.append(one)
    standing, following_at = read_standing(store, newest.file, outcome.finished_at), _began(going)
    return list(samples.of_run(run.created_at, outcome, standing, following_at=following_at))


def _began(going: list[RunRecord]) -> datetime | None:
    return going[0].created_at if going else None


def recollect(store: ObjectStore, now: datetime) -> Iterator[tuple[Group, list[Sample]]]:
    """Each group with what its last push said, as far as records tell it; none of a pipeline without runs.

    Steps that died without a word have left nothing that could be told again.
    """
    runs = list(islice(recorded_runs(store), LOOKED_BACK))
    for step in STEPS:
        if found := list(_of_step(store, runs, step)):
            yield step, found
    if runs:
        yield "run", list(of_runs(store, now))


def of_runs(store: ObjectStore, now: datetime) -> Iterator[Sample]:
    """Of the newest run that has ended; and of the one that goes on, that it began. Nothing without runs."""
    runs, going = list(islice(recorded_runs(store), LOOKED_BACK)), list[RunRecord]()
    for run in runs:
        outcome = known(partial(read_outcome, store, run.run_id))
        if outcome is not None:
            standing, following_at = read_standing(store, runs[0].file, now), _began(going)
            yield from samples.of_run(run.created_at, outcome, standing, following_at=following_at)
            return
        going.append(run)
    if going:
        pipeline = read_pipeline(store, going[0].file)
        following = next_at(pipeline, now) if pipeline else None
        yield from samples.of_beginning(going[0].created_at, following, is_file_known=pipeline is not None)


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

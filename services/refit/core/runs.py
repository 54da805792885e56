"""Runs: their ids, their records, and the outcome that each one ends in.

An outcome follows from what stands in the store, never from what a coordinator remembers, so that whoever comes
after a killed coordinator writes the same one.
"""

import base64
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Final, TypeVar

from refit.core import keys
from refit.core.context import read_manifest
from refit.core.domain import (
    STEPS,
    EvaluateManifest,
    ExtractManifest,
    Failure,
    Holder,
    Manifest,
    Move,
    Outcome,
    OutcomeName,
    PublishManifest,
    Rows,
    RunRecord,
    StepName,
    StepSummary,
    TrainManifest,
    VerdictRef,
)
from refit.core.errors import ArtifactError, SupersededError
from refit.core.lock import Lock, LockLost, this_process
from refit.core.refs import read_ref
from refit.core.registry import fallback_of, move_of
from refit.core.step import read_run
from refit.core.store import Conflict, NotFound, ObjectStore

MANIFESTS: Final[Mapping[StepName, type[Manifest]]] = {
    "extract": ExtractManifest,
    "train": TrainManifest,
    "evaluate": EvaluateManifest,
    "publish": PublishManifest,
}
Found = TypeVar("Found")
KILLED: Final = Failure(
    error_class="killed",
    type="Killed",
    exit_code=137,
    message="the run ended without a word: its process was killed or its machine went away",
    next="refit rerun NAME",
)


def new_run_id(now: datetime) -> str:
    """A new run's id: its start in UTC and 4 letters of chance."""
    letters = base64.b32encode(secrets.token_bytes(5)).decode().lower()[:4]
    return f"{now.astimezone(UTC):%Y%m%dt%H%M%S}-{letters}"


def run_ids(store: ObjectStore) -> Iterator[str]:
    """The ids of all runs, oldest first."""
    return store.list_folders(keys.RUNS)


def recorded_runs(store: ObjectStore) -> Iterator[RunRecord]:
    """The records of all runs that can be read, the newest first: ids tell the second, records the rest."""
    for _, same_second in groupby(reversed(list(run_ids(store))), key=lambda run_id: run_id.partition("-")[0]):
        found = (readable(partial(_recorded, store, run_id)) for run_id in same_second)
        yield from sorted((run for run in found if run), key=lambda run: run.created_at, reverse=True)


def _recorded(store: ObjectStore, run_id: str) -> RunRecord | None:
    key = keys.run_record(run_id)
    return RunRecord.from_json(store.get(key), key)


def read_outcome(store: ObjectStore, run_id: str) -> Outcome | None:
    """The run's outcome; None while it goes on, or when nobody has settled it yet."""
    key = keys.outcome(run_id)
    try:
        return Outcome.from_json(store.get(key), key)
    except NotFound:
        return None


def newest_file(store: ObjectStore) -> tuple[str, bytes] | None:
    """Key and bytes of the pipeline file that the newest run kept; None before the first run."""
    newest = next(recorded_runs(store), None)
    return None if newest is None else (newest.file.key, store.get(newest.file.key))


class NotHeldOn(SupersededError):
    """A command that needs a pipeline at rest was taken for dead, and a run goes on."""

    def __init__(self) -> None:
        super().__init__(
            "this command stood still for so long that another run took the lock from it; it stopped there",
            next="let that run end, then repeat the command: refit status NAME",
        )


@contextmanager
def held(store: ObjectStore, wait_seconds: float, on_wait: Callable[[Holder], None]) -> Iterator[Lock]:
    """No run of the pipeline goes on during the block; a dead one is settled first.

    A block that does what cannot be taken back asks the lock's `check` before: if this process stands still, another
    run takes the lock.

    Raises:
        LockBusy: a run went on for longer than `wait_seconds`.
        NotHeldOn: `check` found that another run has the lock.
    """
    now = datetime.now(UTC)
    lock = Lock(store, this_process(new_run_id(now)), partial(settle_now, store))
    with lock.acquire(wait_seconds, time.monotonic, time.sleep, on_wait):
        try:
            yield lock
        except LockLost as error:
            raise NotHeldOn from error
        except BaseException:
            lock.free()  # there is no run to settle
            raise


def write_outcome(store: ObjectStore, outcome: Outcome) -> Outcome:
    """The run has an outcome: this one, or the one that stood already, which is returned."""
    assert outcome.run_id is not None
    try:
        store.create(keys.outcome(outcome.run_id), outcome.to_json())
    except Conflict:
        return read_outcome(store, outcome.run_id) or outcome
    return outcome


def settle(store: ObjectStore, run_id: str, now: datetime) -> Outcome | None:
    """A dead run has its outcome, as its manifests say, else `failed` of class killed; None for no such run."""
    if store.exists(keys.outcome(run_id)) or not store.exists(keys.run_record(run_id)):
        return readable(lambda: read_outcome(store, run_id))
    run = readable(lambda: read_run(store, run_id))
    if run is None:
        bare = Outcome(
            pipeline=None,
            run_id=run_id,
            outcome="failed",
            as_of=None,
            error=KILLED,
            exit_code=exit_code(KILLED),
            finished_at=now,
        )
        return write_outcome(store, bare)
    return write_outcome(store, conclude(store, run, KILLED, {}, now))


def settle_now(store: ObjectStore, run_id: str) -> None:
    """As `settle`, by this machine's clock: what the lock calls for a dead holder."""
    settle(store, run_id, datetime.now(UTC))


def conclude(
    store: ObjectStore, run: RunRecord, failure: Failure | None, attempts: Mapping[StepName, int], now: datetime
) -> Outcome:
    """The outcome of a run as the store tells it; a document that cannot be read tells nothing, and hinders nothing.

    Args:
        failure: What ended the run, if it did not come to its end; it counts only when the manifests show no end.
        attempts: Tries of each step, where known; else the number in its manifest.
    """
    found = {step: readable(partial(read_manifest, store, run.run_id, step, MANIFESTS[step])) for step in STEPS}
    standing = readable(lambda: read_ref(store, "champion", Move))
    champion = standing[0] if standing else None
    version = run.run_id if store.exists(keys.version(run.run_id)) else None
    move = readable(lambda: move_of(store, run.run_id)) if version and found["publish"] is None else None
    fallen = readable(lambda: fallback_of(store, run.run_id)) if version and found["publish"] is None else None
    name, error = _name(found, move, fallen, failure)
    if error is not None and (drawn := _verdict_drawn(store, run.run_id, found["evaluate"])):
        name, error = drawn, None
    evaluate, publish = found["evaluate"], found["publish"]
    assert evaluate is None or isinstance(evaluate, EvaluateManifest)
    assert publish is None or isinstance(publish, PublishManifest)
    return Outcome(
        pipeline=run.pipeline,
        run_id=run.run_id,
        parent=run.parent,
        outcome=name,
        as_of=run.as_of,
        version=version,
        champion=champion.version if champion else None,
        previous_champion=publish.previous_champion if publish else move.previous if move else None,
        fell_back=publish.fell_back if publish else fallen is not None,
        rows=_rows(found),
        verdict=evaluate.verdict if evaluate else None,
        confirmed=name == "promoted" or (name == "rejected" and evaluate is not None and evaluate.look is not None),
        scores=evaluate.scores if evaluate else {},
        steps=_summaries(found, attempts),
        report=evaluate.report.key if evaluate else None,
        warnings=(*run.notes, *(text for one in found.values() for text in getattr(one, "warnings", ()))),
        error=error,
        exit_code=exit_code(error) if error else 0,
        finished_at=now,
    )


def doer(manifest: Manifest) -> str:
    """The run that did the step: a rerun has manifests of steps that it took over."""
    return keys.run_of(manifest.reused.key) if manifest.reused else manifest.run_id


def exit_code(failure: Failure) -> int:
    """The code that a coordinator ends with: a step's kill or timeout becomes 75."""
    return 75 if failure.error_class in ("oom", "killed", "timeout") else failure.exit_code


def _verdict_drawn(store: ObjectStore, run_id: str, evaluate: Manifest | None) -> OutcomeName | None:
    """What a run came to whose publish was killed after refs/verdict.json, before its own manifest; else None."""
    found = readable(lambda: read_ref(store, "verdict", VerdictRef))
    if not isinstance(evaluate, EvaluateManifest) or found is None or found[0].run_id != run_id:
        return None
    waits = evaluate.verdict.needs_approval is not None or evaluate.verdict.result == "accepted"
    return "awaiting_approval" if waits else "rejected"


def readable(read: Callable[[], Found | None]) -> Found | None:
    """What is read; None when the document is gone or damaged."""
    try:
        return read()
    except ArtifactError:
        return None


def _name(
    found: Mapping[StepName, Manifest | None], move: Move | None, fallen: Move | None, failure: Failure | None
) -> tuple[OutcomeName, Failure | None]:
    publish, extract = found["publish"], found["extract"]
    if isinstance(publish, PublishManifest):
        return publish.outcome, None
    if isinstance(extract, ExtractManifest) and extract.skipped:
        return "skipped", None
    if move is not None:
        return "promoted", None
    if fallen is not None:
        return "rejected", None
    error = failure or KILLED
    return ("superseded" if error.error_class == "superseded" else "failed"), error


def _rows(found: Mapping[StepName, Manifest | None]) -> Rows:
    extract, train, evaluate = found["extract"], found["train"], found["evaluate"]
    rows = extract.rows if isinstance(extract, ExtractManifest) else Rows()
    if isinstance(train, TrainManifest):
        rows = rows.model_copy(update={"train": train.rows})
    if isinstance(evaluate, EvaluateManifest):
        rows = rows.model_copy(update=evaluate.counts)
    return rows


def _summaries(
    found: Mapping[StepName, Manifest | None], attempts: Mapping[StepName, int]
) -> dict[StepName, StepSummary]:
    summaries: dict[StepName, StepSummary] = {}
    for step, manifest in found.items():
        if manifest is not None and manifest.reused is not None:
            summaries[step] = StepSummary(reused_from=doer(manifest))
        elif manifest is not None:
            summaries[step] = StepSummary(
                seconds=manifest.seconds,
                attempts=attempts.get(step, manifest.attempt_number),
                max_rss_bytes=manifest.max_rss_bytes,
            )
        elif step in attempts:
            summaries[step] = StepSummary(attempts=attempts[step])
    return summaries

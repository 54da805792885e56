"""What a rerun repeats: the parent, the file, the first step that is done again, and the manifests taken over.

The parent is the named run, else the newest one, which then has failed. Steps before the first are taken over when
their manifests and all that these name are there, and the file says the same about them; a step that finds another
file, and all after it, are done again, and the run's notes say so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from refit.core import artifacts, keys
from refit.core.config import Pipeline, parse_pipeline
from refit.core.domain import (
    STEPS,
    Artifact,
    EvaluateManifest,
    ExtractManifest,
    Manifest,
    Move,
    Outcome,
    RunRecord,
    StepName,
    TrainManifest,
    VerdictRef,
    Version,
)
from refit.core.errors import ArtifactError, ConfigError
from refit.core.exclusions import are_equal, standing
from refit.core.refs import read_ref
from refit.core.reuse import first_changed
from refit.core.runs import MANIFESTS, recorded_runs, settle
from refit.core.step import read_run
from refit.core.store import NotFound, ObjectStore

FAILED = frozenset({"failed", "superseded"})


class NothingFailed(ConfigError):
    """No run was named, and the newest one needs no repair."""

    def __init__(self, name: str, last: Outcome | None) -> None:
        ended = f"its last run, {last.run_id}, ended well ({last.outcome})" if last else "none of its runs has begun"
        super().__init__(
            f"no run of {name} is to be repaired: {ended}",
            next="name the run to repeat: refit rerun NAME RUN_ID; refit runs NAME --failed lists those that failed",
        )


class OtherPipeline(ConfigError):
    """The file given is the file of another pipeline."""

    def __init__(self, name: str, found: str) -> None:
        super().__init__(
            f"the file is the one of pipeline {found}, and the runs of {name} are asked for",
            next=f"give the file whose name is {name}, or none: then the run's own stored file is used",
        )


class NotReusable(ArtifactError):
    """A step of the parent cannot be taken over: something that it left is gone or altered."""

    def __init__(self, run_id: str, step: StepName, why: ArtifactError) -> None:
        again = "read all rows anew: refit run FILE --full-refresh"  # later snapshots may build on what is gone
        if step != "extract":
            again = f"do the step again: refit rerun NAME {run_id} --from {step}"
        super().__init__(
            f"the step {step} of run {run_id} cannot be taken over: {why.message}",
            next=f"restore the object from a backup, or {again}",
        )


@dataclass(frozen=True)
class Rerun:
    """What is asked for.

    Attributes:
        name: The pipeline's.
        run_id: The run to repeat; None: the newest, if it failed.
        start: The first step to do again; None: the one that failed, or extract where none did.
        file: The file's bytes; None: the parent's file.
        why: Kept in the record; empty: what is repeated.
    """

    name: str
    run_id: str | None = None
    start: StepName | None = None
    file: bytes | None = None
    why: str = ""
    wait_seconds: float = 120.0
    retry_seconds: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Repetition:
    """What is done: from which step on, with which file, on what the parent left."""

    parent: RunRecord
    file: bytes
    start: StepName
    reused: dict[StepName, Artifact] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def repetition(store: ObjectStore, asked: Rerun, now: datetime) -> Repetition:
    """What the rerun does. The caller holds the lock, so that a run without an outcome is a dead one.

    Raises:
        NothingFailed: no run was named, and the newest one ended well.
        RunUnknown: there is no such run.
        OtherPipeline, InvalidFile: the file is not the pipeline's, or has faults.
        NotReusable: what a step before the first one left is gone or altered.
        ArtifactError: no file was given, and the parent's is gone or altered.
    """
    given = parse_pipeline(asked.file, "refit.yaml") if asked.file is not None else None
    if given is not None and given.name != asked.name:
        raise OtherPipeline(asked.name, given.name)
    parent, outcome = _parent(store, asked, now)
    file = asked.file if asked.file is not None else artifacts.read(store, parent.file)
    pipeline = given or parse_pipeline(file, parent.file.key)
    start = asked.start or _failed_step(store, parent, outcome)
    notes = []
    change = _first_changed(store, parent, given) if given is not None else None
    if change and STEPS.index(change[0]) < STEPS.index(start):
        start = change[0]
        notes.append(change[1])
    reused: dict[StepName, Artifact] = {}
    for step in STEPS[: STEPS.index(start)]:
        manifest, source = _of_parent(store, parent, step)
        if why := _outdated(store, manifest):
            start = step
            notes.append(f"{step} and all after it are done again: {why}")
            break
        _check_artifacts(store, parent, pipeline, manifest)
        reused[step] = source
    return Repetition(parent, file, start, reused, tuple(notes))


def _parent(store: ObjectStore, asked: Rerun, now: datetime) -> tuple[RunRecord, Outcome | None]:
    if asked.run_id is not None:
        parent = read_run(store, asked.run_id)
        return parent, settle(store, parent.run_id, now)
    newest = next(recorded_runs(store), None)
    outcome = settle(store, newest.run_id, now) if newest else None
    if newest is None or outcome is None or outcome.outcome not in FAILED:
        raise NothingFailed(asked.name, outcome)
    return newest, outcome


def _failed_step(store: ObjectStore, parent: RunRecord, outcome: Outcome | None) -> StepName:
    """Where the parent stopped; extract for one that came to its end.

    A process may die after the last manifest that it wrote, and a run that is superseded did all but the moves.
    """
    if outcome is None or outcome.outcome not in FAILED:
        return "extract"
    told = outcome.error.step if outcome.error and outcome.error.step else STEPS[0]
    missing = (step for step in STEPS[STEPS.index(told) :] if not _stands(store, parent, step))
    return next(missing, STEPS[-1])


def _stands(store: ObjectStore, parent: RunRecord, step: StepName) -> bool:
    return step in parent.reused or store.exists(keys.manifest(parent.run_id, step))


def _first_changed(store: ObjectStore, parent: RunRecord, now: Pipeline) -> tuple[StepName, str] | None:
    """The first step that finds another file than the parent's, and why it and all after it are done again."""
    try:
        before = parse_pipeline(artifacts.read(store, parent.file), parent.file.key)
    except (ArtifactError, ConfigError):
        return STEPS[0], f"all steps are done again: the file of run {parent.run_id} cannot be read, so not compared"
    change = first_changed(before, now)
    if change is None:
        return None
    step, parts = change
    return step, f"{step} and all after it are done again: {', '.join(parts)} changed in the file"


def _of_parent(store: ObjectStore, parent: RunRecord, step: StepName) -> tuple[Manifest, Artifact]:
    """The parent's manifest, and the object that it is: its own, or the one that it was to take over itself."""
    key = keys.manifest(parent.run_id, step)
    try:
        if step in parent.reused and not store.exists(key):
            source = parent.reused[step]
        else:
            source = _as_published(store, parent, step) or artifacts.describe(key, store.get(key))
        return MANIFESTS[step].from_json(artifacts.read(store, source), source.key), source
    except ArtifactError as error:
        raise NotReusable(parent.run_id, step, error) from error


def _as_published(store: ObjectStore, parent: RunRecord, step: StepName) -> Artifact | None:
    """The manifest as the parent's version names it; None where it made none."""
    key = keys.version(parent.run_id)
    try:
        version = Version.from_json(store.get(key), key)
    except NotFound:
        return None
    named: Artifact = getattr(version, step)
    return named


def _outdated(store: ObjectStore, manifest: Manifest) -> str:
    """Why the step has to be done again although its manifest stands; empty where it has not."""
    if isinstance(manifest, ExtractManifest) and manifest.snapshot is None:
        return "the run was skipped and has no snapshot"
    taken = manifest.snapshot if isinstance(manifest, ExtractManifest) else None
    if taken is not None and not are_equal(taken.exclusions, standing(store)):
        return "rows were excluded, or taken back, since"
    if isinstance(manifest, EvaluateManifest):
        champion, verdict = read_ref(store, "champion", Move), read_ref(store, "verdict", VerdictRef)
        now = (champion[0].generation if champion else 0, verdict[0].generation if verdict else 0)
        if now != (manifest.champion_generation, manifest.verdict_generation):
            return "the champion or the last verdict is another one since"
    return ""


def _check_artifacts(store: ObjectStore, parent: RunRecord, pipeline: Pipeline, manifest: Manifest) -> None:
    """What the steps to come build on is there; the rows' digests are checked when they are read.

    Raises:
        NotReusable: an object is gone or altered.
    """
    length = pipeline.window.length
    start = parent.as_of - length if length is not None else None
    try:
        for artifact in _rows(manifest, start):
            if not store.exists(artifact.key):
                raise NotFound(artifact.key, store.url)
        for artifact in _judged(manifest):
            artifacts.read(store, artifact)
    except ArtifactError as error:
        raise NotReusable(parent.run_id, manifest.step, error) from error


def _rows(manifest: Manifest, start: datetime | None) -> Iterator[Artifact]:
    """The snapshot's parts with rows after `start`, and its updates."""
    if isinstance(manifest, ExtractManifest) and manifest.snapshot is not None:
        for batch in manifest.snapshot.batches:
            yield from (part.artifact for part in batch.parts if start is None or part.cursor_max > start)
            yield from (batch.updates,) if batch.updates else ()


def _judged(manifest: Manifest) -> Iterator[Artifact]:
    """What a version is made of: publish itself does not look into it."""
    if isinstance(manifest, TrainManifest):
        yield manifest.model
    if isinstance(manifest, EvaluateManifest):
        yield manifest.report
        yield from (manifest.predictions,) if manifest.predictions else ()
        yield from (manifest.refit.model, manifest.refit.predictions) if manifest.refit else ()

"""What a step gets: its run, its file, and an attempt's own places to write to."""

import resource
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from refit.core import artifacts, environment, keys
from refit.core.config import Pipeline
from refit.core.domain import Artifact, Manifest, RunRecord, StepName
from refit.core.errors import ArtifactError
from refit.core.store import NotFound, ObjectStore, ObjectWriter

AnyManifest = TypeVar("AnyManifest", bound=Manifest)


class StepMissing(ArtifactError):
    """A step's manifest is not there, so the step is not done."""

    def __init__(self, run_id: str, step: str) -> None:
        super().__init__(f"run {run_id} has no manifest of {step}", next=f"run the step {step} first")


def max_rss_bytes(*, of_children: bool = False) -> int:
    """The largest resident size that this process has had, or any one of its children that have ended."""
    size = resource.getrusage(resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def read_manifest(store: ObjectStore, run_id: str, step: StepName, kind: type[AnyManifest]) -> AnyManifest | None:
    """The step's manifest, or None: only a manifest proves that a step is done."""
    key = keys.manifest(run_id, step)
    try:
        return kind.from_json(store.get(key), key)
    except NotFound:
        return None


@dataclass(frozen=True)
class Context:
    """One process's try of one step of one run.

    Attributes:
        store: The pipeline's own store; all keys are relative to the pipeline.
        pipeline: The file that the run keeps, parsed.
        run: The run's record; `run.as_of` is its now.
        attempt: A random token that this process made; artifacts lie under it.
        number: The attempt's number, for logs and manifests; never part of a key.
        folder: A private temporary folder, removed when the step ends.
        started_at: When this process began.
        report: Tells the reader of the terminal or log how far the step is: one short line.
    """

    store: ObjectStore
    pipeline: Pipeline
    run: RunRecord
    step: StepName
    attempt: str
    number: int
    folder: Path
    started_at: datetime
    report: Callable[[str], None]

    def write(self, name: str, body: bytes) -> Artifact:
        """Stores a small artifact of this attempt below runs/."""
        return self.store.put(keys.artifact(self.run.run_id, self.step, self.attempt, name), body)

    def data_writer(self, name: str) -> AbstractContextManager[ObjectWriter]:
        """A stream into an artifact of this attempt below data/."""
        return self.store.writer(keys.data(self.run.run_id, self.attempt, name))

    def write_data(self, name: str, body: bytes) -> Artifact:
        """Stores a small artifact of this attempt below data/."""
        return self.store.put(keys.data(self.run.run_id, self.attempt, name), body)

    def read(self, artifact: Artifact) -> bytes:
        """Verified bytes. Raises NotFound, WrongDigest."""
        return artifacts.read(self.store, artifact)

    def fetch(self, artifact: Artifact) -> Path:
        """A verified local file. Raises NotFound, WrongDigest."""
        return artifacts.fetch(self.store, artifact, self.folder)

    def manifest_of(self, step: StepName, kind: type[AnyManifest]) -> AnyManifest:
        """The manifest of an earlier step of this run. Raises StepMissing."""
        found = read_manifest(self.store, self.run.run_id, step, kind)
        if found is None:
            raise StepMissing(self.run.run_id, step)
        return found

    def manifest(self, kind: type[AnyManifest], *, of_workers: int = 0, **fields: Any) -> AnyManifest:
        """This step's manifest, with attempt, times, memory and versions filled in; core/step.py stores it.

        Args:
            of_workers: Bytes that processes of the step's own held beside it.
        """
        return kind(
            step=self.step,
            run_id=self.run.run_id,
            attempt=self.attempt,
            attempt_number=self.number,
            started_at=self.started_at,
            finished_at=datetime.now(UTC),
            max_rss_bytes=max_rss_bytes() + of_workers,
            environment=environment.versions(),
            **fields,
        )

"""What a step gets: its run, its file, and an attempt's own places to write to."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from refit.core import artifacts, keys
from refit.core.config import Pipeline
from refit.core.domain import Artifact, RunRecord, StepName
from refit.core.store import ObjectStore, ObjectWriter


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
        report: Tells the reader of the terminal or log how far the step is: one short line.
    """

    store: ObjectStore
    pipeline: Pipeline
    run: RunRecord
    step: StepName
    attempt: str
    number: int
    folder: Path
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

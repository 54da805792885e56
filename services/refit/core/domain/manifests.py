"""What each step leaves: the only proof that it is done."""

from typing import Any

from pydantic import Field

from refit.core.domain.base import Artifact, Instant, OutcomeName, Record, StepName
from refit.core.domain.snapshot import Rows, Snapshot
from refit.core.domain.verdict import Look, Reference, ShiftCheck, Verdict


class Manifest(Record):
    """runs/<run_id>/<step>.json: the only proof that a step is done."""

    step: StepName
    run_id: str
    attempt: str
    attempt_number: int
    started_at: Instant
    finished_at: Instant
    max_rss_bytes: int = 0
    environment: dict[str, str] = Field(default_factory=dict)
    reused: Artifact | None = None
    """The manifest of the run that did the step, where this is a rerun that did not; the artifacts are that run's."""

    @property
    def seconds(self) -> float:
        """0 where the clock was put back meanwhile."""
        return max(0.0, (self.finished_at - self.started_at).total_seconds())


class ExtractManifest(Manifest):
    step: StepName = "extract"
    rows: Rows
    skipped: bool = False
    fresh: bool = False
    fresh_reason: str = ""
    new_since_verdict: int = 0
    doubled: int = 0
    replaced: int = 0
    quarantine_reasons: dict[str, int] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    snapshot: Snapshot | None = None
    """None when skipped."""
    snapshot_generation: int = 0
    """Generation of refs/snapshot.json that was read; 0: none. The ref moves from there once the manifest stands."""
    profile: Artifact | None = None


class TrainManifest(Manifest):
    step: StepName = "train"
    model: Artifact
    rows: int
    """Rows trained on."""
    rows_there: int | None = None
    """Labelled training rows that there were, those that model.sample or drop_3sigma left out included."""
    trained_from: Instant | None = None
    trained_until: Instant
    """No row with a later cursor was trained on (time split: the cut; hash split: the newest row)."""
    estimator: str
    params: dict[str, Any] = Field(default_factory=dict)
    seed: int
    task: str
    target: str
    classes: tuple[Any, ...] = ()
    columns: tuple[str, ...] = ()
    """Raw columns that the model takes, in order."""
    trusted: tuple[str, ...] = ()
    """Types beyond the built-in list that the pipeline's file allows the loader to build."""
    warnings: tuple[str, ...] = ()


class EvaluateManifest(Manifest):
    step: StepName = "evaluate"
    candidate: str
    baseline: str
    """A version, or `dummy`."""
    champion_generation: int
    """Generation of refs/champion.json that was read; 0: none."""
    verdict_generation: int
    """Generation of refs/verdict.json that was read; 0: none."""
    rows_holdout: int
    rows_clean: int
    verdict: Verdict
    scores: dict[str, dict[str, float | None]]
    """`candidate`, `baseline` (and `anchor`) → scorer name → value on the clean rows."""
    look: Look | None = None
    reference: Reference | None = None
    shift: tuple[ShiftCheck, ...] = ()
    anchor: str | None = None
    """The version that is the anchor if this candidate is promoted."""
    predictions: Artifact | None = None
    report: Artifact
    warnings: tuple[str, ...] = ()


class PublishManifest(Manifest):
    step: StepName = "publish"
    outcome: OutcomeName
    version: str
    champion: str | None = None
    previous_champion: str | None = None
    champion_generation: int = 0

"""What each step leaves: the only proof that it is done."""

from typing import Any, Self

from pydantic import Field

from refit.core.domain.base import Artifact, Instant, OutcomeName, Record, StepName, Value
from refit.core.domain.drift import Drift
from refit.core.domain.search import Searched
from refit.core.domain.snapshot import Rows, Snapshot
from refit.core.domain.verdict import Check, Look, Opponent, Promise, Reference, ShiftCheck, Verdict


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
    drift: Drift | None = None
    """Of the rows read; None where there were none, or none before them."""


class BatchFit(Value):
    """How a model was fitted batch by batch."""

    passes: int
    batches: int
    """Over all passes."""
    learned_on: int
    """Rows that the features were learned on."""
    checkpoints: int
    """Of the whole fit; the number of the last one."""
    resumed_from: int | None = None
    """The number of the checkpoint that this attempt went on from; None: from the start."""


class Refit(Value):
    """The candidate's definition fitted again on all rows of the window, held-out ones included (publish.fit_on: all).

    Its seed and parameters are the candidate's; what the candidate found by stopping early is fixed by `params`.
    """

    model: Artifact
    rows: int
    rows_there: int
    """Labelled rows of the window that there were, those that model.sample or drop_3sigma left out included."""
    trained_from: Instant
    trained_until: Instant
    """The newest row."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the estimator set beside the file's, so that it trains as long as the candidate did."""
    trusted: tuple[str, ...] = ()
    score: str
    """The gate's first comparing score."""
    value: float
    """On the candidate's clean rows, which the refit has seen: no measure of quality, but at least the candidate's."""
    predictions: Artifact


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
    """What the model was built with: the file's params and, after a search, those that it chose."""
    search: Searched | None = None
    seed: int
    task: str
    target: str
    classes: tuple[Any, ...] = ()
    columns: tuple[str, ...] = ()
    """Raw columns that the model takes, in order."""
    trusted: tuple[str, ...] = ()
    """Types beyond the built-in list that the pipeline's file allows the loader to build."""
    code: dict[str, str] = Field(default_factory=dict)
    """Package of the user's own that the file names → digest of its source files."""
    batches: BatchFit | None = None
    """None: fitted on all rows at once."""
    warnings: tuple[str, ...] = ()

    def of(self, refit: Refit) -> Self:
        """What train would have said, had it fitted the refit."""
        return self.model_copy(
            update={
                "model": refit.model,
                "rows": refit.rows,
                "rows_there": refit.rows_there,
                "trained_from": refit.trained_from,
                "trained_until": refit.trained_until,
                "trusted": refit.trusted,
            }
        )


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
    intervals: dict[str, dict[str, tuple[float, float]]] = Field(default_factory=dict)
    """The same → the ends of the score's interval, where there is one; each errs with 1 − `evaluate.confidence`."""
    look: Look | None = None
    reference: Reference | None = None
    shift: tuple[ShiftCheck, ...] = ()
    promise: Promise | None = None
    """How the last promotion fares; None where no version was promoted over another one."""
    opponents: tuple[Opponent, ...] = ()
    """The champion, and the anchor where it is another version."""
    anchor: str | None = None
    """The version that is the anchor if this candidate is promoted."""
    predictions: Artifact | None = None
    refit: Refit | None = None
    """What goes out instead of the candidate; only with publish.fit_on: all and an accepted verdict."""
    twins: Check | None = None
    """The champion's refit beside its evaluated model, on rows newer than both; rejected: it is proven worse."""
    report: Artifact
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int | None]:
        """What it adds to `Rows`."""
        refit = self.refit.rows if self.refit else None
        return {"holdout": self.rows_holdout, "clean": self.rows_clean, "refit": refit}


class PublishManifest(Manifest):
    step: StepName = "publish"
    outcome: OutcomeName
    version: str
    champion: str | None = None
    previous_champion: str | None = None
    champion_generation: int = 0
    fell_back: bool = False
    """The candidate did not win, and the champion's evaluated model took the place of its refit, proven worse."""
    warnings: tuple[str, ...] = ()

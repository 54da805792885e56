"""Versions, and the moves by which one of them is in production."""

from typing import Literal

from pydantic import Field

from refit.core.domain.base import Artifact, FitOn, Instant, Record, Value
from refit.core.domain.manifests import Refit, TrainManifest
from refit.core.domain.verdict import Verdict


class Version(Record):
    """versions/<run_id>.json: a trained and judged model; names artifacts, never copies them."""

    version: str
    as_of: Instant
    created_at: Instant
    model: Artifact
    """The one that was evaluated."""
    refit: Refit | None = None
    """What was fitted again on all rows, and goes out instead."""
    extract: Artifact
    train: Artifact
    evaluate: Artifact
    predictions: Artifact | None = None
    report: Artifact
    estimator: str
    task: str
    target: str
    verdict: Verdict
    scores: dict[str, float | None] = Field(default_factory=dict)
    anchor: str | None = None

    @property
    def fit_on(self) -> FitOn:
        """Which of its models a promotion puts into production."""
        return "evaluated" if self.refit is None else "all"

    def model_of(self, fit_on: FitOn) -> Artifact:
        """The file of one of its models; of the only one, where it has no other."""
        return self.refit.model if fit_on == "all" and self.refit is not None else self.model

    def said(self, fit_on: FitOn) -> Artifact | None:
        """What one of its models said of some rows when it was judged."""
        return self.refit.predictions if fit_on == "all" and self.refit is not None else self.predictions

    def trained(self, train: TrainManifest, fit_on: FitOn) -> TrainManifest:
        """Its train manifest as one of its models has it: file, rows, interval."""
        return train.of(self.refit) if fit_on == "all" and self.refit is not None else train


class Hold(Value):
    """Promotions wait for approval; set by a rollback, lifted by promote or release."""

    since: Instant
    who: str
    why: str


MoveKind = Literal["publish", "promote", "rollback", "release", "fallback"]


class Move(Record):
    """refs/champion.json and history/<generation>.json: one move of the champion, whole."""

    token: str
    generation: int
    kind: MoveKind
    previous: str | None = Field(alias="from")
    version: str = Field(alias="to")
    at: Instant
    who: str
    why: str
    as_of: Instant
    """`as_of` of the version that is now the champion."""
    anchor: str
    fit_on: FitOn = "evaluated"
    """Which of the version's models is in production."""
    run_id: str | None = None
    """The run that made a fallback: the same version, and its evaluated model instead of its refit."""
    hold: Hold | None = None
    barred: tuple[str, ...] = ()

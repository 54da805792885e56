"""Versions, and the moves by which one of them is in production."""

from typing import Literal

from pydantic import Field

from refit.core.domain.base import Artifact, Instant, Record, Value
from refit.core.domain.verdict import Verdict


class Version(Record):
    """versions/<run_id>.json: a trained and judged model; names artifacts, never copies them."""

    version: str
    as_of: Instant
    created_at: Instant
    model: Artifact
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


class Hold(Value):
    """Promotions wait for approval; set by a rollback, lifted by promote or release."""

    since: Instant
    who: str
    why: str


MoveKind = Literal["publish", "promote", "rollback", "release"]


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
    hold: Hold | None = None
    barred: tuple[str, ...] = ()

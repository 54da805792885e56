"""The nouns of refit as frozen values, and the way they are stored as JSON; a module per family."""

from refit.core.domain.base import FORMAT, STEPS, Artifact, FitOn, Instant, OutcomeName, Record, Result, StepName, Value
from refit.core.domain.champion import Hold, Move, MoveKind, Version
from refit.core.domain.checkpoint import Checkpoint
from refit.core.domain.drift import ColumnDrift, Drift
from refit.core.domain.exclusion import Exclusion, ExclusionsRef, Undone
from refit.core.domain.manifests import (
    BatchFit,
    EvaluateManifest,
    ExtractManifest,
    Manifest,
    PublishManifest,
    Refit,
    TrainManifest,
)
from refit.core.domain.quarantine import Decision, QuarantineRef, Stretch
from refit.core.domain.refs import Holder, HolderJob, LockRef, OwnerRef, SnapshotRef, ToldRef, VerdictRef
from refit.core.domain.run import Failure, Outcome, Pause, RunRecord, StepSummary, Termination
from refit.core.domain.search import Combination, Searched, SearchTable, Trial
from refit.core.domain.snapshot import Batch, Column, Part, Rows, Snapshot
from refit.core.domain.verdict import Check, Line, Look, Opponent, Promise, Reference, ShiftCheck, SliceCheck, Verdict

__all__ = [
    "FORMAT",
    "STEPS",
    "Artifact",
    "Batch",
    "BatchFit",
    "Check",
    "Checkpoint",
    "Column",
    "ColumnDrift",
    "Combination",
    "Decision",
    "Drift",
    "EvaluateManifest",
    "Exclusion",
    "ExclusionsRef",
    "ExtractManifest",
    "Failure",
    "FitOn",
    "Hold",
    "Holder",
    "HolderJob",
    "Instant",
    "Line",
    "LockRef",
    "Look",
    "Manifest",
    "Move",
    "MoveKind",
    "Opponent",
    "Outcome",
    "OutcomeName",
    "OwnerRef",
    "Part",
    "Pause",
    "Promise",
    "PublishManifest",
    "QuarantineRef",
    "Record",
    "Reference",
    "Refit",
    "Result",
    "Rows",
    "RunRecord",
    "SearchTable",
    "Searched",
    "ShiftCheck",
    "SliceCheck",
    "Snapshot",
    "SnapshotRef",
    "StepName",
    "StepSummary",
    "Stretch",
    "Termination",
    "ToldRef",
    "TrainManifest",
    "Trial",
    "Undone",
    "Value",
    "Verdict",
    "VerdictRef",
    "Version",
]

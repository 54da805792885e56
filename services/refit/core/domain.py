"""The nouns of refit as frozen values, and the way they are stored as JSON.

A `Record` is a stored document of its own and carries `format`; a `Value` is a part of one. Field names are the
stored names. All instants are UTC. To change a document in a way that older code would misread, raise FORMAT.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from refit.core.errors import ArtifactError, UnknownFormat

FORMAT: Final = 1

StepName = Literal["extract", "train", "evaluate", "publish"]
STEPS: Final[tuple[StepName, ...]] = ("extract", "train", "evaluate", "publish")

OutcomeName = Literal["promoted", "rejected", "skipped", "awaiting_approval", "superseded", "failed"]
Result = Literal["accepted", "rejected", "inconclusive"]


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc)]


class Value(BaseModel):
    """A frozen part of a stored document."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="null")


class Record(Value):
    """A stored document."""

    format: int = FORMAT

    def to_json(self) -> bytes:
        """The document as stored: UTF-8, indented, one trailing newline."""
        return self.model_dump_json(indent=1, by_alias=True).encode() + b"\n"

    @classmethod
    def from_json(cls, body: bytes, key: str) -> Self:
        """The document stored at `key`.

        Raises:
            UnknownFormat: another version of refit wrote it.
            ArtifactError: it is no document of this kind; names the key and the first fault.
        """
        try:
            probe = _Probe.model_validate_json(body)
            if probe.format != FORMAT:
                raise UnknownFormat(key, probe.format, FORMAT)
            return cls.model_validate_json(body)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"]) or "the document"
            raise ArtifactError(
                f"{key} is not a valid {cls.__name__} document: {where}: {fault['msg']}",
                next="restore the object from the bucket's versions or a backup",
            ) from error


class _Probe(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")
    format: Any = None


# --- artifacts and runs -------------------------------------------------------


class Artifact(Value):
    """A stored object as a manifest names it; `key` is relative to the pipeline."""

    key: str
    size: int
    sha256: str


class RunRecord(Record):
    """runs/<run_id>/run.json: who started the run, why, and its fixed `as_of`."""

    run_id: str
    pipeline: str
    as_of: Instant
    created_at: Instant
    created_by: str
    why: str = ""
    parent: str | None = None
    full_refresh: bool = False
    file: Artifact
    environment: dict[str, str] = Field(default_factory=dict)
    """Versions of refit, Python and the installed packages that steps depend on."""


class Failure(Value):
    """Why a run or an attempt failed, and what to do next."""

    error_class: str = Field(alias="class")
    type: str
    step: StepName | None = None
    exit_code: int
    message: str
    next: str = ""


class StepSummary(Value):
    """What one step of a run took."""

    seconds: float = 0.0
    attempts: int = 0
    max_rss_bytes: int = 0


class Rows(Value):
    """Row counts of a run; `train`, `holdout` and `clean` count labelled rows, None where not reached."""

    read: int | None = None
    new: int | None = None
    quarantined: int | None = None
    snapshot: int | None = None
    unlabelled: int | None = None
    train: int | None = None
    holdout: int | None = None
    clean: int | None = None


# --- the verdict (gate.md) ----------------------------------------------------

Line = Literal["min", "max", "min_gain", "max_loss"]


class Check(Value):
    """One line of the gate, judged. Figures are None where they could not be computed."""

    name: str
    score: str
    line: Line
    limit: float
    against: str | None = None
    """`champion`, `anchor` or `dummy` for the lines that compare; None for floors."""
    result: Result
    candidate: float | None = None
    baseline: float | None = None
    gain: float | None = None
    interval: tuple[float, float] | None = None
    alpha: float | None = None
    se: float | None = None
    df: float | None = None
    rows: int | None = None
    entities: int | None = None
    blocks: int | None = None
    effective_rows: float | None = None
    detectable: float | None = None
    """The gain found 4 times in 5 with this many rows (D of gate.md section 6)."""
    reason: str
    hints: tuple[str, ...] = ()


class Verdict(Value):
    """What the gate says of a candidate, with a reason in plain words."""

    result: Result
    reason: str
    checks: tuple[Check, ...] = ()
    needs_approval: str | None = None
    """Why a person must decide (shifted labels, a champion that cannot be used); None in ordinary runs."""


class Reference(Value):
    """How well a model ranked on clean rows when it was judged; later extracts are held against it."""

    score: Literal["roc_auc", "r2"]
    value: float
    se: float
    rows: int


class ShiftCheck(Value):
    """The champion's score on one extract's rows, held against its reference."""

    run_id: str
    rows: int
    value: float | None = None
    se: float | None = None
    drop: float | None = None
    shifted: bool = False


# --- manifests ----------------------------------------------------------------


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

    @property
    def seconds(self) -> float:
        return (self.finished_at - self.started_at).total_seconds()


class Column(Value):
    """A column of the query's result: PostgreSQL's type name and the Arrow type of the parts."""

    name: str
    database_type: str
    type: str


class Part(Value):
    """An immutable Parquet file of a batch; the cursor's bounds let readers pass over it."""

    artifact: Artifact
    rows: int
    cursor_min: Instant
    cursor_max: Instant
    null_counts: dict[str, int] = Field(default_factory=dict)
    """NULLs of each column that has any, so that rows can be counted without reading."""


class Batch(Value):
    """What one extract added to the snapshot."""

    run_id: str
    as_of: Instant
    read: int
    new: int
    parts: tuple[Part, ...] = ()
    updates: Artifact | None = None
    quarantine: Artifact | None = None


class Snapshot(Value):
    """The parts and updates that a run trains on, oldest batch first."""

    batches: tuple[Batch, ...] = ()
    watermark: Instant | None = None
    source_digest: str
    """Digest of query, key, cursor, columns and what else asks for a fresh start when it changes."""
    refreshed_at: Instant
    """`as_of` of the run that read the whole window."""
    window_start: Instant | None = None
    """Rows at or before this cursor were not read; None: all were."""
    columns: tuple[Column, ...] = ()


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


class Look(Value):
    """One evaluate that computed an interval; looks share the year's budget of false promotions."""

    as_of: Instant
    days: float | None
    alpha: float


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


# --- registry -----------------------------------------------------------------


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


# --- refs ---------------------------------------------------------------------


class SnapshotRef(Record):
    """refs/snapshot.json: the snapshot that the next extract continues."""

    token: str
    generation: int
    run_id: str
    watermark: Instant | None
    source_digest: str
    refreshed_at: Instant


class VerdictRef(Record):
    """refs/verdict.json: the last verdict, and the last one that confirmed or replaced the champion."""

    token: str
    generation: int
    run_id: str
    as_of: Instant
    snapshot_run_id: str
    file_sha256: str
    environment_digest: str
    decided_at: Instant
    confirmed_at: Instant | None
    look_as_of: Instant | None
    """`as_of` of the last look; the next look's share of the budget counts from here."""


class Holder(Value):
    """Who holds the lock: enough to see that a local process is gone."""

    run_id: str
    host: str
    process: int
    process_started: str


class LockRef(Record):
    """refs/lock.json; `holder` is None when free. Its age is judged by the store's clock."""

    token: str
    generation: int
    holder: Holder | None
    ttl_seconds: int


# --- the end of a run ---------------------------------------------------------


class Outcome(Record):
    """runs/<run_id>/outcome.json, and what `refit run --json` prints."""

    pipeline: str | None
    run_id: str | None
    outcome: OutcomeName
    as_of: Instant | None
    version: str | None = None
    """None unless versions/<run_id>.json stands."""
    champion: str | None = None
    previous_champion: str | None = None
    rows: Rows = Rows()
    verdict: Verdict | None = None
    scores: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    steps: dict[StepName, StepSummary] = Field(default_factory=dict)
    report: str | None = None
    warnings: tuple[str, ...] = ()
    error: Failure | None = None
    exit_code: int = 0
    finished_at: Instant


class Termination(Record):
    """The last words of one process's try: its termination message, and attempt.json beside its artifacts."""

    step: StepName
    run_id: str
    attempt: str
    number: int
    failure: Failure | None
    seconds: float
    max_rss_bytes: int

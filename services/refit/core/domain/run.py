"""How a run begins and how it ends."""

from pydantic import Field

from refit.core.domain.base import Artifact, Instant, OutcomeName, Record, StepName, Value
from refit.core.domain.snapshot import Rows
from refit.core.domain.verdict import Verdict


class RunRecord(Record):
    """runs/<run_id>/run.json: who started the run, why, and its fixed `as_of`."""

    run_id: str
    pipeline: str
    as_of: Instant
    created_at: Instant
    created_by: str
    why: str = ""
    parent: str | None = None
    """The run that this one repeats; `as_of` is that run's."""
    reused: dict[StepName, Artifact] = Field(default_factory=dict)
    """The parent's manifests that this run takes over instead of doing these steps."""
    notes: tuple[str, ...] = ()
    """What the run does otherwise than was asked, and why."""
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


class Pause(Record):
    """runs/<run_id>/logs/pause.json: why the run waits, and until when; once that is over it says nothing."""

    step: StepName
    number: int
    """Of the attempt that failed."""
    failure: Failure
    until: Instant


class StepSummary(Value):
    """What one step of a run took."""

    seconds: float = 0.0
    attempts: int = 0
    max_rss_bytes: int = 0
    reused_from: str | None = None
    """The run that did the step, where this one took it over; then the figures are 0."""


class Outcome(Record):
    """runs/<run_id>/outcome.json, and what `refit run --json` prints."""

    pipeline: str | None
    run_id: str | None
    parent: str | None = None
    """The run that this one repeats."""
    outcome: OutcomeName
    as_of: Instant | None
    version: str | None = None
    """None unless versions/<run_id>.json stands."""
    champion: str | None = None
    previous_champion: str | None = None
    fell_back: bool = False
    """The champion's evaluated model took the place of the one fitted on all rows."""
    rows: Rows = Rows()
    verdict: Verdict | None = None
    confirmed: bool = False
    """Its verdict confirmed the champion, or made a new one: freshness counts from here."""
    scores: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    steps: dict[StepName, StepSummary] = Field(default_factory=dict)
    attempts: dict[str, int] = Field(default_factory=dict)
    """Tries of all steps by how they ended: `done`, or the class of the failure; empty where nobody is left to tell."""
    report: str | None = None
    warnings: tuple[str, ...] = ()
    error: Failure | None = None
    exit_code: int = 0
    finished_at: Instant


class Termination(Record):
    """What one process's try says of itself: its termination message, and at its end attempt.json beside its artifacts.

    One without a failure and with progress was written while the step went on: the process ended without a word.
    """

    step: StepName
    run_id: str
    attempt: str
    number: int
    failure: Failure | None
    progress: str = ""
    """How far the step last told to be; empty in the last words of a process that ended well."""
    at: Instant | None = None
    """When this was said."""
    seconds: float
    max_rss_bytes: int
    cpu_seconds: float = 0.0
    """Of the process and of the children that it has waited for."""
    store_requests: int = 0
    """Sent to the store so far, retries too."""
    store_retries: int = 0
    memory_limit_bytes: int | None = None
    """Of its container; None: no limit."""
    waited_seconds: float | None = None
    """From when it was asked for until it began; None: nobody said when that was."""
    unpushed: str = ""
    """Why its metrics are not in the Pushgateway; empty where they are, or nobody wants them."""

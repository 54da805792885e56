"""Every metric: name, help, type, unit and labels, and who pushes it. docs/metrics.md is written from here.

Names follow https://prometheus.io/docs/practices/naming/: the unit ends the name, in its base. All are gauges, counts
among them: a pushed value is that of the last run, and nothing adds up across processes. Instants are values, for a
Pushgateway never forgets and its own times tell only when something was pushed.

The labels job, pipeline and step are the Pushgateway's grouping key and stand on every series. Others have few values,
never a run's id.

To add one: a constant here, where it stands in `METRICS`, and the sample in core/samples.py; then `docs/metrics.py`.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from refit.core.domain import STEPS, OutcomeName, StepName

Kind = Literal["gauge"]
Unit = Literal["", "bytes", "seconds", "timestamp_seconds", "ratio"]
Group = StepName | Literal["run"]
"""What `step` says in the grouping key: a step's own series, or those of the run and of the pipeline as a whole."""
GROUPS: Final[tuple[Group, ...]] = (*STEPS, "run")
JOB: Final = "refit"


@dataclass(frozen=True)
class Label:
    """A label and, for the reader, what values it has."""

    name: str
    values: str


@dataclass(frozen=True)
class Metric:
    """A metric as Prometheus knows it.

    Attributes:
        groups: Whose series have it.
    """

    name: str
    help: str
    groups: tuple[Group, ...]
    unit: Unit = ""
    labels: tuple[Label, ...] = ()
    kind: Kind = "gauge"

    def at(self, value: float, *labels: str) -> "Sample":
        """A sample of it, with a value for each of its labels."""
        assert len(labels) == len(self.labels), self.name
        return Sample(self, float(value), labels)


@dataclass(frozen=True)
class Sample:
    """A value of a metric."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


DONE: Final = "done"
"""The class of what did not fail."""
CLASS: Final = Label("class", f"`{DONE}`, or the class of the failure as in the table of exit codes")
SCORER: Final = Label("score", "scikit-learn's name of it, like `neg_log_loss`")

STEP_START: Final = Metric(
    "refit_step_last_start_timestamp_seconds", "When the last attempt of the step began.", STEPS, "timestamp_seconds"
)
STEP_SUCCESS: Final = Metric(
    "refit_step_last_success_timestamp_seconds", "When the step last ended well.", STEPS, "timestamp_seconds"
)
STEP_FAILURE: Final = Metric(
    "refit_step_last_failure_timestamp_seconds",
    "When an attempt of the step last failed; one that is tried again counts too.",
    STEPS,
    "timestamp_seconds",
)
STEP_EXIT: Final = Metric(
    "refit_step_last_exit_code", "How the last attempt of the step ended.", STEPS, labels=(CLASS,)
)
STEP_DURATION: Final = Metric(
    "refit_step_duration_seconds", "How long the last attempt of the step took.", STEPS, "seconds"
)
STEP_CPU: Final = Metric(
    "refit_step_cpu_seconds",
    "Processor time of the last attempt of the step, with that of its worker processes.",
    STEPS,
    "seconds",
)
STEP_MEMORY: Final = Metric(
    "refit_step_max_rss_bytes", "The most memory that the last attempt of the step held.", STEPS, "bytes"
)
STEP_MEMORY_LIMIT: Final = Metric(
    "refit_step_memory_limit_bytes", "The memory that the step's container may use; +Inf: no limit.", STEPS, "bytes"
)
STEP_WAIT: Final = Metric(
    "refit_step_wait_seconds",
    "How long the step's last attempt waited for its pod to start; 0 where steps are processes.",
    STEPS,
    "seconds",
)
STEP_REQUESTS: Final = Metric(
    "refit_step_store_requests", "Requests that the last attempt of the step sent to the store, retries too.", STEPS
)
STEP_RETRIES: Final = Metric(
    "refit_step_store_retries", "Requests to the store that the last attempt of the step had to repeat.", STEPS
)

ROWS: Final = Metric(
    "refit_rows",
    "Rows of the last run that came so far.",
    ("extract", "train", "evaluate"),
    labels=(
        Label(
            "kind",
            "extract: `read`, `new`, `quarantined`, `snapshot`, `unlabelled`; train: `train`; evaluate: `holdout`, "
            "`clean`, `refit`",
        ),
    ),
)
ROWS_NEW_SINCE_VERDICT: Final = Metric(
    "refit_rows_new_since_verdict", "Rows that no run with a verdict has used yet.", ("extract",)
)
COLUMN: Final = Label("column", "one of the 20 columns that drifted most")
COLUMN_NULLS: Final = Metric(
    "refit_column_null_ratio", "Share of nulls among the rows read last.", ("extract",), "ratio", (COLUMN,)
)
COLUMN_DRIFT: Final = Metric(
    "refit_column_drift",
    "Population stability index of the rows read last against those read before. It informs; the gate decides.",
    ("extract",),
    labels=(COLUMN,),
)

MODEL: Final = Label("model", "`candidate`, `baseline` (the champion; a dummy for the first run), `anchor`")
SCORE: Final = Metric(
    "refit_score",
    "A model's quality on the clean rows of the last comparison; more is better.",
    ("evaluate",),
    labels=(MODEL, SCORER),
)
SCORE_LOWER: Final = Metric(
    "refit_score_lower",
    "Lower end of the score's interval; NaN: none could be computed.",
    ("evaluate",),
    labels=(MODEL, SCORER),
)
SCORE_UPPER: Final = Metric(
    "refit_score_upper",
    "Upper end of the score's interval; NaN: none could be computed.",
    ("evaluate",),
    labels=(MODEL, SCORER),
)
CHECK: Final = Label(
    "check", "a line of the gate and whom it compares with, like `neg_log_loss min_gain against champion`"
)
GAIN: Final = Metric(
    "refit_gate_gain",
    "The candidate's score less that of the other model.",
    ("evaluate",),
    labels=(CHECK,),
)
GAIN_LOWER: Final = Metric(
    "refit_gate_gain_lower",
    "Lower end of the gain's interval; NaN: none could be computed.",
    ("evaluate",),
    labels=(CHECK,),
)
GAIN_UPPER: Final = Metric(
    "refit_gate_gain_upper",
    "Upper end of the gain's interval; NaN: none could be computed.",
    ("evaluate",),
    labels=(CHECK,),
)
MARGIN: Final = Metric(
    "refit_gate_margin",
    "By how much the line is passed: what decides (the interval's lower end, for floors and ceilings the candidate's "
    "score) less the limit; below 0 it is not.",
    ("evaluate",),
    labels=(CHECK,),
)

_RUN: Final[tuple[Group, ...]] = ("run",)
RUN_START: Final = Metric(
    "refit_run_last_start_timestamp_seconds", "When the last run began; it may be going on.", _RUN, "timestamp_seconds"
)
RUN_SUCCESS: Final = Metric(
    "refit_run_last_success_timestamp_seconds",
    "When a run last ended well, whatever its verdict.",
    _RUN,
    "timestamp_seconds",
)
RUN_FAILURE: Final = Metric(
    "refit_run_last_failure_timestamp_seconds",
    "When a run last failed, after its retries; one that another run overtook did not.",
    _RUN,
    "timestamp_seconds",
)
RUN_OUTCOME: Final = Metric(
    "refit_run_last_outcome",
    "1 for the outcome of the last run, 0 for the others.",
    _RUN,
    labels=(Label("outcome", ", ".join(f"`{name}`" for name in get_args(OutcomeName))),),
)
RUN_EXIT: Final = Metric("refit_run_last_exit_code", "The exit code of the last run.", _RUN, labels=(CLASS,))
RUN_DURATION: Final = Metric("refit_run_duration_seconds", "How long the last run took.", _RUN, "seconds")
RUN_ATTEMPTS: Final = Metric(
    "refit_run_attempts", "Attempts of steps that the last run made, by how they ended.", _RUN, labels=(CLASS,)
)
RUN_NEXT: Final = Metric(
    "refit_run_next_timestamp_seconds",
    "The moment that the file's schedule names next; NaN: it has none.",
    _RUN,
    "timestamp_seconds",
)
WATERMARK: Final = Metric(
    "refit_watermark_timestamp_seconds", "The highest cursor value that was read.", _RUN, "timestamp_seconds"
)
CHAMPION_GENERATION: Final = Metric("refit_champion_generation", "How often the champion was moved.", _RUN)
CHAMPION_PROMOTED: Final = Metric(
    "refit_champion_promoted_timestamp_seconds",
    "When the version in production became the champion.",
    _RUN,
    "timestamp_seconds",
)
CHAMPION_CONFIRMED: Final = Metric(
    "refit_champion_confirmed_timestamp_seconds",
    "When a verdict last confirmed or replaced the champion: its freshness counts from here.",
    _RUN,
    "timestamp_seconds",
)
CHAMPION_SCORE: Final = Metric(
    "refit_champion_score", "The champion's quality when it was judged.", _RUN, labels=(SCORER,)
)
QUARANTINE_LIMIT: Final = Metric(
    "refit_quarantine_limit_ratio", "Share of bad rows that fails a read (`on_bad_row.max_fraction`).", _RUN, "ratio"
)
RUNS_UNCONFIRMED: Final = Metric(
    "refit_runs_since_confirmed",
    "Runs that have ended since a verdict last confirmed or replaced the champion; skipped ones do not count.",
    _RUN,
)
AWAITING_APPROVAL: Final = Metric("refit_awaiting_approval", "1 while the newest version waits for approval.", _RUN)
SLO_MAX_AGE: Final = Metric(
    "refit_slo_max_age_seconds", "The objective `slo.max_age`; NaN: the file has none.", _RUN, "seconds"
)
SLO_FRESH: Final = Metric(
    "refit_slo_fresh_ratio",
    "Share of the last 28 days, or of those since the first champion, within `slo.max_age`; NaN: no objective.",
    _RUN,
    "ratio",
)
STORE_CONDITIONS: Final = Metric(
    "refit_store_conditions",
    "1 while the store honours conditional writes; 0: it does not, and no run was started.",
    _RUN,
)
HOLD: Final = Metric("refit_hold", "1 while promotions wait for approval since a rollback, else 0.", _RUN)

METRICS: Final[tuple[Metric, ...]] = (
    STEP_START,
    STEP_SUCCESS,
    STEP_FAILURE,
    STEP_EXIT,
    STEP_DURATION,
    STEP_CPU,
    STEP_MEMORY,
    STEP_MEMORY_LIMIT,
    STEP_WAIT,
    STEP_REQUESTS,
    STEP_RETRIES,
    ROWS,
    ROWS_NEW_SINCE_VERDICT,
    COLUMN_NULLS,
    COLUMN_DRIFT,
    SCORE,
    SCORE_LOWER,
    SCORE_UPPER,
    GAIN,
    GAIN_LOWER,
    GAIN_UPPER,
    MARGIN,
    RUN_START,
    RUN_SUCCESS,
    RUN_FAILURE,
    RUN_OUTCOME,
    RUN_EXIT,
    RUN_DURATION,
    RUN_ATTEMPTS,
    RUN_NEXT,
    WATERMARK,
    CHAMPION_GENERATION,
    CHAMPION_PROMOTED,
    CHAMPION_CONFIRMED,
    CHAMPION_SCORE,
    QUARANTINE_LIMIT,
    RUNS_UNCONFIRMED,
    AWAITING_APPROVAL,
    SLO_MAX_AGE,
    SLO_FRESH,
    STORE_CONDITIONS,
    HOLD,
)

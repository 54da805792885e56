"""The alerts: only what a person acts on. docs/runbook.md has a section for each.

To add one: a function that returns it, its name in `alerts`, a section of its name in docs/runbook.md, and cases in
tests/monitoring/ in which it fires and in which it does not.

Texts are templates of Prometheus (https://prometheus.io/docs/prometheus/latest/configuration/template_reference/) that
Grafana reads too: `$labels`, `$value` and what both can do with them; so no `query`, which Grafana does not have.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from monitoring.series import Series
from refit.core import metrics as m

Severity = Literal["page", "warning", "ticket"]
"""Now, by night too; today; this week."""

LONGEST_RUN_SECONDS: Final = 86_400
"""A run that began longer ago and has not ended is taken for dead."""
QUARANTINE_SHARE: Final = 0.5
"""Of the share of bad rows that fails a read."""
MEMORY_SHARE: Final = 0.9
"""Of what a step's container may use."""

ACTIONS: Final = {
    "config": "The file, the command or a name is wrong: mend it.",
    "data": "The rows break their contract: mend them, or columns and on_bad_row in the file.",
    "artifact": "A stored object is missing, altered or refused: restore the one that the log names.",
    "bug": "A fault of refit: keep the log and report it.",
    "disk": "The local disk was full or failed: give the step more room (tmpSize).",
    "dependency": "Database, bucket or API server was away or too slow: see that it answers.",
    "permission": "Credentials or rights do not suffice: the log names what was refused.",
    "killed": "The process was ended from outside, or crashed: see who ended it.",
    "oom": "Out of memory: give the step more (resources.limits.memory), or take fewer rows (model.sample).",
    "timeout": "Slower than its deadline: see why, or raise deadlineSeconds.",
    "start": "A step's pod did not start: the log has the reason (image, Secret, quota, no node).",
}
"""What to do, by the class of the failure. A run that another one overtook has not failed."""


@dataclass(frozen=True)
class Setting:
    """What differs between places where the rules are used. Numbers are texts, for a chart may fill them in.

    Attributes:
        suspended: ` unless …`, which takes out of RunOverdue what nobody wants to run now.
        grace_seconds: How long after its moment a run may begin.
        unconfirmed_runs: So many runs in a row without a verdict on the champion are too many.
        runbook: Address of docs/runbook.md.
        report: Where reports are found: an address, or the command that opens the last one.
    """

    series: Series = field(default_factory=Series)
    suspended: str = ""
    grace_seconds: str = "7200"
    unconfirmed_runs: str = "5"
    runbook: str = "docs/runbook.md"
    report: str = "refit show {{ $labels.pipeline }} @latest"


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        summary: A line; begins with the pipeline's name.
        description: What happened and what to do.
        hold: For how long the expression has to give something before it fires.
        is_slow: It is about hours and days: five minutes between two looks are enough.
    """

    name: str
    severity: Severity
    expression: str
    summary: str
    description: str
    hold: str = "0s"
    is_slow: bool = False


def alerts(setting: Setting) -> tuple[Alert, ...]:
    """All alerts, the page first."""
    return (
        _model_not_confirmed(setting.series),
        _run_failed(setting.series),
        _run_overdue(setting),
        _awaiting_approval(setting.series),
        _nothing_promoted_or_confirmed(setting),
        _quarantine_high(setting.series),
        _memory_near_limit(setting.series),
        _store_conditions_lost(setting.series),
        _metrics_missing(setting.series),
    )


def _model_not_confirmed(series: Series) -> Alert:
    return Alert(
        "ModelNotConfirmed",
        "page",
        f"time() - {series.last(m.CHAMPION_CONFIRMED)}\n> {series.last(m.SLO_MAX_AGE)}",
        "the model in production was last confirmed {{ $value | humanizeDuration }} ago",
        "No run has confirmed or replaced the champion within slo.max_age; it still serves. What is in production and "
        "what comes next: refit status {{ $labels.pipeline }}. What stopped the last runs: refit runs "
        "{{ $labels.pipeline }}.",
        hold="15m",
        is_slow=True,
    )


def _run_failed(series: Series) -> Alert:
    """The class is a label: a failure of another class is another alert, since somebody else may have to act."""
    failure, success = series.last(m.RUN_FAILURE), series.last(m.RUN_SUCCESS)
    cases = "{{ else ".join(f'if eq $labels.class "{name}" }}}}{text} ' for name, text in ACTIONS.items())
    return Alert(
        "RunFailed",
        "warning",
        f"(\n  {failure}\n  unless {series.on}\n  {success} >= {failure}\n)\n"
        f"* {series.on} group_left (class) (\n  ({series.failure_class()} or {series.on} {failure})\n  > bool 0\n)",
        "the last run failed{{ with $labels.class }} ({{ . }}){{ end }}",
        "It failed at {{ $value | humanizeTimestamp }}, after its retries, and none has ended well since; production "
        f"stays as it is. {{{{ {cases}{{{{ end }}}}Cause, log and next command: refit runs {{{{ $labels.pipeline }}}} "
        "--failed. Once it is mended: refit rerun {{ $labels.pipeline }}.",
    )


def _run_overdue(setting: Setting) -> Alert:
    """A run that was refused before it began is told by RunFailed; one that died without a word, by nobody else."""
    series = setting.series
    due, start = series.last(m.RUN_NEXT), series.last(m.RUN_START)
    success, failure = series.last(m.RUN_SUCCESS), series.last(m.RUN_FAILURE)
    return Alert(
        "RunOverdue",
        "warning",
        f"(\n"
        f"  time() - {due} > {setting.grace_seconds}\n"
        f"  unless {series.on} {failure} >= {due}\n"
        f"  unless {series.on} (\n"
        f"    {start} > time() - {LONGEST_RUN_SECONDS}\n"
        f"    unless {series.on} {success} >= {start}\n"
        f"    unless {series.on} {failure} >= {start}\n"
        f"  )\n"
        f"or {series.on}\n"
        f"  time() - {start} - {LONGEST_RUN_SECONDS} > 0\n"
        f"  unless {series.on} {success} >= {start}\n"
        f"  unless {series.on} {failure} >= {start}\n"
        f"){setting.suspended}",
        "a run should have begun or ended {{ $value | humanizeDuration }} ago",
        "The moment that the schedule names has passed and no run has begun, or the last one began over a day ago and "
        "has neither gone well nor failed. See whether the CronJob is suspended or its Jobs cannot start (kubectl get "
        "cronjobs,jobs), whether cron works, and whether that run is dead; then start one by hand.",
        hold="15m",
        is_slow=True,
    )


def _awaiting_approval(series: Series) -> Alert:
    return Alert(
        "AwaitingApproval",
        "warning",
        f"{series.last(m.AWAITING_APPROVAL)} > 0",
        "a version waits for a person's decision",
        "refit show {{ $labels.pipeline }} @latest says why. To take it: refit promote {{ $labels.pipeline }} VERSION "
        "--reason …; where its rows are wrong: refit exclude {{ $labels.pipeline }} --where … --reason …. Until then "
        "the champion serves, and is confirmed by no run.",
    )


def _nothing_promoted_or_confirmed(setting: Setting) -> Alert:
    return Alert(
        "NothingPromotedOrConfirmed",
        "ticket",
        f"{setting.series.last(m.RUNS_UNCONFIRMED)} >= {setting.unconfirmed_runs}",
        "{{ $value }} runs in a row have neither replaced nor confirmed the model in production",
        "Runs that fail, await approval or have too few clean rows to judge by leave the champion as it is and tell "
        "nothing of it. The verdicts' reasons: refit runs {{ $labels.pipeline }}, refit show {{ $labels.pipeline }} "
        "@latest.",
        is_slow=True,
    )


def _quarantine_high(series: Series) -> Alert:
    bad, read = (series.last(m.ROWS, f'kind="{kind}"') for kind in ("quarantined", "read"))
    return Alert(
        "QuarantineHigh",
        "ticket",
        f"{bad}\n/ {series.on} ({read} > 0)\n> {series.on} {QUARANTINE_SHARE} * {series.last(m.QUARANTINE_LIMIT)}",
        "{{ $value | humanizePercentage }} of the rows read last are bad",
        "More than on_bad_row.max_fraction fail the run, and this is over half of it. Which rows, and why: refit "
        "quarantine list {{ $labels.pipeline }}.",
        is_slow=True,
    )


def _memory_near_limit(series: Series) -> Alert:
    return Alert(
        "MemoryNearLimit",
        "ticket",
        f"{series.last(m.STEP_MEMORY)}\n/ {series.last(m.STEP_MEMORY_LIMIT)}\n> {MEMORY_SHARE}",
        "{{ $labels.step }} used {{ $value | humanizePercentage }} of its memory",
        "A little more data, and the kernel ends it. Give it more (steps.{{ $labels.step }}.resources.limits.memory), "
        "or take fewer rows (window.length, model.sample).",
        is_slow=True,
    )


def _store_conditions_lost(series: Series) -> Alert:
    return Alert(
        "StoreConditionsLost",
        "warning",
        f"1 - {series.last(m.STORE_CONDITIONS)} > 0",
        "the store does not honour conditional writes, and no run begins",
        "Two runs at once could both move the champion, so refit refuses. A proxy, a gateway or another server stands "
        "before the bucket, or its software was changed. To try it again: refit check FILE --connect.",
    )


def _metrics_missing(series: Series) -> Alert:
    return Alert(
        "MetricsMissing",
        "warning",
        f"{series.last(m.RUN_START)}\nunless {series.on} {series.select(m.RUN_START)}",
        "its metrics are gone; its last run began at {{ $value | humanizeTimestamp }}",
        "They were there within two weeks. The Pushgateway is away, has restarted without its file, or is not scraped "
        "any more. Other alerts go by what was said last. To bring them back: refit metrics {{ $labels.pipeline }} "
        "--push.",
        hold="30m",
        is_slow=True,
    )

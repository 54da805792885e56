"""What the records of a step and of a run mean as samples. Pure: records in, samples out.

A value that a later run may lack is NaN there and not left out: what is not pushed keeps the value it had.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf, nan
from typing import Final, get_args

from refit.core import metrics as m
from refit.core.domain import (
    Check,
    EvaluateManifest,
    ExtractManifest,
    Failure,
    Manifest,
    Move,
    Outcome,
    OutcomeName,
    Termination,
    TrainManifest,
)
from refit.core.metrics import Metric, Sample

OVERTAKEN: Final = "superseded"
"""The outcome of a run that neither went well nor failed."""


def of_attempt(
    started_at: datetime, ended_at: datetime, said: Termination, manifest: Manifest | None
) -> Iterator[Sample]:
    """What a process tells of its own try of a step.

    Args:
        said: Its last words.
        manifest: The step's, where it stands.
    """
    yield m.STEP_START.at(started_at.timestamp())
    yield from of_end(said.failure, ended_at)
    yield m.STEP_DURATION.at(said.seconds)
    yield m.STEP_CPU.at(said.cpu_seconds)
    yield m.STEP_MEMORY.at(max(said.max_rss_bytes, manifest.max_rss_bytes if manifest else 0))
    yield m.STEP_MEMORY_LIMIT.at(inf if said.memory_limit_bytes is None else said.memory_limit_bytes)
    if said.waited_seconds is not None:
        yield m.STEP_WAIT.at(said.waited_seconds)
    yield m.STEP_REQUESTS.at(said.store_requests)
    yield m.STEP_RETRIES.at(said.store_retries)
    if manifest is not None:
        yield from of_manifest(manifest)


def of_death(failure: Failure | None, at: datetime, said: Termination | None) -> Iterator[Sample]:
    """What is known of a process that did not come to tell its own end.

    Args:
        failure: None where it had done all that it had to.
        said: Its words on the way, if it had any.
    """
    yield from of_end(failure, at)
    if said is not None:
        yield m.STEP_MEMORY.at(said.max_rss_bytes)
        yield m.STEP_MEMORY_LIMIT.at(inf if said.memory_limit_bytes is None else said.memory_limit_bytes)


def of_end(failure: Failure | None, at: datetime) -> Iterator[Sample]:
    """How an attempt ended."""
    yield (m.STEP_FAILURE if failure else m.STEP_SUCCESS).at(at.timestamp())
    yield m.STEP_EXIT.at(failure.exit_code if failure else 0, _class(failure))


def of_manifest(manifest: Manifest) -> Iterator[Sample]:
    """What a step that ended well has counted and measured."""
    if isinstance(manifest, ExtractManifest):
        yield from _rows(manifest.rows.model_dump())
        yield m.ROWS_NEW_SINCE_VERDICT.at(manifest.new_since_verdict)
        for one in manifest.drift.columns if manifest.drift else ():
            yield m.COLUMN_NULLS.at(one.nulls, one.column)
            yield m.COLUMN_DRIFT.at(one.index, one.column)
    elif isinstance(manifest, TrainManifest):
        yield from _rows({"train": manifest.rows})
    elif isinstance(manifest, EvaluateManifest):
        yield from _rows(manifest.counts)
        for model, scores in manifest.scores.items():
            for score, value in scores.items():
                yield m.SCORE.at(nan if value is None else value, model, score)
                lower, upper = manifest.intervals.get(model, {}).get(score, (nan, nan))
                yield m.SCORE_LOWER.at(lower, model, score)
                yield m.SCORE_UPPER.at(upper, model, score)
        for check in manifest.verdict.checks:
            yield from _of_check(check)


def _rows(counts: Mapping[str, int | None]) -> Iterator[Sample]:
    for kind, count in counts.items():
        if count is not None:
            yield m.ROWS.at(count, kind)


def _of_check(check: Check) -> Iterator[Sample]:
    lower, upper = check.interval or (nan, nan)
    if check.against is not None:
        yield m.GAIN.at(nan if check.gain is None else check.gain, check.name)
        yield m.GAIN_LOWER.at(lower, check.name)
        yield m.GAIN_UPPER.at(upper, check.name)
    yield m.MARGIN.at(margin(check), check.name)


def margin(check: Check) -> float:
    """By how much a line of the gate is passed, as gate.md section 1 has it; NaN: nothing can be said."""
    value = nan if check.candidate is None else check.candidate
    lower = check.interval[0] if check.interval else nan
    by_line = {
        "min": value - check.limit,
        "max": check.limit - value,
        "min_gain": lower - check.limit,
        "max_loss": lower + check.limit,
    }
    return by_line[check.line]


@dataclass(frozen=True)
class Standing:
    """Where a pipeline stands after a run, by the store's records; None for what is not known.

    Attributes:
        succeeded_at: When the last run that went well ended.
        failed_at: When the last run that failed ended.
        next_at: What the schedule names next.
        promoted_at: When the champion's version came into production.
        confirmed_at: When a verdict last confirmed the champion, or it was replaced.
        scores: The champion's, when it was judged.
        quarantine_limit: Share of bad rows that fails a read.
        unconfirmed: Runs since one confirmed or replaced the champion; skipped ones do not count.
        awaits_approval: The newest version waits for a person.
        is_file_known: The pipeline file can be read: what it does not have (`next_at`, `max_age`), it does not say.
        max_age: The objective; None: the file has none.
        fresh_share: Of the last 28 days within it.
    """

    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    next_at: datetime | None = None
    watermark: datetime | None = None
    champion: Move | None = None
    promoted_at: datetime | None = None
    confirmed_at: datetime | None = None
    scores: Mapping[str, float | None] = field(default_factory=dict)
    quarantine_limit: float | None = None
    unconfirmed: int | None = None
    awaits_approval: bool | None = False
    is_file_known: bool = True
    max_age: timedelta | None = None
    fresh_share: float | None = None


def of_beginning(at: datetime, next_at: datetime | None, *, is_file_known: bool) -> Iterator[Sample]:
    """What is known of a run when it begins: until it ends, it goes on.

    Args:
        next_at: What the schedule names next.
        is_file_known: The pipeline file can be read: without `next_at` there is no schedule.
    """
    yield m.RUN_START.at(at.timestamp())
    if is_file_known:
        yield _moment(m.RUN_NEXT, next_at)
    yield m.STORE_CONDITIONS.at(1)


def of_refusal(failure: Failure, at: datetime, *, conditions_hold: bool) -> Iterator[Sample]:
    """What is known of a run that could not begin; the store has no record of it."""
    yield from _of_outcome("failed", failure, failure.exit_code)
    yield m.RUN_FAILURE.at(at.timestamp())
    if not conditions_hold:
        yield m.STORE_CONDITIONS.at(0)


def of_run(
    created_at: datetime, outcome: Outcome, standing: Standing, *, following_at: datetime | None = None
) -> Iterator[Sample]:
    """What a run tells that has ended.

    Args:
        following_at: When another one began since, which goes on.
    """
    yield m.RUN_START.at((following_at or created_at).timestamp())
    yield from _of_outcome(outcome.outcome, outcome.error, outcome.exit_code)
    yield m.RUN_DURATION.at(max(0.0, (outcome.finished_at - created_at).total_seconds()))
    for name, count in outcome.attempts.items():
        yield m.RUN_ATTEMPTS.at(count, name)
    if standing.succeeded_at is not None:
        yield m.RUN_SUCCESS.at(standing.succeeded_at.timestamp())
    if standing.failed_at is not None:
        yield m.RUN_FAILURE.at(standing.failed_at.timestamp())
    if standing.is_file_known:
        yield _moment(m.RUN_NEXT, standing.next_at)
    yield m.STORE_CONDITIONS.at(1)
    yield from of_production(standing)


def _of_outcome(told: str, failure: Failure | None, exit_code: int) -> Iterator[Sample]:
    for name in get_args(OutcomeName):
        yield m.RUN_OUTCOME.at(name == told, name)
    yield m.RUN_EXIT.at(exit_code, _class(failure))


def _moment(metric: Metric, at: datetime | None) -> Sample:
    return metric.at(at.timestamp() if at else nan)


def of_production(standing: Standing) -> Iterator[Sample]:
    """What is in production, and what waits: as a run leaves it, or a person."""
    if standing.quarantine_limit is not None:
        yield m.QUARANTINE_LIMIT.at(standing.quarantine_limit)
    if standing.unconfirmed is not None:
        yield m.RUNS_UNCONFIRMED.at(standing.unconfirmed)
    if standing.awaits_approval is not None:
        yield m.AWAITING_APPROVAL.at(standing.awaits_approval)
    if standing.is_file_known:
        yield m.SLO_MAX_AGE.at(standing.max_age.total_seconds() if standing.max_age else nan)
        yield m.SLO_FRESH.at(nan if standing.fresh_share is None else standing.fresh_share)
    if standing.watermark is not None:
        yield m.WATERMARK.at(standing.watermark.timestamp())
    if standing.champion is None or standing.promoted_at is None:
        return
    yield m.CHAMPION_GENERATION.at(standing.champion.generation)
    yield m.CHAMPION_PROMOTED.at(standing.promoted_at.timestamp())
    if standing.confirmed_at is not None:
        yield m.CHAMPION_CONFIRMED.at(standing.confirmed_at.timestamp())
    for score, value in standing.scores.items():
        yield m.CHAMPION_SCORE.at(nan if value is None else value, score)
    yield m.HOLD.at(standing.champion.hold is not None)


def _class(failure: Failure | None) -> str:
    return failure.error_class if failure else m.DONE

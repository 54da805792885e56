"""A run in lines, as a person reads it. Pure: events and documents in, lines out.

flight-delays  run 20130405t000000-k3fw  as of 2013-04-05 00:00 UTC
  extract    5,213 new rows (3 quarantined), 41,822 in the window              1.2 s
  evaluate   8,412 rows that neither model has seen                            1.6 s
             neg_log_loss  -0.412  champion -0.430  gain 0.018 [0.012, 0.024]  better
promoted in 5.9 s   report: .refit/store/flight-delays/runs/…/report.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from refit.cli.answer import Tone
from refit.cli.words import GAP, count, decimals, figure, instant, one_line, plural, search, seconds
from refit.core.domain import (
    Check,
    EvaluateManifest,
    ExtractManifest,
    Manifest,
    Move,
    Opponent,
    Outcome,
    PublishManifest,
    RunRecord,
    TrainManifest,
)
from refit.core.runs import doer
from refit.run.events import NotPushed, NotTold, StepFailed, Waiting

STEP_WIDTH: Final = 11
TEXT_WIDTH: Final = 62
INDENT: Final = " " * (2 + STEP_WIDTH)
STAYS: Final = "production stays as it is"

OUTCOME_TONES: Final[dict[str, Tone]] = {
    "promoted": "good",
    "rejected": "odd",
    "skipped": "quiet",
    "awaiting_approval": "odd",
    "superseded": "bad",
    "failed": "bad",
    "running": "plain",
    "dead": "bad",
}


@dataclass(frozen=True)
class Line:
    """A line whose last word carries the tone."""

    text: str
    word: str = ""
    tone: Tone = "plain"


def started(run: RunRecord, *, local: bool) -> Line:
    return Line(f"{run.pipeline}  run {run.run_id}  as of {instant(run.as_of, local=local)}")


def repeated(run: RunRecord) -> list[Line]:
    """What a rerun repeats, and what it does otherwise than was asked; no line for any other run."""
    if run.parent is None:
        return []
    return [Line(f"  repeats {run.parent}"), *(Line(f"  {note}", "note", "odd") for note in run.notes)]


def waiting(event: Waiting) -> Line:
    return Line(f"run {event.holder.run_id} is going on; waiting up to {seconds(event.seconds)} for it to end")


def tried(event: StepFailed) -> Line | None:
    """The attempt that failed and is repeated; None when it is not: then the run's end tells of it."""
    if event.retry_seconds is None:
        return None
    why = one_line(event.failure.message)
    return Line(f"  {event.step:<{STEP_WIDTH}}{why}; again in {seconds(event.retry_seconds)}", "retry", "odd")


def not_pushed(event: NotPushed) -> Line:
    """The run's end stands, and nobody's dashboard knows of it."""
    return Line(f"the run's metrics were not pushed: {event.reason}", "warning", "odd")


def not_told(event: NotTold) -> Line:
    """The run's end stands, and those who wait for a message do not know of it."""
    return Line(f"nobody was told of the run's end: {event.reason}", "warning", "odd")


def done(manifest: Manifest) -> list[Line]:
    """What a step did, from its manifest."""
    if manifest.reused is not None:
        return [Line(f"  {manifest.step:<{STEP_WIDTH}}taken over from {doer(manifest)}")]
    head, more = _told(manifest)
    first = Line(f"  {manifest.step:<{STEP_WIDTH}}{head:<{TEXT_WIDTH}}{seconds(manifest.seconds):>9}")
    warnings = [Line(f"{INDENT}{text}", "warning", "odd") for text in getattr(manifest, "warnings", ())]
    return [first, *more, *warnings]


def _told(manifest: Manifest) -> tuple[str, list[Line]]:
    if isinstance(manifest, ExtractManifest):
        return _extracted(manifest)
    if isinstance(manifest, TrainManifest):
        searched = [Line(f"{INDENT}search: {search(manifest.search)}")] if manifest.search else []
        return f"{manifest.estimator.rpartition('.')[2]} on {count(manifest.rows)} rows", searched
    if isinstance(manifest, EvaluateManifest):
        return _evaluated(manifest)
    return (_published(manifest) if isinstance(manifest, PublishManifest) else ""), []


def _extracted(manifest: ExtractManifest) -> tuple[str, list[Line]]:
    if manifest.skipped:
        return (
            f"{plural(manifest.new_since_verdict, 'new row')} since the last verdict: too few",
            [],
        )
    rows = manifest.rows
    bad = f" ({count(rows.quarantined)} quarantined)" if rows.quarantined else ""
    text = f"{plural(rows.new or 0, 'new row')}{bad}, {count(rows.snapshot)} in the window"
    afresh = [Line(f"{INDENT}read afresh: {manifest.fresh_reason}")] if manifest.fresh_reason else []
    return text, afresh


def _evaluated(manifest: EvaluateManifest) -> tuple[str, list[Line]]:
    rows = count(manifest.rows_clean)
    first = manifest.baseline == "dummy"
    meets = "without a champion to compare it meets" if manifest.opponents else "a first model meets"
    text = f"{rows} rows held out; {meets} a dummy" if first else f"{rows} rows that neither model has seen"
    lines = check_lines(manifest.verdict.checks, indent=INDENT)
    changed = [one for one in manifest.opponents if one.state == "stored" and one.changes]
    return text, [
        *lines,
        *(Line(f"{INDENT}the {one.role} {opponent_words(one)}") for one in changed),
        *map(Line, refit_lines(manifest, indent=INDENT)),
    ]


def refit_lines(manifest: EvaluateManifest, *, indent: str) -> list[str]:
    """What became of models fitted on all rows (publish.fit_on): this run's, and the champion's."""
    lines = [f"{indent}{manifest.twins.reason}"] if manifest.twins else []
    if refit := manifest.refit:
        of_there = "" if refit.rows == refit.rows_there else f" of {count(refit.rows_there)}"
        lines.append(
            f"{indent}fitted again on {count(refit.rows)}{of_there} rows, held-out ones included: this model goes out"
        )
    return lines


def opponent_words(one: Opponent) -> str:
    """How a version took part in a comparison; why one did not, or was rebuilt, is among the warnings."""
    if one.state == "unusable":
        return f"{one.version}, which cannot be compared"
    if one.state == "rebuilt":
        less = f" without {', '.join(one.without)}" if one.without else ""
        return f"{one.version}, by a stand-in rebuilt from its snapshot{less}"
    told = [*one.changes, *([f"of {one.asked_rows} rows it says what it said"] if one.changes else [])]
    return ": ".join(filter(None, (one.version, "; ".join(told))))


def check_lines(checks: Sequence[Check], *, indent: str) -> list[Line]:
    """A line per check in columns, with its result in a word, and its hints below."""
    cells = [_cells(check) for check in checks]
    widths = [max((len(row[column]) for row in cells), default=0) for column in range(4)]
    lines = []
    for check, row in zip(checks, cells, strict=True):
        padded = GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        tone: Tone = "good" if check.result == "accepted" else "odd"
        lines.append(Line(f"{indent}{padded}", check_word(check), tone))
        lines += [Line(f"{indent}  {hint}") for hint in check.hints]
    return lines


def _cells(check: Check) -> tuple[str, str, str, str]:
    """Score, the candidate's value, what it is held against, the gain with its interval."""
    if check.line in ("min", "max"):
        bound = "at least" if check.line == "min" else "at most"
        value = figure(check.candidate)
        return check.score, value, f"({bound} {figure(check.limit, decimals(check.candidate or check.limit))})", ""
    places = decimals(check.candidate or 0.0, check.interval)
    gain = f"gain {figure(check.gain, places)}"
    if check.interval is not None:
        gain += f" [{figure(check.interval[0], places)}, {figure(check.interval[1], places)}]"
    against = f"{check.against or 'baseline'} {figure(check.baseline, places)}"
    return check.score, figure(check.candidate, places), against, gain


def check_word(check: Check) -> str:
    """A check's result in a word or two."""
    if check.line in ("min", "max"):
        low = "too low" if check.line == "min" else "too high"
        return {"accepted": "ok", "rejected": low, "inconclusive": "unknown"}[check.result]
    if check.line == "max_loss":
        return {"accepted": "no worse", "rejected": "worse", "inconclusive": "not proven"}[check.result]
    short = "worse" if check.limit <= 0 else "too small"
    return {"accepted": "better", "rejected": short, "inconclusive": "not proven better"}[check.result]


def _published(manifest: PublishManifest) -> str:
    if manifest.outcome == "promoted":
        was = f" (was {manifest.previous_champion})" if manifest.previous_champion else ", the first"
        return f"champion is now {manifest.champion}{was}"
    stays = f"champion stays {manifest.champion}" if manifest.champion else "there is no champion yet"
    if manifest.fell_back:
        return f"{stays}, and its evaluated model is back"
    return f"version waits for approval; {stays}" if manifest.outcome == "awaiting_approval" else stays


def ending(outcome: Outcome, total_seconds: float, report: str | None, why_waiting: str) -> list[Line]:
    """The answer of a run that did not fail: what came of it, why, and where to read more.

    Args:
        report: The report as a person finds it.
        why_waiting: Why an accepted candidate awaits approval, where the verdict itself does not say.
    """
    more = f"report: {report}" if report else ""
    if outcome.outcome == "promoted":
        return [Line(f"promoted in {seconds(total_seconds)}" + (f"   {more}" if more else ""))]
    stays = STAYS if outcome.champion else "there is no champion yet"
    if outcome.fell_back:
        stays = f"the champion stays {outcome.champion}, and its evaluated model is back in production"
    lines = [Line(f"{outcome.outcome.replace('_', ' ')}: {_reason(outcome, why_waiting)}; {stays}")]
    if outcome.outcome == "awaiting_approval":
        lines.append(Line(f"to promote it:  refit promote {outcome.pipeline} {outcome.version} --reason '…'"))
    return lines + ([Line(more)] if more else [])


def _reason(outcome: Outcome, why_waiting: str) -> str:
    verdict = outcome.verdict
    if outcome.outcome == "skipped" or verdict is None:
        return "too few new rows since the last verdict, and nothing else changed"
    if outcome.outcome == "awaiting_approval":
        return (verdict.needs_approval or why_waiting).rstrip(". ")
    return verdict.reason.rstrip(". ")


def why_waiting(move: Move | None, approval: str, name: str) -> str:
    """Why an accepted candidate was not promoted at once."""
    if move is not None and move.hold is not None:
        return f"promotions are on hold: {move.hold.why} (refit release {name} --reason '…' lifts that)"
    return "the candidate is accepted, and publish.approval is manual" if approval == "manual" else "a person decides"

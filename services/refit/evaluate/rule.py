"""The gate: from what models say of the same clean rows to a verdict with a reason per check (gate.md section 2).

`min_gain: g` accepts when L > g, `max_loss: m` when L > −m; an upper bound below that line rejects, anything else is
inconclusive. All checks must pass, so none is corrected for the others (Berger 1982, Multiparameter hypothesis testing
and acceptance sampling: the intersection-union test). `max_loss` must hold against the champion and the anchor: against
the champion alone it is a ratchet (Everson-Stewart & Emerson 2010, Bio-creep in non-inferiority clinical trials).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from refit.core.domain import Check, Line, Look, Result, Verdict
from refit.evaluate import reasons
from refit.evaluate.bench import Bench, Comparison
from refit.evaluate.interval import blocks_follow_each_other, detectable
from refit.evaluate.rows import BlockKind, CleanRows, Sample, arrange
from refit.ml.scores import Responses


class GateLine(Protocol):
    """A line of the pipeline file's gate."""

    @property
    def score(self) -> str: ...
    @property
    def line(self) -> Line: ...
    @property
    def limit(self) -> float: ...


@dataclass(frozen=True)
class Settings:
    """What of `evaluate` decides how rows are judged.

    Attributes:
        confidence: Of each end of a score's interval; that of a gain's comes from the look.
        scores: Those of the report, which decide nothing.
    """

    block: BlockKind = "day"
    min_clean_rows: int = 200
    confidence: float = 0.95
    scores: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """What the gate found.

    Attributes:
        verdict: The result, its reason, one check per line and opponent.
        looked: Some comparison had enough data to accept: this evaluate is a look, and spent its share of the budget.
        becomes_anchor: The candidate is proven better than the anchor: promoted, it is the new one.
        scores: `candidate`, `baseline` (and `anchor`) → scorer name of the gate → value on the clean rows.
        intervals: As `scores`, with the report's scores: the lower and the upper end, where there is an interval.
        anchor_gave_way: The anchor could not be scored; the champion stood in for it.
    """

    verdict: Verdict
    looked: bool
    becomes_anchor: bool
    scores: dict[str, dict[str, float | None]]
    intervals: dict[str, dict[str, tuple[float, float]]]
    anchor_gave_way: bool = False


def judge(
    lines: Sequence[GateLine],
    rows: CleanRows,
    *,
    candidate: Responses,
    champion: Responses | None = None,
    anchor: Responses | None = None,
    dummy: Responses | None = None,
    look: Look | None,
    settings: Settings,
) -> Judgement:
    """The verdict on `candidate`; all responses are of `rows`, in their order.

    With a champion, `min_gain` compares with it, `max_loss` with it and with the anchor (None: the champion is the
    anchor). Without one, `dummy` is the baseline: `min_gain: 0` on the gate's first comparing score, and the floors.
    `look` is what looks.share returned; None makes every comparison inconclusive.

    Raises:
        NoCleanRows: there is no row that weighs anything (DataError, 65).
        UnscorableModel: a model says NaN or infinity, or a score of it is NaN (DataError, 65); names which.
        UnknownScore, UnusableScore: a line's score cannot be computed for this task (ConfigError, 64).
        ValueError: neither champion nor dummy was given.
    """
    sample, order = arrange(rows, settings.block)
    baseline, against = (champion, "champion") if champion is not None else (dummy, "dummy")
    if baseline is None:
        raise ValueError("judge needs a champion or a dummy")
    models = {"candidate": candidate, against: baseline}
    gave_way = champion is not None and anchor is not None and anchor.take(order).not_finite() > 0
    if champion is not None and anchor is not None and not gave_way:
        models["anchor"] = anchor
    bench = Bench(sample, {name: said.take(order) for name, said in models.items()}, look, settings.min_clean_rows)
    checks = [check for line in _lines(lines, against) for check in _checks(bench, line, against)]
    result = _combine([check.result for check in checks])
    names = tuple(dict.fromkeys(line.score for line in lines))
    roles = {model: "baseline" if model == against else model for model in models}
    return Judgement(
        verdict=Verdict(result=result, reason=_reason(checks, result), checks=tuple(checks)),
        looked=look is not None and any(_could_accept(bench, check) for check in checks),
        becomes_anchor=result == "accepted" and _proven_better(bench, lines, against),
        scores={role: bench.scores(names, model) for model, role in roles.items()},
        intervals={
            role: _intervals(bench, (*names, *settings.scores), model, settings) for model, role in roles.items()
        },
        anchor_gave_way=gave_way,
    )


def _intervals(bench: Bench, names: Sequence[str], model: str, settings: Settings) -> dict[str, tuple[float, float]]:
    found = {name: bench.interval(model, name, 1.0 - settings.confidence) for name in names}
    return {name: interval for name, interval in found.items() if interval is not None}


@dataclass(frozen=True)
class _Against:
    """A line of the gate that meets the dummy."""

    score: str
    line: Line
    limit: float


def first_score(lines: Sequence[GateLine]) -> str:
    """The score that the first model must beat the dummy on, and a new anchor the old one: the first that compares."""
    return next((line.score for line in lines if line.line in ("min_gain", "max_loss")), lines[0].score)


def _lines(lines: Sequence[GateLine], against: str) -> list[GateLine]:
    """The lines that hold: as written, or for the first model the floors and `min_gain: 0` against the dummy."""
    if against != "dummy":
        return list(lines)
    floors = [line for line in lines if line.line in ("min", "max")]
    return [_Against(first_score(lines), "min_gain", 0.0), *floors]


def _checks(bench: Bench, line: GateLine, against: str) -> list[Check]:
    if line.line in ("min", "max"):
        return [_floor(bench, line)]
    opponents = [against, "anchor"] if line.line == "max_loss" and "anchor" in bench.models else [against]
    return [check_line(bench, line, opponent) for opponent in opponents]


def _floor(bench: Bench, line: GateLine) -> Check:
    """A floor or a ceiling judges the point value: it claims nothing about other rows."""
    value = bench.influence("candidate", line.score).value
    result: Result = "inconclusive"
    if not np.isfinite(value):
        reason = bench.without_meaning(line.score)
    else:
        holds = value >= line.limit if line.line == "min" else value <= line.limit
        result = "accepted" if holds else "rejected"
        reason = reasons.bounded(line.score, line.line, line.limit, value)
    return Check(
        name=f"{line.score} {line.line}",
        score=line.score,
        line=line.line,
        limit=line.limit,
        result=result,
        candidate=_number(value),
        rows=len(bench.sample),
        reason=reason,
    )


def check_line(bench: Bench, line: GateLine, against: str) -> Check:
    """A line of the gate that compares, judged against the model in that role. Raises as `judge`."""
    sample, compared = bench.sample, bench.compare(line.score, against)
    result, reason = _decide(line, compared, bench.look)
    interval = compared.interval
    return Check(
        name=f"{line.score} {line.line} against {against}",
        score=line.score,
        line=line.line,
        limit=line.limit,
        against=against,
        result=result,
        candidate=_number(compared.candidate),
        baseline=_number(compared.baseline),
        gain=_number(compared.gain.value),
        interval=(interval.lower, interval.upper) if interval else None,
        alpha=bench.look.alpha if bench.look else None,
        se=interval.spread.se if interval else None,
        df=interval.spread.df if interval else None,
        rows=len(sample),
        entities=sample.units.count,
        blocks=sample.blocks.count if sample.blocks else None,
        effective_rows=compared.effective_rows,
        detectable=detectable(_bar(line), interval.spread, interval.alpha) if interval else None,
        reason=reason,
        hints=_hints(sample, compared, result),
    )


def _decide(line: GateLine, compared: Comparison, look: Look | None) -> tuple[Result, str]:
    if look is None:
        return "inconclusive", reasons.no_time(line.score)
    if compared.shortage is not None or (compared.interval is None and not compared.same):
        return "inconclusive", compared.shortage or reasons.no_interval(line.score)
    result: Result
    if compared.same or compared.interval is None:
        result = "accepted" if line.line == "max_loss" or line.limit < 0 else "rejected"
        return result, reasons.same(line.score, line.line, line.limit, compared.against, result)
    if compared.interval.lower > _bar(line):
        result = "accepted"
    elif compared.interval.upper < _bar(line):
        result = "rejected"
    else:
        result = "inconclusive"
    return result, reasons.compared(line.score, line.line, line.limit, compared.against, result, compared.interval)


def _bar(line: GateLine) -> float:
    """What the lower bound must exceed."""
    return line.limit if line.line == "min_gain" else -line.limit


def _hints(sample: Sample, compared: Comparison, result: Result) -> tuple[str, ...]:
    hints = []
    by_days = sample.kind == "day" and sample.spans is not None and sample.enough_time
    if by_days and compared.gain.blocks is not None and blocks_follow_each_other(compared.gain.blocks):
        hints.append(reasons.WEEKS_MAY_DIFFER)
    if result == "accepted":
        hints.append(reasons.unseen(len(sample)))
    return tuple(hints)


def _combine(results: Sequence[Result]) -> Result:
    if "rejected" in results:
        return "rejected"
    return "inconclusive" if "inconclusive" in results else "accepted"


def _reason(checks: Sequence[Check], result: Result) -> str:
    """The reasons of the checks that decided, comparisons before floors when all passed."""
    decided = [check for check in checks if check.result == result]
    if result == "accepted":
        decided = [check for check in decided if check.against] or decided
    return "; ".join(dict.fromkeys(check.reason for check in decided))


def _could_accept(bench: Bench, check: Check) -> bool:
    return check.against is not None and bench.compare(check.score, check.against).shortage is None


def _proven_better(bench: Bench, lines: Sequence[GateLine], against: str) -> bool:
    """True for the first champion, and when the lower bound against the anchor is above 0 on the first check."""
    if against == "dummy":
        return True
    compared = bench.compare(first_score(lines), "anchor" if "anchor" in bench.models else against)
    if compared.shortage is not None or compared.same or compared.interval is None:
        return False
    return compared.interval.lower > 0


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None

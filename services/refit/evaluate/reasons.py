"""The gate's reasons in plain words: what was found, and what was needed."""

import math
from collections.abc import Sequence
from typing import Final

from refit.core.domain import Check, Line, Result, SliceCheck
from refit.evaluate.interval import Interval

_POSSESSIVE: Final = {
    "champion": "the champion's",
    "anchor": "the last proven model's",
    "dummy": "a dummy's",
    "over": "the other version's",
}
_PROMISE: Final[dict[Result, str]] = {"accepted": "it holds", "rejected": "it is broken", "inconclusive": "it is open"}


def compared(score: str, line: Line, limit: float, against: str, result: Result, found: Interval) -> str:
    """One comparing check with an interval, e.g. `neg_log_loss is 0.018 better than the champion's [0.012, 0.024]`."""
    digits = _digits(found, limit if line == "min_gain" else -limit)
    word = "better" if found.gain >= 0 else "worse"
    tail = "" if line == "max_loss" and found.lower >= 0 else _beside(line, limit, result)
    size, low, high = (_figure(value, digits) for value in (abs(found.gain), found.lower, found.upper))
    if found.gain and not float(size):  # far inside a wide interval: "0.00 worse" would say nothing
        size = f"{abs(found.gain):.1g}"
    return f"{score} is {size} {word} than {_POSSESSIVE[against]} [{low}, {high}]{tail}"


def same(score: str, line: Line, limit: float, against: str, result: Result) -> str:
    """One comparing check of two models that earn the same on every row."""
    tail = "" if result == "accepted" else ": no gain" if limit == 0 else _beside(line, limit, result)
    return f"{score} is equal to {_POSSESSIVE[against]} on every row{tail}"


def _beside(line: Line, limit: float, result: Result) -> str:
    match line, result:
        case "min_gain", "accepted":
            return "" if limit == 0 else f", more than the {limit:g} asked for"
        case "min_gain", "rejected":
            return "" if limit == 0 else f", not more than the {limit:g} asked for"
        case "min_gain", _:
            return ": not proven to be better" if limit == 0 else f": not proven to be more than {limit:g} better"
        case _, "accepted":
            return f", within the loss of {limit:g} allowed"
        case _, "rejected":
            return f", beyond the loss of {limit:g} allowed"
        case _:
            return f": a loss of {limit:g} or more is not ruled out"


def of_slice(check: SliceCheck, max_loss: float, blocks: bool) -> str:
    """One slice, e.g. `where carrier is AA, neg_log_loss is 0.041 worse than the champion's on 812 rows`."""
    gain = check.gain or 0.0
    word = "better" if gain >= 0 else "worse"
    tail = "" if not blocks else ", proven" if max_loss == 0 else f", a loss beyond the {max_loss:g} allowed is proven"
    where = f"where {check.column} is {check.value}"
    return f"{where}, {check.score} is {abs(gain):.2g} {word} than the champion's on {check.rows:,} rows{tail}"


def of_promise(found: Check) -> str:
    """A promotion looked back at, e.g. `it holds on 9,120 newer rows: neg_log_loss is 0.018 better than …`."""
    return f"{_PROMISE[found.result]} on {found.rows or 0:,} newer rows: {found.reason}"


def refit_scores_lower(score: str, value: float, evaluated: float, rows: int) -> str:
    """Why the evaluated model goes out although the file asks for one fitted on all rows."""
    said = "has none" if math.isnan(value) else f"is {value:.4g}"
    return (
        f"fitted on all {rows:,} rows, the model's {score} on the held-out ones {said}, below the {evaluated:.4g} of "
        "the evaluated model, which goes out instead"
    )


def of_twins(version: str, check: Check) -> str:
    """A champion fitted on all rows beside its evaluated model, e.g. `neg_log_loss of … is 0.012 worse than …`."""
    gain = check.gain or 0.0
    beside = "as good as" if gain == 0 else f"{abs(gain):.2g} {'better' if gain > 0 else 'worse'} than"
    proven = ", not proven" if check.result == "inconclusive" else ", proven" if gain else ""
    return (
        f"on {check.rows or 0:,} rows newer than both, {check.score} of {version} fitted on all rows is {beside} that "
        f"of its evaluated model{proven}"
    )


def bounded(score: str, line: Line, limit: float, value: float) -> str:
    """A floor or a ceiling on the candidate's own score."""
    side = "at least" if line == "min" else "at most"
    return f"{score} is {value:.4g}, {side} {limit:g} is needed"


def too_few(found: int, needed: int, thing: str) -> str:
    return f"too little data: {found:,} {thing}, {needed:,} are needed"


def too_few_effective(score: str, effective: float, needed: int, rows: int) -> str:
    return (
        f"too little data: the difference in {score} rests on about {effective:.0f} of {rows:,} clean rows, "
        f"{needed} are needed"
    )


def one_class(score: str, label: object, rows: int, needs: str) -> str:
    return f"too little data: all {rows:,} clean rows have the label {label}, {score} needs {needs}"


def missing_classes(score: str, missing: Sequence[object], rows: int) -> str:
    shown = ", ".join(repr(label) for label in missing[:5]) + (", …" if len(missing) > 5 else "")
    return f"too little data: none of {rows:,} clean rows has the class {shown}, and {score} needs every class"


def no_interval(score: str) -> str:
    return f"too little data: {score} has no meaning when some clean rows are left out, so it has no interval"


def no_time(score: str) -> str:
    return (
        f"{score} was not compared: no time has passed since the last comparison, "
        "and looking again at the same day proves nothing"
    )


def unseen(rows: int) -> str:
    """What no test on this many rows can see: mistakes rarer than 3/n (the rule of three)."""
    return f"mistakes rarer than 1 row in {max(1, rows // 3):,} cannot be seen in {rows:,} clean rows"


WEEKS_MAY_DIFFER: Final = (
    "days that follow each other resemble each other: whole weeks may differ, and then `block: week` "
    "with a holdout of 28d is the sounder choice"
)


def _digits(found: Interval, line: float) -> int:
    """Decimals at which the interval's width, and on which side of the line its lower end lies, can be read."""
    width = max(found.upper - found.gain, abs(found.gain) * 1e-3, 1e-12)
    digits = max(0, math.ceil(-math.log10(width / 3)))
    while digits < 9 and (round(found.lower, digits) > line) != (found.lower > line):
        digits += 1
    return digits


def _figure(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"

"""How refit writes figures, times and tables: rounded to what is meant. Pure, but for the local zone."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from refit.core.domain import Searched

_UNITS: Final = (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0))
_SHORT: Final = {"day": "d", "hour": "h", "minute": "min", "second": "s"}
GAP: Final = "  "
OWN_PARAMS: Final = "the file's own params"


def count(number: int | None) -> str:
    """A number of rows, with commas; `-` where it was not reached."""
    return "-" if number is None else f"{number:,}"


def size(n_bytes: int) -> str:
    """`812 B`, `3.4 MiB`."""
    value, unit = float(n_bytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:,.0f} B" if unit == "B" else f"{value:,.1f} {unit}"


def plural(number: int, noun: str) -> str:
    """`1 fault`, `3 faults`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def seconds(value: float) -> str:
    """A span that a person waits for: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def age(span_seconds: float, *, short: bool = False) -> str:
    """A span in its largest unit, cut, never rounded up: `8 days`, short `8 d`."""
    span = max(0.0, span_seconds)
    unit, size = next(((name, size) for name, size in _UNITS if span >= size), _UNITS[-1])
    whole = int(span // size)
    return f"{whole} {_SHORT[unit]}" if short else plural(whole, unit)


def instant(at: datetime, *, local: bool) -> str:
    """A time to the minute, in the local zone for a person at a terminal, in UTC everywhere else."""
    shown = at.astimezone() if local else at.astimezone(UTC)
    return f"{shown:%Y-%m-%d %H:%M} {shown.tzname()}"


def decimals(value: float, interval: tuple[float, float] | None = None) -> int:
    """Decimals that mean something: to a tenth of the interval's width, else about three figures; at most 6."""
    if interval is not None and 0 < (width := interval[1] - interval[0]) < math.inf:
        return min(6, max(0, 1 - math.floor(math.log10(width))))
    size = abs(value)
    return 3 if size < 10 else max(0, 3 - math.floor(math.log10(size)))


def figure(value: float | None, places: int | None = None) -> str:
    """A score: `-0.412`, `1,234`; `-` where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    places = decimals(value) if places is None else places
    rounded = round(value, places)
    return f"{rounded + 0.0:,.{places}f}"  # + 0.0: minus zero is zero


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines with the columns under their heads; the last column is not padded."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def one_line(text: str, limit: int = 100) -> str:
    """The text on one line, cut with an ellipsis."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"


def search(found: Searched) -> str:
    """What a search chose, by which score, and of how many."""
    params = ", ".join(f"{name} = {one_line(str(value), 40)}" for name, value in found.params.items()) or OWN_PARAMS
    of = f"{found.tried:,} of {found.combinations:,}" if found.is_cut else f"{found.tried:,}"
    score = f", {found.scoring} {figure(found.score)}" if found.score is not None else ""
    own = f", {figure(found.own_score)} by {OWN_PARAMS}" if found.params and found.own_score is not None else ""
    return f"{params}{score}{own}; {of} combinations tried on {plural(found.folds, 'fold')}"

"""Two runs side by side, in lines as a person reads them. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from refit.cli import words
from refit.cli.answer import Tone, paint
from refit.cli.sides import (
    Side,
    file_changes,
    param_changes,
    profile_changes,
    row_changes,
    score_changes,
    version_changes,
)
from refit.data.change import ColumnChange, shares
from refit.data.profile import ColumnProfile

LABEL_WIDTH: Final = 11
SHOWN_COLUMNS: Final = 12
SHOWN_LINES: Final = 60
TOP_VALUES: Final = 3
_TONES: Final[Mapping[str, Tone]] = {"+": "good", "-": "bad"}


def lines(name: str, before: Side, after: Side, *, local: bool) -> Iterator[str]:
    """The comparison for a person."""
    yield name
    for label, side in (("A", before), ("B", after)):
        as_of = words.instant(side.run.as_of, local=local)
        yield _labelled(label, f"{side.run.run_id}  {side.past.state.replace('_', ' ')}  as of {as_of}")
    yield from _file_lines(file_changes(before, after))
    counted = {name: pair for name, pair in row_changes(before, after).items() if pair != (None, None)}
    yield _labelled(
        "rows", ", ".join(f"{name} {_pair(*map(words.count, pair))}" for name, pair in counted.items()) or "none"
    )
    yield from _column_lines(before, after)
    yield from _param_lines(param_changes(before, after))
    yield from _score_lines(score_changes(before, after))
    yield from _version_lines(version_changes(before, after))


def _file_lines(changes: list[str] | None) -> Iterator[str]:
    if not changes:
        yield _labelled("file", "the same" if changes is not None else "one of the two is gone")
        return
    for number, line in enumerate(changes[:SHOWN_LINES]):
        yield _labelled("file" if number == 0 else "", paint(line, _TONES.get(line[:1], "quiet")))
    if len(changes) > SHOWN_LINES:
        yield _labelled("", f"and {words.plural(len(changes) - SHOWN_LINES, 'line')} more: --json has them all")


def _column_lines(before: Side, after: Side) -> Iterator[str]:
    changes = profile_changes(before, after)
    if changes is None:
        sides = [side.run.run_id for side in (before, after) if side.profile is None]
        yield _labelled("columns", f"not compared: {' and '.join(sides)} read no rows, or the profile is gone")
        return
    moved = [one for one in changes if one.state != "stays" or one.distance]
    table = [("COLUMN", "CHANGE", "NULL", "VALUES"), *(_column_row(one) for one in moved[:SHOWN_COLUMNS])]
    for number, line in enumerate(words.table(table[0], table[1:]).splitlines() if moved else ["no column changed"]):
        yield _labelled("columns" if number == 0 else "", line)
    left = len(changes) - min(len(moved), SHOWN_COLUMNS)
    if moved and left:
        yield _labelled("", f"and {words.plural(left, 'column')} that changed less: --json has them all")


def _column_row(change: ColumnChange) -> tuple[str, str, str, str]:
    before, after = change.before, change.after
    if before is None or after is None:
        there = before or after
        return (change.name, change.state, "", there.type if there else "")
    if change.state == "retyped":
        return (change.name, change.state, "", f"{before.type} → {after.type}")
    nulls = _pair(_share(before.nulls, before.count), _share(after.nulls, after.count))
    return (change.name, words.figure(change.distance, 2), nulls, _values(before, after))


def _values(before: ColumnProfile, after: ColumnProfile) -> str:
    """Mean and median of numbers, the most frequent values of text, the last of times; nothing of what is sensitive."""
    if before.quantiles and after.quantiles:
        mean = _pair(words.figure(before.mean), words.figure(after.mean))
        median = _pair(words.figure(before.quantiles["0.5"]), words.figure(after.quantiles["0.5"]))
        return f"mean {mean}, median {median}"
    if before.frequent is not None and after.frequent is not None:
        was, is_ = shares(before), shares(after)
        told = sorted({*was, *is_}, key=lambda value: -abs(was.get(value, 0.0) - is_.get(value, 0.0)))[:TOP_VALUES]
        return ", ".join(
            f"{words.one_line(str(value), 20)} {_pair(_percent(was.get(value, 0.0)), _percent(is_.get(value, 0.0)))}"
            for value in told
        )
    return _pair(str(before.max), str(after.max)) if None not in (before.max, after.max) else ""


def _param_lines(changes: Mapping[str, tuple[Any, Any]] | None) -> Iterator[str]:
    """Parameters of the two models that differ, be it by the file or by a search."""
    for number, (name, (was, is_)) in enumerate((changes or {}).items()):
        told = _pair(*("default" if value is None else words.one_line(str(value), 40) for value in (was, is_)))
        yield _labelled("params" if number == 0 else "", f"{name} {told}")


def _score_lines(changes: Mapping[str, Mapping[str, tuple[float | None, float | None]]]) -> Iterator[str]:
    rows = []
    for model, scores in changes.items():
        for name, (was, is_) in scores.items():
            gain = f"{is_ - was:+.{words.decimals(is_)}f}" if was is not None and is_ is not None else ""
            rows.append((model, name, _pair(words.figure(was), words.figure(is_)), gain))
    if not rows:
        yield _labelled("scores", "none")
        return
    for number, line in enumerate(words.table(("MODEL", "SCORE", "A → B", "GAIN"), rows).splitlines()):
        yield _labelled("scores" if number == 0 else "", line)
    yield _labelled("", "each run scores on its own clean rows: the gate alone compares on the same ones")


def _version_lines(changes: Mapping[str, tuple[str | None, str | None]]) -> Iterator[str]:
    if not changes:
        yield _labelled("versions", "the same Python and libraries")
    for number, (name, (was, is_)) in enumerate(changes.items()):
        yield _labelled("versions" if number == 0 else "", f"{name} {_pair(was or 'none', is_ or 'none')}")


def _pair(was: str, is_: str) -> str:
    return was if was == is_ else f"{was} → {is_}"


def _share(part: int, whole: int) -> str:
    return _percent(part / whole) if whole else "-"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _labelled(label: str, text: str) -> str:
    return f"  {label:<{LABEL_WIDTH}}{text}".rstrip()

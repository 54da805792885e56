"""Panels as pictures, with matplotlib: near enough to Grafana to see what a dashboard tells."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, isfinite, isnan, log2
from typing import Any

from matplotlib import dates, ticker
from matplotlib.axes import Axes

from monitoring import looks
from monitoring.looks import COLORS, EDGE, FAINT, PANEL, TEXT
from monitoring.panels import Json


@dataclass(frozen=True)
class Line:
    """A series.

    Attributes:
        ref: The query that it comes from.
        points: Instants in seconds, and values; one where the query is of now.
    """

    ref: str
    name: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Moment:
    """A mark on the time axis."""

    at: float
    color: str


@dataclass(frozen=True)
class Span:
    """What the time axes show."""

    start: float
    end: float
    marks: Sequence[Moment] = ()


def draw(axes: Axes, panel: Json, lines: Sequence[Line], span: Span) -> None:
    """The panel stands in the axes."""
    axes.set_facecolor(PANEL)
    for side in axes.spines.values():
        side.set_color(EDGE)
    axes.tick_params(colors=FAINT, labelsize=6.5, length=0)
    axes.set_title(panel["title"], color=TEXT, fontsize=8, loc="left", pad=5, fontweight="bold")
    kinds = {"stat": _stat, "timeseries": _graph, "state-timeline": _timeline, "bargauge": _bars, "table": _table}
    kinds[panel["type"]](axes, panel, lines, span)


def legend(form: str, labels: Mapping[str, str]) -> str:
    """What a series is called."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), form)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _stat(axes: Axes, panel: Json, lines: Sequence[Line], span: Span) -> None:
    _bare(axes)
    settings = panel["fieldConfig"]["defaults"]
    told, color = settings["noValue"], TEXT
    if lines:
        told, color = looks.cell(lines[0].points[-1][1], settings, span.end)
    axes.text(0.5, 0.5, told, color=color, fontsize=15 if len(told) < 12 else 11, ha="center", va="center")


def _own(panel: Json, name: str) -> dict[str, Any]:
    """The settings of one series or column."""
    found: dict[str, Any] = {}
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == name:
            found |= {each["id"]: each["value"] for each in override["properties"]}
    return found


def _times(line: Line) -> list[datetime]:
    return [datetime.fromtimestamp(at, UTC) for at, _ in line.points]


def _time_axis(axes: Axes, span: Span) -> None:
    start, end = (datetime.fromtimestamp(at, UTC) for at in (span.start, span.end))
    axes.set_xlim(start, end)  # type: ignore[arg-type]  # matplotlib takes instants
    days = looks.days_between_ticks(span.end - span.start)
    axes.xaxis.set_major_locator(dates.DayLocator(interval=days))  # type: ignore[no-untyped-call]  # as matplotlib has it
    axes.xaxis.set_major_formatter(dates.DateFormatter("%m-%d"))  # type: ignore[no-untyped-call]


def _graph(axes: Axes, panel: Json, lines: Sequence[Line], span: Span) -> None:
    settings = panel["fieldConfig"]["defaults"]
    custom = settings["custom"]
    values = {line.name: [value if isfinite(value) else float("nan") for _, value in line.points] for line in lines}
    shown = []
    style: Any = "steps-post" if custom["lineInterpolation"] == "stepAfter" else "default"
    if custom["stacking"]["mode"] == "normal" and lines:
        shown = _stacked(axes, lines)
    else:
        for place, line in enumerate(line for line in lines if "custom.hideFrom" not in _own(panel, line.name)):
            own = _own(panel, line.name)
            color = COLORS[own["color"]["fixedColor"]] if "color" in own else looks.SERIES[place % len(looks.SERIES)]
            axes.plot(_times(line), values[line.name], color=color, linewidth=1.4, drawstyle=style)  # type: ignore[arg-type]
            shown.append((line, color))
    for line in lines:
        own = _own(panel, line.name)
        below = own.get("custom.fillBelowTo")
        if below in values:
            shade = COLORS[own["color"]["fixedColor"]]
            fill: Any = {"color": shade, "alpha": 0.18, "linewidth": 0, "step": "post"}
            axes.fill_between(_times(line), values[below], values[line.name], **fill)  # type: ignore[arg-type]
    _limits(axes, settings)
    for mark in span.marks:
        at: Any = datetime.fromtimestamp(mark.at, UTC)
        axes.axvline(at, color=COLORS[mark.color], linewidth=0.7, linestyle=(0, (3, 3)), alpha=0.8)
    _time_axis(axes, span)
    axes.grid(color=EDGE, linewidth=0.5)
    _legend(axes, shown, settings, span)


def _stacked(axes: Axes, lines: Sequence[Line]) -> list[tuple[Line, str]]:
    times = sorted({at for line in lines for at, _ in line.points})
    heights = [[dict(line.points).get(at, 0.0) for at in times] for line in lines]
    colors = [looks.SERIES[place % len(looks.SERIES)] for place in range(len(lines))]
    instants: Any = [datetime.fromtimestamp(at, UTC) for at in times]
    axes.stackplot(instants, *heights, colors=colors, alpha=0.75, step="post")
    return list(zip(lines, colors, strict=True))


def _limits(axes: Axes, settings: Json) -> None:
    unit = settings["unit"]
    if settings["custom"]["thresholdsStyle"]["mode"] == "line":
        for step in settings["thresholds"]["steps"]:
            if step["value"] is not None:
                axes.axhline(step["value"], color=COLORS[step["color"]], linewidth=0.9, linestyle=(0, (5, 3)))
    if "min" in settings:
        axes.set_ylim(bottom=settings["min"])
    axes.yaxis.set_major_locator(_ticks(axes, unit))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: looks.written(value, unit, 0)))


def _ticks(axes: Axes, unit: str) -> ticker.Locator:
    """Where a person would put them: at whole hours, days and powers of two."""
    top = axes.get_ylim()[1]
    if unit == "bytes":
        return ticker.MultipleLocator(2.0 ** ceil(log2(max(top, 1.0) / 5)))
    if unit == "s" and top > 300:
        return ticker.MultipleLocator(next((each for each in looks.ROUND_SECONDS if top / each < 5), top))
    return ticker.MaxNLocator(4)


def _legend(axes: Axes, shown: Sequence[tuple[Line, str]], settings: Json, span: Span) -> None:
    """Below the axis: names and the last values."""
    for place, (line, color) in enumerate(shown[:6]):
        last = [value for _, value in line.points if not isnan(value)]
        told = looks.written(last[-1], settings["unit"], span.end) if last else "–"
        x, y = 0.5 * (place % 2), -0.2 - 0.085 * (place // 2)
        name = line.name if len(line.name) < 34 else f"{line.name[:32]}…"
        axes.text(x, y, f"━ {name}  {told}", color=color, fontsize=6.2, transform=axes.transAxes, va="center")


def _timeline(axes: Axes, panel: Json, lines: Sequence[Line], span: Span) -> None:
    mappings = panel["fieldConfig"]["defaults"]["mappings"]
    letters = axes.get_position().width * 200  # that fit beside each other
    for place, line in enumerate(lines):
        for name, color, start, end in _stretches(line, mappings):
            left: Any = datetime.fromtimestamp(start, UTC)
            width: Any = datetime.fromtimestamp(end, UTC) - left
            axes.barh(place, width, left=left, color=COLORS[color], height=0.7, alpha=0.85)
            if (end - start) / (span.end - span.start) > (len(name) + 1) / letters:
                middle: Any = left + width / 2
                axes.text(middle, place, name, color="#111217", fontsize=6, ha="center", va="center")
    axes.set_yticks(range(len(lines)), [line.name for line in lines])
    axes.set_ylim(-0.6, max(len(lines), 1) - 0.4)
    _time_axis(axes, span)


def _stretches(line: Line, mappings: Sequence[Json]) -> list[tuple[str, str, float, float]]:
    """Word, colour, begin and end of each time in which the value stays."""
    found: list[tuple[str, str, float, float]] = []
    for (at, value), (until, _) in zip(line.points, [*line.points[1:], line.points[-1]], strict=True):
        name, color = looks.mapped(value, mappings) or (f"{value:g}", "text")
        if found and found[-1][:2] == (name, color):
            found[-1] = (name, color, found[-1][2], until)
        else:
            found.append((name, color, at, until))
    return found


def _bars(axes: Axes, panel: Json, lines: Sequence[Line], span: Span) -> None:
    settings = panel["fieldConfig"]["defaults"]
    ordered = sorted(lines, key=lambda line: line.points[-1][1])
    most = max((line.points[-1][1] for line in ordered), default=1.0) or 1.0
    for place, line in enumerate(ordered):
        told, color = looks.cell(line.points[-1][1], settings, span.end)
        axes.barh(place, line.points[-1][1], color=color, height=0.55)
        axes.text(most * 1.02, place, told, color=color, fontsize=8, va="center")
    axes.set_yticks(range(len(ordered)), [line.name for line in ordered])
    axes.set_xticks([])
    axes.set_xlim(0, most * 1.15)
    axes.set_ylim(-0.7, max(len(ordered), 3) - 0.3)


def _table(axes: Axes, panel: Json, lines: Sequence[Line], span: Span) -> None:
    _bare(axes)
    names = panel["transformations"][1]["options"]["renameByName"]
    key = next(iter(names))
    rows = sorted({line.labels[key] for line in lines})
    widths = [1.0 / len(names)] * len(names)
    for place, (column, title) in enumerate(names.items()):
        x = 0.01 + sum(widths[:place])
        axes.text(x, 0.93, title, color=COLORS["blue"], fontsize=7, va="center", fontweight="bold")
        for number, row in enumerate(rows):
            y = 0.93 - 0.8 * (number + 1) / max(len(rows), 4)
            told, color = _cell(column, row, key, lines, _own(panel, title), span)
            axes.text(x, y, told, color=color, fontsize=7.5, va="center")


def _cell(column: str, row: str, key: str, lines: Sequence[Line], settings: Json, span: Span) -> tuple[str, str]:
    """Text and colour of a column in the row of this label's value."""
    if column == key:
        return row, COLORS["text"]
    for line in lines:
        if line.labels[key] == row:
            if column in line.labels:
                return looks.cell(line.labels[column], settings, span.end)
            if column == f"Value #{line.ref}":
                return looks.cell(line.points[-1][1], settings, span.end)
    return "–", FAINT

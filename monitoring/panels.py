"""The kinds of panels that refit's dashboards are made of, as Grafana 10 and later read them.

A panel comes without id and place: `monitoring.board` gives it both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from monitoring.queries import Query

Json = dict[str, Any]
SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
Unit = Literal["none", "short", "s", "bytes", "percentunit", "dateTimeFromNow"]
"""Ids of Grafana's value formats. https://github.com/grafana/grafana/blob/v11.6.0/packages/grafana-data/src/valueFormats/categories.ts"""
Color = Literal["green", "yellow", "orange", "red", "blue", "purple", "text", "transparent"]
GOOD: Final[Color] = "green"
Steps = Sequence[tuple[float | None, Color]]
PLAIN: Final[Steps] = ((None, "text"),)
NEVER: Final = "never"
"""What stands where there is no value yet."""


@dataclass(frozen=True)
class Panel:
    """A panel and its size in units of Grafana's grid, which is 24 wide."""

    json: Json
    width: int
    height: int


def thresholds(steps: Steps) -> Json:
    """Colours from a value on; the first begins at no value."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


def words(texts: Mapping[float | str, tuple[str, Color]], nan: str | None = None) -> list[Json]:
    """Words in the place of values, and one for NaN."""
    options = {
        f"{value:g}" if isinstance(value, float) else str(value): {"text": text, "color": color, "index": place}
        for place, (value, (text, color)) in enumerate(texts.items())
    }
    found: list[Json] = [{"type": "value", "options": options}] if options else []
    if nan is not None:
        found.append({"type": "special", "options": {"match": "null+nan", "result": {"text": nan, "color": "text"}}})
    return found


def override(name: str, **properties: Any) -> Json:
    """Settings for the one series or column of this name; `__` in a property's name stands for a dot."""
    found = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": found}


def stat(
    title: str,
    description: str,
    query: Query,
    unit: Unit = "none",
    steps: Steps = PLAIN,
    mappings: Sequence[Json] = (),
    decimals: int | None = None,
    empty: str = NEVER,
    height: int = 4,
) -> Panel:
    """A single value of now."""
    options = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showPercentChange": False,
        "textMode": "value",
        "wideLayout": True,
    }
    fields = _fields(unit, steps, "thresholds", mappings, decimals) | {"noValue": empty}
    return Panel(_panel("stat", title, description, [_now(query, "A")], options, fields), 4, height)


def graph(
    title: str,
    description: str,
    queries: Sequence[Query],
    unit: Unit,
    overrides: Sequence[Json] = (),
    steps: Steps = (),
    minimum: float | None = None,
    stacked: bool = False,
    straight: bool = False,
    width: int = 8,
) -> Panel:
    """Values over time.

    Args:
        steps: Limits, drawn as lines.
        straight: The values change between runs, as ages do; all others stay until the next run.
    """
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "linear" if straight else "stepAfter",
        "lineWidth": 2,
        "fillOpacity": 30 if stacked else 0,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if steps else "off"},
    }
    options = {
        "legend": {"calcs": ["lastNotNull"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    fields = _fields(unit, steps or PLAIN, "palette-classic", (), None) | {"custom": custom}
    if minimum is not None:
        fields["min"] = minimum
    targets = [_over_time(query, chr(ord("A") + place)) for place, query in enumerate(queries)]
    return Panel(_panel("timeseries", title, description, targets, options, fields, overrides), width, 8)


def timeline(
    title: str, description: str, query: Query, mappings: Sequence[Json], width: int, height: int = 4
) -> Panel:
    """States over time, a line for each series."""
    options = {
        "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "mergeValues": True,
        "rowHeight": 0.8,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    fields = _fields("none", PLAIN, "thresholds", mappings, None)
    fields["custom"] = {"fillOpacity": 80, "lineWidth": 0}
    panel = _panel("state-timeline", title, description, [_over_time(query, "A")], options, fields)
    return Panel(panel, width, height)


def bars(title: str, description: str, query: Query, unit: Unit, steps: Steps, width: int = 8) -> Panel:
    """Values of now, a bar for each series."""
    options = {
        "displayMode": "basic",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "maxVizHeight": 300,
        "minVizHeight": 12,
        "minVizWidth": 8,
        "namePlacement": "left",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "sizing": "auto",
        "valueMode": "color",
    }
    fields = _fields(unit, steps, "thresholds", (), None) | {"min": 0}
    return Panel(_panel("bargauge", title, description, [_now(query, "A")], options, fields), width, 8)


@dataclass(frozen=True)
class Column:
    """A column of a table: a value of now for each line.

    Attributes:
        text_of: The label that stands there instead of the value.
        link: Where a click leads to.
    """

    title: str
    query: Query | None
    unit: Unit = "none"
    steps: Steps = PLAIN
    mappings: Sequence[Json] = ()
    text_of: str = ""
    link: str = ""
    decimals: int | None = None


def table(title: str, description: str, line: Column, columns: Sequence[Column], height: int) -> Panel:
    """A line for each value of the label that `line` names. All queries have it, and at most their `text_of`."""
    asked = [(column, f"C{place}") for place, column in enumerate(columns, 1)]
    names = {line.text_of: line.title} | {column.text_of or f"Value #{ref}": column.title for column, ref in asked}
    hidden = {"Time": True} | {f"Value #{ref}": True for column, ref in asked if column.text_of}
    order = {name: place for place, name in enumerate(names)}
    organize = {"excludeByName": hidden, "indexByName": order, "renameByName": names, "includeByName": {}}
    targets = [_now(column.query, ref) | {"format": "table"} for column, ref in asked if column.query]
    fields = _fields("none", PLAIN, "thresholds", (), None) | {"noValue": "–"}
    fields["custom"] = {"align": "auto", "cellOptions": {"type": "color-text"}, "inspect": False}
    options = {
        "cellHeight": "sm",
        "footer": {"countRows": False, "fields": [], "reducer": ["sum"], "show": False},
        "frameIndex": 0,
        "showHeader": True,
        "sortBy": [{"desc": False, "displayName": line.title}],
    }
    overrides = [_of_column(column) for column in (line, *columns)]
    panel = _panel("table", title, description, targets, options, fields, overrides)
    panel["transformations"] = [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]
    return Panel(panel, 24, height)


def _of_column(column: Column) -> Json:
    found: Json = {"unit": column.unit, "thresholds": thresholds(column.steps), "mappings": list(column.mappings)}
    if column.decimals is not None:
        found["decimals"] = column.decimals
    if column.link:
        found["links"] = [{"title": "Open its dashboard", "url": column.link, "targetBlank": False}]
    return override(column.title, **found)


def _fields(unit: Unit, steps: Steps, color: str, mappings: Sequence[Json], decimals: int | None) -> Json:
    found: Json = {
        "color": {"mode": color},
        "mappings": list(mappings),
        "thresholds": thresholds(steps),
        "unit": unit,
    }
    return found | ({"decimals": decimals} if decimals is not None else {})


def _panel(
    kind: str,
    title: str,
    description: str,
    targets: Sequence[Json],
    options: Json,
    fields: Json,
    overrides: Sequence[Json] = (),
) -> Json:
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "targets": list(targets),
        "options": options,
        "fieldConfig": {"defaults": fields, "overrides": list(overrides)},
    }


def _now(query: Query, ref: str) -> Json:
    return _target(query, ref) | {"instant": True, "range": False}


def _over_time(query: Query, ref: str) -> Json:
    return _target(query, ref) | {"instant": False, "range": True}


def _target(query: Query, ref: str) -> Json:
    return {
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expression,
        "legendFormat": query.legend,
        "refId": ref,
    }

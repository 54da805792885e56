"""A dashboard: rows of panels with ids and places, variables, and marks on the time axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from monitoring.panels import SOURCE, Json, Panel

WIDTH: Final = 24
"""Columns of Grafana's grid."""


@dataclass(frozen=True)
class Row:
    """Panels under a title, side by side as long as they fit."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """A dashboard.

    Attributes:
        uid: Its place in every Grafana: links and bookmarks hold it.
        since: Where its time range begins.
    """

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Json]
    marks: Sequence[Json] = ()
    links: Sequence[Json] = ()
    since: str = "now-28d"

    def json(self) -> Json:
        """What Grafana imports."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["refit"],
            "schemaVersion": 39,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "1m",
            "timezone": "browser",
            "time": {"from": self.since, "to": "now"},
            "timepicker": {},
            "annotations": {"list": list(self.marks)},
            "templating": {"list": [_SOURCES, *self.variables]},
            "links": list(self.links),
            "panels": placed(self.rows),
        }


_SOURCES: Final[Json] = {
    "type": "datasource",
    "name": "datasource",
    "label": "Data source",
    "description": "The Prometheus that scrapes refit's Pushgateway.",
    "query": "prometheus",
    "refresh": 1,
    "hide": 0,
    "includeAll": False,
    "multi": False,
}


def choice(name: str, label: str, description: str, query: str) -> Json:
    """A variable with one of a label's values, in the alphabet's order; the first one at first."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "description": description,
        "datasource": SOURCE,
        "query": {"query": query, "refId": "StandardVariableQuery"},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "includeAll": False,
        "multi": False,
    }


def mark(name: str, expression: str, color: str) -> Json:
    """Marks at the instants, in milliseconds, that a series has as its values.

    Grafana 10 reads expression and step from the mark itself, later versions from its target; each ignores the other.
    """
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "expr": expression,
        "step": "60s",
        "target": {"expr": expression, "interval": "60s", "refId": "Anno"},
        "titleFormat": name,
        "textFormat": "",
        "tagKeys": "",
        "useValueForTime": True,
    }


def link(title: str, url: str) -> Json:
    """A link at the top of a dashboard, which keeps time range and data source."""
    return {
        "title": title,
        "url": url,
        "type": "link",
        "icon": "dashboard",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": True,
        "targetBlank": False,
    }


def placed(rows: Sequence[Row]) -> list[Json]:
    """All panels from the top down, each with an id and a place of its own; a panel that does not fit begins a line."""
    found: list[Json] = []
    top = 0
    for row in rows:
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        found.append(
            {
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "panels": [],
                "gridPos": place,
                "id": len(found) + 1,
            }
        )
        left, top, tallest = 0, top + 1, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                left, top, tallest = 0, top + tallest, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            found.append(panel.json | {"gridPos": place, "id": len(found) + 1})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return found

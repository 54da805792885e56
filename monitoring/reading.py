"""Dashboards read back: their panels and queries, with values in the place of variables."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from monitoring.panels import Json

NAME = re.compile(r"\brefit_\w+")


@dataclass(frozen=True)
class Asked:
    """A query of a dashboard.

    Attributes:
        panel: The title of its panel, or the name of its marks or variable.
    """

    panel: str
    expression: str
    legend: str
    instant: bool


def panels(board: Json) -> list[Json]:
    """All panels but the rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def of_panel(panel: Json, values: Mapping[str, str]) -> Iterator[Asked]:
    """The queries of a panel."""
    for target in panel["targets"]:
        yield Asked(panel["title"], filled(target["expr"], values), target["legendFormat"], target["instant"])


def queries(board: Json, values: Mapping[str, str]) -> list[Asked]:
    """The queries of all panels and marks."""
    found = [asked for panel in panels(board) for asked in of_panel(panel, values)]
    marks = board["annotations"]["list"]
    return found + [Asked(each["name"], filled(each["target"]["expr"], values), "", False) for each in marks]


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with the variables' values."""
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return text

"""Draws the dashboards' panels from their own queries: a preview, not Grafana.

python -m monitoring.preview                                     on half a month of real runs of its own; takes a minute
python -m monitoring.preview http://localhost:9090 --days 28     on a Prometheus
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

from matplotlib.figure import Figure
from PIL import Image

from monitoring.board import WIDTH
from monitoring.dashboards import boards
from monitoring.drawing import Line, Moment, Span, draw, legend
from monitoring.looks import BACK, COLORS, TEXT
from monitoring.panels import Json
from monitoring.reading import filled

FOLDER: Final = Path(__file__).parents[1] / "docs" / "images"
SAID: Final = "preview drawn from the dashboard's own queries; not Grafana"
INCHES_WIDE, UNIT_INCHES, TOP_INCHES, DPI = 13.0, 0.3, 0.6, 100
PALETTE: Final = 128
"""Of the picture's palette: it needs few, and is a third as large."""
POINTS: Final = 200


@dataclass(frozen=True)
class Server:
    """A Prometheus, and the time that is looked at."""

    url: str
    start: float
    end: float

    def lines(self, target: Json, values: Mapping[str, str]) -> list[Line]:
        """What a query of a panel gives."""
        text = filled(target["expr"], values)
        found = self.now(text) if target["instant"] else self.over_time(text)
        return [Line(target["refId"], legend(target["legendFormat"], *each[:1]), *each) for each in found]

    def now(self, text: str) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        found = self._ask("query", {"query": text, "time": str(self.end)})
        return [(each["metric"], [(each["value"][0], float(each["value"][1]))]) for each in found]

    def over_time(self, text: str) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        step = (self.end - self.start) / POINTS
        asked = {"query": text, "start": str(self.start), "end": str(self.end), "step": str(step)}
        return [
            (each["metric"], [(at, float(value)) for at, value in each["values"]])
            for each in self._ask("query_range", asked)
        ]

    def first(self, query: str) -> str:
        """The first value that a variable offers."""
        text, label = query.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        return min(labels[label] for labels, _ in self.now(text))

    def _ask(self, what: str, asked: Mapping[str, str]) -> list[Any]:
        with urlopen(f"{self.url}/api/v1/{what}?{urlencode(asked)}", timeout=30) as answer:  # noqa: S310  http
            found: list[Any] = json.load(answer)["data"]["result"]
        return found


def picture(board: Json, server: Server, chosen: Mapping[str, str]) -> Figure:
    """All panels of a dashboard, in their places."""
    values = dict(chosen)
    for variable in board["templating"]["list"]:
        if variable["type"] == "query" and variable["name"] not in values:
            values[variable["name"]] = server.first(filled(variable["query"]["query"], values))
    span = Span(server.start, server.end, list(_marks(board, server, values)))
    high = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    inches = high * UNIT_INCHES + TOP_INCHES
    figure = Figure(figsize=(INCHES_WIDE, inches), facecolor=BACK, dpi=DPI)
    which = ", ".join(f"{name}: {value}" for name, value in values.items())
    figure.text(0.012, 1 - 0.2 / inches, f"{board['title']}   {which}", color=TEXT, fontsize=11, va="center")
    for place, mark in enumerate(board["annotations"]["list"]):
        x, color = 0.012 + 0.11 * place, COLORS[mark["iconColor"]]
        figure.text(x, 1 - 0.47 / inches, f"┆ {mark['name']}", color=color, fontsize=8.5, va="center")
    figure.text(0.988, 1 - 0.2 / inches, SAID, color="#fade2a", fontsize=9, va="center", ha="right")
    for panel in board["panels"]:
        place = panel["gridPos"]
        top = 1 - (place["y"] * UNIT_INCHES + TOP_INCHES) / inches
        if panel["type"] == "row":
            figure.text(0.012, top - 0.2 / inches, f"▾ {panel['title']}", color=TEXT, fontsize=9.5, va="center")
            continue
        lines = [line for target in panel["targets"] for line in server.lines(target, values)]
        shown = panel | {"title": filled(panel["title"], values)}
        draw(figure.add_axes(_inside(panel, top, inches)), shown, lines, span)
    return figure


def _inside(panel: Json, top: float, inches: float) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of what is drawn, with room for title, ticks and legend around it."""
    place, kind = panel["gridPos"], panel["type"]
    left, width = place["x"] / WIDTH, place["w"] / WIDTH
    high = place["h"] * UNIT_INCHES / inches
    room = {"timeseries": (0.042, 0.62), "state-timeline": (0.042, 0.2), "bargauge": (0.05, 0.06)}
    side, below = room.get(kind, (0.004, 0.06))
    below = (below + 0.04) / inches
    above = 0.26 / inches
    return left + side, top - high + below, width - side - 0.006, high - below - above


def _marks(board: Json, server: Server, values: Mapping[str, str]) -> Iterator[Moment]:
    for mark in board["annotations"]["list"]:
        found = server.over_time(filled(mark["expr"], values))
        moments = {value / 1000 for _, points in found for _, value in points}
        yield from (Moment(at, mark["iconColor"]) for at in moments if server.start <= at <= server.end)


def save(figure: Figure, path: Path) -> None:
    """The picture lies there as a small PNG."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(drawn).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE).save(path, optimize=True)


@contextmanager
def _own_month() -> Iterator[tuple[Server, dict[str, str]]]:
    """The month that the tests make, which need a set-up for development."""
    from refit.demo.postgres import temporary_server
    from tests.monitoring.history import VALUES, lived

    with (
        tempfile.TemporaryDirectory() as folder,
        temporary_server() as postgres,
        lived(postgres, Path(folder)) as (prometheus, history),
    ):
        yield Server(prometheus.url, history.start, history.end - 60), VALUES


@contextmanager
def _theirs(url: str, days: float) -> Iterator[tuple[Server, dict[str, str]]]:
    now = time.time()
    yield Server(url.rstrip("/"), now - days * 86_400, now), {}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Pictures of the dashboards' panels; not Grafana.")
    parser.add_argument("prometheus", nargs="?", help="its address; without it, half a month of runs is made")
    parser.add_argument("--days", type=float, default=28.0, help="how far back the pictures go")
    parser.add_argument("--pipeline", help="the pipeline to look at; the first one otherwise")
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder for the pictures")
    asked = parser.parse_args(arguments)
    with _theirs(asked.prometheus, asked.days) if asked.prometheus else _own_month() as (server, values):
        chosen = values | ({"pipeline": asked.pipeline} if asked.pipeline else {})
        for board in boards():
            path = asked.into / f"dashboard-{board.uid.removeprefix('refit-')}.png"
            used = {variable["name"] for variable in board.variables}
            save(picture(board.json(), server, {name: chosen[name] for name in chosen if name in used}), path)
            print(f"{path}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()

"""report.html: the verdict for people. One file, no script, nothing fetched."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from refit.core.domain import (
    Check,
    ExtractManifest,
    Opponent,
    Promise,
    Refit,
    RunRecord,
    SearchTable,
    ShiftCheck,
    TrainManifest,
    Verdict,
)
from refit.evaluate.trials import search_facts

DRAWN_WIDTH = 320


@dataclass(frozen=True)
class Drawing:
    """Where a check's interval, gain and line lie on a scale of DRAWN_WIDTH pixels."""

    low: float
    high: float
    gain: float
    line: float


@dataclass(frozen=True)
class ClassFacts:
    """One class on the clean rows: how many there are, and which share of them each model calls by its name."""

    label: str
    rows: int
    candidate: float | None
    baseline: float | None


@dataclass(frozen=True)
class Facts:
    """All that the report shows."""

    run: RunRecord
    extract: ExtractManifest
    train: TrainManifest
    verdict: Verdict
    baseline: str
    scores: dict[str, dict[str, float | None]]
    intervals: dict[str, dict[str, tuple[float, float]]]
    classes: tuple[ClassFacts, ...]
    rows_holdout: int
    rows_clean: int
    shift: tuple[ShiftCheck, ...]
    promise: Promise | None
    opponents: tuple[Opponent, ...]
    warnings: tuple[str, ...]
    search: SearchTable | None = None
    refit: Refit | None = None
    twins: Check | None = None


def render(facts: Facts) -> bytes:
    """The page as UTF-8; every value is escaped."""
    page = template().render(
        facts=facts,
        draw=draw,
        width=DRAWN_WIDTH,
        score_names=score_names(facts.scores),
        search=search_facts(facts.search) if facts.search else None,
    )
    return page.encode()


@cache
def template() -> Template:
    """The page's template, compiled once in a process."""
    environment = Environment(
        loader=PackageLoader("refit.evaluate", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"figure": figure, "count": count, "instant": instant}
    return environment.get_template("report.html.j2")


def draw(check: Check) -> Drawing | None:
    """The interval of the gain to scale, zero and the line to pass always in view; None without an interval."""
    if check.interval is None or check.gain is None:
        return None
    line = {"min_gain": check.limit, "max_loss": -check.limit}.get(check.line, 0.0)
    low, high = check.interval
    left, right = min(low, line, 0.0), max(high, line, 0.0)
    margin = (right - left) * 0.08 or 1.0
    left, right = left - margin, right + margin

    def place(value: float) -> float:
        return round((value - left) / (right - left) * DRAWN_WIDTH, 1)

    return Drawing(place(low), place(high), place(check.gain), place(line))


def score_names(scores: dict[str, dict[str, float | None]]) -> list[str]:
    """All score names, in the order of the candidate's."""
    names: dict[str, None] = {}
    for of_model in scores.values():
        names |= dict.fromkeys(of_model)
    return list(names)


def figure(value: float | None) -> str:
    """A score to four significant digits, as far as it means something."""
    return "–" if value is None else f"{value:.4g}"


def count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def instant(value: datetime | None) -> str:
    return "–" if value is None else f"{value:%Y-%m-%d %H:%M} UTC"

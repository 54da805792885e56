"""Queries of refit's series. A label that a metric does not have is refused when the dashboards are generated."""

from dataclasses import dataclass
from typing import Final

from refit.core.metrics import Metric

EVERYWHERE: Final = frozenset({"pipeline", "step"})
"""Labels of every series, from the Pushgateway's grouping key."""
CHOSEN: Final = "$pipeline"


@dataclass(frozen=True)
class Query:
    """An expression, and what its series are called.

    Attributes:
        legend: May hold `{{label}}`.
        ref: Names it within its panel; empty: a letter by its place.
    """

    expression: str
    legend: str = "__auto"
    ref: str = ""


def of(metric: Metric, **labels: str) -> str:
    """The series of a metric with these values of labels; one that begins with ~ is a regular expression.

    Raises:
        ValueError: The metric has no such label.
    """
    known = EVERYWHERE | {label.name for label in metric.labels}
    if unknown := set(labels) - known:
        raise ValueError(f"{metric.name} has no label {', '.join(sorted(unknown))}")
    matchers = ", ".join(
        f'{name}=~"{value[1:]}"' if value.startswith("~") else f'{name}="{value}"' for name, value in labels.items()
    )
    return f"{metric.name}{{{matchers}}}" if matchers else metric.name


def here(metric: Metric, **labels: str) -> str:
    """The series of a metric of the pipeline that the reader has chosen.

    Whatever else a scrape puts on them, as the Operator does with the Pushgateway's pod, would break a line in two.
    """
    own = ("pipeline", "step", *(label.name for label in metric.labels))
    return f"max by ({', '.join(own)}) ({of(metric, pipeline=CHOSEN, **labels)})"


def each(metric: Metric, **labels: str) -> str:
    """One series for each pipeline."""
    return f"max by (pipeline) ({of(metric, **labels)})"


def age(timestamp: str) -> str:
    """Seconds since an instant."""
    return f"time() - {timestamp}"


def instant(timestamp: str) -> str:
    """An instant as Grafana takes it, in milliseconds."""
    return f"1000 * {timestamp}"

"""What refit's series said last, for longer than the Pushgateway that holds them.

A Pushgateway that restarts without its file forgets all that was pushed, and what comes next week replaces it. Alerts
therefore ask for what was said last within two weeks; only MetricsMissing asks what is there now. A missed scrape ends
a series for a moment in the same way, and functions over time do not see such ends.

Two weeks of a series that is scraped four times a minute cost Prometheus 10 ms. So they are looked through once for all
alerts, by recording rules, whose names follow https://prometheus.io/docs/practices/rules/: level:metric:operation.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from refit.core import metrics as m
from refit.core.metrics import Metric
from refit.core.samples import OVERTAKEN

_DAYS: Final = 14
"""How long what was said last stands; below the 15 days that Prometheus keeps by default."""
_CLASS: Final = f"pipeline:{m.RUN_EXIT.name}:failure"
EVERYWHERE: Final = frozenset({"job", "pipeline", "step"})
"""Labels of every series, from the Pushgateway's grouping key."""


@dataclass(frozen=True)
class Series:
    """Whose series are asked for, what tells them apart, and whether somebody records.

    Attributes:
        by: Labels that name a pipeline: `pipeline`, and others where pipelines of one name are scraped apart.
        pipeline: Only of this one; empty: of all.
        is_recorded: What was said last is looked up where recording rules put it.
    """

    by: tuple[str, ...] = ("pipeline",)
    pipeline: str = ""
    is_recorded: bool = True

    @property
    def on(self) -> str:
        """What vectors with a value for each pipeline are matched on."""
        return f"on ({', '.join(self.by)})"

    def select(self, metric: Metric, *matchers: str) -> str:
        """The metric's series with matchers like `kind="read"`, as they are scraped.

        Raises:
            ValueError: The metric has no such label; the other methods too.
        """
        return metric.name + self._matchers(metric, *matchers)

    def last(self, metric: Metric, *matchers: str) -> str:
        """What they said last: for each pipeline, value of the metric's own labels and, where it has several, step."""
        if self.is_recorded:
            return name_of(metric) + self._matchers(metric, *matchers)
        return f"({self.recorded(metric, *matchers)})"

    def recorded(self, metric: Metric, *matchers: str) -> str:
        """What the recording rule of `last` evaluates.

        What is there goes first: scraped under another name, by a new pod say, old values are series of their own. Of
        several that are gone the rule's own last value tells which was the newest; the greatest of them is only for
        rules that are new here.
        """
        series = self.select(metric, *matchers)
        step = ("step",) if len(metric.groups) > 1 else ()
        by = ", ".join((*self.by, *step, *(label.name for label in metric.labels)))
        now, past = f"max by ({by}) ({series})", f"max by ({by}) (last_over_time({series}[{_DAYS}d]))"
        if not self.is_recorded:
            return f"{now} or {past}"
        own = self._matchers(metric, *matchers)
        return f"{now}\nor last_over_time({name_of(metric)}{own}[1h]) and {past}\nor {past}"

    def failure_class(self) -> str:
        """Above 0 with the label `class` for the last failure; never two for a pipeline, which no join could take.

        Where nobody records it is told only as long as the Pushgateway has it.
        """
        return _CLASS + self._matchers(m.RUN_EXIT) if self.is_recorded else f"({self._failure_class_now()})"

    def recorded_failure_class(self) -> str:
        """What the recording rule of `failure_class` evaluates: when the class was last seen.

        The rule's own last value is its memory: to ask two weeks for the time of each sample takes seconds.
        """
        past = f"last_over_time({_CLASS}{self._matchers(m.RUN_EXIT)}[1h]) > time() - {_DAYS * 86_400}"
        return f"{self._failure_class_now()}\nor {self.on}\ntopk by ({', '.join(self.by)}) (1, {past})"

    def _failure_class_now(self) -> str:
        failed = f'class!~"{m.DONE}|{OVERTAKEN}"'
        seen = f"max by ({', '.join((*self.by, 'class'))}) (timestamp({self.select(m.RUN_EXIT, failed)}))"
        return f"topk by ({', '.join(self.by)}) (1, {seen})"

    def _matchers(self, metric: Metric, *matchers: str) -> str:
        known = EVERYWHERE | {label.name for label in metric.labels}
        for matcher in matchers:
            if re.split("[=!]", matcher)[0] not in known:
                raise ValueError(f"{metric.name} has no label as in {matcher}")
        own = (f'pipeline="{self.pipeline}"',) if self.pipeline else ()
        return f"{{{', '.join((*own, *matchers))}}}" if own or matchers else ""


def records(series: Series) -> Iterator[tuple[str, str]]:
    """Name and expression of all recording rules that alerts could ask for."""
    for metric in m.METRICS:
        yield name_of(metric), series.recorded(metric)
    yield _CLASS, series.recorded_failure_class()


def name_of(metric: Metric) -> str:
    """What recording rules call what it said last."""
    return f"pipeline:{metric.name}:last"

"""What a Pushgateway and kube-state-metrics held hour by hour, as promtool takes it, and which alerts fire then."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import isnan
from pathlib import Path
from typing import Final

import yaml

from monitoring.alerts import Setting, alerts
from refit.core.metrics import JOB, Group, Sample
from tests.fixtures.programs import program

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
NAME: Final = "loans"
_SEVERITIES: Final = {alert.name: alert.severity for alert in alerts(Setting())}
_FIRING: Final = 'ALERTS{alertstate="firing"}'
Key = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Firing:
    """An alert that fires, with the labels that it has beside name, severity and pipeline."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    pipeline: str = NAME

    def series(self) -> str:
        """As Prometheus tells of it."""
        labels = {"alertname": self.name, "alertstate": "firing", "pipeline": self.pipeline, **self.labels}
        return _series("ALERTS", labels | {"severity": _SEVERITIES[self.name]})


@dataclass
class World:
    """All that was scraped since time 0.

    Attributes:
        step_seconds: Between two scrapes, and between two evaluations.
    """

    step_seconds: int = HOUR
    _held: dict[Key, list[tuple[float, float | None]]] = field(default_factory=dict)

    def push(self, at: float, group: Group, *samples: Sample, pipeline: str = NAME, **target: str) -> None:
        """The group has the samples from then on; a metric's other series in the group are gone, as after a POST.

        Args:
            target: Labels that Prometheus gives to all that it scrapes there.
        """
        own = frozenset({"job": JOB, "pipeline": pipeline, "step": group, **target}.items())
        new = {_key(sample, own): sample.value for sample in samples}
        names = {name for name, _ in new}
        for (name, labels), values in self._held.items():
            if name in names and labels >= own and (name, labels) not in new:
                values.append((at, None))
        for key, value in new.items():
            self._held.setdefault(key, []).append((at, value))

    def forget(self, at: float) -> None:
        """The Pushgateway restarts without its file."""
        for (name, _), values in self._held.items():
            if name.startswith(JOB):
                values.append((at, None))

    def is_away(self, start: float, end: float) -> None:
        """It is not scraped in this time, in which nothing is pushed."""
        held = {key: values[-1][1] for key, values in self._held.items()}
        self.forget(start)
        for key, value in held.items():
            self._held[key].append((end, value))

    def kubernetes(self, at: float, name: str, value: float, **labels: str) -> None:
        """A series of kube-state-metrics has this value from then on."""
        self._held.setdefault((name, frozenset(labels.items())), []).append((at, value))

    def input_series(self, until: float) -> list[dict[str, str]]:
        """As promtool takes them."""
        return [
            {"series": _series(name, dict(labels)), "values": " ".join(self._values(values, until))}
            for (name, labels), values in self._held.items()
        ]

    def _values(self, values: Sequence[tuple[float, float | None]], until: float) -> Iterator[str]:
        seen = ["_"] * (int(until // self.step_seconds) + 1)
        for at, value in values:
            first = -int(-at // self.step_seconds)  # the first scrape that sees it
            seen[first:] = [_text(value)] * len(seen[first:])
            if value is None and len(seen) > first:
                seen[first] = "stale"
        for text, each in groupby(seen):
            count = len(list(each))
            yield text if count == 1 else f"_x{count}" if text == "_" else f"{text}+0x{count - 1}"

    def check(self, folder: Path, rules: str, expected: Mapping[float, Sequence[Firing]]) -> None:
        """At each of these times these alerts fire, and no others; fails in promtool's words."""
        until = max(expected) + self.step_seconds
        asked = [
            {
                "expr": _FIRING,
                "eval_time": f"{int(at)}s",
                "exp_samples": [{"labels": each.series(), "value": 1} for each in firing],
            }
            for at, firing in expected.items()
        ]
        self.run(folder, rules, until, {"promql_expr_test": asked})

    def run(self, folder: Path, rules: str, until: float, asked: Mapping[str, object]) -> None:
        """What is asked is so; fails in promtool's words."""
        step = f"{self.step_seconds}s"
        case = {"interval": step, "input_series": self.input_series(until), **asked}
        content = {"rule_files": ["rules.yaml"], "evaluation_interval": step, "tests": [case]}
        (folder / "rules.yaml").write_text(rules)
        (folder / "test.yaml").write_text(yaml.safe_dump(content, width=1000))
        command = [program("promtool"), "test", "rules", "test.yaml"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _key(sample: Sample, own: frozenset[tuple[str, str]]) -> Key:
    names = [label.name for label in sample.metric.labels]
    return sample.metric.name, own | frozenset(zip(names, sample.labels, strict=True))


def _series(name: str, labels: Mapping[str, str]) -> str:
    matchers = ", ".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{matchers}}}"


def _text(value: float | None) -> str:
    if value is None:
        return "_"
    return "NaN" if isnan(value) else repr(float(value)).replace("inf", "Inf")

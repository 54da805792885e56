"""Names and labels keep to the convention, and each metric is told once."""

import re

import pytest

from refit.core import metrics
from refit.core.metrics import METRICS, Metric

UNITS = {
    "seconds",
    "bytes",
    "ratio",
    "total",
    "info",
    "milliseconds",
    "minutes",
    "hours",
    "days",
    "kilobytes",
    "mebibytes",
}
each = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


def test_every_constant_stands_in_the_list_once() -> None:
    named = [value for value in vars(metrics).values() if isinstance(value, Metric)]
    assert list(METRICS) == named
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@each
def test_a_name_ends_with_its_unit_in_its_base_and_with_no_other(metric: Metric) -> None:
    assert re.fullmatch(r"refit(_[a-z]+)+", metric.name)
    if metric.unit:
        assert metric.name.endswith(f"_{metric.unit}")
    else:
        assert metric.name.rpartition("_")[2] not in UNITS  # _total is for counters, and none is one


@each
def test_an_instant_is_named_as_one(metric: Metric) -> None:
    assert ("timestamp" in metric.name) == (metric.unit == "timestamp_seconds")


@each
def test_labels_are_few_and_name_no_run(metric: Metric) -> None:
    names = [label.name for label in metric.labels]
    assert len(set(names)) == len(names) <= 2
    assert not {"job", "instance", "pipeline", "step", "run", "run_id", "version", "attempt"} & set(names)
    assert all(re.fullmatch(r"[a-z]+", name) for name in names)


@each
def test_help_is_a_sentence(metric: Metric) -> None:
    assert re.fullmatch(r"[A-Z1].*\.", metric.help)
    assert metric.groups

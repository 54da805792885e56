"""The files that the alerts become: for Prometheus, for the chart's PrometheusRule, and for Grafana."""

from dataclasses import dataclass, replace
from typing import Any, Final

import yaml

from monitoring.alerts import Alert, Setting, alerts
from monitoring.series import Series, records
from refit.core.metrics import JOB

_HEAD: Final = "# Written by `python monitoring/generate.py` from monitoring/alerts.py; change that instead.\n"
_TEMPLATES: Final = 'kube_cronjob_info{schedule="0 0 31 2 *"}'
"""CronJobs of the chart that are templates of steps, and suspended for ever."""
_OF_CRONJOBS: Final = (
    "label_replace(kube_cronjob_spec_suspend == 1"
    f" unless on (namespace, cronjob) {_TEMPLATES},"
    ' "pipeline", "$1", "cronjob", "(.+)")'
)
SUSPENDED: Final = f"\nunless on (pipeline) {_OF_CRONJOBS}"
"""For releases called as their pipeline, where kube-state-metrics is scraped; else it takes nothing out."""

ALL: Final = Setting(suspended=SUSPENDED)
"""Of a Prometheus that scrapes many pipelines."""
OF_THE_CHART: Final = Setting(
    series=Series(pipeline="__PIPELINE__"),
    suspended="\nunless on () (__SUSPENDED__ == 1)",
    grace_seconds="__GRACE_SECONDS__",
    unconfirmed_runs="__UNCONFIRMED_RUNS__",
    runbook="__RUNBOOK__",
    report="__REPORT__",
)
"""The chart fills the names in, for a release knows its pipeline, its CronJob and how late that may start."""


def with_reports(setting: Setting, address: str) -> Setting:
    """The setting with an address in the place of a command; people browse the store below it."""
    return replace(setting, report=f"{address.rstrip('/')}/{{{{ $labels.pipeline }}}}/runs/")


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other.

    Attributes:
        records: Name and expression of what the alerts of this and of later groups ask for.
    """

    name: str
    interval: str
    records: tuple[tuple[str, str], ...]
    alerts: tuple[Alert, ...]


def groups(setting: Setting, intervals: tuple[str, str] = ("1m", "5m")) -> tuple[Group, ...]:
    """All rules in their groups: what has just happened, and what hours and days make of it."""
    found = alerts(setting)
    fast, slow = (tuple(each for each in found if each.is_slow == is_slow) for is_slow in (False, True))
    first = _records(setting.series, fast)
    later = tuple(record for record in _records(setting.series, slow) if record not in first)
    return Group(JOB, intervals[0], first, fast), Group(f"{JOB}-slow", intervals[1], later, slow)


def _records(series: Series, wanted: tuple[Alert, ...]) -> tuple[tuple[str, str], ...]:
    text = " ".join(alert.expression for alert in wanted)
    return tuple((name, expression) for name, expression in records(series) if name in text)


def prometheus(setting: Setting, intervals: tuple[str, str] = ("1m", "5m")) -> str:
    """A rules file of Prometheus."""
    made = [
        {
            "name": group.name,
            "interval": group.interval,
            "rules": [
                *({"record": name, "expr": expression} for name, expression in group.records),
                *(_rule(alert, setting) for alert in group.alerts),
            ],
        }
        for group in groups(setting, intervals)
    ]
    return _text({"groups": made})


def _rule(alert: Alert, setting: Setting) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        **({"for": alert.hold} if alert.hold != "0s" else {}),
        "labels": {"severity": alert.severity},
        "annotations": _annotations(alert, setting),
    }


def _annotations(alert: Alert, setting: Setting) -> dict[str, str]:
    return {
        "summary": f"{{{{ $labels.pipeline }}}}: {alert.summary}",
        "description": alert.description,
        "runbook_url": f"{setting.runbook}#{alert.name.lower()}",
        "report": setting.report,
    }


def grafana(setting: Setting, datasource: str) -> str:
    """A file for Grafana's folder provisioning/alerting, for a Prometheus that has no rules of refit's.

    Annotations are not looked through for variables there, as other texts are.

    Args:
        datasource: uid of a Prometheus.
    """
    made = [
        {
            "orgId": 1,
            "name": group.name,
            "folder": JOB,
            "interval": group.interval,
            "rules": [_grafana_rule(alert, setting, datasource) for alert in group.alerts],
        }
        for group in groups(replace(setting, series=replace(setting.series, is_recorded=False)))
    ]
    return _text({"apiVersion": 1, "groups": made})


def _grafana_rule(alert: Alert, setting: Setting, datasource: str) -> dict[str, Any]:
    """A becomes the vector, B whether there is one: whatever the expression gives is above 0."""
    now = {"from": 600, "to": 0}
    query = {"refId": "A", "expr": alert.expression, "instant": True, "range": False}
    above = {"evaluator": {"type": "gt", "params": [0]}}
    condition = {"refId": "B", "type": "threshold", "expression": "A", "conditions": [above]}
    return {
        "uid": f"{JOB}-{alert.name.lower()}",
        "title": alert.name,
        "condition": "B",
        "data": [
            {"refId": "A", "relativeTimeRange": now, "datasourceUid": datasource, "model": query},
            {"refId": "B", "relativeTimeRange": now, "datasourceUid": "__expr__", "model": condition},
        ],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.hold,
        "labels": {"severity": alert.severity},
        "annotations": {
            name: text.replace("$value", "$values.A.Value") for name, text in _annotations(alert, setting).items()
        },
    }


def files(setting: Setting = ALL, datasource: str = "prometheus") -> dict[str, str]:
    """Path within the repository and text of each file.

    Args:
        setting: Of the files for Prometheus and Grafana; the chart has its own.
        datasource: uid of Grafana's Prometheus.
    """
    return {
        "monitoring/prometheus/refit.rules.yaml": prometheus(setting),
        "monitoring/grafana/alerting/refit.yaml": grafana(setting, datasource),
        "helm/refit/files/rules.yaml": prometheus(OF_THE_CHART),
    }


class _Dumper(yaml.SafeDumper):
    """Expressions as a person writes them."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent)


def _text(content: dict[str, Any]) -> str:
    return _HEAD + yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)

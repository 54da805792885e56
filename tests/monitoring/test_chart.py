"""The chart's PrometheusRule: the same alerts, for the release's own pipeline and CronJob."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.alerts import Setting, alerts
from refit.core import metrics as m
from tests.fixtures.chart import EVERYTHING, TELLING, Refused, Rendered, render
from tests.monitoring.lives import BEGIN, END, begins, fails
from tests.monitoring.promtool import DAY, HOUR, Firing, World

OWN = "flight-delays"
ENABLED = ("metrics.pushgateway=http://pushgateway:9091", "monitoring.prometheusRule.enabled=true")


def rule_of(rendered: Rendered) -> dict[str, Any]:
    (found,) = rendered.of_kind("PrometheusRule").values()
    return found


def annotations_of(rule: dict[str, Any]) -> dict[str, dict[str, str]]:
    each = [one for group in rule["spec"]["groups"] for one in group["rules"]]
    return {one["alert"]: one["annotations"] for one in each if "alert" in one}


def test_there_is_none_unless_it_is_asked_for() -> None:
    assert not render().of_kind("PrometheusRule")


def test_alerts_on_metrics_that_nobody_pushes_are_refused() -> None:
    with pytest.raises(Refused, match=r"set metrics\.pushgateway or metrics\.secret"):
        render("monitoring.prometheusRule.enabled=true")


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://wiki/'", "https://me:secret@wiki"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="/monitoring/prometheusRule/runbookUrl"):
        render(*ENABLED, f"monitoring.prometheusRule.runbookUrl={address}")


def test_it_has_all_alerts_and_names_what_a_person_needs() -> None:
    rule = rule_of(render(*ENABLED))
    found = annotations_of(rule)
    assert set(found) == {alert.name for alert in alerts(Setting())}
    assert "__" not in yaml.safe_dump(rule)
    for name, each in found.items():
        assert each["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert each["report"] == "refit show flight-delays @latest"


def test_addresses_labels_and_thresholds_come_from_the_values() -> None:
    rule = rule_of(render(values=EVERYTHING, needed=False, file=TELLING))
    assert rule["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    for name, each in annotations_of(rule).items():
        assert each["runbook_url"] == f"https://wiki.example.com/refit/runbook.md#{name.lower()}"
        assert each["report"] == "https://minio.example.com/browser/models/flight-delays/runs/"
    text = yaml.safe_dump(rule, width=1000)
    assert 'pipeline:refit_runs_since_confirmed:last{pipeline="flight-delays"} >= 8' in text
    assert "> 4200" in text, "an hour more than startingDeadlineSeconds"


def test_it_looks_at_its_own_pipeline_and_at_its_own_cronjob(tmp_path: Path) -> None:
    world = World()
    world.kubernetes(0, "kube_cronjob_spec_suspend", 1, namespace="other", cronjob="fd")
    world.kubernetes(0, "kube_cronjob_spec_suspend", 0, namespace="ml", cronjob="fd")
    world.kubernetes(2 * DAY, "kube_cronjob_spec_suspend", 1, namespace="ml", cronjob="fd")
    for name in ("churn", OWN):
        begins(world, BEGIN, name=name)
        fails(world, END, "data", 65, name=name)
    failed, overdue = Firing("RunFailed", {"class": "data"}, OWN), Firing("RunOverdue", {}, OWN)
    expected: dict[float, list[Firing]] = {
        BEGIN: [],
        END: [failed],
        DAY + 10 * HOUR: [failed, overdue],
        2 * DAY + HOUR: [failed],
    }
    world.check(tmp_path, yaml.safe_dump(rule_of(render(*ENABLED))["spec"]), expected)


def test_a_release_for_runs_by_hand_is_never_overdue(tmp_path: Path) -> None:
    world = World()
    begins(world, BEGIN, name=OWN)
    world.push(END, "run", m.RUN_SUCCESS.at(END), pipeline=OWN)
    expected: dict[float, list[Firing]] = {3 * DAY: []}
    world.check(tmp_path, yaml.safe_dump(rule_of(render(*ENABLED, "suspend=true"))["spec"]), expected)

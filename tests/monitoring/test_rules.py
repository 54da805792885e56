"""The files of rules are fresh, what they ask for exists, and the programs that read them take them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from monitoring import rules
from monitoring.alerts import ACTIONS, Severity
from monitoring.series import Series
from refit.cli.failure import CLASS_WORDS
from refit.cli.main import COMMANDS
from refit.core import metrics as m
from refit.core.samples import OVERTAKEN
from tests.fixtures.chart import ROOT
from tests.fixtures.programs import program
from tests.fixtures.scripts import script
from tests.monitoring.lives import fails
from tests.monitoring.promtool import HOUR, World

FILE = ROOT / "monitoring" / "prometheus" / "refit.rules.yaml"
GRAFANA = ROOT / "monitoring" / "grafana" / "alerting" / "refit.yaml"
ALERTMANAGER = ROOT / "monitoring" / "alertmanager.yaml"
LABELS = {metric.name: {label.name for label in metric.labels} for metric in m.METRICS}
OF_KUBERNETES = {
    "kube_cronjob_info": {"namespace", "cronjob", "schedule"},
    "kube_cronjob_spec_suspend": {"namespace", "cronjob"},
}


def rules_of(path: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def alerts_of(path: Path) -> list[dict[str, Any]]:
    return [rule for rule in rules_of(path) if "record" not in rule]


def expressions() -> Iterator[str]:
    for rule in rules_of(FILE):
        yield rule["expr"]
    for rule in rules_of(GRAFANA):
        yield rule["data"][0]["model"]["expr"]


def test_the_files_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert script("monitoring/generate.py").main(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generate = script("monitoring/generate.py")
    assert generate.main(["--into", str(tmp_path)]) == 0
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main(["--check"]) == 0
    (tmp_path / "monitoring" / "prometheus" / "refit.rules.yaml").write_text("groups: []\n")
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out == (
        "monitoring/prometheus/refit.rules.yaml is stale: run python monitoring/generate.py\n"
    )


def test_files_of_ones_own_have_ones_own_addresses_and_labels(tmp_path: Path) -> None:
    options = ["--runbook", "https://wiki/refit.md", "--reports", "https://files/models/", "--by", "pipeline,team"]
    assert script("monitoring/generate.py").main(["--into", str(tmp_path), *options, "--datasource", "P1"]) == 0
    path = tmp_path / "monitoring" / "prometheus" / "refit.rules.yaml"
    subprocess.run([program("promtool"), "check", "rules", str(path)], check=True, capture_output=True)
    for rule in alerts_of(path):
        assert rule["annotations"]["runbook_url"] == f"https://wiki/refit.md#{rule['alert'].lower()}"
        assert rule["annotations"]["report"] == "https://files/models/{{ $labels.pipeline }}/runs/"
    assert "max by (pipeline, team) (refit_run_last_failure_timestamp_seconds)" in path.read_text()
    (rule, *_) = rules_of(tmp_path / "monitoring" / "grafana" / "alerting" / "refit.yaml")
    assert rule["data"][0]["datasourceUid"] == "P1"


@pytest.mark.parametrize("path", [FILE], ids=["all pipelines"])
def test_promtool_takes_the_rules(path: Path) -> None:
    done = subprocess.run(
        [program("promtool"), "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_series_that_a_rule_asks_for_exists_with_its_labels() -> None:
    recorded = {rule["record"] for rule in rules_of(FILE) if "record" in rule}
    asked = set()
    for expression in expressions():
        for name, matchers in re.findall(r"\b((?:pipeline:)?(?:refit|kube)_[a-z0-9_:]+)(\{[^}]*\})?", expression):
            asked.add(name)
            metric = name.removeprefix("pipeline:").partition(":")[0]
            known = OF_KUBERNETES.get(metric) or LABELS[metric] | {"pipeline", "step"}
            assert set(re.findall(r"(\w+)(?:=|!)", re.sub(r'"[^"]*"', '""', matchers))) <= known, expression
            assert not name.startswith("pipeline:") or name in recorded, name
    assert recorded <= asked, "what is recorded is asked for"
    assert {"refit_run_last_start_timestamp_seconds", "kube_cronjob_info"} <= asked


def test_a_label_that_a_metric_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="refit_rows has no label"):
        Series().last(m.ROWS, 'sort="read"')


def test_each_alert_says_what_a_person_needs() -> None:
    for rule in alerts_of(FILE):
        assert rule["labels"]["severity"] in get_args(Severity)
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url", "report"}
        text = " ".join(rule["annotations"].values())
        assert "{{ $labels.pipeline }}" in rule["annotations"]["summary"]
        assert set(re.findall(r"\brefit ([a-z]+) ", text)) <= set(COMMANDS), text


def test_each_class_of_failure_has_an_action() -> None:
    assert set(ACTIONS) == set(CLASS_WORDS) - {OVERTAKEN}


@pytest.mark.parametrize(
    ("error_class", "code", "action"), [("data", 65, ACTIONS["data"]), ("oom", 75, ACTIONS["oom"]), ("new", 99, "")]
)
def test_the_texts_are_filled_in(tmp_path: Path, error_class: str, code: int, action: str) -> None:
    world = World()
    fails(world, HOUR, error_class, code)
    done = f"{action} " if action else ""
    description = (
        "It failed at 1970-01-01 01:00:00 +0000 UTC, after its retries, and none has ended well since; production "
        f"stays as it is. {done}Cause, log and next command: refit runs loans --failed. Once it is mended: refit "
        "rerun loans."
    )
    annotations = {
        "summary": f"loans: the last run failed ({error_class})",
        "description": description,
        "runbook_url": "docs/runbook.md#runfailed",
        "report": "refit show loans @latest",
    }
    labels = {"severity": "warning", "pipeline": "loans", "class": error_class}
    alert = {"exp_labels": labels, "exp_annotations": annotations}
    asked = {"alertname": "RunFailed", "eval_time": "2h", "exp_alerts": [alert]}
    world.run(tmp_path, rules.prometheus(rules.ALL), 3 * HOUR, {"alert_rule_test": [asked]})


def test_grafanas_file_is_one_of_its_format() -> None:
    """As pkg/services/provisioning/alerting of grafana/grafana reads it: names, uids, durations, states, conditions."""
    content = yaml.safe_load(GRAFANA.read_text())
    assert content["apiVersion"] == 1
    assert all(set(group) == {"orgId", "name", "folder", "interval", "rules"} for group in content["groups"])
    found = rules_of(GRAFANA)
    uids = [rule["uid"] for rule in found]
    assert len(set(uids)) == len(uids) == len(alerts_of(FILE))
    for rule in found:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", rule["uid"])
        assert re.fullmatch(r"\d+[smh]", rule["for"])
        assert (rule["noDataState"], rule["execErrState"]) == ("OK", "Error")
        query, condition = rule["data"]
        assert rule["condition"] == condition["refId"] == condition["model"]["refId"] == "B"
        assert condition["datasourceUid"] == "__expr__"
        assert condition["model"]["expression"] == query["refId"] == query["model"]["refId"] == "A"
        assert query["model"]["instant"] is True
        text = yaml.safe_dump(rule["annotations"])
        assert "$value " not in text
        assert "$" not in yaml.safe_dump([rule["labels"], rule["title"], rule["uid"]]), "these are looked through"


def test_amtool_takes_the_example_of_routes() -> None:
    command = [program("amtool"), "check-config", str(ALERTMANAGER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "ModelNotConfirmed", "severity": "page"}, "on-call"),
        ({"alertname": "QuarantineHigh", "severity": "ticket"}, "tickets"),
        ({"alertname": "RunFailed", "severity": "warning", "class": "data"}, "model-owners"),
        ({"alertname": "RunFailed", "severity": "warning", "class": "dependency"}, "team"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["alertname"],
)
def test_the_example_sends_alerts_where_the_runbook_says(labels: dict[str, str], receiver: str) -> None:
    given = [f"{name}={value}" for name, value in labels.items()]
    command = [program("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}", *given]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [receiver]


def test_the_example_names_alerts_that_exist() -> None:
    named = set(re.findall(r'alertname=~?"([^"]+)"', ALERTMANAGER.read_text()))
    assert {name for names in named for name in names.split("|")} <= {rule["alert"] for rule in alerts_of(FILE)}

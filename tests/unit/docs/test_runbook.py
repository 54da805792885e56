"""Every alert has its section in the runbook, every section its alert, and what it names exists."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from monitoring.alerts import ACTIONS, Setting, alerts
from refit.cli.main import COMMANDS
from refit.core import errors
from refit.core.metrics import METRICS
from tests.fixtures.programs import program

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "runbook.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
ALERTS = {alert.name: alert for alert in alerts(Setting())}
OTHERS = {"Silences", "Install"}


def rows(header: str) -> list[list[str]]:
    lines = PAGE[PAGE.index(f"| {header} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    assert set(SECTIONS) - OTHERS == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_section_says_what_it_means_and_what_to_do(name: str) -> None:
    section = SECTIONS[name]
    for part in ("**It means**", "**Look:**", "**Do"):
        assert part in section
    assert "threshold" in section


def test_the_table_of_alerts_has_their_severities() -> None:
    assert [(re.findall(r"\[(\w+)\]", row[0])[0], row[1]) for row in rows("alert")] == [
        (name, alert.severity) for name, alert in ALERTS.items()
    ]


def test_anchors_lead_to_sections() -> None:
    anchors = {section.lower() for section in SECTIONS}
    assert set(re.findall(r"\]\(#([a-z]+)\)", PAGE)) <= anchors
    assert set(re.findall(r"\]\(#([a-z]+)\)", PAGE)) >= {name.lower() for name in ALERTS}


def test_the_table_of_classes_is_that_of_the_code() -> None:
    table = {row[0]: {int(code) for code in row[1].split(", ")} for row in rows("class")}
    assert set(table) == set(ACTIONS)
    classes: list[type[errors.RefitError]] = [errors.RefitError, *errors.RefitError.__subclasses__()]
    for found in classes:
        if found.__module__ == errors.__name__ and found is not errors.SupersededError:
            assert found.exit_code in table[found.error_class]


def test_the_commands_that_are_shown_exist() -> None:
    code = " ".join(re.findall(r"`[^`]+`", PAGE) + re.findall(r"^ {4,}.*$", PAGE, re.MULTILINE))
    called = set(re.findall(r"\brefit ([a-z]+)\b", code))
    assert {"rerun", "status", "promote"} <= called <= set(COMMANDS)


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert [metric.name for metric in METRICS if f"| `{metric.name}` |" not in page] == []


def test_prometheus_takes_the_configuration_that_is_shown(tmp_path: Path) -> None:
    (shown,) = re.findall(r" *```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(yaml.safe_load(shown)))
    (tmp_path / "refit.rules.yaml").write_text((ROOT / "monitoring" / "prometheus" / "refit.rules.yaml").read_text())
    command = [program("promtool"), "check", "config", "prometheus.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_figures_are_those_of_the_rules() -> None:
    setting = Setting()
    assert setting.grace_seconds == "7200" and "passed two hours ago" in PAGE
    assert setting.unconfirmed_runs == "5" and "five runs in a row" in PAGE

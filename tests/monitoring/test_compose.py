"""What compose starts beside refit is set up as Prometheus, Alertmanager and Grafana read it."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from monitoring.dashboards import FOLDER
from tests.fixtures.programs import program

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
PROVISIONING = ROOT / "monitoring" / "grafana" / "provisioning"


def mounted(service: str) -> dict[str, Path]:
    """What a container finds where: path in it, and ours."""
    pairs = [volume.split(":")[:2] for volume in COMPOSE[service]["volumes"]]
    return {inside: (ROOT / "docker" / ours).resolve() for ours, inside in pairs if ours.startswith(".")}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_prometheus_takes_its_file_and_finds_the_rules(tmp_path: Path) -> None:
    places = mounted("prometheus")
    settings = read(places["/etc/prometheus/prometheus.yml"])
    (rules,) = settings["rule_files"]
    assert places[rules].is_file()
    (job,) = settings["scrape_configs"]
    assert job["honor_labels"] is True
    copied = tmp_path / "prometheus.yaml"
    copied.write_text(yaml.safe_dump(settings | {"rule_files": [str(places[rules])]}))
    done = subprocess.run([program("promtool"), "check", "config", str(copied)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 rule files found" in done.stdout


def test_the_services_call_each_other_by_their_names() -> None:
    settings = read(mounted("prometheus")["/etc/prometheus/prometheus.yml"])
    targets = {
        target
        for each in (*settings["scrape_configs"], *settings["alerting"]["alertmanagers"])
        for static in each["static_configs"]
        for target in static["targets"]
    }
    (source,) = read(PROVISIONING / "datasources" / "refit.yaml")["datasources"]
    called = targets | {source["url"].removeprefix("http://")}
    called.add(COMPOSE["refit"]["environment"]["REFIT_PUSHGATEWAY"].removeprefix("http://"))
    for place in called:
        name, _, port = place.partition(":")
        assert COMPOSE[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_alertmanager_takes_its_file() -> None:
    (file,) = mounted("alertmanager").values()
    done = subprocess.run([program("amtool"), "check-config", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_source_and_dashboards() -> None:
    places = mounted("grafana")
    assert places["/etc/grafana/provisioning/datasources"] == PROVISIONING / "datasources"
    (source,) = read(PROVISIONING / "datasources" / "refit.yaml")["datasources"]
    assert (source["type"], source["uid"]) == ("prometheus", "prometheus")
    (provider,) = read(places["/etc/grafana/provisioning/dashboards"] / "refit.yaml")["providers"]
    assert places[provider["options"]["path"]] == ROOT / FOLDER
    assert len(list((ROOT / FOLDER).glob("*.json"))) == 2

"""The chart brings the dashboards as they are, where Grafana's sidecar finds them."""

import json
from typing import Any

import pytest

from monitoring.dashboards import boards
from tests.fixtures.chart import EVERYTHING, Refused, Rendered, render

LIMIT_BYTES = 262_144
"""Of an object's annotations, where `kubectl apply` keeps all of it; a ConfigMap may have four times as much."""


def found(rendered: Rendered) -> dict[str, Any]:
    return rendered.of_kind("ConfigMap")["fd-dashboards"]


def test_there_are_none_unless_they_are_asked_for() -> None:
    assert list(render().of_kind("ConfigMap")) == ["fd-file"]


def test_they_come_as_they_were_generated_and_helm_fills_no_braces_in() -> None:
    config = found(render("monitoring.dashboards.enabled=true"))
    assert {name: json.loads(text) for name, text in config["data"].items()} == {
        f"{board.uid}.json": board.json() for board in boards()
    }
    assert "{{step}}" in config["data"]["refit-pipeline.json"]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["labels"]["app.kubernetes.io/name"] == "refit"
    assert "annotations" not in config["metadata"]
    assert len(json.dumps(config)) < LIMIT_BYTES


def test_label_and_folder_are_those_of_the_sidecar() -> None:
    metadata = found(render(values=EVERYTHING, needed=False))["metadata"]
    assert metadata["labels"]["dashboards"] == "grafana"
    assert "grafana_dashboard" not in metadata["labels"]
    assert metadata["annotations"] == {"folder": "Machine learning"}


@pytest.mark.parametrize("name", ["label", "folderAnnotation"])
def test_what_cannot_name_a_label_or_an_annotation_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=f"/monitoring/dashboards/{name}"):
        render("monitoring.dashboards.enabled=true", f"monitoring.dashboards.{name}=a b")

"""The dashboards as files: to import and for a provisioned Grafana, and for the chart's ConfigMap."""

import json
from typing import Final

from monitoring.board import Board
from monitoring.fleet import fleet
from monitoring.pipeline import pipeline

FOLDER: Final = "monitoring/grafana/dashboards"
IN_CHART: Final = "helm/refit/files/dashboards"
"""helm reads no file outside of the chart."""


def boards() -> list[Board]:
    """All dashboards."""
    return [fleet(), pipeline()]


def files() -> dict[str, str]:
    """Path within the repository and text of each file."""
    texts = {f"{board.uid}.json": json.dumps(board.json(), indent=1, ensure_ascii=False) + "\n" for board in boards()}
    return {f"{folder}/{name}": text for folder in (FOLDER, IN_CHART) for name, text in texts.items()}

"""docs/monitoring.md: how to come by the dashboards, and what each panel tells, in the panel's own words."""

from collections.abc import Iterator
from typing import Final

from monitoring.board import Board
from monitoring.dashboards import boards

PATH: Final = "docs/monitoring.md"
_HEAD: Final = """\
# Dashboards

Written by `python monitoring/generate.py` from the dashboards themselves.

Two dashboards for Grafana 10 and later show what [metrics](metrics.md) tell: `refit-fleet` has a line for each
pipeline and counts what needs a person; a click on a name opens `refit-pipeline`, from how fresh production is down
to the bytes of each step. Alerts and what to do about them are in the [runbook](runbook.md).

Both ask the Prometheus that their variable "Data source" names. It scrapes the Pushgateway with `honor_labels: true`,
as [prometheus.yaml](../docker/monitoring/prometheus.yaml) does. What Prometheus keeps is what they can show: 15 days,
unless `--storage.tsdb.retention.time` says more.

## Ways to see them

- **On a laptop**: `docker compose --file docker/compose.yaml up --detach grafana alertmanager`, then [a
  run](../docker/compose.yaml), and Grafana at `http://localhost:3000`. It asks for no password, and its port is open
  to that machine alone. Prometheus is at 9090 with the alerts loaded, Alertmanager at 9093, the Pushgateway at 9091.
- **On a cluster with Grafana's chart or kube-prometheus-stack**: `monitoring.dashboards.enabled=true` makes a
  ConfigMap that the sidecar takes up by its label. Where the sidecar looks for another one,
  `monitoring.dashboards.label` and `labelValue` name it; `folder` puts them into a folder. It must look into the
  release's namespace (`sidecar.dashboards.searchNamespace: ALL`). The dashboards show all pipelines, so one release
  for each Grafana enables them: two would offer two files with one uid.
- **By provisioning**: put [monitoring/grafana/dashboards](../monitoring/grafana/dashboards) where
  [provisioning/dashboards](../monitoring/grafana/provisioning/dashboards/refit.yaml) looks for it.
- **By hand**: Dashboards, New, Import, and the JSON files of that folder. Their uids stay, so that an import of later
  files replaces them.

Marks on the time axis stand where the champion changed, where it was rolled back, and where a run failed, to the
second: they are values of metrics, and not moments at which these were scraped. A rollback changes the champion too
and has both marks.

![The pipeline dashboard, drawn as a preview](images/dashboard-pipeline.png)

The picture is a preview, drawn by `python -m monitoring.preview` from the dashboard's own queries on a Prometheus
that has seen half a month of real runs; Grafana's own looks differ. `python -m monitoring.preview http://localhost:9090`
draws yours.
"""


def files() -> dict[str, str]:
    """Path within the repository and text of the page."""
    return {PATH: _HEAD + "".join(line for board in boards() for line in _board(board))}


def _board(board: Board) -> Iterator[str]:
    yield f"\n## {board.title}\n\n{board.description}\n"
    for row in board.rows:
        yield f"\n**{row.title}**\n\n| panel | tells |\n|---|---|\n"
        for panel in row.panels:
            cells = (panel.json["title"], panel.json["description"])
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

"""Pipeline files as the tests of core/config*.py need them."""

import json
from typing import Any, Final

import pytest

from refit.core.config import Pipeline, parse_pipeline
from refit.core.config_faults import InvalidFile

LEAST: Final = """\
apiVersion: refit/v1
name: loans
source: {query: SELECT * FROM loans, key: [loan_id], cursor: applied_at}
target: defaulted
task: binary
model: {estimator: sklearn.linear_model.LogisticRegression}
"""

TEXTBOOK: Final = """\
apiVersion: refit/v1
name: churn
schedule: {cron: "0 5 * * 1"}
source: {query: SELECT * FROM customers, key: [customer_id], cursor: updated_at}
target: churned
task: binary
split: {holdout: 0.2}
features:
  numeric: {columns: [age, balance], impute: median, outliers: clip_3sigma, scale: standard}
model:
  estimator: sklearn.linear_model.LogisticRegression
  params: {max_iter: 1000}
  class_weight: balanced
evaluate:
  gate: [{score: roc_auc, min_gain: 0.0}]
"""

DEMO: Final = """\
apiVersion: refit/v1
name: flight-delays              # ≤ 28 characters, DNS label
schedule: {cron: "0 5 * * 1", timezone: Etc/UTC}
source:
  kind: postgres                 # DSN from the environment or a mounted file, never here
  query: |
    SELECT flight_id, landed_at, carrier, origin, dest, distance, dep_hour, temp, wind_speed, late FROM flights
  key: [flight_id]
  cursor: landed_at              # timestamptz, timestamp (read as UTC) or date
  overlap: 2h                    # re-read this far back for late rows
  lag: 5m                        # never read rows younger than this
  min_new_rows: 1000
  full_refresh: 30d              # or never
  statement_timeout: 30m
  max_row_bytes: 1000000         # larger rows go to quarantine
  shards: 1
window: {kind: rolling, length: 56d}
columns:                         # a column not named has the type that PostgreSQL gives, nullable, unlimited
  carrier:  {type: string, max_length: 8}
  distance: {type: float, min: 0, max: 6000}
  late:     {type: bool, nullable: false}
on_bad_row: {action: quarantine, max_fraction: 0.02}
target: late
task: binary
split: {kind: time, holdout: 14d}
features:
  numeric:     {columns: [distance, temp, wind_speed], impute: median, outliers: clip_3sigma, scale: standard}
  categorical: {columns: [carrier, origin, dest], encode: ordinal, min_frequency: 20}
  passthrough: {columns: [dep_hour]}
model:
  estimator: sklearn.ensemble.HistGradientBoostingClassifier
  params: {early_stopping: true}
  seed: 42
evaluate:
  scores: [neg_log_loss, roc_auc]
  gate:
    - {score: roc_auc, min: 0.60}
    - {score: neg_log_loss, min_gain: 0.0}    # against the champion
publish: {approval: auto}
"""

SECTIONS: Final[dict[str, Any]] = {
    "apiVersion": "refit/v1",
    "name": "loans",
    "source": {"query": "SELECT * FROM loans", "key": ["loan_id"], "cursor": "applied_at"},
    "target": "defaulted",
    "task": "binary",
    "model": {"estimator": "sklearn.linear_model.LogisticRegression"},
}


def with_key(path: str, value: Any) -> dict[str, Any]:
    """The least file's sections with one dotted key set."""
    sections: dict[str, Any] = json.loads(json.dumps(SECTIONS))
    *parents, last = path.split(".")
    place = sections
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return sections


def parse(sections: dict[str, Any]) -> Pipeline:
    """The pipeline of sections; JSON is YAML."""
    return parse_pipeline(json.dumps(sections), "refit.yaml")


def faults_of(text: str | bytes) -> list[str]:
    """`line:column: key: message` for each fault of a file that has some."""
    with pytest.raises(InvalidFile) as caught:
        parse_pipeline(text, "refit.yaml")
    return [str(fault) for fault in caught.value.faults]


def faults_of_sections(sections: dict[str, Any]) -> list[str]:
    """`key: message` for each fault, without places."""
    return [fault.split(": ", 1)[1] for fault in faults_of(json.dumps(sections))]

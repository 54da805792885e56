"""Writes docs/metrics.md, the table of all metrics, from the module that names them.

python docs/metrics.py            writes it
python docs/metrics.py --check    fails when it is stale
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from refit.core.metrics import METRICS, Metric

PAGE: Final = Path(__file__).with_name("metrics.md")
_HEAD: Final = """\
# Metrics

Written by `python docs/metrics.py` from the module that names them.

Where `REFIT_PUSHGATEWAY` names a [Pushgateway](https://github.com/prometheus/pushgateway), each step pushes its
metrics when it ends, however it ends. The process that coordinates the run pushes for a step that died without a word,
and at the end those of the run. Prometheus scrapes the Pushgateway with `honor_labels: true`.

- Every series has the labels `job="refit"`, `pipeline` and `step`; `step` is `run` for what is told of a run or of the
  pipeline as a whole. No series has a run's id.
- Values are those of the last run, and stay until the next one: a failed run does not erase when one last went well.
  Instants are values too, in seconds since 1970, so that an age is `time() - refit_…_timestamp_seconds`.
- A push has 5 seconds in all. One that fails changes no outcome and no exit code: it is a warning in the step's log,
  `unpushed` in its last words (`attempt.json`) and a warning of the run's outcome; the run's own stands in
  `runs/<run_id>/logs/push.json`.
- Credentials of the address (`http://user:password@host:9091`) go as basic authentication and are in no log.
- A Pushgateway that restarts without its file forgets all: `refit metrics NAME --push` tells it again, from the store's
  records, and `refit metrics NAME` prints the same where there is no Pushgateway. `refit promote`, `rollback` and
  `release` push what they change, `refit delete` takes the pipeline's series away, wherever `REFIT_PUSHGATEWAY` is set.
- A run pushes its start when it begins, so that one with a start after its last success and failure goes on. One that
  could not begin (the store is away or denied, or ignores conditions) is pushed as failed.
- What asks for a person's hand is told by alerts: [runbook.md](runbook.md).
- Two pipelines of one name share their series: give each cluster or team a Pushgateway of its own.

| metric | `step` | labels | value |
|---|---|---|---|
"""
_TAIL: Final = """
## Drift

When rows have been read, each column is held against what earlier reads of the same snapshot found: the profiles of up
to twelve of them that reach into the window, the oldest one included, added up. The first read has nothing before it,
and neither has one with `--full-refresh`; any other fresh start is held against the snapshot that it replaces. The
index is

    PSI = Σ (q − p) · ln(q / p)

over groups of values: deciles of the numbers before, the twenty most frequent texts, NULL, NaN. Keys and the cursor are
left out, and so are targets that are still NULL. Of times and sensitive columns only NULL counts. Numbers within ten
percent of each other may share a group, so that a year or a temperature in Kelvin hardly drifts.

Many read 0.1 as some drift and 0.25 as much, but a few hundred rows reach that by chance: the report and `drift` in the
manifest of extract tell beside each index how large it is on average where nothing changed. No alert and no verdict
hangs on it. Columns drift with the seasons while a model is fine; the gate judges models.

## The ends of a score

Each end of a score's interval holds with `evaluate.confidence`, so that both do with 90 % by default. It takes rows of
one entity and of one day as one, as the interval of the gain does, and tells how far the score of this model would move
on other rows. It is no comparison: the same rows move both models, so that intervals may overlap while the gain, whose
own interval pairs the rows, is proven. There is none where the gate would find too little data in the rows that carry
the variance, nor for scores outside of the gate that only hundreds of scorings could tell.
"""


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(_row(metric) for metric in METRICS) + _TAIL


def _row(metric: Metric) -> str:
    labels = "; ".join(_labels(metric)) or "–"
    groups = ", ".join(f"`{group}`" for group in metric.groups)
    cells = (f"`{metric.name}`", groups, labels, metric.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _labels(metric: Metric) -> Iterator[str]:
    for label in metric.labels:
        yield f"`{label.name}`: {label.values}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if PAGE.read_text() == page() else f"{PAGE.name} is stale: run python docs/metrics.py")
    PAGE.write_text(page())

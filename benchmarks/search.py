"""A search for parameters against RandomizedSearchCV as a notebook would write it: whole processes, the same rows.

    python benchmarks/search.py [--rows 100000 300000] [--repeats 3] [--json FILE]

Rows and features are those of train.py, with ordinal classes; gradient boosted trees, 20 combinations of three
parameters, 5 folds forward in time, log loss. Ours is the step `train` with model.search; the notebook reads the same
Parquet with pandas and searches with a job per core. Both run in turn (A B A B …); seconds are medians. Each tells the
log loss of its winner on the newest quarter, which neither has looked at: a faster search is worth
something only if what it finds is as good.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from train import CLASSES, HEAD, HOLDOUT, NUMBERS, RUN_ID, context_of, prepare

N_ITER, FOLDS, MAX_ITER = 20, 5, 40
FILE = f"""{HEAD}
features:
  passthrough: {{columns: [{", ".join(NUMBERS)}]}}
  categorical: {{columns: [{", ".join(CLASSES)}], encode: ordinal, min_frequency: 20}}
model:
  estimator: sklearn.ensemble.HistGradientBoostingClassifier
  params: {{max_iter: {MAX_ITER}}}
  search:
    n_iter: {N_ITER}
    cv: {FOLDS}
    scoring: neg_log_loss
    space:
      learning_rate: {{loguniform: [0.01, 0.5]}}
      max_leaf_nodes: {{integer: [4, 64]}}
      l2_regularization: {{loguniform: [0.001, 100.0]}}
"""


@dataclass(frozen=True)
class Ended:
    """How one process ended; the loss is that of its winner on the holdout.

    Attributes:
        cpu_seconds: Of the process and its workers: other work on the machine stretches seconds, and hardly these.
    """

    seconds: float
    cpu_seconds: float
    log_loss: float
    params: dict[str, Any]


def ours(folder: Path) -> dict[str, Any]:
    """The step train, and the loaded model on the holdout."""
    from refit.ml.persist import load
    from refit.train.step import train

    context = context_of(folder, FILE)
    manifest = train(context)
    return {"model": load(context.read(manifest.model)), "params": manifest.params}


def notebook(folder: Path) -> dict[str, Any]:
    """What most notebooks do, with folds that go forward in time."""
    import numpy as np
    from scipy.stats import loguniform, randint
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import RandomizedSearchCV, TimeSeriesSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    frame, before = rows_of(folder)
    encoder = OrdinalEncoder(
        min_frequency=20, handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=np.nan
    )
    model = make_pipeline(
        ColumnTransformer([("texts", encoder, list(CLASSES)), ("numbers", "passthrough", NUMBERS)]),
        HistGradientBoostingClassifier(max_iter=MAX_ITER, random_state=0),
    )
    space = {
        "learning_rate": loguniform(0.01, 0.5),
        "max_leaf_nodes": randint(4, 65),
        "l2_regularization": loguniform(0.001, 100.0),
    }
    search = RandomizedSearchCV(
        model,
        {f"histgradientboostingclassifier__{name}": values for name, values in space.items()},
        n_iter=N_ITER,
        cv=TimeSeriesSplit(FOLDS),
        scoring="neg_log_loss",
        n_jobs=len(os.sched_getaffinity(0)),
        random_state=0,
    )
    search.fit(frame.loc[before, [*NUMBERS, *CLASSES]], frame.loc[before, "bought"])
    params = {name.partition("__")[2]: value for name, value in search.best_params_.items()}
    return {"model": search.best_estimator_, "params": {name: float(value) for name, value in params.items()}}


def rows_of(folder: Path) -> Any:
    """All rows in order of time, and which of them lie before the holdout."""
    import pandas as pd

    frame = pd.read_parquet(folder / "bench" / "data" / RUN_ID / "a").sort_values("at", ignore_index=True)
    as_of = frame["at"].max() + pd.Timedelta(seconds=1)
    return frame, frame["at"] <= as_of - HOLDOUT * (as_of - frame["at"].min())


def loss(model: Any, folder: Path) -> float:
    """Log loss on the holdout."""
    import numpy as np
    from sklearn.metrics import log_loss

    frame, before = rows_of(folder)
    held = frame.loc[~before]
    X = held[[*NUMBERS, *CLASSES]].astype(dict.fromkeys(CLASSES, object))
    for name in CLASSES:
        X[name] = X[name].where(X[name].notna(), np.nan)
    return float(log_loss(held["bought"], model.predict_proba(X)[:, 1]))


def run(what: str, folder: Path) -> Ended:
    """One process of its own; its scoring is not timed."""
    out = subprocess.run([sys.executable, __file__, "--only", what, str(folder)], stdout=subprocess.PIPE, check=True)
    return Ended(**json.loads(out.stdout))


def only(what: str, folder: Path, started: float) -> None:
    from joblib.externals.loky import get_reusable_executor

    found = {"ours": ours, "notebook": notebook}[what](folder)
    seconds = time.perf_counter() - started
    get_reusable_executor().shutdown(wait=True)  # workers count when they have ended
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_seconds = sum(one.ru_utime + one.ru_stime for one in usage)
    print(json.dumps(asdict(Ended(seconds, cpu_seconds, loss(found["model"], folder), found["params"]))))


def compare(rows: int, repeats: int) -> dict[str, Any]:
    """Both in turn on so many rows."""
    with tempfile.TemporaryDirectory(prefix="refit-bench-") as name:
        folder = Path(name)
        prepare(folder, rows, FILE)
        ended: dict[str, list[Ended]] = {"ours": [], "notebook": []}
        for _ in range(repeats):
            for what, runs in ended.items():
                runs.append(run(what, folder))
    medians = {what: statistics.median(one.seconds for one in runs) for what, runs in ended.items()}
    cpu = {what: statistics.median(one.cpu_seconds for one in runs) for what, runs in ended.items()}
    return {
        "rows": rows,
        "seconds": medians,
        "cpu_seconds": cpu,
        "ratio": medians["ours"] / medians["notebook"],
        "cpu_ratio": cpu["ours"] / cpu["notebook"],
        "log_loss": {what: runs[0].log_loss for what, runs in ended.items()},
        "runs": {what: [asdict(one) for one in runs] for what, runs in ended.items()},
    }


def main() -> None:
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, dest="target")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.only:
        only(chosen.only[0], Path(chosen.only[1]), started)
        return
    results = [compare(rows, chosen.repeats) for rows in chosen.rows]
    print(f"{'rows':>10}  {'ours':>8}  {'notebook':>8}  {'ratio':>6}  {'CPU':>6}  {'our loss':>9}  {'notebook':>9}")
    for found in results:
        seconds, losses = found["seconds"], found["log_loss"]
        print(
            f"{found['rows']:>10,}  {seconds['ours']:>8.1f}  {seconds['notebook']:>8.1f}  {found['ratio']:>6.2f}  "
            f"{found['cpu_ratio']:>6.2f}  {losses['ours']:>9.5f}  {losses['notebook']:>9.5f}"
        )
    if chosen.target:
        chosen.target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

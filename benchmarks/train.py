"""Train against the textbook pandas Pipeline: load, fit and score as whole processes, on the same rows.

    python benchmarks/train.py [--rows 200000 1000000] [--repeats 3] [--json FILE]

12 features, as performance.md has it: 8 numbers with gaps and 4 texts of together 10,000 classes; a logistic regression
with median imputation, standard scaling and one-hot encoding; the newest quarter held out. Ours is the step `train`
(verified parts, fit, model file, read back) and the scores of the loaded model on the holdout; the textbook reads the
same Parquet with pandas, fits and scores, and saves nothing. Both run in turn (A B A B …); seconds are medians, memory
is the peak that the kernel noted. The scores must agree to 4 digits.
"""

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from refit.core.context import Context

RUN_ID = "20260101t000000-aaaa"
NUMBERS = [f"number_{index}" for index in range(8)]
CLASSES = {"store": 9000, "city": 900, "plan": 80, "device": 20}
HOLDOUT = 0.25
HEAD = f"""
apiVersion: refit/v1
name: bench
source: {{query: SELECT * FROM rows, key: [id], cursor: at}}
target: bought
task: binary
split: {{kind: time, holdout: {HOLDOUT}}}
"""
FILE = f"""{HEAD}
features:
  numeric: {{columns: [{", ".join(NUMBERS)}]}}
  categorical: {{columns: [{", ".join(CLASSES)}], min_frequency: 20}}
model: {{estimator: sklearn.linear_model.LogisticRegression, params: {{max_iter: 1000}}}}
"""


@dataclass(frozen=True)
class Ended:
    """How one process ended."""

    seconds: float
    peak_mib: float
    roc_auc: float
    log_loss: float


def batch(first: int, rows: int, rng: np.random.Generator, more: int = 0) -> pa.RecordBatch:
    """Rows a second apart; the odds follow four numbers and two texts, and none of `more` further numbers."""
    numbers = rng.normal(size=(8, rows))
    codes = {name: (rng.random(rows) ** 2 * count).astype(int) for name, count in CLASSES.items()}
    odds = numbers[:4].sum(axis=0) * 0.5 + np.sin(codes["store"]) + np.cos(codes["plan"])
    columns: dict[str, pa.Array] = {
        "id": pa.array(np.arange(first, first + rows)),
        "at": pa.array((np.arange(first, first + rows) * 1_000_000), pa.int64()).cast(pa.timestamp("us", "UTC")),
        **{name: pa.array(values, mask=rng.random(rows) < 0.03) for name, values in zip(NUMBERS, numbers, strict=True)},
    }
    for name, code in codes.items():
        words = pa.array([f"{name} {number:05d}" for number in range(CLASSES[name])])
        columns[name] = words.take(pa.array(code, mask=rng.random(rows) < 0.02))
    columns |= {f"more_{index}": pa.array(rng.normal(size=rows)) for index in range(more)}
    columns["bought"] = pa.array(rng.random(rows) < 1 / (1 + np.exp(-odds)))
    return pa.RecordBatch.from_pydict(columns)


def prepare(folder: Path, rows: int, file: str = FILE, more: int = 0) -> None:
    """A run of that pipeline file below `folder`, whose extract has stored `rows` rows in parts, with flat memory."""
    from refit.core import keys
    from refit.core.addresses import file_url
    from refit.core.artifacts import describe
    from refit.core.config import parse_pipeline, source_digest
    from refit.core.domain import Batch, Column, ExtractManifest, Rows, RunRecord, Snapshot
    from refit.core.store import open_store
    from refit.data.parts import PartWriter

    store, rng = open_store(file_url(folder)).under("bench/"), np.random.default_rng(0)
    as_of = datetime.fromtimestamp(rows, UTC)
    schema = batch(0, 1, np.random.default_rng(0), more).schema
    with PartWriter(lambda name: store.writer(keys.data(RUN_ID, "a", name)), schema, "at") as writer:
        for first in range(0, rows, 65_536):
            writer.write(batch(first, min(65_536, rows - first), rng, more))
    text = file.encode()
    store.put(keys.pipeline_file(RUN_ID), text)
    run = RunRecord(
        run_id=RUN_ID,
        pipeline="bench",
        as_of=as_of,
        created_at=as_of,
        created_by="bench",
        file=describe(keys.pipeline_file(RUN_ID), text),
    )
    store.create(keys.run_record(RUN_ID), run.to_json())
    snapshot = Snapshot(
        batches=(Batch(run_id=RUN_ID, as_of=as_of, read=rows, new=rows, parts=tuple(writer.parts)),),
        watermark=as_of,
        source_digest=source_digest(parse_pipeline(text, "bench")),
        refreshed_at=as_of,
        columns=tuple(Column(name=f.name, database_type=str(f.type), type=str(f.type)) for f in schema),
    )
    manifest = ExtractManifest(
        run_id=RUN_ID,
        attempt="a",
        attempt_number=1,
        started_at=as_of,
        finished_at=as_of,
        rows=Rows(read=rows),
        snapshot=snapshot,
    )
    store.create(keys.manifest(RUN_ID, "extract"), manifest.to_json())


def context_of(folder: Path, file: str) -> "Context":
    """What the step train of the prepared run gets."""
    from refit.core.addresses import file_url
    from refit.core.config import parse_pipeline
    from refit.core.context import Context
    from refit.core.step import read_run
    from refit.core.store import open_store

    store = open_store(file_url(folder)).under("bench/")
    return Context(
        store=store,
        pipeline=parse_pipeline(file, "bench"),
        run=read_run(store, RUN_ID),
        step="train",
        attempt=secrets.token_hex(4),
        number=1,
        folder=folder,
        started_at=datetime.now(UTC),
        report=lambda text: None,
    )


def ours(folder: Path) -> None:
    """The step train, and the loaded model's scores on the holdout."""
    from sklearn.metrics import log_loss, roc_auc_score

    from refit.core.domain import ExtractManifest
    from refit.data.reader import SnapshotReader
    from refit.ml.frame import to_frame
    from refit.ml.persist import load
    from refit.train.step import train

    context = context_of(folder, FILE)
    manifest = train(context)
    snapshot = context.manifest_of("extract", ExtractManifest).snapshot
    assert snapshot is not None
    reader = SnapshotReader(snapshot, context.pipeline, context.run.as_of, context.fetch)
    model, said, truth = load(context.read(manifest.model)), [], []
    for rows in reader.rows([*manifest.columns, "bought"], "holdout"):
        said.append(model.predict_proba(to_frame(rows.table, manifest.columns))[:, 1])
        truth.append(rows.table.column("bought").to_numpy(zero_copy_only=False))
    y, p = np.concatenate(truth), np.concatenate(said)
    print(json.dumps({"roc_auc": roc_auc_score(y, p), "log_loss": log_loss(y, p)}))


def textbook(folder: Path) -> None:
    """What most notebooks do."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss, roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pd.read_parquet(folder / "bench" / "data" / RUN_ID / "a")
    as_of = frame["at"].max() + pd.Timedelta(seconds=1)
    cut = as_of - HOLDOUT * (as_of - frame["at"].min())
    before = frame["at"] <= cut
    features = [*NUMBERS, *CLASSES]
    model = make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
                ("texts", OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist"), list(CLASSES)),
            ]
        ),
        LogisticRegression(max_iter=1000),
    )
    model.fit(frame.loc[before, features], frame.loc[before, "bought"])
    held = frame[~before]
    p = model.predict_proba(held[features])[:, 1]
    y = held["bought"]
    print(json.dumps({"roc_auc": roc_auc_score(y, p), "log_loss": log_loss(y, p)}))


def run(what: str, folder: Path) -> Ended:
    """One process of its own."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, __file__, "--only", what, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{what} ended with {process.returncode}")
    scores = json.loads(out)
    return Ended(time.perf_counter() - started, usage.ru_maxrss / 1024, scores["roc_auc"], scores["log_loss"])


def compare(rows: int, repeats: int) -> dict[str, object]:
    """Both in turn on so many rows."""
    with tempfile.TemporaryDirectory(prefix="refit-bench-") as name:
        folder = Path(name)
        prepare(folder, rows)
        ended: dict[str, list[Ended]] = {"ours": [], "textbook": []}
        for _ in range(repeats):
            for what, runs in ended.items():
                runs.append(run(what, folder))
    medians = {what: statistics.median(one.seconds for one in runs) for what, runs in ended.items()}
    mine, other = ended["ours"][0], ended["textbook"][0]
    return {
        "rows": rows,
        "seconds": medians,
        "ratio": medians["ours"] / medians["textbook"],
        "peak_mib": {what: max(one.peak_mib for one in runs) for what, runs in ended.items()},
        "same_scores": abs(mine.roc_auc - other.roc_auc) < 5e-5 and abs(mine.log_loss - other.log_loss) < 5e-5,
        "runs": {what: [asdict(one) for one in runs] for what, runs in ended.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, dest="target")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.only:
        {"ours": ours, "textbook": textbook}[chosen.only[0]](Path(chosen.only[1]))
        return
    results = [compare(rows, chosen.repeats) for rows in chosen.rows]
    print(
        f"{'rows':>10}  {'ours':>8}  {'textbook':>8}  {'ratio':>6}  {'ours MiB':>8}  {'textbook MiB':>12}  same scores"
    )
    for found in results:
        seconds, peak = found["seconds"], found["peak_mib"]
        assert isinstance(seconds, dict)
        assert isinstance(peak, dict)
        print(
            f"{found['rows']:>10,}  {seconds['ours']:>8.2f}  {seconds['textbook']:>8.2f}  {found['ratio']:>6.2f}  "
            f"{peak['ours']:>8.0f}  {peak['textbook']:>12.0f}  {found['same_scores']}"
        )
    if chosen.target:
        chosen.target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

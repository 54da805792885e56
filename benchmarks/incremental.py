"""A fit by partial_fit beside a fit on all rows at once: seconds and peak memory of the steps train and evaluate.

    python benchmarks/incremental.py [--rows 1000000 5000000] [--repeats 3] [--passes 1] [--at-once] [--json FILE]

The rows are those of benchmarks/train.py with five numbers more: 20 columns, of which 17 are features, with 10,000
classes in all. The estimator is a linear model by stochastic gradient descent, in batches and, with --at-once, without.
Each step is a process of its own, as in a run; seconds are medians, of the clock and of the processors; memory is the
peak that the kernel noted. evaluate judges against a dummy.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from train import CLASSES, HEAD, NUMBERS, RUN_ID, prepare

MORE = 5
FILE = f"""{HEAD}
features:
  numeric: {{columns: [{", ".join([*NUMBERS, *(f"more_{index}" for index in range(MORE))])}]}}
  categorical: {{columns: [{", ".join(CLASSES)}], min_frequency: 20}}
model:
  estimator: sklearn.linear_model.SGDClassifier
  params: {{loss: log_loss}}
"""


@dataclass(frozen=True)
class Ended:
    """How one process ended."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def step(name: str, store: Path) -> Ended:
    """One step of the run, as a runner starts it."""
    settings = {
        "REFIT_STORE": f"file://{store}",
        "REFIT_PIPELINE": "bench",
        "REFIT_RUN_ID": RUN_ID,
        "REFIT_ATTEMPT": "1",
        "REFIT_LOG": "console",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", f"refit.{name}"], env=os.environ | settings) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name} ended with {process.returncode}")
    seconds = time.perf_counter() - started
    return Ended(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def once(store: Path) -> dict[str, Ended]:
    """Both steps; what they left is removed again, so that they can be repeated."""
    ended = {name: step(name, store) for name in ("train", "evaluate")}
    for path in (store / "bench" / "runs" / RUN_ID).glob("*.json"):
        if path.stem in ended:
            if path.stem == "evaluate":
                scores = json.loads(path.read_text())["scores"]["candidate"]
                print(json.dumps({"scores": scores}), file=sys.stderr)
            path.unlink()
    for path in (store / "bench" / "runs" / RUN_ID / "train").glob("checkpoint-*.json"):
        path.unlink()
    return ended


def measure(rows: int, repeats: int, incremental: str) -> dict[str, object]:
    """Medians of seconds, and greatest peaks."""
    with tempfile.TemporaryDirectory(prefix="refit-bench-") as name:
        store = Path(name)
        prepare(store, rows, f"{FILE}  incremental: {incremental}\n", MORE)
        runs = [once(store) for _ in range(repeats)]
    return {
        "rows": rows,
        "incremental": incremental,
        "seconds": {name: statistics.median(run[name].seconds for run in runs) for name in runs[0]},
        "cpu_seconds": {name: statistics.median(run[name].cpu_seconds for run in runs) for name in runs[0]},
        "peak_mib": {name: max(run[name].peak_mib for run in runs) for name in runs[0]},
        "runs": [{name: asdict(ended) for name, ended in run.items()} for run in runs],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--at-once", action="store_true")
    parser.add_argument("--json", type=Path, dest="target")
    chosen = parser.parse_args()
    ways = [f"{{passes: {chosen.passes}}}", *(["false"] if chosen.at_once else [])]
    results = []
    heads = ("train s", "cpu s", "MiB", "evaluate s", "cpu s", "MiB")
    print(f"{'rows':>10}  {'incremental':<12}  " + "  ".join(f"{head:>10}" for head in heads))
    for rows, way in [(rows, way) for rows in chosen.rows for way in ways]:
        found = measure(rows, chosen.repeats, way)
        seconds, cpu, peak = found["seconds"], found["cpu_seconds"], found["peak_mib"]
        assert isinstance(seconds, dict)
        assert isinstance(cpu, dict)
        assert isinstance(peak, dict)
        cells = [figures[name] for name in ("train", "evaluate") for figures in (seconds, cpu, peak)]
        print(f"{rows:>10,}  {way:<12}  " + "  ".join(f"{cell:>10.1f}" for cell in cells), flush=True)
        results.append(found)
    if chosen.target:
        chosen.target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Extract against pandas.read_sql + to_parquet: seconds and peak memory of whole processes, on the same rows.

    python benchmarks/extract.py [--rows 1000000 5000000] [--repeats 3] [--json FILE]

Makes a PostgreSQL of its own on this machine, fills a table of 20 columns and runs both in turn (A B A B …). The
seconds are medians; the memory is the peak of resident pages that the kernel noted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg2

from refit.core import keys
from refit.core.addresses import file_url
from refit.core.domain import RunRecord
from refit.core.store import open_store
from refit.demo.postgres import temporary_server

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
RUN_ID = "20260101t000000-aaaa"
TABLE = """
CREATE TABLE rows AS SELECT
    i AS id,
    timestamptz '2020-01-01 00:00+00' + i * interval '13 seconds' AS seen_at,
    (i % 32000)::smallint AS small,
    (i * 7919::bigint % 2000000000)::integer AS medium,
    i::bigint * 1000003 AS large,
    CASE WHEN i % 17 = 0 THEN NULL ELSE (i % 1000) * 31 % 1000 END AS sparse,
    sin(i) AS real_1,
    CASE WHEN i % 23 = 0 THEN 'NaN' ELSE cos(i) * 1e6 END::float8 AS real_2,
    exp(sin(i) * 5)::real AS real_3,
    ((i * 37::bigint) % 10000000 / 100.0)::numeric(10, 2) AS price,
    ((i * 41::bigint) % 1000 / 1000.0)::numeric(6, 4) AS rate,
    i % 3 = 0 AS flag,
    CASE WHEN i % 11 = 0 THEN NULL ELSE i % 5 = 0 END AS label,
    timestamp '2010-01-01' + i * interval '1 minute' AS local_at,
    date '2000-01-01' + i % 9000 AS day,
    (ARRAY['red','green','blue','black','white'])[1 + i % 5] AS colour,
    'C' || lpad((i % 300)::text, 4, '0') AS carrier,
    md5(i::text) AS token,
    CASE WHEN i % 7 = 0 THEN '' WHEN i % 13 = 0 THEN NULL ELSE 'note ' || i || ', with "quotes"' END AS note,
    md5((i % 1000)::text)::uuid AS tag
FROM generate_series(1, {rows}) AS i
"""
FILE = """
apiVersion: refit/v1
name: bench
source: {query: SELECT * FROM rows, key: [id], cursor: seen_at}
target: label
task: binary
model: {estimator: sklearn.linear_model.LogisticRegression}
"""
PANDAS = """
import sys, pandas, psycopg2, warnings
warnings.simplefilter("ignore")
pandas.read_sql("SELECT * FROM rows", psycopg2.connect(sys.argv[1])).to_parquet(sys.argv[2])
"""


@dataclass(frozen=True)
class Cost:
    seconds: float
    peak_mib: float


def measure(command: list[str], environment: dict[str, str]) -> Cost:
    """What the process took from start to end."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:3]} ended with {process.returncode}")
    return Cost(time.perf_counter() - started, usage.ru_maxrss / 1024)


def refit(dsn: str, folder: Path) -> Cost:
    url = file_url(folder)
    store = open_store(url).under("bench/")
    file = store.put(keys.pipeline_file(RUN_ID), FILE.encode())
    run = RunRecord(run_id=RUN_ID, pipeline="bench", as_of=AS_OF, created_at=AS_OF, created_by="benchmark", file=file)
    store.create(keys.run_record(RUN_ID), run.to_json())
    names = {"REFIT_STORE": url, "REFIT_PIPELINE": "bench", "REFIT_RUN_ID": RUN_ID, "REFIT_SOURCE_DSN": dsn}
    return measure([sys.executable, "-m", "refit.extract"], names)


def pandas(dsn: str, folder: Path) -> Cost:
    return measure([sys.executable, "-c", PANDAS, dsn, str(folder / "rows.parquet")], {})


def compare(rows: int, repeats: int, with_pandas: bool) -> dict[str, object]:
    found: dict[str, list[Cost]] = {"refit": [], "pandas": []}
    with temporary_server() as dsn:
        with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(TABLE.format(rows=rows))
        for _ in range(repeats):
            for name, run in (("refit", refit), ("pandas", pandas)):
                if name == "refit" or with_pandas:
                    with tempfile.TemporaryDirectory() as folder:
                        found[name].append(run(dsn, Path(folder)))
    result: dict[str, object] = {"rows": rows}
    for name, costs in found.items():
        if costs:
            seconds = statistics.median(cost.seconds for cost in costs)
            result[name] = asdict(Cost(round(seconds, 2), round(max(cost.peak_mib for cost in costs), 1)))
            print(
                f"{rows:>12,}  {name:<8}{seconds:>10.1f} s{max(cost.peak_mib for cost in costs):>12,.0f} MiB",
                flush=True,
            )
    if found["pandas"]:
        ratios = [b.seconds / a.seconds for a, b in zip(found["refit"], found["pandas"], strict=True)]
        result["times_faster"] = round(statistics.median(ratios), 2)
        print(f"{rows:>12,}  refit is {statistics.median(ratios):.1f} times as fast", flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-pandas", action="store_true", help="only refit")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    results = [compare(rows, options.repeats, not options.no_pandas) for rows in options.rows]
    if options.json:
        options.json.write_text(json.dumps({"format": 1, "extract": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()

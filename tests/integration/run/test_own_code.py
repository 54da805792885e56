"""Code of one's own, several classes and a sample as a user starts them: real processes that find the package."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.fixtures import loans
from tests.fixtures.own_package import write_package

FILE = """\
apiVersion: refit/v1
name: grades
source:
  query: |
    SELECT loan_id, applied_at, income, amount, region,
      CASE WHEN defaulted THEN 'default' WHEN income < 0 THEN 'late' ELSE 'paid' END AS grade
    FROM loans
  key: [loan_id]
  cursor: applied_at
target: grade
task: multiclass
split: {kind: time, holdout: 14d}
features: {transformer: "acmebank.features:spread"}
model: {estimator: "acmebank.models:logged", params: {C: 0.5}, sample: {rows: 600}}
"""


def call(folder: Path, dsn: str, *words: str) -> tuple[int, str, str]:
    path = f"{os.environ.get('PYTHONPATH', '')}:{folder / 'packages'}"
    settings = os.environ | {"PYTHONPATH": path, "REFIT_SOURCE_DSN": dsn}
    done = subprocess.run(
        [sys.executable, "-m", "refit.cli", *words],
        cwd=folder,
        env=settings,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_package_on_the_python_path_reaches_every_process(database: str, tmp_path: Path) -> None:
    loans.load(database)
    write_package(tmp_path / "packages")
    (tmp_path / "refit.yaml").write_text(FILE)
    code, out, err = call(tmp_path, database, "check", "refit.yaml")
    assert code == 0, err
    assert "  features   acmebank.features:spread() of all columns but key, cursor and target" in out
    assert "  model      acmebank.models:logged(C=0.5), on 600 random training rows" in out
    code, out, err = call(tmp_path, database, "run", "refit.yaml", "--as-of", "2026-02-12T00:00Z", "--json")
    assert code == 0, err
    assert (json.loads(out)["outcome"], json.loads(out)["rows"]["train"]) == ("promoted", 600)

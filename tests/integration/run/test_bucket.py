"""The same run on a bucket: steps as subprocesses, artifacts by S3, the champion loaded from there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import refit
from refit.core.store import open_store
from tests.fixtures import invariants, loans
from tests.fixtures.forked import Job, run


def refit_command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "refit.cli", *words], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(180)
def test_runs_on_a_bucket_promote_and_serve(
    bucket: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loans.load(database)
    url = f"s3://{bucket}/team/refit"
    monkeypatch.setenv("REFIT_STORE", url)
    monkeypatch.setenv("REFIT_SOURCE_DSN", database)
    settings = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    assert run(Job(url, database, loans.FILE, loans.at(42), tmp_path / "passed", settings=settings)) == 0
    (tmp_path / "refit.yaml").write_bytes(loans.FILE)
    ended = refit_command("run", "refit.yaml", "--as-of", loans.at(63).isoformat(), "--json", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in ended.stdout + ended.stderr
    outcome = json.loads(ended.stdout)
    assert outcome["outcome"] == "promoted"
    store = open_store(url).under("loans/")
    invariants.check(store)
    assert not list(tmp_path.glob(".refit*"))

    model = refit.load("loans")
    assert model.version == outcome["version"]
    rows = pd.DataFrame({"income": [0.0, 2.0], "amount": [1.0, -1.0], "region": ["N", None]})
    chances = model.predict_proba(rows)[:, 1]
    assert chances[0] > 0.5 > chances[1]

    status = json.loads(refit_command("status", "loans", "--json", folder=tmp_path).stdout)
    assert status["champion"]["version"] == model.version
    assert status["champion"]["generation"] == 2
    assert status["lock"] is None

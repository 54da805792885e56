"""An exported model is used by its own script, without refit where the model has no step of it."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refit.core import effects
from refit.core.errors import DiskError
from refit.core.store import open_store
from refit.predict.champion import Model, open_model
from refit.predict.export import FILES, SCRIPT, BadFolder, export_model
from refit.predict.score import predict_file
from tests.fixtures.records import file
from tests.fixtures.trained import extracted, loans

VERSION = "20260301t000000-aaaa"
CLIPPED = {"features": {"numeric": {"columns": ["amount", "age"], "outliers": "clip_3sigma"}}}
TREES = {
    "model": {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": 5}},
    "features": {
        "numeric": {"columns": ["amount", "age"], "impute": "none", "scale": "none"},
        "categorical": {"columns": ["city"], "encode": "ordinal"},
        "passthrough": {"columns": ["owner"]},
    },
}

# Runs the script as `python predict.py ROWS` would, where nobody has installed refit.
WITHOUT_REFIT = """\
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "refit":
            raise ModuleNotFoundError(f"No module named {name!r}", name="refit")
sys.meta_path.insert(0, Refuse())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def promoted(folder: Path, table: pa.Table | None = None, **sections: Any) -> Model:
    store = open_store(f"file://{folder}/store").under("loans/")
    extracted(store, folder, loans() if table is None else table, file(**sections), VERSION).promoted()
    return open_model(store, "loans")


def three_classes() -> pa.Table:
    table = loans()
    owners = zip(table["defaulted"].to_pylist(), table["owner"].to_pylist(), strict=True)
    target = pa.array(["sold" if owner else str(late).lower() for late, owner in owners])
    return table.set_column(table.column_names.index("defaulted"), "defaulted", target)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A CSV file with text of digits (007), and without empty strings, which pandas reads as NULL."""
    table = loans(200, seed=3).drop_columns(["defaulted", "applied_at"])
    frame = table.to_pandas(integer_object_nulls=True)
    frame["city"] = frame["city"].replace("", "Bonn")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def run_script(folder: Path, rows: Path, *, without_refit: bool) -> subprocess.CompletedProcess[str]:
    before = ["-W", "error", "-c", WITHOUT_REFIT] if without_refit else ["-W", "error"]
    words = [sys.executable, *before, str(folder / "predict.py"), str(rows)]
    return subprocess.run(words, capture_output=True, text=True, cwd=rows.parent, check=False)


def same_answers(out: str, rows: Path, model: Model) -> bool:
    (rows.parent / "said.csv").write_text(out)
    said = pd.read_csv(rows.parent / "said.csv")
    predict_file(model, rows, rows.with_name("expected.parquet"))
    expected = pq.read_table(rows.with_name("expected.parquet")).drop_columns(["version"]).to_pandas()
    assert list(said.columns) == list(expected.columns)
    assert said["loan_id"].tolist() == expected["loan_id"].tolist()
    assert said["prediction"].tolist() == expected["prediction"].tolist()
    chances = [name for name in said.columns if name.startswith("probability_")]
    assert chances
    return bool(np.allclose(said[chances], expected[chances], rtol=1e-12))


@pytest.mark.parametrize("sections", [{}, TREES], ids=["auto, linear", "block, trees"])
def test_the_script_predicts_what_refit_predicts_without_refit(
    tmp_path: Path, rows: Path, sections: dict[str, Any]
) -> None:
    model = promoted(tmp_path, **sections)
    export_model(model, tmp_path / "model")
    ended = run_script(tmp_path / "model", rows, without_refit=True)
    assert ended.stderr == ""
    assert ended.returncode == 0
    assert same_answers(ended.stdout, rows, model)


def test_the_script_gives_a_probability_for_each_of_several_classes(tmp_path: Path, rows: Path) -> None:
    model = promoted(tmp_path, three_classes(), task="multiclass")
    export_model(model, tmp_path / "model")
    ended = run_script(tmp_path / "model", rows, without_refit=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("loan_id,prediction,probability_false,probability_sold,probability_true\n")
    assert same_answers(ended.stdout, rows, model)


def test_a_model_that_clips_outliers_needs_refit_and_says_so(tmp_path: Path, rows: Path) -> None:
    model = promoted(tmp_path, **CLIPPED)
    export_model(model, tmp_path / "model")
    assert "refit==" in (tmp_path / "model" / "requirements.txt").read_text()
    ended = run_script(tmp_path / "model", rows, without_refit=False)
    assert ended.returncode == 0, ended.stderr
    assert same_answers(ended.stdout, rows, model)


def test_the_script_refuses_an_altered_model(tmp_path: Path, rows: Path) -> None:
    export_model(promoted(tmp_path), tmp_path / "model")
    with (tmp_path / "model" / "model.skops").open("ab") as body:
        body.write(b"x")
    ended = run_script(tmp_path / "model", rows, without_refit=True)
    assert ended.returncode == 1
    assert "model.skops is not the file that manifest.json names" in ended.stderr


def test_the_folder_tells_what_the_model_is(tmp_path: Path) -> None:
    model = promoted(tmp_path)
    assert export_model(model, tmp_path / "deep" / "model") == tuple(
        tmp_path / "deep" / "model" / name for name in FILES
    )
    folder = tmp_path / "deep" / "model"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["pipeline"], manifest["version"], manifest["target"]) == ("loans", VERSION, "defaulted")
    assert manifest["columns"] == {"amount": "number", "age": "number", "city": "text", "owner": "bool"}
    assert manifest["classes"] == [False, True]
    assert manifest["model"]["sha256"] == hashlib.sha256((folder / "model.skops").read_bytes()).hexdigest()
    requirements = (folder / "requirements.txt").read_text().splitlines()
    assert f"scikit-learn=={model.train.environment['scikit-learn']}" in requirements
    assert not any(line.startswith("refit") for line in requirements)


def test_the_script_stays_short() -> None:
    statements = [line for line in SCRIPT.splitlines() if not line.startswith(('"""', "import"))]
    assert len(statements) <= 12


def test_an_empty_folder_is_taken_and_a_full_one_refused(tmp_path: Path) -> None:
    model = promoted(tmp_path)
    (tmp_path / "empty").mkdir()
    export_model(model, tmp_path / "empty")
    with pytest.raises(BadFolder, match="is not empty") as caught:
        export_model(model, tmp_path / "empty")
    assert caught.value.exit_code == 64
    (tmp_path / "file").touch()
    with pytest.raises(BadFolder, match="is a file"):
        export_model(model, tmp_path / "file")


def test_a_failure_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = promoted(tmp_path)

    def fail(moment: str, name: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(effects, "hook", fail)
    with pytest.raises(DiskError):
        export_model(model, tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]

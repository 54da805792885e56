"""refit predict and refit export, as typed."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refit.core.store import open_store
from tests.fixtures.calls import call
from tests.fixtures.records import file
from tests.fixtures.trained import extracted, loans

FIRST, SECOND = "20260301t000000-aaaa", "20260308t000000-bbbb"


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"file://{tmp_path}/store"
    store = open_store(url).under("loans/")
    for run_id in (FIRST, SECOND):
        extracted(store, tmp_path, loans(), file(), run_id).promoted()
    return url


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    table: pa.Table = loans(50, seed=1)
    pq.write_table(table, tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize("by", ["name", "file"])
def test_predict_takes_a_name_or_a_file(url: str, rows: Path, by: str) -> None:
    (rows.parent / "refit.yaml").write_bytes(file())
    target = "loans" if by == "name" else str(rows.parent / "refit.yaml")
    out = rows.with_name("out.parquet")
    said = call("predict", target, "--input", str(rows), "--output", str(out), "--store", url)
    assert said.code == 0, said.err
    assert said.out == f"50 rows scored by {SECOND}: {out}\n"
    assert pq.read_table(out).num_rows == 50


def test_predict_answers_one_document(url: str, rows: Path) -> None:
    out = rows.with_name("out.parquet")
    said = call("predict", "loans", "--input", str(rows), "--output", str(out), "--store", url, "--json")
    assert said.document == {
        "format": 1,
        "pipeline": "loans",
        "version": SECOND,
        "rows": 50,
        "input": str(rows),
        "output": str(out),
        "columns": ["loan_id", "prediction", "probability_false", "probability_true", "version"],
        "notes": [],
    }


def test_predict_ends_with_the_code_of_what_is_wrong(url: str, rows: Path) -> None:
    pq.write_table(pq.read_table(rows).drop_columns(["city"]), rows)
    words = ("predict", "loans", "--input", str(rows), "--output", str(rows.with_name("out.parquet")), "--store", url)
    said = call(*words)
    assert said.code == 65
    assert "lack column city" in said.err
    assert call(*words, "--json").document["error"]["type"] == "ColumnsMissing"
    assert call("predict", "loan", *words[2:]).code == 64
    assert call("predict", "loans").code == 64


def test_export_writes_the_champion_or_the_version_named(url: str, tmp_path: Path) -> None:
    said = call("export", "loans", str(tmp_path / "champion"), "--store", url)
    assert said.code == 0, said.err
    assert said.out.startswith(f"{SECOND} of loans is in {tmp_path / 'champion'}: ")
    said = call("export", "loans", str(tmp_path / "older"), "--version", FIRST, "--store", url, "--json")
    assert said.document["version"] == FIRST
    assert json.loads((tmp_path / "older" / "manifest.json").read_text())["version"] == FIRST
    assert all(Path(name).is_file() for name in said.document["files"])


def test_export_of_a_version_that_was_never_made_is_a_config_error(url: str, tmp_path: Path) -> None:
    said = call("export", "loans", str(tmp_path / "none"), "--version", "20200101t000000-zzzz", "--store", url)
    assert said.code == 64
    assert "there is no version 20200101t000000-zzzz" in said.err

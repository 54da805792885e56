"""What `refit predict` says of rows with sensitive columns quotes none of their values."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import refit
from refit.core import logs
from refit.core.logs import WITHHELD
from refit.core.store import open_store
from tests.fixtures.calls import Called, call
from tests.fixtures.own_package import importable, line_of
from tests.fixtures.records import file
from tests.fixtures.trained import extracted, loans

TALKER = {
    "model": {"estimator": "acmebank.models.Talker", "params": {"limit": 1000.0}},
    "features": {"numeric": {"columns": ["amount", "age"], "scale": "none"}},
}
CANARY = 61234567.125


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store with two pipelines: of `loans` the age is sensitive, of `open` nothing is."""
    folder = tmp_path_factory.mktemp("champions")
    with importable(folder / "packages"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, sections in {"loans": {"columns": {"age": {"sensitive": True}}}, "open": {}}.items():
                store = open_store(f"file://{folder}/store").under(f"{name}/")
                extracted(store, folder, loans(), file(**TALKER, **sections, name=name)).promoted()
        yield f"file://{folder}/store"


@dataclass(frozen=True)
class Told:
    """A call of `refit predict`, and what Python was warned of meanwhile."""

    called: Called
    warnings: tuple[str, ...]


def predicted(url: str, rows: Path, *words: str, name: str = "loans") -> Told:
    output = rows.with_name("out.parquet")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        called = call("predict", name, "--store", url, "--input", str(rows), "--output", str(output), *words)
    return Told(called, tuple(str(warning.message) for warning in caught))


def says_nothing(told: Told) -> None:
    assert not any(mark in repr(told) + told.called.out + told.called.err for mark in ("canary", "61234567", "999.5"))


def aged(folder: Path, age: float) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"loan_id": [1, 2], "amount": [1.5, 2.5], "age": [age, 20.0]}), path)
    return path


def test_warnings_of_own_code_come_out_without_their_words(url: str, tmp_path: Path) -> None:
    told = predicted(url, aged(tmp_path, 999.5))
    assert told.called.code == 0, told.called.err
    assert set(told.warnings) == {WITHHELD}
    says_nothing(told)


@pytest.mark.parametrize("words", [(), ("--json",), ("--traceback",)], ids=["plain", "json", "traceback"])
def test_rows_that_own_code_cannot_score_are_told_by_its_place(
    url: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    told = predicted(url, aged(tmp_path, CANARY), *words)
    assert told.called.code == 65
    place = line_of("it does not know")
    assert f"rows 1 to 2: code of acmebank fails at {place}: LookupError: {WITHHELD}" in told.called.err
    says_nothing(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("loan_id,amount,age\n1,2,canary\n", 'In column "age": CSV conversion error to double'),
        ("loan_id,amount,age\n1,2,3,canary\n", "CSV parse error: Expected 3 columns, got 4"),
        ("1,2,canary\n2,3,4\n", "lack columns loan_id, amount, age that the model takes; they have none of them"),
    ],
    ids=["no number", "a cell too many", "no names"],
)
def test_a_file_that_cannot_be_read_is_told_by_its_place(url: str, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "rows.csv").write_text(text)
    found = predicted(url, tmp_path / "rows.csv", "--traceback")
    assert found.called.code == 65
    said = " ".join(found.called.err.split())  # its lines are as long as the path makes them
    assert told in re.sub(r"Row #\d+: ", "", said)  # pyarrow tells it where it has one thread
    says_nothing(found)


def test_a_broken_parquet_file_is_told_by_its_name(url: str, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"canary")
    told = predicted(url, tmp_path / "rows.parquet")
    assert told.called.code == 65
    assert f"rows.parquet: {WITHHELD}" in told.called.err


def test_what_is_withheld_of_one_pipeline_is_told_of_the_next(url: str, tmp_path: Path) -> None:
    rows = aged(tmp_path, 999.5)
    says_nothing(predicted(url, rows))
    assert "it is asked about np.float64(999.5)" in predicted(url, rows, name="open").warnings
    assert "it does not know" in predicted(url, aged(tmp_path, CANARY), name="open").called.err


def test_a_model_that_is_loaded_withholds_nothing_of_what_follows(url: str) -> None:
    assert refit.load("loans", store=url).version
    assert not logs.are_withheld()

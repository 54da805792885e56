"""File to file: Parquet or CSV in, Parquet out, whole or not at all."""

import csv
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from refit.core import effects
from refit.core.errors import AccessError, ConfigError, DataError, RefitError
from refit.core.store import open_store
from refit.ml.frame import ColumnsMissing, to_frame
from refit.predict import rows as rows_module
from refit.predict.champion import Model, open_model
from refit.predict.rows import BadRows, NoInput, type_named
from refit.predict.score import BadOutput, UnscorableRows, predict_file
from tests.fixtures.own_package import importable
from tests.fixtures.records import file
from tests.fixtures.trained import extracted, loans

VERSION = "20260301t000000-aaaa"
FEATURES = ["amount", "age", "city", "owner"]


def promoted(folder: Path, table: pa.Table | None = None, **sections: Any) -> Model:
    store = open_store(f"file://{folder}/store").under("loans/")
    extracted(store, folder, loans() if table is None else table, file(**sections), VERSION).promoted()
    return open_model(store, "loans")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return promoted(tmp_path_factory.mktemp("champion"))


@pytest.fixture
def rows() -> pa.Table:
    return loans(300, seed=7).drop_columns(["defaulted", "applied_at"])


def cell(value: Any) -> str:
    return "" if value is None else str(value)


def write_csv(path: Path, table: pa.Table) -> Path:
    """As COPY … CSV writes it: NULL is empty, the empty string is quoted."""

    def line(values: Any) -> str:
        return ",".join('""' if value == "" else cell(value) for value in values) + "\n"

    text = line(table.column_names) + "".join(line(row.values()) for row in table.to_pylist())
    path.write_text(text)
    return path


def write_parquet(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


@pytest.fixture
def source(tmp_path: Path, rows: pa.Table) -> Path:
    return write_parquet(tmp_path / "rows.parquet", rows)


# --- what is written ----------------------------------------------------------


def test_the_output_has_key_prediction_probabilities_and_version(model: Model, source: Path, rows: pa.Table) -> None:
    target = source.with_name("out.parquet")
    scored = predict_file(model, source, target)
    out = pq.read_table(target)
    assert out.column_names == ["loan_id", "prediction", "probability_false", "probability_true", "version"]
    assert (scored.rows, scored.version, scored.columns) == (300, VERSION, tuple(out.column_names))
    assert out["loan_id"].equals(rows["loan_id"])
    assert out["loan_id"][0].as_py() == 9_007_199_254_740_993
    frame = to_frame(rows, model.train.columns)
    np.testing.assert_array_equal(out["prediction"].to_numpy(), model.estimator.predict(frame))
    np.testing.assert_array_equal(out["probability_true"].to_numpy(), model.estimator.predict_proba(frame)[:, 1])
    assert set(out["version"].to_pylist()) == {VERSION}


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_csv_gives_what_parquet_gives(model: Model, source: Path, rows: pa.Table, name: str) -> None:
    plain = write_csv(source.with_name("rows.csv"), rows)
    text = source.with_name(name)
    if name.endswith(".gz"):
        text.write_bytes(gzip.compress(plain.read_bytes()))
    predict_file(model, source, source.with_name("a.parquet"))
    predict_file(model, text, source.with_name("b.parquet"))
    assert pq.read_table(source.with_name("a.parquet")).equals(pq.read_table(source.with_name("b.parquet")))


def test_an_empty_cell_is_null_and_a_quoted_one_the_empty_string(model: Model, tmp_path: Path) -> None:
    text = tmp_path / "rows.csv"
    text.write_text('loan_id,amount,age,city,owner\n1,0.5,30,,t\n2,0.5,30,"",t\n')
    predict_file(model, text, tmp_path / "out.parquet")
    first, second = pq.read_table(tmp_path / "out.parquet")["probability_true"].to_pylist()
    expected = to_frame(
        pa.table({"amount": [0.5] * 2, "age": [30] * 2, "city": [None, ""], "owner": [True] * 2}), FEATURES
    )
    np.testing.assert_array_equal([first, second], model.estimator.predict_proba(expected)[:, 1])
    assert first != second


def test_csv_cells_may_hold_anything(model: Model, tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8-sig") as text:
        writer = csv.writer(text)
        writer.writerow(["note", "owner", "city", "age", "amount", "loan_id"])
        writer.writerow(['a "quote", a comma\nand a line \\ 😀', "FALSE", "Ro\nme", "41", "-1e-3", "17"])
        writer.writerow(["", "1", "Rome", "", "", "18"])
    assert predict_file(model, tmp_path / "rows.csv", tmp_path / "out.parquet").rows == 2
    assert pq.read_table(tmp_path / "out.parquet")["loan_id"].to_pylist() == [17, 18]


def test_batches_do_not_change_what_is_written(model: Model, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict_file(model, source, source.with_name("whole.parquet"))
    monkeypatch.setattr(rows_module, "BATCH_ROWS", 37)
    predict_file(model, source, source.with_name("pieces.parquet"))
    whole, pieces = pq.read_table(source.with_name("whole.parquet")), pq.read_table(source.with_name("pieces.parquet"))
    assert whole.drop_columns(["probability_false", "probability_true"]).equals(
        pieces.drop_columns(["probability_false", "probability_true"])
    )
    np.testing.assert_allclose(whole["probability_true"], pieces["probability_true"], rtol=1e-12)


def test_no_rows_give_an_empty_file_with_its_columns(model: Model, tmp_path: Path, rows: pa.Table) -> None:
    for source in (
        write_parquet(tmp_path / "a.parquet", rows.slice(0, 0)),
        write_csv(tmp_path / "a.csv", rows.slice(0, 0)),
    ):
        assert predict_file(model, source, tmp_path / "out.parquet").rows == 0
        assert pq.read_schema(tmp_path / "out.parquet").names[0] == "loan_id"


def test_parquet_of_other_writers_is_taken(model: Model, tmp_path: Path, rows: pa.Table) -> None:
    odd = pa.table(
        {
            "extra": pa.array([[1]] * 300),
            "owner": rows["owner"].cast(pa.int8()),
            "city": rows["city"].dictionary_encode(),
            "age": rows["age"].cast(pa.decimal128(21, 2)),
            "amount": pa.nulls(300),
            "loan_id": rows["loan_id"].cast(pa.string()),
        }
    )
    predict_file(model, write_parquet(tmp_path / "odd.parquet", odd), tmp_path / "out.parquet")
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.schema.field("loan_id").type == pa.string()
    gaps = rows.set_column(1, "amount", pa.nulls(300, pa.float64()))
    expected = model.estimator.predict_proba(to_frame(gaps, FEATURES))[:, 1]
    np.testing.assert_allclose(out["probability_true"].to_numpy(), expected, rtol=1e-12)


def test_text_without_a_value_may_come_without_a_type(model: Model, tmp_path: Path, rows: pa.Table) -> None:
    empty = rows.set_column(rows.column_names.index("city"), "city", pa.nulls(300))
    assert predict_file(model, write_parquet(tmp_path / "a.parquet", empty), tmp_path / "out.parquet").rows == 300


@pytest.mark.parametrize(
    ("labels", "names", "kind"),
    [
        (["no", "yes"], ["probability_no", "probability_yes"], pa.string()),
        ([0, 1], ["probability_0", "probability_1"], pa.int64()),
    ],
    ids=["text", "integers"],
)
def test_classes_name_the_columns_and_give_the_type(
    tmp_path: Path, rows: pa.Table, labels: list[Any], names: list[str], kind: pa.DataType
) -> None:
    table = loans()
    target = pa.array([labels[value] for value in table["defaulted"].to_pylist()])
    own = promoted(tmp_path, table.set_column(table.column_names.index("defaulted"), "defaulted", target))
    predict_file(own, write_parquet(tmp_path / "rows.parquet", rows), tmp_path / "out.parquet")
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.column_names[2:4] == names
    assert out.schema.field("prediction").type == kind
    assert set(out["prediction"].to_pylist()) == set(labels)


@pytest.mark.parametrize("labels", [["late", "paid", "sold"], [1, 2, 7]], ids=["text", "integers"])
@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_each_of_several_classes_has_a_probability(
    tmp_path: Path, rows: pa.Table, labels: list[Any], name: str
) -> None:
    table = loans()
    target = pa.array([labels[2 if age and age > 60 else value] for value, age in zip(*_labels(table), strict=True)])
    table = table.set_column(table.column_names.index("defaulted"), "defaulted", target)
    own = promoted(tmp_path, table, task="multiclass")
    written = (write_csv if name.endswith(".csv") else write_parquet)(tmp_path / name, rows)
    predict_file(own, written, tmp_path / "out.parquet")
    out = pq.read_table(tmp_path / "out.parquet")
    names = [f"probability_{label}" for label in labels]
    assert out.column_names == ["loan_id", "prediction", *names, "version"]
    chances = np.column_stack([out[column].to_numpy() for column in names])
    assert chances.sum(axis=1) == pytest.approx(1)
    assert [labels[place] for place in chances.argmax(axis=1)] == out["prediction"].to_pylist()
    assert set(out["prediction"].to_pylist()) == set(labels)


def _labels(table: pa.Table) -> tuple[list[Any], list[Any]]:
    return table["defaulted"].to_pylist(), table["age"].to_pylist()


def test_a_model_without_probabilities_gives_predictions_alone(tmp_path: Path, rows: pa.Table) -> None:
    own = promoted(
        tmp_path,
        model={"estimator": "sklearn.svm.LinearSVC"},
        evaluate={"gate": [{"score": "roc_auc", "min_gain": 0.0}]},
    )
    predict_file(own, write_parquet(tmp_path / "rows.parquet", rows), tmp_path / "out.parquet")
    assert pq.read_schema(tmp_path / "out.parquet").names == ["loan_id", "prediction", "version"]


def test_a_regression_gives_numbers(tmp_path: Path, rows: pa.Table) -> None:
    table = loans()
    values = pa.array(np.linspace(0, 1, len(table)))
    table = table.set_column(table.column_names.index("defaulted"), "defaulted", values)
    own = promoted(tmp_path, table, task="regression", model={"estimator": "sklearn.linear_model.Ridge"})
    predict_file(own, write_parquet(tmp_path / "rows.parquet", rows), tmp_path / "out.parquet")
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.column_names == ["loan_id", "prediction", "version"]
    assert out.schema.field("prediction").type == pa.float64()


# --- what is refused ----------------------------------------------------------


def test_missing_columns_are_named_in_both_formats(model: Model, tmp_path: Path, rows: pa.Table) -> None:
    less = rows.drop_columns(["loan_id", "city"])
    for source in (write_parquet(tmp_path / "a.parquet", less), write_csv(tmp_path / "a.csv", less)):
        with pytest.raises(ColumnsMissing, match="the rows lack columns loan_id, city") as caught:
            predict_file(model, source, tmp_path / "out.parquet")
        assert caught.value.exit_code == 65


BROKEN: list[Any] = [
    pytest.param(b"loan_id,amount,age,city,owner\n1,much,3,Rome,t\n", 'column "amount": .*much', id="text as number"),
    pytest.param(b"loan_id,amount,age,city,owner\n1.5,1,3,Rome,t\n", 'column "loan_id": ', id="fraction as key"),
    pytest.param(b"loan_id,amount,age,city,owner\n1,1,3,Rome,maybe\n", 'column "owner": .*maybe', id="word as bool"),
    pytest.param(b"loan_id,amount,age,city,owner\n1,1,3,Rome\n", "Expected 5 columns, got 4", id="short line"),
    pytest.param(b"loan_id,amount,age,city,owner,age\n1,1,3,Rome,t,3\n", "two columns named age", id="doubled column"),
    pytest.param(b"", "it is empty", id="empty file"),
    pytest.param(b"\xff\xfe\x00", "no CSV file in UTF-8", id="UTF-16"),
    pytest.param(b"loan_id,amount,age,city,owner\n1,1,3,\xff\xfe,t\n", "(?i)utf-?8", id="latin cell"),
]


@pytest.mark.parametrize(("body", "reason"), BROKEN)
def test_broken_csv_is_a_data_error_with_the_place(model: Model, tmp_path: Path, body: bytes, reason: str) -> None:
    (tmp_path / "rows.csv").write_bytes(body)
    with pytest.raises(BadRows, match=reason) as caught:
        predict_file(model, tmp_path / "rows.csv", tmp_path / "out.parquet")
    assert caught.value.exit_code == 65
    assert str(tmp_path / "rows.csv") in caught.value.message


def test_a_cell_longer_than_a_block_is_a_data_error(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "BLOCK_BYTES", 1 << 20)
    (tmp_path / "rows.csv").write_text(f'loan_id,amount,age,city,owner\n1,1,3,"{"x" * (3 << 20)}",t\n')
    with pytest.raises(BadRows, match="a row is longer than 1 MiB"):
        predict_file(model, tmp_path / "rows.csv", tmp_path / "out.parquet")


def test_a_cut_parquet_file_is_a_data_error(model: Model, source: Path) -> None:
    body = source.read_bytes()
    for broken in (body[: len(body) // 2], b"", b"PAR1"):
        source.write_bytes(broken)
        with pytest.raises(BadRows):
            predict_file(model, source, source.with_name("out.parquet"))


def test_a_column_of_another_type_is_refused_by_name(model: Model, tmp_path: Path, rows: pa.Table) -> None:
    wrong = rows.set_column(rows.column_names.index("amount"), "amount", pa.array(["much"] * 300))
    with pytest.raises(BadRows, match='column "amount" is string; the model takes a number'):
        predict_file(model, write_parquet(tmp_path / "a.parquet", wrong), tmp_path / "out.parquet")


def test_rows_that_the_model_refuses_are_told_by_place(model: Model, tmp_path: Path, rows: pa.Table) -> None:
    wrong = rows.set_column(rows.column_names.index("amount"), "amount", pa.array([float("inf")] * 300))
    with pytest.raises(UnscorableRows, match=f"{VERSION} cannot score rows 1 to 300: .*infinity") as caught:
        predict_file(model, write_parquet(tmp_path / "a.parquet", wrong), tmp_path / "out.parquet")
    assert caught.value.exit_code == 65


def test_own_code_that_exits_while_it_scores_is_told_by_place(tmp_path: Path, source: Path) -> None:
    with importable(tmp_path / "packages"):
        model = promoted(tmp_path, model={"estimator": "acmebank.models:careful", "params": {"fails": "exit later"}})
        with pytest.raises(UnscorableRows, match=r"rows 1 to 300: code of acmebank fails at models\.py .*SystemExit"):
            predict_file(model, source, tmp_path / "out.parquet")


NAMES: list[Any] = [
    pytest.param("gone.parquet", "out.parquet", NoInput, "is not there", id="no input"),
    pytest.param(".", "out.parquet", NoInput, "is a folder", id="input a folder"),
    pytest.param("rows.txt", "out.parquet", NoInput, "neither .parquet nor .csv", id="other input"),
    pytest.param("rows.parquet", "rows.parquet", BadOutput, "is the input", id="input as output"),
    pytest.param("rows.parquet", "hard.parquet", BadOutput, "is the input", id="hard link of the input"),
    pytest.param("rows.parquet", "soft.parquet", BadOutput, "is the input", id="symbolic link to the input"),
    pytest.param("rows.parquet", "out.txt", BadOutput, "named neither .parquet nor .csv", id="text output"),
    pytest.param("rows.parquet", "no/out.parquet", BadOutput, "there is no folder", id="no folder"),
    pytest.param("rows.parquet", ".", BadOutput, "is a folder", id="output a folder"),
]


@pytest.mark.parametrize(("given", "wanted", "kind", "reason"), NAMES)
def test_names_that_cannot_be_are_config_errors(
    model: Model, source: Path, given: str, wanted: str, kind: type[RefitError], reason: str
) -> None:
    folder = source.parent
    (folder / "rows.txt").touch()
    (folder / "hard.parquet").hardlink_to(source)
    (folder / "soft.parquet").symlink_to(source)
    before = source.read_bytes()
    with pytest.raises(kind, match=reason) as caught:
        predict_file(model, folder / given, folder / wanted)
    assert caught.value.exit_code == 64
    assert source.read_bytes() == before


def test_a_key_named_like_an_answer_is_refused(tmp_path: Path) -> None:
    table = loans().rename_columns(["version", "applied_at", "amount", "age", "city", "owner", "defaulted"])
    query = {"query": "SELECT * FROM loans", "key": ["version"], "cursor": "applied_at"}
    own = promoted(tmp_path, table, source=query)
    with pytest.raises(ConfigError, match="the key has a column named like one of prediction"):
        predict_file(own, write_parquet(tmp_path / "rows.parquet", table), tmp_path / "out.parquet")


# --- whole or not at all ------------------------------------------------------


def test_a_failure_leaves_an_older_output_and_nothing_else(
    model: Model, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = source.with_name("out.parquet")
    target.write_bytes(b"older")

    def fail(moment: str, name: str) -> None:
        if name == "write out.parquet":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(effects, "hook", fail)
    with pytest.raises(RefitError) as caught:
        predict_file(model, source, target)
    assert caught.value.exit_code == 74
    assert target.read_bytes() == b"older"
    assert sorted(path.name for path in source.parent.iterdir()) == ["out.parquet", "rows.parquet"]


def test_bad_rows_late_in_the_file_leave_no_output(model: Model, tmp_path: Path, rows: pa.Table) -> None:
    source = write_csv(tmp_path / "rows.csv", rows)
    with source.open("a") as text:
        text.write("1,oops,3,Rome,t\n")
    with pytest.raises(DataError):
        predict_file(model, source, tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_an_unreadable_input_is_an_access_error(model: Model, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_args: Any, **_options: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pq, "ParquetFile", denied)  # root may read anything
    with pytest.raises(AccessError):
        predict_file(model, source, source.with_name("out.parquet"))


@pytest.mark.parametrize(
    "arrow_type",
    [
        pa.int64(),
        pa.decimal128(12, 2),
        pa.timestamp("us", "UTC"),
        pa.timestamp("us"),
        pa.date32(),
        pa.string(),
        pa.bool_(),
    ],
    ids=str,
)
def test_a_types_name_gives_the_type(arrow_type: pa.DataType) -> None:
    assert type_named(str(arrow_type)) == arrow_type


def test_keys_of_several_types_come_back_from_csv(tmp_path: Path) -> None:
    table = loans()
    stamps = table["applied_at"]
    query = {"query": "SELECT * FROM loans", "key": ["loan_id", "applied_at"], "cursor": "applied_at"}
    own = promoted(tmp_path, table, source=query)
    lines = [f"{i},1,2,Rome,t,{stamps[i].as_py().isoformat(sep=' ')}" for i in range(3)]
    (tmp_path / "rows.csv").write_text("\n".join(["loan_id,amount,age,city,owner,applied_at", *lines]) + "\n")
    predict_file(own, tmp_path / "rows.csv", tmp_path / "out.parquet")
    out = pq.read_table(tmp_path / "out.parquet")
    assert out["applied_at"].to_pylist() == stamps.slice(0, 3).to_pylist()


def test_predictions_as_csv_say_what_those_in_parquet_say(model: Model, source: Path) -> None:
    predict_file(model, source, source.with_name("out.parquet"))
    assert predict_file(model, source, source.with_name("out.csv")).rows == 300
    expected = pq.read_table(source.with_name("out.parquet"))
    text = source.with_name("out.csv").read_text()
    assert text.startswith('"loan_id","prediction","probability_false","probability_true","version"\n9007199254740993,')
    types = {field.name: field.type for field in expected.schema}
    read = pa_csv.read_csv(source.with_name("out.csv"), convert_options=pa_csv.ConvertOptions(column_types=types))
    assert read.equals(expected)


def test_keys_of_any_type_are_written_as_csv(tmp_path: Path) -> None:
    table = loans()
    coded = pa.array([None if place % 3 else f'a,"{place}"' for place in range(len(table))])
    exact = pa.array([Decimal(place) / 4 for place in range(len(table))], pa.decimal128(12, 2))
    table = table.append_column("code", coded).append_column("exact", exact)
    features = {"numeric": {"columns": ["amount", "age"]}}
    key = ["code", "exact", "applied_at"]
    query = {"query": "SELECT * FROM loans", "key": key, "cursor": "applied_at"}
    own = promoted(tmp_path, table, source=query, features=features)
    predict_file(own, write_parquet(tmp_path / "rows.parquet", table.slice(0, 2)), tmp_path / "out.csv")
    first, second = (tmp_path / "out.csv").read_text().splitlines()[1:]
    assert first.startswith('"a,""0""",0.00,2026-01-01 00:00:00')
    assert second.startswith(",0.25,2026-01-01 01:00:00")


def test_a_model_tells_the_kinds_of_its_columns(model: Model) -> None:
    assert model.kinds == {"amount": "number", "age": "number", "city": "text", "owner": "bool"}

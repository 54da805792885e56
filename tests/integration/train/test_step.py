"""train on real parts in a real store, up to a model that is read back."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from refit.core.context import Context
from refit.core.domain import ExtractManifest
from refit.core.errors import ConfigError, DataError, RefitError
from refit.core.store import ObjectStore, open_store
from refit.data.reader import SnapshotReader
from refit.ml.frame import to_frame
from refit.ml.persist import CannotSave, ForbiddenType, load
from refit.train.step import train
from tests.fixtures.records import extract_manifest, file, put_manifest, put_run, run_record
from tests.fixtures.trained import START, Run, extracted, loans

TEXTBOOK = {
    "split": {"kind": "time", "holdout": 0.2},
    "features": {
        "numeric": {"columns": ["amount", "age"], "impute": "median", "outliers": "clip_3sigma", "scale": "standard"},
        "categorical": {"columns": ["city"]},
    },
    "model": {
        "estimator": "sklearn.linear_model.LogisticRegression",
        "params": {"max_iter": 1000},
        "class_weight": "balanced",
    },
    "evaluate": {"gate": [{"score": "roc_auc", "min_gain": 0.0}]},
}
TREES = {
    "model": {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": 20}, "seed": 3}
}


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}/store").under("loans/")


def with_column(rows: pa.Table, name: str, values: Any) -> pa.Table:
    index = rows.schema.get_field_index(name)
    column = values if isinstance(values, pa.Array) else pa.array(values)
    return rows.append_column(name, column) if index < 0 else rows.set_column(index, name, column)


@pytest.mark.parametrize("sections", [{}, TEXTBOOK, TREES], ids=["least file", "textbook", "trees"])
def test_the_manifest_tells_what_was_trained_on(store: ObjectStore, tmp_path: Path, sections: dict[str, Any]) -> None:
    rows = loans()
    run = extracted(store, tmp_path, rows, file(**sections))
    manifest = train(run.context())
    holdout = 0.2 if sections is TEXTBOOK else 0.25
    cut = START + (1 - holdout) * timedelta(hours=len(rows) - 1)
    assert manifest.trained_until == pytest.approx(cut, abs=timedelta(seconds=1))
    assert manifest.rows == sum(at <= manifest.trained_until for at in rows["applied_at"].to_pylist())
    assert manifest.trained_from == START
    assert manifest.classes == (False, True)
    assert set(manifest.columns) == {"amount", "age", "city"} | (set() if sections is TEXTBOOK else {"owner"})
    assert (manifest.task, manifest.target, manifest.trusted, manifest.warnings) == ("binary", "defaulted", (), ())
    assert manifest.environment["scikit-learn"]
    assert manifest.environment["python"]
    body = store.get(manifest.model.key)
    assert hashlib.sha256(body).hexdigest() == manifest.model.sha256


@pytest.mark.parametrize("sections", [{}, TEXTBOOK, TREES], ids=["least file", "textbook", "trees"])
def test_the_saved_model_ranks_held_out_rows(store: ObjectStore, tmp_path: Path, sections: dict[str, Any]) -> None:
    run = extracted(store, tmp_path, loans(), file(**sections))
    context = run.context()
    manifest = train(context)
    snapshot = context.manifest_of("extract", ExtractManifest).snapshot
    assert snapshot is not None
    reader = SnapshotReader(snapshot, context.pipeline, context.run.as_of, context.fetch)
    batches = [batch.table for batch in reader.rows([*manifest.columns, "defaulted"], "holdout")]
    rows = pa.Table.from_batches(batches)
    model = load(context.read(manifest.model))
    said = model.predict_proba(to_frame(rows, manifest.columns))[:, 1]
    assert roc_auc_score(rows["defaulted"].to_numpy(), said) > 0.8


def test_a_seed_gives_the_same_bytes_again(store: ObjectStore, tmp_path: Path) -> None:
    run = extracted(store, tmp_path, loans(), file(**TREES))
    first, second = train(run.context()), train(run.context())
    assert first.attempt != second.attempt
    assert first.model.sha256 == second.model.sha256


def test_unlabelled_rows_are_left_out(store: ObjectStore, tmp_path: Path) -> None:
    rows = loans()
    labels = rows["defaulted"].to_pylist()
    labels[:100] = [None] * 100
    whole = train(extracted(store, tmp_path, rows, file(), "20260301t000000-aaaa").context())
    part = train(
        extracted(store, tmp_path, with_column(rows, "defaulted", labels), file(), "20260301t000000-bbbb").context()
    )
    assert part.rows == whole.rows - 100
    assert part.trained_from == START + timedelta(hours=100)


def test_a_hash_split_trains_up_to_its_newest_row(store: ObjectStore, tmp_path: Path) -> None:
    run = extracted(store, tmp_path, loans(), file(split={"kind": "hash", "holdout": 0.2}))
    manifest = train(run.context())
    assert 0.7 * 1200 < manifest.rows < 0.9 * 1200
    assert manifest.trained_until > START + timedelta(hours=1180)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(["yes", "no"], ("no", "yes")), ([0, 1], (0, 1)), ([1.0, 2.0], (1, 2))],
    ids=["text", "integers", "whole floats"],
)
def test_classes_of_any_type_are_kept(store: ObjectStore, tmp_path: Path, labels: list[Any], classes: Any) -> None:
    rows = loans()
    target = [labels[value] for value in rows["defaulted"].to_pylist()]
    manifest = train(extracted(store, tmp_path, with_column(rows, "defaulted", target), file()).context())
    assert manifest.classes == classes


def test_a_regression_is_trained(store: ObjectStore, tmp_path: Path) -> None:
    rows = with_column(loans(), "defaulted", np.linspace(1.0, 9.0, 1200))
    sections = {"task": "regression", "model": {"estimator": "sklearn.linear_model.Ridge"}}
    manifest = train(extracted(store, tmp_path, rows, file(**sections)).context())
    assert manifest.classes == ()
    assert manifest.task == "regression"


def test_warnings_and_dropped_outliers_are_recorded(store: ObjectStore, tmp_path: Path) -> None:
    rows = with_column(loans(), "empty", pa.nulls(1200, pa.float64()))
    amounts = rows["amount"].to_pylist()
    amounts[7] = 1e6
    numeric = {"columns": ["amount", "age", "empty"], "outliers": "drop_3sigma"}
    model = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 1}}
    run = extracted(
        store, tmp_path, with_column(rows, "amount", amounts), file(features={"numeric": numeric}, model=model)
    )
    manifest = train(run.context())
    empty, dropped, slow = manifest.warnings
    assert empty == '"empty" has no value in any training row'
    assert "training rows dropped: a value beyond 3 sigma" in dropped
    assert slow.startswith("ConvergenceWarning")


def test_progress_names_estimator_and_rows_and_what_is_done_with_them(store: ObjectStore, tmp_path: Path) -> None:
    said: list[str] = []
    manifest = train(replace(extracted(store, tmp_path, loans(), file()).context(), report=said.append))
    assert said == [
        "reads its rows",
        f"LogisticRegression on {manifest.rows:,} rows",
        "saves the model, and reads it back",
    ]


# --- a part of the rows -------------------------------------------------------


def test_a_part_of_the_rows_is_trained_on_and_told(store: ObjectStore, tmp_path: Path) -> None:
    said: list[str] = []
    model = {"estimator": "sklearn.linear_model.LogisticRegression", "sample": {"rows": 300}}
    context = extracted(store, tmp_path, loans(), file(model=model)).context()
    manifest = train(replace(context, report=said.append))
    assert manifest.rows == 300
    assert manifest.rows_there is not None
    assert f"LogisticRegression on 300 of {manifest.rows_there:,} rows" in said
    again = train(context)
    assert again.model.sha256 == manifest.model.sha256
    assert train(extracted_with(store, tmp_path, {**model, "seed": 1})).model.sha256 != manifest.model.sha256


def test_a_part_as_large_as_the_rows_changes_nothing(store: ObjectStore, tmp_path: Path) -> None:
    model = {"estimator": "sklearn.linear_model.LogisticRegression"}
    whole = train(extracted_with(store, tmp_path, model))
    part = train(extracted_with(store, tmp_path, {**model, "sample": {"rows": 100_000}}, "20260301t000000-cccc"))
    assert part.rows == part.rows_there == whole.rows == whole.rows_there
    assert part.model.sha256 == whole.model.sha256


def extracted_with(
    store: ObjectStore, tmp_path: Path, model: dict[str, Any], run_id: str = "20260301t000000-bbbb"
) -> Context:
    return extracted(store, tmp_path, loans(), file(model=model), run_id).context()


# --- refused ------------------------------------------------------------------

REFUSED = [
    pytest.param(
        {"defaulted": [True] * 1200}, {}, DataError, "all .* training rows have the class True", id="one class"
    ),
    pytest.param(
        {"defaulted": [i % 3 for i in range(1200)]}, {}, DataError, "it has 3 classes: 0, 1, 2", id="three classes"
    ),
    pytest.param({"defaulted": pa.nulls(1200, pa.bool_())}, {}, DataError, "defaulted is NULL in all", id="no label"),
    pytest.param(
        {"defaulted": [float("nan"), 1.0] * 600},
        {"task": "regression", "model": {"estimator": "sklearn.linear_model.Ridge"}},
        DataError,
        'target "defaulted" cannot be used for regression: .* NaN or infinity',
        id="NaN in the target",
    ),
    pytest.param({"amount": [float("inf")] * 1200}, {}, DataError, "infinity", id="infinity in a feature"),
    pytest.param({}, {"features": {"numeric": {"columns": ["gone"]}}}, DataError, "lacks gone", id="feature gone"),
    pytest.param(
        {}, {"features": {"numeric": {"columns": ["city"]}}}, DataError, '"city", which is text', id="text as number"
    ),
    pytest.param(
        {},
        {"model": {"estimator": "sklearn.linear_model.Logistic"}},
        ConfigError,
        "has no Logistic; did you",
        id="estimator",
    ),
    pytest.param(
        {},
        {"model": {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_itr": 9}}},
        ConfigError,
        "takes no max_itr; did you mean max_iter",
        id="params",
    ),
    pytest.param(
        {},
        {"model": {"estimator": "sklearn.neighbors.KNeighborsClassifier", "params": {"n_neighbors": 5000}}},
        DataError,
        "Expected n_neighbors <= n_samples",
        id="more neighbours than rows",
    ),
    pytest.param(
        {},
        {"split": {"kind": "time", "holdout": "400d"}},
        DataError,
        "none up to .*, where the holdout begins",
        id="no rows",
    ),
]


@pytest.mark.parametrize(("columns", "sections", "kind", "reason"), REFUSED)
def test_what_cannot_be_trained_is_refused_with_its_reason(
    store: ObjectStore,
    tmp_path: Path,
    columns: dict[str, Any],
    sections: dict[str, Any],
    kind: type[RefitError],
    reason: str,
) -> None:
    rows = loans()
    for name, values in columns.items():
        rows = with_column(rows, name, values)
    run = extracted(store, tmp_path, rows, file(**sections))
    with pytest.raises(kind, match=reason):
        train(run.context())
    assert list(store.list(f"runs/{run.run_id}/train")) == []


def test_a_skipped_extract_leaves_nothing_to_train_on(store: ObjectStore, tmp_path: Path) -> None:
    run = run_record("20260301t000000-aaaa", as_of=datetime.fromisoformat("2026-03-01T00:00:00Z"))
    put_run(store, run)
    put_manifest(store, extract_manifest(run.run_id, skipped=True, snapshot=None))
    with pytest.raises(DataError, match="the run was skipped"):
        train(Run(store, run.run_id, tmp_path).context())


# --- estimators of one's own --------------------------------------------------

OWN = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

class Half:
    def __init__(self, share):
        self.share = share

class Own(ClassifierMixin, BaseEstimator):
    def __init__(self, trap=False):
        self.trap = trap

    def fit(self, X, y):
        self.classes_, self.half_ = np.unique(y), Half(float(np.mean(X)))
        if self.trap:
            self.trap_ = lambda value: value
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))
"""


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "ownpackage").mkdir()
    (tmp_path / "ownpackage" / "__init__.py").touch()
    (tmp_path / "ownpackage" / "models.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "ownpackage.models.Own"


def test_types_of_the_estimators_own_package_are_trusted_by_name(
    store: ObjectStore, tmp_path: Path, own_package: str
) -> None:
    run = extracted(store, tmp_path, loans(), file(model={"estimator": own_package}))
    context = run.context()
    manifest = train(context)
    assert manifest.trusted == ("ownpackage.models.Half", "ownpackage.models.Own")
    body = context.read(manifest.model)
    assert load(body, manifest.trusted)[-1].half_.share is not None
    with pytest.raises(ForbiddenType, match=r"ownpackage\.models\.Half"):
        load(body)


def test_an_estimator_that_keeps_a_lambda_is_refused(store: ObjectStore, tmp_path: Path, own_package: str) -> None:
    model = {"estimator": own_package, "params": {"trap": True}}
    with pytest.raises(CannotSave, match="lambda"):
        train(extracted(store, tmp_path, loans(), file(model=model)).context())

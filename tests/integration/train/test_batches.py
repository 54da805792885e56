"""train by partial_fit over batches of real parts in a real store, also when an attempt is interrupted."""

import resource
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from refit.core import effects
from refit.core.artifacts import describe
from refit.core.context import Context
from refit.core.domain import BatchFit, ExtractManifest, TrainManifest
from refit.core.effects import Moment
from refit.core.errors import ConfigError, DataError, DiskError, RefitError
from refit.core.store import ObjectStore, open_store
from refit.data.reader import SnapshotReader
from refit.ml.fitting import fitted
from refit.ml.frame import to_frame
from refit.ml.persist import dump, load
from refit.train.step import train
from tests.fixtures.records import file
from tests.fixtures.trained import START, extracted, loans

LINEAR = {"estimator": "sklearn.linear_model.SGDClassifier", "params": {"loss": "log_loss"}}
BATCHES = {"passes": 2, "batch_rows": 150, "checkpoint_rows": 400}
IN_BATCHES = LINEAR | {"incremental": BATCHES}
ROWS = 900  # of 1,200, before the holdout


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}/store").under("loans/")


@pytest.fixture(autouse=True)
def no_hook() -> Iterator[None]:
    yield
    effects.hook = lambda moment, name: None


def context(
    store: ObjectStore,
    folder: Path,
    model: dict[str, Any] = IN_BATCHES,
    rows: pa.Table | None = None,
    run_id: str = "20260301t000000-aaaa",
    **sections: Any,
) -> Context:
    """An attempt of a run that has extracted the rows."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return extracted(store, scratch, loans() if rows is None else rows, file(model=model, **sections), run_id).context()


def held_out(context: Context, manifest: TrainManifest) -> tuple[Any, pa.Table]:
    """The model as it stands in the store, and the rows that it was not trained on."""
    snapshot = context.manifest_of("extract", ExtractManifest).snapshot
    assert snapshot is not None
    reader = SnapshotReader(snapshot, context.pipeline, context.run.as_of, context.fetch)
    batches = [batch.table for batch in reader.rows([*manifest.columns, "defaulted"], "holdout")]
    return load(context.read(manifest.model)), pa.Table.from_batches(batches)


def test_the_manifest_tells_how_it_was_fitted(store: ObjectStore, tmp_path: Path) -> None:
    said: list[str] = []
    attempt = replace(context(store, tmp_path), report=said.append)
    manifest = train(attempt)
    assert manifest.batches == BatchFit(passes=2, batches=12, learned_on=ROWS, checkpoints=4)
    assert (manifest.rows, manifest.rows_there, manifest.trained_from) == (ROWS, ROWS, START)
    assert manifest.classes == (False, True)
    assert manifest.warnings == ()
    assert said == [
        "reads and shuffles its rows",
        "SGDClassifier on 900 rows in 6 batches, 2 passes",
        "pass 2/2, 900 of 900 rows",
        "saves the model, and reads it back",
    ]
    whole = train(context(store, tmp_path, LINEAR, run_id="20260301t000000-bbbb"))
    assert (whole.trained_from, whole.trained_until) == (manifest.trained_from, manifest.trained_until)
    assert whole.batches is None
    assert list(attempt.folder.iterdir()) == []


@pytest.mark.parametrize(
    "model",
    [
        LINEAR | {"incremental": True},
        LINEAR | {"incremental": True, "class_weight": "balanced"},
        {"estimator": "sklearn.neural_network.MLPClassifier", "incremental": {"batch_rows": 300, "passes": 40}},
        {"estimator": "sklearn.naive_bayes.GaussianNB", "incremental": True},
    ],
    ids=["linear", "weighted", "neural network", "naive Bayes"],
)
def test_a_model_of_two_classes_ranks_held_out_rows(store: ObjectStore, tmp_path: Path, model: dict[str, Any]) -> None:
    features = {"numeric": {"columns": ["amount", "age", "owner"]}}
    gate = {"gate": [{"score": "roc_auc", "min_gain": 0.0}]}
    attempt = context(store, tmp_path, model, features=features, evaluate=gate)
    estimator, rows = held_out(attempt, train(attempt))
    said = estimator.predict_proba(to_frame(rows, ["amount", "age", "owner"]))[:, 1]
    assert roc_auc_score(rows["defaulted"].to_numpy(), said) > 0.8


def test_a_model_of_several_classes_knows_all_of_them(store: ObjectStore, tmp_path: Path) -> None:
    rows = loans()
    amount = rows["amount"].fill_null(0.0).to_numpy()
    labels = np.array(["low", "middle", "high"])[np.digitize(amount, [-1.2, 1.2])]
    rows = rows.set_column(rows.schema.get_field_index("defaulted"), "defaulted", pa.array(labels))
    attempt = context(store, tmp_path, rows=rows, task="multiclass")
    manifest = train(attempt)
    assert manifest.classes == ("high", "low", "middle")
    estimator, rows = held_out(attempt, manifest)
    right = estimator.predict(to_frame(rows, manifest.columns)) == rows["defaulted"].to_numpy(zero_copy_only=False)
    assert right.mean() > 0.8


def test_a_regression_follows_its_target(store: ObjectStore, tmp_path: Path) -> None:
    rows = loans()
    target = pa.array(3 * rows["amount"].fill_null(0.0).to_numpy() + 1)
    rows = rows.set_column(rows.schema.get_field_index("defaulted"), "defaulted", target)
    model = {"estimator": "sklearn.linear_model.SGDRegressor", "incremental": True}
    attempt = context(store, tmp_path, model, rows, task="regression", features={"numeric": {"columns": ["amount"]}})
    manifest = train(attempt)
    assert manifest.classes == ()
    estimator, rows = held_out(attempt, manifest)
    assert r2_score(rows["defaulted"].to_numpy(), estimator.predict(to_frame(rows, ["amount"]))) > 0.95


def test_the_same_rows_give_the_same_bytes_however_they_lie_in_parts(store: ObjectStore, tmp_path: Path) -> None:
    rows = loans()
    mixed = rows.take(np.random.default_rng(1).permutation(len(rows)))
    first, second = (train(context(store, tmp_path, rows=rows, run_id=f"20260301t000000-aaa{n}")) for n in "ab")
    other = train(context(store, tmp_path, rows=mixed, run_id="20260301t000000-aaac"))
    assert first.model.sha256 == second.model.sha256 == other.model.sha256
    seeded = train(context(store, tmp_path, IN_BATCHES | {"seed": 1}, run_id="20260301t000000-aaad"))
    assert seeded.model.sha256 != first.model.sha256


OWN = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Counts:
    def __init__(self):
        self.of_class = {}

class Majority(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        return self.partial_fit(X, y)

    def partial_fit(self, X, y):
        if not hasattr(self, "counts_"):
            self.counts_ = Counts()
        for label, count in zip(*np.unique(y, return_counts=True)):
            self.counts_.of_class[str(label)] = self.counts_.of_class.get(str(label), 0) + int(count)
        self.classes_ = np.array([False, True])
        return self

    def predict(self, X):
        return np.full(X.shape[0], max(self.counts_.of_class, key=self.counts_.of_class.get) == "True")
"""


def test_an_estimator_of_ones_own_learns_in_batches_and_is_kept_between_them(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "countbank").mkdir()
    (tmp_path / "countbank" / "__init__.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    attempt = context(store, tmp_path, {"estimator": "countbank.Majority", "incremental": BATCHES})
    manifest = train(attempt)
    assert manifest.trusted == ("countbank.Counts", "countbank.Majority")
    assert manifest.batches is not None
    assert manifest.batches.checkpoints == 4
    counts = load(attempt.read(manifest.model), manifest.trusted)[-1].counts_.of_class
    assert sum(counts.values()) == 2 * ROWS


# --- interrupted --------------------------------------------------------------


class Killed(BaseException):
    """Ends an attempt where a signal would."""


def kill(moment: Moment, effect: str) -> None:
    """The next attempt ends there."""

    def hook(now: Moment, name: str) -> None:
        if now == moment and name.startswith(effect.split()[0]) and name.endswith(effect.split()[1]):
            raise Killed

    effects.hook = hook


@pytest.mark.parametrize(
    ("moment", "effect", "resumed_from"),
    [
        ("before", "put checkpoint-1.skops", None),
        ("before", "create checkpoint-1.json", None),
        ("after", "create checkpoint-1.json", 1),
        ("before", "create checkpoint-3.json", 2),
        ("after", "create checkpoint-4.json", 4),
        ("before", "put model.skops", 4),
    ],
)
def test_an_attempt_after_one_that_was_killed_comes_to_the_same_bytes(
    store: ObjectStore, tmp_path: Path, moment: Moment, effect: str, resumed_from: int | None
) -> None:
    whole = train(context(store, tmp_path))
    attempt = context(store, tmp_path, run_id="20260301t000000-bbbb")
    kill(moment, effect)
    with pytest.raises(Killed):
        train(attempt)
    effects.hook = lambda moment, name: None
    assert list(attempt.folder.iterdir()) == []
    again = train(replace(attempt, attempt="another", number=2))
    assert again.batches is not None
    assert again.batches.resumed_from == resumed_from
    assert again.model.sha256 == whole.model.sha256


def test_an_attempt_that_was_thought_dead_goes_on_beside_the_next_to_the_same_bytes(
    store: ObjectStore, tmp_path: Path
) -> None:
    attempt = context(store, tmp_path)
    made: list[TrainManifest] = []

    def hook(moment: Moment, name: str) -> None:
        if moment == "before" and name.endswith("checkpoint-2.json"):
            effects.hook = lambda moment, name: None
            made.append(train(replace(attempt, attempt="another", number=2)))

    effects.hook = hook
    slow = train(attempt)
    (fast,) = made
    assert fast.batches is not None
    assert fast.batches.resumed_from == 1
    assert slow.model.sha256 == fast.model.sha256


def test_a_model_that_is_made_again_where_nothing_is_kept_has_the_same_bytes(
    store: ObjectStore, tmp_path: Path
) -> None:
    """As evaluate makes one whose file is gone."""
    attempt = context(store, tmp_path)
    manifest, snapshot = train(attempt), attempt.manifest_of("extract", ExtractManifest).snapshot
    assert snapshot is not None
    reader = SnapshotReader(snapshot, attempt.pipeline, attempt.run.as_of, attempt.fetch)
    made = fitted(reader, snapshot.columns, lambda text: None)
    assert describe(manifest.model.key, dump(made.steps)) == manifest.model


# --- refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "values", "sections", "kind", "reason"),
    [
        (
            {"estimator": "sklearn.linear_model.LogisticRegression", "incremental": True},
            None,
            {},
            ConfigError,
            "LogisticRegression has no partial_fit",
        ),
        (IN_BATCHES, [True] * 1200, {}, DataError, "all 900 training rows have the class True"),
        (IN_BATCHES, [n % 3 for n in range(1200)], {}, DataError, "it has 3 classes: 0, 1, 2"),
        (
            IN_BATCHES,
            list(range(1200)) * 2,
            {"task": "multiclass"},
            DataError,
            "it has 1,800 classes in 1,800 training rows",
        ),
        (IN_BATCHES, pa.nulls(1200, pa.bool_()), {}, DataError, "defaulted is NULL in all"),
        (
            {"estimator": "sklearn.linear_model.SGDRegressor", "incremental": True},
            [float("nan"), 1.0] * 600,
            {"task": "regression"},
            DataError,
            "NaN or infinity",
        ),
    ],
    ids=["no partial_fit", "one class", "three classes", "too many classes", "no label", "NaN in the target"],
)
def test_what_cannot_be_trained_is_refused_with_its_reason(
    store: ObjectStore,
    tmp_path: Path,
    model: dict[str, Any],
    values: Any,
    sections: dict[str, Any],
    kind: type[RefitError],
    reason: str,
) -> None:
    rows = loans(1200 if values is None else len(values))
    if values is not None:
        rows = rows.set_column(
            rows.schema.get_field_index("defaulted"),
            "defaulted",
            values if isinstance(values, pa.Array) else pa.array(values),
        )
    if sections.get("task") == "multiclass":
        rows = rows.set_column(
            rows.schema.get_field_index("defaulted"), "defaulted", pa.array(range(len(values)), pa.int64())
        )
    attempt = context(store, tmp_path, model, rows, **sections)
    with pytest.raises(kind, match=reason):
        train(attempt)
    assert list(store.list(f"runs/{attempt.run.run_id}/train")) == []
    assert list(attempt.folder.iterdir()) == []


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process grows beyond 8 KiB."""
    old, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 13, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, old)


def test_a_temporary_folder_that_takes_nothing_more_is_a_disk_error(
    store: ObjectStore, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    attempt = context(store, tmp_path)
    request.getfixturevalue("small_files")
    with pytest.raises(DiskError, match=r"cannot write shuffled-rows in .*: File too large"):
        train(attempt)
    assert list(attempt.folder.iterdir()) == []


def test_warnings_of_columns_and_outliers_are_recorded(store: ObjectStore, tmp_path: Path) -> None:
    rows = loans().append_column("empty", pa.nulls(1200, pa.float64()))
    amounts = rows["amount"].to_pylist()
    amounts[7] = 1e6
    rows = rows.set_column(rows.schema.get_field_index("amount"), "amount", pa.array(amounts))
    numeric = {"columns": ["amount", "age", "empty"], "outliers": "drop_3sigma"}
    manifest = train(context(store, tmp_path, rows=rows, features={"numeric": numeric}))
    assert manifest.warnings[:2] == (
        '"empty" has no value in any training row',
        "1 of 900 training rows dropped: a value beyond 3 sigma",
    )
    assert (manifest.rows, manifest.rows_there) == (ROWS - 1, ROWS)

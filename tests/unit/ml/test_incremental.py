"""Which estimators are fitted batch by batch, and that a fit comes to the same bytes however it was interrupted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline as Steps

from refit.core.config import Pipeline
from refit.core.domain import Column
from refit.data.shuffle import deal
from refit.ml import incremental
from refit.ml.batches import DealtRows
from refit.ml.estimator import BadParameter, UnfitRows
from refit.ml.features import plan, transformer
from refit.ml.incremental import BatchFitted, Keeper, State, fit
from refit.ml.persist import dump
from tests.fixtures.trained import START
from tests.unit.ml.files import pipeline

COLUMNS = [
    Column(name="amount", database_type="double precision", type="double"),
    Column(name="city", database_type="text", type="string"),
]
BATCHES = {"passes": 2, "batch_rows": 150, "checkpoint_rows": 300}
UNKEPT = BATCHES | {"checkpoint_rows": 9999}
LABELS = {"binary": [False, True], "multiclass": ["high", "low", "middle"], "regression": None}


def file(task: str = "binary", batches: dict[str, Any] | None = None, **keys: Any) -> Pipeline:
    """A file that asks for a fit in batches; the estimator is given by the tests."""
    model = {key: keys.pop(key) for key in ("class_weight", "seed") if key in keys}
    return pipeline(task=task, model={"estimator": "a.B", "incremental": batches or BATCHES, **model}, **keys)


def rows(labels: Any, n: int = 600) -> pa.RecordBatch:
    """Rows whose target follows amount and city, with gaps in both; their labels, or numbers."""
    rng = np.random.default_rng(0)
    amount, city = rng.normal(size=n), rng.choice(["Rome", "Oslo", "Bern"], n, p=[0.5, 0.47, 0.03])
    y = amount + (city == "Rome") + 0.3 * rng.normal(size=n)
    ranks = np.clip((y + 1).astype(int), 0, len(labels) - 1) if labels else y
    return pa.RecordBatch.from_pydict(
        {
            "loan_id": pa.array(range(n)),
            "amount": pa.array(amount, mask=rng.random(n) < 0.05),
            "city": pa.array(city, mask=rng.random(n) < 0.05),
            "defaulted": pa.array([labels[rank] for rank in ranks] if labels else y),
        }
    )


def dealt(found: Pipeline, table: pa.RecordBatch, folder: Path) -> DealtRows:
    shuffled = deal(
        [table], ["amount", "city", "defaulted"], ["loan_id"], found.model.seed, len(table), folder / "rows"
    )
    counted = table.column("defaulted").value_counts().to_pylist() if found.task != "regression" else []
    classes = {one["values"]: one["counts"] for one in sorted(counted, key=lambda one: one["values"])}
    return DealtRows(shuffled, ("amount", "city"), found.task, "defaulted", classes, START, START, ())


def fitted(
    found: Pipeline,
    estimator: Any,
    folder: Path,
    keeper: Keeper | None = None,
    told: list[str] | None = None,
    n: int = 600,
) -> BatchFitted:
    """The estimator behind the file's features, fitted on `n` rows."""
    features = transformer(plan(found, COLUMNS), sparse=True, takes_nan=False)
    given = dealt(found, rows(LABELS[found.task], n), folder)
    tell = (lambda text: None) if told is None else told.append
    return fit(Steps([("features", features), ("model", estimator)]), given, found, keeper or Keeper(), tell)


class Seen(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Keeps what it is given; learns nothing."""

    given: ClassVar[list[tuple[Any, Any, dict[str, Any]]]] = []

    def fit(self, X: Any, y: Any) -> "Seen":
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> "Seen":
        self.given.append((X, y, {"classes": classes, "sample_weight": sample_weight}))
        self.classes_ = np.array([False, True])
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(X.shape[0], dtype=bool)


@pytest.fixture
def seen() -> Iterator[list[tuple[Any, Any, dict[str, Any]]]]:
    Seen.given.clear()
    yield Seen.given
    Seen.given.clear()


# --- what the estimator gets --------------------------------------------------


def test_every_row_is_learned_from_in_each_pass_and_in_another_order(tmp_path: Path, seen: list[Any]) -> None:
    found = file(
        features={"numeric": {"columns": ["amount"], "scale": "none"}}, batches={"passes": 3, "batch_rows": 90}
    )
    made = fitted(found, Seen(), tmp_path)
    assert (made.rows, made.fit.passes, made.fit.batches, made.fit.learned_on) == (600, 3, 21, 600)
    batches = [X[:, 0] for X, _, _ in seen]
    assert {len(batch) for batch in batches} == {85, 86}
    passes = [np.concatenate(batches[start : start + 7]) for start in (0, 7, 14)]
    expected = np.sort(rows(LABELS["binary"])["amount"].drop_null().to_numpy())
    for values in passes:
        assert np.isin(expected, values).all()
        assert len(values) == 600
        assert (np.sort(values) == np.sort(passes[0])).all()
    assert not (passes[0] == passes[1]).all()
    assert not (passes[1] == passes[2]).all()


def test_all_classes_are_named_to_the_first_batch_alone(tmp_path: Path, seen: list[Any]) -> None:
    fitted(file(batches=UNKEPT), Seen(), tmp_path)
    assert seen[0][2]["classes"].tolist() == [False, True]
    assert {given[2]["classes"] is None for given in seen[1:]} == {True}


@pytest.mark.parametrize("weights", ["balanced", {True: 3.0}], ids=["balanced", "a mapping"])
def test_class_weights_reach_an_estimator_as_weights_of_rows(tmp_path: Path, seen: list[Any], weights: Any) -> None:
    fitted(file(class_weight=weights, batches=UNKEPT), Seen(), tmp_path)
    y = np.concatenate([given[1] for given in seen])
    weighed = np.concatenate([given[2]["sample_weight"] for given in seen])
    expected = (
        {True: 3.0, False: 1.0} if weights != "balanced" else {c: len(y) / (2 * (y == c).sum()) for c in (True, False)}
    )
    for label, weight in expected.items():
        assert weighed[y == label] == pytest.approx(weight)


def test_class_weights_reach_an_estimator_that_has_them_itself(tmp_path: Path) -> None:
    made = fitted(file(class_weight="balanced"), SGDClassifier(random_state=0), tmp_path)
    shares = np.bincount(rows(LABELS["binary"])["defaulted"].to_numpy(zero_copy_only=False))
    assert made.steps[-1].class_weight == pytest.approx({False: 600 / (2 * shares[0]), True: 600 / (2 * shares[1])})


def test_a_weight_of_no_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="class_weight names 'x'; the classes are"):
        fitted(file(class_weight={"x": 2}), SGDClassifier(), tmp_path)


def test_rows_beyond_three_sigma_are_dropped_and_told(tmp_path: Path, seen: list[Any]) -> None:
    found = file(
        features={"numeric": {"columns": ["amount"], "outliers": "drop_3sigma", "scale": "none"}},
        batches=UNKEPT,
    )
    made = fitted(found, Seen(), tmp_path, n=2000)
    amount = rows(LABELS["binary"], 2000)["amount"].drop_null().to_numpy()
    far = int((np.abs(amount - amount.mean()) > 3 * amount.std()).sum())
    assert far > 2
    assert (made.rows, made.fit.learned_on) == (2000 - far, 2000 - far)
    assert made.notes == (f"{far:,} of 2,000 training rows dropped: a value beyond 3 sigma",)
    assert sum(len(y) for _, y, _ in seen) == 2 * (2000 - far)


def test_the_features_learn_on_a_part_and_rare_classes_are_rare_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = file(features={"categorical": {"columns": ["city"], "min_frequency": 40}})
    whole = fitted(found, SGDClassifier(random_state=0), tmp_path)
    monkeypatch.setattr(incremental, "FEATURE_ROWS", 300)
    part = fitted(found, SGDClassifier(random_state=0), tmp_path)
    assert (whole.fit.learned_on, part.fit.learned_on) == (600, 300)
    encoders = [made.steps[0].named_transformers_["categorical"] for made in (whole, part)]
    assert [encoder.min_frequency for encoder in encoders] == [40, 20]
    for encoder in encoders:
        assert "Bern" in encoder.infrequent_categories_[0]
        assert "Rome" not in encoder.infrequent_categories_[0]


def test_sparse_features_stay_sparse(tmp_path: Path, seen: list[Any]) -> None:
    fitted(file(features={"categorical": {"columns": ["city"], "min_frequency": 1}}), SGDClassifier(), tmp_path)
    wide = rows(LABELS["binary"]).set_column(2, "city", pa.array([f"c{i % 50}" for i in range(600)]))
    found = file(
        features={"categorical": {"columns": ["city"], "min_frequency": 1}},
        batches=UNKEPT,
    )
    features = transformer(plan(found, COLUMNS), sparse=True, takes_nan=False)
    fit(
        Steps([("features", features), ("model", Seen())]),
        dealt(found, wide, tmp_path),
        found,
        Keeper(),
        lambda text: None,
    )
    assert {type(X).__name__ for X, _, _ in seen} <= {"csr_matrix", "csr_array"}


def test_rows_that_the_estimator_refuses_are_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(UnfitRows, match="Negative values in data"):
        fitted(file(), MultinomialNB(), tmp_path)


# --- kept and taken up again --------------------------------------------------

ESTIMATORS = {
    "SGD with weights": ("binary", SGDClassifier(loss="log_loss", random_state=1), "balanced"),
    "averaged SGD of several classes": ("multiclass", SGDClassifier(average=True, random_state=1), "balanced"),
    "SGD regressor": ("regression", SGDRegressor(random_state=1), "none"),
    "MLP by adam": ("multiclass", MLPClassifier((8,), random_state=1), "balanced"),
    "MLP by momentum": ("regression", MLPRegressor(hidden_layer_sizes=(8,), solver="sgd", random_state=1), "none"),
    "naive Bayes": ("multiclass", GaussianNB(), "none"),
}
DENSE = {"numeric": {"columns": ["amount"]}}


@pytest.mark.parametrize(("task", "estimator", "weights"), ESTIMATORS.values(), ids=list(ESTIMATORS))
def test_a_fit_that_is_taken_up_from_any_checkpoint_comes_to_the_same_bytes(
    tmp_path: Path, task: str, estimator: Any, weights: str
) -> None:
    kept: list[State] = []
    found = file(task, features=DENSE, class_weight=weights)

    def keep(state: State) -> State:
        kept.append(state)
        return state

    def anew(keeper: Keeper) -> BatchFitted:
        return fitted(found, estimator.__class__(**estimator.get_params()), tmp_path, keeper)

    whole = anew(Keeper(keep))
    assert [state.number for state in kept] == [1, 2, 3] == list(range(1, whole.fit.checkpoints + 1))
    body = dump(whole.steps)
    assert dump(anew(Keeper()).steps) == body
    for state in (kept[0], kept[-1]):
        again = anew(Keeper(newest=state))
        assert dump(again.steps) == body
        assert again.fit == whole.fit.model_copy(update={"resumed_from": state.number})
        assert (again.rows, again.notes) == (whole.rows, whole.notes)


def test_a_fit_goes_on_with_the_state_that_another_attempt_kept_first(tmp_path: Path) -> None:
    found, other = file(), file(seed=9)
    theirs: list[State] = []

    def keep(state: State) -> State:
        theirs.append(state)
        return state

    expected = fitted(other, SGDClassifier(random_state=9), tmp_path, Keeper(keep))
    standing = {state.number: state for state in theirs}
    made = fitted(found, SGDClassifier(random_state=1), tmp_path, Keeper(lambda state: standing[state.number]))
    assert made.steps[-1].random_state == 9  # the model is theirs from the first checkpoint on
    assert made.fit.checkpoints == expected.fit.checkpoints


def test_dropped_rows_and_warnings_are_told_by_the_attempt_that_ends_the_fit_too(tmp_path: Path) -> None:
    kept: list[State] = []
    found = file(features={"numeric": {"columns": ["amount"], "outliers": "drop_3sigma"}})

    def keep(state: State) -> State:
        kept.append(replace(state, warnings=("UserWarning: told before",)))
        return kept[-1]

    whole = fitted(found, SGDClassifier(random_state=0), tmp_path, Keeper(keep))
    again = fitted(found, SGDClassifier(random_state=0), tmp_path, Keeper(newest=kept[-1]))
    assert whole.notes == again.notes
    assert "training rows dropped" in again.notes[0]
    assert again.notes[1] == "UserWarning: told before"


def test_no_state_is_kept_after_the_last_batch(tmp_path: Path) -> None:
    kept: list[int] = []

    def keep(state: State) -> State:
        kept.append(state.rows)
        return state

    made = fitted(
        file(batches={"passes": 2, "batch_rows": 300, "checkpoint_rows": 300}), SGDClassifier(), tmp_path, Keeper(keep)
    )
    assert (kept, made.fit.checkpoints) == ([300, 600, 900], 3)


def test_progress_is_told_in_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "TOLD_ROWS", 500)
    said: list[str] = []
    kept: list[State] = []

    def keep(state: State) -> State:
        kept.append(state)
        return state

    fitted(
        file(batches={"passes": 2, "batch_rows": 90, "checkpoint_rows": 400}),
        SGDClassifier(),
        tmp_path,
        Keeper(keep),
        told=said,
    )
    assert said == [
        "SGDClassifier on 600 rows in 7 batches, 2 passes",
        "pass 1/2, 514 of 600 rows",
        "pass 2/2, 428 of 600 rows",
        "pass 2/2, 600 of 600 rows",
    ]
    said.clear()
    fitted(
        file(batches={"passes": 2, "batch_rows": 90, "checkpoint_rows": 400}),
        SGDClassifier(),
        tmp_path,
        Keeper(newest=kept[-1]),
        told=said,
    )
    assert said[1:] == [
        "goes on from checkpoint 2, after 857 rows",
        "pass 2/2, 428 of 600 rows",
        "pass 2/2, 600 of 600 rows",
    ]

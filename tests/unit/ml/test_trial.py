"""One combination on one fold."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import get_scorer
from sklearn.model_selection import cross_val_score

from refit.core import logs
from refit.ml import estimator
from refit.ml.trial import Answer, Ground, Trial, attempt, attempt_stored, means_something, store
from tests.fixtures.searches import LOGISTIC, ground
from tests.fixtures.trained import loans

FEATURES = {"numeric": {"columns": ["amount", "age"], "outliers": "clip_3sigma"}, "categorical": {"columns": ["city"]}}


def answers(of: Ground, combination: int = 0, rows: int | None = None) -> list[Answer]:
    folds = range(of.folds.count)
    return [attempt(of, Trial(combination, fold, len(of.y) if rows is None else rows)) for fold in folds]


def by_scikit_learn(of: Ground, params: dict[str, Any]) -> list[float]:
    model = of.pipeline.model.model_copy(update={"params": {**of.pipeline.model.params, **params}})
    steps = estimator.build(of.pipeline.model_copy(update={"model": model}), of.columns)
    folds = [of.folds.rows(fold, of.y) for fold in range(of.folds.count)]
    found: list[float] = cross_val_score(steps, of.X, of.y, scoring=of.scoring, cv=folds, error_score="raise").tolist()
    return found


def with_target(values: Any) -> pa.Table:
    table = loans()
    return table.set_column(table.schema.get_field_index("defaulted"), "defaulted", pa.array(values))


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"split": {"kind": "hash"}, "features": FEATURES},
        {"split": {"kind": "hash", "by": ["city"]}, "scoring": "roc_auc"},
        {"model": {"estimator": "sklearn.svm.LinearSVC"}, "scoring": "roc_auc"},
        {"task": "multiclass", "rows": with_target([i % 3 for i in range(1200)]), "scoring": "roc_auc_ovr"},
        {
            "task": "regression",
            "rows": with_target(np.linspace(0.0, 9.0, 1200)),
            "scoring": "r2",
            "model": {"estimator": "sklearn.linear_model.Ridge"},
        },
    ],
    ids=["time", "block", "entities", "no probabilities", "multiclass", "regression"],
)
def test_scores_are_those_of_scikit_learn_on_the_same_folds(sections: dict[str, Any]) -> None:
    alpha = "alpha" if sections.get("task") == "regression" else "C"
    of = ground([{}, {alpha: 0.01}], **sections)
    for number, params in enumerate(of.combinations):
        found = [answer.score for answer in answers(of, number)]
        assert found == pytest.approx(by_scikit_learn(of, params), rel=1e-9)


def test_class_weights_and_seed_of_the_file_count_in_every_fold() -> None:
    plain = answers(ground(model={"estimator": "sklearn.naive_bayes.GaussianNB"}))
    weighted = answers(
        ground(model={"estimator": "sklearn.naive_bayes.GaussianNB", "class_weight": {True: 9, False: 1}})
    )
    assert all(one.score != other.score for one, other in zip(plain, weighted, strict=True))
    forest = {"estimator": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 5, "n_jobs": -1}}
    first, again, other = (answers(ground(model=forest | {"seed": seed})) for seed in (1, 1, 2))
    assert [one.score for one in first] == [one.score for one in again] != [one.score for one in other]


def test_outliers_are_dropped_from_the_training_rows_of_a_fold_alone() -> None:
    amounts = np.linspace(-1.0, 1.0, 1200)
    amounts[[5, 400]] = 1e6
    table = loans().set_column(2, "amount", pa.array(amounts))
    of = ground(rows=table, features={"numeric": {"columns": ["amount"], "outliers": "drop_3sigma"}})
    train, test = of.folds.rows(0, of.y)
    assert 5 in train and 400 in test
    steps = estimator.build(of.pipeline, of.columns)
    kept = train[train != 5]
    steps.fit(of.X.iloc[kept], of.y[kept])
    expected = get_scorer("neg_log_loss")(steps, of.X.iloc[test], of.y[test])
    assert attempt(of, Trial(0, 0, 1200)).score == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("sections", "params", "words", "blames"),
    [
        ({}, {"solver": "no such"}, "'solver' parameter", "file"),
        ({}, {"penalty": "l1", "solver": "lbfgs"}, "l1", "file"),
        ({}, {"no_such": 1}, "takes no no_such", "file"),
        (
            {"model": {"estimator": "sklearn.neighbors.KNeighborsClassifier"}},
            {"n_neighbors": 5000},
            "n_neighbors",
            "rows",
        ),
        ({"scoring": "neg_mean_poisson_deviance"}, {}, "cannot be computed", "file"),
        ({"features": {"passthrough": {"columns": ["amount"]}}}, {}, "NaN", "rows"),
    ],
    ids=["value", "two that do not go together", "unknown", "more neighbours than rows", "score", "gaps"],
)
def test_a_combination_that_fails_is_an_answer(
    sections: dict[str, Any], params: dict[str, Any], words: str, blames: str
) -> None:
    answer = attempt(ground([params], **sections), Trial(0, 0, 1200))
    assert answer.score is None
    assert words in answer.failure
    assert answer.blames == blames
    assert answer.seconds > 0


OWN = """
import numpy as np
from sklearn.linear_model import LogisticRegression

class Moody(LogisticRegression):
    def __init__(self, mood=""):
        super().__init__()
        self.mood = mood
    def fit(self, X, y, sample_weight=None):
        if self.mood == "unpicklable":
            class Own(Exception):
                def __init__(self, one, two): super().__init__(one)
            raise Own("a word", 2)
        if self.mood == "no memory":
            raise MemoryError
        if self.mood == "no disk":
            raise OSError(28, "No space left on device")
        return super().fit(X, y)
    def predict_proba(self, X):
        return super().predict_proba(X) * (np.nan if self.mood == "nan" else 1)
"""


@pytest.fixture
def moody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    (tmp_path / "moodpackage.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return {"estimator": "moodpackage.Moody"}


def test_whatever_own_code_raises_is_told_with_its_place(moody: dict[str, Any]) -> None:
    answer = attempt(ground([{"mood": "unpicklable"}], model=moody), Trial(0, 0, 1200))
    assert "Own: a word" in answer.failure
    assert "moodpackage.py line" in answer.failure


def test_a_model_that_says_nan_has_no_score(moody: dict[str, Any]) -> None:
    answer = attempt(ground([{"mood": "nan"}], model=moody), Trial(0, 0, 1200))
    assert answer.score is None
    assert answer.failure.startswith("says NaN or infinity of 300 of 300 rows")


@pytest.mark.parametrize(("mood", "kind"), [("no memory", MemoryError), ("no disk", OSError)])
def test_want_of_memory_or_disk_is_no_fault_of_a_combination(moody: dict[str, Any], mood: str, kind: type) -> None:
    with pytest.raises(kind):
        attempt(ground([{"mood": mood}], model=moody), Trial(0, 0, 1200))


def test_words_of_others_are_withheld_where_a_column_is_sensitive(moody: dict[str, Any], tmp_path: Path) -> None:
    of = ground([{"mood": "unpicklable"}], model=moody, columns={"amount": {"sensitive": True}})
    store(of, tmp_path / "ground")
    failure = attempt_stored(tmp_path / "ground", Trial(0, 0, 1200)).failure
    assert logs.WITHHELD in failure
    assert "a word" not in failure


def test_a_stored_ground_gives_the_same_scores_and_maps_its_numbers(tmp_path: Path) -> None:
    of = ground([{"C": 0.1}])
    store(of, tmp_path / "ground")
    stored = [attempt_stored(tmp_path / "ground", Trial(0, fold, 1200)).score for fold in range(3)]
    assert stored == [answer.score for answer in answers(of)]


def test_a_fold_of_one_class_means_nothing_to_a_score_of_two() -> None:
    y = [False] * 300 + [True, False] * 450
    of = ground(rows=with_target(y), scoring="roc_auc")
    assert [means_something(of, fold, 1200) for fold in range(3)] == [False, True, True]
    late = ground(rows=with_target([True, False] * 450 + [False] * 300), scoring="roc_auc")
    assert [means_something(late, fold, 1200) for fold in range(3)] == [True, True, False]
    log_loss = ground(rows=with_target([True, False] * 450 + [False] * 300))
    assert [means_something(log_loss, fold, 1200) for fold in range(3)] == [True, True, False]


def test_a_fold_without_a_class_that_has_a_weight_means_nothing() -> None:
    y = [0, 1] * 150 + [0, 1, 2] * 300
    weights = {"estimator": LOGISTIC["estimator"], "class_weight": {0: 1, 1: 1, 2: 3}}
    of = ground(rows=with_target(y), task="multiclass", model=weights)
    assert [means_something(of, fold, 1200) for fold in range(3)] == [False, True, True]


def test_rows_without_their_index_are_fitted() -> None:
    of = ground(split={"kind": "hash"})
    assert isinstance(of.X.index, pd.RangeIndex)
    assert all(answer.score is not None for answer in answers(of, rows=600))

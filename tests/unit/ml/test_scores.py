"""Replayed responses score exactly as the estimator itself does, for every scorer that scikit-learn has."""

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from refit.ml.scores import Responses, UnknownScore, UnusableScore, collect, find, replay, value, values

Array = npt.NDArray[Any]
BINARY = make_classification(200, random_state=0)
SEVERAL = make_classification(240, n_classes=3, n_informative=4, random_state=0)
NUMBERS = make_regression(200, noise=5.0, random_state=0)


@cache
def fitted(task: str) -> tuple[Any, Array, Array]:
    if task == "regression":
        X, y = NUMBERS
        return make_pipeline(StandardScaler(), LinearRegression()).fit(X, y), X, y
    X, y = BINARY if task == "binary" else SEVERAL
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X, y


def outcome(call: Any) -> float | str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return float(call())
        except (ValueError, TypeError, AttributeError, UnusableScore):
            return "refused"


@pytest.mark.parametrize("task", ["binary", "several", "regression"])
@pytest.mark.parametrize("name", get_scorer_names())
def test_every_scorer_says_the_same_of_a_replay(name: str, task: str) -> None:
    estimator, X, y = fitted(task)
    direct = outcome(lambda: get_scorer(name)(estimator, X, y))
    replayed = outcome(lambda: value(name, collect(estimator, [X]), y))
    assert replayed == (pytest.approx(direct, rel=1e-12, nan_ok=True) if isinstance(direct, float) else direct)


@pytest.mark.parametrize("name", ["roc_auc", "neg_log_loss", "f1"])
def test_weights_and_subsets_reach_the_scorer(name: str) -> None:
    estimator, X, y = fitted("binary")
    weights = np.linspace(0.5, 2.0, len(y))
    rows = np.arange(10, 150, 3)
    direct = get_scorer(name)(estimator, X[rows], y[rows], sample_weight=weights[rows])
    assert value(name, collect(estimator, [X]), y, weights, rows=rows) == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize("labels", [np.array([False, True]), np.array(["no", "yes"])], ids=["bool", "text"])
def test_labels_of_any_type_are_replayed(labels: Array) -> None:
    X, y = BINARY[0], labels[BINARY[1]]
    estimator = LogisticRegression().fit(X, y)
    found = values(["roc_auc", "accuracy", "neg_log_loss"], collect(estimator, [X]), y)
    expected = {name: get_scorer(name)(estimator, X, y) for name in ("roc_auc", "accuracy", "neg_log_loss")}
    assert found == pytest.approx(expected)


def test_batches_say_what_the_whole_says() -> None:
    estimator, X, _ = fitted("several")
    whole, in_parts = collect(estimator, [X]), collect(estimator, np.array_split(X, 7))
    assert (whole.predict == in_parts.predict).all()
    assert whole.predict_proba == pytest.approx(in_parts.predict_proba)
    assert whole.decision_function == pytest.approx(in_parts.decision_function)
    assert whole.predict_proba == pytest.approx(estimator.predict_proba(X))


def test_features_are_computed_once_for_all_answers() -> None:
    seen = []

    class Counting(StandardScaler):  # type: ignore[misc]  # scikit-learn has no types
        def transform(self, X: Array, copy: bool | None = None) -> Array:
            seen.append(len(X))
            return np.asarray(super().transform(X, copy))

    X, y = BINARY
    estimator = make_pipeline(Counting(), LogisticRegression()).fit(X, y)
    seen.clear()
    collect(estimator, [X[:50], X[50:]])
    assert seen == [50, 150]


@pytest.mark.parametrize(
    ("estimator", "has"),
    [
        (LinearSVC(), {"decision_function"}),
        (RandomForestClassifier(3, random_state=0), {"predict_proba"}),
        (LogisticRegression(), {"predict_proba", "decision_function"}),
    ],
    ids=["svc", "forest", "logistic"],
)
def test_a_replay_has_the_methods_of_its_model_and_no_others(estimator: Any, has: set[str]) -> None:
    again = replay(collect(estimator.fit(*BINARY), [BINARY[0]]))
    assert {name for name in ("predict_proba", "decision_function") if hasattr(again, name)} == has


def test_a_ranking_is_the_decision_function_before_the_last_probability() -> None:
    X, y = BINARY
    forest = collect(RandomForestClassifier(3, random_state=0).fit(X, y), [X])
    linear = collect(LogisticRegression().fit(X, y), [X])
    assert forest.predict_proba is not None
    ranks = forest.ranking()
    assert ranks is not None
    assert (ranks == forest.predict_proba[:, 1]).all()
    assert linear.ranking() is linear.decision_function
    assert Responses(forest.classes, forest.predict).ranking() is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("roc_acu", "did you mean roc_auc"),
        ("neg_logloss", "did you mean neg_log_loss"),
        ("zzz", "no scorer named 'zzz'$"),
    ],
)
def test_an_unknown_name_is_a_config_error_with_a_suggestion(name: str, meant: str) -> None:
    with pytest.raises(UnknownScore, match=meant) as caught:
        find(name)
    assert caught.value.exit_code == 64


def test_a_score_that_does_not_fit_names_itself_and_the_reason() -> None:
    hard = collect(LinearSVC().fit(*BINARY), [BINARY[0]])
    with pytest.raises(UnusableScore, match=r"neg_log_loss cannot be computed: .*predict_proba") as caught:
        value("neg_log_loss", hard, BINARY[1])
    assert caught.value.exit_code == 64


@pytest.mark.parametrize("name", ["neg_log_loss", "neg_brier_score", "d2_log_loss_score", "d2_brier_score"])
def test_a_score_of_probabilities_does_without_a_class_that_no_row_has(name: str) -> None:
    X, y = SEVERAL
    said, kept = collect(LogisticRegression().fit(X, y), [X]), np.flatnonzero(y != 1)
    found = value(name, said, y, rows=kept)
    if name == "neg_log_loss":
        assert said.predict_proba is not None
        assert found == pytest.approx(np.log(said.predict_proba[kept, y[kept]]).mean())
    assert np.isfinite(found)


@pytest.mark.parametrize("name", ["roc_auc_ovr", "roc_auc_ovo", "average_precision", "top_k_accuracy"])
def test_a_score_of_every_class_has_no_meaning_without_one(name: str) -> None:
    X, y = SEVERAL
    said = collect(LogisticRegression().fit(X, y), [X])
    assert np.isfinite(value(name, said, y))
    assert np.isnan(value(name, said, y, rows=np.flatnonzero(y != 1)))


def test_several_classes_are_ranked_by_a_column_for_each() -> None:
    X, y = SEVERAL
    forest, line = (collect(kind.fit(X, y), [X]) for kind in (RandomForestClassifier(3, random_state=0), LinearSVC()))
    assert forest.ranking() is forest.predict_proba
    assert line.ranking() is line.decision_function
    assert replace(line, decision_function=np.zeros((len(y), 6))).ranking() is None  # one column per pair of four


def test_a_score_without_meaning_is_none() -> None:
    estimator, X, _ = fitted("binary")
    found = values(["roc_auc", "accuracy"], collect(estimator, [X]), np.zeros(len(X), dtype=int))
    assert found["roc_auc"] is None
    assert found["accuracy"] is not None


def test_rows_that_are_no_numbers_are_counted() -> None:
    said = collect(DummyClassifier().fit(*BINARY), [BINARY[0]])
    assert said.not_finite() == 0
    assert said.predict_proba is not None
    broken = said.predict_proba.copy()
    broken[[3, 5], 1] = np.nan
    assert Responses(said.classes, said.predict, broken).not_finite() == 2
    assert Responses(None, np.array([1.0, np.inf, np.nan])).not_finite() == 2


def test_no_rows_are_no_responses() -> None:
    with pytest.raises(ValueError, match="no batch"):
        collect(DummyClassifier().fit(*BINARY), [])

"""Which estimators are fitted batch by batch, and how often they see each row."""

from typing import Any

import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, Perceptron, SGDClassifier, SGDRegressor
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier

from refit.core.config import Batches, Model
from refit.core.domain import BatchFit
from refit.ml.partial_fit import NoBatches, check_takes_batches, passes_of, with_passes
from tests.unit.ml.files import pipeline


def model(task: str = "binary", weights: Any = "none") -> Model:
    return pipeline(task=task, model={"estimator": "a.B", "incremental": True, "class_weight": weights}).model


@pytest.mark.parametrize(
    ("estimator", "weights", "key", "words"),
    [
        (LogisticRegression(), None, "incremental", "LogisticRegression has no partial_fit"),
        (MLPClassifier(solver="lbfgs"), None, "incremental", "MLPClassifier has no partial_fit with these params"),
        (SGDClassifier(early_stopping=True), None, "incremental", "early_stopping should be False"),
        (SGDClassifier(class_weight="balanced"), None, "incremental", "class_weight 'balanced' is not supported"),
        (OneVsRestClassifier(SGDClassifier()), "balanced", "class_weight", "no way to weigh rows in partial_fit"),
    ],
    ids=["no partial_fit", "none with this solver", "early stopping", "balanced by its own params", "weights"],
)
def test_an_estimator_that_cannot_learn_in_batches_is_refused_by_its_key(
    estimator: Any, weights: Any, key: str, words: str
) -> None:
    with pytest.raises(NoBatches, match=words) as caught:
        check_takes_batches(estimator, model(weights=weights), "binary")
    assert (caught.value.key, caught.value.exit_code) == (key, 64)
    assert caught.value.next


@pytest.mark.parametrize(
    ("estimator", "task", "weights"),
    [
        (SGDClassifier(), "binary", "none"),
        (SGDClassifier(class_weight="balanced"), "binary", "balanced"),
        (Perceptron(), "multiclass", "balanced"),
        (MLPClassifier(), "multiclass", "balanced"),
        (MultinomialNB(), "binary", "balanced"),
        (SGDRegressor(), "regression", "none"),
    ],
    ids=["SGD", "SGD as made with weights", "Perceptron", "MLP", "naive Bayes", "SGD regressor"],
)
def test_what_has_partial_fit_is_taken(estimator: Any, task: str, weights: str) -> None:
    check_takes_batches(estimator, model(task, weights), task)


class Choosy(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Takes rows of seven features alone."""

    def fit(self, X: Any, y: Any) -> "Choosy":
        if X.shape[1] != 7:
            raise ValueError("seven features")
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> "Choosy":
        return self.fit(X, y)


def test_an_estimator_that_takes_no_plain_rows_at_all_is_not_judged_by_them() -> None:
    check_takes_batches(Choosy(), model(), "binary")


@pytest.mark.parametrize(
    ("estimator", "settings", "there", "passes"),
    [
        (SGDClassifier(), {}, 5_000_000, 1),
        (SGDClassifier(), {}, 1_000_000, 1),
        (SGDClassifier(), {}, 300_000, 4),
        (SGDClassifier(), {}, 100, 100),
        (GaussianNB(), {}, 100, 1),
        (GaussianNB(), {"passes": 2}, 100, 2),
        (SGDClassifier(), {"passes": 7}, 5_000_000, 7),
    ],
)
def test_an_estimator_is_shown_a_million_rows_unless_it_counts_or_the_file_says_otherwise(
    estimator: Any, settings: dict[str, int], there: int, passes: int
) -> None:
    assert passes_of(Batches(**settings), estimator, there) == passes


def test_a_model_that_is_fitted_again_on_more_rows_sees_each_as_often_as_before() -> None:
    before = BatchFit(passes=4, batches=80, learned_on=9, checkpoints=0)
    again = with_passes(model(), before)
    assert again.batches == Batches(passes=4)
    assert again.model_copy(update={"incremental": True}) == model()


def test_a_model_that_is_fitted_at_once_has_no_passes() -> None:
    at_once = pipeline().model
    assert with_passes(at_once, None) == at_once
    assert with_passes(at_once, BatchFit(passes=4, batches=80, learned_on=9, checkpoints=0)) == at_once

"""What a fit settled by itself: parameters chosen by others, and how many rounds it trained."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier

from refit.ml.settled import settled

X, y = make_classification(400, random_state=0)


@pytest.mark.parametrize(
    ("estimator", "rounds"),
    [
        (HistGradientBoostingClassifier(early_stopping=True, random_state=0), lambda model: model.n_iter_),
        (HistGradientBoostingClassifier(max_iter=7, random_state=0), lambda model: model.n_iter_),
        (GradientBoostingClassifier(n_iter_no_change=3, random_state=0), lambda model: len(model.estimators_)),
        (SGDClassifier(early_stopping=True, random_state=0), lambda model: model.n_iter_),
        (MLPClassifier(early_stopping=True, random_state=0), lambda model: len(model.loss_curve_)),
    ],
    ids=["boosted histograms", "boosted histograms, auto", "boosted trees", "gradient descent", "perceptron"],
)
def test_a_second_fit_trains_as_many_rounds_and_stops_nowhere_else(estimator: Any, rounds: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = clone(estimator).fit(X[:300], y[:300])
        params = settled(first, estimator)
        again = clone(estimator).set_params(**params).fit(X, y)
    assert not params.get("early_stopping")
    assert rounds(again) == (best_round(first) if isinstance(first, MLPClassifier) else rounds(first))


def best_round(fitted: MLPClassifier) -> int:
    """Whose weights it went back to when it stopped."""
    return int(np.argmax(fitted.validation_scores_)) + 1


def test_parameters_that_a_search_chose_are_kept() -> None:
    chosen = LogisticRegression(C=0.25, max_iter=200).fit(X, y)
    assert settled(chosen, LogisticRegression(max_iter=200)) == {"C": 0.25}


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        VotingClassifier([("one", LogisticRegression())]),
        GradientBoostingClassifier(n_estimators=3),
    ],
    ids=["nothing settled", "others inside", "no early stopping"],
)
def test_what_settles_nothing_keeps_what_is_written(estimator: Any) -> None:
    assert settled(clone(estimator).fit(X, y), estimator) == {}

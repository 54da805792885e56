"""Small fitted estimators of every kind that scikit-learn has for a table of rows."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, RationalQuadratic, WhiteKernel
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, TweedieRegressor
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.utils import all_estimators

X = np.abs(np.random.default_rng(0).normal(size=(150, 4)))
LABELS = X[:, 0] > 0.7
VALUES = 3 * X[:, 0] + X[:, 1] + 1

# Need an argument, two targets, one column or another kind of target; are not saved by skops; or are deprecated.
UNFIT = frozenset(
    {
        "Birch",
        "CCA",
        "CategoricalNB",
        "ClassifierChain",
        "FixedThresholdClassifier",
        "GridSearchCV",
        "HalvingGridSearchCV",
        "HalvingRandomSearchCV",
        "IsotonicRegression",
        "MultiOutputClassifier",
        "MultiOutputRegressor",
        "MultiTaskElasticNet",
        "MultiTaskElasticNetCV",
        "MultiTaskLasso",
        "MultiTaskLassoCV",
        "OneVsOneClassifier",
        "OneVsRestClassifier",
        "OrthogonalMatchingPursuitCV",
        "OutputCodeClassifier",
        "PLSCanonical",
        "PassiveAggressiveClassifier",
        "PassiveAggressiveRegressor",
        "RandomizedSearchCV",
        "RegressorChain",
        "SelfTrainingClassifier",
        "StackingClassifier",
        "StackingRegressor",
        "TunedThresholdClassifierCV",
        "VotingClassifier",
        "VotingRegressor",
    }
)

_PAIR = [("a", LogisticRegression()), ("b", RandomForestClassifier(2, random_state=0))]
_SETTINGS: list[Any] = [
    CalibratedClassifierCV(LogisticRegression(), method="isotonic"),
    CalibratedClassifierCV(LogisticRegression(), method="temperature"),
    StackingClassifier(_PAIR),
    VotingClassifier(_PAIR, voting="soft"),
    BaggingClassifier(max_features=2, random_state=0),
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, scoring="roc_auc"),
    TunedThresholdClassifierCV(LogisticRegression()),
    OneVsRestClassifier(LogisticRegression()),
    *(SGDClassifier(loss=loss, random_state=0) for loss in ("log_loss", "modified_huber", "squared_hinge", "huber")),
    GradientBoostingClassifier(loss="exponential", n_estimators=3),
    HistGradientBoostingClassifier(max_iter=3, categorical_features=[0], early_stopping=True, scoring="neg_log_loss"),
    MLPClassifier(solver="sgd", max_iter=3, early_stopping=True),
    KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
    KNeighborsClassifier(algorithm="kd_tree", p=3),
    KNeighborsClassifier(algorithm="brute"),
    StackingRegressor([("a", Ridge())]),
    VotingRegressor([("a", Ridge())]),
    RandomForestRegressor(3, criterion="poisson"),
    GaussianProcessRegressor(ConstantKernel() * RBF() + Matern() + WhiteKernel() * RationalQuadratic()),
    *(TweedieRegressor(power=power, link="log") for power in (0, 1.5, 2)),
    TweedieRegressor(power=1.5, link="identity"),
    *(HistGradientBoostingRegressor(loss=loss, max_iter=3) for loss in ("absolute_error", "gamma", "poisson")),
    HistGradientBoostingRegressor(loss="quantile", quantile=0.5, max_iter=3),
]
_SMALL = {"n_estimators": 3, "max_iter": 20, "random_state": 0}


def fitted() -> Iterator[tuple[str, Any]]:
    """Name and fitted estimator of all classifiers and regressors that a pipeline file can name, and of settings."""
    for kind in ("classifier", "regressor"):
        for name, cls in all_estimators(type_filter=kind):
            if name not in UNFIT:
                params = {key: value for key, value in _SMALL.items() if key in cls().get_params()}
                yield name, _fit(cls(**params))
    for estimator in _SETTINGS:
        yield repr(estimator)[:60], _fit(estimator)


def _fit(estimator: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, LABELS if is_classifier(estimator) else VALUES)

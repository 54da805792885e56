"""LightGBM and XGBoost through their scikit-learn classes: saved, loaded, and what they refuse."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from refit.ml.estimator import UnfitRows, build, fit
from refit.ml.persist import dump, load, types_beyond
from refit.ml.probe import findings
from tests.fixtures.boosters import library
from tests.unit.ml.files import COLUMNS, pipeline

CLASSIFIERS = ["lightgbm.LGBMClassifier", "xgboost.XGBClassifier", "xgboost.XGBRFClassifier"]
REGRESSORS = ["lightgbm.LGBMRegressor", "xgboost.XGBRegressor", "xgboost.XGBRFRegressor"]


def rows() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"amount": rng.normal(size=400), "age": rng.normal(size=400), "owner": 1.0, "city": "Rome"})
    X.loc[::7, "amount"] = np.nan
    return X, rng.normal(size=400) + (X["amount"].fillna(0) + X["age"]).to_numpy()


def file_of(estimator: str, task: str, **params: Any) -> Any:
    library(estimator.partition(".")[0])
    features = {"numeric": {"columns": ["amount", "age"], "impute": "none", "scale": "none"}}
    model = {"estimator": estimator, "params": {"n_estimators": 5, **params}, "seed": 3}
    return pipeline(task=task, features=features, model=model)


@pytest.mark.parametrize(
    ("estimator", "task"),
    [(name, task) for name in CLASSIFIERS for task in ("binary", "multiclass")]
    + [(name, "regression") for name in REGRESSORS],
)
def test_a_booster_comes_back_equal_without_further_trust(estimator: str, task: str) -> None:
    chosen = file_of(estimator, task)
    assert list(findings(chosen)) == []
    X, level = rows()
    y = {"binary": level > 0, "multiclass": np.digitize(level, [-0.5, 0.5]), "regression": level}[task]
    bodies = []
    for _ in range(2):
        steps = build(chosen, COLUMNS)
        fit(steps, X, y, chosen.model)
        bodies.append(dump(steps))
    assert bodies[0] == bodies[1]
    assert types_beyond(bodies[0]) == ()
    back = load(bodies[0])
    np.testing.assert_array_equal(back.predict(X), steps.predict(X))
    assert len(np.unique(back.predict(X))) > 1


def test_params_of_a_booster_may_be_any_that_its_class_takes() -> None:
    assert list(findings(file_of("xgboost.XGBClassifier", "binary", max_depth=3, tree_method="hist"))) == []
    assert list(findings(file_of("lightgbm.LGBMClassifier", "binary", num_leaves=7, min_child_samples=5))) == []


def test_text_classes_are_learned_by_lightgbm_and_refused_by_xgboost_with_advice() -> None:
    X, level = rows()
    y = np.where(level > 0, "late", "paid").astype(object)
    chosen = file_of("lightgbm.LGBMClassifier", "binary")
    steps = build(chosen, COLUMNS)
    fit(steps, X, y, chosen.model)
    assert steps.classes_.tolist() == ["late", "paid"]
    chosen = file_of("xgboost.XGBClassifier", "binary")
    with pytest.raises(UnfitRows, match="Invalid classes") as caught:
        fit(build(chosen, COLUMNS), X, y, chosen.model)
    assert "number them in the query" in caught.value.next

"""LightGBM and XGBoost through whole runs, as one names them in the file."""

import pytest

import refit
from tests.faults.case import FIRST, Case, edited
from tests.fixtures.boosters import library


@pytest.mark.parametrize("estimator", ["lightgbm.LGBMClassifier", "xgboost.XGBClassifier"])
def test_a_booster_is_trained_judged_and_replaced(empty: Case, estimator: str) -> None:
    name = library(estimator.partition(".")[0]).__name__
    params = {"n_estimators": 40, "learning_rate": 0.1, "max_depth": 3, "n_jobs": 1}
    file = edited(model={"estimator": estimator, "params": params})
    first = empty.good(days=FIRST, file=file)
    second = empty.good(file=file)
    assert second.previous_champion == first.version
    manifest = empty.train_of(second)
    assert manifest.trusted == ()
    assert any(found.startswith(name) for found in manifest.environment)
    assert type(refit.load("loans", store=empty.url)[-1]).__name__ == estimator.rpartition(".")[2]

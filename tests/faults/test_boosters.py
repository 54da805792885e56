"""LightGBM and XGBoost through whole runs, as one names them in the file."""

import pytest

import refit
from refit.core.context import read_manifest
from refit.core.domain import TrainManifest
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
    assert second.run_id is not None
    manifest = read_manifest(empty.store, second.run_id, "train", TrainManifest)
    assert manifest is not None
    assert manifest.trusted == ()
    assert any(found.startswith(name) for found in manifest.environment)
    assert type(refit.load("loans", store=empty.url)[-1]).__name__ == estimator.rpartition(".")[2]

"""The estimator of a file: found by name, checked, seeded, weighted, fitted on raw rows."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from refit.core.errors import ConfigError
from refit.ml.estimator import BadParameter, UnfitRows, UnknownEstimator, build, fit, make, resolve
from tests.unit.ml.files import COLUMNS, pipeline

LOGISTIC = "sklearn.linear_model.LogisticRegression"
FOREST = "sklearn.ensemble.RandomForestClassifier"
HIST = "sklearn.ensemble.HistGradientBoostingClassifier"


def rows(n: int = 400, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "amount": rng.normal(size=n),
            "age": rng.integers(18, 80, n).astype(float),
            "city": pd.Series(rng.choice(["Rome", "Oslo", "Bern"], n), dtype=object),
            "owner": rng.integers(0, 2, n).astype(float),
        }
    )
    y = frame["amount"] + (frame["city"] == "Rome") + 0.5 * rng.normal(size=n) > 0.8
    frame.loc[::7, "amount"] = np.nan
    frame.loc[::11, "city"] = np.nan
    frame.loc[::13, "owner"] = np.nan
    return frame, y.to_numpy()


def model(estimator: str = LOGISTIC, task: str = "binary", **keys: Any) -> Any:
    return make(pipeline(task=task, model={"estimator": estimator, **keys}).model, task)


# --- found and made -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sklearn.linear_model.LogisticRegresion", "did you mean sklearn.linear_model.LogisticRegression"),
        ("sklearn.linear_modle.LogisticRegression", "there is no module sklearn.linear_modle here"),
        ("catboost.CatBoostClassifier", "there is no module catboost here"),
        ("sklearn.metrics.accuracy_score", "is no estimator"),
        ("sklearn.preprocessing.StandardScaler", "is no estimator"),
        ("os.path.join", "is no estimator"),
        ("sklearn.linear_model.Ridge", "is no classifier, and the task is binary"),
    ],
    ids=["class misspelt", "module misspelt", "package not installed", "function", "transformer", "os", "regressor"],
)
def test_a_name_that_is_no_estimator_for_the_task_is_a_config_error(name: str, reason: str) -> None:
    with pytest.raises(UnknownEstimator, match=reason) as caught:
        model(name)
    assert caught.value.exit_code == 64


def test_a_classifier_is_refused_for_regression() -> None:
    with pytest.raises(UnknownEstimator, match="is no regressor"):
        model(task="regression")


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"max_itr": 1000}, "LogisticRegression takes no max_itr; did you mean max_iter"),
        ({"zzz": 1}, "takes no zzz; it takes penalty, C, "),
        ({"C": "strong"}, "The 'C' parameter of LogisticRegression must be a float"),
        ({"solver": "magic"}, "The 'solver' parameter"),
    ],
    ids=["misspelt", "unknown", "wrong type", "wrong value"],
)
def test_wrong_params_are_a_config_error_in_a_sentence(params: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadParameter, match=reason) as caught:
        model(params=params)
    assert caught.value.exit_code == 64


def test_params_reach_the_estimator() -> None:
    assert model(params={"C": 0.25, "max_iter": 1000}).get_params()["C"] == 0.25


def test_the_seed_is_the_random_state_where_there_is_one() -> None:
    assert model(FOREST, seed=7).random_state == 7
    assert model(FOREST, params={"random_state": 3}).random_state == 3
    assert not hasattr(model("sklearn.naive_bayes.GaussianNB", seed=7), "random_state")


def test_resolving_gives_the_class() -> None:
    assert resolve(LOGISTIC) is LogisticRegression


# --- weights ------------------------------------------------------------------


def test_class_weight_is_the_estimators_own_where_it_has_one() -> None:
    assert model(class_weight="balanced").class_weight == "balanced"


def test_class_weight_becomes_row_weights_elsewhere() -> None:
    X, y = rows()
    weighted = pipeline(model={"estimator": "sklearn.naive_bayes.GaussianNB", "class_weight": "balanced"})
    plain = pipeline(model={"estimator": "sklearn.naive_bayes.GaussianNB"})
    priors = []
    for file in (weighted, plain):
        steps = build(file, COLUMNS)
        fit(steps, X, y, file.model)
        priors.append(steps[-1].class_prior_[1])
    assert priors[0] == pytest.approx(0.5)
    assert priors[1] == pytest.approx(y.mean())


def test_an_estimator_that_knows_no_weights_is_named() -> None:
    file = pipeline(model={"estimator": "sklearn.neighbors.KNeighborsClassifier", "class_weight": "balanced"})
    X, y = rows()
    with pytest.raises(BadParameter, match="KNeighborsClassifier has no way to weigh rows"):
        fit(build(file, COLUMNS), X, y, file.model)


def test_weights_of_classes_that_are_not_there_are_refused() -> None:
    file = pipeline(model={"estimator": LOGISTIC, "class_weight": {"yes": 2}})
    X, y = rows()
    with pytest.raises(BadParameter, match=r"names 'yes'; the classes are \[False, True\]"):
        fit(build(file, COLUMNS), X, y, file.model)


def test_weights_by_class_are_taken() -> None:
    file = pipeline(model={"estimator": LOGISTIC, "class_weight": {True: 3, False: 1}})
    X, y = rows()
    steps = build(file, COLUMNS)
    fit(steps, X, y, file.model)
    assert steps.predict_proba(X)[:, 1].mean() > y.mean() + 0.1


# --- the whole ----------------------------------------------------------------

CLASSIFIERS = [
    LOGISTIC,
    HIST,
    FOREST,
    "sklearn.ensemble.GradientBoostingClassifier",
    "sklearn.svm.LinearSVC",
    "sklearn.naive_bayes.GaussianNB",
    "sklearn.neighbors.KNeighborsClassifier",
    "sklearn.tree.DecisionTreeClassifier",
    "sklearn.linear_model.SGDClassifier",
]


@pytest.mark.parametrize("name", CLASSIFIERS, ids=lambda name: name.rpartition(".")[2])
def test_one_pipeline_takes_raw_rows_with_gaps_dense_or_sparse_as_the_estimator_takes_them(name: str) -> None:
    file = pipeline(model={"estimator": name, "params": {"max_iter": 20} if name == HIST else {}})
    X, y = rows()
    steps = build(file, COLUMNS)
    fit(steps, X, y, file.model)
    assert (steps.predict(X) == y).mean() > 0.75
    assert steps[-1].classes_.tolist() == [False, True]


@pytest.mark.parametrize("name", ["Ridge", "Lasso", "LinearRegression", "SGDRegressor"])
def test_regressors_are_fitted_on_raw_rows(name: str) -> None:
    file = pipeline(task="regression", model={"estimator": f"sklearn.linear_model.{name}"})
    X, _ = rows()
    y = X["age"].to_numpy() * 2.0
    steps = build(file, COLUMNS)
    fit(steps, X, y, file.model)
    assert np.corrcoef(steps.predict(X), y)[0, 1] > 0.9


def test_the_textbook_file_learns() -> None:
    file = pipeline(
        features={
            "numeric": {"columns": ["amount", "age"], "impute": "median", "outliers": "clip_3sigma"},
            "categorical": {"columns": ["city"]},
        },
        model={"estimator": LOGISTIC, "params": {"max_iter": 1000}, "class_weight": "balanced"},
    )
    X, y = rows()
    steps = build(file, COLUMNS)
    assert fit(steps, X, y, file.model) == ()
    assert (steps.predict(X) == y).mean() > 0.8


def test_equal_seeds_give_equal_models() -> None:
    file = pipeline(model={"estimator": FOREST, "seed": 5, "params": {"n_estimators": 10}})
    X, y = rows()
    said = []
    for _ in range(2):
        steps = build(file, COLUMNS)
        fit(steps, X, y, file.model)
        said.append(steps.predict_proba(X))
    np.testing.assert_array_equal(said[0], said[1])


def test_a_warning_of_the_library_is_returned_once_and_not_raised() -> None:
    file = pipeline(model={"estimator": LOGISTIC, "params": {"max_iter": 1}})
    X, y = rows()
    said = fit(build(file, COLUMNS), X, y, file.model)
    assert len(said) == 1
    assert said[0].startswith("ConvergenceWarning: lbfgs failed to converge")


def test_gaps_that_an_estimator_refuses_are_a_data_error_with_advice() -> None:
    features = {"numeric": {"columns": ["amount"], "impute": "none"}}
    file = pipeline(features=features)
    X, y = rows()
    with pytest.raises(
        UnfitRows, match="LogisticRegression cannot be fitted on these rows: Input X contains NaN"
    ) as caught:
        fit(build(file, COLUMNS), X, y, file.model)
    assert caught.value.exit_code == 65
    assert "impute" in caught.value.next


def test_an_infinity_among_the_features_is_a_data_error() -> None:
    X, y = rows()
    X.loc[3, "amount"] = np.inf
    with pytest.raises(UnfitRows, match="infinity"):
        fit(build(pipeline(), COLUMNS), X, y, pipeline().model)


def test_text_that_nobody_encoded_is_a_data_error_with_advice() -> None:
    file = pipeline(features={"passthrough": {"columns": ["city"]}})
    X, y = rows()
    with pytest.raises(UnfitRows, match="could not convert string to float") as caught:
        fit(build(file, COLUMNS), X, y, file.model)
    assert "onehot" in caught.value.next


def test_params_that_only_the_fit_refuses_are_a_config_error() -> None:
    file = pipeline(model={"estimator": LOGISTIC, "params": {"solver": "lbfgs", "l1_ratio": 1.0}})
    X, y = rows()
    with pytest.raises(ConfigError, match="l1"):
        fit(build(file, COLUMNS), X, y, file.model)


def test_own_frames_score_as_training_frames_do() -> None:
    X, y = rows()
    steps = build(pipeline(), COLUMNS)
    fit(steps, X, y, pipeline().model)
    own = X.assign(age=X["age"].astype("int64"), city=X["city"].astype("str"))
    np.testing.assert_allclose(steps.predict_proba(own), steps.predict_proba(X))
    assert make_pipeline(*[step for _, step in steps.steps]).predict(X).shape == y.shape

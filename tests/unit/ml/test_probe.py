import json
import subprocess
import sys
from typing import Any

import pytest

from refit.core.config import parse_pipeline
from refit.ml.probe import findings
from tests.unit.core.pipeline_files import DEMO, LEAST, SECTIONS, TEXTBOOK


def found(
    model: dict[str, Any], task: str = "binary", evaluate: dict[str, Any] | None = None
) -> list[tuple[tuple[Any, ...], str]]:
    sections = SECTIONS | {"task": task, "model": model, "evaluate": evaluate or {}}
    return list(findings(parse_pipeline(json.dumps(sections), "refit.yaml")))


@pytest.mark.parametrize("text", [LEAST, TEXTBOOK, DEMO], ids=["least", "textbook", "demo"])
def test_the_documented_files_can_be_used(text: str) -> None:
    assert list(findings(parse_pipeline(text, "refit.yaml"))) == []


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        ("sklearn.linear_model.LogisticRegresion", "did you mean sklearn.linear_model.LogisticRegression?"),
        ("sklearn.liner_model.LogisticRegression", "there is no module sklearn.liner_model"),
        ("no_such_package.Model", "there is no module no_such_package"),
        ("os.path.join", "is no estimator: a class with fit and predict"),
        ("sklearn.linear_model.LinearRegression", "is no classifier, and the task is binary"),
    ],
)
def test_an_estimator_that_cannot_be_used_is_named(estimator: str, words: str) -> None:
    ((path, message),) = found({"estimator": estimator})
    assert path == ("model", "estimator")
    assert words in message
    assert not message.startswith("model.")


def test_every_param_that_does_not_suit_is_named_where_it_stands() -> None:
    params = {"max_itr": 10, "foo": 1, "C": "much", "max_iter": -1, "tol": 0.1}
    faults = dict(found({"estimator": "sklearn.linear_model.LogisticRegression", "params": params}))
    assert set(faults) == {("model", "params", name) for name in ("max_itr", "foo", "C", "max_iter")}
    assert "did you mean max_iter?" in faults["model", "params", "max_itr"]
    assert "float" in faults["model", "params", "C"]


def test_an_estimator_that_lacks_an_argument_is_told_so() -> None:
    ((path, message),) = found({"estimator": "sklearn.ensemble.StackingClassifier"})
    assert path == ("model", "params")
    assert "'estimators'" in message


def test_class_weights_need_an_estimator_that_can_weigh() -> None:
    ((path, message),) = found({"estimator": "sklearn.neighbors.KNeighborsClassifier", "class_weight": "balanced"})
    assert path == ("model", "class_weight")
    assert "no way to weigh rows" in message


def test_class_weights_may_go_through_sample_weights() -> None:
    assert found({"estimator": "sklearn.naive_bayes.GaussianNB", "class_weight": "balanced"}) == []


@pytest.mark.parametrize(
    ("model", "key", "words"),
    [
        ({"estimator": "sklearn.svm.LinearSVC"}, "incremental", "LinearSVC has no partial_fit"),
        (
            {"estimator": "sklearn.linear_model.SGDClassifier", "params": {"early_stopping": True}},
            "incremental",
            "SGDClassifier refuses partial_fit with these params: early_stopping should be False with partial_fit",
        ),
    ],
    ids=["no partial_fit", "params that it refuses"],
)
def test_a_fit_in_batches_needs_an_estimator_that_takes_them(model: dict[str, Any], key: str, words: str) -> None:
    ((path, message),) = found(model | {"incremental": True})
    assert path == ("model", key)
    assert message.startswith(words)


def test_an_estimator_that_takes_batches_has_no_fault() -> None:
    model = {"estimator": "sklearn.linear_model.SGDClassifier", "class_weight": "balanced", "incremental": True}
    assert found(model) == []


def test_an_unknown_score_is_named_where_it_stands() -> None:
    evaluate = {"gate": [{"score": "rocauc", "min": 0.5}], "scores": ["accuracy", "acuracy"]}
    faults = dict(found({"estimator": "sklearn.linear_model.LogisticRegression"}, evaluate=evaluate))
    assert set(faults) == {("evaluate", "gate", 0, "score"), ("evaluate", "scores", 1)}
    assert "did you mean roc_auc?" in faults["evaluate", "gate", 0, "score"]


def test_unknown_scores_are_named_beside_an_unknown_estimator() -> None:
    faults = dict(found({"estimator": "no_such.Model"}, evaluate={"scores": ["acuracy"]}))
    assert set(faults) == {("model", "estimator"), ("evaluate", "scores", 0)}


@pytest.mark.parametrize(
    ("task", "estimator", "good", "bad"),
    [
        (
            "binary",
            "LogisticRegression",
            ["roc_auc", "neg_log_loss", "f1", "average_precision", "neg_brier_score", "matthews_corrcoef"],
            ["r2", "neg_mean_absolute_error", "neg_root_mean_squared_error"],
        ),
        (
            "regression",
            "LinearRegression",
            ["r2", "neg_root_mean_squared_error", "neg_mean_poisson_deviance", "neg_mean_absolute_percentage_error"],
            ["roc_auc", "neg_log_loss", "f1", "accuracy"],
        ),
        (
            "multiclass",
            "LogisticRegression",
            ["neg_log_loss", "roc_auc_ovr", "roc_auc_ovo", "f1_macro", "balanced_accuracy", "neg_brier_score"],
            ["roc_auc", "f1", "recall", "r2", "neg_mean_squared_error"],
        ),
    ],
    ids=["binary", "regression", "multiclass"],
)
def test_a_score_fits_the_task(task: str, estimator: str, good: list[str], bad: list[str]) -> None:
    gate = [{"score": good[0], "min_gain": 0.0}]
    faults = found({"estimator": f"sklearn.linear_model.{estimator}"}, task, {"gate": gate, "scores": good + bad})
    assert [path for path, _ in faults] == [("evaluate", "scores", len(good) + index) for index in range(len(bad))]
    assert {message for _, message in faults} == {f"{name} is no score for task: {task}" for name in bad}


def test_a_probability_score_in_the_gate_needs_probabilities() -> None:
    gate = {"gate": [{"score": "neg_log_loss", "min_gain": 0.0}]}
    ((path, message),) = found({"estimator": "sklearn.svm.LinearSVC"}, evaluate=gate)
    assert path == ("evaluate", "gate", 0, "score")
    assert "predict_proba" in message


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_default_gate_suits_an_estimator_without_probabilities(task: str) -> None:
    assert found({"estimator": "sklearn.svm.LinearSVC"}, task) == []


def test_an_estimator_of_two_classes_is_found_where_there_are_several() -> None:
    model = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"solver": "liblinear"}}
    ((path, message),) = found(model, "multiclass")
    assert path == ("model", "estimator")
    assert "tells two classes apart and no more" in message
    assert found(model) == []


def test_the_process_answers_with_one_document_whatever_packages_print(tmp_path: Any) -> None:
    (tmp_path / "talkative.py").write_text(
        "import os, warnings\nprint('hello')\nos.write(1, b'raw')\nwarnings.warn('old', DeprecationWarning)\n"
        "from sklearn.linear_model import LogisticRegression as Model\n"
    )
    body = LEAST.replace("sklearn.linear_model.LogisticRegression", "talkative.Model")
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "refit.ml.probe"],
        input=body.encode(),
        capture_output=True,
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONWARNINGS": "error"},
        check=True,
    )
    assert json.loads(ended.stdout) == {"format": 1, "faults": []}
    assert b"hello" in ended.stderr


# --- search -------------------------------------------------------------------

SPACE = {"C": {"loguniform": [0.01, 10]}, "solver": ["lbfgs", "saga"], "max_iter": {"log_integer": [10, 1000]}}


def test_a_space_that_the_estimator_takes_passes() -> None:
    search = {"space": SPACE}
    assert found({"estimator": "sklearn.linear_model.LogisticRegression", "search": search}) == []


def test_each_value_that_does_not_suit_is_named_where_it_stands() -> None:
    space = {
        **SPACE,
        "max_itr": [1, 2],
        "tol": {"uniform": [-1, 1]},
        "penalty": ["l2", "l7", "l8"],
        "fit_intercept": [5],
    }
    faults = dict(found({"estimator": "sklearn.linear_model.LogisticRegression", "search": {"space": space}}))
    at = ("model", "search", "space")
    assert set(faults) == {
        (*at, "max_itr"),
        (*at, "tol", "uniform", 0),
        (*at, "penalty", 1),
        (*at, "penalty", 2),
        (*at, "fit_intercept", 0),
    }
    assert "did you mean max_iter?" in faults[(*at, "max_itr")]


@pytest.mark.parametrize(
    ("estimator", "scoring", "words"),
    [
        ("sklearn.linear_model.LogisticRegression", "rocauc", "did you mean roc_auc?"),
        ("sklearn.linear_model.LogisticRegression", "r2", "r2 is no score for task: binary"),
        ("sklearn.svm.LinearSVC", "neg_log_loss", "needs what LinearSVC does not give: predict_proba"),
    ],
    ids=["unknown", "task", "probabilities"],
)
def test_a_scorer_of_a_search_fits_task_and_estimator(estimator: str, scoring: str, words: str) -> None:
    search = {"scoring": scoring, "space": {"C": [0.1, 1.0]}}
    gate = {"gate": [{"score": "accuracy", "min_gain": 0.0}], "scores": ["accuracy"]}
    ((path, message),) = found({"estimator": estimator, "search": search}, evaluate=gate)
    assert path == ("model", "search", "scoring")
    assert words in message


@pytest.mark.parametrize("estimator", ["sklearn.linear_model.LogisticRegression", "sklearn.svm.LinearSVC"])
def test_a_search_without_a_scorer_has_one_that_fits(estimator: str) -> None:
    assert found({"estimator": estimator, "search": {"space": {"C": [0.1, 1.0]}}}) == []

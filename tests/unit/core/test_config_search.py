"""model.search: what may be written, and every fault with its place."""

from datetime import timedelta
from typing import Any

import pytest

from refit.core.config import Model, Pipeline, default_score
from refit.core.config_rules import broken_rules
from refit.core.config_search import Range, Search, most
from tests.unit.core.pipeline_files import LEAST, SECTIONS, faults_of, faults_of_sections, parse

LOGISTIC = "sklearn.linear_model.LogisticRegression"


def with_search(search: Any, **model: Any) -> dict[str, Any]:
    return SECTIONS | {"model": {"estimator": LOGISTIC, **model, "search": search}}


def searched(**space: Any) -> Search:
    found = parse(with_search({"space": space})).model.search
    assert found is not None
    return found


def test_the_search_of_the_reference_is_read() -> None:
    text = {"n_iter": 20, "cv": 5, "scoring": "neg_log_loss", "time_budget": "10m"}
    found = parse(with_search({**text, "space": {"learning_rate": {"loguniform": [0.01, 0.3]}}})).model.search
    assert found is not None
    assert (found.n_iter, found.cv, found.scoring, found.time_budget) == (20, 5, "neg_log_loss", timedelta(minutes=10))
    range_ = found.space["learning_rate"]
    assert isinstance(range_, Range)
    assert (range_.kind, range_.ends) == ("loguniform", (0.01, 0.3))


def test_a_space_alone_is_enough_and_has_no_end_of_time() -> None:
    found = searched(C=[0.1, 1])
    assert (found.n_iter, found.cv, found.scoring, found.time_budget) == (20, 5, None, None)
    assert found.space == {"C": (0.1, 1)}


def test_a_choice_may_have_values_of_all_kinds() -> None:
    values = [None, True, 1, 1.0, "sqrt", [10, 5], {"a": 1}]
    assert searched(x=values).space["x"] == tuple(values)


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (5, "model.search: must be a mapping of keys to values"),
        ({}, "model.search.space: is missing"),
        ({"space": {}}, "model.search.space: must not be empty"),
        ({"space": {"C": 5}}, "model.search.space.C: must be a range, like {loguniform: [0.01, 0.3]}, or a list"),
        ({"space": {"C": []}}, "model.search.space.C: must be a range"),
        ({"space": {"C": {}}}, "model.search.space.C: needs exactly one of uniform, loguniform, integer and log_integ"),
        ({"space": {"C": {"uniform": [0, 1], "integer": [0, 1]}}}, "model.search.space.C: needs exactly one of"),
        ({"space": {"C": {"uniform": None}}}, "model.search.space.C: needs exactly one of"),
        ({"space": {"C": {"unifrom": [0, 1]}}}, "model.search.space.C.unifrom: unknown key; did you mean uniform?"),
        ({"space": {"C": {"uniform": 3}}}, "model.search.space.C.uniform: must be the least and the greatest value"),
        ({"space": {"C": {"uniform": [1, 2, 3]}}}, "model.search.space.C.uniform: must be the least and the greatest"),
        ({"space": {"C": {"uniform": [2, 2]}}}, "model.search.space.C.uniform: the least value must be below"),
        ({"space": {"C": {"integer": [3, 2]}}}, "model.search.space.C.integer: the least value must be below"),
        ({"space": {"C": {"integer": [1, 2.5]}}}, "model.search.space.C.integer[1]: must be an integer"),
        ({"space": {"C": {"integer": [1, 2**70]}}}, "model.search.space.C.integer: is too wide"),
        ({"space": {"C": {"uniform": [-1.7e308, 1.7e308]}}}, "model.search.space.C.uniform: is too wide"),
        ({"space": {"C": {"loguniform": [0, 1]}}}, "model.search.space.C.loguniform[0]: must be above 0"),
        ({"space": {"C": {"log_integer": [-1, 1]}}}, "model.search.space.C.log_integer[0]: must be above 0"),
        ({"space": {"C": [1, 2, 1]}}, "model.search.space.C[2]: stands there already"),
        ({"space": {"random_state": [1, 2]}}, "model.search.space.random_state: is model.seed"),
        ({"space": {"class_weight": ["balanced", None]}}, "model.search.space.class_weight: decides what the gate"),
        ({"space": {"C": [1]}, "cv": 1}, "model.search.cv: must be at least 2"),
        ({"space": {"C": [1]}, "cv": 101}, "model.search.cv: must be at most 100"),
        ({"space": {"C": [1]}, "n_iter": 0}, "model.search.n_iter: must be at least 1"),
        ({"space": {"C": [1]}, "time_budget": "0s"}, "model.search.time_budget: must be longer than 0s"),
        ({"space": {"C": [1]}, "n_iters": 3}, "model.search.n_iters: unknown key; did you mean n_iter?"),
    ],
)
def test_a_fault_of_a_search_is_found(search: Any, expected: str) -> None:
    (fault,) = faults_of_sections(with_search(search))
    assert fault.startswith(expected)


@pytest.mark.parametrize("value", [".inf", "{1: 2}", "[.nan]"])
def test_a_choice_that_no_manifest_can_keep_is_refused_with_its_place(value: str) -> None:
    text = LEAST.replace("LogisticRegression}", f"LogisticRegression, search: {{space: {{C: [1, {value}]}}}}}}")
    (fault,) = faults_of(text)
    assert fault.startswith("6:")
    assert "model.search.space.C[1]: must be finite, and the keys of a mapping text" in fault


def test_a_parameter_stands_in_params_or_in_the_space() -> None:
    search = {"space": {"C": [1, 2], "tol": [1e-3, 1e-4]}}
    assert faults_of_sections(with_search(search, params={"C": 3})) == [
        "model.search.space.C: is given as model.params too; take it out there, or here"
    ]


def test_a_search_is_not_for_incremental_fits() -> None:
    model = Model.model_construct(estimator=LOGISTIC, params={}, search=searched(C=[1]), incremental=True)
    assert list(broken_rules({"model": model})) == [
        (("model", "search"), "tries whole fits, and incremental makes none; leave one of the two out")
    ]


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ({"C": {"uniform": [0, 1]}}, 21),
        ({"C": {"uniform": [0, 1]}, "tol": [1, 2]}, 21),
        ({"C": [1, 2], "tol": [1, 2, 3]}, 7),
        ({"C": list(range(30))}, 21),
    ],
    ids=["range", "range and list", "lists", "many"],
)
def test_there_are_as_many_combinations_as_the_space_has_and_the_files_own(space: Any, expected: int) -> None:
    assert most(searched(**space)) == expected


@pytest.mark.parametrize(
    ("sections", "probabilities", "expected"),
    [
        ({}, True, "neg_log_loss"),
        ({}, False, "roc_auc"),
        ({"task": "multiclass"}, True, "neg_log_loss"),
        ({"task": "multiclass"}, False, "balanced_accuracy"),
        ({"task": "regression"}, False, "neg_root_mean_squared_error"),
        ({"model": {"estimator": LOGISTIC, "class_weight": "balanced"}}, True, "roc_auc"),
    ],
)
def test_a_search_judges_by_what_the_gate_would(sections: Any, probabilities: bool, expected: str) -> None:
    pipeline: Pipeline = parse(SECTIONS | sections)
    assert default_score(pipeline, probabilities=probabilities) == expected

"""The combinations that a search tries."""

import math
from typing import Any

import pytest

from refit.core.config import Model
from refit.core.config_search import Search
from refit.core.domain import Artifact, Searched
from refit.ml.combinations import chosen, draw

TABLE = Artifact(key="runs/a/train/b/search.json", size=1, sha256="0" * 64)


def space(n_iter: int = 20, **values: Any) -> Search:
    return Search.model_validate({"n_iter": n_iter, "space": values})


def drawn(n_iter: int = 400, seed: int = 0, **values: Any) -> list[Any]:
    (name,) = values
    return [one[name] for one in draw(space(n_iter, **values), seed)[1:]]


def test_the_files_own_params_come_first_and_n_iter_others_follow() -> None:
    found = draw(space(7, C={"uniform": [0, 1]}, tol={"loguniform": [1e-6, 1e-2]}), 0)
    assert found[0] == {}
    assert len(found) == 8
    assert all(list(one) == ["C", "tol"] for one in found[1:])


def test_a_seed_draws_the_same_again_and_another_draws_others() -> None:
    search = space(9, C={"uniform": [0, 1]}, solver=["lbfgs", "saga"])
    assert draw(search, 3) == draw(search, 3) != draw(search, 4)


def test_a_small_space_is_tried_whole_and_once() -> None:
    found = draw(space(50, depth=[None, 3, True], leaf=[1, 2]), 0)
    assert len(found) == 7
    assert len({repr(one) for one in found}) == 7


def test_an_integer_that_comes_twice_is_tried_once() -> None:
    assert sorted(drawn(50, depth={"integer": [1, 3]})) == [1, 2, 3]


@pytest.mark.parametrize(
    ("range_", "kind"),
    [
        ({"uniform": [-1, 2]}, float),
        ({"uniform": [1000, 1001]}, float),
        ({"loguniform": [1e-4, 10.0]}, float),
        ({"integer": [-2, 900]}, int),
        ({"log_integer": [1, 1000]}, int),
    ],
    ids=["uniform", "narrow", "loguniform", "integer", "log_integer"],
)
def test_values_lie_within_the_ends_and_spread_as_the_range_says(range_: dict[str, list[float]], kind: type) -> None:
    ((name, (low, high)),) = range_.items()
    values = [one["x"] for one in draw(space(400, x=range_, other={"uniform": [0, 1]}), 0)[1:]]
    assert {type(value) for value in values} == {kind}
    assert all(low <= value <= high for value in values)
    middle = math.sqrt(low * high) if name.startswith("log") else (low + high) / 2
    below = sum(value < middle for value in values) / len(values)
    assert 0.4 < below < 0.6
    assert len(set(values)) > 0.3 * len(values)


def test_both_ends_of_integers_are_drawn() -> None:
    assert {1, 9} <= set(drawn(depth={"integer": [1, 9]})) == set(drawn(depth={"log_integer": [1, 9]}))


def test_numbers_can_be_written_down() -> None:
    assert all(len(f"{value:g}") <= 9 and float(f"{value:g}") == value for value in drawn(C={"loguniform": [0.01, 9]}))


def test_what_was_chosen_becomes_params_and_the_search_goes() -> None:
    search = space(C={"uniform": [0, 1]})
    model = Model(estimator="a.B", params={"tol": 0.1}, search=search)
    searched = Searched(
        params={"C": 0.5}, scoring="r2", tried=2, combinations=2, folds=2, seconds=1.0, workers=1, table=TABLE
    )
    assert chosen(model, searched) == Model(estimator="a.B", params={"tol": 0.1, "C": 0.5})
    assert chosen(model, None) == Model(estimator="a.B", params={"tol": 0.1})

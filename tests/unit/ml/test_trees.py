"""A forged tree is found before predict follows it out of bounds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

from refit.ml.persist import dump, load
from refit.ml.trees import BrokenTree, check_trees
from tests.unit.ml.zoo import LABELS, X


def hist() -> Any:
    """Splits by a class first and by a number then."""
    rows = X.copy()
    rows[:, 3] = np.arange(len(X)) % 5
    y = np.isin(rows[:, 3], [1, 3]) ^ (X[:, 0] > 1.5)
    return HistGradientBoostingClassifier(max_iter=2, categorical_features=[3]).fit(rows, y)


def forged_tree(estimator: Any, field: str, value: int) -> None:
    """The root of the estimator's tree gets another value; the tree is made anew, as a loader would."""
    old = estimator.tree_
    state = old.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = value
    estimator.tree_ = Tree(old.n_features, np.asarray(old.n_classes, dtype=np.intp), old.n_outputs)
    estimator.tree_.__setstate__(state)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: DecisionTreeClassifier().fit(X, LABELS), id="tree"),
        pytest.param(lambda: RandomForestClassifier(3).fit(X, LABELS), id="forest"),
        pytest.param(lambda: BaggingClassifier(max_features=2).fit(X, LABELS), id="bagging of some columns"),
        pytest.param(lambda: GradientBoostingClassifier(n_estimators=3).fit(X, LABELS), id="gradient boosting"),
        pytest.param(hist, id="histogram boosting with classes"),
        pytest.param(
            lambda: make_pipeline(OneHotEncoder(sparse_output=False), RandomForestClassifier(2)).fit(X.round(), LABELS),
            id="forest behind features of another width",
        ),
        pytest.param(lambda: make_pipeline(StandardScaler(), KNeighborsClassifier()).fit(X, LABELS), id="neighbours"),
    ],
)
def test_grown_trees_pass(model: Callable[[], Any]) -> None:
    check_trees(model())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left_child", 10**9),
        ("right_child", 10**9),
        ("left_child", 0),
        ("right_child", -7),
        ("feature", 4),
        ("feature", -3),
    ],
    ids=["left outside", "right outside", "circle", "negative", "column outside", "negative column"],
)
@pytest.mark.parametrize("within", ["tree", "forest", "boosting"])
def test_a_forged_node_is_refused_on_loading(field: str, value: int, within: str) -> None:
    if within == "tree":
        model = tree = DecisionTreeClassifier().fit(X, LABELS)
    elif within == "forest":
        model = RandomForestClassifier(2, random_state=0).fit(X, LABELS)
        tree = model.estimators_[1]
    else:
        model = GradientBoostingClassifier(n_estimators=2).fit(X, LABELS)
        tree = model.estimators_[1, 0]
    forged_tree(tree, field, value)
    with pytest.raises(BrokenTree, match="corrupt or forged"):
        load(dump(model))


@pytest.mark.parametrize(("field", "value"), [("left", 2**31), ("right", 0), ("feature_idx", 99), ("bitset_idx", 99)])
def test_a_forged_node_of_histogram_boosting_is_refused(field: str, value: int) -> None:
    model = hist()
    tree = model._predictors[0][0]
    inner = np.flatnonzero((tree.nodes["is_leaf"] == 0) & (tree.nodes["is_categorical"] == (field == "bitset_idx")))
    assert len(inner)
    tree.nodes[field][inner[0]] = value
    with pytest.raises(BrokenTree):
        load(dump(model))


def test_a_forest_that_passes_on_fewer_columns_than_its_trees_take_is_refused() -> None:
    model = RandomForestClassifier(2).fit(X, LABELS)
    model.n_features_in_ = 2
    with pytest.raises(BrokenTree, match="takes 4 columns and gets 2"):
        check_trees(model)


def test_an_estimator_that_does_not_say_its_width_is_refused() -> None:
    model = DecisionTreeClassifier().fit(X, LABELS)
    del model.n_features_in_
    with pytest.raises(BrokenTree, match="does not say how many columns"):
        check_trees(model)


def test_forged_neighbours_are_refused() -> None:
    model = KNeighborsClassifier(algorithm="kd_tree").fit(X, LABELS)
    state = list(model._tree.__getstate__())
    state[1] = state[1] + 10**9
    model._tree.__setstate__(tuple(state))
    with pytest.raises(BrokenTree, match="points outside its rows"):
        check_trees(model)

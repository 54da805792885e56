"""Are the indices inside a loaded model's trees within bounds?

scikit-learn follows the node indices of a tree without a look at their bounds (scikit-learn/scikit-learn#34558): a
forged file could make predict read foreign memory or run for ever. Children always come after their parent in trees
that scikit-learn has grown, so requiring it also rules out circles.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.neighbors import BallTree, KDTree
from sklearn.tree._tree import Tree

from refit.core.errors import ArtifactError

# These hand their rows to their trees without a check of the number of columns.
_WITHOUT_CHECK: Final = (BaseForest, GradientBoostingClassifier, GradientBoostingRegressor)
_LEAF: Final = -1


class BrokenTree(ArtifactError):
    """A tree of the model points outside itself, which scikit-learn never writes."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the model file is corrupt or forged: {what}",
            next="restore the object from the bucket's versions or a backup",
        )


def check_trees(model: Any) -> None:
    """Every tree in the model stays within its own nodes and the columns that its estimator takes.

    Raises:
        BrokenTree: one does not.
    """
    seen: set[int] = set()
    waiting: list[tuple[Any, Any]] = [(model, None)]
    while waiting:
        item, owner = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        owner = _check(item, owner)
        waiting += [(part, owner) for part in parts(item)]


def _check(item: Any, owner: Any) -> Any:
    """Checks what is a tree; returns the estimator that the parts of `item` belong to."""
    match item:
        case Tree():
            _check_tree(item, _width(owner))
        case TreePredictor():
            _check_predictor(item, _width(owner))
        case KDTree() | BallTree():
            _check_neighbours(item, _width(owner))
        case BaseEstimator() if hasattr(item, "n_features_in_"):
            if isinstance(owner, _WITHOUT_CHECK) and _width(item) != _width(owner):
                raise BrokenTree(f"{type(item).__name__} takes {_width(item)} columns and gets {_width(owner)}")
            return item
    return owner


def _width(estimator: Any) -> int:
    width = getattr(estimator, "n_features_in_", None)
    if not isinstance(width, int | np.integer):
        raise BrokenTree(f"{type(estimator).__name__} does not say how many columns it takes")
    return int(width)


def parts(item: Any) -> Iterator[Any]:
    """What a model's object holds directly: attributes, members of containers."""
    if isinstance(item, np.ndarray):
        yield from item.ravel() if item.dtype == object else ()
    elif isinstance(item, list | tuple | set | frozenset):
        yield from item
    elif isinstance(item, Mapping):
        yield from item.values()
    elif hasattr(item, "__dict__") and not isinstance(item, type):
        yield from vars(item).values()


def _check_tree(tree: Any, width: int) -> None:
    nodes = tree.__getstate__()["nodes"]
    inner = nodes["left_child"] != _LEAF
    _check_children("Tree", nodes["left_child"], nodes["right_child"], inner)
    _check_columns("Tree", nodes["feature"][inner], width)


def _check_predictor(tree: Any, width: int) -> None:
    nodes, inner = tree.nodes, tree.nodes["is_leaf"] == 0
    _check_children("TreePredictor", nodes["left"].astype(np.int64), nodes["right"].astype(np.int64), inner)
    _check_columns("TreePredictor", nodes["feature_idx"][inner], width)
    sets = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    if len(sets) and sets.max() >= min(len(tree.raw_left_cat_bitsets), len(tree.binned_left_cat_bitsets)):
        raise BrokenTree("TreePredictor points at a set of categories that is not there")


def _check_children(name: str, left: Any, right: Any, inner: Any) -> None:
    place = np.arange(len(left))[inner]
    for child in (left[inner], right[inner]):
        if not ((child > place) & (child < len(left))).all():
            raise BrokenTree(f"{name} has a node whose child is not after it")
    if len(left) == 0:
        raise BrokenTree(f"{name} has no node")


def _check_columns(name: str, columns: Any, width: int) -> None:
    if not ((columns >= 0) & (columns < width)).all():
        raise BrokenTree(f"{name} splits by a column that its estimator does not take")


def _check_neighbours(tree: Any, width: int) -> None:
    data, order, nodes, *_ = tree.__getstate__()
    rows = len(order)
    starts, ends = nodes["idx_start"], nodes["idx_end"]
    whole = data.shape == (rows, width) and ((order >= 0) & (order < rows)).all()
    if not (whole and ((starts >= 0) & (starts <= ends) & (ends <= rows)).all()):
        raise BrokenTree(f"{type(tree).__name__} points outside its rows")

"""The combinations of parameters that a search tries: drawn once, by the seed, before anything is fitted.

Drawing is scikit-learn's (ParameterSampler: independent draws, as Bergstra & Bengio 2012, Random search for
hyper-parameter optimization, argue for). Numbers are rounded to four digits that tell them apart, so that a report
shows what was fitted and a person can write it into the file.
"""

import json
import warnings
from typing import Any, Final, Protocol

import numpy as np
from scipy import stats
from sklearn.model_selection import ParameterSampler

from refit.core.config import Model
from refit.core.config_search import Range, Search
from refit.core.domain import Searched

DIGITS: Final = 4


class _Distribution(Protocol):
    def rvs(self, random_state: Any = None) -> Any: ...


class _Rounded:
    """Numbers between two ends that a person can write down."""

    def __init__(self, drawn: _Distribution, range_: Range) -> None:
        self._drawn, (self._low, self._high) = drawn, range_.ends
        largest = max(abs(self._low), abs(self._high))
        self._digits = DIGITS + round(np.log10(largest / min(self._high - self._low, largest)))

    def rvs(self, random_state: Any = None) -> float:
        value = float(f"{self._drawn.rvs(random_state=random_state):.{self._digits}g}")
        return min(max(value, self._low), self._high)


class _Whole:
    """Integers between two ends, both included."""

    def __init__(self, drawn: _Distribution, range_: Range) -> None:
        self._drawn, self._high = drawn, int(range_.ends[1])

    def rvs(self, random_state: Any = None) -> int:
        return min(int(self._drawn.rvs(random_state=random_state)), self._high)


def draw(search: Search, seed: int) -> list[dict[str, Any]]:
    """The combinations, each once, the file's own params first as an empty one; then at most n_iter drawn ones.

    The same space, n_iter and seed give the same combinations.
    """
    space = {name: values if isinstance(values, Range) else list(values) for name, values in search.space.items()}
    drawn = {name: _distribution(values) if isinstance(values, Range) else values for name, values in space.items()}
    found: dict[str, dict[str, Any]] = {"": {}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a space that has fewer combinations than n_iter
        for combination in ParameterSampler(drawn, search.n_iter, random_state=seed):
            ordered = {name: combination[name] for name in space}
            found.setdefault(json.dumps(ordered), ordered)  # 1, 1.0 and true are other parameters, and other JSON
    return list(found.values())


def chosen(model: Model, searched: Searched | None) -> Model:
    """The section with what a search chose written as params, and no search: what its model was fitted by."""
    params = {} if searched is None else searched.params
    return model.model_copy(update={"params": {**model.params, **params}, "search": None})


def _distribution(range_: Range) -> _Distribution:
    low, high = range_.ends
    match range_.kind:
        case "uniform":
            return _Rounded(stats.uniform(low, high - low), range_)
        case "loguniform":
            return _Rounded(stats.loguniform(low, high), range_)
        case "integer":
            return _Whole(stats.randint(low, high + 1), range_)
        case _:
            return _Whole(stats.loguniform(low, high + 1), range_)

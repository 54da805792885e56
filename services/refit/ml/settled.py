"""What a fit settled by itself, as parameters: a definition that is fitted again with them stays the one evaluated.

Early stopping holds rows out to find when to stop. A second fit on all rows has none to spare and must not stop
elsewhere: it trains as many rounds as the first did (gate.md section 5: "keeps parameters, seed, iterations").
"""

from typing import Any

import numpy as np


def settled(fitted: Any, built: Any) -> dict[str, Any]:
    """Parameters to set on `built`, the estimator as the file asks for it, so that it equals `fitted` in these.

    Those in which the two differ, as a search chose them, and the number of rounds where a fitted estimator of
    scikit-learn's stopped early, or might stop early on more rows. Estimators inside others keep what is written.
    """
    before = built.get_params()
    found = {name: value for name, value in fitted.get_params().items() if _is_plain(value)}
    differ = [name for name, value in found.items() if name not in before or not _same(before[name], value)]
    chosen = {name: _plain(found[name]) for name in differ}
    return chosen | _rounds(fitted)


def _rounds(fitted: Any) -> dict[str, Any]:
    """Found by the names of scikit-learn's own base classes: to import them all takes a second."""
    kinds = {kind.__name__ for kind in type(fitted).__mro__ if kind.__module__.startswith("sklearn.")}
    if "BaseHistGradientBoosting" in kinds and fitted.early_stopping:
        # `auto` is off up to 10,000 rows and on beyond: it may change sides between the two fits.
        return {"early_stopping": False, "max_iter": max(1, int(fitted.n_iter_))}
    if "BaseGradientBoosting" in kinds and fitted.n_iter_no_change is not None:
        return {"n_iter_no_change": None, "n_estimators": int(fitted.n_estimators_)}
    if "BaseMultilayerPerceptron" in kinds and getattr(fitted, "validation_scores_", None):  # none with lbfgs
        best = int(np.argmax(fitted.validation_scores_)) + 1  # whose weights it went back to
        return {"early_stopping": False, "max_iter": best, "n_iter_no_change": best}
    if "BaseSGD" in kinds and fitted.early_stopping:
        return {"early_stopping": False, "max_iter": int(fitted.n_iter_), "tol": None}
    return {}


def _same(one: Any, other: Any) -> bool:
    """Equal, or both NaN."""
    return bool(one == other) or (one != one and other != other)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | np.number | np.bool_)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value

"""From a pipeline file to one scikit-learn Pipeline that takes raw rows, and its fit."""

import difflib
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.pipeline import Pipeline as Steps
from sklearn.utils import get_tags
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter

from refit.core.config import Model, Pipeline
from refit.core.config_sections import OwnTransformer
from refit.core.domain import Column
from refit.core.errors import ConfigError, DataError
from refit.core.logs import foreign
from refit.ml import features, own
from refit.ml.frame import Array
from refit.ml.trust import CLOSED, package_of

MODEL_STEP: Final = "model"
FEATURES_STEP: Final = "features"
MAX_WARNINGS: Final = 20
PLAIN_ROWS: Final = 200

FIT_ERRORS: Final = (ValueError, TypeError, ArithmeticError, NotImplementedError)


class UnknownEstimator(ConfigError):
    """model.estimator names no class that can be built here."""


class BadParameter(ConfigError):
    """model.params does not suit the estimator."""


class UnfitRows(DataError):
    """The estimator refuses the training rows."""


def make(model: Model, task: str) -> Any:
    """The unfitted estimator of the file, seeded.

    Raises:
        UnknownEstimator: no such module or class, or it is none for the task.
        OwnCodeFails: a function or class of the user's own, or the module, raises.
        BadParameter: params, or class_weight, do not suit it.
    """
    kind = resolve(model.estimator)
    params = dict(model.params)
    if model.class_weight is not None and "class_weight" in _accepted(kind):
        params["class_weight"] = model.class_weight
    with own.OwnCode({package_of(model.estimator)} - CLOSED):
        try:
            if own.is_function(model.estimator):
                estimator = own.call("model.estimator", model.estimator, kind, **params)
            else:
                estimator = kind(**params)
        except (TypeError, ValueError) as error:
            raise BadParameter(_wrong_params(model, kind, error)) from error
    _check_is_estimator(estimator, model)
    if model.class_weight is not None and "class_weight" in estimator.get_params(deep=False):
        estimator.set_params(class_weight=model.class_weight)
    _check_task(estimator, model, task)
    _seed(estimator, model.seed)
    _check_params(estimator, model)
    return estimator


def resolve(name: str) -> Callable[..., Any]:
    """The class of that dotted name, or the function of package.module:function.

    Raises:
        UnknownEstimator: the module, class or function is not there, or the class is no estimator.
        OwnCodeFails: the module fails on import.
    """
    module_name, _, class_name = name.rpartition(".")
    try:
        if own.is_function(name):
            return own.find("model.estimator", name)
        module = own.import_own("model.estimator", module_name)
    except own.NoFunction as error:
        raise UnknownEstimator(error.message, next=error.next) from error
    found = getattr(module, class_name, None)
    if found is None:
        close = difflib.get_close_matches(class_name, dir(module), n=1)
        meant = f"; did you mean {module_name}.{close[0]}?" if close else ""
        raise UnknownEstimator(f"model.estimator: {module_name} has no {class_name}{meant}")
    if not (inspect.isclass(found) and hasattr(found, "fit") and hasattr(found, "predict")):
        raise UnknownEstimator(f"model.estimator: {name} is no estimator: a class with fit and predict")
    return found


def build(pipeline: Pipeline, columns: Sequence[Column]) -> Steps:
    """The unfitted scikit-learn Pipeline that takes raw rows, as frame.to_frame gives them.

    Args:
        columns: The snapshot's columns.

    Raises:
        ConfigError: the estimator or its parameters.
        DataError: the features and the snapshot's columns do not agree.
    """
    chosen = features.plan(pipeline, columns)
    estimator = make(pipeline.model, pipeline.task)
    if isinstance(pipeline.features, OwnTransformer):
        prepared = own.transformer(pipeline.features.transformer)
        if hasattr(prepared, "get_params"):
            _seed(prepared, pipeline.model.seed)
    else:
        sparse, takes_nan = _takes(estimator)
        prepared = features.transformer(chosen, sparse=sparse, takes_nan=takes_nan)
    return Steps([(FEATURES_STEP, prepared), (MODEL_STEP, estimator)])


def fit(
    steps: Steps, X: pd.DataFrame, y: Array, model: Model, packages: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """The steps are fitted in place; returns what the libraries warned of, each sentence once.

    Args:
        packages: Those of the user's own code in the steps.

    Raises:
        BadParameter: the estimator refuses a parameter, or knows no way to weigh classes.
        UnfitRows: the estimator refuses the rows; in its own words.
        OwnCodeFails: code of the user's own raises what says nothing about rows or params.
    """
    weights = _sample_weights(steps[-1], y, model)
    said: dict[str, None] = {}
    with learning(steps[-1], 0 if y.dtype.kind == "f" else len(np.unique(y)), packages, said):
        steps.fit(X, y, **weights)
        steps.predict(X.iloc[:PLAIN_ROWS])  # more neighbours than rows, say, show only here
    return tuple(said)


@contextmanager
def learning(estimator: Any, classes: int, packages: frozenset[str], said: dict[str, None]) -> Iterator[None]:
    """The body fits or asks the estimator: `said` has what libraries warn of, and what it raises is told as `fit` does.

    Args:
        classes: How many the target has; 0 for a regression.
        said: Gets each sentence once, and MAX_WARNINGS at most.
    """
    with warnings.catch_warnings(record=True) as caught, own.OwnCode(packages), _mapped(packages, estimator, classes):
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if len(said) < MAX_WARNINGS:
            said[f"{warning.category.__name__}: {foreign(warning.message, first_line(warning.message))}"] = None


@contextmanager
def _mapped(packages: frozenset[str], estimator: Any, classes: int) -> Iterator[None]:
    unfitted, name = clone(estimator), type(estimator).__name__
    try:
        yield
    except FIT_ERRORS as error:
        sentence, place = first_line(error), own.place(error, packages)
        name = f"{name} (at {place})" if place else name
        if not can_fit(unfitted, *plain_rows(min(classes, 3))):  # then params are at fault, not the data
            told = foreign(error, sentence)
            raise BadParameter(
                f"model.params: {name} cannot be fitted with these: {told}",
                next="it refuses plain numbers too: choose other params, or another estimator",
            ) from error
        told = foreign(error, sentence)
        raise UnfitRows(f"{name} cannot be fitted on these rows: {told}", next=_advice(sentence)) from error


def can_fit(estimator: Any, X: Array, y: Array) -> bool:
    """Whether its fit takes these rows; it is fitted in place, and its warnings are dropped."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(X, y)
    except FIT_ERRORS:
        return False
    return True


def plain_rows(classes: int) -> tuple[Array, Array]:
    """Rows that any estimator should take: 4 features from 0 to 1, and a target that follows the first. No classes: a
    regression."""
    X = np.random.default_rng(0).random((PLAIN_ROWS, 4))
    return X, np.floor(X[:, 0] * classes).astype(int) if classes else X[:, 0]


def _advice(sentence: str) -> str:
    if "NaN" in sentence:
        return "fill gaps (features.numeric.impute), or choose an estimator that takes NaN"
    if "infinity" in sentence:
        return "leave such rows out in the query, or bound the column in the contract (columns.*.max)"
    if "parse data was passed" in sentence:
        return "let the transformer give dense arrays, like OneHotEncoder(sparse_output=False)"
    if "Invalid classes inferred" in sentence:
        return "xgboost takes the classes 0, 1, 2, … alone: number them in the query, or choose another estimator"
    if "could not convert string" in sentence:
        return "encode text columns: features.categorical with encode onehot or ordinal"
    return "look at the features, the params and the query"


def first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:400] if lines else type(error).__name__


def _accepted(kind: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(kind).parameters)


def _name(kind: Callable[..., Any]) -> str:
    return getattr(kind, "__name__", type(kind).__name__)


def _wrong_params(model: Model, kind: Callable[..., Any], error: Exception) -> str:
    accepted = _accepted(kind)
    taken = any(found.kind is inspect.Parameter.VAR_KEYWORD for found in inspect.signature(kind).parameters.values())
    unknown = [] if taken else [name for name in model.params if name not in accepted]
    if not unknown:
        return f"model.params: {_name(kind)} cannot be made: {first_line(error)}"
    close = difflib.get_close_matches(unknown[0], accepted, n=1)
    meant = f"; did you mean {close[0]}?" if close else f"; it takes {', '.join(accepted) or 'no arguments'}"
    return f"model.params: {_name(kind)} takes no {unknown[0]}{meant}"


def _check_is_estimator(estimator: Any, model: Model) -> None:
    """scikit-learn's interface, as far as refit itself needs it."""
    what = f"{model.estimator} gives" if own.is_function(model.estimator) else f"{model.estimator} is"
    lacking = [name for name in ("fit", "predict", "get_params", "set_params") if not hasattr(estimator, name)]
    if inspect.isclass(estimator) or lacking:
        why = f"the class {estimator.__name__}" if inspect.isclass(estimator) else f"a {type(estimator).__name__}"
        raise UnknownEstimator(
            f"model.estimator: {what} {why}, no estimator" + (f": it has no {lacking[0]}" if lacking else ""),
            next="give an object of a class that derives from sklearn.base.BaseEstimator",
        )
    try:
        clone(estimator)
    except (RuntimeError, TypeError) as error:
        raise UnknownEstimator(
            f"model.estimator: {what} an estimator that scikit-learn cannot copy: {first_line(error)}",
            next="let __init__ keep each argument as it is, under the argument's own name",
        ) from error


def _check_task(estimator: Any, model: Model, task: str) -> None:
    fits = is_regressor(estimator) if task == "regression" else is_classifier(estimator)
    other = is_classifier(estimator) if task == "regression" else is_regressor(estimator)
    if not fits and other:
        wanted = "regressor" if task == "regression" else "classifier"
        raise UnknownEstimator(f"model.estimator: {model.estimator} is no {wanted}, and the task is {task}")
    if task == "multiclass" and _tells_two_classes_only(estimator):
        raise UnknownEstimator(
            f"model.estimator: {type(estimator).__name__} with these params tells two classes apart and no more, and "
            "the task is multiclass",
            next="choose other params or another estimator, or wrap it in sklearn.multiclass.OneVsRestClassifier",
        )


def _tells_two_classes_only(estimator: Any) -> bool:
    if not hasattr(estimator, "__sklearn_tags__"):
        return False
    tags = get_tags(estimator).classifier_tags
    return tags is not None and not tags.multi_class


def _check_params(estimator: Any, model: Model) -> None:
    if not hasattr(estimator, "_parameter_constraints"):  # scikit-learn's own estimators have them
        return
    try:
        estimator._validate_params()
    except ValueError as error:
        raise BadParameter(f"model.params: {first_line(error)}") from error


def _seed(estimator: Any, seed: int) -> None:
    """Every random_state that params left open is the seed."""
    values = estimator.get_params(deep=True)
    names = [name for name in values if name == "random_state" or name.endswith("__random_state")]
    estimator.set_params(**{name: seed for name in names if values[name] is None})


def _takes(estimator: Any) -> tuple[bool, bool]:
    """Whether the estimator takes sparse matrices, and NaN, by its own tags."""
    if not hasattr(estimator, "__sklearn_tags__"):
        return False, False
    tags = get_tags(estimator).input_tags
    return bool(tags.sparse), bool(tags.allow_nan)


def _sample_weights(estimator: Any, y: Array, model: Model) -> dict[str, Array]:
    """Arguments of fit that carry class weights for an estimator without a class_weight of its own."""
    if model.class_weight is None:
        return {}
    if model.class_weight != "balanced":
        check_weights(model.class_weight, np.unique(y).tolist())
    if "class_weight" in estimator.get_params(deep=False):
        return {}
    if not has_fit_parameter(estimator, "sample_weight"):
        raise BadParameter(f"model.class_weight: {model.estimator} has no way to weigh rows; leave it out")
    return {f"{MODEL_STEP}__sample_weight": compute_sample_weight(model.class_weight, y)}


def check_weights(class_weight: dict[Any, float], classes: Sequence[Any]) -> None:
    """Every class that has a weight is one of the target's. Raises BadParameter."""
    if unknown := [label for label in class_weight if label not in classes]:
        raise BadParameter(f"model.class_weight names {unknown[0]!r}; the classes are {list(classes)!r}"[:500])

"""Whether a file's estimator, params and scores can be used here, found by building and asking them.

`python -m refit.ml.probe` reads a valid pipeline file from stdin and answers on stdout with one JSON document:

    {"format": 1, "faults": [{"path": ["model", "params", "max_itre"], "message": "…"}]}

It is a process of its own because it imports scikit-learn and the user's packages; `refit check` starts it. A
package that fails on import in a way of its own ends it with a traceback.
"""

import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from refit.core.config import Model, Pipeline, default_score, evaluation, parse_pipeline
from refit.core.config_search import Range
from refit.core.config_sections import OwnTransformer
from refit.core.errors import ConfigError
from refit.core.yaml_file import Path
from refit.ml import own, scores
from refit.ml.estimator import BadParameter, UnknownEstimator, make, resolve
from refit.ml.partial_fit import NoBatches, check_takes_batches
from refit.ml.persist import CannotSave

ROWS: Final = 40
NOT_USABLE: Final = (UnknownEstimator, own.NoFunction, own.OwnCodeFails)
Found = tuple[Path, str]


def findings(pipeline: Pipeline) -> Iterator[Found]:
    """Every fault that only the installed packages can show, with its path in the file."""
    yield from _transformer_findings(pipeline)
    try:
        kind = resolve(pipeline.model.estimator)
    except NOT_USABLE as error:
        yield ("model", "estimator"), _sentence(error)
        yield from _unknown_scores(pipeline)
        return
    unknown = list(_unknown_params(pipeline.model, kind))
    yield from unknown
    yield from _refused_params(pipeline, {path[-1] for path, _ in unknown})


def _transformer_findings(pipeline: Pipeline) -> Iterator[Found]:
    if not isinstance(pipeline.features, OwnTransformer):
        return
    try:
        own.check_can_be_saved(own.transformer(pipeline.features.transformer), own.packages(pipeline))
    except (*NOT_USABLE, own.NoTransformer, CannotSave) as error:
        yield ("features", "transformer"), _sentence(error)


def _unknown_scores(pipeline: Pipeline) -> Iterator[Found]:
    for path, name in _named_scores(pipeline, probabilities=True):
        try:
            scores.find(name)
        except scores.UnknownScore as error:
            yield path, error.message


def _unknown_params(model: Model, kind: Callable[..., Any]) -> Iterator[Found]:
    parameters = inspect.signature(kind).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in model.params:
        if name not in parameters:
            try:
                make(model.model_copy(update={"params": {name: None}, "class_weight": None}), "")
            except BadParameter as error:
                yield ("model", "params", name), _sentence(error)
            except NOT_USABLE:
                return  # a function that fails does so with any params, and is told with its own


def _refused_params(pipeline: Pipeline, left_out: set[Any]) -> Iterator[Found]:
    """Parameters that the estimator refuses, one after the other; then what the estimator itself shows."""
    params = {name: value for name, value in pipeline.model.params.items() if name not in left_out}
    while True:
        model = pipeline.model.model_copy(update={"params": params})
        try:
            estimator = make(model, pipeline.task)
        except NOT_USABLE as error:
            yield ("model", "estimator"), _sentence(error)
            return
        except BadParameter as error:
            culprit = next((name for name in params if re.search(rf"'{re.escape(name)}'", error.message)), None)
            weighs = culprit is None and "class_weight" in error.message
            path = ("model", "class_weight") if weighs else ("model", "params", *([culprit] if culprit else []))
            yield path, _sentence(error)
            if culprit is None:
                return
            params = {name: value for name, value in params.items() if name != culprit}
        else:
            yield from _estimator_findings(pipeline, estimator)
            yield from _space_findings(pipeline, params)
            return


def _space_findings(pipeline: Pipeline, params: dict[str, Any]) -> Iterator[Found]:
    """Values of a search that the estimator refuses one by one; together they are tried by the search alone."""
    search = pipeline.model.search
    for name, values in search.space.items() if search else ():
        path: Path = ("model", "search", "space", name)
        places = [((*path, index), value) for index, value in enumerate(values)] if isinstance(values, tuple) else []
        if isinstance(values, Range):
            places = [((*path, values.kind, index), end) for index, end in enumerate(values.ends)]
        for number, (place, value) in enumerate(places):
            model = pipeline.model.model_copy(update={"params": {**params, name: value}})
            try:
                make(model, pipeline.task)
            except BadParameter as error:
                unknown = f"takes no {name}" in error.message
                yield path if unknown else place, _sentence(error)
                if unknown:
                    break
            except NOT_USABLE as error:
                yield path if number == 0 else place, _sentence(error)
                break


def _estimator_findings(pipeline: Pipeline, estimator: Any) -> Iterator[Found]:
    weighs = "class_weight" in estimator.get_params(deep=False) or has_fit_parameter(estimator, "sample_weight")
    if pipeline.model.class_weight is not None and not weighs:
        yield ("model", "class_weight"), f"{type(estimator).__name__} has no way to weigh rows; leave it out"
    elif pipeline.model.batches is not None:
        try:
            check_takes_batches(estimator, pipeline.model, pipeline.task)
        except NoBatches as error:
            yield ("model", error.key), _sentence(error)
    if packages := own.packages(pipeline):
        try:
            own.check_can_be_saved(estimator, packages)
        except CannotSave as error:
            yield ("model", "estimator"), _sentence(error)
    yield from _unusable_scores(pipeline, estimator)


# --- scores -------------------------------------------------------------------


def _unusable_scores(pipeline: Pipeline, estimator: Any) -> Iterator[Found]:
    says = {name for name in ("predict_proba", "decision_function") if hasattr(estimator, name)}
    every = {"predict_proba", "decision_function"}
    for path, name in _named_scores(pipeline, probabilities="predict_proba" in says):
        try:
            scores.find(name)
        except scores.UnknownScore as error:
            yield path, error.message
            continue
        if not _works(name, pipeline.task, every):
            yield path, f"{name} is no score for task: {pipeline.task}"
        elif pipeline.task != "regression" and not _works(name, pipeline.task, says):
            yield path, f"{name} needs what {type(estimator).__name__} does not give: {_lacks(says)}"


def _lacks(says: set[str]) -> str:
    lacking = sorted({"predict_proba", "decision_function"} - says)
    return f"{' and '.join(lacking)}; choose another score, or an estimator that gives it"


def _works(name: str, task: str, says: set[str]) -> bool:
    """Whether the score can be computed for the task from an estimator that says so much."""
    try:
        if task == "regression":
            scores.value(name, _numbers(), _numbers().predict)
            return True
        several = 3 if task == "multiclass" else 2
        scores.value(name, _classes(says, several), np.arange(ROWS) % several)
    except scores.UnusableScore:
        return False
    try:
        scores.value(name, _numbers(), _numbers().predict)
    except scores.UnusableScore:
        return True
    return False  # what takes any numbers measures errors of numbers


def _numbers() -> scores.Responses:
    return scores.Responses(None, np.linspace(0.5, 9.5, ROWS))


def _classes(says: set[str], several: int) -> scores.Responses:
    """What a classifier might say; as scikit-learn's do, it ranks two classes by one number."""
    logits = np.sin(np.outer(np.arange(1, ROWS + 1), np.arange(1, several + 1)))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return scores.Responses(
        np.arange(several),
        probabilities.argmax(axis=1),
        probabilities if "predict_proba" in says else None,
        (logits[:, 1] - logits[:, 0] if several == 2 else logits) if "decision_function" in says else None,
    )


def _named_scores(pipeline: Pipeline, *, probabilities: bool) -> Iterator[tuple[Path, str]]:
    """Every score once, where the file names it first; a default where `evaluate` stands."""
    resolved, written = evaluation(pipeline, probabilities=probabilities), pipeline.evaluate.model_fields_set
    places: dict[str, Path] = {}
    if pipeline.model.search:
        scoring = pipeline.model.search.scoring
        judge = scoring or default_score(pipeline, probabilities=probabilities)
        places[judge] = ("model", "search", *(["scoring"] if scoring else []))
    for index, line in enumerate(resolved.gate):
        places.setdefault(line.score, ("evaluate", "gate", index, "score") if "gate" in written else ("evaluate",))
    for index, name in enumerate(resolved.scores):
        places.setdefault(name, ("evaluate", "scores", index) if "scores" in written else ("evaluate",))
    return ((path, name) for name, path in places.items())


def _sentence(error: ConfigError) -> str:
    """The message less the key, which the fault's path says."""
    words = re.sub(r"^(model\.(estimator|params|class_weight|incremental)|features\.transformer): ", "", error.message)
    return f"{words}; {error.next}" if error.next else words


def main() -> None:
    """The answer stands on stdout, and nothing else: what packages print on import goes to stderr."""
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    pipeline = parse_pipeline(sys.stdin.buffer.read(), "stdin")
    faults = [{"path": list(path), "message": message} for path, message in findings(pipeline)]
    with answer:
        json.dump({"format": 1, "faults": faults}, answer)


if __name__ == "__main__":
    main()

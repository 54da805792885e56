"""A pipeline file in words: what a run of it would do. Pure."""

from collections.abc import Iterator
from datetime import timedelta

from refit.cli.words import plural
from refit.core.config import GateLine, Model, Pipeline
from refit.core.config_search import Search, most
from refit.core.config_types import duration_text


def outline(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """Label and sentence of each part, in the order of a run."""
    source, schedule = pipeline.source, pipeline.schedule
    yield "rows", f"known by {', '.join(source.key)}, new by {source.cursor}"
    yield "window", _window(pipeline)
    yield "holds out", _split(pipeline)
    yield "predicts", f"{pipeline.target}, {pipeline.task}"
    yield "features", _features(pipeline)
    yield "model", _model(pipeline)
    if pipeline.model.search is not None:
        yield "searches", search_words(pipeline.model.search)
    for index, line in enumerate(pipeline.evaluate.gate):
        yield "gate" if index == 0 else "", line_words(line)
    yield "report", ", ".join(pipeline.evaluate.scores)
    yield "approval", "a person promotes" if pipeline.publish.approval == "manual" else "promoted when the gate accepts"
    if pipeline.publish.fit_on == "all":
        yield "goes out", "the same fitted again on all rows of the window, held-out ones included"
    yield "schedule", f"{schedule.cron} in {schedule.timezone}" if schedule else "none; run it by hand"


def _window(pipeline: Pipeline) -> str:
    length = pipeline.window.length
    return "all rows up to each run" if length is None else f"the last {duration_text(length)} before each run"


def _split(pipeline: Pipeline) -> str:
    split = pipeline.split
    if split.kind == "hash":
        unit = f"the entities ({', '.join(split.by)})" if split.by else "the keys"
        return f"{split.holdout:.4g} of {unit}, the same in every run"
    known = f", less entities ({', '.join(split.by)}) that a model was trained on" if split.by else ""
    if isinstance(split.holdout, timedelta):
        return f"the newest {duration_text(split.holdout)}{known}"
    return f"the newest {split.holdout:.4g} of the window{known}"


def _features(pipeline: Pipeline) -> str:
    features = pipeline.features
    if features.kind == "transformer":
        return f"{features.transformer}() of {_all_columns(pipeline)}"
    if features.kind != "block":
        return f"by type, {_all_columns(pipeline)}"
    return "; ".join(f"{name}: {', '.join(columns)}" for name, columns in features.blocks().items())


def _all_columns(pipeline: Pipeline) -> str:
    but = ["key", "cursor", "target"]
    but += ["split.by"] if pipeline.split.by else []
    but += ["sensitive ones"] if pipeline.sensitive else []
    return f"all columns but {', '.join(but[:-1])} and {but[-1]}"


def _model(pipeline: Pipeline) -> str:
    model = pipeline.model
    params = ", ".join(f"{name}={value}" for name, value in model.params.items())
    weights = f", classes weighted: {model.class_weight}" if model.class_weight is not None else ""
    part = f", on {model.sample.rows:,} random training rows" if model.sample else ""
    return f"{model.estimator}({params}){weights}{part}{_batches(model)}"


def _batches(model: Model) -> str:
    if model.batches is None:
        return ""
    passes = model.batches.passes
    often = "" if passes is None else f", {passes} times each" if passes > 1 else ", once each"
    return f", batch by batch on all training rows{often}"


def search_words(search: Search) -> str:
    """What is searched for, over how many fits, and how long."""
    fits = f"{plural(most(search), 'combination')} on {plural(search.cv, 'fold')}"
    time = "no time_budget" if search.time_budget is None else f"{duration_text(search.time_budget)} at most"
    return f"{', '.join(search.space)}: {fits}, {time}"


def line_words(line: GateLine) -> str:
    """The line as a sentence of what a candidate must do."""
    match line.line:
        case "min":
            return f"{line.score} is at least {line.limit:g}"
        case "max":
            return f"{line.score} is at most {line.limit:g}"
        case "min_gain":
            return f"{line.score} gains more than {line.limit:g} on the champion, proven"
        case "max_loss":
            return f"{line.score} loses less than {line.limit:g} to the champion and the last proven model, proven"

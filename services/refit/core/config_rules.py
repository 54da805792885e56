"""Rules of a pipeline file that no single key can break alone.

Rules of one section are called by its model in config.py; rules across sections are named in RULES and get the
sections that are valid by themselves: a rule whose sections have faults of their own stays silent, so that one mistake
is not reported twice. Each yields (path, message) for every fault.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict

from refit.core.yaml_file import Path

if TYPE_CHECKING:  # the models call these rules
    from refit.core.config import Evaluate, GateLine, Model
    from refit.core.config_sections import ColumnContract, Features, Source, Split, Window

Broken = Iterator[tuple[Path, str]]


# --- rules of one section -----------------------------------------------------


def block_rules(blocks: dict[str, tuple[str, ...]]) -> Broken:
    """A column belongs to one block of features."""
    seen: dict[str, str] = {}
    for name, columns in blocks.items():
        for index, column in enumerate(columns):
            if column in seen:
                yield (name, "columns", index), f"{column} is in features.{seen[column]} too"
            seen.setdefault(column, name)


def gate_rules(lines: "tuple[GateLine, ...]") -> Broken:
    """No line of the gate stands twice, and a floor lies under its ceiling."""
    seen: dict[tuple[str, str], float] = {}
    for index, line in enumerate(lines):
        if (line.score, line.line) in seen:
            yield ("gate", index), f"{line.score} has a line {line.line} already"
        seen[line.score, line.line] = line.limit
        low, high = seen.get((line.score, "min")), seen.get((line.score, "max"))
        if line.line in ("min", "max") and low is not None and high is not None and low > high:
            yield ("gate", index), f"{line.score} cannot be at least {low} and at most {high}"


def contract_rules(column: "ColumnContract") -> Broken:
    """Bounds, values and patterns fit the column's type and leave room for a value."""
    kind = column.type
    for key in ("max_length", "pattern"):
        if getattr(column, key) is not None and kind not in (None, "string"):
            yield (key,), f"is for strings; the column's type is {kind}"
    lowest, highest = (_bound(kind, value) for value in (column.min, column.max))
    for key, bound in (("min", lowest), ("max", highest)):
        if isinstance(bound, str):
            yield (key,), bound
    if None in (lowest, highest) or isinstance(lowest, str) or isinstance(highest, str):
        pass
    elif isinstance(lowest, datetime) != isinstance(highest, datetime):
        yield ("max",), "is of another kind than min"
    elif lowest > highest:
        yield ("max",), "is less than min: no value would pass"
    for value in column.values or ():
        if not _is_of(kind, value):
            yield ("values",), f"{str(value)[:40]!r} is no {kind}"


def _bound(kind: str | None, value: Any) -> Any:
    """The bound as a number or an instant; None when there is none; text that says why it is none."""
    if value is None:
        return None
    if kind in ("string", "bool"):
        return f"is for numbers and times; the column's type is {kind}"
    if isinstance(value, str):
        if kind in ("integer", "float", "decimal"):
            return "must be a number"
        instant = _instant(value)
        return "must be a date or time, like 2013-01-31 or 2013-01-31T12:00:00Z" if instant is None else instant
    return "must be a date or time as text" if kind in ("timestamp", "date") else value


def _is_of(kind: str | None, value: Any) -> bool:
    if kind is None:
        return True
    if kind in ("timestamp", "date"):
        return isinstance(value, str) and _instant(value) is not None
    if isinstance(value, bool) or kind == "bool":
        return isinstance(value, bool) and kind == "bool"
    return isinstance(value, {"string": str, "integer": int}.get(kind, int | float))


def _instant(text: str) -> datetime | None:
    """The instant in UTC that ISO 8601 text names."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=None) - (instant.utcoffset() or timedelta(0))
    except (ValueError, OverflowError):
        return None


# --- rules across sections ----------------------------------------------------


class Sections(TypedDict, total=False):
    """The valid parts of a file by their names, defaults included; a part with a fault is absent."""

    name: str
    source: "Source"
    window: "Window"
    columns: "dict[str, ColumnContract]"
    target: str
    task: str
    split: "Split"
    features: "Features"
    model: "Model"
    evaluate: "Evaluate"


def broken_rules(sections: Sections) -> Broken:
    """Every fault that spans keys."""
    for rule in RULES:
        yield from rule(sections)


def _target_is_apart(sections: Sections) -> Broken:
    target, source = sections.get("target"), sections.get("source")
    if target is None or source is None:
        return
    if target == source.cursor:
        yield ("target",), "is the cursor; a model cannot predict when a row was written from itself"
    if target in source.key:
        yield ("target",), "is part of source.key; the key names a row and is known before the truth is"


def _features_are_apart(sections: Sections) -> Broken:
    features, source, target = sections.get("features"), sections.get("source"), sections.get("target")
    if features is None or features.kind != "block":
        return
    for name, block in features.blocks().items():
        for index, column in enumerate(block):
            path = ("features", name, "columns", index)
            if column == target:
                yield path, f"{column} is the target; a model must not see what it predicts"
            elif source is not None and column == source.cursor:
                yield path, f"{column} is the cursor, a time; let the query make a number of it"


def _holdout_fits_window(sections: Sections) -> Broken:
    window, split = sections.get("window"), sections.get("split")
    if window is None or split is None or window.length is None or not isinstance(split.holdout, timedelta):
        return
    if split.holdout >= window.length:
        yield ("split", "holdout"), "is not shorter than window.length: no row would be left to train on"


def _split_can_be_made(sections: Sections) -> Broken:
    split, target, task = sections.get("split"), sections.get("target"), sections.get("task")
    if split is None:
        return
    for index, column in enumerate(split.by or ()):
        if column == target:
            yield ("split", "by", index), f"{column} is the target; no class would be on both sides"
    if split.kind == "time" and split.salt is not None:
        yield ("split", "salt"), "keys a hash; write kind: hash, or leave it out"
    if split.kind == "time" and split.stratify:
        yield ("split", "stratify"), "is for kind: hash; which rows are the newest follows from their time alone"
    elif split.stratify and task == "regression":
        yield ("split", "stratify"), "is for classes; the task is regression"


def _roles_have_fitting_types(sections: Sections) -> Broken:
    columns, source = sections.get("columns", {}), sections.get("source")
    target, task = sections.get("target"), sections.get("task")
    cursor = None if source is None else columns.get(source.cursor)
    if source is not None and cursor is not None and cursor.type not in (None, "timestamp", "date"):
        yield ("columns", source.cursor, "type"), "the cursor must be a timestamp or a date"
    if target is None or target not in columns:
        return
    kind = columns[target].type
    if kind in ("timestamp", "date") or (task == "regression" and kind in ("string", "bool")):
        yield ("columns", target, "type"), f"a target of type {kind} does not fit task: {task}"


def _sensitive_values_stay(sections: Sections) -> Broken:
    columns, source, features = sections.get("columns", {}), sections.get("source"), sections.get("features")
    hidden = {name for name, column in columns.items() if column.sensitive}
    if source is not None and source.cursor in hidden:
        yield ("columns", source.cursor, "sensitive"), "the cursor cannot be: manifests name the times of parts"
    if (target := sections.get("target")) in hidden:
        yield (
            ("columns", str(target), "sensitive"),
            "the target cannot be: a model's classes and scores tell its values",
        )
    if features is not None and features.kind == "block":
        numeric = features.numeric
        for name, block in features.blocks().items():
            for index, column in enumerate(block):
                if column in hidden and (name == "categorical" or columns[column].type == "string"):
                    yield ("features", name, "columns", index), f"{column} is sensitive, and a model keeps its classes"
        if numeric is not None and numeric.scale == "minmax" and (found := sorted(hidden & set(numeric.columns))):
            yield ("features", "numeric", "scale"), f"keeps the least and the greatest {found[0]}, which is sensitive"
    evaluate = sections.get("evaluate")
    for index, column in enumerate(evaluate.slices if evaluate is not None else ()):
        if column in hidden:
            yield ("evaluate", "slices", index), f"{column} is sensitive, and reports name a slice by its value"


def _weights_are_for_classes(sections: Sections) -> Broken:
    model, task = sections.get("model"), sections.get("task")
    if model is None:
        return
    if model.class_weight is not None and task == "regression":
        yield ("model", "class_weight"), "is for classification; the task is regression"
    if model.class_weight is not None and "class_weight" in model.params:
        yield ("model", "params", "class_weight"), "is given as model.class_weight too"
    if "seed" in model.model_fields_set and "random_state" in model.params:
        yield ("model", "params", "random_state"), "is given as model.seed too"


def _batches_take_all_rows(sections: Sections) -> Broken:
    model = sections.get("model")
    if model is None or model.batches is None:
        return
    if model.sample is not None:
        yield (
            ("model", "sample"),
            "fits on a part of the rows, and incremental on all of them: leave one out",
        )


def _search_is_of_whole_fits(sections: Sections) -> Broken:
    model = sections.get("model")
    if model is None or model.search is None:
        return
    for name in model.search.space:
        if name in model.params:
            yield ("model", "search", "space", name), "is given as model.params too; take it out there, or here"
    if model.batches is not None:
        yield ("model", "search"), "tries whole fits, and incremental makes none; leave one of the two out"


RULES: Final[tuple[Callable[[Sections], Broken], ...]] = (
    _target_is_apart,
    _features_are_apart,
    _holdout_fits_window,
    _split_can_be_made,
    _roles_have_fitting_types,
    _sensitive_values_stay,
    _weights_are_for_classes,
    _batches_take_all_rows,
    _search_is_of_whole_fits,
)

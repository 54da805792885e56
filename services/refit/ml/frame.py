"""The one way from rows to what a model takes, in training, scoring and prediction alike.

A model sees four kinds of column, and each has one dtype whatever NULLs a batch has:

    number   integers, floats, decimals    float64, NULL is NaN
    bool     bools                         float64: 0, 1, NULL is NaN
    text     strings                       object of str, NULL is NaN
    time     timestamps, dates             no feature: derive a number in the query

So a column of integers does not become another thing in the one batch that has a NULL, and '' stays apart from
NULL. float64 holds integers whole up to 2^53; keys never pass through here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from refit.core.errors import DataError
from refit.core.logs import foreign

Kind = Literal["number", "bool", "text", "time", "other"]
Array = npt.NDArray[Any]

LARGEST_CLASS: Final = 2.0**53  # float64 holds integers whole up to here

_PREFIXES: Final[tuple[tuple[str, Kind], ...]] = (
    ("bool", "bool"),
    ("int", "number"),
    ("uint", "number"),
    ("halffloat", "number"),
    ("float", "number"),
    ("double", "number"),
    ("decimal", "number"),
    ("string", "text"),
    ("large_string", "text"),
    ("dictionary<values=string", "text"),
    ("dictionary<values=large_string", "text"),
    ("timestamp", "time"),
    ("date", "time"),
    ("time", "time"),
    ("duration", "time"),
)


class BadTarget(DataError):
    """The target has a type or values that the task cannot use."""

    def __init__(self, column: str, task: str, reason: str, *, next: str = "") -> None:
        super().__init__(f'the target "{column}" cannot be used for {task}: {reason}', next=next)


def too_many_classes(column: str, classes: Sequence[object]) -> BadTarget:
    """What is said of a binary target with further classes."""
    shown = ", ".join(repr(label) for label in classes[:10]) + (", …" if len(classes) > 10 else "")
    return BadTarget(
        column,
        "binary",
        f"it has {len(classes):,} classes: {shown}",
        next="use task: multiclass, or bring it down to two in the query; for a quantity use task: regression",
    )


class NoFeature(DataError):
    """A column has a type that no model takes."""

    def __init__(self, column: str, found: str) -> None:
        super().__init__(
            f'column "{column}" is {found}; a feature is a number, a bool or text',
            next="derive one in the query, like EXTRACT(EPOCH FROM …), or take the column out of the features",
        )


class ColumnsMissing(DataError):
    """Rows lack columns that the model takes."""

    def __init__(self, missing: Sequence[str], found: Iterable[str]) -> None:
        names = list(found)
        shown = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")
        super().__init__(
            f"the rows lack {'columns' if len(missing) > 1 else 'column'} "
            f"{', '.join(missing)} that the model takes; they have {shown or 'none of them'}",
            next="add what is missing; its value may be NULL",
        )


def kind_of(arrow_type: object) -> Kind:
    """The kind of an Arrow type, or of its name as a snapshot's columns tell it."""
    name = str(arrow_type)
    return next((kind for prefix, kind in _PREFIXES if name.startswith(prefix)), "other")


def to_frame(table: pa.Table | pa.RecordBatch, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The columns as a model takes them, in that order; all of the table's by default.

    Raises:
        ColumnsMissing: the table lacks some of them.
        NoFeature: one is neither number, bool nor text.
    """
    names = table.schema.names if columns is None else list(columns)
    if missing := [name for name in names if name not in table.schema.names]:
        raise ColumnsMissing(missing, table.schema.names)
    arrays = {name: _values(name, table.column(name)) for name in names}
    return _assemble(arrays, len(table))


def drain(batches: list[pa.RecordBatch], columns: Sequence[str]) -> pd.DataFrame:
    """As `to_frame` of all batches together; empties the list, and frees each column's rows as it goes."""
    table = pa.Table.from_batches(batches)
    batches.clear()
    size, arrays = len(table), {}
    for name in columns:
        arrays[name] = _values(name, table.column(name))
        table = table.drop_columns([name])
    return _assemble(arrays, size)


def from_pandas(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """A user's own rows as a model takes them: the columns that `kinds` names, in its order, with their dtypes.

    Integers, nullable and categorical dtypes, objects with None and pandas' NA are taken; further columns are left
    out.

    Raises:
        ColumnsMissing: some are not there.
        DataError: a number column holds text, or a text column something else; names the column.
    """
    if missing := [name for name in kinds if name not in frame.columns]:
        raise ColumnsMissing(missing, (str(name) for name in frame.columns))
    arrays = {name: _user_values(name, kind, frame[name]) for name, kind in kinds.items()}
    return _assemble(arrays, len(frame), frame.index)


def to_target(values: pa.Array | pa.ChunkedArray, task: str, column: str = "target") -> Array:
    """The column to predict as an estimator's y, shape (rows,), the same in training and scoring.

    float64 for regression; bool, int64 or object of str for classes, where a decimal or float without a fraction is
    the integer: 1.0 is 1.

    Raises:
        BadTarget: NULL, NaN, infinity, fractions as classes, or a type that the task cannot use.
    """
    if values.null_count:
        raise BadTarget(column, task, f"{values.null_count:,} of its values are NULL")
    kind = kind_of(values.type)
    if task == "regression":
        if kind != "number":
            raise BadTarget(
                column, task, f"it is {values.type}, not a number", next="use task: binary or multiclass, or a number"
            )
        return _finite_floats(values, task, column)
    if kind == "bool":
        return np.asarray(values.to_numpy(zero_copy_only=False), dtype=bool)
    if kind == "text":
        return np.array(values.to_pylist(), dtype=object)
    if kind != "number":
        raise BadTarget(column, task, f"it is {values.type}", next="classes are bools, integers or text")
    if pa.types.is_integer(values.type):
        return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64)
    return _whole(_finite_floats(values, task, column), task, column)


def _assemble(arrays: Mapping[str, Array], rows: int, index: pd.Index | None = None) -> pd.DataFrame:
    index = pd.RangeIndex(rows) if index is None else index
    # A Series of its own dtype per column: the frame would else make pandas' str of objects.
    series = {name: pd.Series(values, index=index, dtype=values.dtype, copy=False) for name, values in arrays.items()}
    return pd.DataFrame(series, index=index, copy=False)


def _values(name: str, column: pa.Array | pa.ChunkedArray) -> Array:
    kind = kind_of(column.type)
    if kind == "number" or pa.types.is_null(column.type):
        return _floats(column)
    if kind == "bool":
        return _floats(column.cast(pa.int8()))
    if kind == "text":
        pieces = [_texts(chunk) for chunk in _chunks(column)]
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=object)
    raise NoFeature(name, str(column.type))


def _floats(column: pa.Array | pa.ChunkedArray) -> Array:
    # Unsafe: an integer beyond 2^53 is rounded, as its feature may be.
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) if len(column) else np.empty(0)
    return np.asarray(values, dtype=np.float64)


def _texts(chunk: pa.Array) -> Array:
    """Objects of str, each distinct value made once, as a column of classes has few."""
    coded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
    words = np.empty(len(coded.dictionary) + 1, dtype=object)
    words[:-1] = coded.dictionary.to_pylist()
    words[-1] = np.nan
    codes = pc.fill_null(coded.indices.cast(pa.int64()), len(words) - 1)
    return np.asarray(words[codes.to_numpy(zero_copy_only=False)])


def _chunks(column: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    yield from column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _user_values(name: str, kind: Kind, series: pd.Series) -> Array:
    if kind == "text":
        return _user_texts(name, series)
    found = pd.api.types.infer_dtype(series, skipna=True)
    if found in ("string", "bytes") or found.startswith(("date", "time", "period")):
        raise DataError(f'column "{name}" is {found}; the model takes a {kind}', next=f'convert "{name}" to numbers')
    try:
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise DataError(
            f'column "{name}" cannot be read as a {kind}: {foreign(error)}', next="convert it first"
        ) from error


def _user_texts(name: str, series: pd.Series) -> Array:
    values = np.asarray(series.astype(object).to_numpy(), dtype=object)
    found = pd.api.types.infer_dtype(values, skipna=True)
    if found not in ("string", "empty"):
        raise DataError(
            f'column "{name}" is {found}; the model takes text', next=f'convert it: astype({{"{name}": str}})'
        )
    missing = pd.isna(values)
    if not missing.any():
        return values
    values = values.copy()
    values[missing] = np.nan
    return values


def _finite_floats(values: pa.Array | pa.ChunkedArray, task: str, column: str) -> Array:
    floats = np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    bad = int((~np.isfinite(floats)).sum())
    if bad:
        raise BadTarget(
            column,
            task,
            f"{bad:,} of its values are NaN or infinity",
            next=f"leave such rows out in the query, or make them NULL: NULLIF({column}, 'NaN')",
        )
    return floats


def _whole(floats: Array, task: str, column: str) -> Array:
    broken = (floats != np.floor(floats)) | (np.abs(floats) > LARGEST_CLASS)
    if broken.any():
        raise BadTarget(
            column,
            task,
            f"it has values that are no class, like {float(floats[broken][0])!r}",
            next="classes are bools, integers or text; for a quantity use task: regression",
        )
    return floats.astype(np.int64)

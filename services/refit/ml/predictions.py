"""What a model says of a few clean rows, kept beside it: whoever loads the model later asks it again.

The file has the model's own columns in its order, then `prediction`, then `probability_<n>` per class.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from refit.core.errors import ArtifactError
from refit.core.logs import foreign
from refit.data.hashing import Words
from refit.ml.frame import Array, to_frame
from refit.ml.scores import Responses, collect

ROWS: Final = 200
TOLERANCE: Final = 1e-5
"""Far above what another order of sums, also in float32, makes of a number, and far below what moves a score."""

# What a model from another version of its library, or for other rows, may raise when it is loaded or asked.
MODEL_FAILS: Final = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ImportError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
)


class CannotBeAsked(ArtifactError):
    """The stored rows do not have what the model takes, so that nothing is known of it."""


class SaysOtherwise(ArtifactError):
    """Asked again about its stored rows, a model does not say what it said when it was judged."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"asked again about the rows that were stored with it, the model {what}",
            next="install the versions that its report names, or train anew: refit run FILE",
        )


def sample(batches: Iterable[pa.RecordBatch], keys: Words, estimator: Any, sensitive: Collection[str] = ()) -> bytes:
    """A Parquet file of at most 200 rows with what the model says of each.

    Sensitive columns are left out; a model that takes some cannot be asked again by the file alone.

    The rows are those with the smallest key hashes, in the order of `batches`, so that nothing is drawn.

    Args:
        batches: The clean rows' feature columns.
        keys: Key hash of each of these rows.
    """
    chosen = np.zeros(len(keys), dtype=bool)
    chosen[np.argsort(keys, kind="stable")[:ROWS]] = True
    kept, start = [], 0
    for batch in batches:
        kept.append(batch.filter(pa.array(chosen[start : start + len(batch)])))
        start += len(batch)
    table = pa.Table.from_batches(kept)
    said = collect(estimator, [to_frame(table)])
    table = table.drop_columns([name for name in table.schema.names if name in sensitive])
    table = table.append_column("prediction", pa.array(said.predict))
    if said.predict_proba is not None:
        for place, column in enumerate(said.predict_proba.T):
            table = table.append_column(f"probability_{place}", pa.array(column))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def ask_again(body: bytes, estimator: Any, columns: Sequence[str]) -> int:
    """How many stored rows there are, of all of which the model says what it said.

    Numbers must be within TOLERANCE of what they were: probabilities as they are, others in parts of themselves and of
    the median one. Labels must be the same but where two classes are equally probable: sums in another order decide.

    Args:
        body: What `sample` returned.
        columns: Those that the model takes, in its order.

    Raises:
        CannotBeAsked: the file is broken, has no rows, or lacks a column.
        SaysOtherwise: it does, or it fails.
        OwnCodeFails: as the caller's `OwnCode` says.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(body)) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise CannotBeAsked(f"the predictions that were stored with it cannot be read: {foreign(error)}") from error
    width = len(columns)
    if not len(table) or table.schema.names[: width + 1] != [*columns, "prediction"]:
        raise CannotBeAsked("the predictions that were stored with it are not of the columns that it takes")
    try:
        said = collect(estimator, [to_frame(table.select(range(width)))])
    except MODEL_FAILS as error:
        raise SaysOtherwise(f"fails: {type(error).__name__}: {_first_line(error)}") from error
    if other := int(_differs(said, table.columns[width:]).sum()):
        raise SaysOtherwise(f"says something else of {other:,} of {len(table):,}")
    return len(table)


def _differs(said: Responses, stored: Sequence[pa.ChunkedArray]) -> Array:
    """The rows of which a model says something else now, of shape (rows,)."""
    predicted, *probabilities = stored
    if said.classes is None:
        then = predicted.to_numpy().astype(float)
        return ~_close(np.asarray(said.predict, dtype=float), then, np.abs(then) + np.median(np.abs(then)))
    now = [] if said.predict_proba is None else list(said.predict_proba.T)
    differs = np.array([a != b for a, b in zip(said.predict.tolist(), predicted.to_pylist(), strict=True)])
    if len(now) != len(probabilities):
        return np.ones(len(differs), dtype=bool)
    if len(now) > 1:
        highest = np.sort(np.column_stack(now), axis=1)
        differs &= highest[:, -1] - highest[:, -2] > TOLERANCE
    for column, then in zip(now, probabilities, strict=True):
        differs |= ~_close(column, then.to_numpy(), np.ones(len(differs)))
    return differs


def _close(now: Array, then: Array, scale: Array) -> Array:
    """NaN is close to nothing: no model that says NaN was ever judged."""
    return np.asarray(np.abs(now - then) <= TOLERANCE * scale)


def _first_line(error: Exception) -> str:
    lines = foreign(error).strip().splitlines()
    return lines[0][:300] if lines else "it says no more"

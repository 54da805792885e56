"""What a model says of a few clean rows, kept beside it: a later loader of the model can be held against it."""

from collections.abc import Collection, Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from refit.data.hashing import Words
from refit.ml.frame import to_frame
from refit.ml.scores import collect

ROWS: Final = 200


def sample(batches: Iterable[pa.RecordBatch], keys: Words, estimator: Any, sensitive: Collection[str] = ()) -> bytes:
    """A Parquet file of at most 200 rows: the model's own columns, `prediction`, and `probability_<n>` per class.

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

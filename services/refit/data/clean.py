"""Clean rows: holdout rows whose key, and whose entity, no model of a comparison has trained on."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from refit.data.hashing import Words, hash_rows
from refit.data.reader import Side, SnapshotReader
from refit.data.standing import Mask

KEY_SALT: Final = "refit key"  # apart from every split's salt, or the hashes of one side would share their high bits


def key_hashes(table: pa.RecordBatch | pa.Table, key: Sequence[str]) -> Words:
    """One hash per row's key (or entity), of shape (rows,); the same in every run and pipeline."""
    return hash_rows([table.column(name) for name in key], KEY_SALT)


def trained_on(reader: SnapshotReader, *names: Sequence[str], side: Side = "train") -> tuple[Words, ...]:
    """For each list of columns, the sorted distinct hashes of its values in the reader's labelled training rows.

    One pass over the rows, 8 bytes for each of them and list.

    Args:
        names: The columns of a key or an entity.
        side: `window` for a model that was fitted on all rows.

    Rows that model.sample left out count as trained on: they are of the days that the model has met, and to be judged
    on these is easier than on days that it has not.

    Raises:
        ArtifactError: a part is missing or altered.
    """
    found: list[list[Words]] = [[] for _ in names]
    for batch in reader.rows(list(dict.fromkeys(name for columns in names for name in columns)), side):
        for hashes, columns in zip(found, names, strict=True):
            hashes.append(key_hashes(batch.table, columns))
    return tuple(_distinct(hashes) for hashes in found)


def is_clean(hashes: Words, trained: Sequence[Words]) -> Mask:
    """Which rows have hashes that none of `trained`, results of `trained_on`, holds; of shape (rows,).

    Two different keys share a hash with a chance of 2^-64 per pair: a clean row is then left out, never the reverse.
    """
    clean: Mask = np.ones(len(hashes), dtype=bool)
    for known in trained:
        if len(known):
            place = np.searchsorted(known, hashes)
            clean &= known[np.minimum(place, len(known) - 1)] != hashes
    return clean


def _distinct(found: list[Words]) -> Words:
    """Sorted, each once; empties the list."""
    hashes = np.concatenate(found) if found else np.empty(0, dtype=np.uint64)
    found.clear()
    hashes.sort()
    return hashes[np.concatenate(([True], hashes[1:] != hashes[:-1]))] if len(hashes) else hashes

"""Clean rows: holdout rows whose key no model of a comparison has trained on."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from refit.data.hashing import Words, hash_rows
from refit.data.reader import SnapshotReader
from refit.data.standing import Mask

KEY_SALT: Final = "refit key"  # apart from every split's salt, or the hashes of one side would share their high bits


def key_hashes(table: pa.RecordBatch | pa.Table, key: Sequence[str]) -> Words:
    """One hash per row's key, of shape (rows,); the same in every run and pipeline."""
    return hash_rows([table.column(name) for name in key], KEY_SALT)


def trained_keys(reader: SnapshotReader) -> Words:
    """Sorted distinct hashes of the keys of the reader's labelled training rows: 8 bytes a row.

    Rows that model.sample left out count as trained on: they are of the days that the model has met, and to be judged
    on these is easier than on days that it has not.

    Raises:
        ArtifactError: a part is missing or altered.
    """
    key = reader.pipeline.source.key
    found = [key_hashes(batch.table, key) for batch in reader.rows(key, "train")]
    hashes = np.concatenate(found) if found else np.empty(0, dtype=np.uint64)
    found.clear()
    hashes.sort()
    return hashes[np.concatenate(([True], hashes[1:] != hashes[:-1]))] if len(hashes) else hashes


def is_clean(hashes: Words, trained: Sequence[Words]) -> Mask:
    """Which rows have keys that none of `trained`, results of `trained_keys`, holds; of shape (rows,).

    Two different keys share a hash with a chance of 2^-64 per pair: a clean row is then left out, never the reverse.
    """
    clean: Mask = np.ones(len(hashes), dtype=bool)
    for known in trained:
        if len(known):
            place = np.searchsorted(known, hashes)
            clean &= known[np.minimum(place, len(known) - 1)] != hashes
    return clean

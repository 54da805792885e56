"""A random part of some rows, chosen by a keyed hash of their key: nothing is drawn, and memory stays flat.

The rows with the smallest hashes are kept. So the same rows, seed and size give the same part in whatever batches they
come; a larger part holds the smaller one; and of two snapshots that share rows, the parts share them too.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from refit.data.hashing import Words, hash_rows


def salt(seed: int) -> str:
    """What the hash is keyed with; apart from every split's salt, or a part would lean to one side."""
    return f"refit sample {seed}"


def smallest(
    tables: Iterable[pa.RecordBatch], key: Sequence[str], seed: int, rows: int
) -> tuple[list[pa.RecordBatch], int]:
    """The `rows` rows with the smallest hashes, in the order in which they came, and how many rows there were.

    Holds at most twice as many rows as are kept, and one batch.

    Args:
        tables: Batches of one schema, which has the key's columns.
        key: Columns that identify a row.
        rows: More than 0; all rows are kept where there are no more.
    """
    held: list[pa.RecordBatch] = []
    hashes: list[Words] = []
    seen, total, limit = 0, 0, np.uint64(2**64 - 1)
    for table in tables:
        seen += len(table)
        of_table = hash_rows([table.column(name) for name in key], salt(seed))
        chosen = of_table <= limit
        held.append(table if chosen.all() else table.filter(pa.array(chosen)))
        hashes.append(of_table[chosen])
        total += len(hashes[-1])
        if total > 2 * rows:
            held, hashes = _cut(held, hashes, rows)
            total, limit = rows, hashes[0].max()
    if total > rows:
        held, _ = _cut(held, hashes, rows)
    return [batch for batch in held if len(batch)], seen


def _cut(held: list[pa.RecordBatch], hashes: list[Words], rows: int) -> tuple[list[pa.RecordBatch], list[Words]]:
    """The rows with the smallest hashes as one batch; of equal hashes the first come."""
    whole = np.concatenate(hashes)
    kept = np.zeros(len(whole), dtype=bool)
    kept[np.argsort(whole, kind="stable")[:rows]] = True
    pieces = list(_filtered(held, kept))
    return pa.Table.from_batches(pieces).combine_chunks().to_batches(), [whole[kept]]


def _filtered(held: list[pa.RecordBatch], kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in held:
        yield batch.filter(pa.array(kept[start : start + len(batch)]))
        start += len(batch)

"""Rows in a seeded random order, on disk: memory stays flat however many there are.

A keyed hash of a row's key says where it lies, and nothing else does: one pass deals the rows by it into blocks of
about BLOCK_ROWS rows, all in one file, and a block is sorted by it when it is read. So the same rows and seed have the
same order in whatever parts and batches they come, and the order is a uniform one (dealing at random into urns and
shuffling each: Rao 1961, Generation of random permutation; Sandelius 1962, A simple randomization procedure).

A later pass takes the blocks, and the rows in each, in another order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from refit.core.disk import disk, whole_file
from refit.data.hashing import Words, hash_rows
from refit.data.standing import Rows

BLOCK_ROWS: Final = 65_536
_HALF: Final = np.uint64(32)


class Piece(NamedTuple):
    """Where in the file some rows of a block lie, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, eq=False)
class Shuffled:
    """Rows in a file of their own, which whoever made it removes.

    Attributes:
        schema: Of the rows; a last column in the file holds their hashes.
        blocks: The pieces of each block, in the order of hashes.
        sizes: Rows of each block.
    """

    path: Path
    schema: pa.Schema
    seed: int
    blocks: tuple[tuple[Piece, ...], ...]
    sizes: tuple[int, ...]

    @property
    def rows(self) -> int:
        return sum(self.sizes)

    def first(self, rows: int) -> pa.Table:
        """So many rows with the smallest hashes, in that order: a random part, and the same one for each such call."""
        found: list[pa.Table] = []
        for block in range(len(self.blocks)):
            table, places = self._read(block)
            found.append(table.take(places))
            if sum(len(table) for table in found) >= rows:
                break
        return pa.concat_tables(found).slice(0, rows)

    def order(self, number: int) -> list[int]:
        """The blocks in the order in which pass `number` takes them."""
        blocks: list[int] = self._draws(number, 0).permutation(len(self.blocks)).tolist()
        return blocks

    def block(self, block: int, number: int) -> pa.Table:
        """The rows of a block in the order in which pass `number` takes them.

        Raises:
            DiskError: the file cannot be read.
        """
        table, places = self._read(block)
        return table.take(places[self._draws(number, 1 + block).permutation(len(places))])

    def _draws(self, number: int, what: int) -> np.random.Generator:
        """Always three words: numpy takes [1, 2] and [1, 2, 0] for the same."""
        return np.random.default_rng([self.seed, number, what])

    def _read(self, block: int) -> tuple[pa.Table, Rows]:
        """The rows of a block, and their places in the order of their hashes."""
        pieces, schema = [], _with_hashes(self.schema)
        with disk(f"read {self.path.name}", str(self.path.parent)), self.path.open("rb", buffering=0) as file:
            for offset, size in self.blocks[block]:
                file.seek(offset)
                pieces.append(pa.ipc.read_record_batch(pa.py_buffer(file.read(size)), schema))
        rows, last = pa.Table.from_batches(pieces, schema).combine_chunks(), len(self.schema)
        return rows.remove_column(last), np.argsort(rows.column(last).to_numpy(), kind="stable")


def salt(seed: int) -> str:
    """What the hash is keyed with; apart from every split's salt, or one side would come first."""
    return f"refit shuffle {seed}"


def deal(
    tables: Iterable[pa.RecordBatch], columns: Sequence[str], key: Sequence[str], seed: int, rows: int, path: Path
) -> Shuffled:
    """The rows lie in the file `path`, their columns as given; the file takes as much room as the values.

    Args:
        tables: Batches of one schema, which has the columns and those of the key.
        key: Columns that identify a row.
        rows: How many there are in all: it says how many blocks there are.

    Raises:
        DiskError, AccessError: the folder does not take the file.
    """
    count = max(1, -(-rows // BLOCK_ROWS))
    blocks: list[list[Piece]] = [[] for _ in range(count)]
    sizes, schema, offset = np.zeros(count, dtype=np.int64), pa.schema([]), 0
    with whole_file(path) as file:
        for table in tables:
            hashes = hash_rows([table.column(name) for name in key], salt(seed))
            chosen = _plain(table.select(list(columns)))
            schema = chosen.schema
            dealt, of_block = _dealt(chosen, hashes, count)
            stops = np.cumsum(of_block)
            for block in np.flatnonzero(of_block):
                rows_of_block = dealt.slice(stops[block] - of_block[block], of_block[block])
                body = rows_of_block.serialize()
                file.write(body)
                blocks[block].append(Piece(offset, body.size))
                offset += body.size
            sizes += of_block
        file.flush()
    return Shuffled(path, schema, seed, tuple(tuple(pieces) for pieces in blocks), tuple(sizes.tolist()))


def _dealt(table: pa.RecordBatch, hashes: Words, count: int) -> tuple[pa.RecordBatch, Rows]:
    """The rows with their hashes, block by block, and how many belong to each of `count` blocks."""
    block = ((hashes >> _HALF) * np.uint64(count)) >> _HALF
    places = np.argsort(block, kind="stable")
    with_hashes = pa.RecordBatch.from_arrays([*table.columns, pa.array(hashes)], schema=_with_hashes(table.schema))
    return with_hashes.take(pa.array(places)), np.bincount(block.astype(np.int64), minlength=count)


def _with_hashes(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field("", pa.uint64()))  # PostgreSQL has no column without a name


def _plain(table: pa.RecordBatch) -> pa.RecordBatch:
    """Without dictionaries, which would have to be kept beside the rows."""
    arrays = [column.dictionary_decode() if pa.types.is_dictionary(column.type) else column for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, names=table.schema.names)

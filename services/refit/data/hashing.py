"""A keyed 64-bit hash of rows, vectorised over Arrow columns.

It decides which entities are held out (data/split.py) and finds equal keys (data/updates.py), so its values are
stored facts: test vectors pin them, and a change needs a fresh start of every pipeline with a hash split.

A row's hash folds words of 64 bits, little-endian, into a state that starts at k0 and is finished with k1, the two
halves of BLAKE2b-128 of the salt:

    state ← mix(state ^ word)        for each word of each column, in order
    hash  ← mix(state ^ k1)

`mix` is the finaliser of MurmurHash3 (Appleby 2011, fmix64): a bijection in which each bit of input flips each bit
of output with probability close to one half. The words of a value are its kind, then:

    integer     the value in two's complement, whatever its width
    bool        0 or 1
    date        days since 1970-01-01
    timestamp   microseconds since 1970-01-01 UTC
    float       the bits of the double, -0 as 0, every NaN as one
    decimal     the value times 10^38 as 256 bits: 1.5 and 1.50 are equal
    text        its UTF-8 (or binary) length in bytes, then the bytes by eights, padded with zeros;
                beyond LONG_BYTES the length, then their BLAKE2b-64
    NULL        nothing: its kind is its own

The hash of one integer, bool, date or timestamp column is injective.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Words = np.ndarray[tuple[int], np.dtype[np.uint64]]

LONG_BYTES: Final = 256
BLOCK_ROWS: Final = 32_768  # a block's temporaries stay in the cache

_NULL, _INTEGER, _BOOL, _DATE, _TIMESTAMP, _FLOAT, _DECIMAL, _TEXT = range(1, 9)
_MULTIPLIERS: Final = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))
_SHIFT: Final = np.uint64(33)


def hash_rows(columns: Sequence[pa.Array | pa.ChunkedArray], salt: str) -> Words:
    """One hash per row, of shape (rows,); equal rows, equal hashes.

    Args:
        columns: At least one Arrow column, all of one length.
        salt: Any text; hashes under different salts are independent.

    Raises:
        TypeError: a column is of another type than those of the module's table.
    """
    whole = [column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column for column in columns]
    rows = len(whole[0])
    first, last = _keys(salt)
    hashes = np.empty(rows, dtype=np.uint64)
    for start in range(0, rows, BLOCK_ROWS):
        state = hashes[start : start + BLOCK_ROWS]
        state[:] = first
        for column in whole:
            _fold_column(state, column.slice(start, len(state)))
        _fold(state, last)
    return hashes


def is_injective(types: Sequence[pa.DataType]) -> bool:
    """Whether rows of these types have equal hashes only when they are equal."""
    if len(types) != 1:
        return False
    kind = types[0]
    fixed = pa.types.is_boolean(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind)
    return bool(fixed or pa.types.is_integer(kind))


def _keys(salt: str) -> tuple[np.uint64, np.uint64]:
    digest = hashlib.blake2b(salt.encode(), digest_size=16).digest()
    return np.uint64(int.from_bytes(digest[:8], "little")), np.uint64(int.from_bytes(digest[8:], "little"))


def _fold(state: Words, words: Words | np.uint64) -> None:
    """state ← mix(state ^ words), in place."""
    state ^= words
    for multiplier in _MULTIPLIERS:
        state ^= state >> _SHIFT
        state *= multiplier
    state ^= state >> _SHIFT


def _fold_column(state: Words, column: pa.Array) -> None:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = _kind(column.type)
    if not column.null_count:
        _fold(state, np.uint64(kind))
        _fold_values(state, column, kind)
        return
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    kept = state[valid]
    _fold(state, np.uint64(_NULL))
    _fold(kept, np.uint64(kind))
    _fold_values(kept, column.drop_null(), kind)
    state[valid] = kept


def _kind(type_: pa.DataType) -> int:
    for kind, belongs in (
        (_INTEGER, pa.types.is_integer),
        (_BOOL, pa.types.is_boolean),
        (_DATE, pa.types.is_date32),
        (_TIMESTAMP, pa.types.is_timestamp),
        (_FLOAT, pa.types.is_floating),
        (_DECIMAL, pa.types.is_decimal),
        (_TEXT, lambda t: pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_binary(t)),
    ):
        if belongs(type_):
            return kind
    raise TypeError(f"rows are not hashed by columns of type {type_}")


def _fold_values(state: Words, column: pa.Array, kind: int) -> None:
    """Folds the values of a column without NULL."""
    if kind == _TEXT:
        _fold_text(state, column)
        return
    if kind == _DECIMAL:
        for words in _decimal_words(column):
            _fold(state, words)
        return
    if kind == _FLOAT:
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False) + 0.0  # -0 + 0 is 0
        values[np.isnan(values)] = np.nan
    elif kind == _DATE:
        values = column.view(pa.int32()).to_numpy(zero_copy_only=False).astype(np.int64)
    elif kind == _TIMESTAMP:
        values = column.cast(pa.timestamp("us", column.type.tz)).view(pa.int64()).to_numpy(zero_copy_only=False)
    else:
        values = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    _fold(state, values.view(np.uint64))


def _decimal_words(column: pa.Array) -> list[Words]:
    wide = column.cast(pa.decimal256(76, 38))
    words = np.frombuffer(wide.buffers()[1], dtype="<u8").reshape(-1, 4)[wide.offset : wide.offset + len(wide)]
    return [np.ascontiguousarray(words[:, word]) for word in range(4)]


def _fold_text(state: Words, column: pa.Array) -> None:
    offsets, data = _text_buffers(column)
    starts, lengths = offsets[:-1], np.diff(offsets)
    _fold(state, lengths.astype(np.uint64))
    long = lengths > LONG_BYTES
    for row in np.flatnonzero(long):
        body = data[starts[row] : starts[row] + lengths[row]].tobytes()
        word = int.from_bytes(hashlib.blake2b(body, digest_size=8).digest(), "little")
        _fold(state[row : row + 1], np.uint64(word))
    short = np.where(long, 0, lengths)
    eights = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))  # the 8 bytes from each byte on
    rows = np.arange(len(short))
    for position in range(0, int(short.max(initial=0)), 8):
        rows = rows[short[rows] > position]
        left = np.minimum(short[rows] - position, 8).astype(np.uint64)
        words = eights[starts[rows] + position] & (np.uint64(2**64 - 1) >> ((np.uint64(8) - left) * np.uint64(8)))
        folded = state[rows]
        _fold(folded, words)
        state[rows] = folded


def _text_buffers(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of shape (rows + 1,) from 0 on, and the bytes with 8 zeros behind them."""
    wide = pc.cast(column, pa.large_binary())
    _, offset_buffer, data_buffer = wide.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[wide.offset : wide.offset + len(wide) + 1]
    body = np.frombuffer(data_buffer, dtype=np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
    data = np.zeros(int(offsets[-1] - offsets[0]) + 8, dtype=np.uint8)
    data[:-8] = body[offsets[0] : offsets[-1]]
    return offsets - offsets[0], data

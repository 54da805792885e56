"""The keyed hash: against a plain reference, against stored vectors, and its statistics."""

import hashlib
import math
import struct
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refit.data.hashing import BLOCK_ROWS, LONG_BYTES, hash_rows, is_injective

MASK = 2**64 - 1
INSTANT = pa.timestamp("us", "UTC")


def mix(state: int) -> int:
    state ^= state >> 33
    state = state * 0xFF51AFD7ED558CCD & MASK
    state ^= state >> 33
    state = state * 0xC4CEB9FE1A85EC53 & MASK
    return state ^ state >> 33


def words(value: Any) -> list[int]:
    """The words of a value as the module's docstring gives them."""
    match value:
        case None:
            return [1]
        case bool():
            return [3, int(value)]
        case int():
            return [2, value & MASK]
        case datetime():
            return [5, (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) & MASK]
        case date():
            return [4, (value - date(1970, 1, 1)).days & MASK]
        case float():
            plain = math.nan if math.isnan(value) else value + 0.0
            return [6, int.from_bytes(struct.pack("<d", plain), "little")]
        case Decimal():
            scaled = int(value.scaleb(38)) & (2**256 - 1)
            return [7, *(scaled >> shift & MASK for shift in (0, 64, 128, 192))]
    body = value.encode() if isinstance(value, str) else value
    if len(body) > LONG_BYTES:
        return [8, len(body), int.from_bytes(hashlib.blake2b(body, digest_size=8).digest(), "little")]
    padded = body.ljust(-(-len(body) // 8) * 8, b"\0")
    return [8, len(body), *(int.from_bytes(padded[at : at + 8], "little") for at in range(0, len(padded), 8))]


def reference(row: tuple[Any, ...], salt: str) -> int:
    digest = hashlib.blake2b(salt.encode(), digest_size=16).digest()
    state = int.from_bytes(digest[:8], "little")
    for value in row:
        for word in words(value):
            state = mix(state ^ word)
    return mix(state ^ int.from_bytes(digest[8:], "little"))


VALUES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int16": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "bool": (pa.bool_(), st.booleans()),
    "date": (pa.date32(), st.dates()),
    "timestamp": (INSTANT, st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001
    "float": (pa.float64(), st.floats()),
    "decimal": (pa.decimal128(20, 5), st.decimals(-(10**14), 10**14, places=5)),
    "text": (pa.string(), st.text(max_size=400)),
    "binary": (pa.binary(), st.binary(max_size=40)),
}


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=40)
@given(data=st.data())
def test_hash_equals_the_reference(kind: str, data: st.DataObject) -> None:
    type_, values = VALUES[kind]
    rows = data.draw(st.lists(st.none() | values, max_size=20))
    expected = [reference((row,), "salt") for row in rows]
    assert hash_rows([pa.array(rows, type_)], "salt").tolist() == expected


@settings(max_examples=40)
@given(st.lists(st.tuples(st.none() | st.integers(0, 9), st.none() | st.text(max_size=20)), max_size=20), st.text())
def test_hash_of_several_columns_equals_the_reference(rows: list[tuple[int | None, str | None]], salt: str) -> None:
    columns = [pa.array([row[0] for row in rows], pa.int32()), pa.array([row[1] for row in rows], pa.string())]
    assert hash_rows(columns, salt).tolist() == [reference(row, salt) for row in rows]


VECTORS: dict[str, tuple[pa.Array, str, list[int]]] = {
    "integers": (
        pa.array([0, 1, -1, 2**62, None]),
        "flight-delays",
        [3613696709902297020, 15473490250923283866, 5144375574825844458, 2641425931345238832, 8226495068653248860],
    ),
    "text": (
        pa.array(["", "a", "AA-1234", "ä€😀", "x" * 300, None]),
        "flight-delays",
        [
            15802662965279267900,
            10493208525853752948,
            17278894301344892294,
            1542426415274899859,
            10662690819283474418,
            8226495068653248860,
        ],
    ),
    "other salt": (pa.array([0, 1]), "loans", [18001759914364321955, 6326042651337357355]),
    "float": (
        pa.array([0.0, 1.5, math.inf, math.nan]),
        "s",
        [14630771912637876120, 4926782893367804034, 14422051144371119740, 3506131167390087042],
    ),
    "decimal": (
        pa.array([Decimal("1.50"), Decimal("-0.01")], pa.decimal128(10, 2)),
        "s",
        [13575793116019592063, 16766798705410195903],
    ),
    "date": (pa.array([date(2013, 1, 1)]), "s", [5204685802861390291]),
    "timestamp": (pa.array([datetime(2013, 1, 1, 5, 30, 0, 1, UTC)], INSTANT), "s", [9210851151400137430]),
    "bool": (pa.array([True, False]), "s", [15002524720232090509, 9615744363340755682]),
}


@pytest.mark.parametrize("name", VECTORS)
def test_hash_is_pinned(name: str) -> None:
    column, salt, expected = VECTORS[name]
    assert hash_rows([column], salt).tolist() == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(pa.array([5, -3], pa.int16()), pa.array([5, -3], pa.int64()), id="integer widths"),
        pytest.param(
            pa.array([Decimal("1.5")], pa.decimal128(3, 1)),
            pa.array([Decimal("1.500")], pa.decimal128(30, 3)),
            id="scales",
        ),
        pytest.param(pa.array([-0.0]), pa.array([0.0]), id="signed zero"),
        pytest.param(pa.array([1.5], pa.float32()), pa.array([1.5]), id="float widths"),
        pytest.param(pa.array(["a"]), pa.array(["a"], pa.large_string()), id="large text"),
        pytest.param(pa.array(["a", "b", "a"]).dictionary_encode(), pa.array(["a", "b", "a"]), id="dictionary"),
        pytest.param(
            pa.array([7 * 10**6], pa.timestamp("us")), pa.array([7], pa.timestamp("s", "UTC")), id="timestamp units"
        ),
        pytest.param(pa.chunked_array([["a"], ["bc"]]), pa.array(["a", "bc"]), id="chunks"),
        pytest.param(pa.array(["x", "a", "bc"])[1:], pa.array(["a", "bc"]), id="slice"),
        pytest.param(
            pa.array([struct.unpack("<d", b"\1\0\0\0\0\0\xf8\x7f")[0]]), pa.array([math.nan]), id="NaN payload"
        ),
    ],
)
def test_equal_values_have_equal_hashes(one: pa.Array, other: pa.Array) -> None:
    assert hash_rows([one], "s").tolist() == hash_rows([other], "s").tolist()


def test_null_empty_zero_and_false_differ() -> None:
    columns = [
        pa.array([None], pa.int64()),
        pa.array([0]),
        pa.array([False]),
        pa.array([""]),
        pa.array(["\0"]),
        pa.array([0.0]),
    ]
    assert len({hash_rows([column], "s")[0] for column in columns}) == len(columns)


def test_blocks_do_not_show() -> None:
    numbers = np.arange(2 * BLOCK_ROWS + 3)
    texts = pa.array(numbers.astype(str))
    whole = hash_rows([pa.array(numbers), texts], "s")
    assert (
        hash_rows([pa.array(numbers[BLOCK_ROWS - 1 :]), texts[BLOCK_ROWS - 1 :]], "s") == whole[BLOCK_ROWS - 1 :]
    ).all()


@pytest.mark.parametrize("texts", [False, True], ids=["integers", "text"])
def test_hashes_are_uniform(texts: bool) -> None:
    numbers = pa.array(np.arange(1 << 18))
    hashes = hash_rows([pa.array([f"k{n}" for n in range(1 << 18)]) if texts else numbers], "s")
    for shift in (0, 28, 56):
        counts = np.bincount((hashes >> np.uint64(shift) & np.uint64(255)).astype(int), minlength=256)
        expected = len(hashes) / 256
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert 150 < chi_square < 381  # 255 degrees of freedom: outside with a chance of about 1e-6


def test_each_bit_of_input_flips_half_of_the_output() -> None:
    values = np.random.default_rng(7).integers(-(2**63), 2**63 - 1, 4096)
    plain = hash_rows([pa.array(values)], "s")
    for bit in range(64):
        flipped = hash_rows([pa.array(values ^ np.int64(-(2**63) if bit == 63 else 1 << bit))], "s")
        share = np.bitwise_count(plain ^ flipped).mean() / 64
        assert abs(share - 0.5) < 0.01  # standard error 0.001
    other_salt = hash_rows([pa.array(values)], "t")
    assert abs(np.bitwise_count(plain ^ other_salt).mean() / 64 - 0.5) < 0.01


def test_hash_of_one_fixed_column_is_injective() -> None:
    assert len(np.unique(hash_rows([pa.array(np.arange(-200_000, 200_000))], "s"))) == 400_000
    assert is_injective([pa.int32()]) and is_injective([INSTANT]) and is_injective([pa.date32()])
    assert not is_injective([pa.string()]) and not is_injective([pa.int64(), pa.int64()])


def test_lists_are_refused() -> None:
    with pytest.raises(TypeError, match="list<item: int64>"):
        hash_rows([pa.array([[1]])], "s")


def test_five_million_integers_a_second() -> None:
    column = pa.array(np.arange(500_000))
    seconds = []
    for _ in range(5):
        started = time.process_time()
        hash_rows([column], "s")
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.1

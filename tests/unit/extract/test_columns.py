"""How PostgreSQL's types are read, declared or not."""

from typing import Any

import pyarrow as pa
import pytest

from refit.extract.columns import ColumnRetyped, UndeclaredNumeric, read_as

UTC = pa.timestamp("us", "UTC")
TZ, NAIVE = "timestamp with time zone", "timestamp without time zone"


@pytest.mark.parametrize(
    ("base", "precision", "scale", "declared", "type_", "guard"),
    [
        ("smallint", None, None, None, pa.int16(), "none"),
        ("bigint", None, None, None, pa.int64(), "none"),
        ("real", None, None, None, pa.float64(), "none"),
        ("boolean", None, None, None, pa.bool_(), "none"),
        ("date", None, None, None, pa.date32(), "date"),
        (NAIVE, None, None, None, pa.timestamp("us"), NAIVE),
        (TZ, None, None, None, UTC, TZ),
        ("text", None, None, None, pa.string(), "size"),
        ("jsonb", None, None, None, pa.string(), "size"),
        ("text[]", None, None, None, pa.string(), "size"),
        ("uuid", None, None, None, pa.string(), "none"),
        ("numeric", 10, 2, None, pa.decimal128(10, 2), "nan"),
        ("numeric", 3, -2, None, pa.decimal128(5, 0), "nan"),
        ("numeric", 2, 5, None, pa.decimal128(5, 5), "nan"),
        ("numeric", 38, 38, None, pa.decimal128(38, 38), "nan"),
        ("numeric", None, None, "float", pa.float64(), "float"),
        ("numeric", None, None, "decimal", pa.decimal128(38, 18), "exact"),
        ("numeric", 50, 2, "decimal", pa.decimal128(38, 18), "exact"),
        ("numeric", 12, 0, "integer", pa.int64(), "nan"),
        ("numeric", None, None, "integer", pa.int64(), "nan"),
        ("numeric", None, None, "string", pa.string(), "none"),
        ("integer", None, None, "integer", pa.int32(), "none"),
        ("integer", None, None, "float", pa.float64(), "none"),
        ("bigint", None, None, "decimal", pa.decimal128(19, 0), "none"),
        ("date", None, None, "timestamp", pa.timestamp("us"), "date"),
        ("text", None, None, "string", pa.string(), "size"),
        ("boolean", None, None, "string", pa.string(), "none"),
    ],
)
def test_types(base: str, precision: Any, scale: Any, declared: Any, type_: pa.DataType, guard: str) -> None:
    column = read_as("x", base, precision, scale, declared)
    assert (column.type, column.guard) == (type_, guard)


@pytest.mark.parametrize(
    ("base", "precision", "scale", "declared"),
    [
        ("text", None, None, "float"),
        ("double precision", None, None, "integer"),
        ("double precision", None, None, "decimal"),
        ("numeric", 10, 2, "integer"),
        ("integer", None, None, "bool"),
        (TZ, None, None, "date"),
        ("text", None, None, "timestamp"),
        ("integer", None, None, "date"),
    ],
)
def test_what_cannot_be_read_as_declared_is_retyped(base: str, precision: Any, scale: Any, declared: Any) -> None:
    with pytest.raises(
        ColumnRetyped, match=f'column "x" is now .*\n  expected  x: {declared}\n  found     x: '
    ) as caught:
        read_as("x", base, precision, scale, declared)
    assert caught.value.exit_code == 65


@pytest.mark.parametrize(("precision", "scale"), [(None, None), (39, 0), (20, -20)])
def test_numeric_that_no_decimal_holds_must_be_declared(precision: Any, scale: Any) -> None:
    with pytest.raises(UndeclaredNumeric, match='column "price" is numeric') as caught:
        read_as("price", "numeric", precision, scale, None)
    assert "columns.price.type" in caught.value.next

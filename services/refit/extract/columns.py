"""How PostgreSQL's types are read: the Arrow type of the parts, and what the database must guard against. Pure.

    PostgreSQL                            read as                    may be declared as
    smallint, integer, bigint             int16, int32, int64        integer, float, decimal, string
    real, double precision                double                     float, string
    numeric(p, s), p ≤ 38                 decimal128(p, s)           decimal, float, integer if s = 0, string
    numeric                               refused unless declared    decimal (20.18 digits), float, integer, string
    boolean                               bool                       bool, string
    date                                  date32                     date, timestamp, string
    timestamp without time zone           timestamp[us]              timestamp, string
    timestamp with time zone              timestamp[us, UTC]         timestamp, string
    text, varchar, char, uuid, json …     string                     string
    any other                             string, as its text        string

A declared type says how the column is read. PostgreSQL's real becomes a double with the shortest decimal that
names it, as psycopg2 gives it. Nothing is rounded but what is declared as float.
"""

from dataclasses import dataclass
from typing import Final, cast

import pyarrow as pa

from refit.core.config_sections import ColumnType
from refit.core.domain import Column
from refit.core.errors import DataError
from refit.extract.query import DECIMAL_SCALE, Guard

MAX_PRECISION: Final = 38  # of a decimal128

_INTEGERS: Final = {"smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64()}
_INTEGER_DIGITS: Final = {"smallint": 5, "integer": 10, "bigint": 19}
_FLOATS: Final = frozenset({"real", "double precision"})
_INSTANTS: Final = {
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "timestamp without time zone": pa.timestamp("us"),
    "date": pa.date32(),
}
_SMALL: Final = frozenset({"uuid", "oid", "name", "interval", "time without time zone", "time with time zone"})


class UndeclaredNumeric(DataError):
    """A numeric column has no precision, so no type holds all that may come."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f'column "{name}" is numeric without a precision: no type holds all its values exactly',
            next=f"declare columns.{name}.type as float or decimal, or cast it in the query",
        )


class ColumnRetyped(DataError):
    """A column has another type than the file declares."""

    def __init__(self, name: str, declared: str, found: str) -> None:
        super().__init__(
            f'column "{name}" is now {found} in the query\'s result\n  expected  {name}: {declared}\n'
            f"  found     {name}: {found}",
            next="cast it in the query, or change its type in the file",
        )


@dataclass(frozen=True)
class SourceColumn:
    """A column of the query's result and how it is read.

    Attributes:
        database_type: PostgreSQL's name of the type, with precision.
        type: Arrow type of the parts.
    """

    name: str
    database_type: str
    type: pa.DataType
    guard: Guard

    @property
    def column(self) -> Column:
        """As manifests name it."""
        return Column(name=self.name, database_type=self.database_type, type=str(self.type))


def read_as(
    name: str, base: str, precision: int | None, scale: int | None, declared: ColumnType | None
) -> SourceColumn:
    """The column as it will be read.

    Args:
        base: PostgreSQL's type name without precision.
        precision: Of a numeric that has one.

    Raises:
        UndeclaredNumeric: a numeric without precision that the file does not declare.
        ColumnRetyped: the type cannot be read as the declared one.
    """
    database_type = f"numeric({precision},{scale})" if base == "numeric" and precision is not None else base
    found = _natural(name, base, precision, scale) if declared is None else _declared(base, precision, scale, declared)
    if found is None:
        raise ColumnRetyped(name, str(declared), database_type)
    type_, guard = found
    return SourceColumn(name, database_type, type_, guard)


def _natural(name: str, base: str, precision: int | None, scale: int | None) -> tuple[pa.DataType, Guard]:
    if base in _INTEGERS:
        return _INTEGERS[base], "none"
    if base in _FLOATS:
        return pa.float64(), "none"
    if base in _INSTANTS:
        return _INSTANTS[base], cast(Guard, base)
    if base == "boolean":
        return pa.bool_(), "none"
    if base == "numeric":
        exact = _decimal(precision, scale)
        if exact is None:
            raise UndeclaredNumeric(name)
        return exact, "nan"
    return pa.string(), "none" if base in _SMALL else "size"


def _decimal(precision: int | None, scale: int | None) -> pa.DataType | None:
    """The decimal that holds every numeric(precision, scale); PostgreSQL allows −1000 ≤ scale ≤ 1000."""
    if precision is None or scale is None:
        return None
    whole = max(precision - scale, 0)
    digits, decimals = whole + max(scale, 0), max(scale, 0)
    return pa.decimal128(max(digits, 1), decimals) if digits <= MAX_PRECISION else None


def _declared(
    base: str, precision: int | None, scale: int | None, declared: ColumnType
) -> tuple[pa.DataType, Guard] | None:
    number = base in _INTEGERS or base == "numeric"
    if declared == "string":
        fixed = number or base in _FLOATS or base in _INSTANTS or base == "boolean" or base in _SMALL
        return pa.string(), "none" if fixed else "size"
    if declared == "integer" and number and not scale:
        return _INTEGERS.get(base, pa.int64()), "nan" if base == "numeric" else "none"
    if declared == "float" and (number or base in _FLOATS):
        return pa.float64(), "float" if base == "numeric" else "none"
    if declared == "decimal" and base in _INTEGERS:
        return pa.decimal128(_INTEGER_DIGITS[base], 0), "none"
    if declared == "decimal" and base == "numeric":
        exact = _decimal(precision, scale)
        return (exact, "nan") if exact is not None else (pa.decimal128(MAX_PRECISION, DECIMAL_SCALE), "exact")
    if declared == "bool" and base == "boolean":
        return pa.bool_(), "none"
    if declared == "date" and base == "date":
        return pa.date32(), "date"
    if declared == "timestamp" and base in _INSTANTS:
        return pa.timestamp("us") if base == "date" else _INSTANTS[base], cast(Guard, base)
    return None

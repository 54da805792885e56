"""Conditions on rows: what a person excludes, applied to Arrow batches. data/where.py reads them from text.

Times and dates are text in ISO 8601, in UTC unless they have an offset; a date is its midnight. Numbers are compared
exactly, text by code points. A comparison with NULL holds for no row. Nothing of it is ever sent to a database.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from refit.core.errors import ConfigError
from refit.data.standing import INSTANT, Mask, instants

Operator = Literal["=", "<>", "<", "<=", ">", ">=", "in", "is null", "is not null"]
Kind = Literal["integer", "decimal", "float", "bool", "text", "instant"]
Value = str | Decimal | bool

SHOWN: Final = 40
EXAMPLE: Final = "write it like: landed_at between '2013-02-01' and '2013-02-03' and carrier in ('AA', 'UA')"
_KINDS: Final[tuple[tuple[str, Kind], ...]] = (
    ("int", "integer"),
    ("uint", "integer"),
    ("decimal", "decimal"),
    ("double", "float"),
    ("float", "float"),
    ("halffloat", "float"),
    ("bool", "bool"),
    ("string", "text"),
    ("large_string", "text"),
    ("dictionary<values=string", "text"),
    ("timestamp", "instant"),
    ("date", "instant"),
)
_EXACT: Final = pa.decimal256(76, 38)
_TAKES: Final[Mapping[Kind, str]] = {
    "integer": "a number",
    "decimal": "a number",
    "float": "a number",
    "bool": "true or false",
    "text": "text in 'single quotes'",
    "instant": "a date or time, like '2013-02-01' or '2013-02-01T05:00Z'",
}
_COMPARE: Final = {
    "=": pc.equal,
    "in": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


class BadCondition(ConfigError):
    """A condition cannot be read, or does not fit the columns; names the place in the text."""

    def __init__(self, what: str, place: int, *, next: str = "") -> None:
        super().__init__(f"{what} (character {place} of the condition)", next=next or EXAMPLE)


@dataclass(frozen=True)
class Given:
    """A literal and where it stands, counted from 1."""

    value: Value
    place: int


@dataclass(frozen=True)
class Condition:
    """One comparison of one column."""

    column: str
    place: int
    operator: Operator
    literals: tuple[Given, ...] = ()

    def holds(self, values: pa.Array) -> Mask:
        """For which values of the column it holds, of shape (rows,). Raises BadCondition."""
        if self.operator in ("is null", "is not null"):
            return _mask(values.is_null() if self.operator == "is null" else values.is_valid())
        compare, kind = _COMPARE[self.operator], self._kind(str(values.type))
        found = []
        for literal in self.literals:
            scalar = _scalar(self.column, kind, literal)
            found.append(compare(_comparable(values, kind, scalar), scalar))
        return _mask(pc.fill_null(reduce(pc.or_kleene, found), False))

    def check(self, types: Mapping[str, str]) -> None:
        """It fits a snapshot with columns of these Arrow types. Raises BadCondition."""
        if self.column not in types:
            near = difflib.get_close_matches(self.column, types, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(types)}"
            raise BadCondition(f'"{self.column}" is no column of the rows', self.place, next=hint)
        if self.literals:
            kind = self._kind(types[self.column])
            for literal in self.literals:
                _scalar(self.column, kind, literal)

    def may_hold(self, low: datetime, high: datetime) -> bool:
        """Whether it may hold for some of the cursors from `low` to `high`, which are never NULL."""
        if not self.literals or self.operator == "<>":
            return self.operator != "is null"
        at = [_instant(literal) for literal in self.literals]
        match self.operator:
            case "<":
                return low < at[0]
            case "<=":
                return low <= at[0]
            case ">":
                return high > at[0]
            case ">=":
                return high >= at[0]
            case _:
                return any(low <= one <= high for one in at)

    def _kind(self, type_: str) -> Kind:
        kind = next((kind for prefix, kind in _KINDS if type_.startswith(prefix)), None)
        if kind is None:
            raise BadCondition(f'"{self.column}" is {type_}, which is not compared here', self.place)
        if kind == "bool" and self.operator not in ("=", "<>", "in"):
            raise BadCondition(f'"{self.column}" is true or false, and neither is less', self.place)
        return kind


@dataclass(frozen=True)
class Where:
    """Conditions that must all hold; `text` is what they were read from."""

    text: str
    conditions: tuple[Condition, ...] = field(compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(condition.column for condition in self.conditions))

    def check(self, types: Mapping[str, str]) -> None:
        """It fits a snapshot with columns of these Arrow types. Raises BadCondition."""
        for condition in self.conditions:
            condition.check(types)

    def holds(self, batch: pa.RecordBatch) -> Mask:
        """For which rows of a batch that has its columns, of shape (rows,)."""
        found = np.ones(len(batch), dtype=bool)
        for condition in self.conditions:
            found &= condition.holds(batch.column(condition.column))
        return found

    def may_hold(self, cursor: str, low: datetime, high: datetime) -> bool:
        """Whether it may hold for a row whose cursor lies from `low` to `high`."""
        return all(one.may_hold(low, high) for one in self.conditions if one.column == cursor)


def _scalar(column: str, kind: Kind, literal: Given) -> pa.Scalar:
    """The literal as a value that the column's values are compared with."""
    value = literal.value
    if kind == "text" and isinstance(value, str):
        return pa.scalar(value)
    if kind == "bool" and isinstance(value, bool):
        return pa.scalar(value)
    if kind == "instant" and isinstance(value, str):
        return pa.scalar(_instant(literal), INSTANT)
    if kind in ("integer", "decimal", "float") and isinstance(value, Decimal):
        if kind == "float":
            return pa.scalar(float(value))
        if kind == "integer" and value == value.to_integral_value() and abs(value) < 2**63:
            return pa.scalar(int(value), pa.int64())
        try:
            return pa.scalar(value, _EXACT)
        except (pa.ArrowInvalid, InvalidOperation) as error:
            raise BadCondition(f"{value} has more digits than are compared here", literal.place) from error
    shown = str(value)[:SHOWN] if not isinstance(value, bool) else str(value).lower()
    raise BadCondition(f'"{column}" is compared with {_TAKES[kind]}, and {shown!r} is none', literal.place)


def _comparable(values: pa.Array, kind: Kind, scalar: pa.Scalar) -> pa.Array:
    if kind == "instant":
        return instants(values)
    if scalar.type == _EXACT:
        return values.cast(_EXACT)
    return values.cast(pa.string()) if kind == "text" else values


def _instant(literal: Given) -> datetime:
    try:
        at = datetime.fromisoformat(str(literal.value))
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        shown = str(literal.value)[:SHOWN]
        raise BadCondition(f"{shown!r} is no {_TAKES['instant'].removeprefix('a ')}", literal.place) from error


def _mask(values: pa.Array) -> Mask:
    mask: Mask = values.to_numpy(zero_copy_only=False)
    return mask

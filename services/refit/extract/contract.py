"""The contract of columns: which rows break it, and why. Pure, on Arrow batches.

Reasons name the column and the promise, never the value, so that they can be counted and shown.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from refit.core.config import Pipeline
from refit.core.config_sections import ColumnContract
from refit.core.errors import ConfigError
from refit.data.standing import Mask
from refit.extract.columns import SourceColumn

Keeps = Callable[[pa.Array], pa.Array]

MAX_SHOWN: Final = 60
_WIDE: Final = Context(prec=76)


class UnusableContract(ConfigError):
    """A limit of the contract does not go with the column's type."""

    def __init__(self, name: str, limit: str, value: Any, type_: pa.DataType) -> None:
        super().__init__(
            f"columns.{name}.{limit}: {str(value)[:MAX_SHOWN]} does not go with a column of type {type_}",
            next="correct the limit, or declare the column's type",
        )


@dataclass(frozen=True)
class Promise:
    """What one column keeps: `keeps` says it of each value that is not NULL, NULL meaning no."""

    column: str
    reason: str
    keeps: Keeps | None
    """None: the column holds no NULL."""

    def broken(self, batch: pa.RecordBatch) -> Mask:
        """Rows that break the promise, of shape (rows,)."""
        values = batch.column(self.column)
        if self.keeps is None:
            return _mask(values.is_null())
        kept = pc.fill_null(self.keeps(values), False)
        return _mask(pc.and_(values.is_valid(), pc.invert(kept)))


@dataclass(frozen=True)
class Contract:
    """All promises of a pipeline's columns."""

    promises: Sequence[Promise]

    def broken(self, batch: pa.RecordBatch) -> dict[int, tuple[str, ...]]:
        """The rows that break a promise, by number, each with all its reasons."""
        found: dict[int, tuple[str, ...]] = {}
        for promise in self.promises:
            for row in np.flatnonzero(promise.broken(batch)).tolist():
                found[row] = (*found.get(row, ()), promise.reason)
        return found


def contract_of(pipeline: Pipeline, columns: Sequence[SourceColumn]) -> Contract:
    """The contract that the file states for these columns; key and cursor are never NULL.

    Raises:
        UnusableContract: a limit is of another kind than the column.
    """
    promises: list[Promise] = []
    unnamed = ColumnContract()
    for column in columns:
        named = pipeline.columns.get(column.name, unnamed)
        role = _role(pipeline, column.name)
        if role or not named.nullable:
            promises.append(Promise(column.name, f"{column.name}: is NULL{role}", None))
        promises.extend(_limits(column, named))
    return Contract(promises)


def _role(pipeline: Pipeline, name: str) -> str:
    if name in pipeline.source.key:
        return " in the key"
    return ", and is the cursor" if name == pipeline.source.cursor else ""


def _limits(column: SourceColumn, named: ColumnContract) -> Iterator[Promise]:
    name, type_ = column.name, column.type
    is_text = pa.types.is_string(type_)
    if named.min is not None:
        least = _value(column, "min", named.min)
        yield Promise(name, f"{name}: is not at least {named.min}", lambda values: pc.greater_equal(values, least))
    if named.max is not None:
        most = _value(column, "max", named.max)
        yield Promise(name, f"{name}: is not at most {named.max}", lambda values: pc.less_equal(values, most))
    if (length := named.max_length) is not None:
        if not is_text:
            raise UnusableContract(name, "max_length", length, type_)
        reason = f"{name}: is longer than {length} characters"
        yield Promise(name, reason, lambda values: pc.less_equal(pc.utf8_length(values), length))
    if named.values is not None:
        known = pa.array([_value(column, "values", value).as_py() for value in named.values], type_)
        yield Promise(name, f"{name}: is none of the values", lambda values: pc.is_in(values, known))
    if named.pattern is not None:
        if not is_text:
            raise UnusableContract(name, "pattern", named.pattern, type_)
        yield Promise(name, f"{name}: does not match the pattern", _matcher(re.compile(named.pattern)))


def _value(column: SourceColumn, limit: str, value: Any) -> pa.Scalar:
    """A value of the file as one that the column's values are compared with, exactly."""
    type_ = column.type
    is_instant = pa.types.is_timestamp(type_) or pa.types.is_date(type_)
    is_text = pa.types.is_string(type_)
    if isinstance(value, str) != (is_text or is_instant) or isinstance(value, bool) != pa.types.is_boolean(type_):
        raise UnusableContract(column.name, limit, value, type_)
    if limit != "values" and (is_text or isinstance(value, bool)):
        raise UnusableContract(column.name, limit, value, type_)
    try:
        if is_instant:
            at = datetime.fromisoformat(value)  # without zone it is UTC
            utc = pa.scalar((at.astimezone(UTC) if at.tzinfo else at).replace(tzinfo=None), pa.timestamp("us"))
            return utc if pa.types.is_date(type_) and limit != "values" else utc.cast(type_)
        if pa.types.is_decimal(type_):
            rounding = {"min": ROUND_CEILING, "max": ROUND_FLOOR}.get(limit, ROUND_HALF_EVEN)
            fitting = Decimal(str(value)).quantize(Decimal(1).scaleb(-type_.scale), rounding, _WIDE)
            if limit == "values" and fitting != Decimal(str(value)):
                raise ValueError("has more digits than the column")
            return pa.scalar(fitting, type_ if limit == "values" else pa.decimal256(76, type_.scale))
        if limit == "values":
            return pa.scalar(value).cast(type_)
        return pa.scalar(value)  # 0.5 may bound integers
    except (pa.ArrowInvalid, ArithmeticError, ValueError) as error:
        raise UnusableContract(column.name, limit, value, type_) from error


def _matcher(pattern: re.Pattern[str]) -> Keeps:
    def keeps(values: pa.Array) -> pa.Array:
        coded = values.dictionary_encode()  # each distinct text is matched once
        fits = pa.array([pattern.fullmatch(text) is not None for text in coded.dictionary.to_pylist()], pa.bool_())
        return fits.take(coded.indices)

    return keeps


def _mask(values: pa.Array) -> Mask:
    mask: Mask = values.to_numpy(zero_copy_only=False)
    return mask

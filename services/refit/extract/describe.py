"""The columns of the query's result, as the database sees them before a row is read."""

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from refit.core.config import Pipeline
from refit.core.errors import ConfigError, DataError
from refit.extract.columns import SourceColumn, read_as
from refit.extract.database import Database, ResultColumn
from refit.extract.query import CursorType, describing


class DoubledColumn(DataError):
    """Two columns of the result have one name, so that neither can be meant."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"the query's result has more than one column {', '.join(names)}",
            next="name the columns one by one in source.query, with AS where two tables share a name",
        )


class UnusableCursor(ConfigError):
    """The cursor is of a type without an order in time."""

    def __init__(self, name: str, found: str) -> None:
        super().__init__(
            f'source.cursor "{name}" is {found}; it must be timestamptz, timestamp (read as UTC) or date',
            next="name another column, or cast it in the query",
        )


class ColumnGone(DataError):
    """A column that the file names is not in the query's result."""

    def __init__(self, name: str, expected: str, found: list[str]) -> None:
        super().__init__(
            f'column "{name}" is gone from the query\'s result\n  expected  {name}: {expected}\n'
            f"  found     {', '.join(found)}",
            next="add the column to source.query, or take it out of the file",
        )


def describe(database: Database, statement: str, pipeline: Pipeline) -> list[SourceColumn]:
    """The columns of the result, in order, and how each will be read.

    Raises:
        DoubledColumn, ColumnGone, ColumnRetyped, UndeclaredNumeric: the result breaks the file's contract.
        UnusableCursor: the cursor is no instant.
    """
    _, found = database.fetch(describing(statement), "describe")
    names = [column.name for column in found]
    if doubled := [name for name, count in Counter(names).items() if count > 1]:
        raise DoubledColumn(doubled)
    for name, expected in named_columns(pipeline).items():
        if name not in names:
            raise ColumnGone(name, expected, names)
    types = _type_names(database, found)
    columns = []
    for column in found:
        contract = pipeline.columns.get(column.name)
        declared = contract.type if contract else None
        columns.append(read_as(column.name, types[column.type_oid], column.precision, column.scale, declared))
    cursor_type(columns, pipeline.source.cursor)
    return columns


def cursor_type(columns: Sequence[SourceColumn], name: str) -> CursorType:
    """PostgreSQL's type of the cursor. Raises UnusableCursor."""
    found = next(column.database_type for column in columns if column.name == name)
    for known in get_args(CursorType):
        if found == known:
            return known  # type: ignore[no-any-return]  # an argument of the Literal
    raise UnusableCursor(name, found)


def named_columns(pipeline: Pipeline) -> dict[str, str]:
    """What the file expects of each column that it names, in words."""
    expected: dict[str, str] = {}
    for name, contract in pipeline.columns.items():
        expected[name] = f"{contract.type or 'any type'}, {'nullable' if contract.nullable else 'not null'}"
    roles = [("key", pipeline.source.key), ("cursor", (pipeline.source.cursor,)), ("target", (pipeline.target,))]
    blocks = [getattr(pipeline.features, kind, None) for kind in ("numeric", "categorical", "passthrough")]
    roles += [("feature", block.columns) for block in blocks if block is not None]
    roles += [("split", pipeline.split.by or ())]
    roles += [("slice", pipeline.evaluate.slices)]
    for role, names in roles:
        for name in names:
            expected.setdefault(name, f"any type ({role})")
    return expected


def _type_names(database: Database, columns: list[ResultColumn]) -> dict[int, str]:
    oids = sorted({column.type_oid for column in columns})
    array = ", ".join(str(oid) for oid in oids)
    rows, _ = database.fetch(f"SELECT oid::bigint, format_type(oid, NULL) FROM pg_type WHERE oid IN ({array})", "types")
    return dict(rows)

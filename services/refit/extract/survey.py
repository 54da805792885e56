"""What a live table says about itself: columns, key, indexes, and how its values look in a sample. Writes nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from refit.core.errors import ConfigError
from refit.extract.database import Database
from refit.extract.query import identifier

SAMPLE_ROWS: Final = 20_000
_NAME: Final = re.compile(r'("[^"]+"|[\w$]+)(\.("[^"]+"|[\w$]+)){0,2}')


class UnknownTable(ConfigError):
    """The database has no such table or view, or this user does not see it."""

    def __init__(self, name: str, near: Sequence[str]) -> None:
        hint = f"there are {', '.join(near)}" if near else "this user sees no table at all: check database and grants"
        super().__init__(f"the database has no table {name}", next=hint)


@dataclass(frozen=True)
class TableColumn:
    """A column of a table.

    Attributes:
        quoted: The name as SQL must spell it.
        type: PostgreSQL's name, with precision.
        nullable: False where the table declares NOT NULL.
        indexed: An index begins with it.
        distinct: Distinct values in the sample, NULL left out.
        least, most: Of numbers in the sample; None for other types or without values.
    """

    name: str
    quoted: str
    type: str
    nullable: bool
    indexed: bool
    distinct: int
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Table:
    """A table or view as it stands.

    Attributes:
        name: Quoted where it must be, with its schema unless that is on the search path.
        rows: PostgreSQL's estimate; None before the first ANALYZE.
        key: Columns of the primary key, else of a unique index over columns that are not null; empty without one.
        sampled: Rows looked at.
    """

    name: str
    rows: int | None
    key: tuple[str, ...]
    columns: tuple[TableColumn, ...]
    sampled: int


def survey(database: Database, name: str) -> Table:
    """The table that PostgreSQL understands by `name`.

    Raises:
        UnknownTable: there is none.
        RefitError: as the database's other statements.
    """
    oid, shown, rows = _find(database, name)
    described, _ = database.fetch(
        "SELECT attname, quote_ident(attname), format_type(atttypid, atttypmod), attnotnull,"
        " EXISTS (SELECT FROM pg_index WHERE indrelid = attrelid AND indkey[0] = attnum) FROM pg_attribute"
        f" WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        "columns",
    )
    sampled, figures = _sample(database, shown, [(str(row[0]), str(row[2])) for row in described])
    columns = tuple(
        TableColumn(str(column), str(quoted), str(kind), not required, bool(indexed), *figures[str(column)])
        for column, quoted, kind, required, indexed in described
    )
    return Table(shown, rows, _key(database, oid), columns, sampled)


def _find(database: Database, name: str) -> tuple[int, str, int | None]:
    found: list[tuple[Any, ...]] = []
    for condition in (
        f"relname = {_literal(name)} AND pg_table_is_visible(oid)",  # as it stands, capitals and blanks included
        f"oid = to_regclass({_literal(name)})" if _NAME.fullmatch(name) else "false",
    ):
        found = (
            found
            or database.fetch(
                "SELECT oid::bigint, oid::regclass::text, reltuples::bigint FROM pg_class"
                f" WHERE {condition} AND relkind IN ('r', 'v', 'm', 'p', 'f')",
                "table",
            )[0]
        )
    if not found:
        known, _ = database.fetch(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'p', 'f')"
            " AND relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname IN"
            " ('pg_catalog', 'information_schema', 'pg_toast'))"
            " AND has_table_privilege(oid, 'SELECT') ORDER BY 1 LIMIT 8",
            "tables",
        )
        raise UnknownTable(name, [str(row[0]) for row in known])
    oid, shown, rows = found[0]
    return int(oid), str(shown), int(rows) if rows >= 0 else None


def _key(database: Database, oid: int) -> tuple[str, ...]:
    """The primary key, else the shortest unique index over plain columns that are never NULL."""
    found, _ = database.fetch(
        "SELECT indexrelid::bigint, attname FROM pg_index, unnest(indkey) WITH ORDINALITY AS place (number, at)"
        f" JOIN pg_attribute ON attrelid = {oid} AND attnum = place.number"
        f" WHERE indrelid = {oid} AND indisunique AND indpred IS NULL AND indexprs IS NULL AND place.at <= indnkeyatts"
        " AND NOT EXISTS (SELECT FROM unnest(indkey) AS of_key (number) JOIN pg_attribute AS a"
        f" ON a.attrelid = {oid} AND a.attnum = of_key.number WHERE NOT a.attnotnull)"
        " ORDER BY NOT indisprimary, indnkeyatts, indexrelid, place.at",
        "key",
    )
    first = found[0][0] if found else None
    return tuple(str(name) for index, name in found if index == first)


def _sample(
    database: Database, table: str, columns: Sequence[tuple[str, str]]
) -> tuple[int, dict[str, tuple[int, float | None, float | None]]]:
    """Rows looked at, and for each column its distinct values and, for numbers, the least and the greatest."""
    parts = ["count(*)"]
    for name, kind in columns:
        quoted = identifier(name)
        parts.append(f"count(DISTINCT {quoted}::text)")
        number = kind.partition("(")[0] in ("smallint", "integer", "bigint", "real", "double precision", "numeric")
        finite = f"CASE WHEN {quoted}::float8 NOT IN ('NaN', 'Infinity', '-Infinity') THEN {quoted}::float8 END"
        parts += [f"min({finite})", f"max({finite})"] if number else ["NULL", "NULL"]
    found, _ = database.fetch(
        f"SELECT {', '.join(parts)} FROM (SELECT * FROM {table} LIMIT {SAMPLE_ROWS}) AS sample", "sample"
    )
    row: tuple[Any, ...] = found[0]
    figures = {name: tuple(row[1 + 3 * place : 4 + 3 * place]) for place, (name, _) in enumerate(columns)}
    return int(row[0]), figures


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

"""The SQL that reads rows: the user's query inside one of our own. Pure.

    SELECT CASE WHEN … THEN … END, "a", "b", …       what is wrong with the row, then its cells
    FROM (
    SELECT * FROM (
    <the user's query>
    ) AS source
    WHERE "cursor" > … AND "cursor" <= …             PostgreSQL moves the bounds into the query
    OFFSET 0                                         keeps it from computing a column once per mention
    ) AS bounded

COPY takes no parameters, so bounds are literals of the cursor's own type. The query stands on lines of its own: a
comment at its end cannot swallow the bracket. A percent sign means nothing, as nothing is interpolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from refit.core.domain import Stretch

CursorType = Literal["timestamp with time zone", "timestamp without time zone", "date"]
Guard = Literal[
    "none", "size", "timestamp with time zone", "timestamp without time zone", "date", "nan", "float", "exact"
]

DECIMAL_SCALE: Final = 18  # of numeric without precision, declared as decimal: 20 digits before the point, 18 after


@dataclass(frozen=True)
class Bounds:
    """Rows with a cursor in (after, until] are read; `after` None: from the beginning.

    Attributes:
        without_cursor: Also rows whose cursor is NULL: they belong to no interval, so only a fresh start sees them.
        again: Further stretches of the cursor, both ends included.
    """

    after: datetime | None
    until: datetime
    without_cursor: bool = False
    again: tuple[Stretch, ...] = ()


def identifier(name: str) -> str:
    """The name quoted, so that it means itself."""
    return '"' + name.replace('"', '""') + '"'


def literal(at: datetime, cursor_type: CursorType) -> str:
    """The instant as a literal of the cursor's own type, so that an index on it can be used.

    A timestamp without zone is read as UTC. A date is its midnight in UTC, hence the day of an instant is the last one
    that lies at or before it, and `>` and `<=` hold for both bounds alike.
    """
    utc = at.astimezone(UTC).replace(tzinfo=None)
    if cursor_type == "date":
        return f"DATE '{utc.date().isoformat()}'"
    text = utc.isoformat(sep=" ")
    return f"TIMESTAMP '{text}'" if cursor_type == "timestamp without time zone" else f"TIMESTAMPTZ '{text}+00'"


def describing(statement: str) -> str:
    """Gives no row, but names and types of the statement's columns."""
    return f"SELECT * FROM (\n{statement}\n) AS source LIMIT 0"


def reading(
    statement: str,
    guards: Sequence[tuple[str, Guard]],
    cursor: tuple[str, CursorType],
    bounds: Bounds,
    max_cell_bytes: int,
) -> str:
    """Gives the rows within the bounds: what is wrong with each, as numbers of columns, then its cells.

    Args:
        guards: The columns to read, each with what it must be guarded against before it leaves the database: cells
            that are too large (they are replaced by NULL), and values that Arrow cannot hold.
    """
    faults = [(number, fault(name, guard, max_cell_bytes)) for number, (name, guard) in enumerate(guards)]
    guarded = [(number, condition) for number, condition in faults if condition]
    cells = [_cell(name, guard, max_cell_bytes) for name, guard in guards]
    return (
        f"SELECT {', '.join([_faults(guarded), *cells])}\n"
        f"FROM (\nSELECT * FROM (\n{statement}\n) AS source\nWHERE {_within(*cursor, bounds)}\nOFFSET 0\n) AS bounded"
    )


def copying(select: str) -> str:
    """Streams the rows of `select` as CSV, in which NULL is empty and '' is quoted."""
    return f"COPY (\n{select}\n) TO STDOUT (FORMAT csv)"


def fault(name: str, guard: Guard, max_cell_bytes: int) -> str:
    """The condition under which the column's value cannot be read; empty when it always can."""
    column = identifier(name)
    if guard == "size":
        return f"octet_length({column}::text) > {max_cell_bytes}"
    if guard == "nan":
        return f"{column} = 'NaN'"
    if guard == "float":
        return f"abs({column}) >= 1.8e308 AND {column} < 'NaN'"
    if guard == "exact":  # NaN and infinity are greater than all numbers
        return f"abs({column}) >= 1e{38 - DECIMAL_SCALE} OR {column} <> round({column}, {DECIMAL_SCALE})"
    if guard == "date":
        return f"{column} < DATE '0001-01-01' OR {column} > DATE '9999-12-31'"
    if guard == "timestamp without time zone":
        return f"{column} < TIMESTAMP '0001-01-01' OR {column} >= TIMESTAMP '10000-01-01'"
    if guard == "timestamp with time zone":
        return f"{column} < TIMESTAMPTZ '0001-01-01 00:00+00' OR {column} >= TIMESTAMPTZ '10000-01-01 00:00+00'"
    return ""


def _cell(name: str, guard: Guard, max_cell_bytes: int) -> str:
    column = identifier(name)
    return f"CASE WHEN {fault(name, guard, max_cell_bytes)} THEN NULL ELSE {column} END" if guard == "size" else column


def _faults(guarded: Sequence[tuple[int, str]]) -> str:
    if not guarded:
        return "NULL"
    numbers = ", ".join(f"CASE WHEN {condition} THEN '{number}' END" for number, condition in guarded)
    return f"CASE WHEN {' OR '.join(condition for _, condition in guarded)} THEN concat_ws(' ', {numbers}) END"


def _within(name: str, cursor_type: CursorType, bounds: Bounds) -> str:
    column = identifier(name)
    interval = f"{column} <= {literal(bounds.until, cursor_type)}"
    if bounds.after is not None:
        interval = f"{column} > {literal(bounds.after, cursor_type)} AND {interval}"
    for stretch in bounds.again:
        start, end = (literal(at, cursor_type) for at in (stretch.start, stretch.end))
        interval += f"\n  OR {column} BETWEEN {start} AND {end}"
    return f"({interval}) OR {column} IS NULL" if bounds.without_cursor else interval

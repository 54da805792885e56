"""Every cell equals what psycopg2 gives for it, or the row is refused."""

import json
import uuid
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest

from tests.integration.extract.conftest import Bench, day

NAN = "'NaN'"
CELLS: dict[str, list[str]] = {
    "smallint": ["-32768", "32767", "0", "NULL"],
    "integer": ["-2147483648", "2147483647", "NULL"],
    "bigint": ["-9223372036854775808", "9223372036854775807", "9007199254740993", "NULL"],
    "real": ["0.1", "-0.0", "3.4028235e38", "1e-45", NAN, "'Infinity'", "'-Infinity'", "NULL"],
    "double precision": ["0.1", "1e308", "4.9406564584124654e-324", "0.1 + 0.2::float8", NAN, "'Infinity'", "NULL"],
    "numeric(10,2)": ["0.00", "-12345678.90", "99999999.99", "0.01", "NULL"],
    "numeric(38,38)": ["0.00000000000000000000000000000000000001", "-0.9", "NULL"],
    "numeric(38,0)": ["99999999999999999999999999999999999999", "NULL"],
    "boolean": ["true", "false", "NULL"],
    "date": ["'0001-01-01'", "'1969-12-31'", "'9999-12-31'", "NULL"],
    "timestamp": ["'0001-01-01 00:00:00'", "'2013-03-10 02:30:00.000001'", "'9999-12-31 23:59:59.999999'", "NULL"],
    "timestamptz": ["'1900-01-01 00:00+02'", "'2013-03-10 02:30:00.5-05'", "'9999-12-31 23:59:59.999999+00'", "NULL"],
    "text": [
        "''", "NULL", "'NULL'",
        r"'\N'", r"'a\b\\n'", "'\"'", "'a\"\"b,c'", "E'line\\nbreak\\r\\n'", "' blank '", r"'\.'",
        "'ä€😀'", "U&'\\0301e'", "'שלום'", "E'\\t'", "'infinity'", "'NaN'", "repeat('x', 100000)", "E'\\u200b'",
    ],
    "varchar(5)": ["'abc'", "''", "NULL"],
    "char(4)": ["'ab'", "''", "NULL"],
    "uuid": ["'00000000-0000-0000-0000-000000000001'", "NULL"],
    "json": ["'{\"a\": [1, null]}'", "NULL"],
    "jsonb": ["'{\"a\": [1, null]}'", "NULL"],
    "text[]": ["'{a,NULL,\"b,c\"}'", "NULL"],
    "interval": ["'1 day 02:03:04.5'", "NULL"],
    "bytea": ["'\\x00ff'::bytea", "NULL"],
    "inet": ["'10.0.0.1/8'", "NULL"],
}  # fmt: skip


def as_text(type_: str, value: Any) -> Any:
    """psycopg2's value as refit keeps it: types without an Arrow type of their own are text."""
    match value:
        case uuid.UUID():
            return str(value)
        case dict():
            return json.dumps(value)
        case list():
            return "{" + ",".join("NULL" if one is None else f'"{one}"' if "," in one else one for one in value) + "}"
        case timedelta():
            return "1 day 02:03:04.5"
        case memoryview():
            return "\\x" + value.hex()
    if type_ == "timestamptz" and value is not None:
        return value.astimezone(UTC)
    return value


@pytest.mark.parametrize("type_", CELLS)
def test_every_cell_equals_psycopg2s(bench: Bench, type_: str) -> None:
    bench.execute(f"CREATE TABLE cells (id int, at timestamptz, y bool, value {type_})")
    for number, cell in enumerate(CELLS[type_]):
        bench.execute(f"INSERT INTO cells VALUES ({number}, '2020-01-01', true, {cell})")
    bench.file["source"]["query"] = "SELECT * FROM cells"
    manifest = bench.extract(day(5))
    assert manifest.rows.quarantined == 0
    found = bench.rows(manifest, day(5), "id", "value")
    with closing(psycopg2.connect(bench.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'; SELECT id, value FROM cells ORDER BY id")
        expected = [(number, as_text(type_, value)) for number, value in cursor.fetchall()]
    assert [repr(row) for row in sorted(found, key=lambda row: row[0])] == [repr(row) for row in plain(expected)]


def plain(rows: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Instants as Arrow gives them: the same, with a zone that prints another way."""
    from zoneinfo import ZoneInfo

    def one(value: Any) -> Any:
        return value.replace(tzinfo=ZoneInfo("UTC")) if isinstance(value, datetime) and value.tzinfo else value

    return [(number, one(value)) for number, value in rows]


@pytest.mark.parametrize(
    ("declared", "cells", "expected"),
    [
        ("float", ["0.1", "12345678901234567890.5", "'NaN'"], [0.1, 12345678901234567890.5, float("nan")]),
        (
            "decimal",
            ["0.1", "12345678901234567890.000000000000000001"],
            ["0.1", "12345678901234567890.000000000000000001"],
        ),
        ("integer", ["7", "-9223372036854775808"], [7, -(2**63)]),
        ("string", ["0.10", "1e3"], ["0.10", "1000"]),
    ],
)
def test_unbounded_numeric_is_read_as_declared(
    bench: Bench, declared: str, cells: list[str], expected: list[Any]
) -> None:
    bench.execute("ALTER TABLE events ALTER x TYPE numeric")
    for number, cell in enumerate(cells):
        bench.execute(f"INSERT INTO events VALUES ({number}, '2020-01-01', true, {cell})")
    bench.file["columns"] = {"x": {"type": declared}}
    found = [value for _, value in sorted(bench.rows(bench.extract(day(5)), day(5), "id", "x"))]
    if declared == "decimal":
        assert found == [Decimal(value) for value in expected]
    else:
        assert [repr(value) for value in found] == [repr(value) for value in expected]


@pytest.mark.parametrize(
    ("type_", "declared", "bad", "reason"),
    [
        ("numeric", "float", ["1e400"], "x: is too large for a float"),
        (
            "numeric",
            "decimal",
            ["1e20", "0.0000000000000000001", "'NaN'"],
            "x: does not fit 20 digits before and 18 after",
        ),
        ("numeric", "integer", ["1.5", "9223372036854775808"], "x: does not fit int64"),
        ("numeric", "integer", ["'NaN'"], "x: is NaN, which no decimal is"),
        ("numeric(4,1)", None, ["'NaN'"], "x: is NaN, which no decimal is"),
        (
            "date",
            None,
            ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'10000-01-01'"],
            "x: is infinite or not of the years",
        ),
        (
            "timestamp",
            None,
            ["'infinity'", "'-infinity'", "'10000-01-01'", "'0001-12-31 BC'"],
            "x: is infinite or not of",
        ),
        (
            "timestamptz",
            None,
            ["'infinity'", "'-infinity'", "'10000-01-01 00:00+00'"],
            "x: is infinite or not of the years",
        ),
    ],
)
def test_what_does_not_fit_goes_to_quarantine_and_the_rest_is_read(
    bench: Bench, type_: str, declared: str | None, bad: list[str], reason: str
) -> None:
    bench.execute("ALTER TABLE events DROP x", f"ALTER TABLE events ADD x {type_}")
    for number, cell in enumerate([*bad, "NULL"]):
        bench.execute(f"INSERT INTO events VALUES ({number}, '2020-01-01', true, {cell})")
    bench.file |= {"on_bad_row": {"max_fraction": 0.9}, "columns": {"x": {"type": declared}} if declared else {}}
    manifest = bench.extract(day(5))
    assert (manifest.rows.quarantined, manifest.rows.snapshot) == (len(bad), 1)
    ((found, count),) = manifest.quarantine_reasons.items()
    assert reason in found and count == len(bad)


def test_text_that_is_not_utf8_goes_to_quarantine(bench: Bench, postgres: str) -> None:
    from refit.demo.postgres import on_database
    from tests.fixtures.postgres import execute

    execute(
        postgres,
        "DROP DATABASE IF EXISTS ascii",
        "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'",
    )
    dsn = on_database(postgres, "ascii")
    try:
        execute(
            dsn,
            "CREATE TABLE events (id bigint, at timestamptz, y boolean, x text)",
            "INSERT INTO events SELECT i, '2020-01-01', true, 'fine' FROM generate_series(1, 200) i",
            "INSERT INTO events VALUES (777, '2020-01-01', true, E'\\xff\\xfe')",
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REFIT_SOURCE_DSN", dsn)
            manifest = bench.extract(day(5))
    finally:
        execute(postgres, "DROP DATABASE ascii")
    assert manifest.quarantine_reasons == {"x: is not UTF-8": 1} and manifest.rows.snapshot == 200


def test_a_cell_of_ten_megabytes_is_read_when_the_file_allows_it(bench: Bench) -> None:
    bench.file["source"]["max_row_bytes"] = 11_000_000
    bench.execute(
        "ALTER TABLE events ADD note text",
        "INSERT INTO events SELECT i, '2020-01-01', true, i, CASE WHEN i = 3 THEN repeat('€uro', 10000000 / 6) END"
        " FROM generate_series(1, 5) i",
    )
    manifest = bench.extract(day(5))
    assert manifest.rows.quarantined == 0
    notes = dict(bench.rows(manifest, day(5), "id", "note"))
    assert notes[3] == "€uro" * (10_000_000 // 6) and notes[4] is None


@pytest.mark.parametrize("size", [1_500_000, 100_000_000], ids=["1.5 MB", "100 MB"])
def test_a_larger_row_goes_to_quarantine_without_leaving_the_database(bench: Bench, size: int) -> None:
    bench.execute(
        "ALTER TABLE events ADD note text",
        f"INSERT INTO events SELECT i, '2020-01-01', true, i, CASE WHEN i = 3 THEN repeat('x', {size}) END"
        " FROM generate_series(1, 150) i",
    )
    manifest = bench.extract(day(5))
    assert manifest.quarantine_reasons == {"note: is larger than max_row_bytes": 1}
    assert (manifest.rows.read, manifest.rows.snapshot) == (150, 149)


def test_a_row_that_is_too_large_as_a_whole_goes_to_quarantine(bench: Bench) -> None:
    bench.file["source"]["max_row_bytes"] = 1000
    bench.execute(
        "ALTER TABLE events ADD a text, ADD b text",
        "INSERT INTO events SELECT i, '2020-01-01', true, i, repeat('a', i * 5), repeat('b', i * 5)"
        " FROM generate_series(1, 100) i",
    )
    bench.file["on_bad_row"] = {"max_fraction": 0.2}
    manifest = bench.extract(day(5))
    assert manifest.quarantine_reasons == {"the row is larger than max_row_bytes": 4}


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("SELECT * FROM events -- all", id="comment at the end"),
        pytest.param("SELECT * FROM events;\n;", id="semicolons"),
        pytest.param("SELECT *, '100%; --' AS note, 7 % 2 AS odd FROM events", id="percent"),
        pytest.param('SELECT *, id AS "select", id AS "a""b;%s" FROM events', id="strange names"),
        pytest.param("WITH e AS (SELECT * FROM events) SELECT * FROM e ORDER BY id LIMIT 1000", id="with and order"),
        pytest.param("(SELECT * FROM events WHERE y) UNION ALL SELECT * FROM events WHERE NOT y", id="union"),
        pytest.param("SELECT e.*, random() AS dice FROM events e /* ; */", id="volatile"),
    ],
)
def test_queries_are_read_as_they_stand(bench: Bench, query: str) -> None:
    bench.insert([(1, day(1), True, 1.0), (2, day(2), False, 2.0), (3, day(9), False, 2.0)])
    bench.file["source"]["query"] = query
    assert sorted(bench.rows(bench.extract(day(5)), day(5), "id")) == [(1,), (2,)]


def test_an_index_on_the_cursor_is_used(bench: Bench) -> None:
    """The fence that keeps columns from being computed twice lets the bounds through."""
    from refit.extract.query import Bounds, reading

    bench.execute(
        "INSERT INTO events SELECT i, timestamptz '2020-01-01' + i * interval '1 minute', true, 1"
        " FROM generate_series(1, 20000) i",
        "CREATE INDEX ON events (at)",
        "ANALYZE events",
    )
    sql = reading(
        "SELECT id, at FROM events", [("id", "none")], ("at", "timestamp with time zone"), Bounds(day(13), day(14)), 9
    )
    with closing(psycopg2.connect(bench.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + sql)
        assert "Index Cond" in str(cursor.fetchall())


def test_dates_are_dates(bench: Bench) -> None:
    bench.execute("ALTER TABLE events ADD d date", "INSERT INTO events VALUES (1, '2020-01-01', true, 1, '2020-02-29')")
    assert bench.rows(bench.extract(day(5)), day(5), "d") == [(date(2020, 2, 29),)]

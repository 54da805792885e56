"""The SQL around the user's query."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from refit.core.domain import Stretch
from refit.extract.query import Bounds, CursorType, copying, describing, fault, identifier, literal, reading

NOON = datetime(2013, 1, 31, 12, 30, 0, 5, UTC)
TZ: CursorType = "timestamp with time zone"


@pytest.mark.parametrize(
    ("cursor_type", "expected"),
    [
        (TZ, "TIMESTAMPTZ '2013-01-31 12:30:00.000005+00'"),
        ("timestamp without time zone", "TIMESTAMP '2013-01-31 12:30:00.000005'"),
        ("date", "DATE '2013-01-31'"),
    ],
)
def test_literal_is_of_the_cursors_own_type(cursor_type: CursorType, expected: str) -> None:
    assert literal(NOON, cursor_type) == expected
    assert literal(NOON.astimezone(timezone(timedelta(hours=-11))), cursor_type) == expected


@pytest.mark.parametrize("name", ["a", "Ä b", 'say "hi"', "select", "a;b--"])
def test_identifier_means_itself(name: str) -> None:
    quoted = identifier(name)
    assert quoted[0] == quoted[-1] == '"' and quoted[1:-1].replace('""', '"') == name


def test_query_stands_on_lines_of_its_own() -> None:
    assert describing("SELECT 1 -- one") == "SELECT * FROM (\nSELECT 1 -- one\n) AS source LIMIT 0"


def test_reading_bounds_guards_and_fences() -> None:
    sql = reading(
        "SELECT *\nFROM t", [("id", "none"), ("at", TZ), ('no"te', "size")], ("at", TZ), Bounds(NOON, NOON), 100
    )
    assert sql.splitlines()[1:] == [
        "FROM (",
        "SELECT * FROM (",
        "SELECT *",
        "FROM t",
        ") AS source",
        "WHERE \"at\" > TIMESTAMPTZ '2013-01-31 12:30:00.000005+00'"
        " AND \"at\" <= TIMESTAMPTZ '2013-01-31 12:30:00.000005+00'",
        "OFFSET 0",
        ") AS bounded",
    ]
    assert sql.splitlines()[0].endswith(
        '"id", "at", CASE WHEN octet_length("no""te"::text) > 100 THEN NULL ELSE "no""te" END'
    )


def test_reading_without_guards_names_no_fault() -> None:
    sql = reading("SELECT 1", [("id", "none")], ("day", "date"), Bounds(None, NOON), 1)
    assert sql.startswith('SELECT NULL, "id"\n') and "WHERE \"day\" <= DATE '2013-01-31'\n" in sql


def test_a_fresh_start_also_reads_rows_without_cursor() -> None:
    sql = reading("SELECT 1", [("id", "none")], ("day", "date"), Bounds(NOON, NOON, without_cursor=True), 1)
    assert 'WHERE ("day" > DATE \'2013-01-31\' AND "day" <= DATE \'2013-01-31\') OR "day" IS NULL\n' in sql


def test_released_rows_are_read_where_their_cursor_was() -> None:
    again = (Stretch(start=NOON, end=NOON), Stretch(start=NOON - timedelta(days=2), end=NOON - timedelta(days=1)))
    sql = reading("SELECT 1", [("id", "none")], ("day", "date"), Bounds(NOON, NOON, again=again), 1)
    assert sql.splitlines()[-4:-2] == [
        "  OR \"day\" BETWEEN DATE '2013-01-31' AND DATE '2013-01-31'",
        "  OR \"day\" BETWEEN DATE '2013-01-29' AND DATE '2013-01-30'",
    ]


def test_copying_is_csv() -> None:
    assert copying("SELECT 1") == "COPY (\nSELECT 1\n) TO STDOUT (FORMAT csv)"


def test_unguarded_columns_have_no_fault() -> None:
    assert fault("id", "none", 1) == ""

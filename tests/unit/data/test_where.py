"""Conditions on rows: what they mean, against plain Python, and where they cannot be read."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refit.data.condition import BadCondition
from refit.data.standing import INSTANT
from refit.data.where import LONGEST, read_where

NOON = datetime(2013, 2, 1, 12, tzinfo=UTC)
ROWS = pa.RecordBatch.from_arrays(
    [
        pa.array([0, 1, 2, None, 2**62 + 1], pa.int64()),
        pa.array([0, 1, 2, None, 300], pa.int16()),
        pa.array([0.1, 0.5, float("nan"), None, -1.0]),
        pa.array([Decimal("0.10"), Decimal("0.5"), Decimal("2"), None, Decimal("-1")], pa.decimal128(38, 18)),
        pa.array(["AA", "it's", "", None, "é"]),
        pa.array([True, False, True, None, False]),
        pa.array([NOON + timedelta(hours=hour) for hour in (0, 1, 2, 12)] + [None], INSTANT),
        pa.array([datetime(2013, 2, 1 + day) for day in (0, 1, 2, 3)] + [None], pa.timestamp("us")),  # noqa: DTZ001
        pa.array([date(2013, 2, 1 + day) for day in (0, 1, 2, 3)] + [None], pa.date32()),
    ],
    names=["id", "small", "x", "money", "carrier", "late", "landed_at", "local", "day"],
)
TYPES = {field.name: str(field.type) for field in ROWS.schema}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id = 1", [1]),
        ("id = 4611686018427387905", [4]),
        ("id > 1.5", [2, 4]),
        ("small >= 2", [2, 4]),
        ("small < 100000", [0, 1, 2, 4]),
        ("id in (0, 2, 7)", [0, 2]),
        ("id in (0.5, +1)", [1]),
        ("x <= 0.1", [0, 4]),
        ("x <> 0.5", [0, 2, 4]),
        ("x = -1e0", [4]),
        ("money = 0.1", [0]),
        ("money between -1 and .5", [0, 1, 4]),
        ("carrier = 'it''s'", [1]),
        ("carrier in ('AA', 'é')", [0, 4]),
        ("carrier != 'AA'", [1, 2, 4]),
        ("carrier < 'b'", [0, 2]),
        ("late = true", [0, 2]),
        ("late <> TRUE", [1, 4]),
        ("landed_at > '2013-02-01T13:00'", [2, 3]),
        ("landed_at between '2013-02-01 12:00' and '2013-02-01T14:00:00+01:00'", [0, 1]),
        ("local <= '2013-02-02'", [0, 1]),
        ("day between '2013-02-02' and '2013-02-03'", [1, 2]),
        ("day = '2013-02-01T00:00:01'", []),
        ("id is null", [3]),
        ("id is not null AND late = false", [1, 4]),
        ("\"id\" = 1 and \"carrier\" = 'it''s'", [1]),
        ("  id=1 and late=false", [1]),
    ],
)
def test_a_condition_holds_for_the_rows_that_it_names(text: str, expected: list[int]) -> None:
    where = read_where(text)
    where.check(TYPES)
    assert [row for row, held in enumerate(where.holds(ROWS)) if held] == expected


@pytest.mark.parametrize(
    ("text", "what", "place"),
    [
        ("", "a column should stand where its end stands", 1),
        ("and = 1", "a column should stand where 'and' stands", 1),
        ("id", "a comparison, between, in or is should stand where its end stands", 3),
        ("id like 'a'", "should stand where 'like' stands", 4),
        ("id not in (1)", "should stand where 'not' stands", 4),
        ("id = ", "a value should stand where its end stands", 6),
        ("carrier = AA", "a value should stand where 'AA' stands; text stands in 'single quotes'", 11),
        ('carrier = "AA"', "where 'AA' stands; text stands in 'single quotes'", 11),
        ("id = 1 or id = 2", "and, or the end, should stand where 'or' stands; conditions are joined by and", 8),
        ("id = 1 id = 2", "and, or the end, should stand where 'id' stands", 8),
        ("id between 1", "and should stand where its end stands", 13),
        ("id between 1, 2", "and should stand where ',' stands", 13),
        ("id in 1", "( should stand where '1' stands", 7),
        ("id in ()", "a value should stand where ')' stands", 8),
        ("id in (1, 2", ") should stand where its end stands", 12),
        ("id is 1", "null should stand where '1' stands", 7),
        ("carrier = 'AA", '"\'" is not closed', 11),
        ("id = 1; drop table loans", "';' has no meaning", 7),
        ("id = 12abc", "'12abc' has no meaning", 6),
        ("id = now()", "a value should stand where 'now' stands", 6),
        ("id = 1e99999999999999999999", "is too large", 6),
        ("landed = 1", '"landed" is no column of the rows', 1),
        ("id = 1 and id = 'a'", "\"id\" is compared with a number, and 'a' is none", 17),
        ("carrier = 1", "\"carrier\" is compared with text in 'single quotes', and '1' is none", 11),
        ("late = 'true'", "\"late\" is compared with true or false, and 'true' is none", 8),
        ("late < true", '"late" is true or false, and neither is less', 1),
        ("landed_at > 'soon'", "'soon' is no date or time, like '2013-02-01'", 13),
        ("day = 20130201", '"day" is compared with a date or time', 7),
        ("day > '0001-01-01T00:00+14:00'", "is no date or time", 7),
        ("id = 1e70", "has more digits than are compared here", 6),
        ("x" * (LONGEST + 1), "has 2,001 characters; the most are 2,000", LONGEST),
    ],
)
def test_a_fault_names_what_and_the_place_in_the_text(text: str, what: str, place: int) -> None:
    with pytest.raises(BadCondition) as caught:
        read_where(text).check(TYPES)
    assert what in caught.value.message
    assert caught.value.message.endswith(f"(character {place} of the condition)")
    assert caught.value.next


def test_an_unknown_column_is_met_with_what_was_meant() -> None:
    with pytest.raises(BadCondition) as caught:
        read_where("landed = 1").check(TYPES)
    assert caught.value.next == "did you mean landed_at?"


@given(st.text() | st.text(alphabet="id =<>!(),.'\"andbetwisuloc-+e0123456789 ", max_size=40))
@settings(max_examples=300)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        where = read_where(text)
        where.check(TYPES)
    except BadCondition:
        return
    assert len(where.holds(ROWS)) == len(ROWS)


NUMBERS = st.integers(-3, 3)
COMPARISONS: dict[str, Any] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@given(
    rows=st.lists(st.tuples(st.none() | NUMBERS, st.integers(0, 20)), min_size=1, max_size=12),
    operator=st.sampled_from(sorted(COMPARISONS)),
    bound=NUMBERS,
    hours=st.tuples(st.integers(0, 20), st.integers(0, 20)),
)
@settings(max_examples=150)
def test_conditions_mean_what_plain_python_says_and_cursor_bounds_pass_over_no_row(
    rows: list[tuple[int | None, int]], operator: str, bound: int, hours: tuple[int, int]
) -> None:
    start, end = (NOON + timedelta(hours=hour) for hour in hours)
    where = read_where(f"value {operator} {bound} and at between '{start.isoformat()}' and '{end.isoformat()}'")
    times = [NOON + timedelta(hours=hour) for _, hour in rows]
    batch = pa.RecordBatch.from_arrays(
        [pa.array([value for value, _ in rows], pa.int32()), pa.array(times, INSTANT)], names=["value", "at"]
    )
    expected = [
        value is not None and COMPARISONS[operator](value, bound) and start <= at <= end
        for (value, _), at in zip(rows, times, strict=True)
    ]
    assert where.holds(batch).tolist() == expected
    assert where.may_hold("at", min(times), max(times)) or not any(expected)


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("at < '2013-02-01T12:00Z'", False),
        ("at <= '2013-02-01T12:00Z'", True),
        ("at > '2013-02-02T12:00Z'", False),
        ("at >= '2013-02-02T12:00Z'", True),
        ("at in ('2013-02-01', '2013-02-03')", False),
        ("at in ('2013-02-01', '2013-02-02')", True),
        ("at <> '2013-02-02' and value = 1", True),
        ("at is null", False),
        ("at is not null", True),
        ("value = 1", True),
    ],
)
def test_a_part_is_passed_over_where_no_cursor_of_it_can_fit(text: str, may: bool) -> None:
    assert read_where(text).may_hold("at", NOON, NOON + timedelta(days=1)) is may

"""Strange rows: each is kept as it is or set apart with a reason, counted once, and no run ends for one of them."""

import pytest

from refit.core.domain import Outcome
from tests.faults.case import FIRST, SECOND, THIRD, Case, edited
from tests.fixtures import loans
from tests.fixtures.forked import Done

BOUNDED = edited(columns={"amount": {"min": -10}})
STRANGE = [
    "", None, " ", "NULL", r"\N", "back\\slash", 'quo"te', "it''s", "comma,", "line\nbreak", "carriage\r\nreturn",
    "tab\t", "🦊 👩‍👩‍👧", "\u202eright to left", "é", "e\u0301", "\ufeffmark", "%s %(x)s {}", "'; DROP TABLE loans; --",
]  # fmt: skip


def insert(case: Case, number: int, days: float, **values: str) -> None:
    """One more loan at that time; values are SQL."""
    row = {"income": "0.5", "amount": "0.5", "region": "'N'", "defaulted": "true"} | values
    at = f"'{loans.at(days).isoformat()}'"
    case.sql(
        f"INSERT INTO loans (loan_id, applied_at, {', '.join(row)}) VALUES ({number}, {at}, {', '.join(row.values())})"
    )


def ended_well(done: Done) -> Outcome:
    assert done.outcome is not None
    assert done.code == 0
    return done.outcome


def test_any_text_comes_back_as_it_was(case: Case) -> None:
    for number, text in enumerate(STRANGE):
        quoted = "NULL" if text is None else "E'{}'".format(text.replace("\\", r"\\").replace("'", r"\'"))
        insert(case, 9000 + number, 50 + number / 100, region=quoted)
    outcome = case.good()
    assert outcome.rows.quarantined == 0
    kept = {key: text for key, text in case.rows(outcome, "loan_id", "region") if key >= 9000}
    assert kept == {9000 + number: text for number, text in enumerate(STRANGE)}


def test_a_cell_of_ten_megabytes_goes_to_quarantine_with_flat_memory(case: Case) -> None:
    plain = case.good(days=SECOND - 7)
    insert(case, 9000, SECOND - 1, region="repeat('x', 10000000)")
    outcome = case.good()
    assert outcome.rows.quarantined == 1
    assert case.extract_of(outcome).quarantine_reasons == {"region: is larger than max_row_bytes": 1}
    grown = outcome.steps["extract"].max_rss_bytes - plain.steps["extract"].max_rss_bytes
    assert grown < 8 << 20
    assert 9000 not in [key for (key,) in case.rows(outcome, "loan_id")]


def test_of_doubled_keys_the_newest_cursor_stands_and_the_doubles_are_counted(case: Case) -> None:
    case.sql("ALTER TABLE loans DROP CONSTRAINT loans_pkey")
    for number, days in ((9000, 50.2), (9000, 50.1), (9000, 50.3), (1600, 51.0)):  # 1600 was read by the champion's run
        insert(case, number, days, amount=str(days))
    outcome = case.good()
    extract = case.extract_of(outcome)
    assert (extract.doubled, extract.replaced) == (2, 1)
    assert outcome.rows.new == (SECOND - FIRST) * loans.ROWS_PER_DAY + 2
    amounts = dict(case.rows(outcome, "loan_id", "amount"))
    assert (amounts[9000], amounts[1600]) == (50.3, 51.0)


def test_rows_out_of_order_make_the_same_run(case: Case) -> None:
    other = case.copied()
    shuffled = other.good(file=edited(source={"query": "SELECT * FROM loans ORDER BY md5(loan_id::text)"}))
    rows = other.rows(shuffled, "applied_at")
    assert rows != sorted(rows)
    assert shuffled.scores["candidate"] == pytest.approx(case.good().scores["candidate"], rel=1e-4)


CURSORS = {
    "timestamptz": "applied_at",
    "timestamp": "applied_at AT TIME ZONE 'UTC'",
    "date": "(applied_at AT TIME ZONE 'UTC')::date",
}


@pytest.mark.parametrize("cursor", CURSORS)
def test_a_clock_change_of_the_server_moves_no_row_and_doubles_none(empty: Case, cursor: str) -> None:
    # Clocks in New York went from 02:00 to 03:00 on 8 March 2026: day 66, 07:00 UTC.
    empty.sql(f"ALTER TABLE loans ALTER applied_at TYPE {cursor} USING {CURSORS[cursor]}")
    name = empty.dsn.rpartition("?")[0].rpartition("/")[2]
    empty.sql(f"ALTER DATABASE {name} SET timezone = 'America/New_York'")
    file = edited(window=None, split={"kind": "time", "holdout": "14d"})
    spring = 66 + 7 / 24
    seen = [ended_well(empty.run(days=days, file=file)) for days in (spring, spring + 1 / 24, 69)]
    last_day = loans.ROWS_PER_DAY if cursor == "date" else 1  # the rows whose cursor is that of the last run
    assert sum(outcome.rows.new or 0 for outcome in seen) == 69 * loans.ROWS_PER_DAY + last_day
    if cursor != "date":
        rows = empty.rows(seen[-1], "loan_id", "applied_at", file=file)
        assert all(at == loans.at(key / loans.ROWS_PER_DAY) for key, at in rows)


def test_rows_of_the_future_wait_until_their_time_comes(case: Case) -> None:
    for number, days in ((9000, SECOND + 1), (9001, 300_000)):
        insert(case, number, days)
    case.sql("UPDATE loans SET applied_at = 'infinity' WHERE loan_id = 9001")
    per_day = loans.ROWS_PER_DAY
    rows = case.good().rows
    assert (rows.read, rows.new, rows.quarantined) == ((SECOND - FIRST) * per_day, (SECOND - FIRST) * per_day, 0)
    last_of_table = -1  # at THIRD itself there is no loan
    assert ended_well(case.run(days=THIRD)).rows.new == (THIRD - SECOND) * per_day + last_of_table + 1
    assert case.good("skipped", days=THIRD).rows.new == 0


def test_a_few_bad_rows_are_set_apart_and_told(case: Case) -> None:
    case.sql("UPDATE loans SET amount = -99 WHERE loan_id IN (1800, 1900, 2000)")
    outcome = case.good(file=BOUNDED)
    assert outcome.rows.quarantined == 3
    assert case.extract_of(outcome).quarantine_reasons == {"amount: is not at least -10": 3}
    assert not {1800, 1900, 2000} & {key for (key,) in case.rows(outcome, "loan_id", file=BOUNDED)}


def test_too_many_bad_rows_end_the_run_with_their_reasons(case: Case) -> None:
    case.sql("UPDATE loans SET amount = -99 WHERE loan_id % 50 = 0")
    words = ("34 of the 1,680 rows", "2.02%", "1.00%", "34 × amount: is not at least -10")
    done = case.refused(65, "data TooManyBadRows", *words, file=BOUNDED)
    assert "-99" not in repr(done)
    case.sql("UPDATE loans SET amount = 0 WHERE loan_id % 50 = 0")
    case.good(file=BOUNDED)


def test_one_bad_row_ends_the_run_when_the_file_says_so(case: Case) -> None:
    file = edited(BOUNDED, on_bad_row={"action": "fail"})
    case.sql("UPDATE loans SET amount = -99 WHERE loan_id = 1800")
    case.refused(65, "data BadRowFound", '"1800"', "amount: is not at least -10", file=file)
    case.sql("UPDATE loans SET amount = 0 WHERE loan_id = 1800")
    case.good(file=file)

"""Figures, times and tables are rounded to what is meant."""

from datetime import UTC, datetime

import pytest

from refit.cli import words
from tests.fixtures.records import searched


@pytest.mark.parametrize(
    ("span", "long", "short"),
    [
        (0.4, "0 seconds", "0 s"),
        (59.9, "59 seconds", "59 s"),
        (60, "1 minute", "1 min"),
        (3 * 3600 + 59 * 60, "3 hours", "3 h"),
        (86400, "1 day", "1 d"),
        (37.9 * 86400, "37 days", "37 d"),
        (-5, "0 seconds", "0 s"),
    ],
)
def test_an_age_is_cut_to_its_largest_unit(span: float, long: str, short: str) -> None:
    assert (words.age(span), words.age(span, short=True)) == (long, short)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04, "0.0 s"), (1.25, "1.2 s"), (9.949, "9.9 s"), (9.96, "10 s"), (75, "1 min 15 s"), (7500, "2 h 5 min")],
)
def test_seconds_are_as_exact_as_a_person_cares(value: float, text: str) -> None:
    assert words.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (-0.41234, None, "-0.412"),
        (1234.56, None, "1,235"),
        (12.345, None, "12.35"),
        (0.018, (0.012, 0.024), "0.018"),
        (0.00043, (0.00011, 0.00075), "0.00043"),
        (52.31, (12.0, 93.0), "52"),
        (0.5, (0.5, 0.5), "0.500"),
        (-0.0001, (-0.05, 0.05), "0.00"),
    ],
)
def test_a_score_shows_what_its_interval_can_tell_apart(
    value: float, interval: tuple[float, float] | None, text: str
) -> None:
    assert words.figure(value, words.decimals(value, interval)) == text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")], ids=str)
def test_no_score_is_a_dash(value: float | None) -> None:
    assert words.figure(value) == "-"


def test_a_time_is_utc_unless_a_person_reads_it() -> None:
    at = datetime(2013, 4, 5, tzinfo=UTC)
    assert words.instant(at, local=False) == "2013-04-05 00:00 UTC"
    assert words.instant(at, local=True).startswith("2013-04-0")


def test_a_table_lines_up_under_its_head_and_ends_without_blanks() -> None:
    assert words.table(("A", "LONG"), [("xyz", "1"), ("y", "")]).splitlines() == ["A    LONG", "xyz  1", "y"]


def test_long_text_is_cut_to_one_line() -> None:
    assert words.one_line("a\n b  c") == "a b c"
    assert len(words.one_line("x" * 200, 50)) == 50


def test_a_search_is_told_in_one_line() -> None:
    assert words.search(searched()) == (
        "C = 0.05, solver = saga, neg_log_loss -0.412, -0.430 by the file's own params; "
        "21 combinations tried on 5 folds"
    )
    cut = searched(params={}, is_cut=True, tried=0, score=None, own_score=None)
    assert words.search(cut) == "the file's own params; 0 of 21 combinations tried on 5 folds"

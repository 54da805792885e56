"""When a cron line next names a moment, in its zone, as the CronJob controller reads it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refit.core.cron import check_cron, next_time

FRIDAY = datetime(2026, 11, 20, 7, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        ("0 5 * * 1", "Etc/UTC", "2026-11-20T07:00", "2026-11-23T05:00"),
        ("0 5 * * 1", "America/New_York", "2026-11-20T07:00", "2026-11-23T10:00"),
        ("0 7 * * *", "Etc/UTC", "2026-11-20T07:00", "2026-11-21T07:00"),
        ("*/15 * * * *", "Etc/UTC", "2026-11-20T07:01", "2026-11-20T07:15"),
        ("5/20 * * * *", "Etc/UTC", "2026-11-20T07:30", "2026-11-20T07:45"),
        ("0 0 1 jan *", "Etc/UTC", "2026-11-20T07:00", "2027-01-01T00:00"),
        ("0 0 13 * fri", "Etc/UTC", "2026-11-20T07:00", "2026-11-27T00:00"),
        ("0 0 */2 * fri", "Etc/UTC", "2026-11-20T07:00", "2026-11-21T00:00"),
        ("0 0 29 2 *", "Etc/UTC", "2026-11-20T07:00", "2028-02-29T00:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-30T00:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T00:30"),
    ],
    ids=[
        "weekly",
        "zone",
        "after, not at",
        "step",
        "step from",
        "month",
        "either day field",
        "star with a step is a limit",
        "leap day",
        "hour left out by the clock change",
        "first of the repeated hours",
    ],
)
def test_the_next_moment(line: str, zone: str, after: str, expected: str) -> None:
    assert next_time(check_cron(line), zone, at(after)) == at(expected)


def test_a_day_that_never_comes_has_no_next_moment() -> None:
    assert next_time("0 0 30 2 *", "Etc/UTC", FRIDAY) is None


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    weekday=st.integers(0, 6),
    after=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_it_lies_within_two_weeks_and_reads_as_written(minute: int, hour: int, weekday: int, after: datetime) -> None:
    found = next_time(f"{minute} {hour} * * {weekday}", "Europe/Berlin", after)
    assert found is not None and 0 < (found - after).total_seconds() <= 14 * 86400 + 3600
    local = found.astimezone(ZoneInfo("Europe/Berlin"))
    assert (local.minute, local.hour, local.isoweekday() % 7) == (minute, hour, weekday)

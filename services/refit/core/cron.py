"""The five fields of a cron line, as Kubernetes reads them.

Grammar of https://pkg.go.dev/github.com/robfig/cron/v3 (the parser of the CronJob controller), less its `@` words:
Sunday is 0 and never 7, a range runs upwards, names stand for months and days of the week.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo


class _Field(NamedTuple):
    name: str
    lowest: int
    highest: int
    words: tuple[str, ...] = ()


_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _DAYS),
)


def check_cron(value: str) -> str:
    """The line itself, when every field names moments that exist.

    Raises:
        ValueError: names the field and its range.
    """
    parts = value.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(
            f"has {len(parts)} fields instead of 5: minute, hour, day, month, day of the week, like 0 5 * * 1"
        )
    for field, text in zip(_FIELDS, parts, strict=True):
        for item in text.split(","):
            _check_item(field, item)
    return value


def _check_item(field: _Field, item: str) -> None:
    span, slash, step = item.partition("/")
    if slash and not (_is_number(step) and int(step) > 0):
        raise ValueError(f"{field.name}: the step {step[:20]!r} is no positive number")
    if span in ("*", "?"):
        return
    low, dash, high = span.partition("-")
    first = _number(field, low)
    last = _number(field, high) if dash else first
    if last < first:
        raise ValueError(f"{field.name}: the range {span[:20]} runs backwards")


def _number(field: _Field, text: str) -> int:
    if text.lower() in field.words:
        return field.words.index(text.lower()) + field.lowest
    if not _is_number(text) or not field.lowest <= int(text) <= field.highest:
        raise ValueError(f"{field.name}: {text[:20]!r} is not between {field.lowest} and {field.highest}")
    return int(text)


_SEARCHED_DAYS: Final = 5 * 366  # as long as the CronJob controller's parser searches


def next_time(line: str, zone: str, after: datetime) -> datetime | None:
    """The first moment after `after` that the line names in the zone, in UTC; None for a 30th of February.

    As the CronJob controller's parser (see above): when both day fields are limited either may match, and a moment
    that a clock change leaves out does not count. Of a repeated hour the first is meant.
    """
    minutes, hours, *days = (_values(field, text) for field, text in zip(_FIELDS, line.split(), strict=True))
    either = not any(_is_star(text) for text in (line.split()[2], line.split()[4]))
    place = ZoneInfo(zone)
    today = after.astimezone(place).date()
    for offset in range(_SEARCHED_DAYS):
        day = today + timedelta(days=offset)
        if not _is_day(day, days, either=either):
            continue
        for hour in sorted(hours):
            for minute in sorted(minutes):
                wanted = datetime.combine(day, time(hour, minute), place)
                at = wanted.astimezone(UTC)
                if at > after and at.astimezone(place).time() == wanted.time():
                    return at
    return None


def _is_day(day: date, fields: list[set[int]], *, either: bool) -> bool:
    days, months, weekdays = fields
    matches = (day.day in days, day.isoweekday() % 7 in weekdays)
    return day.month in months and (any(matches) if either else all(matches))


def _is_star(text: str) -> bool:
    """True when some item of a field leaves it unlimited; a star with a step limits it."""
    return any(item.removesuffix("/1") in ("*", "?") for item in text.split(","))


def _values(field: _Field, text: str) -> set[int]:
    """The numbers that a checked field names."""
    found: set[int] = set()
    for item in text.split(","):
        span, slash, step = item.partition("/")
        low, dash, high = span.partition("-")
        first = field.lowest if span in ("*", "?") else _number(field, low)
        last = _number(field, high) if dash else (field.highest if span in ("*", "?") or slash else first)
        found.update(range(first, last + 1, int(step) if slash else 1))
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4

"""How long runs go on trying: a table of cases, and what holds in all of them."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refit.core.errors import DependencyError, WorkerKilled
from refit.core.objective import (
    FIRST_RUN,
    MARGIN,
    ONCE_MORE,
    PART,
    PATIENT_CLASSES,
    SHORTEST_LIMIT,
    STARTING,
    USUAL_PAUSES,
    Patience,
    patience,
    reserve,
    spread,
)
from refit.extract.faults import StatementTimeout

MONDAY = datetime(2026, 11, 16, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def derived(**fields: Any) -> Patience:
    """Of a weekly run on Monday at 5 that takes an hour, confirmed a week ago, with an objective of ten days."""
    usual: dict[str, Any] = {
        "on_failure": "retry",
        "max_age": 10 * DAY,
        "confirmed_at": MONDAY - 7 * DAY,
        "next_at": MONDAY + 7 * DAY,
        "takes": HOUR,
        "begun_at": MONDAY,
    }
    return patience(**usual | fields)


@pytest.mark.parametrize(
    ("changes", "tries", "lasts", "end"),
    [
        ({}, 19, 3 * DAY - HOUR, "objective"),
        ({"max_age": None}, 3, None, None),
        ({"confirmed_at": None}, 3, None, None),
        ({"on_failure": "alert"}, 2, None, None),
        ({"on_failure": "record"}, 1, None, None),
        ({"max_age": 60 * DAY}, 19, 7 * DAY - HOUR, "schedule"),
        ({"next_at": None}, 19, 3 * DAY - HOUR, "objective"),
        ({"next_at": MONDAY + DAY, "max_age": 8 * DAY + HOUR}, 18, DAY - HOUR, "schedule"),
        ({"max_age": 7 * DAY + 3 * HOUR}, 8, 2 * HOUR, "objective"),
        ({"max_age": 7 * DAY + 90 * timedelta(minutes=1)}, 6, HOUR / 2, "objective"),
        ({"max_age": 7 * DAY + HOUR + timedelta(seconds=25)}, 3, None, None),
        ({"max_age": 7 * DAY + HOUR / 2}, 3, None, None),
        ({"max_age": 5 * DAY}, 19, 7 * DAY - HOUR, "schedule"),
        ({"max_age": 5 * DAY, "next_at": None}, 3, None, None),
        ({"takes": 2 * DAY}, 18, DAY, "objective"),
        ({"takes": 4 * DAY}, 3, None, None),
        ({"next_at": MONDAY + HOUR, "max_age": 9 * DAY, "takes": timedelta(minutes=10)}, 6, HOUR * 5 / 6, "schedule"),
        (
            {"next_at": MONDAY + timedelta(minutes=5), "takes": timedelta(minutes=3)},
            4,
            timedelta(minutes=2),
            "schedule",
        ),
    ],
    ids=[
        "weekly, ten days",
        "no objective",
        "never confirmed",
        "alert",
        "record",
        "the schedule comes first",
        "by hand",
        "daily",
        "hours left",
        "half an hour left",
        "seconds left",
        "a run no longer fits",
        "broken already",
        "broken already, by hand",
        "long runs",
        "runs longer than what is left",
        "hourly",
        "every five minutes",
    ],
)
def test_tries_follow_from_objective_schedule_and_duration(
    changes: dict[str, Any], tries: int, lasts: timedelta | None, end: str | None
) -> None:
    found = derived(**changes)
    assert (found.tries, found.end) == (tries, end)
    assert found.until == (None if lasts is None else MONDAY + lasts)
    if found.until is not None:
        assert found.ends_at == found.until + found.takes


def test_what_is_tried_always_is_tried_as_without_an_objective() -> None:
    assert derived().pauses[:2] == derived(max_age=None).pauses == USUAL_PAUSES
    assert derived(on_failure="alert").pauses == ONCE_MORE


@pytest.mark.parametrize(
    ("number", "error_class", "pause"),
    [
        (1, "dependency", 5.0),
        (2, "oom", 20.0),
        (3, "dependency", 80.0),
        (3, "start", 80.0),
        (3, "oom", None),
        (3, "killed", None),
        (3, "disk", None),
        (18, "dependency", 15295.0),
        (19, "dependency", None),
    ],
)
def test_only_what_is_away_is_tried_more_often_than_usual(number: int, error_class: str, pause: float | None) -> None:
    assert derived().planned(number, error_class) == pause


@pytest.mark.parametrize("error", [StatementTimeout, WorkerKilled], ids=lambda error: error.__name__)
def test_what_costs_as_much_each_time_is_tried_no_more_often_than_usual(error: type[DependencyError]) -> None:
    tries = [derived().planned(number, error.error_class, error.__name__) for number in (1, 2, 3)]
    assert tries == [5.0, 20.0, None]


@pytest.mark.parametrize(
    ("left", "pause"),
    [(2 * HOUR, 3600.0), (HOUR, 3600.0), (HOUR * 3 / 4, 2700.0), (HOUR / 2, 1800.0), (HOUR / 3, None), (-HOUR, None)],
    ids=["ample", "just enough", "cut", "cut by half", "too little", "over"],
)
def test_the_last_pause_is_cut_so_that_the_last_try_begins_in_time(left: timedelta, pause: float | None) -> None:
    found = derived()
    assert found.until is not None
    assert found.fitted(8, 3600.0, found.until - left) == pause


def test_the_usual_tries_are_made_however_late_it_is() -> None:
    found = derived()
    assert found.until is not None
    assert found.fitted(2, 20.0, found.until + DAY) == 20.0


def test_a_first_run_is_taken_to_last_an_hour_and_others_half_as_long_again_as_the_longest() -> None:
    assert reserve(None) == FIRST_RUN == HOUR
    assert reserve(2 * HOUR) == 2 * HOUR * MARGIN + STARTING == timedelta(hours=3, minutes=2)


SECONDS = st.floats(0, 400 * 86400.0)


@given(SECONDS)
def test_pauses_never_pass_the_end_and_the_last_try_is_near_it(seconds: float) -> None:
    pauses = list(spread(seconds))
    assert sum(pauses) <= seconds + 1e-6
    assert all(pause > 0 for pause in pauses)
    assert all(one <= other for one, other in pairwise(pauses[:-1]))
    assert max(pauses, default=0.0) <= max(SHORTEST_LIMIT, seconds / PART)
    if pauses:
        assert seconds - sum(pauses) < max(USUAL_PAUSES[0], max(pauses)) * 2  # too little for half of another pause
    assert len(pauses) <= 21


@given(SECONDS, SECONDS)
def test_more_time_gives_as_many_tries_or_more(one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert len(list(spread(less))) <= len(list(spread(more)))


@given(
    st.timedeltas(timedelta(hours=1), 90 * DAY),
    st.timedeltas(-60 * DAY, timedelta(0)),
    st.none() | st.timedeltas(timedelta(minutes=1), 40 * DAY),
    st.timedeltas(timedelta(0), 3 * DAY),
)
def test_no_try_but_the_usual_ones_begins_after_the_last_moment_that_leaves_room_for_a_run(
    max_age: timedelta, confirmed: timedelta, following: timedelta | None, takes: timedelta
) -> None:
    """A process that walks through an outage, with tries that take no time, as `refit run` does."""
    next_at = None if following is None else MONDAY + following
    found = derived(max_age=max_age, confirmed_at=MONDAY + confirmed, next_at=next_at, takes=takes)
    now, number, begins = MONDAY, 1, [MONDAY]
    while (planned := found.planned(number, "dependency")) is not None:
        pause = found.fitted(number, planned * 1.25, now)  # with the most of a jitter
        if pause is None:
            break
        now, number = now + timedelta(seconds=pause), number + 1
        begins.append(now)
    assert len(begins) >= len(USUAL_PAUSES) + 1
    last = MONDAY + timedelta(seconds=sum(USUAL_PAUSES) * 1.25)
    ends = [at for at in (MONDAY + confirmed + max_age, next_at) if at is not None and at > MONDAY]
    for begin in begins:
        assert begin <= last or (found.until is not None and begin <= found.until + timedelta(microseconds=50))
        assert begin <= last or begin + takes <= min(ends) + timedelta(microseconds=50)


@pytest.mark.parametrize("seconds", [3600.0, 86400.0, 3 * 86400.0, 30 * 86400.0])
def test_the_first_try_after_an_outage_comes_when_four_times_its_length_have_passed_or_a_longest_pause_after_it(
    seconds: float,
) -> None:
    begins = list(accumulate(spread(seconds)))
    longest = max(3600.0, seconds / 12)
    for outage, met in pairwise(begins[1:]):  # an outage that ends just after a try is met by the next one
        assert met <= min(4.25 * outage, outage + longest)


def test_classes_that_are_waited_for_are_classes() -> None:
    from refit.cli.failure import CLASS_WORDS

    assert set(CLASS_WORDS) >= PATIENT_CLASSES

import pytest

from refit.core.cron import check_cron


@pytest.mark.parametrize(
    "line", ["0 5 * * 1", "*/15 * * * *", "0 0 1,15 * *", "59 23 31 12 6", "0 9-17/2 * JAN-mar mon-FRI", " 0  5 * * ? "]
)
def test_a_line_of_moments_that_exist_passes(line: str) -> None:
    assert check_cron(line) == line


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "has 0 fields instead of 5"),
        ("0 5 * *", "has 4 fields instead of 5"),
        ("0 0 5 * * 1", "has 6 fields instead of 5"),
        ("@weekly", "has 1 fields instead of 5"),
        ("60 5 * * 1", "minute: '60' is not between 0 and 59"),
        ("0 24 * * 1", "hour: '24' is not between 0 and 23"),
        ("0 5 0 * 1", "day of the month: '0' is not between 1 and 31"),
        ("0 5 * 13 1", "month: '13' is not between 1 and 12"),
        ("0 5 * * 7", "day of the week: '7' is not between 0 and 6"),
        ("0 5 * * fry", "day of the week: 'fry' is not between 0 and 6"),
        ("0 5 * * 5-1", "day of the week: the range 5-1 runs backwards"),
        ("*/0 5 * * 1", "minute: the step '0' is no positive number"),
        ("*/ 5 * * 1", "minute: the step '' is no positive number"),
        ("1,,2 5 * * 1", "minute: '' is not between 0 and 59"),
        ("-1 5 * * 1", "minute: '' is not between 0 and 59"),
        ("² 5 * * 1", "minute: '²' is not between 0 and 59"),
    ],
)
def test_a_moment_that_does_not_exist_is_named(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_cron(line)
    assert str(caught.value).startswith(words)

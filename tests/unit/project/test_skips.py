import pytest

from tests.fixtures.skips import faults, listed_reasons


@pytest.mark.parametrize(
    ("skipped", "ran", "expected"),
    [
        pytest.param([], 3, [], id="nothing skipped"),
        pytest.param(["no postgres on PATH"], 3, [], id="for a listed reason"),
        pytest.param(
            ["not today", "not today"],
            3,
            ["skipped for a reason that tests/skips.txt does not list: not today"],
            id="for another reason",
        ),
        pytest.param(["no postgres on PATH"], 0, ["no test ran"], id="all skipped"),
    ],
)
def test_session_fails_for_unlisted_skips_and_when_no_test_ran(
    skipped: list[str], ran: int, expected: list[str]
) -> None:
    assert faults(skipped, ran) == expected


def test_comments_are_no_reasons() -> None:
    assert not [reason for reason in listed_reasons() if reason.startswith("#")]

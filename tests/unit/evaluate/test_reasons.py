"""The words of a reason."""

import pytest

from refit.evaluate import reasons
from refit.evaluate.interval import Interval, Spread


@pytest.mark.parametrize(
    ("gain", "half", "words"),
    [
        (0.018, 0.006, "0.018 better than the champion's [0.012, 0.024]"),
        (-0.009, 0.015, "0.009 worse than the champion's [-0.024, 0.006]"),
        (-0.0003, 0.0115, "0.0003 worse than the champion's [-0.012, 0.011]"),
        (0.00004, 0.05, "4e-05 better than the champion's [-0.05, 0.05]"),
        (0.0, 0.05, "0.00 better than the champion's [-0.05, 0.05]"),
    ],
    ids=["digits of the interval", "worse", "far inside the interval", "tiny", "none"],
)
def test_a_gain_is_told_with_the_digits_that_its_interval_allows_and_never_as_nothing(
    gain: float, half: float, words: str
) -> None:
    found = Interval(gain, gain - half, gain + half, 0.05, Spread(half / 2, 13.0, 1000.0))
    assert (
        reasons.compared("neg_log_loss", "min_gain", 0.0, "champion", "accepted", found) == f"neg_log_loss is {words}"
    )

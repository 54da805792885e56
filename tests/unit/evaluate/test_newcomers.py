"""Which rows a champion is held against after the whole window was read again."""

from datetime import UTC, datetime

import numpy as np

from refit.evaluate.newcomers import _weeks
from refit.evaluate.rows import CleanRows
from refit.evaluate.shift import ExtractRows
from refit.ml.scores import Responses

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
SECOND, DAY = 1_000_000, 86_400_000_000


def test_rows_since_the_champion_fall_into_weeks_and_older_ones_are_left_out() -> None:
    after = np.array([-SECOND, 0, SECOND, 7 * DAY, 7 * DAY + SECOND, 20 * DAY])
    cursor = np.datetime64("2026-01-01", "us") + after.astype("timedelta64[us]")
    rows = CleanRows(np.arange(6), np.arange(6, dtype=np.uint64), cursor=cursor)
    weeks = list(_weeks(ExtractRows("run", rows, Responses(None, np.arange(6.0))), SINCE))
    assert [week.rows.y.tolist() for week in weeks] == [[2, 3], [4], [5]]
    assert [week.responses.predict.tolist() for week in weeks] == [[2.0, 3.0], [4.0], [5.0]]

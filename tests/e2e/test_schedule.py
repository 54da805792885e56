"""What a release does by itself, batch after batch."""

import pytest

from tests.e2e.kubectl import until
from tests.e2e.release import NAME, Release
from tests.e2e.servers import FIRST
from tests.fixtures.loans import ROWS_PER_DAY

SECOND, THIRD = 63, 66
"""Days of the loans' table."""


@pytest.mark.core
def test_a_schedule_promotes_new_batches_read_what_is_new_and_poisoned_ones_wait(release: Release) -> None:
    release.install(schedule={"cron": "* * * * *", "timezone": "Etc/UTC"})
    job = until(release.scheduled, "Job of the schedule", 90)
    release.upgrade("suspend=true")
    first = release.as_expected(job)
    record = release.record(first)
    assert record.created_by == NAME
    assert record.why.startswith("scheduled for ")
    assert release.champion == first.version
    assert first.rows.new == FIRST * ROWS_PER_DAY

    assert release.good("skipped").version is None

    release.arrive(FIRST, SECOND)
    second = release.good()
    assert (second.previous_champion, release.champion) == (first.version, second.version)
    assert second.rows.new == (SECOND - FIRST) * ROWS_PER_DAY
    assert second.rows.snapshot == first.rows.new + second.rows.new

    release.arrive(SECOND, THIRD, flipped=True)
    third = release.good("awaiting_approval")
    assert third.verdict is not None
    assert "contradict the older ones" in (third.verdict.needs_approval or "")
    assert release.champion == second.version

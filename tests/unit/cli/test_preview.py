"""How a plan says what happens on failure."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from refit.cli.preview import patience_words
from refit.core.config import parse_pipeline
from refit.core.objective import patience
from tests.fixtures.records import file

BEGIN = datetime(2026, 11, 16, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def words(slo: dict[str, str], **fields: Any) -> list[str]:
    pipeline = parse_pipeline(file(slo=slo), "refit.yaml")
    given: dict[str, Any] = {
        "confirmed_at": BEGIN - 7 * DAY,
        "next_at": BEGIN + 7 * DAY,
        "takes": timedelta(minutes=20),
        "begun_at": BEGIN,
    }
    found = patience(pipeline.slo.on_failure, pipeline.slo.max_age, **given | fields)
    return list(patience_words(found, pipeline, local=False))


@pytest.mark.parametrize(
    ("slo", "fields", "expected"),
    [
        ({}, {}, ["what may pass by itself is tried 3 times, after 5 and 20 s"]),
        (
            {"max_age": "10d"},
            {},
            [
                "while database, bucket or cluster is away, a step is tried up to 19 times until 2026-11-19 04:40 UTC:",
                "  that leaves room for a run of 20 min 0 s before the objective (10d) breaks, at 2026-11-19 05:00 UTC",
                "what else may pass by itself, as a kill, is tried 3 times, after 5 and 20 s",
            ],
        ),
        (
            {"max_age": "10d"},
            {"next_at": BEGIN + DAY},
            [
                "while database, bucket or cluster is away, a step is tried up to 18 times until 2026-11-17 04:40 UTC:",
                "  that leaves room for a run of 20 min 0 s before the next scheduled one, at 2026-11-17 05:00 UTC",
                "what else may pass by itself, as a kill, is tried 3 times, after 5 and 20 s",
            ],
        ),
        (
            {"max_age": "10d", "on_failure": "alert"},
            {},
            ["what may pass by itself is tried once more, after 20 s; then the run fails"],
        ),
        (
            {"on_failure": "record"},
            {},
            ["nothing is tried again; the run waits for a rerun, and no webhook is called for it"],
        ),
    ],
    ids=["no objective", "an objective", "the schedule comes first", "alert", "record"],
)
def test_a_plan_says_how_often_a_step_is_tried(
    slo: dict[str, str], fields: dict[str, Any], expected: list[str]
) -> None:
    assert words(slo, **fields) == expected


def test_the_documentation_shows_the_same_lines() -> None:
    text = (Path(__file__).parents[3] / "docs" / "objective.md").read_text()
    assert all(line.strip() in text for line in words({"max_age": "10d"}))

from datetime import UTC, datetime

import pytest

from refit.core.domain import Check, Failure, Outcome, Rows, Verdict
from refit.demo import weeks


def check(**fields: object) -> Check:
    """A comparing check that was accepted."""
    given = {
        "name": "neg_log_loss against champion",
        "score": "neg_log_loss",
        "line": "max_loss",
        "limit": 0.01,
        "against": "champion",
        "result": "accepted",
        "candidate": -0.4291,
        "baseline": -0.4381,
        "gain": 0.009,
        "interval": (0.0014, 0.0166),
        "reason": "it is better",
    }
    return Check.model_validate(given | fields)


def outcome(**fields: object) -> Outcome:
    given = {
        "pipeline": "flight-delays",
        "run_id": "20261121t070000-k3fw",
        "outcome": "promoted",
        "as_of": datetime(2013, 2, 8, tzinfo=UTC),
        "rows": Rows(new=6050, snapshot=32080),
        "verdict": Verdict(result="accepted", reason="it is better", checks=(check(),)),
        "finished_at": datetime(2026, 11, 21, tzinfo=UTC),
    }
    return Outcome.model_validate(given | fields)


@pytest.mark.parametrize(
    ("last", "following"),
    [
        pytest.param(None, datetime(2013, 2, 1, tzinfo=UTC), id="nothing run yet"),
        pytest.param(datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 2, 8, tzinfo=UTC), id="a week later"),
        pytest.param(datetime(2013, 12, 27, tzinfo=UTC), datetime(2014, 1, 3, tzinfo=UTC), id="the last week"),
        pytest.param(datetime(2014, 1, 3, tzinfo=UTC), None, id="the year is over"),
        pytest.param(datetime(2026, 11, 21, tzinfo=UTC), None, id="a run as of today"),
    ],
)
def test_each_week_follows_the_last_verdict_until_the_year_is_over(
    last: datetime | None, following: datetime | None
) -> None:
    assert weeks.following(last) == following


def test_row_tells_rows_time_scores_and_interval_below_their_heads() -> None:
    line = weeks.row(outcome(), 5.24)
    assert line.split() == [
        "2013-02-08",
        "6,050",
        "32,080",
        "5.2",
        "s",
        "-0.429",
        "-0.438",
        "0.009",
        "[0.001,",
        "0.017]",
    ]
    assert weeks.HEAD.index("outcome") == len(line)


def test_row_holds_the_candidate_against_the_champion_also_where_the_anchor_refused_it() -> None:
    floor = check(score="roc_auc", line="min", against=None, baseline=None, gain=None, interval=None)
    refused = check(against="anchor", result="inconclusive", baseline=-0.4, gain=-0.02, interval=(-0.05, 0.01))
    verdict = Verdict(result="inconclusive", reason="not proven", checks=(floor, refused, check()))
    assert "0.009 [0.001, 0.017]" in weeks.row(outcome(outcome="rejected", verdict=verdict), 1.0)


def test_row_of_a_failed_week_has_no_figures() -> None:
    error = Failure.model_validate({"class": "data", "type": "X", "exit_code": 65, "message": "column gone"})
    failed = outcome(outcome="failed", verdict=None, rows=Rows(), error=error)
    assert weeks.row(failed, 1.0).split() == ["2013-02-08", "-", "-", "1.0", "s", "-", "-", "-"]
    assert weeks.reason(failed) == "column gone"


def test_reason_of_a_week_that_awaits_approval_is_what_needs_it() -> None:
    verdict = Verdict(result="inconclusive", reason="not judged", needs_approval="labels shifted", checks=())
    assert weeks.reason(outcome(outcome="awaiting_approval", verdict=verdict)) == "labels shifted"

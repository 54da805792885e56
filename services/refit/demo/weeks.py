"""The demo's simulated calendar: a run per week of 2013, and the table that grows a line with each. Pure.

as of       new rows   window   time  candidate  champion  gain with its interval  outcome
2013-02-08     6,050   32,080  5.2 s     -0.429    -0.438  0.009 [0.001, 0.017]    promoted
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from refit.cli.words import count, decimals, figure, seconds
from refit.core.domain import Check, Outcome

FIRST: Final = datetime(2013, 2, 1, tzinfo=UTC)
"""Four and a half weeks after the first landing: enough to train on three weeks and judge on two."""
LAST: Final = datetime(2014, 1, 3, tzinfo=UTC)
"""The last flights land on New Year's Day."""
STEP: Final = timedelta(days=7)

COLUMNS: Final = "{:<10}  {:>8}  {:>7}  {:>6}  {:>9}  {:>8}  {:<25}  {}"
HEAD: Final = COLUMNS.format(
    "as of", "new rows", "window", "time", "candidate", "champion", "gain with its interval", "outcome"
)
INDENT: Final = " " * 12


def following(last: datetime | None) -> datetime | None:
    """The `as_of` of the week after the last one that reached a verdict; None when the year is over."""
    week = FIRST if last is None else last + STEP
    return week if week <= LAST else None


def row(outcome: Outcome, took_seconds: float) -> str:
    """The table's line for a week, less the word that tells its outcome."""
    check = against_champion(outcome)
    candidate = champion = gain = "-"
    if check is not None:
        places = decimals(check.candidate or 0.0, check.interval)
        candidate, champion = figure(check.candidate, places), figure(check.baseline, places)
        gain = figure(check.gain, places)
        if check.interval is not None:
            gain += f" [{figure(check.interval[0], places)}, {figure(check.interval[1], places)}]"
    as_of = f"{outcome.as_of:%Y-%m-%d}" if outcome.as_of else "-"
    rows = outcome.rows
    return COLUMNS.format(
        as_of, count(rows.new), count(rows.snapshot), seconds(took_seconds), candidate, champion, gain, ""
    )


def against_champion(outcome: Outcome) -> Check | None:
    """The first check that holds the candidate against what is in production, or against a dummy at first."""
    checks = outcome.verdict.checks if outcome.verdict else ()
    return next((check for check in checks if check.against in ("champion", "dummy")), None)


def reason(outcome: Outcome) -> str:
    """Why the week ended as it did, as one sentence."""
    if outcome.error is not None:
        return outcome.error.message
    if outcome.verdict is None:
        return "too few new rows since the last verdict"
    return outcome.verdict.needs_approval or outcome.verdict.reason

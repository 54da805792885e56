"""The dashboard `refit-fleet`: a line for each pipeline, and what needs a person at its top."""

from typing import Final

from monitoring import words
from monitoring.board import Board, Row
from monitoring.panels import Column, Panel, graph, stat, table, timeline
from monitoring.queries import Query, age, each, instant, of
from refit.core import metrics as m

UID: Final = "refit-fleet"
PIPELINE_UID: Final = "refit-pipeline"
_TO_PIPELINE: Final = f"/d/{PIPELINE_UID}/{PIPELINE_UID}?var-pipeline=${{__value.text}}&var-datasource=${{datasource}}"
_AGE: Final = age(each(m.CHAMPION_CONFIRMED))
_USED: Final = f"({_AGE}) / {each(m.SLO_MAX_AGE)}"


def _count(condition: str) -> Query:
    """How many pipelines it holds for; 0 where it holds for none."""
    return Query(f"count({condition}) or vector(0)")


def _needs_a_person() -> list[Panel]:
    failed = f"{each(m.RUN_FAILURE)} > ({each(m.RUN_SUCCESS)} or 0 * {each(m.RUN_FAILURE)})"
    return [
        stat("Known", "All pipelines that have ever pushed a run's metrics.", _count(each(m.RUN_START))),
        stat(
            "Too old",
            "Pipelines whose production model no verdict has confirmed within slo.max_age. This is what pages.",
            _count(f"{_USED} > 1"),
            steps=words.SOME_IS_BAD,
        ),
        stat(
            "Last run failed",
            "Pipelines whose last failure, after all retries, is newer than their last success.",
            _count(failed),
            steps=words.SOME_IS_BAD,
        ),
        stat(
            "Awaiting approval",
            "Pipelines with a version that waits for `refit promote`.",
            _count(f"{each(m.AWAITING_APPROVAL)} == 1"),
            steps=words.SOME_WAITS,
        ),
        stat(
            "On hold",
            "Pipelines that were rolled back: nothing is promoted until `refit release`, or a promotion by hand.",
            _count(f"{each(m.HOLD)} == 1"),
            steps=words.SOME_WAITS,
        ),
        stat(
            "Store conditions lost",
            "Pipelines whose store does not honour conditional writes; none of their runs is started.",
            _count(f"{each(m.STORE_CONDITIONS)} == 0"),
            steps=words.SOME_IS_BAD,
        ),
    ]


def _lines() -> Panel:
    outcome = Query(f"max by (pipeline, outcome) ({of(m.RUN_OUTCOME)} == 1)")
    columns = [
        Column("Last outcome", outcome, text_of="outcome", mappings=words.OUTCOME_WORDS),
        Column("Confirmed", Query(_AGE), "s", decimals=1),
        Column("Objective", Query(each(m.SLO_MAX_AGE)), "s", mappings=words.NO_OBJECTIVE),
        Column("Of objective", Query(_USED), "percentunit", words.OF_OBJECTIVE, words.NO_OBJECTIVE, decimals=0),
        Column(
            "Fresh in 28 days",
            Query(each(m.SLO_FRESH)),
            "percentunit",
            words.SHARE_FRESH,
            words.NO_OBJECTIVE,
            decimals=1,
        ),
        Column("Last run", Query(instant(each(m.RUN_START))), "dateTimeFromNow"),
        Column("Next run", Query(instant(each(m.RUN_NEXT))), "dateTimeFromNow", mappings=words.NO_SCHEDULE),
        Column("Since confirmed", Query(each(m.RUNS_UNCONFIRMED))),
        Column("Approval", Query(each(m.AWAITING_APPROVAL)), mappings=words.APPROVAL),
        Column("Hold", Query(each(m.HOLD)), mappings=words.HOLD),
    ]
    return table(
        "Pipelines",
        "Confirmed: how long ago a verdict last confirmed or replaced the model in production. Of objective: that age "
        "as a share of slo.max_age; from 100 % on production is too old. Since confirmed: runs that ended without. "
        "A click on a name opens the pipeline's dashboard.",
        Column("Pipeline", None, text_of="pipeline", link=_TO_PIPELINE),
        columns,
        height=10,
    )


def _over_time() -> list[Panel]:
    numbered = " + ".join(f"{number} * {each(m.RUN_OUTCOME, outcome=name)}" for name, number in words.NUMBERS.items())
    return [
        graph(
            "Age of production against its objective",
            "The age of each pipeline's production model as a share of slo.max_age. It falls to nothing when a verdict "
            "confirms or replaces the model; above the line production is too old.",
            [Query(_USED, "{{pipeline}}")],
            "percentunit",
            steps=((None, "text"), (1, "red")),
            minimum=0,
            straight=True,
            width=12,
        ),
        timeline(
            "Outcomes",
            "How each pipeline's last run had ended at that time. Rejected and skipped are good days.",
            Query(numbered, "{{pipeline}}"),
            words.OUTCOME_NUMBERS,
            width=12,
            height=8,
        ),
    ]


def fleet() -> Board:
    """The dashboard of all pipelines."""
    return Board(
        UID,
        "refit: all pipelines",
        "Which pipelines need a person, and where each one stands.",
        [Row("Needs a person", _needs_a_person()), Row("Pipelines", [_lines()]), Row("History", _over_time())],
        variables=(),
    )

"""The dashboard `refit-pipeline`: one pipeline, from how fresh production is down to its bytes."""

from typing import Final

from monitoring import words
from monitoring.board import Board, Row, choice, link, mark
from monitoring.fleet import PIPELINE_UID, UID
from monitoring.panels import Panel, graph, stat, timeline
from monitoring.pipeline_parts import data, quality, resources, steps_of_last_run
from monitoring.queries import CHOSEN, Query, age, here, instant, of
from refit.core import metrics as m

_AGE: Final = age(here(m.CHAMPION_CONFIRMED))


def _freshness() -> list[Panel]:
    used = f"({_AGE}) / {here(m.SLO_MAX_AGE)}"
    return [
        stat(
            "Confirmed",
            "How long ago a verdict last confirmed or replaced the model in production.",
            Query(_AGE),
            "s",
            decimals=1,
        ),
        stat(
            "Of objective",
            "That age as a share of slo.max_age; from 100 % on production is too old, and ModelNotConfirmed pages.",
            Query(used),
            "percentunit",
            words.OF_OBJECTIVE,
            words.NO_OBJECTIVE,
            0,
        ),
        stat(
            "Fresh in 28 days",
            "The share of the last 28 days, or of those since the first champion, with production within slo.max_age.",
            Query(here(m.SLO_FRESH)),
            "percentunit",
            words.SHARE_FRESH,
            words.NO_OBJECTIVE,
            1,
        ),
        stat(
            "In production since",
            "When the version in production became the champion.",
            Query(instant(here(m.CHAMPION_PROMOTED))),
            "dateTimeFromNow",
        ),
        stat(
            "Next run",
            "The moment that the file's schedule names next. One that is past: a run goes on, or was missed.",
            Query(instant(here(m.RUN_NEXT))),
            "dateTimeFromNow",
            mappings=words.NO_SCHEDULE,
        ),
        stat(
            "Runs since confirmed",
            "Runs that ended since a verdict last confirmed or replaced the champion; skipped ones do not count.",
            Query(here(m.RUNS_UNCONFIRMED)),
        ),
        graph(
            "Age of production and its objective",
            "It falls when a verdict confirms or replaces the model. Above the objective production is too old.",
            [Query(_AGE, "age"), Query(here(m.SLO_MAX_AGE), "objective")],
            "s",
            minimum=0,
            straight=True,
            width=16,
        ),
        graph(
            "Moves of the champion",
            "How often the champion was moved: by promotions, rollbacks and releases of a hold.",
            [Query(here(m.CHAMPION_GENERATION), "moves")],
            "none",
            width=8,
        ),
    ]


def _runs() -> list[Panel]:
    numbered = " + ".join(
        f"{number} * max({here(m.RUN_OUTCOME, outcome=name)})" for name, number in words.NUMBERS.items()
    )
    return [
        timeline("Outcome of the last run", "At that time.", Query(numbered, "outcome"), words.OUTCOME_NUMBERS, 24),
        stat(
            "Last start",
            "When the last run began; newer than success and failure, it goes on.",
            Query(instant(here(m.RUN_START))),
            "dateTimeFromNow",
        ),
        stat(
            "Last success",
            "When a run last ended well, whatever its verdict.",
            Query(instant(here(m.RUN_SUCCESS))),
            "dateTimeFromNow",
        ),
        stat(
            "Last failure",
            "When a run last failed, after its retries. One that is newer than the last success needs a person: "
            "`refit runs NAME --failed` has its cause and the next command.",
            Query(instant(here(m.RUN_FAILURE))),
            "dateTimeFromNow",
        ),
        stat(
            "Exit code",
            "How the last run ended: 0 is well; the other codes stand in the README.",
            Query(f"max({here(m.RUN_EXIT)})"),
            steps=words.SOME_IS_BAD,
        ),
        stat(
            "Awaiting approval",
            "Whether the newest version waits for `refit promote`.",
            Query(here(m.AWAITING_APPROVAL)),
            mappings=words.APPROVAL,
        ),
        stat(
            "Hold",
            "On hold since a rollback: nothing is promoted until `refit release`, or a promotion by hand.",
            Query(here(m.HOLD)),
            mappings=words.HOLD,
        ),
        steps_of_last_run(),
        graph(
            "Duration of runs",
            "How long each run took, waits and retries included.",
            [Query(here(m.RUN_DURATION), "run")],
            "s",
            minimum=0,
            width=12,
        ),
        graph(
            "Attempts by how they ended",
            "Tries of steps that each run made: four that are done is a run without retries.",
            [Query(f"max by (class) ({here(m.RUN_ATTEMPTS)})", "{{class}}")],
            "none",
            minimum=0,
            stacked=True,
            width=12,
        ),
    ]


def pipeline() -> Board:
    """The dashboard of one pipeline."""
    moved = instant(here(m.CHAMPION_PROMOTED))
    return Board(
        PIPELINE_UID,
        "refit: pipeline",
        "One pipeline: how fresh production is, what its runs came to and why, the rows they read, what they cost.",
        [
            Row("Freshness: may production be trusted?", _freshness()),
            Row("Runs: what did they come to?", _runs()),
            Row("Data: what was read?", data()),
            Row("Quality: how good is the candidate, and why was it taken or not?", quality()),
            Row("Resources: what did it cost?", resources()),
        ],
        variables=[
            choice("pipeline", "Pipeline", "The pipeline to look at.", f"label_values({of(m.RUN_START)}, pipeline)"),
            choice(
                "score",
                "Score",
                "The score that candidate and champion are compared by; more is better.",
                f"label_values({of(m.SCORE, pipeline=CHOSEN)}, score)",
            ),
            choice("check", "Check", "A line of the gate.", f"label_values({of(m.GAIN, pipeline=CHOSEN)}, check)"),
        ],
        marks=[
            mark("Champion changed", moved, "green"),
            mark("Rolled back", f"{moved} and on (pipeline) {here(m.HOLD)} == 1", "orange"),
            mark("Run failed", instant(here(m.RUN_FAILURE)), "red"),
        ],
        links=[link("All pipelines", f"/d/{UID}/{UID}?var-datasource=${{datasource}}")],
        since="now-90d",
    )

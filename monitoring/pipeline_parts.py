"""The lower rows of `refit-pipeline`: steps, data, quality, resources."""

from typing import Any

from monitoring import words
from monitoring.panels import Column, Panel, bars, graph, override, stat, table
from monitoring.queries import Query, age, here, instant
from refit.core import metrics as m
from refit.core.metrics import Metric


def _by_step(metric: Metric) -> str:
    return f"max by (step) ({here(metric)})"


def steps_of_last_run() -> Panel:
    """A line for each step."""
    columns = [
        Column("Ended as", Query(f"max by (step, class) ({here(m.STEP_EXIT)})"), text_of="class"),
        Column("Exit code", Query(_by_step(m.STEP_EXIT)), steps=words.SOME_IS_BAD),
        Column("Began", Query(instant(_by_step(m.STEP_START))), "dateTimeFromNow"),
        Column("Last success", Query(instant(_by_step(m.STEP_SUCCESS))), "dateTimeFromNow"),
        Column("Last failure", Query(instant(_by_step(m.STEP_FAILURE))), "dateTimeFromNow"),
        Column("Took", Query(_by_step(m.STEP_DURATION)), "s", decimals=1),
    ]
    return table(
        "Last attempt of each step",
        "A step that the last run did not come to shows what it did before. `refit logs NAME RUN_ID STEP` has its log.",
        Column("Step", None, text_of="step"),
        columns,
        height=7,
    )


def data() -> list[Panel]:
    """What extract read."""
    bad = here(m.ROWS, kind="quarantined")
    return [
        graph(
            "Rows read",
            "Read: all of the stretch, late ones again. New: keys that were not known. Quarantined: they broke the "
            "contract in `columns` and were kept apart.",
            [Query(here(m.ROWS, kind="~read|new|quarantined|unlabelled"), "{{kind}}")],
            "short",
            minimum=0,
        ),
        graph(
            "Share of bad rows and its limit",
            "Rows in quarantine as a share of those read; above `on_bad_row.max_fraction` extract fails with 65.",
            [
                Query(f"{bad} / ignoring (kind) ({here(m.ROWS, kind='read')} > 0)", "quarantined"),
                Query(here(m.QUARANTINE_LIMIT), "limit"),
            ],
            "percentunit",
            minimum=0,
        ),
        graph(
            "Rows of the comparison",
            "Snapshot: all in the window. Train: learned by the candidate. Clean: neither model has learned them; "
            "they decide.",
            [Query(here(m.ROWS, kind="~snapshot|train|holdout|clean|refit"), "{{kind}}")],
            "short",
            minimum=0,
        ),
        stat(
            "Newest row",
            "The age of the highest cursor value that was read: how far behind the source the model's data are.",
            Query(age(here(m.WATERMARK))),
            "s",
            decimals=1,
            height=8,
        ),
        stat(
            "Unused rows",
            "New rows that no run with a verdict has used yet.",
            Query(here(m.ROWS_NEW_SINCE_VERDICT)),
            "short",
            height=8,
        ),
        bars(
            "Drift of the columns that drifted most",
            "Population stability index of the rows read last against those read before; above 0.25 is much. It "
            "informs and alerts nobody: seasons drift too, and the gate decides.",
            Query(f"sort_desc(topk(10, {here(m.COLUMN_DRIFT)}))", "{{column}}"),
            "none",
            words.PSI,
            width=16,
        ),
        graph(
            "Drift over time",
            "The same index, for each of the columns that drifted most at that time.",
            [Query(here(m.COLUMN_DRIFT), "{{column}}")],
            "none",
            minimum=0,
            width=12,
        ),
        graph(
            "Nulls",
            "Share of nulls among the rows read last, in the columns that drifted most.",
            [Query(here(m.COLUMN_NULLS), "{{column}}")],
            "percentunit",
            minimum=0,
            width=12,
        ),
    ]


def _interval(of_what: str, value: Metric, lower: Metric, upper: Metric, **labels: str) -> list[Query]:
    return [
        Query(here(value, **labels), of_what),
        Query(here(lower, **labels), f"{of_what}, lower"),
        Query(here(upper, **labels), f"{of_what}, upper"),
    ]


def _band(of_what: str, color: str) -> list[dict[str, Any]]:
    """The interval as a shade around the line."""
    fixed = {"mode": "fixed", "fixedColor": color}
    unseen = {"legend": True, "tooltip": False, "viz": False}
    edge: dict[str, Any] = {"color": fixed, "custom__lineWidth": 0, "custom__hideFrom": unseen}
    return [
        override(of_what, color=fixed),
        override(f"{of_what}, lower", **edge),
        override(f"{of_what}, upper", **edge, custom__fillBelowTo=f"{of_what}, lower", custom__fillOpacity=18),
    ]


def quality() -> list[Panel]:
    """How the models compared, and how far the gate's lines were passed."""
    scores = (m.SCORE, m.SCORE_LOWER, m.SCORE_UPPER)
    return [
        graph(
            "Candidate against champion: $score",
            "The score on rows that neither model has learned, with its interval; more is better. Baseline is the "
            "champion, for the first run a dummy.",
            [
                *_interval("candidate", *scores, model="candidate", score="$score"),
                *_interval("baseline", *scores, model="baseline", score="$score"),
            ],
            "none",
            [*_band("candidate", "blue"), *_band("baseline", "orange")],
            width=12,
        ),
        graph(
            "Gain and its interval: $check",
            "The candidate's score less the other model's. The gate looks at the lower end of the interval, so that "
            "luck promotes nothing.",
            _interval("gain", m.GAIN, m.GAIN_LOWER, m.GAIN_UPPER, check="$check"),
            "none",
            [*_band("gain", "green")],
            steps=((None, "text"), (0, "text")),
            width=12,
        ),
        graph(
            "Margin of each line of the gate",
            "By how much each line was passed; one below 0 rejects the candidate.",
            [Query(here(m.MARGIN), "{{check}}")],
            "none",
            steps=((None, "text"), (0, "red")),
            width=12,
        ),
        graph(
            "Scores of the champion",
            "Its quality when it was judged; a fall after a promotion is worth a look.",
            [Query(here(m.CHAMPION_SCORE), "{{score}}")],
            "none",
            width=12,
        ),
    ]


def resources() -> list[Panel]:
    """What each step took."""
    by_step = "{{step}}"
    return [
        graph(
            "Memory",
            "The most that each step held, and the limit of its container where it has one.",
            [
                Query(here(m.STEP_MEMORY), by_step),
                Query(f"{here(m.STEP_MEMORY_LIMIT)} < +Inf", f"limit of {by_step}"),
            ],
            "bytes",
            minimum=0,
        ),
        graph(
            "Memory against its limit",
            "From 100 % on the kernel ends the step; MemoryNearLimit tells before. 0 %: there is no limit.",
            [Query(f"{here(m.STEP_MEMORY)} / {here(m.STEP_MEMORY_LIMIT)}", by_step)],
            "percentunit",
            steps=((None, "text"), (1, "red")),
            minimum=0,
        ),
        graph(
            "Duration of steps",
            "The last attempt of each step.",
            [Query(here(m.STEP_DURATION), by_step)],
            "s",
            minimum=0,
            stacked=True,
        ),
        graph(
            "Processor time",
            "Of the last attempt of each step, with its worker processes.",
            [Query(here(m.STEP_CPU), by_step)],
            "s",
            minimum=0,
            stacked=True,
            width=6,
        ),
        graph(
            "Waiting for pods",
            "How long each step's pod took to start: images, quota, nodes. 0 where steps are processes.",
            [Query(here(m.STEP_WAIT), by_step)],
            "s",
            minimum=0,
            width=6,
        ),
        graph(
            "Requests to the store",
            "Requests that each step sent, and those that it had to repeat: a store that is slow or away.",
            [Query(here(m.STEP_REQUESTS), by_step), Query(here(m.STEP_RETRIES), f"{by_step}, repeated")],
            "short",
            minimum=0,
        ),
        stat(
            "Store's conditions",
            "Whether the store honours conditional writes. Where it does not, no run is started.",
            Query(here(m.STORE_CONDITIONS)),
            mappings=words.CONDITIONS,
            height=8,
        ),
    ]

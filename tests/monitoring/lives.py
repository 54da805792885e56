"""What runs push in the course of their lives, in the same order as refit does."""

from typing import Final, get_args

from refit.core import metrics as m
from refit.core.domain import OutcomeName
from refit.core.metrics import Sample
from tests.monitoring.promtool import DAY, HOUR, NAME, World

OBJECTIVE: Final = 3 * DAY
BEGIN: Final = 5 * HOUR
END: Final = 6 * HOUR
"""Of each day's run."""


def begins(world: World, at: float, every: float = DAY, name: str = NAME) -> None:
    """A run begins; the next is due after `every`, which is NaN without a schedule."""
    world.push(at, "run", m.RUN_START.at(at), m.RUN_NEXT.at(at + every), m.STORE_CONDITIONS.at(1), pipeline=name)


def ends(world: World, at: float, outcome: OutcomeName, *samples: Sample) -> None:
    """It ends well, with these samples in the place of those of a run whose verdict confirmed the champion."""
    confirmed = (
        m.RUN_SUCCESS.at(at),
        m.RUN_EXIT.at(0, m.DONE),
        m.CHAMPION_CONFIRMED.at(at),
        m.RUNS_UNCONFIRMED.at(0),
        m.AWAITING_APPROVAL.at(0),
        m.SLO_MAX_AGE.at(OBJECTIVE),
        m.QUARANTINE_LIMIT.at(0.01),
    )
    outcomes = [m.RUN_OUTCOME.at(name == outcome, name) for name in get_args(OutcomeName)]
    world.push(at, "run", *outcomes, *{sample.metric: sample for sample in (*confirmed, *samples)}.values())


def fails(world: World, at: float, error_class: str, code: int, name: str = NAME) -> None:
    """It fails after its retries."""
    world.push(at, "run", m.RUN_FAILURE.at(at), m.RUN_EXIT.at(code, error_class), pipeline=name)


def steps(world: World, at: float, quarantined: int = 3, rss_bytes: float = 1e9) -> None:
    """Its steps end well: 1,000 rows read, 4 GB of memory to use."""
    world.push(at, "extract", m.ROWS.at(1000, "read"), m.ROWS.at(900, "new"), m.ROWS.at(quarantined, "quarantined"))
    world.push(at, "train", m.STEP_MEMORY.at(rss_bytes), m.STEP_MEMORY_LIMIT.at(4e9))


def daily(world: World, days: range) -> None:
    """A run each day that confirms or replaces the champion."""
    for day in days:
        begins(world, day * DAY + BEGIN)
        steps(world, day * DAY + BEGIN)
        ends(world, day * DAY + END, "rejected" if day % 2 else "promoted")

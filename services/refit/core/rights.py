"""Who may write what: the table behind the policies of S3 servers. Pure.

Everyone reads all of a pipeline. What one writes is a pattern of keys as S3 policies know it: `*` stands for any
characters and `?` for one, a `/` included; so a run's id is spelled out by its length, or runs/*/train.json would also
mean an object below another step's folder.

A new kind of object gets a function in keys.py and a pattern here, in the row of who writes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from refit.core import keys
from refit.core.domain import STEPS

Who = Literal["run", "extract", "train", "evaluate", "publish", "operator", "cleaner", "predict", "reader"]

RUN: Final = "????????t??????-????"
"""Every run_id, and nothing shorter or longer."""


@dataclass(frozen=True)
class Rights:
    """What somebody may do beside reading the pipeline.

    Attributes:
        for_whom: In words.
        writes: Patterns of keys, relative to the pipeline.
        deletes: Likewise.
        probes: Races writers below .probe/ at the store's root, and removes what they wrote.
        lists_pipelines: Finds out which pipelines the store has.
        sweeps: Ends uploads that killed writers left, of any pipeline of the store.
    """

    for_whom: str
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    probes: bool = False
    lists_pipelines: bool = False
    sweeps: bool = False


_RUN: Final = (
    keys.run_record(RUN),
    keys.pipeline_file(RUN),
    keys.templates(RUN),
    f"runs/{RUN}/log.txt",
    f"{keys.run_logs(RUN)}*",
    keys.outcome(RUN),
    *(keys.manifest(RUN, step) for step in STEPS),  # a rerun takes over those of its parent
    keys.ref("lock"),
    keys.ref("owner"),
    keys.ref("told"),
    "site/*",
)
_SETTLE: Final = (keys.ref("lock"), keys.outcome(RUN))
"""Of who takes the lock: a dead holder's run gets its outcome."""


def _of_step(step: str) -> tuple[str, ...]:
    return keys.manifest(RUN, step), f"{keys.step_folder(RUN, step)}*"


RIGHTS: Final[Mapping[Who, Rights]] = {
    "run": Rights("the coordinator: refit run and refit rerun", _RUN, probes=True),
    "extract": Rights(
        "the step extract, and refit check --connect in its image",
        (*_of_step("extract"), keys.data(RUN, "*", "*"), keys.ref("snapshot")),
        probes=True,
    ),
    "train": Rights("the step train", _of_step("train")),
    "evaluate": Rights("the step evaluate", _of_step("evaluate")),
    "publish": Rights(
        "the step publish",
        (
            *_of_step("publish"),
            keys.version(RUN),
            f"{keys.HISTORY}*",
            keys.ref("champion"),
            keys.ref("verdict"),
        ),
    ),
    "operator": Rights(
        "a person: promote, rollback, release, exclude, quarantine, and run and rerun with --executor kubernetes",
        (
            *_RUN,
            keys.version(RUN),
            f"{keys.HISTORY}*",
            keys.ref("champion"),
            keys.ref("exclusions"),
            keys.ref("quarantine"),
        ),
        probes=True,
        lists_pipelines=True,
    ),
    "cleaner": Rights(
        "refit gc and refit delete",
        (*_SETTLE, keys.version(RUN)),
        deletes=("*",),
        lists_pipelines=True,
        sweeps=True,
    ),
    "predict": Rights("predictions into the store", (f"{keys.PREDICTIONS}*",)),
    "reader": Rights("who looks at runs or loads models: status, show, predict, refit.load", lists_pipelines=True),
}

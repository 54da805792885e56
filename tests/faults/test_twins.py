"""A step that is done, or that two processes do at once: its manifest decides (faults 34 and 55)."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from refit.core.domain import STEPS, StepName
from refit.core.effects import Moment
from tests.faults.case import Case
from tests.faults.gates import Gate
from tests.fixtures import invariants

BEGUN: dict[StepName, str] = {
    "extract": "before sql connect",
    "train": "model.skops",
    "evaluate": "predictions.parquet",
    "publish": "before create versions/",
}
OF_PUBLISH = ("create versions/", "create history/1", "swap refs/champion", "create history/2", "swap refs/verdict")
WRITES: dict[StepName, tuple[str, ...]] = {
    "extract": ("extract.json", "before swap refs/snapshot"),
    "train": ("train.json",),
    "evaluate": ("evaluate.json",),
    "publish": (*(f"before {effect}" for effect in OF_PUBLISH), "publish.json"),
}


def killed_after(effects: tuple[str, ...], flags: Path, moment: Moment, name: str) -> None:
    """The processes that have done these effects are killed, once each."""
    flag = flags / name.rpartition("/")[2]
    if moment == "after" and name.endswith(effects) and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_step_that_dies_after_its_manifest_is_done(case: Case) -> None:
    manifests = tuple(f"/{step}.json" for step in STEPS)
    outcome = case.good(inject=partial(killed_after, manifests, case.scratch), retry_seconds=(0.0,))
    assert [step.attempts for step in outcome.steps.values()] == [2, 1, 1, 1]  # extract still had to move the snapshot
    assert {(case.scratch / f"{step}.json").exists() for step in STEPS} == {True}
    assert (outcome.rows.new, outcome.exit_code) == (840, 0)


def test_an_extract_that_always_dies_after_its_manifest_ends_well_too(case: Case) -> None:
    inject = partial(killed_after, ("/extract.json",), case.scratch)
    assert case.good(inject=inject, retry_seconds=()).steps["extract"].attempts == 1
    case.good("rejected")  # the snapshot was not moved: the same rows are read again


def left_before(case: Case, effect: str) -> str:
    """A run whose coordinator was killed with the step that had come to the effect."""
    gate = Gate(case.scratch, effect)
    going_on = case.start(inject=gate.inject)
    gate.wait_until_reached()
    going_on.process.kill()
    going_on.done()
    return case.runs[-1]


@pytest.mark.parametrize("step", STEPS)
def test_of_two_processes_of_a_step_each_ends_well_and_the_champion_moves_once(case: Case, step: StepName) -> None:
    run_id = left_before(case, BEGUN[step])
    words = ("step", step, "--pipeline", "loans", "--run-id", run_id)
    for number, effect in enumerate(WRITES[step]):
        copy = case.copied(str(number))
        gate = Gate(copy.scratch, effect)
        slow = copy.calls(*words, inject=gate.inject)
        gate.wait_until_reached()
        assert copy.calls(*words).done().code == 0
        gate.open()
        assert slow.done().code == 0, effect
        moved = step == "publish"
        assert (copy.champion.version == run_id, copy.champion.generation) == (moved, 2 if moved else 1)
        invariants.champion_is_complete(copy.store)
        invariants.manifests_are_whole(copy.store)
        invariants.history_is_linear(copy.store)
    if moved:
        copy.good("skipped")  # which settles it

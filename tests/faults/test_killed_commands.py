"""Commands by hand, killed at each of their effects: the same words again leave what they leave unharmed."""

import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from refit.core.effects import Moment
from tests.faults.case import THIRD, Case
from tests.faults.conftest import LIVED
from tests.faults.lived import Lived
from tests.faults.test_crash import champion_facts
from tests.faults.test_retention import age
from tests.fixtures import invariants, loans

WHY = ("--reason", "looked at it")
EXCLUDE = ("exclude", "loans", "--where", "loan_id = 1700", *WHY)
BACK = ("rollback", "loans", "--to", "@first", *WHY)
COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "promote": (("promote", "loans", "@newest", *WHY),),
    "rollback": (BACK,),
    "release": (BACK, ("release", "loans", *WHY)),
    "exclude": (EXCLUDE,),
    "exclude --undo": (EXCLUDE, ("exclude", "loans", "--undo", "1", *WHY)),
    "quarantine release": (("quarantine", "release", "loans", "@waste", *WHY),),
    "quarantine drop": (("quarantine", "drop", "loans", "@waste", *WHY),),
    "gc": (("gc", "loans"),),
    "gc again": (("gc", "loans"), ("gc", "loans")),
    "delete": (("delete", "loans", "--yes"),),
}
"""What is called before, and last what is killed."""


@pytest.fixture
def world(lived: Case) -> Lived:
    return Lived.of(lived)


def distinct(passed: Sequence[str]) -> list[int]:
    """The moments before each effect, but of deletions of one kind in a row only the first; and the end."""
    befores = [number for number, moment in enumerate(passed) if moment.startswith("before")]
    return sorted({number for number in befores if _is_new(passed, number)} | {len(passed) - 1})


def _is_new(passed: Sequence[str], number: int) -> bool:
    return "delete" not in passed[number] or _kind(passed[number]) != _kind(passed[number - 2])


def _kind(moment: str) -> str:
    """The folder that an effect is about."""
    return moment.partition("/")[0]


@pytest.mark.parametrize("told", COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_was_killed_and_repeated_leaves_what_one_leaves_that_was_not(
    world: Lived, told: Sequence[Sequence[str]]
) -> None:
    for number, words in enumerate(told[:-1]):
        assert world.call(*words).code == 0
        age(world.case, 366 + number)
    words = world.words(told[-1])
    times = 3 if words[0] == "gc" else 1  # what a version was made of goes with the gc after the one that took it
    alone = world.copied("alone")
    age(alone.case, 366)
    assert alone.case.calls(*words).done().code == 0
    passed = alone.case.passed
    for _ in range(times - 1):
        assert alone.call(*words).code == 0
    for number in distinct(passed):
        copy = world.copied(number)
        age(copy.case, 366)
        assert copy.case.calls(*words, kill_at=number).done().code == -9
        if words[0] != "delete":
            copy.check()
            invariants.runs_have_ended(copy.case.store)
        assert {copy.call(*words).code for _ in range(times)} <= {0, 64}, passed[number]
        assert copy.state() == alone.state(), passed[number]


def test_a_run_that_takes_over_and_reads_all_anew_killed_at_any_effect_is_made_good_by_the_next(
    world: Lived, tmp_path: Path
) -> None:
    assert world.call("quarantine", "release", "loans", "@waste", *WHY).code == 0
    file = tmp_path / "refit.yaml"
    file.write_bytes(LIVED)
    words = ("run", str(file), "--as-of", loans.at(THIRD).isoformat(), "--full-refresh", "--adopt")
    settings = {"REFIT_OWNER": "elsewhere", "REFIT_SOURCE_DSN": world.case.dsn}
    alone = world.copied("alone")
    assert alone.case.calls(*words, settings=settings).done().code == 0
    passed, facts = alone.case.passed, champion_facts(alone.case.store)
    assert alone.moves(2) == [("publish", "run")]
    read = next(number for number, moment in enumerate(passed) if "after swap refs/snapshot.json" in moment)
    chosen = [n for n in distinct(passed[:read]) if "sql" not in passed[n] or "copy" in passed[n]]
    assert len(chosen) == 10
    for number in chosen:
        copy = world.copied(number)
        ended = copy.case.calls(*words, settings=settings, kill_at=number).done()
        if ended.code == -9:  # else it was a step's process, and the run itself tried again
            ended = copy.case.calls(*words, settings=settings).done()
        assert ended.code == 0, (passed[number], ended)
        invariants.check(copy.case.store)
        assert champion_facts(copy.case.store) == facts, passed[number]
        assert copy.state()["owner"] == "elsewhere"


@pytest.mark.parametrize("folder", ["history/", "versions/", "refs/snapshot"])
def test_a_run_after_a_delete_that_was_killed_works_or_says_what_to_do(
    world: Lived, tmp_path: Path, folder: str
) -> None:
    file = tmp_path / "refit.yaml"
    file.write_bytes(LIVED)
    again, words = ("delete", "loans", "--yes"), ("run", str(file), "--as-of", loans.at(THIRD).isoformat())
    killed = world.case.calls(*again, inject=partial(killed_after, f"delete {folder}"))
    assert killed.done().code == -9
    ended = world.case.calls(*words).done()
    assert ended.code in (0, 66), ended
    if "refit delete loans" in ended.err:
        assert world.case.calls(*again).done().code == 0
        ended = world.case.calls(*words).done()
    elif ended.code:
        assert "--full-refresh" in ended.err
        ended = world.case.calls(*words, "--full-refresh").done()
    assert ended.code == 0, ended
    invariants.champion_is_complete(world.case.store)


def killed_after(effect: str, moment: Moment, name: str) -> None:
    if moment == "after" and name.startswith(effect):
        os.kill(os.getpid(), signal.SIGKILL)

"""Signals: to the coordinator in each step, to a step once and always, and to the real command."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from refit.core import keys
from refit.core.domain import LockRef, StepName
from refit.core.effects import Moment
from refit.core.runs import read_outcome
from tests.faults.case import SECOND, THIRD, Case, edited
from tests.faults.gates import Gate, has_ended, wait_until
from tests.fixtures import invariants, loans

INSIDE: dict[StepName, str] = {
    "extract": "after sql describe",
    "train": "model.skops",
    "evaluate": "predictions.parquet",
    "publish": "before create versions/",
}
in_each_step = pytest.mark.parametrize("step", INSIDE)


def signalled(effect: str, number: signal.Signals, flag: Path | None, moment: Moment, name: str) -> None:
    """The step that comes to the effect gets the signal; once, if there is a flag."""
    if effect in f"{moment} {name}" and "REFIT_ATTEMPT" in os.environ:
        if flag is not None and flag.exists():
            return
        if flag is not None:
            flag.touch()
        os.kill(os.getpid(), number)
        time.sleep(30)  # it ends meanwhile


@in_each_step
def test_sigterm_to_the_run_ends_its_step_writes_the_outcome_and_frees_the_lock(case: Case, step: StepName) -> None:
    before, gate = case.champion_body, Gate(case.scratch, INSIDE[step])
    going_on = case.start(inject=gate.inject_in_steps)
    child = gate.wait_until_reached()
    assert going_on.process.pid is not None
    os.kill(going_on.process.pid, signal.SIGTERM)
    done = going_on.done()
    assert done.code == 143
    assert has_ended(child)
    outcome = read_outcome(case.store, case.runs[-1])
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.outcome, outcome.exit_code, outcome.error.error_class) == ("failed", 143, "killed")
    assert outcome.error.step == step
    assert LockRef.from_json(case.store.get(keys.ref("lock")), "lock").holder is None
    assert case.champion_body == before
    invariants.check(case.store)
    case.good()


@pytest.mark.parametrize(
    ("step", "number"),
    [*((step, signal.SIGTERM) for step in INSIDE), ("train", signal.SIGKILL), ("evaluate", signal.SIGABRT)],
    ids=[*(f"{step}, SIGTERM" for step in INSIDE), "train, SIGKILL", "evaluate, SIGABRT"],
)
def test_a_step_ended_once_is_repeated(case: Case, step: StepName, number: signal.Signals) -> None:
    outcome = case.good(inject=partial(signalled, INSIDE[step], number, case.scratch / "flag"))
    assert {name: done.attempts for name, done in outcome.steps.items()} == dict.fromkeys(INSIDE, 1) | {step: 2}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV], ids=lambda number: number.name)
def test_a_step_ended_three_times_ends_the_run_with_75_and_keeps_the_class(case: Case, number: signal.Signals) -> None:
    before = case.champion_body
    done = case.run(inject=partial(signalled, INSIDE["train"], number, None))
    assert done.code == 75
    assert done.outcome is not None
    assert done.failure is not None
    assert (done.failure.error_class, done.failure.exit_code) == ("killed", 128 + number)
    assert number.name in done.failure.message
    assert done.failure.next
    assert done.outcome.steps["train"].attempts == 3
    assert case.champion_body == before
    invariants.check(case.store)
    case.good()


def test_sigterm_to_the_real_command_ends_all_its_processes_with_143(case: Case) -> None:
    file = case.scratch / "refit.yaml"
    file.write_bytes(edited(source={"query": "SELECT * FROM loans WHERE pg_sleep(0.2) IS NOT NULL"}))
    command = [sys.executable, "-m", "refit.cli", "run", str(file), "--as-of", loans.at(SECOND).isoformat(), "--json"]
    settings = {"REFIT_STORE": case.url, "REFIT_SOURCE_DSN": case.dsn}
    before = case.champion_body
    with subprocess.Popen(
        command, env=os.environ | settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: case.sees("COPY"), "the database copies")
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 143
    document = json.loads(out)
    assert (document["outcome"], document["exit_code"], document["error"]["class"]) == ("failed", 143, "killed")
    assert "exit 143" in err
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    wait_until(lambda: not case.sees("COPY"), "the database has given up the COPY")
    assert case.champion_body == before
    invariants.check(case.store)
    case.good(days=THIRD)

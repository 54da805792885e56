"""SIGTERM at awkward moments: it ends the process with 143, whoever handles errors around the line that it meets."""

import importlib
import os
import signal
from pathlib import Path
from typing import Any

from refit.core.effects import Moment
from refit.core.runs import read_outcome
from tests.faults.case import Case

FLAG = "TESTS_DONE_ONCE"


def once() -> bool:
    """True the first time in all processes of a run."""
    flag = Path(os.environ[FLAG])
    if flag.exists():
        return False
    flag.touch()
    return True


def terminated_while_the_champion_loads() -> None:
    stored = importlib.import_module("refit.ml.stored")
    real = stored.read_back

    def read_back(*given: Any) -> Any:
        if once():
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*given)

    vars(stored)["read_back"] = read_back


def terminated_while_it_keeps_a_log(moment: Moment, name: str) -> None:
    if moment == "before" and name.endswith("logs/extract-1.txt"):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_step_terminated_while_the_champion_loads_is_repeated_and_blames_no_champion(case: Case) -> None:
    flag = {FLAG: str(case.scratch / "flag")}
    outcome = case.good(begin=terminated_while_the_champion_loads, settings=flag)
    assert outcome.steps["evaluate"].attempts == 2


def test_a_run_terminated_while_it_keeps_a_log_ends_with_143(case: Case) -> None:
    before = case.champion_body
    done = case.run(inject=terminated_while_it_keeps_a_log)
    assert done.code == 143
    ended = read_outcome(case.store, case.runs[-1])
    assert ended is not None
    assert (ended.outcome, ended.exit_code) == ("failed", 143)
    assert case.champion_body == before
    case.good()

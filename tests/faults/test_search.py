"""model.search in whole runs: what it chooses and tells, and what becomes of its workers when anything is killed."""

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from refit.core.domain import SearchTable
from refit.core.step import GRACE_SECONDS
from tests.faults.case import Case, edited
from tests.faults.gates import has_ended, wait_until
from tests.fixtures.own_package import put_on_path

SEARCH = {"n_iter": 3, "cv": 2, "space": {"C": {"loguniform": [1e-6, 10.0]}}}
NAPPING = '''
"""An estimator that stops to do something else, until a file says that it has."""
import os, signal, time
from pathlib import Path
from sklearn.linear_model import LogisticRegression


class Napping(LogisticRegression):
    def __init__(self, C=1.0, dies=False, nap=0.0, until=""):
        super().__init__(C=C)
        self.dies, self.nap, self.until = dies, nap, until

    def fit(self, X, y, sample_weight=None):
        if not (self.until and Path(self.until).exists()):
            if self.until:
                Path(self.until).touch()
            if self.dies:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(self.nap)
        return super().fit(X, y, sample_weight)
'''


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    (folder / "bedroom.py").write_text(NAPPING)
    return folder


def begin_with(folder: Path, cores: int = 1) -> None:
    """So many workers: each has to import all that a step does."""
    put_on_path(str(folder))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def napping(search: dict[str, Any] = SEARCH, **params: Any) -> bytes:
    return edited(model={"estimator": "bedroom.Napping", "params": params, "search": search})


def test_a_run_takes_what_did_best_and_tells_it(case: Case, package: Path) -> None:
    outcome = case.good(file=edited(model={"search": SEARCH}), begin=partial(begin_with, package))
    manifest = case.train_of(outcome)
    assert manifest.search is not None
    table = SearchTable.from_json(case.store.get(manifest.search.table.key), "search.json")
    best = max((one for one in table.combinations if one.trials), key=lambda one: one.trials[-1].mean)
    assert table.chosen == best.number
    assert manifest.search.params == manifest.params == best.params
    assert manifest.search.tried == len(table.combinations) == 4
    assert (manifest.search.is_cut, manifest.search.workers, manifest.warnings) == (False, 1, ())
    assert outcome.report is not None
    report = case.store.get(outcome.report).decode()
    assert "The search for parameters" in report
    for one in table.combinations[1:]:
        assert f">{one.params['C']}<" in report


def test_a_killed_worker_costs_an_attempt_and_the_next_has_half_as_many(case: Case, package: Path) -> None:
    file = napping(dies=True, until=str(case.scratch / "died"))
    outcome = case.good(file=file, begin=partial(begin_with, package, 2))
    assert outcome.steps["train"].attempts == 2
    found = case.train_of(outcome).search
    assert found is not None
    assert (found.tried, found.workers) == (4, 1)


def test_a_worker_that_is_killed_again_and_again_fails_the_run_with_75(case: Case, package: Path) -> None:
    how: dict[str, Any] = {"begin": partial(begin_with, package), "retry_seconds": ()}
    case.refused(
        75, "dependency WorkerKilled", "a worker process of the search was killed", file=napping(dies=True), **how
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_step_that_ends_in_mid_search_leaves_no_worker(case: Case, package: Path, number: signal.Signals) -> None:
    asleep = case.scratch / "asleep"
    going_on = case.start(
        file=napping(nap=600.0, until=str(asleep)), begin=partial(begin_with, package), retry_seconds=()
    )
    wait_until(asleep.exists, "a worker sleeps")
    (step,) = psutil.Process(going_on.process.pid).children()
    workers = step.children(recursive=True)
    assert workers
    begun = time.monotonic()
    step.send_signal(number)
    wait_until(lambda: has_ended(step.pid), "the step has ended")
    assert time.monotonic() - begun < GRACE_SECONDS
    done = going_on.done()
    assert done.failure is not None
    assert (done.code, done.failure.exit_code) == (75, 128 + number)
    wait_until(lambda: all(has_ended(worker.pid) for worker in workers), "the workers have ended")


def test_the_end_of_the_time_budget_cuts_off_what_runs_and_is_told(case: Case, package: Path) -> None:
    search = {"n_iter": 2, "cv": 2, "time_budget": "4s", "space": {"nap": [600.0, 601.0]}}
    outcome = case.good(file=napping(search), begin=partial(begin_with, package))
    manifest = case.train_of(outcome)
    assert manifest.search is not None
    assert manifest.search.is_cut
    assert (manifest.search.params, manifest.params) == ({}, {})
    assert manifest.search.tried <= 1
    assert 4 <= manifest.search.seconds < 60
    (told,) = manifest.warnings
    assert told.startswith("model.search: the time budget of 4s ended it after")
    assert told.endswith("of 3 combinations; the file's own params were taken")

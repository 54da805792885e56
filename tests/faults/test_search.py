"""model.search in whole runs: what it chooses, that it can be repeated, and workers that are killed or left alone."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from refit.core.context import read_manifest
from refit.core.domain import Outcome, SearchTable, TrainManifest
from tests.faults.case import FIRST, Case, edited
from tests.faults.gates import has_ended, wait_until
from tests.fixtures.own_package import put_on_path, write_package

SPACE = {"C": {"loguniform": [1e-6, 10.0]}}
SEARCHED = edited(model={"search": {"n_iter": 3, "cv": 2, "space": SPACE}})


def trained(case: Case, outcome: Outcome) -> TrainManifest:
    assert outcome.run_id is not None
    manifest = read_manifest(case.store, outcome.run_id, "train", TrainManifest)
    assert manifest is not None
    return manifest


def one_core() -> None:
    """One worker: it has to import all that a step does."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def test_a_run_takes_what_did_best_and_tells_it_everywhere(case: Case) -> None:
    outcome = case.good(file=SEARCHED, begin=one_core)
    manifest = trained(case, outcome)
    assert manifest.search is not None
    table = SearchTable.from_json(case.store.get(manifest.search.table.key), "search.json")
    best = max((one for one in table.combinations if one.trials), key=lambda one: one.trials[-1].mean)
    assert table.chosen == best.number
    assert manifest.search.params == best.params
    assert manifest.params == best.params
    assert manifest.search.tried == len(table.combinations) == 4
    assert outcome.report is not None
    report = case.store.get(outcome.report).decode()
    for word in ("The search for parameters", "neg_log_loss", f"C = {table.combinations[1].params['C']}"):
        assert word in report

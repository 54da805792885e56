"""The pipeline file is edited while a run goes on: the run keeps the one that it began with (fault 56)."""

import pytest

from refit.core import keys
from refit.core.context import read_manifest
from refit.core.domain import TrainManifest
from tests.faults.case import SECOND, THIRD, Case, edited, failed_as
from tests.faults.gates import Gate
from tests.fixtures import invariants, loans


@pytest.mark.parametrize("effect", ["before sql connect", "before create versions/"])
def test_a_file_that_is_edited_during_a_run_counts_from_the_next_run_on(case: Case, effect: str) -> None:
    file, gate = case.scratch / "refit.yaml", Gate(case.scratch, effect)
    file.write_bytes(edited(model={"params": {"C": 0.5}}))
    going_on = case.calls("run", str(file), "--as-of", loans.at(SECOND).isoformat(), inject=gate.inject)
    gate.wait_until_reached()
    file.write_bytes(edited(model={"params": {"C": 0.25}}, publish={"approval": "manual"}))
    gate.open()
    ended = going_on.done()
    assert ended.code == 0, ended
    run_id = case.champion.version
    manifest = read_manifest(case.store, run_id, "train", TrainManifest)
    assert manifest is not None
    assert (manifest.params, run_id) == ({"C": 0.5}, case.runs[-1])
    assert case.calls("run", str(file), "--as-of", loans.at(THIRD).isoformat()).done().code == 0
    later = read_manifest(case.store, case.runs[-1], "train", TrainManifest)
    assert later is not None
    assert (later.params, case.champion.version) == ({"C": 0.25}, run_id)


def test_the_copy_that_a_run_keeps_is_verified_by_each_step(case: Case) -> None:
    gate = Gate(case.scratch, "logs/extract-1.txt")
    going_on = case.start(inject=gate.inject)
    gate.wait_until_reached()
    key = keys.pipeline_file(case.runs[-1])
    (case.folder / key).write_bytes(edited(model={"params": {"C": 0.25}}))
    gate.open()
    failed_as(going_on.done(), 66, "artifact WrongDigest", key)
    assert case.champion.generation == 1
    invariants.check(case.store)

"""model.incremental in whole runs: killed after a checkpoint, ended by SIGTERM, and repeated."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from refit.core import keys, registry
from refit.core.domain import BatchFit
from refit.core.effects import Moment
from tests.faults.case import THIRD, Case, edited
from tests.faults.gates import Gate, has_ended
from tests.faults.test_disk import limit_after
from tests.faults.test_retention import age, gc
from tests.fixtures import invariants, loans

IN_BATCHES = edited(
    model={
        "estimator": "sklearn.linear_model.SGDClassifier",
        "params": {"loss": "log_loss"},
        "incremental": {"passes": 20, "batch_rows": 280, "checkpoint_rows": 5600},
    }
)
ROWS = 28 * loans.ROWS_PER_DAY
WHOLE = BatchFit(passes=20, batches=80, learned_on=ROWS, checkpoints=3)


def killed(effect: str, number: signal.Signals, flag: Path, moment: Moment, name: str) -> None:
    """The first process of a step that comes to the effect, a moment and the end of a name, gets the signal."""
    at, _, end = effect.partition(" ")
    if at == moment and name.endswith(end) and "REFIT_ATTEMPT" in os.environ and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), number)
        time.sleep(30)  # it ends meanwhile


def harmed(folder: Path, flag: Path, moment: Moment, name: str) -> None:
    """The newest state is not what its checkpoint names, and the process that wrote it is killed."""
    if moment == "after" and name.endswith("checkpoint-2.json") and not flag.exists():
        (state,) = folder.glob("runs/*/train/*/checkpoint-2.skops")
        state.write_bytes(b"another model")
        killed("after ", signal.SIGKILL, flag, moment, name)


@pytest.fixture(scope="module")
def digests() -> list[str]:
    """Of the model that a run makes when nobody kills it, once it is known."""
    return []


@pytest.mark.parametrize(
    ("effect", "number", "resumed_from"),
    [
        ("", signal.SIGKILL, None),
        ("after checkpoint-1.json", signal.SIGKILL, 1),
        ("after checkpoint-2.json", signal.SIGTERM, 2),
        ("after checkpoint-3.skops", signal.SIGKILL, 2),
        ("after model.skops", signal.SIGKILL, 3),
    ],
    ids=["never", "after a checkpoint", "SIGTERM after a checkpoint", "between state and document", "before the end"],
)
def test_a_run_that_is_killed_in_the_fit_goes_on_to_the_same_bytes(
    case: Case, digests: list[str], effect: str, number: signal.Signals, resumed_from: int | None
) -> None:
    inject = partial(killed, effect, number, case.scratch / "flag") if effect else None
    outcome = case.good(file=IN_BATCHES, inject=inject)
    manifest = case.train_of(outcome)
    assert outcome.steps["train"].attempts == (2 if effect else 1)
    assert manifest.batches == WHOLE.model_copy(update={"resumed_from": resumed_from})
    assert manifest.rows == ROWS
    digests.append(manifest.model.sha256)
    assert len(set(digests)) == 1


def test_sigterm_in_the_fit_ends_the_run_and_the_next_one_begins_anew(case: Case) -> None:
    gate = Gate(case.scratch, "checkpoint-1.json")
    going_on = case.start(file=IN_BATCHES, inject=gate.inject_in_steps)
    child = gate.wait_until_reached()
    assert going_on.process.pid is not None
    os.kill(going_on.process.pid, signal.SIGTERM)
    done = going_on.done()
    assert (done.code, has_ended(child)) == (143, True)
    invariants.check(case.store)
    outcome = case.good(file=IN_BATCHES)
    assert case.train_of(outcome).batches == WHOLE


def test_a_rerun_of_a_fit_makes_checkpoints_of_its_own(case: Case) -> None:
    before = case.good(file=IN_BATCHES)
    again = case.again(before.run_id, start="train").outcome
    assert again is not None
    assert again.run_id is not None
    assert case.train_of(again).batches == WHOLE
    assert case.train_of(again).model.sha256 == case.train_of(before).model.sha256
    assert case.store.exists(keys.checkpoint(again.run_id, 3))


def test_a_checkpoint_whose_state_was_altered_costs_its_rows_and_nothing_else(case: Case, digests: list[str]) -> None:
    outcome = case.good(file=IN_BATCHES, inject=partial(harmed, case.folder, case.scratch / "flag"))
    manifest = case.train_of(outcome)
    assert manifest.batches == WHOLE.model_copy(update={"resumed_from": 1})
    digests.append(manifest.model.sha256)
    assert len(set(digests)) == 1


def test_a_temporary_folder_that_does_not_take_the_rows_fails_the_step_and_room_mends_it(case: Case) -> None:
    inject = partial(limit_after, "logs/extract-1.txt", 16_000)
    done = case.refused(74, "disk DiskError", "shuffled-rows", "File too large", file=IN_BATCHES, inject=inject)
    assert done.outcome is not None
    assert done.outcome.steps["train"].attempts == 3
    case.good(file=IN_BATCHES)


def test_gc_takes_the_checkpoints_of_a_fit_that_has_ended_and_nothing_else_of_its_run(case: Case) -> None:
    outcome = case.good(file=IN_BATCHES)
    before = {listed.key for listed in case.store.list("")} - {keys.ref("lock")}
    age(case, 8)
    gone = gc(case).document["gone"]
    after = {listed.key for listed in case.store.list("")} - {keys.ref("lock")}
    assert {key.rpartition("/")[2] for key in before - after} >= {
        f"checkpoint-{n}.{kind}" for n in (1, 2, 3) for kind in ("json", "skops")
    }
    assert [key for key in before - after if f"runs/{outcome.run_id}/" in key and "checkpoint-" not in key] == []
    assert (gone["runs"], gone["versions"]) == ([], [])
    invariants.check(case.store)


def test_a_champion_that_learned_in_batches_is_rebuilt_in_batches_and_compared_as_itself(case: Case) -> None:
    first = case.good(file=IN_BATCHES)
    assert first.version is not None
    expected = case.copied().good("rejected", days=THIRD, file=IN_BATCHES)
    path = case.folder / registry.read_version(case.store, first.version).model.key
    case.harmed.add(path.relative_to(case.folder).as_posix())
    path.unlink()
    outcome = case.good("rejected", days=THIRD, file=IN_BATCHES)
    assert outcome.verdict is not None
    assert expected.verdict is not None
    assert (outcome.verdict.result, outcome.verdict.checks) == (expected.verdict.result, expected.verdict.checks)
    assert any("rebuilt from its snapshot" in text for text in outcome.warnings)


def test_a_model_that_learned_in_batches_goes_out_fitted_on_all_rows_in_batches(empty: Case) -> None:
    outcome = empty.good(days=42, file=edited(IN_BATCHES, publish={"fit_on": "all"}))
    assert outcome.version is not None
    refit = registry.read_version(empty.store, outcome.version).refit
    assert refit is not None
    assert refit.rows == 42 * loans.ROWS_PER_DAY

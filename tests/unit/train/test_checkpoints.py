"""Where the states of a fit are kept, and which of them an attempt goes on from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refit.core import keys
from refit.core.context import Context
from refit.core.domain import Checkpoint, ExtractManifest
from refit.core.store import ObjectStore, open_store
from refit.ml.incremental import State
from refit.train import checkpoints
from tests.fixtures.records import extract_manifest, file, put_manifest, put_run, run_record
from tests.fixtures.trained import Run

RUN_ID = "20260301t000000-aaaa"
MODEL = {"estimator": "sklearn.linear_model.SGDClassifier", "incremental": True}


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}/store").under("loans/")


@pytest.fixture
def context(store: ObjectStore, tmp_path: Path) -> Context:
    run = run_record(RUN_ID)
    put_run(store, run)
    put_manifest(store, extract_manifest(RUN_ID))
    return in_batches(Run(store, RUN_ID, tmp_path).context())


def in_batches(context: Context, **model: Any) -> Context:
    from refit.core.config import parse_pipeline

    return replace(context, pipeline=parse_pipeline(file(model=MODEL | model), "refit.yaml"))


def keeper(context: Context) -> Any:
    """As an attempt gets it when it begins."""
    return checkpoints.keeper(context, context.manifest_of("extract", ExtractManifest))


def state(number: int, body: bytes = b"model") -> State:
    return State(body + str(number).encode(), number, 7 * number, 100 * number, number, (f"warning {number}",))


def another(context: Context) -> Context:
    """The next attempt of the same run."""
    return replace(context, attempt="another")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 8, 9, 21])
def test_the_next_attempt_goes_on_from_the_newest_of_any_number(context: Context, count: int) -> None:
    first = keeper(context)
    assert first.newest is None
    for number in range(1, count + 1):
        assert first.keep(state(number)) == state(number)
    assert keeper(another(context)).newest == (state(count) if count else None)


def test_a_fit_on_all_rows_at_once_keeps_nothing(context: Context, store: ObjectStore) -> None:
    alone = in_batches(context, incremental=False)
    assert keeper(alone).newest is None
    assert keeper(alone).keep(state(1)) == state(1)
    assert [found.key for found in store.list(f"runs/{RUN_ID}/train")] == []


def test_a_checkpoint_names_its_state_which_lies_with_its_attempt(context: Context, store: ObjectStore) -> None:
    keeper(context).keep(state(1))
    key = keys.checkpoint(RUN_ID, 1)
    found = Checkpoint.from_json(store.get(key), key)
    assert found.state.key == f"runs/{RUN_ID}/train/{context.attempt}/checkpoint-1.skops"
    assert context.read(found.state) == b"model1"


def test_of_two_attempts_both_go_on_with_the_state_of_the_first(context: Context) -> None:
    first, second = keeper(context), keeper(another(context))
    first.keep(state(1, b"first"))
    assert second.keep(state(1, b"second")) == state(1, b"first")
    assert second.keep(state(2, b"second")) == state(2, b"second")
    assert first.keep(state(2, b"first")) == state(2, b"second")


@pytest.mark.parametrize("harm", ["gone", "altered"])
def test_a_harmed_state_is_left_for_the_one_before_it(context: Context, store: ObjectStore, harm: str) -> None:
    first = keeper(context)
    for number in (1, 2):
        first.keep(state(number))
    key = keys.artifact(RUN_ID, "train", context.attempt, "checkpoint-2.skops")
    path = store.local_path(key)
    assert path is not None
    path.unlink() if harm == "gone" else path.write_bytes(b"model3")
    second = keeper(another(context))
    assert second.newest == state(1)
    assert second.keep(state(2, b"again")) == state(2, b"again")


def test_a_checkpoint_that_cannot_be_read_is_left_aside(context: Context, store: ObjectStore) -> None:
    keeper(context).keep(state(1))
    path = store.local_path(keys.checkpoint(RUN_ID, 1))
    assert path is not None
    path.write_bytes(b'{"format": 99}')
    assert keeper(another(context)).newest is None


@pytest.mark.parametrize("what", ["file", "extract", "environment", "run"])
def test_what_another_definition_has_made_is_no_ground_to_go_on(
    context: Context, store: ObjectStore, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper(context).keep(state(1))
    found, extract = another(context), context.manifest_of("extract", ExtractManifest)
    if what == "file":
        changed = found.run.file.model_copy(update={"sha256": "0" * 64})
        found = replace(found, run=found.run.model_copy(update={"file": changed}))
    elif what == "extract":
        extract = extract.model_copy(update={"attempt": "another"})
    elif what == "environment":
        monkeypatch.setattr("refit.core.environment.versions", lambda: {"scikit-learn": "99"})
    else:
        path = store.local_path(keys.checkpoint(RUN_ID, 1))
        assert path is not None
        path.write_bytes(path.read_bytes().replace(RUN_ID.encode(), b"20260301t000000-bbbb"))
    foreign = checkpoints.keeper(found, extract)
    assert foreign.newest is None
    assert foreign.keep(state(1, b"own")) == state(1, b"own")

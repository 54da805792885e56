"""The outcome that a dead run is given follows from what stands, and from nothing that is damaged."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from refit.core import hand, keys
from refit.core.domain import VerdictRef
from refit.core.refs import move_ref
from refit.core.runs import read_outcome, recorded_runs, settle
from refit.core.store import ObjectStore, open_store
from tests.fixtures.records import (
    NOW,
    evaluate_manifest,
    extract_manifest,
    put_manifest,
    put_move,
    put_run,
    put_version,
    run_record,
    train_manifest,
    verdict,
)

FIRST, DEAD = "20261120t070000-aaaa", "20261120t080000-dead"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}")


def test_runs_of_one_second_are_told_apart_by_their_records(store: ObjectStore) -> None:
    later, earlier = "20261120t080000-aaaa", "20261120t080000-zzzz"
    put_run(store, run_record(FIRST))
    put_run(store, run_record(earlier, created_at=NOW))
    put_run(store, run_record(later, created_at=NOW + timedelta(seconds=0.5)))
    store.put(keys.pipeline_file("20261120t090000-xxxx"), b"a run that was never recorded")
    assert [run.run_id for run in recorded_runs(store)] == [later, earlier, FIRST]


def put_dead_run(store: ObjectStore) -> None:
    put_run(store, run_record(DEAD))
    for manifest in (extract_manifest(DEAD), train_manifest(DEAD), evaluate_manifest(DEAD)):
        put_manifest(store, manifest)


def test_a_dead_run_that_moved_the_champion_was_promoted_also_when_a_person_went_back_since(store: ObjectStore) -> None:
    put_version(store, FIRST)
    put_move(store, FIRST)
    put_dead_run(store)
    put_version(store, DEAD)
    put_move(store, DEAD)
    hand.rollback(store, None, who="me", why="worse", now=NOW)
    outcome = settle(store, DEAD, datetime.now(UTC))
    assert outcome is not None
    assert (outcome.outcome, outcome.exit_code, outcome.error) == ("promoted", 0, None)
    assert (outcome.previous_champion, outcome.champion) == (FIRST, FIRST)


@pytest.mark.parametrize(
    "key",
    [
        keys.manifest(DEAD, "extract"),
        keys.manifest(DEAD, "train"),
        keys.manifest(DEAD, "evaluate"),
        keys.run_record(DEAD),
        keys.outcome(DEAD),
        keys.ref("champion"),
        keys.history(1),
    ],
)
def test_a_damaged_document_of_a_dead_run_does_not_keep_it_from_being_settled(store: ObjectStore, key: str) -> None:
    put_version(store, FIRST)
    put_move(store, FIRST)
    put_dead_run(store)
    put_version(store, DEAD)
    store.put(key, b"{")
    settle(store, DEAD, datetime.now(UTC))
    assert store.exists(keys.outcome(DEAD))
    if key != keys.outcome(DEAD):
        outcome = read_outcome(store, DEAD)
        assert outcome is not None
        assert (outcome.outcome, outcome.exit_code) == ("failed", 75)


@pytest.mark.parametrize(
    ("result", "expected"), [("accepted", "awaiting_approval"), ("rejected", "rejected"), ("inconclusive", "rejected")]
)
def test_a_dead_run_whose_verdict_counts_ended_as_the_verdict_says(
    store: ObjectStore, result: str, expected: str
) -> None:
    put_run(store, run_record(DEAD))
    judged = evaluate_manifest(DEAD, verdict=verdict(result))
    for manifest in (extract_manifest(DEAD), train_manifest(DEAD), judged):
        put_manifest(store, manifest)
    put_version(store, DEAD)
    counted = VerdictRef(
        token="t", generation=1, run_id=DEAD, as_of=NOW, snapshot_run_id=DEAD, file_sha256="f",
        environment_digest="e", decided_at=NOW, confirmed_at=None, look_as_of=NOW,
    )  # fmt: skip
    move_ref(store, "verdict", counted, None)
    outcome = settle(store, DEAD, NOW)
    assert outcome is not None
    assert (outcome.outcome, outcome.error, outcome.exit_code) == (expected, None, 0)

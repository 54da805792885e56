"""Where a pipeline stands, as the records of its runs and moves tell it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from refit.core import hand
from refit.core.domain import Outcome
from refit.core.metrics import CHAMPION_CONFIRMED, CHAMPION_GENERATION
from refit.core.samples import Standing, of_production
from refit.core.store import ObjectStore, open_store
from refit.run.standing import read_standing
from tests.fixtures.past_runs import FIRST, SECOND, THIRD, put_awaiting, put_failed, put_promoted, put_rejected
from tests.fixtures.records import NOW, run_record

FOURTH = "20261127t070000-dddd"
WEEK = timedelta(days=7)
Put = Callable[..., Outcome]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}").under("loans/")


def standing(store: ObjectStore, *puts: Put) -> Standing:
    """After these runs, a week apart."""
    for number, (put, run_id) in enumerate(zip(puts, (FIRST, SECOND, THIRD, FOURTH), strict=False)):
        put(store, run_id, NOW + number * WEEK)
    return read_standing(store, run_record(FIRST).file, NOW + len(puts) * WEEK)


@pytest.mark.parametrize(
    ("puts", "unconfirmed"),
    [
        ((put_promoted,), 0),
        ((put_promoted, put_failed), 1),
        ((put_promoted, put_failed, put_awaiting), 2),
        ((put_promoted, put_failed, put_promoted), 0),
        ((put_failed, put_failed), 2),
    ],
    ids=["promoted", "one failed", "failed and waiting", "promoted again", "never promoted"],
)
def test_runs_count_until_one_confirms_or_replaces_the_champion(
    store: ObjectStore, puts: tuple[Put, ...], unconfirmed: int
) -> None:
    assert standing(store, *puts).unconfirmed == unconfirmed


def test_a_verdict_that_compared_and_kept_the_champion_confirms_it(store: ObjectStore) -> None:
    assert standing(store, put_promoted, put_failed, put_rejected).unconfirmed == 0


def test_the_last_success_and_the_last_failure_are_those_of_the_newest_runs(store: ObjectStore) -> None:
    found = standing(store, put_failed, put_promoted, put_failed, put_awaiting)
    ended = NOW + timedelta(seconds=5.9)
    assert (found.failed_at, found.succeeded_at) == (ended + 2 * WEEK, ended + 3 * WEEK)


def test_a_version_waits_until_a_person_decides(store: ObjectStore) -> None:
    assert standing(store, put_promoted, put_awaiting).awaits_approval
    hand.promote(store, SECOND, who="tests", why="agreed", now=NOW + 1.5 * WEEK)
    found = read_standing(store, run_record(FIRST).file, NOW + 2 * WEEK)
    assert not found.awaits_approval
    assert found.unconfirmed == 0


def test_a_later_run_without_a_verdict_decides_nothing_and_one_with_it_does(store: ObjectStore) -> None:
    assert standing(store, put_promoted, put_awaiting, put_failed).awaits_approval
    put_promoted(store, FOURTH, NOW + 3 * WEEK)
    assert not read_standing(store, run_record(FIRST).file, NOW + 4 * WEEK).awaits_approval


def test_a_verdict_that_cannot_be_read_makes_no_champion_older(store: ObjectStore) -> None:
    standing(store, put_promoted, put_rejected)
    store.put("refs/verdict.json", b"{")
    found = read_standing(store, run_record(FIRST).file, NOW + WEEK)
    assert found.promoted_at is not None
    told = {sample.metric: sample.value for sample in of_production(found)}
    assert CHAMPION_GENERATION in told
    assert CHAMPION_CONFIRMED not in told


def test_an_empty_store_tells_nothing_and_fails_nowhere(store: ObjectStore) -> None:
    found = read_standing(store, run_record(FIRST).file, NOW)
    assert found == Standing(unconfirmed=0, is_file_known=False)

"""What records say of the champion's freshness, and how few of them are read for it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from refit.core import hand, keys
from refit.core.config import parse_pipeline
from refit.core.freshness import MOST_READS, confirmed_at, fresh_share, longest_run, read_fresh_share, read_patience
from refit.core.store import ObjectStore, open_store
from tests.fixtures.past_runs import put_awaiting, put_failed, put_promoted, put_rejected
from tests.fixtures.records import NOW, file

DAY = timedelta(days=1)
SHORT = timedelta(seconds=5.9)
"""How long the runs of the fixtures take."""


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}").under("loans/")


def run_id(at: datetime) -> str:
    return f"{at:%Y%m%dt%H%M%S}-aaaa"


def noted(monkeypatch: pytest.MonkeyPatch, store: ObjectStore) -> list[str]:
    """The keys that are read from now on."""
    read, get = list[str](), type(store).get

    def note(self: ObjectStore, key: str) -> bytes:
        read.append(key)
        return get(self, key)

    monkeypatch.setattr(type(store), "get", note)
    return read


def days_ago(*days: float) -> list[datetime]:
    return [NOW - day * DAY for day in days]


@pytest.mark.parametrize(
    ("moments", "share"),
    [
        ([], None),
        (days_ago(0), 1.0),
        (days_ago(5), 1.0),
        (days_ago(20), 0.5),
        (days_ago(100), 0.0),
        (days_ago(33, 2), (5 + 2) / 28),
        (days_ago(100, 14), 10 / 28),
        (days_ago(28, 21, 14, 7), 1.0),
        (days_ago(24, 7), (10 + 7) / 24),
        (days_ago(-1), None),
    ],
    ids=["never", "now", "young", "half", "long ago", "one reaches in", "a gap", "weekly", "since the first", "future"],
)
def test_the_share_is_of_the_time_within_ten_days_of_a_confirmation(
    moments: list[datetime], share: float | None
) -> None:
    assert fresh_share(moments, 10 * DAY, NOW) == (None if share is None else pytest.approx(share))


def test_the_champion_is_confirmed_by_a_verdict_a_promotion_or_a_person(store: ObjectStore) -> None:
    assert confirmed_at(store) is None
    first, second, third = (NOW - day * DAY for day in (21, 14, 7))
    put_promoted(store, run_id(first), first)
    assert confirmed_at(store) == first
    put_rejected(store, run_id(second), second)
    assert confirmed_at(store) == second
    put_rejected(store, run_id(third), third, confirms=False)
    put_failed(store, run_id(NOW), NOW)
    assert confirmed_at(store) == second
    hand.promote(store, run_id(second), who="a person", why="by hand", now=NOW)
    assert confirmed_at(store) == NOW


def test_the_share_counts_runs_that_replaced_or_confirmed_and_moves_by_hand(store: ObjectStore) -> None:
    begun = [NOW - day * DAY for day in (70, 21, 14, 7)]
    put_promoted(store, run_id(begun[0]), begun[0])
    assert read_fresh_share(store, 5 * DAY, NOW) == 0.0
    put_rejected(store, run_id(begun[1]), begun[1])
    put_failed(store, run_id(begun[2]), begun[2])
    put_awaiting(store, run_id(begun[3]), begun[3])
    assert read_fresh_share(store, 5 * DAY, NOW) == pytest.approx(5 / 28, abs=1e-4)
    hand.promote(store, run_id(begun[3]), who="a person", why="settled", now=begun[3] + DAY)
    assert read_fresh_share(store, 5 * DAY, NOW) == pytest.approx(10 / 28, abs=1e-4)


def test_a_pipeline_that_is_well_costs_a_few_reads_however_often_it_runs(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = NOW - 30 * DAY
    put_promoted(store, run_id(begun), begun)
    while (begun := begun + timedelta(hours=6)) < NOW:
        put_rejected(store, run_id(begun), begun)
    read = noted(monkeypatch, store)
    assert read_fresh_share(store, 10 * DAY, NOW) == pytest.approx(1.0)
    assert len([key for key in read if key.startswith(keys.RUNS)]) <= 10


def test_a_pipeline_that_fails_all_the_time_is_read_so_far_and_no_farther(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = NOW - 30 * DAY
    put_promoted(store, run_id(first), first)
    for hours in range(MOST_READS + 5):
        put_failed(store, run_id(at := NOW - hours * timedelta(hours=2)), at)
    read = noted(monkeypatch, store)
    assert read_fresh_share(store, 10 * DAY, NOW) == pytest.approx(8 / 28, abs=1e-4)
    assert len([key for key in read if key.startswith(keys.RUNS)]) <= MOST_READS


def test_a_document_that_is_damaged_confirms_nothing(store: ObjectStore) -> None:
    first, second = NOW - 40 * DAY, NOW - 7 * DAY
    put_promoted(store, run_id(first), first)
    put_rejected(store, run_id(second), second)
    store.put(keys.outcome(run_id(second)), b"{")
    assert read_fresh_share(store, 10 * DAY, NOW) == 0.0


def test_a_run_is_taken_to_last_as_long_as_the_longest_of_the_last_whole_ones(store: ObjectStore) -> None:
    assert longest_run(store) is None
    put_failed(store, run_id(NOW - 8 * DAY), NOW - 8 * DAY)
    assert longest_run(store) is None
    for days, minutes in ((30, 50.0), (7, 10.0), (6, 30.0), (5, 20.0), (4, 5.0), (3, 5.0)):
        outcome = put_promoted(store, run_id(NOW - days * DAY), NOW - days * DAY)
        steps = {step: one.model_copy(update={"seconds": minutes * 15}) for step, one in outcome.steps.items()}
        body = outcome.model_copy(update={"steps": steps}).to_json()
        store.put(keys.outcome(run_id(NOW - days * DAY)), body)
    assert longest_run(store) == timedelta(minutes=30)


def test_patience_is_the_same_for_every_process_that_asks(store: ObjectStore) -> None:
    text = file(slo={"max_age": "10d"}, schedule={"cron": "0 7 * * 5"})
    pipeline = parse_pipeline(text, "refit.yaml")
    assert read_patience(store, pipeline, NOW).tries == 3
    put_promoted(store, run_id(NOW - 7 * DAY), NOW - 7 * DAY)
    found = read_patience(store, pipeline, NOW)
    assert (found.end, found.ends_at) == ("objective", NOW + 3 * DAY)
    put_failed(store, run_id(NOW), NOW)
    assert read_patience(store, pipeline, NOW) == found
    assert NOW.tzinfo == UTC

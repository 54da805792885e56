"""How often the runner tries what is away, and what it does while the store itself is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from refit.core import keys
from refit.core.artifacts import describe
from refit.core.config import parse_pipeline
from refit.core.domain import Failure, Outcome, Pause
from refit.core.errors import DependencyError, WorkerKilled
from refit.core.lock import Lock
from refit.core.objective import USUAL_PAUSES, Patience, spread
from refit.core.store import ObjectStore, open_store
from refit.run.events import Event, NotTold, RunEnded, StepFailed
from refit.run.executor import Attempt, Ended
from refit.run.identity import Identity
from refit.run.pauses import pause_before_next
from refit.run.request import Request
from refit.run.runner import Runner
from tests.fixtures.past_runs import put_promoted
from tests.fixtures.records import file, put_run, run_record
from tests.unit.run.test_runner import Scripted

DAY = timedelta(days=1)


class Away(Scripted):
    """Attempts of a step fail of the class given, the first so many times."""

    def __init__(
        self, store: ObjectStore, error_class: str, times: int, step: str = "extract", error_type: str = "X"
    ) -> None:
        super().__init__(store)
        self.error_class, self.times, self.step, self.error_type = error_class, times, step, error_type

    def execute(self, attempt: Attempt, tell: Any) -> Ended:
        if attempt.step == self.step and attempt.number <= self.times:
            self.attempts.append((attempt.step, attempt.number))
            code = 137 if self.error_class in ("oom", "killed") else 75
            failure = Failure(
                error_class=self.error_class, type=self.error_type, step=attempt.step, exit_code=code, message="away"
            )
            return Ended(code, None, b"log", seen=failure)
        return super().execute(attempt, tell)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """A store in which a champion was confirmed a week ago."""
    found = open_store(f"file://{tmp_path}")
    at = datetime.now(UTC) - 7 * DAY
    put_promoted(found.under("loans/"), f"{at:%Y%m%dt%H%M%S}-aaaa", at)
    return found


def walked(store: ObjectStore, executor: Scripted, **slo: str) -> tuple[Outcome, list[float | None]]:
    """How a run ends, and the pauses that it makes."""
    text, events = file(slo=slo), list[Event]()
    runner = Runner(store, executor, events.append, sleep=lambda _: None)
    outcome = runner.run(Request(parse_pipeline(text, "refit.yaml"), text, wait_seconds=0.0))
    return outcome, [event.retry_seconds for event in events if isinstance(event, StepFailed)]


@pytest.mark.parametrize("error_class", ["dependency", "start"])
def test_what_is_away_is_tried_until_the_objective_is_near(store: ObjectStore, error_class: str) -> None:
    outcome, pauses = walked(store, Away(store, error_class, 12), max_age="10d")
    assert outcome.outcome == "promoted"
    assert outcome.steps["extract"].attempts == 13
    planned = list(spread((3 * DAY - timedelta(minutes=2)).total_seconds()))  # the run before took no time
    assert pauses == pytest.approx(planned[:12], abs=5)


@pytest.mark.parametrize("error_class", ["oom", "killed", "disk"])
def test_what_does_not_pass_by_waiting_is_tried_as_usual(store: ObjectStore, error_class: str) -> None:
    outcome, pauses = walked(store, Away(store, error_class, 12, "train"), max_age="10d")
    assert (outcome.outcome, pauses) == ("failed", [*USUAL_PAUSES, None])


def test_a_fit_whose_workers_are_killed_is_tried_as_usual(store: ObjectStore) -> None:
    """Its class is that of what is away, and each try would cost a fit."""
    away = Away(store, WorkerKilled.error_class, 12, "train", WorkerKilled.__name__)
    outcome, pauses = walked(store, away, max_age="10d")
    assert (outcome.outcome, pauses) == ("failed", [*USUAL_PAUSES, None])


@pytest.mark.parametrize(
    ("slo", "expected"),
    [
        ({}, [5.0, 20.0, None]),
        ({"max_age": "7d"}, [5.0, 20.0, None]),
        ({"max_age": "10d", "on_failure": "alert"}, [20.0, None]),
        ({"max_age": "10d", "on_failure": "record"}, [None]),
    ],
    ids=["no objective", "broken, by hand", "alert", "record"],
)
def test_other_files_are_tried_as_they_say(store: ObjectStore, slo: dict[str, str], expected: list[Any]) -> None:
    outcome, pauses = walked(store, Away(store, "dependency", 99), **slo)
    assert (outcome.outcome, outcome.exit_code, pauses) == ("failed", 75, expected)


def test_a_long_pause_is_noted_for_those_who_ask(store: ObjectStore) -> None:
    outcome, _ = walked(store, Away(store, "dependency", 4), max_age="10d")
    assert outcome.run_id is not None
    key = keys.pause(outcome.run_id)
    found = Pause.from_json(store.under("loans/").get(key), key)
    assert (found.step, found.number, found.failure.message) == ("extract", 4, "away")
    assert found.until == pytest.approx(datetime.now(UTC) + timedelta(seconds=320), abs=timedelta(seconds=30))
    short, _ = walked(store, Away(store, "dependency", 2), max_age="10d")
    assert not store.under("loans/").exists(keys.pause(short.run_id or ""))


def test_an_outage_to_the_end_leaves_the_run_failed(store: ObjectStore) -> None:
    outcome, pauses = walked(store, Away(store, "dependency", 99), max_age="10d")
    assert (outcome.outcome, outcome.exit_code) == ("failed", 75)
    assert len(pauses) == len(list(spread((3 * DAY - timedelta(minutes=2)).total_seconds()))) + 1
    assert pauses[-1] is None


def test_a_store_that_is_away_between_two_tries_is_waited_for(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, asked = Lock.check, list[int]()

    def away(lock: Lock) -> None:
        asked.append(1)
        if len(asked) in (3, 4):  # 1 and 2 are before the run's record
            raise DependencyError("the bucket is away")
        check(lock)

    monkeypatch.setattr(Lock, "check", away)
    executor = Scripted(store)
    outcome, pauses = walked(store, executor, max_age="10d")
    assert (outcome.outcome, len(pauses)) == ("promoted", 2)
    assert executor.attempts[:2] == [("extract", 3), ("train", 1)]


def test_who_could_not_be_told_changes_nothing(store: ObjectStore) -> None:
    events, told, text = list[Event](), list[Outcome](), file()

    def notify(_store: ObjectStore, _run: object, outcome: Outcome) -> str:
        told.append(outcome)
        return "nobody was there"

    runner = Runner(store, Scripted(store), events.append, notify=notify)
    outcome = runner.run(Request(parse_pipeline(text, "refit.yaml"), text, wait_seconds=0.0))
    assert (outcome.exit_code, told) == (0, [outcome])
    assert events[-2:] == [RunEnded(outcome), NotTold("nobody was there")]


def test_a_coordinator_that_takes_a_run_up_goes_on_with_its_pauses(store: ObjectStore) -> None:
    """Its own clock and memory tell it nothing: the run's record and its attempts do."""
    text, inner, begun_at = file(slo={"max_age": "10d"}), store.under("loans/"), datetime.now(UTC) - timedelta(hours=1)
    run_id = f"{begun_at:%Y%m%dt%H%M%S}-bbbb"
    key = keys.pipeline_file(run_id)
    put_run(inner, run_record(run_id, created_at=begun_at, file=describe(key, text)))
    inner.put(key, text)

    class Known(Away):
        def begun(self, attempt: Attempt) -> int:
            return 5 if attempt.step == "extract" else 0

    executor, events = Known(store, "dependency", 6), list[Event]()
    runner = Runner(store, executor, events.append, sleep=lambda _: None, identity=Identity(run_id=run_id))
    outcome = runner.run(Request(parse_pipeline(text, "refit.yaml"), text, wait_seconds=0.0))
    assert (outcome.run_id, outcome.outcome) == (run_id, "promoted")
    assert [number for step, number in executor.attempts if step == "extract"] == [5, 6, 7]
    pauses = [event.retry_seconds for event in events if isinstance(event, StepFailed)]
    assert pauses == [1280.0, 5120.0]


@pytest.mark.parametrize(
    ("ended", "until", "expected"),
    [(11_000, 4_000, 4_000), (16_000, -1_000, None), (3_000, 4_000, None), (30_000, 100_000, 0)],
    ids=["cut to end then", "too late by now", "never fitted", "due by now"],
)
def test_who_takes_a_run_up_within_a_pause_waits_until_the_same_moment(
    ended: float, until: float, expected: float | None
) -> None:
    now = datetime.now(UTC)
    found = Patience((*USUAL_PAUSES, 20_000.0), now + timedelta(seconds=until), "objective", now + DAY)
    attempt, away = (
        Attempt("s3://b", "loans", "r", "extract", 3),
        Failure(error_class="dependency", type="X", step="extract", exit_code=75, message="away"),
    )
    at = now - timedelta(seconds=ended)
    pause = pause_before_next(found, attempt, Ended(75, None, b"", at=at), away)
    assert pause == (None if expected is None else pytest.approx(expected, abs=5))

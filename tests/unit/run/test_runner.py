"""The runner's decisions, with steps that write their manifests and end as told."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from refit.core import keys
from refit.core.config import parse_pipeline
from refit.core.domain import Failure, LockRef, Manifest, Outcome, StepName, Termination
from refit.core.errors import ConfigError, TerminatedError
from refit.core.lock import this_process
from refit.core.runs import read_outcome, run_ids
from refit.core.store import ObjectStore, open_store
from refit.run.events import Event, RunStarted, StepFailed, StepTold
from refit.run.executor import Attempt, Ended, OfThisMachine
from refit.run.request import NoLongerWanted, Request
from refit.run.runner import Runner
from tests.fixtures.records import (
    FILE,
    evaluate_manifest,
    extract_manifest,
    publish_manifest,
    put_manifest,
    put_run,
    run_record,
    train_manifest,
)

MAKERS: dict[StepName, Callable[[str], Manifest]] = {
    "extract": extract_manifest,
    "train": train_manifest,
    "evaluate": evaluate_manifest,
    "publish": publish_manifest,
}
OK = 0


class Scripted(OfThisMachine):
    """An executor whose attempts end with the codes given per step; with 0 the step's manifest stands."""

    def __init__(
        self, store: ObjectStore, makers: dict[StepName, Callable[[str], Manifest]] = MAKERS, **codes: list[int]
    ):
        self.store, self.makers, self.codes = store, makers, codes
        self.attempts: list[tuple[StepName, int]] = []

    def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
        self.attempts.append((attempt.step, attempt.number))
        code = self.codes[attempt.step].pop(0) if self.codes.get(attempt.step) else OK
        if code == OK:
            put_manifest(self.store.under(f"{attempt.pipeline}/"), self.makers[attempt.step](attempt.run_id))
            return Ended(OK, None, b"log")
        if code > 128:
            return Ended(code, None, b"log")
        failure = Failure(error_class="x", type="X", step=attempt.step, exit_code=code, message="it broke")
        last_words = Termination(
            step=attempt.step,
            run_id=attempt.run_id,
            attempt="t",
            number=attempt.number,
            failure=failure,
            seconds=0.0,
            max_rss_bytes=0,
        )
        return Ended(code, last_words, b"log")


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}")


def request(**fields: object) -> Request:
    return Request(pipeline=parse_pipeline(FILE, "refit.yaml"), file=FILE, wait_seconds=0.0, **fields)  # type: ignore[arg-type]


def run(store: ObjectStore, executor: Scripted, events: list[Event] | None = None) -> Outcome:
    pauses: list[float] = []
    runner = Runner(store, executor, (events if events is not None else []).append, sleep=pauses.append)
    return runner.run(request())


def test_a_run_walks_the_four_steps_and_ends_as_publish_says(store: ObjectStore) -> None:
    executor = Scripted(store)
    outcome = run(store, executor)
    assert executor.attempts == [("extract", 1), ("train", 1), ("evaluate", 1), ("publish", 1)]
    assert (outcome.outcome, outcome.exit_code, outcome.error) == ("promoted", 0, None)
    assert outcome.run_id is not None
    assert read_outcome(store.under("loans/"), outcome.run_id) == outcome


def test_a_run_frees_the_lock(store: ObjectStore) -> None:
    run(store, Scripted(store))
    assert LockRef.from_json(store.get("loans/refs/lock.json"), "lock").holder is None


def test_a_run_that_is_no_longer_wanted_under_the_lock_is_not_recorded_and_frees_it(store: ObjectStore) -> None:
    executor = Scripted(store)
    with pytest.raises(NoLongerWanted):
        Runner(store, executor, lambda _event: None).run(request(is_wanted=lambda: False))
    assert (executor.attempts, list(run_ids(store.under("loans/")))) == ([], [])
    assert LockRef.from_json(store.get("loans/refs/lock.json"), "lock").holder is None


def test_a_skipped_extract_ends_the_run(store: ObjectStore) -> None:
    makers = MAKERS | {"extract": lambda run_id: extract_manifest(run_id, skipped=True, snapshot=None)}
    executor = Scripted(store, makers)
    assert run(store, executor).outcome == "skipped"
    assert executor.attempts == [("extract", 1)]


@pytest.mark.parametrize("code", [74, 75, 134, 137, 139, 143])
def test_a_passing_fault_is_tried_three_times_in_all(store: ObjectStore, code: int) -> None:
    events: list[Event] = []
    executor = Scripted(store, train=[code, code, code])
    outcome = run(store, executor, events)
    assert executor.attempts == [("extract", 1), ("train", 1), ("train", 2), ("train", 3)]
    assert [event.retry_seconds for event in events if isinstance(event, StepFailed)] == [5.0, 20.0, None]
    assert outcome.outcome == "failed"
    assert outcome.steps["train"].attempts == 3


def test_a_step_that_succeeds_on_its_second_attempt_lets_the_run_go_on(store: ObjectStore) -> None:
    outcome = run(store, Scripted(store, train=[75]))
    assert outcome.outcome == "promoted"
    assert outcome.steps["train"].attempts == 2


@pytest.mark.parametrize("code", [64, 65, 66, 70, 77, 79])
def test_a_lasting_fault_is_not_repeated_and_is_the_runs_code(store: ObjectStore, code: int) -> None:
    executor = Scripted(store, evaluate=[code])
    outcome = run(store, executor)
    assert executor.attempts[-1] == ("evaluate", 1)
    assert (outcome.outcome, outcome.exit_code) == ("failed", code)
    assert outcome.error is not None
    assert outcome.error.message == "it broke"


@pytest.mark.parametrize("code", [134, 137, 139, 143])
def test_a_killed_step_makes_the_run_end_with_75_and_keeps_the_class(store: ObjectStore, code: int) -> None:
    outcome = run(store, Scripted(store, train=[code] * 3))
    assert outcome.exit_code == 75
    assert outcome.error is not None
    assert (outcome.error.error_class, outcome.error.exit_code) == ("killed", code)


def test_each_attempts_log_is_kept(store: ObjectStore) -> None:
    outcome = run(store, Scripted(store, train=[75]))
    assert outcome.run_id is not None
    for number in (1, 2):
        assert store.under("loans/").get(keys.attempt_log(outcome.run_id, "train", number)) == b"log"


def test_the_run_of_a_dead_coordinator_is_settled_by_the_next_one(store: ObjectStore) -> None:
    inner = store.under("loans/")
    put_run(inner, run_record("20261120t070000-dead"))
    put_manifest(inner, extract_manifest("20261120t070000-dead"))
    gone = this_process("20261120t070000-dead").model_copy(update={"process_started": "0"})
    inner.swap(keys.ref("lock"), LockRef(token="t", generation=1, holder=gone, ttl_seconds=60).to_json(), None)
    assert run(store, Scripted(store)).outcome == "promoted"
    dead = read_outcome(inner, "20261120t070000-dead")
    assert dead is not None
    assert dead.error is not None
    assert (dead.outcome, dead.error.error_class) == ("failed", "killed")


def test_a_run_that_was_settled_by_another_stops_before_its_next_step(store: ObjectStore) -> None:
    class Settled(Scripted):
        def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
            inner = store.under("loans/")
            found = Outcome(
                pipeline="loans",
                run_id=attempt.run_id,
                outcome="failed",
                as_of=datetime.now(UTC),
                exit_code=75,
                finished_at=datetime.now(UTC),
            )
            inner.create(keys.outcome(attempt.run_id), found.to_json())
            return super().execute(attempt, tell)

    executor = Settled(store)
    outcome = run(store, executor)
    assert executor.attempts == [("extract", 1)]
    assert outcome.exit_code == 75


def test_a_terminated_coordinator_writes_the_outcome_and_frees_the_lock(store: ObjectStore) -> None:
    class Ending(Scripted):
        def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
            raise TerminatedError("terminated by SIGTERM")

    events: list[Event] = []
    with pytest.raises(TerminatedError):
        run(store, Ending(store), events)
    started = next(event for event in events if isinstance(event, RunStarted))
    inner = store.under("loans/")
    outcome = read_outcome(inner, started.run.run_id)
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.outcome, outcome.error.error_class) == ("failed", "killed")
    assert LockRef.from_json(inner.get(keys.ref("lock")), "lock").holder is None


def test_an_as_of_in_the_future_is_refused(store: ObjectStore) -> None:
    runner = Runner(store, Scripted(store), lambda event: None)
    with pytest.raises(ConfigError, match="lies in the future"):
        runner.run(request(as_of=datetime.now(UTC) + timedelta(days=1)))


def test_a_step_that_ends_with_0_and_leaves_no_manifest_fails_the_run(store: ObjectStore) -> None:
    class Silent(Scripted):
        def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
            return Ended(OK, None, b"")

    outcome = run(store, Silent(store))
    assert (outcome.outcome, outcome.exit_code) == ("failed", 66)


@pytest.mark.parametrize(
    "line", ["[" * 16_000, '{"event": "progress", "text": {"a": 1}}', '{"event": ["progress"]}', "9" * 5000]
)
def test_whatever_a_step_writes_is_told_and_hinders_nothing(store: ObjectStore, line: str) -> None:
    class Writing(Scripted):
        def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
            tell(line)
            return super().execute(attempt, tell)

    events: list[Event] = []
    assert Runner(store, Writing(store), events.append).run(request()).outcome == "promoted"
    told = [event for event in events if isinstance(event, StepTold)]
    assert [event.text for event in told] == [None] * 4

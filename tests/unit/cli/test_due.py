"""`refit run FILE --if-due`: a run only when the schedule has asked for one since the last began."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from refit.cli import executors
from refit.cli.due import NoSchedule, read_due
from refit.core.config import parse_pipeline
from refit.core.lock import Lock
from refit.core.runs import run_ids
from refit.core.store import ObjectStore
from tests.fixtures.calls import Call
from tests.fixtures.past_runs import FIRST, SECOND
from tests.fixtures.records import FILE, file, put_run, run_record
from tests.unit.cli.test_run import Acted

WEEKLY = parse_pipeline(file(schedule={"cron": "0 5 * * 1", "timezone": "America/New_York"}), "refit.yaml")
MONDAY = datetime(2026, 11, 23, 10, tzinfo=UTC)  # 05:00 in New York
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("began", "now", "is_due", "at"),
    [
        (None, MONDAY, True, None),
        (MONDAY - 60 * MINUTE, MONDAY - MINUTE, False, MONDAY),
        (MONDAY - 60 * MINUTE, MONDAY, True, MONDAY),
        (MONDAY, MONDAY + MINUTE, False, MONDAY + timedelta(days=7)),
        (MONDAY + MINUTE, MONDAY + timedelta(days=6), False, MONDAY + timedelta(days=7)),
        (MONDAY + MINUTE, MONDAY + timedelta(days=30), True, MONDAY + timedelta(days=7)),
    ],
    ids=["never-ran", "a-minute-before", "on-the-minute", "began-on-it", "not-yet", "missed"],
)
def test_a_run_is_due_when_a_scheduled_moment_has_come_since_the_last_began(
    store: ObjectStore, began: datetime | None, now: datetime, is_due: bool, at: datetime | None
) -> None:
    if began is not None:
        put_run(store, run_record(FIRST, created_at=began, as_of=now - timedelta(days=900)))
    found = read_due(store, WEEKLY, now)
    assert (found.is_due, found.at) == (is_due, at)
    assert found.sentence(local=False).startswith("due" if is_due else "not due until")


def test_a_rerun_is_no_run_of_the_schedule(store: ObjectStore) -> None:
    put_run(store, run_record(FIRST, created_at=MONDAY - MINUTE))
    put_run(store, run_record(SECOND, created_at=MONDAY + MINUTE, parent=FIRST))
    assert read_due(store, WEEKLY, MONDAY + 2 * MINUTE).is_due


def test_a_day_that_never_comes_is_never_due(store: ObjectStore) -> None:
    never = parse_pipeline(file(schedule={"cron": "0 0 30 2 *"}), "refit.yaml")
    put_run(store, run_record(FIRST))
    assert not read_due(store, never, MONDAY + timedelta(days=9999)).is_due
    assert read_due(store, never, MONDAY).sentence(local=False).startswith(f"not due: {FIRST}")


def test_without_a_schedule_nothing_is_due(store: ObjectStore) -> None:
    with pytest.raises(NoSchedule, match="never due"):
        read_due(store, parse_pipeline(FILE, "refit.yaml"), MONDAY)


@pytest.fixture
def scheduled(root: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "LocalExecutor", lambda: Acted(root, {}, None, None))
    Path("refit.yaml").write_bytes(file(schedule={"cron": "0 0 1 1 *"}))


@pytest.mark.usefixtures("scheduled")
def test_of_two_calls_at_once_the_second_finds_the_run_of_the_first(
    store: ObjectStore, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = run_record(FIRST, created_at=datetime.now(UTC))
    acquire = Lock.acquire

    def acquired_when_the_other_ended(*args: Any) -> Any:
        put_run(store, began)
        return acquire(*args)

    monkeypatch.setattr(Lock, "acquire", acquired_when_the_other_ended)
    called = call("run", "refit.yaml", "--if-due", "--json")
    assert (called.code, called.document["due"]) == (0, False)
    assert called.document["last_run"]["run_id"] == FIRST
    assert list(run_ids(store)) == [FIRST]


@pytest.mark.usefixtures("scheduled")
def test_the_first_call_runs_and_the_next_ends_at_once_with_0(store: ObjectStore, call: Call) -> None:
    first = call("run", "refit.yaml", "--if-due", "--json")
    assert (first.code, first.document["outcome"]) == (0, "promoted")
    assert "due: no run has begun yet" in first.err
    second = call("run", "refit.yaml", "--if-due", "--json")
    document = second.document
    assert (second.code, document["run_id"], document["outcome"], document["due"]) == (0, None, None, False)
    assert document["due_at"].endswith("-01-01T00:00:00Z")
    assert document["last_run"]["run_id"] == first.document["run_id"]
    third = call("run", "refit.yaml", "--if-due")
    assert (third.code, third.out) == (0, "")
    assert f"not due until 20{document['due_at'][2:4]}-01-01 00:00 UTC: {first.document['run_id']}" in third.err
    assert len(list(run_ids(store))) == 1


def test_without_a_schedule_the_call_is_refused(root: ObjectStore, call: Call) -> None:
    Path("refit.yaml").write_bytes(FILE)
    called = call("run", "refit.yaml", "--if-due", "--json")
    assert called.code == 64
    assert "never due" in called.document["error"]["message"]

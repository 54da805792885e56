"""What a webhook is told of: each change of state once, by a real server on loopback."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from refit.cli import notices
from refit.cli.notices import tell_of_run
from refit.core import artifacts, hand, keys
from refit.core.domain import Failure, Outcome, ToldRef
from refit.core.refs import read_ref
from refit.core.store import ObjectStore
from refit.core.webhook import NotTold
from tests.fixtures.calls import Call
from tests.fixtures.past_runs import put_awaiting, put_failed, put_promoted, put_rejected
from tests.fixtures.records import NOW, file, run_record
from tests.fixtures.webhook import Receiver, receiver

__all__ = ["receiver"]
VARIABLE = "TEAM_CHANNEL"
DAY = timedelta(days=1)
Put = Callable[[ObjectStore, str, datetime], Outcome]


class Days:
    """A pipeline that runs once a day, with a webhook."""

    def __init__(self, store: ObjectStore, **sections: Any) -> None:
        self.store, self.day = store, 0
        self.file = file(notify={"webhook_env": VARIABLE}, **sections)

    def run(self, put: Put, **changes: Any) -> str:
        """The next day's run has ended so; returns why the webhook was not told."""
        self.day += 1
        at = NOW + self.day * DAY
        run_id = f"{at:%Y%m%dt%H%M%S}-aaaa"
        outcome = put(self.store, run_id, at).model_copy(update=changes)
        return self.tell(outcome)

    def tell(self, outcome: Outcome) -> str:
        assert outcome.run_id is not None
        key = keys.pipeline_file(outcome.run_id)
        self.store.put(key, self.file)
        record = run_record(outcome.run_id, file=artifacts.describe(key, self.file))
        self.store.put(keys.run_record(outcome.run_id), record.to_json())
        return tell_of_run(self.store, record, outcome, os.environ)


@pytest.fixture
def days(store: ObjectStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Days:
    monkeypatch.setenv(VARIABLE, receiver.url)
    return Days(store, slo={"max_age": "10d"})


def failure(error_class: str, message: str = "the database is away") -> Failure:
    return Failure(error_class=error_class, type="X", step="extract", exit_code=75, message=message)


def test_each_change_is_told_once_and_an_equal_state_not_again(days: Days, receiver: Receiver) -> None:
    for put in (put_promoted, put_rejected, put_failed, put_failed, put_failed, put_rejected, put_rejected):
        assert days.run(put) == ""
    heads = [text.splitlines()[0] for text in receiver.texts]
    assert [head.split(":")[0] for head in heads] == [
        "loans promoted 20261121t070000-aaaa, the first",
        "loans failed in extract (data)",
        "loans is well again, after it had failed",
    ]


def test_a_failure_says_what_why_and_what_next(days: Days, receiver: Receiver) -> None:
    days.run(put_promoted)
    days.run(put_failed)
    head, production, following = receiver.texts[-1].splitlines()
    assert head == 'loans failed in extract (data): column "temp" is gone from the query\'s result'
    assert production.startswith("In production: 20261121t070000-aaaa, confirmed ")
    assert production.endswith("; objective 10 days: ok")
    assert following.startswith("Next: add the column or take it out of the file, then:  refit rerun loans 20261122t0")


def test_another_class_of_failure_is_a_change(days: Days, receiver: Receiver) -> None:
    for error_class in ("data", "dependency", "dependency", "data"):
        days.run(put_failed, error=failure(error_class))
    assert [text.split("(")[1].split(")")[0] for text in receiver.texts] == ["data", "dependency", "data"]


def test_a_version_that_waits_is_told_with_the_command_that_promotes_it(days: Days, receiver: Receiver) -> None:
    days.run(put_promoted)
    days.run(put_awaiting)
    days.run(put_awaiting)
    assert len(receiver.texts) == 2
    assert receiver.texts[1].startswith("loans awaits approval: the new labels contradict the old\n")
    assert receiver.texts[1].endswith("Next: refit promote loans 20261122t070000-aaaa --reason '…'")


def test_a_run_that_another_overtook_changes_nothing(days: Days, receiver: Receiver) -> None:
    days.run(put_failed)
    days.run(put_failed, outcome="superseded", error=failure("superseded"))
    days.run(put_failed)
    assert len(receiver.texts) == 1


def test_a_first_rejection_is_nothing_to_tell(days: Days, receiver: Receiver) -> None:
    days.run(put_rejected)
    assert receiver.texts == []


def test_with_record_failures_are_written_and_told_to_nobody(
    store: ObjectStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, receiver.url)
    days = Days(store, slo={"on_failure": "record"})
    for put in (put_promoted, put_failed, put_rejected):
        assert days.run(put) == ""
    assert len(receiver.texts) == 1


def test_without_a_webhook_nothing_is_asked_and_nothing_written(store: ObjectStore) -> None:
    run = run_record()
    store.put(run.file.key, file())
    assert tell_of_run(store, run, put_failed(store, run.run_id, NOW), {}) == ""
    assert read_ref(store, "told", ToldRef) is None


@pytest.mark.parametrize("what", ["unset", "refused", "answers 500"])
def test_what_could_not_be_told_is_recorded_and_told_by_the_next_run(
    days: Days, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    if what == "unset":
        monkeypatch.delenv(VARIABLE)
    elif what == "refused":
        monkeypatch.setenv(VARIABLE, "http://127.0.0.1:1/secret-secret")
    else:
        receiver.status = 500
    reason = days.run(put_failed)
    assert VARIABLE in reason
    assert "secret" not in reason
    key = keys.untold("20261121t070000-aaaa")
    assert NotTold.from_json(days.store.get(key), key).reason == reason
    receiver.status = 200
    receiver.documents.clear()
    monkeypatch.setenv(VARIABLE, receiver.url)
    assert days.run(put_failed) == ""
    assert days.run(put_failed) == ""
    assert len(receiver.texts) == 1


def test_a_process_that_dies_before_it_notes_what_it_told_tells_it_once_more(
    days: Days, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(notices, "_note", lambda *_: (_ for _ in ()).throw(SystemExit()))
        with pytest.raises(SystemExit):
            days.run(put_failed)
    days.run(put_failed)
    days.run(put_failed)
    assert len(receiver.texts) == 2


def test_an_end_is_told_once_by_whoever_comes_to_it(days: Days, receiver: Receiver) -> None:
    """A coordinator that was restarted after its run's outcome tells it, unless that or a later one was told."""
    outcome = put_failed(days.store, "20261121t070000-aaaa", NOW + DAY)
    for _ in range(2):
        days.tell(outcome)
    days.day = 1
    days.run(put_rejected)
    days.tell(outcome)
    assert len(receiver.texts) == 2


def test_moves_by_hand_are_told(days: Days, receiver: Receiver, call: Call) -> None:
    days.run(put_promoted)
    days.run(put_promoted)
    days.run(put_awaiting)
    assert call("rollback", "loans", "--reason", "late <flights> are missed").code == 0
    assert call("release", "loans", "--reason", "settled").code == 0
    assert call("promote", "loans", "20261123t070000-aaaa", "--reason", "agreed").code == 0
    heads = [text.splitlines()[0] for text in receiver.texts[3:]]
    assert heads == [
        "loans: tests went back to 20261121t070000-aaaa (was 20261122t070000-aaaa): late &lt;flights&gt; are missed",
        "loans: tests lifted the hold; the champion stays 20261121t070000-aaaa: settled",
        "loans: tests promoted 20261123t070000-aaaa (was 20261121t070000-aaaa): agreed",
    ]
    assert "promotions are on hold" in receiver.texts[3]
    assert days.run(put_rejected) == ""
    assert len(receiver.texts) == 6


def test_a_run_is_told_whatever_the_clock_of_a_person_who_moved_the_champion_says(
    days: Days, receiver: Receiver, call: Call
) -> None:
    days.day = -10  # all runs end before the move, by the person's clock
    days.run(put_promoted)
    days.run(put_promoted)
    assert call("rollback", "loans", "--reason", "worse").code == 0
    assert days.run(put_failed) == ""
    assert receiver.texts[-1].startswith("loans failed in extract (data)")


def test_a_move_that_nobody_could_be_told_of_stands_and_warns(
    days: Days, receiver: Receiver, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    days.run(put_promoted)
    days.run(put_promoted)
    monkeypatch.delenv(VARIABLE)
    called = call("rollback", "loans", "--reason", "worse")
    assert called.code == 0
    assert "warning" in called.err
    assert f"nobody was told of the move: the environment variable {VARIABLE} is not set" in called.err
    monkeypatch.setenv(VARIABLE, receiver.url)
    days.run(put_rejected)
    assert "Before that tests went back to 20261121t070000-aaaa" in receiver.texts[-1]


def test_a_promotion_by_hand_repairs_no_run(days: Days, receiver: Receiver) -> None:
    days.run(put_promoted)
    days.run(put_failed)
    days.run(put_awaiting)
    days.run(put_failed)
    hand.promote(days.store, "20261123t070000-aaaa", who="me", why="agreed", now=NOW + 9 * DAY)
    days.run(put_failed)
    assert "Before that me promoted 20261123t070000-aaaa" in receiver.texts[-1]


def test_what_stands_in_the_way_is_told(days: Days, receiver: Receiver) -> None:
    days.run(put_promoted)
    days.store.put(keys.ref("told"), b"{")
    assert "what the webhook has to be told is not known: refs/told.json" in days.run(put_failed)
    assert len(receiver.texts) == 1


def test_a_file_that_cannot_be_read_names_nobody(days: Days, receiver: Receiver, call: Call) -> None:
    days.run(put_promoted)
    days.run(put_promoted)
    days.store.put(keys.pipeline_file("20261122t070000-aaaa"), b"apiVersion: refit/v9")
    called = call("rollback", "loans", "--reason", "worse")
    assert (called.code, len(receiver.texts)) == (0, 2)
    assert "nobody was told" not in called.err


def test_check_and_plan_say_that_nobody_would_be_told(
    root: ObjectStore, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "refit.yaml"
    path.write_bytes(file(notify={"webhook_env": VARIABLE}))
    monkeypatch.delenv(VARIABLE, raising=False)
    called = call("check", str(path), "--fast", "--json")
    (warning,) = called.document["warnings"]
    assert warning == f"notify.webhook_env: {VARIABLE} is not set here; where runs begin, it has to be"
    monkeypatch.setenv(VARIABLE, "https://hooks.example.com/x")
    assert call("check", str(path), "--fast", "--json").document["warnings"] == []


def test_messages_have_no_secret(days: Days, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFIT_SOURCE_DSN", "postgresql://reader:hunter2hunter2@db/x")
    days.run(put_failed, error=failure("dependency", "no route to postgresql://reader:hunter2hunter2@db/x"))
    assert "hunter2" not in receiver.texts[0]

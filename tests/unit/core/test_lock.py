"""One run at a time, whoever starts it, and a dead holder is no obstacle."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from refit.core import keys
from refit.core.domain import Holder, LockRef
from refit.core.errors import UnknownFormat
from refit.core.lock import TTL_SECONDS, Lock, LockBusy, LockDamaged, LockLost, is_gone, this_process
from refit.core.store import Entry, ObjectStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}")


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def lock(store: ObjectStore, run_id: str, settled: list[str] | None = None) -> Lock:
    return Lock(store, this_process(run_id), (settled if settled is not None else []).append)


def acquire(asked: Lock, wait: float = 0.0) -> Lock:
    time = Time()
    return asked.acquire(wait, time.clock, time.sleep, lambda holder: None)


def holder_of(store: ObjectStore) -> Holder | None:
    return LockRef.from_json(store.get(keys.ref("lock")), "lock").holder


def test_the_lock_names_its_holder_and_is_free_afterwards(store: ObjectStore) -> None:
    with acquire(lock(store, "a")):
        holder = holder_of(store)
        assert holder is not None
        assert holder.run_id == "a"
    assert holder_of(store) is None


def test_a_second_run_waits_as_long_as_asked_and_then_gives_up(store: ObjectStore) -> None:
    with acquire(lock(store, "a")), pytest.raises(LockBusy, match="run a is going on") as caught:
        acquire(lock(store, "b"), wait=TTL_SECONDS - 1)
    assert caught.value.exit_code == 79


def test_a_lock_that_is_freed_while_it_is_asked_for_is_taken_at_once(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acquire(lock(store, "a")):
        pass
    asked, entry = lock(store, "b"), store.entry

    def freed_after_the_look(key: str) -> Entry:
        found = entry(key)
        monkeypatch.setattr(store, "entry", entry)
        with acquire(lock(store, "c")):
            pass
        return found

    monkeypatch.setattr(store, "entry", freed_after_the_look)
    with acquire(asked):
        holder = holder_of(store)
        assert holder is not None
        assert holder.run_id == "b"


def test_a_waiting_run_goes_on_as_soon_as_the_first_ends(store: ObjectStore) -> None:
    told: list[Holder] = []
    first, time = acquire(lock(store, "a")), Time()

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if time.now > 5:
            first.__exit__(None, None, None)

    with lock(store, "b").acquire(120, time.clock, sleep, told.append):
        holder = holder_of(store)
        assert holder is not None
        assert holder.run_id == "b"
    assert time.now < 10
    assert [other.run_id for other in told] == ["a"]


def test_the_lock_of_a_process_that_is_gone_is_taken_at_once_and_its_run_settled_first(store: ObjectStore) -> None:
    code = (
        "import os, sys; from refit.core.store import open_store; from refit.core.lock import Lock, this_process\n"
        "Lock(open_store(sys.argv[1]), this_process('dead'), print).acquire(0, float, print, print); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, store.url], check=False)
    holder = holder_of(store)
    assert holder is not None
    assert is_gone(holder)
    settled: list[str] = []
    with acquire(lock(store, "b", settled)):
        assert settled == ["dead"]


def test_a_lock_from_the_future_is_taken_when_it_does_not_change(store: ObjectStore, tmp_path: Path) -> None:
    away = Holder(run_id="away", host="another", process=1, process_started="1")
    ref = LockRef(token="t", generation=1, holder=away, ttl_seconds=TTL_SECONDS)
    tag = store.swap(keys.ref("lock"), ref.to_json(), None)
    tomorrow = datetime.now(UTC) + timedelta(days=1)  # its clock was wrong, or this one was put back
    path, time, settled = tmp_path / keys.ref("lock"), Time(), list[str]()
    os.utime(path, (tomorrow.timestamp(),) * 2)

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if time.now == 30:  # renewed once more
            store.swap(keys.ref("lock"), ref.model_copy(update={"token": "u"}).to_json(), tag)
            os.utime(path, (tomorrow.timestamp(),) * 2)

    with lock(store, "b", settled).acquire(120, time.clock, sleep, lambda holder: None):
        assert settled == ["away"]
    assert 30 + TTL_SECONDS < time.now < 30 + TTL_SECONDS + 3


def test_the_lock_of_another_machine_is_taken_only_when_it_is_too_old(store: ObjectStore) -> None:
    away = Holder(run_id="away", host="another", process=1, process_started="1")
    old = LockRef(token="t", generation=1, holder=away, ttl_seconds=3600)
    tag = store.swap(keys.ref("lock"), old.to_json(), None)
    with pytest.raises(LockBusy):
        acquire(lock(store, "b"))
    store.swap(keys.ref("lock"), old.model_copy(update={"ttl_seconds": -1, "token": "u"}).to_json(), tag)
    settled: list[str] = []
    with acquire(lock(store, "b", settled)):
        assert settled == ["away"]


def test_a_damaged_lock_is_refused_until_it_is_deleted_as_told(store: ObjectStore) -> None:
    key = keys.ref("lock")
    store.swap(key, b"{", None)
    with pytest.raises(LockDamaged, match=r"refs/lock\.json is not a valid") as caught:
        acquire(lock(store, "a"))
    assert caught.value.exit_code == 66
    assert f"delete {key} in {store.url}" in caught.value.next
    store.delete(key)
    with acquire(lock(store, "a")):
        assert holder_of(store) is not None


def test_a_lock_of_a_later_format_is_refused_with_the_version_that_knows_it(store: ObjectStore) -> None:
    later = LockRef(token="t", generation=1, holder=None, ttl_seconds=60).to_json()
    store.swap(keys.ref("lock"), later.replace(b'"format": 1', b'"format": 2'), None)
    with pytest.raises(UnknownFormat, match="format 2"):
        acquire(lock(store, "a"))


def test_a_holder_that_finds_another_token_stops(store: ObjectStore) -> None:
    held = acquire(lock(store, "a"))
    held.check()
    tag = store.entry(keys.ref("lock")).tag
    thief = LockRef(token="t", generation=9, holder=this_process("b"), ttl_seconds=60)
    store.swap(keys.ref("lock"), thief.to_json(), tag)
    with pytest.raises(LockLost):
        held.check()
    held.__exit__(None, None, None)
    holder = holder_of(store)
    assert holder is not None
    assert holder.run_id == "b"


def test_the_restarted_coordinator_of_a_run_takes_its_own_lock(store: ObjectStore) -> None:
    acquire(lock(store, "a"))
    settled: list[str] = []
    with acquire(lock(store, "a", settled)):
        assert settled == []


def test_a_holder_that_ends_by_an_error_leaves_the_lock_for_whoever_settles_its_run(store: ObjectStore) -> None:
    with pytest.raises(ZeroDivisionError), acquire(lock(store, "a")):
        raise ZeroDivisionError
    holder = holder_of(store)
    assert holder is not None
    assert holder.run_id == "a"

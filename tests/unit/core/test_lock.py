"""One run at a time, whoever starts it, and a dead holder is no obstacle."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from refit.core import keys
from refit.core.domain import Holder, LockRef
from refit.core.errors import DependencyError, UnknownFormat
from refit.core.lock import TTL_SECONDS, Lock, LockBusy, LockDamaged, LockLost, is_gone, this_process
from refit.core.store import Conflict, Entry, ObjectStore, open_store
from tests.faults.gates import wait_until


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


class Answers:
    """The store does what it is asked for, and while answers are lost nobody who asks it to swap hears of it."""

    def __init__(self, store: ObjectStore, patch: pytest.MonkeyPatch) -> None:
        self.swap, self._losing, self._lost = store.swap, False, 0
        patch.setattr("refit.core.lock.RENEW_SECONDS", 0.005)
        patch.setattr(store, "swap", self._swapped)

    def _swapped(self, key: str, body: bytes, tag: str | None) -> str:
        if not self._losing:
            return self.swap(key, body, tag)
        with suppress(Conflict):
            self.swap(key, body, tag)
        self._lost += 1
        raise DependencyError("the answer was lost")

    @contextmanager
    def lost(self, number: int) -> Iterator[None]:
        """So many were lost before the block, and all are lost in it."""
        self._losing = True
        self.wait_for(number)
        yield
        self._losing = False

    def wait_for(self, number: int) -> None:
        """So many more are lost."""
        before = self._lost
        wait_until(lambda: self._lost >= before + number, "the answers are lost")


@pytest.fixture
def answers(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Answers:
    return Answers(store, monkeypatch)


def wait_for_renewals(store: ObjectStore) -> None:
    first = LockRef.from_json(store.get(keys.ref("lock")), "lock").generation
    wait_until(
        lambda: LockRef.from_json(store.get(keys.ref("lock")), "lock").generation > first + 1, "the lock is renewed"
    )


@pytest.mark.parametrize("number", [1, 3])
def test_a_renewal_whose_answer_was_lost_is_ones_own(store: ObjectStore, answers: Answers, number: int) -> None:
    with acquire(lock(store, "a")) as held:
        for _ in range(2):
            with answers.lost(number):
                held.check()
            wait_for_renewals(store)
            held.check()
    assert holder_of(store) is None


def test_a_lock_is_freed_also_when_the_answer_of_its_last_renewal_was_lost(
    store: ObjectStore, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = acquire(lock(store, "a"))
    with answers.lost(1):
        monkeypatch.setattr("refit.core.lock.RENEW_SECONDS", 15)
        answers.wait_for(1)
    held.free()
    assert holder_of(store) is None


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("freed", [False, True], ids=["holds it", "has freed it"])
def test_a_lost_answer_does_not_hide_that_another_run_took_the_lock(
    store: ObjectStore, answers: Answers, number: int, freed: bool
) -> None:
    held, key = acquire(lock(store, "a")), keys.ref("lock")
    with answers.lost(number):
        thief = LockRef(token="t", generation=9, holder=None if freed else this_process("b"), ttl_seconds=60)
        taken(store, lambda tag: answers.swap(key, thief.to_json(), tag))
    for _ in range(2):
        with pytest.raises(LockLost):
            held.check()
    held.__exit__(None, None, None)
    assert LockRef.from_json(store.get(key), key) == thief


def taken(store: ObjectStore, swap: Callable[[str], str]) -> None:
    """The lock is another's, whatever its holder writes meanwhile."""
    while True:
        with suppress(Conflict):
            swap(store.entry(keys.ref("lock")).tag)
            return


def test_a_process_of_the_same_run_that_took_the_lock_is_another_holder(store: ObjectStore, answers: Answers) -> None:
    first = acquire(lock(store, "a"))
    with answers.lost(1):
        pass
    second = acquire(lock(store, "a"), wait=60)  # the first one may renew it at this moment
    with pytest.raises(LockLost):
        first.check()
    wait_for_renewals(store)
    with second:
        second.check()


def test_a_holder_whose_lock_is_gone_stops(store: ObjectStore) -> None:
    held = acquire(lock(store, "a"))
    store.delete(keys.ref("lock"))
    with pytest.raises(LockLost):
        held.check()
    held.free()
    assert not store.exists(keys.ref("lock"))

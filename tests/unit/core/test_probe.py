"""A store that does not honour its conditions is found out, and a good one is asked once in 30 days."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from refit.core import keys
from refit.core.errors import AccessError, DependencyError
from refit.core.local_store import LocalStore
from refit.core.probe import DAYS, RACERS, probe
from refit.core.store import ConditionsIgnored, Conflict, ObjectStore

NOW = datetime(2026, 11, 20, 7, tzinfo=UTC)
RESULT = keys.PROBE + "result.json"


class Clock:
    """The store's own clock."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return datetime.now().timestamp() + self.ahead  # noqa: DTZ005, seconds since the epoch


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> LocalStore:
    return LocalStore(tmp_path / "store", clock=clock)


class Careless(LocalStore):
    """A folder that honours only the conditions it is told to; `asked` counts the conditional writes."""

    create_is_checked = True
    swap_is_checked = True
    asked = 0
    guard = threading.Lock()

    def under(self, prefix: str) -> "Careless":
        below = type(self)(self._root, self._prefix + prefix)
        below.__dict__.update({name: value for name, value in vars(self).items() if not name.startswith("_")})
        return below

    def create(self, key: str, body: bytes) -> str:
        with Careless.guard:
            Careless.asked += 1
        return super().create(key, body) if self.create_is_checked else self.unchecked(key, body)

    def swap(self, key: str, body: bytes, tag: str | None) -> str:
        with Careless.guard:
            Careless.asked += 1
        return super().swap(key, body, tag) if self.swap_is_checked else self.unchecked(key, body)

    def unchecked(self, key: str, body: bytes) -> str:
        self.put(key, body)
        return self.entry(key).tag


class Deaf(Careless):
    """Refuses every swap."""

    def swap(self, key: str, body: bytes, tag: str | None) -> str:
        raise Conflict(key)


class Denied(Careless):
    def create(self, key: str, body: bytes) -> str:
        raise AccessError("read-only")


class Unreachable(Careless):
    """Goes away before the race begins."""

    def exists(self, key: str) -> bool:
        raise DependencyError("away")


def left(store: ObjectStore) -> list[str]:
    return [found.key for found in store.list("")]


def test_a_good_store_passes_and_only_the_result_stays(store: LocalStore) -> None:
    probe(store, now=NOW)
    assert left(store) == [RESULT]
    assert b'"probed_at": "2026-11-20T07:00:00Z"' in store.get(RESULT)


def test_the_result_counts_for_30_days_by_the_stores_clock(tmp_path: Path, clock: Clock) -> None:
    store = Careless(tmp_path / "store", clock=clock)
    probe(store, now=NOW)
    Careless.asked = 0
    clock.ahead = timedelta(days=DAYS - 1).total_seconds()
    probe(store, now=NOW)
    assert Careless.asked == 0
    clock.ahead = timedelta(days=DAYS + 1).total_seconds()
    probe(store, now=NOW)
    assert Careless.asked >= 2 * RACERS


@pytest.mark.parametrize("result", [b"", b"{}", b'{"format": 2}', b"\xff"], ids=["empty", "bare", "newer", "binary"])
def test_a_result_that_cannot_be_read_is_made_anew(store: LocalStore, result: bytes) -> None:
    store.put(RESULT, result)
    probe(store, now=NOW)
    assert store.get(RESULT) != result


def test_a_result_that_came_with_a_copy_of_the_store_does_not_count(tmp_path: Path) -> None:
    original = LocalStore(tmp_path / "original")
    probe(original, now=NOW)
    copy = Careless(tmp_path / "copy")
    copy.put(RESULT, original.get(RESULT))
    copy.create_is_checked = False
    with pytest.raises(ConditionsIgnored):
        probe(copy, now=NOW)


@pytest.mark.parametrize(
    ("create_is_checked", "swap_is_checked", "seen"),
    [
        (False, True, f"of {RACERS} writers that raced to create the same object, {RACERS} won"),
        (True, False, f"of {RACERS} writers that raced to replace the same version, {RACERS} won"),
        (False, False, "raced to create the same object"),
    ],
    ids=["create", "swap", "both"],
)
def test_a_store_that_ignores_conditions_is_refused(
    tmp_path: Path, create_is_checked: bool, swap_is_checked: bool, seen: str
) -> None:
    store = Careless(tmp_path / "store")
    store.create_is_checked, store.swap_is_checked = create_is_checked, swap_is_checked
    with pytest.raises(ConditionsIgnored, match=seen) as caught:
        probe(store, now=NOW)
    assert caught.value.exit_code == 64
    for server in ("AWS S3", "MinIO since 2024-04", "Ceph", "R2", "SeaweedFS from 4.18"):
        assert server in caught.value.next
    assert left(store) == []


def test_a_store_that_refuses_all_swaps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConditionsIgnored, match="raced to replace the same version, 0 won"):
        probe(Deaf(tmp_path / "store"), now=NOW)


def test_a_read_only_store_is_an_access_error(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="read-only"):
        probe(Denied(tmp_path / "store"), now=NOW)


def test_a_store_that_goes_away_is_a_dependency_error(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="away"):
        probe(Unreachable(tmp_path / "store"), now=NOW)


def test_two_probes_at_once_do_not_disturb_each_other(store: LocalStore) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            probe(store, now=NOW)
        except BaseException as error:  # noqa: BLE001, told below
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert left(store) == [RESULT]

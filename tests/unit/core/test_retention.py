"""gc deletes as long as it may, and leaves a champion whole when it has to stop."""

from datetime import timedelta
from pathlib import Path

import pytest

from refit.core import keys
from refit.core.errors import SupersededError
from refit.core.lock import LockLost
from refit.core.retention import Waste, collect
from refit.core.store import Listed, ObjectStore, open_store
from tests.fixtures.records import NOW, put_move, put_version

CHAMPION, FIRST, SECOND = "20261120t070000-aaaa", "20261120t080000-bbbb", "20261120t090000-cccc"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    found = open_store(f"file://{tmp_path}")
    for name in (CHAMPION, FIRST, SECOND):
        put_version(found, name)
    put_move(found, CHAMPION)
    return found


@pytest.fixture
def waste() -> Waste:
    objects = tuple(Listed(keys.version(name), 1, NOW - timedelta(days=365)) for name in (FIRST, SECOND))
    return Waste(objects=objects, runs=(), versions=(FIRST, SECOND), kept=0)


class Deletions:
    """So many are allowed."""

    def __init__(self, allowed: int) -> None:
        self.left = allowed

    def check(self) -> None:
        if not self.left:
            raise LockLost("a")
        self.left -= 1


@pytest.mark.parametrize("allowed", [0, 1])
def test_a_lock_that_is_lost_ends_it_before_the_next_deletion(store: ObjectStore, waste: Waste, allowed: int) -> None:
    done: list[str] = []
    with pytest.raises(LockLost):
        collect(store, waste, Deletions(allowed).check, lambda found: done.append(found.key))
    assert done == [keys.version(FIRST)][:allowed]
    assert [store.exists(keys.version(name)) for name in (FIRST, SECOND)] == [not allowed, True]


def test_a_version_that_went_before_the_lock_was_lost_and_is_the_champion_now_stands_again(
    store: ObjectStore, waste: Waste
) -> None:
    def promote(found: Listed) -> None:
        put_move(store, keys.version_of(found.key))

    body = store.get(keys.version(FIRST))
    with pytest.raises(SupersededError, match=f"{FIRST} was promoted meanwhile"):
        collect(store, waste, Deletions(1).check, promote)
    assert store.get(keys.version(FIRST)) == body
    assert store.exists(keys.version(SECOND))

"""One owner runs a pipeline on a store, until another one takes it over."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from refit.core.domain import OwnerRef
from refit.core.owner import OtherOwner, claim
from refit.core.refs import read_ref
from refit.core.store import ObjectStore, open_store

NOW = datetime(2026, 11, 20, 7, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}")


def owner(store: ObjectStore) -> OwnerRef:
    found = read_ref(store, "owner", OwnerRef)
    assert found is not None
    return found[0]


def test_the_first_run_names_the_owner_and_its_next_runs_change_nothing(store: ObjectStore) -> None:
    claim(store, "blue", adopt=False, who="me", now=NOW)
    claim(store, "blue", adopt=True, who="me", now=NOW)
    assert (owner(store).owner, owner(store).generation) == ("blue", 1)


def test_another_owner_is_refused_until_it_adopts_and_then_the_first_one_is(store: ObjectStore) -> None:
    claim(store, "blue", adopt=False, who="me", now=NOW)
    with pytest.raises(OtherOwner, match="run by 'blue' since 2026-11-20 07:00 UTC, and this is 'green'") as caught:
        claim(store, "green", adopt=False, who="me", now=NOW)
    assert caught.value.exit_code == 64
    assert "--adopt" in caught.value.next
    claim(store, "green", adopt=True, who="me", now=NOW)
    assert (owner(store).owner, owner(store).generation) == ("green", 2)
    with pytest.raises(OtherOwner):
        claim(store, "blue", adopt=False, who="me", now=NOW)


def test_of_many_first_runs_at_once_those_of_one_owner_go_on(store: ObjectStore) -> None:
    refused: list[str] = []

    def run(name: str) -> None:
        try:
            claim(store, name, adopt=False, who="me", now=NOW)
        except OtherOwner:
            refused.append(name)

    names = [f"owner-{number % 4}" for number in range(16)]
    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert owner(store).generation == 1
    assert sorted(refused) == sorted(name for name in names if name != owner(store).owner)

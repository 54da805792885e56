"""Exclusions: made, taken back, kept with who, when and why, and never lost to another writer."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from refit.core import exclusions, keys
from refit.core.domain import ExclusionsRef
from refit.core.errors import ConfigError
from refit.core.exclusions import ExclusionsMoved, NoSuchExclusion, TooManyExclusions
from refit.core.refs import read_ref
from refit.core.store import Conflict, ObjectStore, open_store

NOW = datetime(2026, 11, 21, tzinfo=UTC)
WHO: dict[str, Any] = {"who": "a person", "why": "a broken join", "now": NOW}


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    return open_store(f"file://{tmp_path_factory.mktemp('store')}").under("loans/")


def test_an_exclusion_stands_until_it_is_taken_back_and_is_remembered_after(store: ObjectStore) -> None:
    assert exclusions.read_exclusions(store) == ()
    first = exclusions.exclude(store, "a = 1", **WHO)
    second = exclusions.exclude(store, "a = 2", **WHO)
    assert (first.number, second.number, first.who, first.why, first.at) == (1, 2, "a person", "a broken join", NOW)
    assert exclusions.standing(store) == (first, second)
    undone = exclusions.undo(store, 1, who="another", why="it was right", now=NOW)
    assert undone.undone is not None
    assert (undone.undone.who, undone.undone.why) == ("another", "it was right")
    assert exclusions.standing(store) == (second,)
    assert exclusions.read_exclusions(store) == (undone, second)
    assert exclusions.exclude(store, "a = 1", **WHO).number == 3


def test_the_newest_is_taken_back_where_none_is_named(store: ObjectStore) -> None:
    for text in ("a = 1", "a = 2"):
        exclusions.exclude(store, text, **WHO)
    assert [exclusions.undo(store, None, **WHO).number for _ in range(2)] == [2, 1]
    with pytest.raises(NoSuchExclusion, match="no exclusion stands"):
        exclusions.undo(store, None, **WHO)


def test_what_does_not_stand_cannot_be_taken_back(store: ObjectStore) -> None:
    exclusions.exclude(store, "a = 1", **WHO)
    with pytest.raises(NoSuchExclusion, match="no standing exclusion 7") as caught:
        exclusions.undo(store, 7, **WHO)
    assert caught.value.next == "there are 1"


def test_the_same_condition_stands_once(store: ObjectStore) -> None:
    exclusions.exclude(store, "a = 1", **WHO)
    with pytest.raises(ConfigError, match="exclusion 1 says the same"):
        exclusions.exclude(store, "a = 1", **WHO)


def test_there_are_not_more_than_readers_bear(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exclusions, "MOST", 2)
    for text in ("a = 1", "a = 2"):
        exclusions.exclude(store, text, **WHO)
    with pytest.raises(TooManyExclusions):
        exclusions.exclude(store, "a = 3", **WHO)
    exclusions.undo(store, 1, **WHO)
    exclusions.exclude(store, "a = 3", **WHO)


def test_of_two_at_once_the_second_is_told_and_changes_nothing(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    exclusions.exclude(store, "a = 1", **WHO)
    stale = read_ref(store, "exclusions", ExclusionsRef)
    exclusions.exclude(store, "a = 2", **WHO)
    monkeypatch.setattr(exclusions, "read_ref", lambda *_: stale)
    changes: list[Callable[[], Any]] = [
        lambda: exclusions.exclude(store, "a = 3", **WHO),
        lambda: exclusions.undo(store, 1, **WHO),
    ]
    for change in changes:
        with pytest.raises(ExclusionsMoved) as caught:
            change()
        assert caught.value.exit_code == 79
        assert isinstance(caught.value.__cause__, Conflict)
    monkeypatch.undo()
    assert [one.where for one in exclusions.standing(store)] == ["a = 1", "a = 2"]


def test_generations_rise_by_one(store: ObjectStore) -> None:
    exclusions.exclude(store, "a = 1", **WHO)
    exclusions.undo(store, None, **WHO)
    found = read_ref(store, "exclusions", ExclusionsRef)
    assert found is not None
    assert found[0].generation == 2
    assert store.exists(keys.ref("exclusions"))

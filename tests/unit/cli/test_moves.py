"""`refit promote`, `rollback`, `release`: the champion moved by hand, and the history told."""

import pytest

from refit.core import keys, registry
from refit.core.domain import Move
from refit.core.store import Conflict, ObjectStore
from tests.fixtures.calls import Call
from tests.fixtures.past_runs import FIRST, SECOND, put_promoted
from tests.fixtures.records import put_version


@pytest.fixture
def two(store: ObjectStore) -> ObjectStore:
    """Two champions, one after the other."""
    put_promoted(store, FIRST)
    put_promoted(store, SECOND)
    return store


def champion(store: ObjectStore) -> Move:
    found = registry.read_champion(store)
    assert found is not None
    return found[0]


def test_promote_moves_says_so_and_how_to_take_it_back(two: ObjectStore, call: Call) -> None:
    called = call("promote", "loans", FIRST, "--reason", "agreed with the airline")
    assert called.code == 0
    assert called.out == f"the champion of loans is now {FIRST} (was {SECOND})\n"
    assert "refit rollback loans --reason" in called.err
    move = champion(two)
    assert (move.version, move.kind, move.who, move.why) == (FIRST, "promote", "tests", "agreed with the airline")
    assert registry.read_history(two)[-1] == move


def test_promote_of_a_refused_version_says_what_its_verdict_was(two: ObjectStore, call: Call) -> None:
    put_version(two, "20261121t070000-dddd", "rejected")
    called = call("promote", "loans", "20261121t070000-dddd", "--reason", "agreed")
    assert called.code == 0
    assert "its verdict was rejected" in called.err


def test_rollback_goes_back_bars_and_holds(two: ObjectStore, call: Call) -> None:
    called = call("rollback", "loans", "--reason", "late flights are missed")
    assert called.out == f"the champion of loans is now {FIRST} (was {SECOND})\n"
    assert "refit release loans" in called.err
    assert champion(two).barred == (SECOND,)
    assert champion(two).hold is not None


def test_release_lifts_the_hold_and_the_champion_stays(two: ObjectStore, call: Call) -> None:
    call("rollback", "loans", "--to", FIRST, "--reason", "bad")
    called = call("release", "loans", "--reason", "the join is mended")
    assert called.out == f"the hold on loans is lifted; its champion stays {FIRST}\n"
    assert champion(two).hold is None


def test_a_move_in_json_is_the_move(two: ObjectStore, call: Call) -> None:
    document = call("promote", "loans", FIRST, "--reason", "agreed", "--json").document
    assert set(document) == {"format", "pipeline", "move"}
    assert document["move"]["from"] == SECOND and document["move"]["to"] == FIRST
    assert document["move"] == champion(two).model_dump(mode="json", by_alias=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["promote", "loans", "nix", "--reason", "r"], "there is no version nix"),
        (["promote", "loans", SECOND, "--reason", "r"], "is the champion already"),
        (["rollback", "loans", "--to", "nix", "--reason", "r"], "there is no version nix"),
        (["release", "loans", "--reason", "r"], "promotions are not on hold"),
        (["release", "nix", "--reason", "r"], "no run of pipeline 'nix'"),
    ],
    ids=["no-version", "champion", "no-target", "no-hold", "no-pipeline"],
)
def test_a_move_that_makes_no_sense_is_64_and_moves_nothing(
    words: list[str], said: str, two: ObjectStore, call: Call
) -> None:
    before = champion(two)
    called = call(*words)
    assert called.code == 64
    assert said in called.err
    assert champion(two) == before


def test_nothing_is_left_to_roll_back_to(two: ObjectStore, call: Call) -> None:
    call("rollback", "loans", "--reason", "bad")
    called = call("rollback", "loans", "--reason", "worse")
    assert called.code == 64
    assert "no earlier champion" in called.err and "refit rollback loans --to" in called.err


class _Rival:
    """A store where another mover is always first: between reading and moving the champion, it has moved it."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def under(self, prefix: str) -> "_Rival":
        return _Rival(self._store.under(prefix))

    def swap(self, key: str, body: bytes, tag: str | None) -> str:
        if key == keys.ref("champion"):
            raise Conflict(key)
        return self._store.swap(key, body, tag)


@pytest.mark.parametrize(
    "words",
    [["promote", "loans", FIRST], ["rollback", "loans"]],
    ids=["promote", "rollback"],
)
def test_a_mover_that_comes_second_is_told_to_look_and_repeat(
    words: list[str], two: ObjectStore, root: ObjectStore, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refit.cli.place.open_store", lambda _url: _Rival(root))
    called = call(*words, "--reason", "r", "--json")
    assert called.code == 79
    assert called.document["error"]["class"] == "superseded"
    assert "refit history loans" in called.document["error"]["next"]

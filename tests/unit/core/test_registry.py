"""The champion moves by compare-and-swap, and the history tells every move."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refit.core import hand, keys, registry
from refit.core.domain import FitOn, Move, Refit
from refit.core.errors import ArtifactError, ConfigError
from refit.core.refs import read_ref
from refit.core.store import Conflict, ObjectStore, open_store
from tests.fixtures.records import NOW, put_version


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}")


@pytest.fixture
def three(store: ObjectStore) -> ObjectStore:
    """Three versions, promoted one after the other."""
    for name in ("a", "b", "c"):
        put_version(store, name)
        hand.promote(store, name, who="me", why="good", now=NOW)
    return store


def champion(store: ObjectStore) -> Move:
    found = registry.read_champion(store)
    assert found is not None
    return found[0]


def test_promote_names_the_version_and_the_history_has_one_entry_per_move(three: ObjectStore) -> None:
    assert champion(three).version == "c"
    moves = registry.read_history(three)
    assert [(move.generation, move.previous, move.version) for move in moves] == [
        (1, None, "a"),
        (2, "a", "b"),
        (3, "b", "c"),
    ]


def test_promote_of_an_unknown_version_names_those_that_stand(three: ObjectStore) -> None:
    with pytest.raises(registry.NoSuchVersion) as caught:
        hand.promote(three, "nope", who="me", why="x", now=NOW)
    assert "a, b, c" in caught.value.next


def test_promote_of_the_champion_is_refused(three: ObjectStore) -> None:
    with pytest.raises(ConfigError, match="champion already"):
        hand.promote(three, "c", who="me", why="x", now=NOW)


def test_rollback_goes_to_the_newest_earlier_champion_bars_the_left_one_and_holds(three: ObjectStore) -> None:
    move = hand.rollback(three, None, who="me", why="worse at night", now=NOW)
    assert (move.version, move.barred) == ("b", ("c",))
    assert move.hold is not None
    assert move.hold.why == "worse at night"


def test_a_second_rollback_passes_over_barred_versions_and_a_third_finds_none(three: ObjectStore) -> None:
    hand.rollback(three, None, who="me", why="x", now=NOW)
    assert hand.rollback(three, None, who="me", why="x", now=NOW).version == "a"
    with pytest.raises(hand.NothingToRollBackTo):
        hand.rollback(three, None, who="me", why="x", now=NOW)


def test_a_rollback_never_goes_on_to_a_version_that_came_later(three: ObjectStore) -> None:
    hand.rollback(three, "a", who="me", why="x", now=NOW)
    with pytest.raises(hand.NothingToRollBackTo):
        hand.rollback(three, None, who="me", why="b was never looked at", now=NOW)


def test_a_rollback_takes_a_promotion_by_hand_back(three: ObjectStore) -> None:
    hand.promote(three, "a", who="me", why="x", now=NOW)
    assert hand.rollback(three, None, who="me", why="x", now=NOW).version == "c"


@pytest.mark.parametrize("harm", ["gone", "altered"])
@pytest.mark.parametrize("to", ["b", None], ids=["named", "previous"])
@pytest.mark.parametrize("key", ["models/b.skops", "models/b.extract", "models/b.train", "models/b.evaluate"])
def test_a_version_without_its_model_file_or_a_manifest_never_becomes_the_champion(
    three: ObjectStore, key: str, harm: str, to: str | None
) -> None:
    before = three.get(keys.ref("champion"))
    if harm == "gone":
        three.delete(key)
    else:
        three.put(key, b"B")
    moves: list[Callable[[], Move]] = [lambda: hand.rollback(three, to, who="me", why="x", now=NOW)]
    if to is not None:
        moves.append(lambda: hand.promote(three, to, who="me", why="x", now=NOW))
    for move in moves:
        with pytest.raises(hand.ModelLost, match=f"version b cannot be used: {key}") as caught:
            move()
        assert caught.value.exit_code == 66
        assert "refit history NAME" in caught.value.next
    assert three.get(keys.ref("champion")) == before


def test_promote_lifts_the_hold_and_the_bar(three: ObjectStore) -> None:
    hand.rollback(three, None, who="me", why="x", now=NOW)
    move = hand.promote(three, "c", who="me", why="it was the data", now=NOW)
    assert move.hold is None
    assert move.barred == ()


def test_release_lifts_the_hold_and_leaves_the_champion(three: ObjectStore) -> None:
    hand.rollback(three, None, who="me", why="x", now=NOW)
    move = hand.release(three, who="me", why="understood", now=NOW)
    assert (move.version, move.hold, move.barred, move.generation) == ("b", None, ("c",), 5)
    with pytest.raises(ConfigError, match="not on hold"):
        hand.release(three, who="me", why="again", now=NOW)


def test_the_anchor_leaves_with_a_barred_version(store: ObjectStore) -> None:
    for name in ("a", "b"):
        put_version(store, name)
    hand.promote(store, "a", who="me", why="x", now=NOW)
    move = champion(store).model_copy(
        update={"generation": 2, "token": "t", "version": "b", "previous": "a", "anchor": "b"}
    )
    registry.move_champion(store, registry.read_champion(store), move)
    assert hand.rollback(store, None, who="me", why="x", now=NOW).anchor == "a"


def test_a_mover_that_read_an_older_champion_changes_nothing(three: ObjectStore) -> None:
    found = registry.read_champion(three)
    assert found is not None
    hand.rollback(three, None, who="me", why="x", now=NOW)
    late = found[0].model_copy(update={"generation": 4, "token": "late"})
    with pytest.raises(Conflict):
        registry.move_champion(three, found, late)
    assert champion(three).version == "b"
    assert [move.generation for move in registry.read_history(three)] == [1, 2, 3, 4]


def test_the_entry_that_a_killed_mover_left_out_is_read_and_then_written(three: ObjectStore) -> None:
    three.delete(keys.history(3))
    assert [move.version for move in registry.read_history(three)] == ["a", "b", "c"]
    hand.rollback(three, None, who="me", why="x", now=NOW)
    assert three.exists(keys.history(3))


@pytest.mark.parametrize("broken", ["gone", "malformed"])
def test_a_broken_champion_is_refused_and_rollback_to_a_version_repairs_it(three: ObjectStore, broken: str) -> None:
    key = keys.ref("champion")
    if broken == "gone":
        three.delete(key)
    else:
        three.swap(key, b"{", three.entry(key).tag)
    with pytest.raises(ArtifactError) as caught:
        registry.read_champion(three)
    assert caught.value.exit_code == 66
    with pytest.raises(ArtifactError):
        hand.rollback(three, None, who="me", why="x", now=NOW)
    move = hand.rollback(three, "c", who="me", why="champion.json was lost", now=NOW)
    assert (move.version, move.generation) == ("c", 4)
    assert [entry.generation for entry in registry.read_history(three)] == [1, 2, 3, 4]


def test_nothing_is_promoted_in_an_empty_store(store: ObjectStore) -> None:
    assert registry.read_champion(store) is None
    assert read_ref(store, "champion", Move) is None
    assert registry.read_history(store) == []
    with pytest.raises(ConfigError, match="nothing was promoted"):
        hand.rollback(store, None, who="me", why="x", now=NOW)


def test_a_document_of_a_newer_format_is_refused_with_the_version_that_knows_it(three: ObjectStore) -> None:
    key = keys.ref("champion")
    entry = three.entry(key)
    three.swap(key, entry.body.replace(b'"format": 1', b'"format": 2'), entry.tag)
    with pytest.raises(ArtifactError, match="format 2; this version of refit reads format 1"):
        registry.read_champion(three)


# --- champions and histories that do not belong together -----------------------


def test_a_champion_older_than_the_history_is_moved_by_nobody_until_a_person_says_which(three: ObjectStore) -> None:
    key = keys.ref("champion")
    three.swap(key, three.get(keys.history(2)), three.entry(key).tag)
    with pytest.raises(registry.ChampionBehind, match="of move 2 of the champion, and the history of move 3") as caught:
        registry.refuse_behind(three)
    assert "refit rollback NAME --to c" in caught.value.next
    with pytest.raises(registry.ChampionBehind):
        hand.promote(three, "a", who="me", why="x", now=NOW)
    with pytest.raises(registry.ChampionBehind):
        hand.rollback(three, None, who="me", why="x", now=NOW)
    assert champion(three).version == "b"
    assert hand.rollback(three, "c", who="me", why="was behind", now=NOW).generation == 4
    registry.refuse_behind(three)
    assert [move.generation for move in registry.read_history(three)] == [1, 2, 3, 4]


@pytest.mark.parametrize("harm", ["gone", "malformed", "behind"])
def test_a_rollback_that_repairs_the_champion_keeps_the_history_also_where_the_last_version_is_gone(
    three: ObjectStore, harm: str
) -> None:
    key = keys.ref("champion")
    before, tag = three.get(keys.history(1)), three.entry(key).tag
    if harm == "gone":
        three.delete(key)
    else:
        three.swap(key, before if harm == "behind" else b"{", tag)
    three.delete(keys.version("c"))
    assert hand.rollback(three, "a", who="me", why="restored in part", now=NOW).generation == 4
    assert [move.generation for move in registry.read_history(three)] == [1, 2, 3, 4]


def test_a_mover_that_finds_a_new_pipeline_of_the_name_leaves_nothing_of_the_deleted_one(three: ObjectStore) -> None:
    current = registry.read_champion(three)
    assert current is not None
    for listed in list(three.list("")):
        three.delete(listed.key)
    put_version(three, "d")
    hand.promote(three, "d", who="me", why="first", now=NOW)
    move = registry.next_move(current[0], "release", "c", NOW, anchor="a", who="me", why="x", now=NOW)
    with pytest.raises(registry.PipelineDeleted):
        registry.move_champion(three, current, move)
    assert [move.version for move in registry.read_history(three)] == ["d"]
    assert [listed.key for listed in three.list(keys.HISTORY)] == [keys.history(1)]


@pytest.mark.parametrize("gone", [1, 2])
def test_a_gap_in_the_history_is_told_where_it_matters_and_known_moves_stay(three: ObjectStore, gone: int) -> None:
    three.delete(keys.history(gone))
    with pytest.raises(
        registry.HistoryLost, match=rf"history/{gone}\.json is gone, and the champion was moved 3 times"
    ):
        registry.read_history(three)
    assert [move.generation for move in registry.known_moves(three)] == [*range(1, gone), 3]
    assert registry.move_of(three, "none of these") is None
    with pytest.raises(registry.HistoryLost):
        hand.rollback(three, None, who="me", why="x", now=NOW)
    assert hand.rollback(three, "a", who="me", why="x", now=NOW).version == "a"


# --- versions with two models -------------------------------------------------


@pytest.fixture
def both(store: ObjectStore) -> ObjectStore:
    """Version a has one model, b a second one that was fitted on all rows."""
    put_version(store, "a")
    again = Refit(
        model=store.put("again", b"again"),
        rows=10,
        rows_there=10,
        trained_from=NOW,
        trained_until=NOW,
        score="neg_log_loss",
        value=-0.4,
        predictions=store.put("said", b""),
    )
    put_version(store, "b", refit=again)
    return store


def by_hand(store: ObjectStore, version: str, **how: Any) -> Move:
    return hand.promote(store, version, who="me", why="x", now=NOW, **how)


def test_a_promotion_takes_the_model_fitted_on_all_rows_unless_told_otherwise(both: ObjectStore) -> None:
    assert (by_hand(both, "b").fit_on, by_hand(both, "b", fit_on="evaluated").fit_on) == ("all", "evaluated")
    assert registry.read_history(both)[1].previous == "b"
    with pytest.raises(ConfigError, match="b is the champion already"):
        by_hand(both, "b", fit_on="evaluated")
    with pytest.raises(ConfigError, match="a was not fitted again on all rows"):
        by_hand(both, "a", fit_on="all")


@pytest.mark.parametrize("fit_on", ["all", "evaluated"])
def test_a_rollback_brings_back_the_model_that_was_in_production(both: ObjectStore, fit_on: FitOn) -> None:
    by_hand(both, "a")
    by_hand(both, "b", fit_on=fit_on)
    by_hand(both, "a")
    move = hand.rollback(both, "b", who="me", why="x", now=NOW)
    assert (move.version, move.fit_on) == ("b", fit_on)
    assert hand.release(both, who="me", why="x", now=NOW).fit_on == fit_on


def test_a_rollback_from_a_fallback_goes_to_the_version_before(both: ObjectStore) -> None:
    by_hand(both, "a")
    by_hand(both, "b")
    current = registry.read_champion(both)
    assert current is not None
    registry.move_champion(both, current, registry.fall_back(current[0], "run", who="me", why="worse", now=NOW))
    assert hand.rollback(both, None, who="me", why="x", now=NOW).version == "a"


def test_only_the_model_that_would_go_out_must_be_there(both: ObjectStore) -> None:
    both.delete("again")
    with pytest.raises(hand.ModelLost, match="again"):
        by_hand(both, "b")
    assert by_hand(both, "b", fit_on="evaluated").version == "b"

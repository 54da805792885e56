"""publish draws the verdict's consequence, once, whatever was done before it was killed."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from refit.core import hand, keys, registry
from refit.core.config import parse_pipeline
from refit.core.context import Context
from refit.core.domain import Check, Hold, Move, Outcome, PublishManifest, Refit, Verdict, VerdictRef
from refit.core.effects import Moment
from refit.core.refs import read_ref
from refit.core.runs import KILLED, conclude, write_outcome
from refit.core.store import ObjectStore, open_store
from refit.publish.step import Superseded, publish
from tests.fixtures.records import (
    FILE,
    NOW,
    artifact,
    evaluate_manifest,
    extract_manifest,
    put_manifest,
    run_record,
    train_manifest,
    verdict,
)

ON_ALL = FILE + b"publish: {fit_on: all}\n"
FIRST, SECOND = "20261120t070000-aaaa", "20261127t070000-bbbb"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(f"file://{tmp_path}")


def context(store: ObjectStore, run_id: str, days: int = 0, file: bytes = FILE, **evaluated: Any) -> Context:
    """The context of publish in a run whose earlier steps are done."""
    store.put("model", b"")  # as the train manifest names it
    for manifest in (
        extract_manifest(run_id),
        train_manifest(run_id),
        evaluate_manifest(run_id, **evaluated),
    ):
        put_manifest(store, manifest)
    return Context(
        store=store,
        pipeline=parse_pipeline(file, "refit.yaml"),
        run=run_record(run_id, as_of=NOW + timedelta(days=days)),
        step="publish",
        attempt="t",
        number=1,
        folder=Path("/nonexistent"),
        started_at=NOW,
        report=lambda text: None,
    )


def champion(store: ObjectStore) -> Move | None:
    found = registry.read_champion(store)
    return found[0] if found else None


def last_verdict(store: ObjectStore) -> VerdictRef | None:
    found = read_ref(store, "verdict", VerdictRef)
    return found[0] if found else None


def promoted(store: ObjectStore) -> PublishManifest:
    return publish(context(store, FIRST))


def after_first(**fields: Any) -> dict[str, Any]:
    return {"champion_generation": 1, "verdict_generation": 1, "baseline": FIRST} | fields


def test_an_accepted_verdict_moves_the_champion(store: ObjectStore) -> None:
    manifest = promoted(store)
    assert (manifest.outcome, manifest.champion, manifest.previous_champion) == ("promoted", FIRST, None)
    move = champion(store)
    assert move is not None
    assert (move.version, move.generation, move.anchor, move.kind) == (FIRST, 1, FIRST, "publish")
    assert registry.read_version(store, FIRST).model.key == "model"
    ref = last_verdict(store)
    assert ref is not None
    assert ref.confirmed_at is not None


@pytest.mark.parametrize("result", ["rejected", "inconclusive"])
def test_another_verdict_leaves_the_champion_and_confirms_it(store: ObjectStore, result: str) -> None:
    promoted(store)
    manifest = publish(context(store, SECOND, 7, **after_first(verdict=verdict(result))))
    assert (manifest.outcome, manifest.champion) == ("rejected", FIRST)
    assert registry.read_version(store, SECOND).verdict.result == result
    ref = last_verdict(store)
    assert ref is not None
    assert (ref.run_id, ref.generation, ref.confirmed_at) == (SECOND, 2, ref.decided_at)


def test_a_verdict_without_a_look_confirms_nothing(store: ObjectStore) -> None:
    promoted(store)
    before = last_verdict(store)
    publish(context(store, SECOND, 7, **after_first(verdict=verdict("inconclusive"), look=None)))
    after = last_verdict(store)
    assert before is not None
    assert after is not None
    assert after.confirmed_at == before.confirmed_at
    assert after.look_as_of == before.look_as_of


@pytest.mark.parametrize("case", ["manual approval", "on hold", "a person must decide"])
def test_a_promotion_waits_for_approval(store: ObjectStore, case: str) -> None:
    promoted(store)
    file, judged, generation = FILE, verdict(), 1
    if case == "manual approval":
        file = FILE + b"publish: {approval: manual}\n"
    elif case == "on hold":
        publish(context(store, SECOND, 7, **after_first()))
        hand.rollback(store, None, who="me", why="x", now=NOW)
        generation = 3
    else:
        judged = verdict("inconclusive", needs_approval="labels contradict")
    fields = after_first(verdict=judged, champion_generation=generation, verdict_generation=2 if generation == 3 else 1)
    manifest = publish(context(store, "20261204t070000-cccc", 14, file, **fields))
    assert (manifest.outcome, manifest.champion) == ("awaiting_approval", FIRST)


@pytest.mark.parametrize(
    ("evaluated", "days", "message"),
    [
        pytest.param(after_first(champion_generation=0), 7, "champion was moved", id="champion moved"),
        pytest.param(after_first(verdict_generation=0), 7, "another run reached a verdict", id="another look"),
        pytest.param(after_first(), -7, "newer as_of", id="older as_of"),
    ],
)
def test_a_run_that_others_overtook_is_superseded_and_moves_nothing(
    store: ObjectStore, evaluated: dict[str, Any], days: int, message: str
) -> None:
    promoted(store)
    before = last_verdict(store)
    with pytest.raises(Superseded, match=message) as caught:
        publish(context(store, SECOND, days, **evaluated))
    assert caught.value.exit_code == 79
    assert last_verdict(store) == before
    move = champion(store)
    assert move is not None
    assert move.version == FIRST


def test_a_run_that_was_settled_is_superseded(store: ObjectStore) -> None:
    settled = Outcome(pipeline="loans", run_id=FIRST, outcome="failed", as_of=NOW, exit_code=75, finished_at=NOW)
    write_outcome(store, settled)
    with pytest.raises(Superseded, match="settled"):
        publish(context(store, FIRST))
    assert champion(store) is None


def refit() -> Refit:
    return Refit(
        model=artifact("again"),
        rows=10,
        rows_there=10,
        trained_from=NOW,
        trained_until=NOW,
        score="neg_log_loss",
        value=-0.4,
        predictions=artifact("said"),
    )


def worse() -> Check:
    """A champion fitted on all rows that is proven worse than its evaluated model."""
    return verdict("rejected").checks[0].model_copy(update={"against": "evaluated", "reason": "worse on newer rows"})


def published_on_all(store: ObjectStore) -> PublishManifest:
    store.put("again", b"")
    return publish(context(store, FIRST, file=ON_ALL, refit=refit()))


def test_a_candidate_that_was_fitted_again_goes_out_as_that(store: ObjectStore) -> None:
    published_on_all(store)
    move, version = champion(store), registry.read_version(store, FIRST)
    assert move is not None
    assert move.fit_on == "all"
    assert (version.refit, version.model_of(move.fit_on).key, version.model.key) == (refit(), "again", "model")


def test_a_champion_on_all_rows_that_is_proven_worse_falls_back(store: ObjectStore) -> None:
    published_on_all(store)
    manifest = publish(context(store, SECOND, 7, ON_ALL, **after_first(verdict=verdict("rejected"), twins=worse())))
    assert (manifest.outcome, manifest.champion, manifest.fell_back) == ("rejected", FIRST, True)
    assert (manifest.champion_generation, manifest.previous_champion) == (2, FIRST)
    move, ref = champion(store), last_verdict(store)
    assert move is not None
    assert ref is not None
    assert (move.kind, move.version, move.fit_on, move.run_id) == ("fallback", FIRST, "evaluated", SECOND)
    assert (move.why, move.anchor, ref.run_id) == ("worse on newer rows", FIRST, SECOND)


@pytest.mark.parametrize(
    ("file", "judged", "hold", "outcome"),
    [
        pytest.param("publish: {fit_on: all}", verdict(), False, "promoted", id="a better candidate takes its place"),
        pytest.param("publish: {approval: manual}", verdict("rejected"), False, "rejected", id="approval by hand"),
        pytest.param("publish: {fit_on: all}", verdict("rejected"), True, "rejected", id="on hold"),
        pytest.param(
            "publish: {fit_on: all}",
            verdict("inconclusive", needs_approval="labels contradict"),
            False,
            "awaiting_approval",
            id="contradicting labels",
        ),
    ],
)
def test_a_champion_on_all_rows_stays_where_another_decides(
    store: ObjectStore, file: str, judged: Verdict, hold: bool, outcome: str
) -> None:
    published_on_all(store)
    if hold:
        held = registry.read_champion(store)
        assert held is not None
        update = {"token": "t", "generation": 2, "kind": "rollback", "hold": Hold(since=NOW, who="me", why="x")}
        registry.move_champion(store, held, held[0].model_copy(update=update))
    fields = after_first(verdict=judged, twins=worse(), champion_generation=2 if hold else 1)
    manifest = publish(context(store, SECOND, 7, FILE + file.encode() + b"\n", **fields))
    assert (manifest.outcome, manifest.fell_back) == (outcome, False)
    told = [text for text in manifest.warnings if f"refit promote loans {FIRST} --evaluated --reason" in text]
    assert len(told) == (0 if outcome == "promoted" else 1)


def test_a_verdict_of_an_older_as_of_does_not_move_the_verdict_ref(store: ObjectStore) -> None:
    promoted(store)
    registry_ref = last_verdict(store)
    assert registry_ref is not None
    newer = registry_ref.model_copy(update={"as_of": NOW + timedelta(days=30), "token": "n", "generation": 2})
    store.swap(keys.ref("verdict"), newer.to_json(), store.entry(keys.ref("verdict")).tag)
    publish(context(store, SECOND, 7, **after_first(verdict=verdict("rejected"), verdict_generation=2)))
    assert last_verdict(store) == newer


class Killed(Exception):
    pass


def test_publish_killed_at_any_effect_and_repeated_ends_as_if_never_killed(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    effects = count_effects(open_store(f"file://{tmp_path}/counted"), monkeypatch)
    assert len(effects) >= 8  # version, champion, history, verdict: before and after
    for at in range(len(effects)):
        store = open_store(f"file://{tmp_path}/{at}")
        prepared = context(store, FIRST)
        monkeypatch.setattr("refit.core.effects.hook", killer(at))
        with pytest.raises(Killed):
            publish(prepared)
        monkeypatch.undo()
        manifest = publish(prepared)
        assert manifest.outcome == "promoted", effects[at]
        assert [move.generation for move in registry.read_history(store)] == [1]
        assert store.exists(keys.history(1))
        ref = last_verdict(store)
        assert ref is not None
        assert (ref.run_id, ref.generation) == (FIRST, 1)


def test_a_fallback_killed_at_any_effect_and_repeated_ends_as_if_never_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def prepared(folder: str) -> tuple[ObjectStore, Context]:
        store = open_store(f"file://{tmp_path}/{folder}")
        published_on_all(store)
        return store, context(store, SECOND, 7, ON_ALL, **after_first(verdict=verdict("rejected"), twins=worse()))

    seen: list[str] = []
    _, whole = prepared("counted")
    monkeypatch.setattr("refit.core.effects.hook", lambda moment, name: seen.append(f"{moment} {name}"))
    publish(whole)
    monkeypatch.undo()
    assert len(seen) >= 8  # version, champion, history, verdict: before and after
    for at in range(len(seen)):
        store, again = prepared(str(at))
        monkeypatch.setattr("refit.core.effects.hook", killer(at))
        with pytest.raises(Killed):
            publish(again)
        monkeypatch.undo()
        settled, moved = conclude(store, again.run, KILLED, {}, NOW), registry.fallback_of(store, SECOND) is not None
        assert (settled.fell_back, settled.outcome) == (moved, "rejected" if moved else "failed"), seen[at]
        manifest = publish(again)
        assert (manifest.outcome, manifest.fell_back) == ("rejected", True), seen[at]
        assert [move.kind for move in registry.read_history(store)] == ["publish", "fallback"]
        ref = last_verdict(store)
        assert ref is not None
        assert ref.run_id == SECOND


def count_effects(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Moment, str]]:
    prepared = context(store, FIRST)
    seen: list[tuple[Moment, str]] = []
    monkeypatch.setattr("refit.core.effects.hook", lambda moment, name: seen.append((moment, name)))
    publish(prepared)
    monkeypatch.undo()
    return seen


def killer(at: int) -> Callable[[Moment, str], None]:
    passed = iter(range(1000))

    def hook(moment: Moment, name: str) -> None:
        if next(passed) == at:
            raise Killed

    return hook

"""What the webhook of a pipeline is told: one message for each change of its state.

The state is whether the last run ended well (`fine`), awaits approval or failed, with its class, and which move of the
champion was the last. It is compared with refs/told.json, the state that was told last; so a second equal failure is
not told, nor one that a retry mended, and a recovery is. The ref moves after a message was taken: who dies in between
tells it once more.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from refit.cli import story
from refit.cli.failure import completed
from refit.cli.words import age, one_line
from refit.core import keys
from refit.core.config import Pipeline, parse_pipeline
from refit.core.domain import Move, Outcome, RunRecord, ToldRef
from refit.core.errors import RefitError
from refit.core.freshness import confirmed_at
from refit.core.refs import move_ref, new_token, read_ref
from refit.core.registry import read_champion
from refit.core.runs import newest_file
from refit.core.store import Conflict, ObjectStore
from refit.core.webhook import NotTold, Webhook
from refit.run.standing import known, read_pipeline

FINE: Final = "fine"
WAITS: Final = "awaiting_approval"
FAILED: Final = "failed"


@dataclass(frozen=True)
class State:
    """What is told when it changes.

    Attributes:
        condition: As `ToldRef` has it.
        champion_generation: The last move of the champion; 0: none.
    """

    condition: str
    champion_generation: int

    @property
    def has_failed(self) -> bool:
        return self.condition.startswith(FAILED)


@dataclass(frozen=True)
class Scene:
    """What stands when a message is written.

    Attributes:
        confirmed_at: When the champion was last confirmed, replaced or moved by hand.
    """

    pipeline: Pipeline
    champion: Move | None
    confirmed_at: datetime | None
    now: datetime

    @property
    def generation(self) -> int:
        return self.champion.generation if self.champion else 0


# --- states, pure -------------------------------------------------------------


def after_run(outcome: Outcome, scene: Scene) -> State | None:
    """The state that a run leaves; None where it tells of none: another one came first."""
    if outcome.outcome == "superseded":
        return None
    condition = FINE
    if outcome.error is not None:
        condition = f"{FAILED}: {outcome.error.error_class}"
    elif outcome.outcome == "awaiting_approval":
        condition = WAITS
    return State(condition, scene.generation)


def before_run(told: ToldRef | None, outcome: Outcome, scene: Scene) -> State:
    """The state that was told last; where none was, all was well and the run's own move had not been made."""
    if told is not None:
        return State(told.condition, told.champion_generation)
    own = outcome.outcome == "promoted" or outcome.fell_back
    return State(FINE, scene.generation - own)


def after_move(told: ToldRef | None, move: Move) -> State:
    """The state that a person's move of the champion leaves: it settles what waited, and repairs no run."""
    failed = told is not None and told.condition.startswith(FAILED)
    return State(told.condition if told and failed else FINE, move.generation)


# --- words, pure --------------------------------------------------------------


def of_run(before: State, after: State, outcome: Outcome, scene: Scene) -> Iterator[str]:
    """The message of a run's end."""
    name = scene.pipeline.name
    if outcome.error is not None:
        where = f" in {outcome.error.step}" if outcome.error.step else ""
        yield f"{name} failed{where} ({outcome.error.error_class}): {_first_line(outcome.error.message)}"
    else:
        well = f" is well again, after it had {before.condition};" if before.has_failed else ""
        yield f"{name}{well} {_ended(outcome, scene)}"
    own = outcome.outcome == "promoted" or outcome.fell_back
    if scene.champion and after.champion_generation - own > before.champion_generation:
        yield f"Before that {_moved(scene.champion)}" if not own else "The champion was also moved by hand before that."
    yield from _champion(scene)
    if following := _next(outcome, scene):
        yield f"Next: {following}"


def of_move(move: Move, scene: Scene) -> Iterator[str]:
    """The message of a move by hand."""
    yield f"{scene.pipeline.name}: {_moved(move)}"
    yield from _champion(scene)
    if move.hold is not None:
        yield f"Next: when that is settled, refit release {scene.pipeline.name} --reason '…'"


def _ended(outcome: Outcome, scene: Scene) -> str:
    if outcome.outcome == "promoted":
        was = f" (was {outcome.previous_champion})" if outcome.previous_champion else ", the first"
        return f"promoted {outcome.version}{was}: {_reason(outcome)}"
    if outcome.fell_back:
        return f"put the evaluated model of {outcome.champion} back into production: {_reason(outcome)}"
    if outcome.outcome == "awaiting_approval":
        needs = outcome.verdict.needs_approval if outcome.verdict else None
        why = needs or story.why_waiting(scene.champion, scene.pipeline.publish.approval, scene.pipeline.name)
        return f"awaits approval: {_first_line(why)}"
    return f"{outcome.outcome}: {_reason(outcome)}"


def _reason(outcome: Outcome) -> str:
    if outcome.verdict is None:
        return "too few new rows since the last verdict, and nothing else changed"
    return _first_line(outcome.verdict.reason)


def _moved(move: Move) -> str:
    did = {"rollback": "went back to", "release": "lifted the hold; the champion stays"}.get(move.kind, "promoted")
    was = f" (was {move.previous})" if move.previous and move.previous != move.version else ""
    return f"{move.who} {did} {move.version}{was}: {_first_line(move.why)}"


def _champion(scene: Scene) -> Iterator[str]:
    move, max_age = scene.champion, scene.pipeline.slo.max_age
    if move is None or scene.confirmed_at is None:
        yield "There is no champion yet."
        return
    seconds = (scene.now - scene.confirmed_at).total_seconds()
    text = f"In production: {move.version}, confirmed {age(seconds)} ago"
    if max_age is not None:
        limit = max_age.total_seconds()
        text += f"; objective {age(limit)}: {'ok' if seconds <= limit else 'too old'}"
    yield text + ("; promotions are on hold" if move.hold else "")


def _next(outcome: Outcome, scene: Scene) -> str:
    name = scene.pipeline.name
    if outcome.error is not None:
        return completed(outcome.error, None, name, outcome.run_id).next or f"refit rerun {name} {outcome.run_id}"
    if outcome.outcome == "awaiting_approval":
        return f"refit promote {name} {outcome.version} --reason '…'"
    return ""


def _first_line(text: str) -> str:
    return one_line(next(iter(text.splitlines()), ""), 300)


# --- telling ------------------------------------------------------------------


def tell_of_run(store: ObjectStore, run: RunRecord, outcome: Outcome, environment: Mapping[str, str]) -> str:
    """The webhook knows of the state that the run left, where it is another one; returns why it does not, or nothing.

    The caller holds the lock. Why it does not is kept with the run.
    """
    pipeline = read_pipeline(store, run.file)
    webhook = webhook_of(pipeline, environment) if pipeline else None
    if pipeline is None or webhook is None:
        return ""
    try:
        reason = _tell_of_run(store, webhook, pipeline, outcome)
    except RefitError as error:
        reason = f"what the webhook has to be told is not known: {error.message}"
    if reason:
        with suppress(RefitError):
            store.put(keys.untold(run.run_id), NotTold(at=datetime.now(UTC), reason=reason).to_json())
    return reason


def _tell_of_run(store: ObjectStore, webhook: Webhook, pipeline: Pipeline, outcome: Outcome) -> str:
    if outcome.error is not None and pipeline.slo.on_failure == "record":
        return ""
    scene, found = _scene(store, pipeline), read_ref(store, "told", ToldRef)
    told = found[0] if found else None
    if told is not None and told.at is not None and told.at >= outcome.finished_at:
        return ""  # by a later run, or by an earlier process of this one
    before, after = before_run(told, outcome, scene), after_run(outcome, scene)
    if after is None or before == after:
        return ""
    if reason := webhook.tell(tuple(of_run(before, after, outcome, scene))):
        return reason
    return _note(store, found, after, outcome.finished_at)


def tell_of_move(store: ObjectStore, move: Move, environment: Mapping[str, str]) -> str:
    """The webhook knows of a move by hand; returns why it does not, or nothing."""
    newest = known(lambda: newest_file(store))
    pipeline = known(lambda: parse_pipeline(newest[1], newest[0])) if newest else None
    webhook = webhook_of(pipeline, environment) if pipeline else None
    if pipeline is None or webhook is None:
        return ""
    try:
        found = read_ref(store, "told", ToldRef)
        told = found[0] if found else None
        if reason := webhook.tell(tuple(of_move(move, _scene(store, pipeline)))):
            return reason
        return _note(store, found, after_move(told, move), told.at if told else None)
    except RefitError as error:
        return f"what the webhook has to be told is not known: {error.message}"


def webhook_of(pipeline: Pipeline, environment: Mapping[str, str]) -> Webhook | None:
    """Who is told; None: nobody."""
    variable = pipeline.notify.webhook_env
    return Webhook(environment.get(variable, "").strip(), variable) if variable else None


def doubts(pipeline: Pipeline, environment: Mapping[str, str]) -> tuple[str, ...]:
    """What a person should know who looks at the file here: nobody would be told."""
    webhook = webhook_of(pipeline, environment)
    if webhook is None or webhook.url:
        return ()
    return (f"notify.webhook_env: {webhook.variable} is not set here; where runs begin, it has to be",)


def _scene(store: ObjectStore, pipeline: Pipeline) -> Scene:
    found = read_champion(store)
    return Scene(pipeline, found[0] if found else None, confirmed_at(store), datetime.now(UTC))


def _note(store: ObjectStore, found: tuple[ToldRef, str] | None, state: State, at: datetime | None) -> str:
    """refs/told.json says what was told; returns why it does not, or nothing."""
    last, tag = found or (None, None)
    ref = ToldRef(
        token=new_token(),
        generation=last.generation + 1 if last else 1,
        condition=state.condition,
        champion_generation=state.champion_generation,
        at=at,
    )
    try:
        move_ref(store, "told", ref, tag)
    except Conflict:
        return ""  # a person told of a move at this moment, and what is told next follows from that
    except RefitError as error:
        return f"the webhook was told, and may be told again: {error.message}"
    return ""

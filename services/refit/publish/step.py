"""publish: the version stands, and the champion moves when the verdict and the people allow it.

    1. versions/<run_id>.json          for every verdict
    2. refs/champion.json, history/    with approval auto and no hold: for an accepted verdict; for another one only
                                       where the champion, fitted on all rows, is proven worse than its evaluated model
    3. refs/verdict.json               after every verdict, never to an older as_of
    4. the manifest, by core/step.py

Each of these is found standing when an earlier attempt made it.
"""

from datetime import UTC, datetime

from refit.core import artifacts, keys, registry
from refit.core.context import Context
from refit.core.domain import (
    Artifact,
    EvaluateManifest,
    ExtractManifest,
    Manifest,
    Move,
    OutcomeName,
    PublishManifest,
    Snapshot,
    TrainManifest,
    VerdictRef,
    Version,
)
from refit.core.environment import digest
from refit.core.errors import SupersededError
from refit.core.exclusions import are_equal, standing
from refit.core.refs import move_ref, new_token, read_ref
from refit.core.runs import read_outcome
from refit.core.step import Step
from refit.core.store import Conflict, ObjectStore


class Superseded(SupersededError):
    """Another run or person changed what this run's verdict was about."""

    def __init__(self, what: str, next: str = "refit rerun NAME") -> None:
        super().__init__(f"{what} since this run's evaluation; its model is not promoted", next=next)


def publish(context: Context) -> PublishManifest:
    """The verdict's consequence is drawn.

    Raises:
        Superseded: the champion, the last verdict or the exclusions are not those that the run read, a newer model
            is in production, or this run was thought dead and settled.
    """
    extract = context.manifest_of("extract", ExtractManifest)
    train = context.manifest_of("train", TrainManifest)
    evaluate = context.manifest_of("evaluate", EvaluateManifest)
    _create_version(context, extract, train, evaluate)
    assert extract.snapshot is not None
    current = registry.read_champion(context.store)
    before = current[0] if current else None
    moved = registry.move_of(context.store, context.run.run_id)
    fallen = registry.fallback_of(context.store, context.run.run_id)
    if moved is None and fallen is None:
        _refuse_if_superseded(context, extract.snapshot, evaluate, before)
    outcome: OutcomeName = "promoted" if moved else "rejected" if fallen else _outcome(context, evaluate, before)
    if moved is None and outcome == "promoted":
        moved = _promote(context, evaluate, current)
    elif fallen is None and current is not None and _falls_back(context, evaluate, outcome, current[0]):
        fallen = _fall_back(context, evaluate, current)
    elif current is not None:
        registry.write_history(context.store, current[0])
    _move_verdict(context, evaluate, confirmed=outcome == "promoted" or _confirms(evaluate, outcome))
    after = moved or fallen or before
    return context.manifest(
        PublishManifest,
        outcome=outcome,
        version=context.run.run_id,
        champion=after.version if after else None,
        previous_champion=moved.previous if moved else (before.version if before else None),
        champion_generation=after.generation if after else 0,
        fell_back=fallen is not None,
        warnings=_warnings(context, evaluate, after),
    )


def _warnings(context: Context, evaluate: EvaluateManifest, champion: Move | None) -> tuple[str, ...]:
    """What a person has to decide of a champion fitted on all rows that is proven worse than its evaluated model."""
    twins = evaluate.twins
    if twins is None or twins.result != "rejected" or champion is None or champion.fit_on != "all":
        return ()
    if champion.version == context.run.run_id:
        return ()
    back = f"refit promote {context.run.pipeline} {champion.version} --evaluated --reason '…'"
    return (f"{twins.reason}; to go back to that: {back}",)


def _outcome(context: Context, evaluate: EvaluateManifest, champion: Move | None) -> OutcomeName:
    """What the verdict leads to. Pure."""
    verdict = evaluate.verdict
    if verdict.needs_approval is not None:
        return "awaiting_approval"
    if verdict.result != "accepted":
        return "rejected"
    on_hold = champion is not None and champion.hold is not None
    return "awaiting_approval" if on_hold or context.pipeline.publish.approval == "manual" else "promoted"


def _confirms(evaluate: EvaluateManifest, outcome: OutcomeName) -> bool:
    """True when the champion was compared and stood: a model that no candidate beats is not stale."""
    return outcome == "rejected" and evaluate.look is not None


def _refuse_if_superseded(
    context: Context, snapshot: Snapshot, evaluate: EvaluateManifest, champion: Move | None
) -> None:
    if (champion.generation if champion else 0) != evaluate.champion_generation:
        raise Superseded("the champion was moved")
    if champion and champion.as_of > context.run.as_of:
        raise Superseded("a model with a newer as_of is in production", next="nothing: the newer model stays")
    verdict = read_ref(context.store, "verdict", VerdictRef)
    if verdict and verdict[0].run_id != context.run.run_id and verdict[0].generation != evaluate.verdict_generation:
        raise Superseded("another run reached a verdict")
    if not are_equal(standing(context.store), snapshot.exclusions):
        raise Superseded("rows were excluded, or taken back,")
    if read_outcome(context.store, context.run.run_id) is not None:
        raise Superseded("this run was thought dead and settled")


def _promote(context: Context, evaluate: EvaluateManifest, current: tuple[Move, str] | None) -> Move:
    last = current[0] if current else None
    move = registry.next_move(
        last,
        "publish",
        context.run.run_id,
        context.run.as_of,
        anchor=evaluate.anchor or context.run.run_id,
        who=context.run.created_by,
        why=evaluate.verdict.reason,
        now=datetime.now(UTC),
        fit_on="all" if evaluate.refit else "evaluated",
        barred=last.barred if last else (),
    )
    return _moved(context, current, move)


def _falls_back(context: Context, evaluate: EvaluateManifest, outcome: OutcomeName, champion: Move) -> bool:
    """Whether the champion's evaluated model takes the place of its refit; never past a person who decides. Pure."""
    proven = evaluate.twins is not None and evaluate.twins.result == "rejected"
    by_itself = context.pipeline.publish.approval == "auto" and champion.hold is None
    return proven and by_itself and outcome == "rejected" and champion.fit_on == "all"


def _fall_back(context: Context, evaluate: EvaluateManifest, current: tuple[Move, str]) -> Move:
    assert evaluate.twins is not None
    run, why = context.run, evaluate.twins.reason
    move = registry.fall_back(current[0], run.run_id, who=run.created_by, why=why, now=datetime.now(UTC))
    return _moved(context, current, move)


def _moved(context: Context, current: tuple[Move, str] | None, move: Move) -> Move:
    try:
        registry.move_champion(context.store, current, move)
    except Conflict as error:
        twin = registry.move_of(context.store, context.run.run_id)  # of another process of this step
        if twin is None:
            raise Superseded("the champion was moved") from error
        return twin
    return move


def _move_verdict(context: Context, evaluate: EvaluateManifest, *, confirmed: bool) -> None:
    """refs/verdict.json names this run, unless a verdict with a newer as_of stands."""
    found = read_ref(context.store, "verdict", VerdictRef)
    last = found[0] if found else None
    if last and (last.run_id == context.run.run_id or last.as_of > context.run.as_of):
        return
    now = datetime.now(UTC)
    ref = VerdictRef(
        token=new_token(),
        generation=last.generation + 1 if last else 1,
        run_id=context.run.run_id,
        as_of=context.run.as_of,
        snapshot_run_id=context.run.run_id,
        file_sha256=context.run.file.sha256,
        environment_digest=digest(context.run.environment),
        decided_at=now,
        confirmed_at=now if confirmed else (last.confirmed_at if last else None),
        look_as_of=evaluate.look.as_of if evaluate.look else (last.look_as_of if last else None),
    )
    try:
        move_ref(context.store, "verdict", ref, found[1] if found else None)
    except Conflict as error:
        standing = read_ref(context.store, "verdict", VerdictRef)
        if standing is None or standing[0].run_id != context.run.run_id:
            raise Superseded("another run reached a verdict") from error


def _create_version(
    context: Context, extract: ExtractManifest, train: TrainManifest, evaluate: EvaluateManifest
) -> None:
    """versions/<run_id>.json stands; the one of an earlier attempt is verified and taken."""
    version = Version(
        version=context.run.run_id,
        as_of=context.run.as_of,
        created_at=datetime.now(UTC),
        model=train.model,
        refit=evaluate.refit,
        extract=_stored(context.store, extract),
        train=_stored(context.store, train),
        evaluate=_stored(context.store, evaluate),
        predictions=evaluate.predictions,
        report=evaluate.report,
        estimator=train.estimator,
        task=train.task,
        target=train.target,
        verdict=evaluate.verdict,
        scores=evaluate.scores.get("candidate", {}),
        anchor=evaluate.anchor,
    )
    try:
        context.store.create(keys.version(version.version), version.to_json())
    except Conflict:
        registry.read_version(context.store, version.version)


def _stored(store: ObjectStore, manifest: Manifest) -> Artifact:
    key = keys.manifest(manifest.run_id, manifest.step)
    return artifacts.describe(key, store.get(key))


STEP = Step("publish", publish, PublishManifest)

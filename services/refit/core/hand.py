"""What a person does to the champion: promote, roll back, release a hold.

No lock is taken, for a person must not wait for a run; compare-and-swap decides between them.
"""

from contextlib import suppress
from datetime import datetime

from refit.core import artifacts, keys
from refit.core.domain import FitOn, Hold, Move, Version
from refit.core.errors import ArtifactError, ConfigError
from refit.core.registry import (
    PipelineDeleted,
    has_lost,
    history_entries,
    last_in_history,
    move_champion,
    next_move,
    read_champion,
    read_history,
    read_version,
    refuse_behind,
    stay,
)
from refit.core.store import Conflict, NotFound, ObjectStore


class NothingToRollBackTo(ConfigError):
    """No earlier champion is left that is not barred."""

    def __init__(self) -> None:
        super().__init__(
            "there is no earlier champion to go back to that is not barred",
            next="name a version: refit rollback NAME --to VERSION --reason …",
        )


class ModelLost(ArtifactError):
    """The model file of a version that should become the champion, or a manifest of how it was made, is gone or
    altered."""

    def __init__(self, version: str, why: ArtifactError) -> None:
        super().__init__(
            f"version {version} cannot be used: {why}",
            next="restore the object from a backup, or name another version: refit history NAME",
        )


def promote(
    store: ObjectStore, version: str, *, who: str, why: str, now: datetime, fit_on: FitOn | None = None
) -> Move:
    """The version is the champion by a person's decision; a hold is lifted, a bar on the version too.

    Args:
        fit_on: Which of its models; None: the one fitted on all rows, where it has one.

    Raises:
        NoSuchVersion: it was never made.
        ModelLost: its model file or a manifest is gone or altered.
        ConfigError: it is the champion already and nothing is on hold.
        Conflict: another mover was first.
        PipelineDeleted: so it was, meanwhile.
    """
    target = read_version(store, version)
    current = read_champion(store)
    last = current[0] if current else None
    chosen = _chosen(target, fit_on)
    if last and (last.version, last.fit_on) == (version, chosen) and last.hold is None:
        raise ConfigError(f"{version} is the champion already")
    _check_model(store, target, chosen)
    move = next_move(
        last,
        "promote",
        version,
        target.as_of,
        anchor=last.anchor if last else version,
        who=who,
        why=why,
        now=now,
        fit_on=chosen,
        barred=tuple(name for name in (last.barred if last else ()) if name != version),
    )
    move_champion(store, current, move)
    _keep(store, target, move)
    return move


def rollback(store: ObjectStore, to: str | None, *, who: str, why: str, now: datetime) -> Move:
    """The champion is an earlier one; the version left is barred, and promotions wait for approval.

    Of a version with two models the one that was last in production comes back. Works from the history when
    champion.json is gone or malformed.

    Args:
        to: A version; None: the newest earlier champion that is not barred.

    Raises:
        NothingToRollBackTo, NoSuchVersion: there is no such version.
        ModelLost: its model file or a manifest is gone or altered.
        ConfigError: nothing was ever promoted, or `to` is the champion.
        Conflict: another mover was first.
        PipelineDeleted: so it was, meanwhile.
    """
    current, tag, broken = _standing(store, repair=to is not None)
    target = read_version(store, to or _previous_champion(store, current))
    if target.version == current.version and not broken:
        raise ConfigError(f"{to} is the champion already")
    fit_on = _last_fit(store, target, current)
    _check_model(store, target, fit_on)
    leaves = current.version if current.version != target.version else None
    barred = tuple(name for name in (*current.barred, *([leaves] if leaves else [])) if name != target.version)
    move = next_move(
        current,
        "rollback",
        target.version,
        target.as_of,
        anchor=target.version if current.anchor in barred else current.anchor,
        who=who,
        why=why,
        now=now,
        fit_on=fit_on,
        barred=barred,
        hold=Hold(since=now, who=who, why=why),
    )
    move_champion(store, (current, tag), move)
    _keep(store, target, move)
    return move


def release(store: ObjectStore, *, who: str, why: str, now: datetime) -> Move:
    """Promotions go on by themselves; the champion stays.

    Raises:
        ConfigError: nothing was ever promoted, or nothing is on hold.
        Conflict: another mover was first.
        PipelineDeleted: so it was, meanwhile.
    """
    current = read_champion(store)
    if current is None:
        raise ConfigError("nothing was promoted yet, so nothing is on hold")
    last = current[0]
    if last.hold is None:
        raise ConfigError("promotions are not on hold")
    move = stay(last, "release", fit_on=last.fit_on, hold=None, who=who, why=why, now=now)
    move_champion(store, current, move)
    return move


def _chosen(version: Version, fit_on: FitOn | None) -> FitOn:
    if fit_on == "all" and version.refit is None:
        raise ConfigError(f"{version.version} was not fitted again on all rows", next="promote its evaluated model")
    return fit_on or version.fit_on


def _last_fit(store: ObjectStore, version: Version, current: Move) -> FitOn:
    """Which of its models was in production last; as a promotion would have it, where none was."""
    moves = (current, *reversed(list(history_entries(store))))
    return next((move.fit_on for move in moves if move.version == version.version), version.fit_on)


def _keep(store: ObjectStore, version: Version, move: Move) -> None:
    """The document of the version that is the champion by this move stands.

    gc looks at the champion after it has deleted versions and restores it; but one that ended between the look at the
    version and the move has not seen the move.

    Raises:
        PipelineDeleted: all of the pipeline was deleted since the move, and nothing is left behind.
    """
    key = keys.version(version.version)
    if not store.exists(key):
        with suppress(Conflict):  # gc has restored it
            store.create(key, version.to_json())
        if has_lost(store, move):
            store.delete(key)
            raise PipelineDeleted


def _check_model(store: ObjectStore, version: Version, fit_on: FitOn) -> None:
    try:
        for artifact in (version.model_of(fit_on), version.train, version.extract, version.evaluate):
            artifacts.read(store, artifact)
    except ArtifactError as error:
        raise ModelLost(version.version, error) from error


def _previous_champion(store: ObjectStore, current: Move) -> str:
    """The newest one before the promotion that the current champion stands by, so that going back never goes on."""
    moves = read_history(store)
    promotions = [
        place
        for place, move in enumerate(moves)
        if move.version == current.version and move.kind in ("publish", "promote") and move.previous != move.version
    ]
    for move in reversed(moves[: promotions[-1]] if promotions else moves):
        if move.version != current.version and move.version not in current.barred:
            return move.version
    raise NothingToRollBackTo


def _standing(store: ObjectStore, *, repair: bool) -> tuple[Move, str | None, bool]:
    """The last move, the tag to swap from, and whether champion.json is broken and the history told instead."""
    try:
        current = read_champion(store)
        refuse_behind(store)
    except ArtifactError:
        if not repair:
            raise
        return last_in_history(store), _tag(store), True
    if current is None:
        raise ConfigError("nothing was promoted yet, so there is nothing to roll back")
    return *current, False


def _tag(store: ObjectStore) -> str | None:
    try:
        return store.entry(keys.ref("champion")).tag
    except NotFound:
        return None

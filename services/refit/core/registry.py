"""Versions, the champion and its history.

A move of the champion is three writes: versions/ first (by publish), then compare-and-swap of refs/champion.json,
whose body is the whole move, then history/<generation>.json from that body. Whoever moves next first writes the
entry that a killed mover left out; a reader takes it from champion.json.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from refit.core import artifacts, keys
from refit.core.domain import FitOn, Hold, Move, MoveKind, Version
from refit.core.errors import ArtifactError, ConfigError
from refit.core.refs import move_ref, new_token, read_ref
from refit.core.store import Conflict, NotFound, ObjectStore


class ChampionLost(ArtifactError):
    """refs/champion.json is gone although the champion was moved before."""

    def __init__(self, last: Move) -> None:
        super().__init__(
            "refs/champion.json is gone, but the history has moves of the champion",
            next=f"refit rollback NAME --to {last.version} --reason 'champion.json was lost'",
        )


class ChampionBehind(ArtifactError):
    """refs/champion.json is older than the history: a copy of the store took it before the last moves."""

    def __init__(self, generation: int, last: Move) -> None:
        super().__init__(
            f"refs/champion.json tells of move {generation} of the champion, and the history of move {last.generation}",
            next=f"copy it again, or: refit rollback NAME --to {last.version} --reason 'champion.json was behind'",
        )


class HistoryLost(ArtifactError):
    """Entries of the history are gone, and with them which versions were champions."""

    def __init__(self, generation: int, last: int) -> None:
        super().__init__(
            f"{keys.history(generation)} is gone, and the champion was moved {last} times",
            next="copy history/ again, or restore it from a backup; to go back without it name a version: "
            "refit rollback NAME --to VERSION --reason …",
        )


class NoSuchVersion(ConfigError):
    """No version has this name."""

    def __init__(self, version: str, known: list[str]) -> None:
        super().__init__(
            f"there is no version {version}",
            next=f"the newest are {', '.join(known[-3:])}" if known else "no run has made a version yet",
        )


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


def read_champion(store: ObjectStore) -> tuple[Move, str] | None:
    """The last move of the champion and its tag; None when nothing was ever promoted.

    Raises:
        ChampionLost: champion.json is gone while the history stands.
        ArtifactError: champion.json is malformed.
    """
    found = read_ref(store, "champion", Move)
    if found is None and store.exists(keys.history(1)):
        raise ChampionLost(_last_in_history(store))
    return found


def read_version(store: ObjectStore, version: str) -> Version:
    """The version's document. Raises NoSuchVersion, ArtifactError."""
    key = keys.version(version)
    try:
        return Version.from_json(store.get(key), key)
    except NotFound as error:
        raise NoSuchVersion(version, list(version_names(store))) from error


def version_names(store: ObjectStore) -> Iterator[str]:
    """The names of all versions, oldest first."""
    for listed in store.list(keys.VERSIONS):
        yield keys.version_of(listed.key)


def read_history(store: ObjectStore) -> list[Move]:
    """All moves of the champion, oldest first, the one that a killed mover left out included.

    Raises:
        HistoryLost: earlier entries are gone.
    """
    moves = known_moves(store)
    for generation, move in enumerate(moves, 1):
        if move.generation != generation:
            raise HistoryLost(generation, move.generation)
    return moves


def known_moves(store: ObjectStore) -> list[Move]:
    """As `read_history`, where what is gone hinders no run: those before a gap, and the last."""
    moves = list(_history_entries(store))
    found = read_ref(store, "champion", Move)
    if found and (not moves or moves[-1].generation < found[0].generation):
        moves.append(found[0])
    return moves


def refuse_behind(store: ObjectStore) -> None:
    """Raises ChampionBehind where the history tells of later moves than refs/champion.json."""
    found = read_ref(store, "champion", Move)
    while found and store.exists(keys.history(found[0].generation + 1)):
        again = read_ref(store, "champion", Move)
        if again is None or again[0].generation == found[0].generation:
            raise ChampionBehind(found[0].generation, _last_in_history(store))
        found = again  # moved at this moment


def stands_since(store: ObjectStore, champion: Move) -> datetime:
    """When the version in production became the champion; a release, or the other of its models, moves nothing.

    Reads no more of the history than the moves that left the version where it was, and the one before them.
    """
    at = champion.at
    for generation in range(champion.generation - 1, 0, -1):
        key = keys.history(generation)
        try:
            before = Move.from_json(store.get(key), key)
        except NotFound:
            break
        if before.version != champion.version:
            break
        at = before.at
    return at


def move_of(store: ObjectStore, run_id: str) -> Move | None:
    """The move by which the run itself made its model the champion, also when others came after it."""
    moves = (move for move in known_moves(store) if move.kind == "publish" and move.version == run_id)
    return next(moves, None)


def fallback_of(store: ObjectStore, run_id: str) -> Move | None:
    """The move by which the run put the champion's evaluated model in the place of its refit."""
    moves = (move for move in known_moves(store) if move.kind == "fallback" and move.run_id == run_id)
    return next(moves, None)


def next_move(
    last: Move | None,
    kind: MoveKind,
    version: str,
    as_of: datetime,
    *,
    anchor: str,
    who: str,
    why: str,
    now: datetime,
    fit_on: FitOn = "evaluated",
    barred: tuple[str, ...] = (),
    hold: Hold | None = None,
) -> Move:
    """The move to `version`, a model of `as_of`, that follows `last`. Pure but for its token."""
    return Move(
        token=new_token(),
        generation=last.generation + 1 if last else 1,
        kind=kind,
        previous=last.version if last else None,
        version=version,
        at=now,
        who=who,
        why=why,
        as_of=as_of,
        anchor=anchor,
        fit_on=fit_on,
        barred=barred,
        hold=hold,
    )


def move_champion(store: ObjectStore, current: tuple[Move, str | None] | None, move: Move) -> None:
    """The champion is `move.version` now, and the history says so.

    Args:
        current: The last move and the tag of champion.json; None for the tag where the file is gone.

    Raises:
        Conflict: another mover was first; nothing changed.
        ChampionBehind: champion.json is older than the history; nothing changed.
    """
    if current is not None:
        write_history(store, current[0])
    if store.exists(keys.history(move.generation)):
        refuse_behind(store)
    move_ref(store, "champion", move, current[1] if current else None)
    write_history(store, move)


def write_history(store: ObjectStore, move: Move) -> None:
    """history/<generation>.json stands; an equal entry of an earlier attempt is taken."""
    key = keys.history(move.generation)
    try:
        store.create(key, move.to_json())
    except Conflict as error:
        standing = Move.from_json(store.get(key), key)
        if standing.token != move.token:
            raise ArtifactError(f"{key} tells of another move than refs/champion.json") from error


def fall_back(last: Move, run_id: str, *, who: str, why: str, now: datetime) -> Move:
    """The move to the evaluated model of the version that stands; hold and bars stay. Pure but for its token."""
    move = next_move(
        last,
        "fallback",
        last.version,
        last.as_of,
        anchor=last.anchor,
        who=who,
        why=why,
        now=now,
        barred=last.barred,
        hold=last.hold,
    )
    return move.model_copy(update={"run_id": run_id})


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
    _keep(store, target)
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
    _keep(store, target)
    return move


def release(store: ObjectStore, *, who: str, why: str, now: datetime) -> Move:
    """Promotions go on by themselves; the champion stays.

    Raises:
        ConfigError: nothing was ever promoted, or nothing is on hold.
        Conflict: another mover was first.
    """
    current = read_champion(store)
    if current is None:
        raise ConfigError("nothing was promoted yet, so nothing is on hold")
    last = current[0]
    if last.hold is None:
        raise ConfigError("promotions are not on hold")
    move = next_move(
        last,
        "release",
        last.version,
        last.as_of,
        anchor=last.anchor,
        who=who,
        why=why,
        now=now,
        fit_on=last.fit_on,
        barred=last.barred,
    )
    move_champion(store, current, move)
    return move


def _chosen(version: Version, fit_on: FitOn | None) -> FitOn:
    if fit_on == "all" and version.refit is None:
        raise ConfigError(f"{version.version} was not fitted again on all rows", next="promote its evaluated model")
    return fit_on or version.fit_on


def _last_fit(store: ObjectStore, version: Version, current: Move) -> FitOn:
    """Which of its models was in production last; as a promotion would have it, where none was."""
    moves = (current, *reversed(list(_history_entries(store))))
    return next((move.fit_on for move in moves if move.version == version.version), version.fit_on)


def _keep(store: ObjectStore, version: Version) -> None:
    """The document of the version that is the champion now stands.

    gc looks at the champion after it has deleted versions and restores it; but one that ended between the look at the
    version and the move has not seen the move.
    """
    key = keys.version(version.version)
    if not store.exists(key):
        with suppress(Conflict):  # gc has restored it
            store.create(key, version.to_json())


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
        return _last_in_history(store), _tag(store), True
    if current is None:
        raise ConfigError("nothing was promoted yet, so there is nothing to roll back")
    return *current, False


def _tag(store: ObjectStore) -> str | None:
    try:
        return store.entry(keys.ref("champion")).tag
    except NotFound:
        return None


def _last_in_history(store: ObjectStore) -> Move:
    entries = list(_history_entries(store))
    if not entries:
        raise ConfigError("nothing was promoted yet, so there is nothing to roll back")
    return entries[-1]


def _history_entries(store: ObjectStore) -> Iterator[Move]:
    """By number, not by listing: a generation stands only after the one before it."""
    generation = 1
    while True:
        key = keys.history(generation)
        try:
            yield Move.from_json(store.get(key), key)
        except NotFound:
            return
        generation += 1

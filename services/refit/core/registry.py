"""Versions, the champion and its history.

A move of the champion is three writes: versions/ first (by publish), then compare-and-swap of refs/champion.json,
whose body is the whole move, then history/<generation>.json from that body. Whoever moves next first writes the
entry that a killed mover left out; a reader takes it from champion.json.
"""

from collections.abc import Iterator
from datetime import datetime

from refit.core import keys
from refit.core.domain import FitOn, Hold, Move, MoveKind, Version
from refit.core.errors import ArtifactError, ConfigError, SupersededError
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


class PipelineDeleted(SupersededError):
    """Somebody deleted the pipeline while its champion was moved."""

    def __init__(self) -> None:
        super().__init__(
            "the pipeline was deleted at this moment, and no champion of it is left",
            next="to begin it anew: refit run FILE",
        )


class NoSuchVersion(ConfigError):
    """No version has this name."""

    def __init__(self, version: str, known: list[str]) -> None:
        super().__init__(
            f"there is no version {version}",
            next=f"the newest are {', '.join(known[-3:])}" if known else "no run has made a version yet",
        )


def read_champion(store: ObjectStore) -> tuple[Move, str] | None:
    """The last move of the champion and its tag; None when nothing was ever promoted.

    Raises:
        ChampionLost: champion.json is gone while the history stands.
        ArtifactError: champion.json is malformed.
    """
    found = read_ref(store, "champion", Move)
    if found is None and store.exists(keys.history(1)):
        raise ChampionLost(last_in_history(store))
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
    moves = list(history_entries(store))
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
            raise ChampionBehind(found[0].generation, last_in_history(store))
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
        PipelineDeleted: all of the pipeline was deleted meanwhile.
    """
    if current is not None:
        _create_entry(store, current[0])
    if store.exists(keys.history(move.generation)):
        refuse_behind(store)
    try:
        move_ref(store, "champion", move, current[1] if current else None)
    except Conflict:
        if current is not None:
            _refuse_deleted(store, current[0])
        raise
    write_history(store, move)


def write_history(store: ObjectStore, move: Move) -> None:
    """history/<generation>.json tells of the move that refs/champion.json told of; an equal entry is taken.

    Raises:
        PipelineDeleted: all of the pipeline was deleted meanwhile, and nothing is left behind.
    """
    _create_entry(store, move)
    _refuse_deleted(store, move)


def _refuse_deleted(store: ObjectStore, move: Move) -> None:
    """Raises PipelineDeleted where all of the pipeline went before the move's entry was written; the entry is gone too.

    A new pipeline of the same name would meet it.
    """
    if has_lost(store, move) and not store.exists(keys.version(move.version)):
        store.delete(keys.history(move.generation))
        raise PipelineDeleted


def has_lost(store: ObjectStore, move: Move) -> bool:
    """True when refs/champion.json, which told of this move, is gone or begins anew."""
    try:
        found = read_ref(store, "champion", Move)
    except ArtifactError:
        return False  # damaged, and so not deleted
    return found is None or found[0].generation < move.generation


def _create_entry(store: ObjectStore, move: Move) -> None:
    key = keys.history(move.generation)
    try:
        store.create(key, move.to_json())
    except Conflict as error:
        standing = Move.from_json(store.get(key), key)
        if standing.token != move.token:
            raise ArtifactError(f"{key} tells of another move than refs/champion.json") from error


def fall_back(last: Move, run_id: str, *, who: str, why: str, now: datetime) -> Move:
    """The move to the evaluated model of the version that stands; hold and bars stay. Pure but for its token."""
    move = stay(last, "fallback", fit_on="evaluated", hold=last.hold, who=who, why=why, now=now)
    return move.model_copy(update={"run_id": run_id})


def stay(last: Move, kind: MoveKind, *, fit_on: FitOn, hold: Hold | None, who: str, why: str, now: datetime) -> Move:
    """The move that leaves the version, its anchor and the bars as they are. Pure but for its token."""
    return next_move(
        last,
        kind,
        last.version,
        last.as_of,
        anchor=last.anchor,
        who=who,
        why=why,
        now=now,
        fit_on=fit_on,
        barred=last.barred,
        hold=hold,
    )


def last_in_history(store: ObjectStore) -> Move:
    entries = list(history_entries(store))
    if not entries:
        raise ConfigError("nothing was promoted yet, so there is nothing to roll back")
    return entries[-1]


def history_entries(store: ObjectStore) -> Iterator[Move]:
    """By number, not by listing: a generation stands only after the one before it."""
    generation = 1
    while True:
        key = keys.history(generation)
        try:
            yield Move.from_json(store.get(key), key)
        except NotFound:
            return
        generation += 1

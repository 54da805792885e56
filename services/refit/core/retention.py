"""What of a pipeline's store is needed, and what is not: retention by references, never by names or dates alone.

Kept whole are the runs that are young, hold the lock, or made a version that may be needed: the champion, its anchor,
every version that a rollback may go to, the newest ones. Kept besides is every object that a document of these names,
and what those documents name in turn: a young run trains on parts that old runs wrote. All else that is older than a
week goes, checkpoints of fits that have ended too, the documents before what they name.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import Final

from pydantic import BaseModel

from refit.core import keys
from refit.core.config import Retention
from refit.core.context import StepMissing, read_manifest
from refit.core.domain import STEPS, Artifact, LockRef, SnapshotRef, VerdictRef
from refit.core.errors import SupersededError
from refit.core.refs import read_ref
from refit.core.registry import read_champion, read_history, read_version, version_names
from refit.core.runs import MANIFESTS
from refit.core.store import Listed, ObjectStore

LEAST_AGE: Final = timedelta(days=7)
_COLLECTED: Final = (keys.VERSIONS, keys.RUNS, keys.DATA, keys.PREDICTIONS)


@dataclass(frozen=True)
class Waste:
    """What can be deleted, in the order in which that is safe.

    Attributes:
        objects: A document comes before what it names, the record of a run after all else of the run.
        runs: Runs that go.
        versions: Versions that go; what they were made of goes with the next gc, when no one can promote them.
        kept: Objects that stay.
    """

    objects: tuple[Listed, ...]
    runs: tuple[str, ...]
    versions: tuple[str, ...]
    kept: int

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(listed.size for listed in self.objects)


def find_waste(store: ObjectStore, retention: Retention, now: datetime) -> Waste:
    """Everything that nothing needs. The caller holds the lock, or only looks.

    Args:
        now: By the store's own clock, as `clock_of` tells it.

    Raises:
        ArtifactError: a document that others depend on is damaged or of another format; nothing may go then.
    """
    listed = [found for prefix in _COLLECTED for found in store.list(prefix)]
    names = list(version_names(store))
    versions = _needed_versions(store, retention, names)
    for run_id in sorted(versions | _snapshots(store)):
        _require_manifests(store, run_id, made=run_id in versions)
    runs = _young_runs(listed, retention, now) | versions | _referred(store)
    runs |= set(names)  # of a version that goes with this gc, its parts go with the next
    kept = set(_named(store, sorted(runs)))
    kept |= {found.key for found in listed if found.key.startswith(keys.RUNS) and keys.run_of(found.key) in runs}
    kept -= _spent(listed)
    old = [found for found in listed if now - found.modified_at > LEAST_AGE and not _stays(found.key, kept, versions)]
    return Waste(
        objects=tuple(sorted(old, key=_place)),
        runs=tuple(sorted({keys.run_of(found.key) for found in old if found.key.startswith(keys.RUNS)} - runs)),
        versions=tuple(keys.version_of(found.key) for found in old if found.key.startswith(keys.VERSIONS)),
        kept=len(listed) - len(old),
    )


def collect(store: ObjectStore, waste: Waste, check: Callable[[], None], done: Callable[[Listed], None]) -> None:
    """The waste is gone. The caller holds the lock, so that no run goes on; a person may still move the champion.

    Args:
        check: Called before each deletion, for none can be taken back; raises where the lock is not held any more.
        done: Called after each deletion.

    Raises:
        SupersededError: a version that was going became the champion meanwhile; it stands again.
        Also what `check` raises; nothing was deleted since.
    """
    going = {name: store.get(keys.version(name)) for name in waste.versions}
    documents = [found for found in waste.objects if found.key.startswith(keys.VERSIONS)]
    for group in (documents, waste.objects[len(documents) :]):
        try:
            for found in group:
                check()
                store.delete(found.key)
                done(found)
        finally:  # also of a version that went before `check` raised, its promoter may not know
            _put_back_promoted(store, going)


def _put_back_promoted(store: ObjectStore, going: Mapping[str, bytes]) -> None:
    """Raises SupersededError where one of the versions is the champion now; its document stands then."""
    champion = read_champion(store)
    if champion is not None and (body := going.get(champion[0].version)) is not None:
        store.create(keys.version(champion[0].version), body)
        raise SupersededError(f"{champion[0].version} was promoted meanwhile; it stays", next="run gc again")


def everything(store: ObjectStore) -> list[Listed]:
    """All objects of a pipeline in the order in which a reader always finds a whole state or none; the lock last."""
    order = (keys.HISTORY, keys.ref("champion"), keys.VERSIONS)
    last = (keys.ref("owner"), keys.ref("lock"))

    def place(found: Listed) -> tuple[int, tuple[int, str]]:
        if found.key in last:
            return len(order) + 1 + last.index(found.key), (0, found.key)
        first = next((number for number, prefix in enumerate(order) if found.key.startswith(prefix)), len(order))
        return first, _place(found) if found.key.startswith(keys.RUNS) else (2, found.key)

    return sorted(store.list(""), key=place)


def clock_of(store: ObjectStore, key: str) -> datetime:
    """The store's own time, told by an object that stands: its age and the time at which it was written.

    Raises:
        NotFound: there is no such object.
    """
    age = timedelta(seconds=store.entry(key).age_seconds)
    return next((found.modified_at + age for found in store.list(key) if found.key == key), datetime.now(UTC))


def _needed_versions(store: ObjectStore, retention: Retention, names: Sequence[str]) -> set[str]:
    """Champion, anchor, the newest ones, and of the earlier champions as many that are not barred."""
    needed = set(islice(_newest_first(store, names), retention.versions))
    champion = read_champion(store)
    if champion is None:
        return needed
    left_out = {*champion[0].barred, champion[0].version}  # a rollback goes to neither
    earlier = dict.fromkeys(move.version for move in reversed(read_history(store)) if move.version not in left_out)
    return needed | {champion[0].version, champion[0].anchor} | set(list(earlier)[: retention.versions])


def _newest_first(store: ObjectStore, names: Sequence[str]) -> Iterator[str]:
    """By name, which tells the second; those of one second by their documents."""
    for _, group in groupby(sorted(names, reverse=True), key=lambda name: name.partition("-")[0]):
        same_second = list(group)
        if len(same_second) > 1:
            same_second.sort(key=lambda name: read_version(store, name).created_at, reverse=True)
        yield from same_second


def _young_runs(listed: Iterable[Listed], retention: Retention, now: datetime) -> set[str]:
    return {
        keys.run_of(found.key)
        for found in listed
        if found.key.startswith(keys.RUNS) and now - found.modified_at <= max(retention.runs, LEAST_AGE)
    }


def _snapshots(store: ObjectStore) -> set[str]:
    """Runs whose snapshots the next run goes on from."""
    snapshot, verdict = read_ref(store, "snapshot", SnapshotRef), read_ref(store, "verdict", VerdictRef)
    return {*([snapshot[0].run_id] if snapshot else []), *([verdict[0].snapshot_run_id] if verdict else [])}


def _referred(store: ObjectStore) -> set[str]:
    """Runs that the mutable documents name."""
    verdict, lock = read_ref(store, "verdict", VerdictRef), read_ref(store, "lock", LockRef)
    found = _snapshots(store) | ({verdict[0].run_id} if verdict else set())
    return found | ({lock[0].holder.run_id} if lock and lock[0].holder else set())


def _require_manifests(store: ObjectStore, run_id: str, *, made: bool) -> None:
    """What a needed run builds on can be told. Raises StepMissing."""
    for step in ("extract", "train", "evaluate") if made else ("extract",):
        if not store.exists(keys.manifest(run_id, step)):
            raise StepMissing(run_id, step)


def _named(store: ObjectStore, runs: Sequence[str]) -> Iterator[str]:
    """The keys of all objects that documents of these runs name, and of those named by what they name."""
    standing = set(version_names(store))
    for run_id in runs:
        documents: list[BaseModel] = [
            found for step in STEPS if (found := read_manifest(store, run_id, step, MANIFESTS[step])) is not None
        ]
        if run_id in standing:
            documents.append(read_version(store, run_id))
        for document in documents:
            for artifact in _artifacts(document):
                yield artifact.key


def _artifacts(value: object) -> Iterator[Artifact]:
    """Every artifact anywhere in a document."""
    if isinstance(value, Artifact):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _artifacts(getattr(value, name))
    elif isinstance(value, tuple | list):
        for member in value:
            yield from _artifacts(member)
    elif isinstance(value, dict):
        yield from _artifacts(list(value.values()))


def _spent(listed: Sequence[Listed]) -> set[str]:
    """Checkpoints of fits that have ended: the manifest of train stands, and no attempt goes on from them."""
    standing = {found.key for found in listed}
    return {key for key in standing if keys.is_checkpoint(key) and keys.manifest(keys.run_of(key), "train") in standing}


def _stays(key: str, kept: set[str], versions: set[str]) -> bool:
    return keys.version_of(key) in versions if key.startswith(keys.VERSIONS) else key in kept


def _place(found: Listed) -> tuple[int, str]:
    """Versions, then manifests, then what they name, then what tells of the run; the outcome last."""
    run_id, key = keys.run_of(found.key), found.key
    if key.startswith(keys.VERSIONS):
        return 0, key
    if key in {keys.manifest(run_id, step) for step in STEPS} or (keys.is_checkpoint(key) and key.endswith(".json")):
        return 1, key
    return {keys.run_record(run_id): 3, keys.outcome(run_id): 4}.get(key, 2), key

"""Reading and moving refs/: the only mutable objects, changed by compare-and-swap alone."""

import secrets
from typing import TypeVar

from refit.core import keys
from refit.core.domain import ExclusionsRef, LockRef, Move, OwnerRef, QuarantineRef, SnapshotRef, ToldRef, VerdictRef
from refit.core.store import NotFound, ObjectStore

AnyRef = TypeVar("AnyRef", ExclusionsRef, LockRef, Move, OwnerRef, QuarantineRef, SnapshotRef, ToldRef, VerdictRef)


def new_token() -> str:
    """A word that no other writer uses; it names attempts and marks conditional writes as one's own."""
    return secrets.token_hex(8)


def read_ref(store: ObjectStore, name: keys.RefName, kind: type[AnyRef]) -> tuple[AnyRef, str] | None:
    """The ref and the tag that a swap must name; None when it was never written.

    Raises:
        ArtifactError: the object is no document of this kind.
    """
    key = keys.ref(name)
    try:
        entry = store.entry(key)
    except NotFound:
        return None
    return kind.from_json(entry.body, key), entry.tag


def move_ref(store: ObjectStore, name: keys.RefName, record: AnyRef, tag: str | None) -> str:
    """The ref is `record` now; returns its new tag.

    Args:
        tag: The tag that was read, or None when no ref stood.

    Raises:
        Conflict: another writer moved it first.
    """
    return store.swap(keys.ref(name), record.to_json(), tag)

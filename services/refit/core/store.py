"""The object store: what refit asks of a bucket or a folder.

Two implementations, `LocalStore` and `S3Store`, pass one contract suite. All keys are relative to the store's
own prefix. Everything outside refs/ is written once; refs/ change only by compare-and-swap on a tag.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from refit.core.domain import Artifact
from refit.core.errors import ArtifactError, ConfigError, RefitError


class NotFound(ArtifactError):
    """No object stands at this key."""

    def __init__(self, key: str, url: str) -> None:
        super().__init__(f"{key} is not in {url}")
        self.key = key


class Conflict(RefitError):
    """The condition of a write did not hold: the key exists, or another writer moved it first.

    Callers decide what that means; one that escapes is a bug.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} was written by another process first")
        self.key = key


class ConditionsIgnored(ConfigError):
    """The store accepts conditional writes but does not honour them."""


@dataclass(frozen=True)
class Entry:
    """An object's bytes with what a conditional write needs; `age_seconds` is by the store's own clock."""

    body: bytes
    tag: str
    age_seconds: float


@dataclass(frozen=True)
class Listed:
    key: str
    size: int
    modified_at: datetime


class ObjectWriter(Protocol):
    """A stream into one object, which appears whole when the `with` block ends well, and not otherwise."""

    def write(self, chunk: bytes, /) -> int: ...
    @property
    def artifact(self) -> Artifact:
        """Key, size and digest of all written so far."""
        ...


@runtime_checkable
class ObjectStore(Protocol):
    """Raises of every method: AccessError (77), DependencyError (75), DiskError (74), ConfigError (64)."""

    @property
    def url(self) -> str: ...

    def under(self, prefix: str) -> "ObjectStore":
        """The same store, with keys relative to `prefix`, which ends in `/`."""
        ...

    def get(self, key: str) -> bytes:
        """The object's bytes. Raises NotFound."""
        ...

    def entry(self, key: str) -> Entry:
        """The object with its tag and age. Raises NotFound."""
        ...

    def exists(self, key: str) -> bool: ...

    def create(self, key: str, body: bytes) -> str:
        """Writes a new object and returns its tag.

        A write whose answer was lost is recognised by reading back an equal body.

        Raises:
            Conflict: another body stands at this key.
        """
        ...

    def swap(self, key: str, body: bytes, tag: str | None) -> str:
        """Replaces the object that has `tag` (None: no object) and returns the new tag.

        `body` must hold a token that no other writer uses: a write whose answer was lost is recognised by it.

        Raises:
            Conflict: the object has another tag.
        """
        ...

    def put(self, key: str, body: bytes) -> Artifact:
        """Writes an object under an attempt's own token, without a condition."""
        ...

    def writer(self, key: str) -> AbstractContextManager[ObjectWriter]:
        """As `put`, for streams of any length with flat memory."""
        ...

    def download(self, key: str, target: Path) -> None:
        """Copies the object into the file `target` with flat memory. Raises NotFound."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The file that holds the object where the store is a folder; None elsewhere."""
        ...

    def list(self, prefix: str) -> Iterator[Listed]:
        """The objects below `prefix` in key order. Shows and names things; never decides what a step reads."""
        ...

    def list_folders(self, prefix: str) -> Iterator[str]:
        """The names directly below `prefix` that have objects below them, in order."""
        ...

    def delete(self, key: str) -> None:
        """Removes the object; nothing happens when it is not there."""
        ...


def open_store(url: str) -> ObjectStore:
    """The store at `s3://bucket/prefix` or `file:///dir`.

    Raises:
        ConfigError: another kind of address.
    """
    raise NotImplementedError

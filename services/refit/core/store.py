"""The object store: what refit asks of a bucket or a folder.

Two implementations, `LocalStore` and `S3Store`, pass one contract suite. All keys are relative to the store's
own prefix. Everything outside refs/ is written once; refs/ change only by compare-and-swap on a tag.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

from refit.core.addresses import default_url as default_url  # asked for together with open_store
from refit.core.addresses import parse_url
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

    def __init__(self, url: str, seen: str) -> None:
        super().__init__(
            f"{url} does not honour conditional writes, so that two runs could overwrite each other: {seen}",
            next="use a store that does: AWS S3, MinIO since 2024-04, Ceph, Cloudflare R2, SeaweedFS from 4.18 on, "
            "or a folder of this machine (file:///FOLDER)",
        )


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

    @property
    def endpoint(self) -> str:
        """The server behind `url`, as host and port; empty where the store is a folder."""
        ...

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

    def sweep(self, older_than: timedelta) -> int:
        """Removes what killed writers left behind, temporary files or incomplete uploads, and counts it.

        Args:
            older_than: By the store's own clock; longer than any writer lives.
        """
        ...


def open_store(url: str) -> ObjectStore:
    """The store at `s3://bucket/prefix` or `file:///dir`. Nothing is read or written yet.

    Raises:
        ConfigError: another kind of address, a folder on a network file system, AWS_* settings that cannot be right.
    """
    place = parse_url(url)
    if isinstance(place, Path):
        from refit.core.local_store import LocalStore

        return LocalStore(place)
    from refit.core.s3_store import S3Store  # boto3 is imported only where a bucket is used

    return S3Store(place.bucket, place.prefix)

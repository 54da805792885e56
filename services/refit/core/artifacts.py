"""Reading artifacts: nothing is used before its size and digest are those that a manifest names."""

import hashlib
from pathlib import Path

from refit.core.disk import disk
from refit.core.domain import Artifact
from refit.core.errors import ArtifactError
from refit.core.store import NotFound, ObjectStore

CHUNK_BYTES = 1 << 20


class WrongDigest(ArtifactError):
    """A stored object is not the one that its manifest names: cut, altered or exchanged."""

    def __init__(self, artifact: Artifact, size: int, sha256: str, url: str) -> None:
        super().__init__(
            f"{artifact.key} in {url} is not what its manifest names: "
            f"expected {artifact.size} bytes with sha256 {artifact.sha256[:12]}…, found {size} with {sha256[:12]}…",
            next="restore the object from the bucket's versions or a backup",
        )


def describe(key: str, body: bytes) -> Artifact:
    """The artifact that `body` stored at `key` is."""
    return Artifact(key=key, size=len(body), sha256=hashlib.sha256(body).hexdigest())


def read(store: ObjectStore, artifact: Artifact) -> bytes:
    """The artifact's bytes, verified.

    Raises:
        NotFound: the object is gone.
        WrongDigest: it is another one, also when it is read again.
    """
    body = store.get(artifact.key)
    if describe(artifact.key, body) != artifact:  # perhaps altered on the way
        body = store.get(artifact.key)
        _compare(store, artifact, describe(artifact.key, body))
    return body


def fetch(store: ObjectStore, artifact: Artifact, folder: Path) -> Path:
    """A local file with the artifact's bytes, verified; a copy in `folder` unless the store is itself a folder.

    A second fetch of the same artifact into the same folder returns the verified copy.

    Raises:
        NotFound: the object is gone.
        WrongDigest: it is another one, also when it is read again.
        DiskError, AccessError: `folder` cannot take the copy.
    """
    path = store.local_path(artifact.key)
    if path is not None:
        if not store.exists(artifact.key):
            raise NotFound(artifact.key, store.url)
        _compare(store, artifact, _describe_file(artifact.key, path))
        return path
    copy = folder / artifact.sha256
    if copy.exists():
        return copy
    part = folder / f"{artifact.sha256}.part"
    store.download(artifact.key, part)
    if _describe_file(artifact.key, part) != artifact:  # perhaps altered on the way
        store.download(artifact.key, part)
        _compare(store, artifact, _describe_file(artifact.key, part))
    with disk(f"keep a copy of {artifact.key}", str(folder)):
        return part.rename(copy)


def _compare(store: ObjectStore, artifact: Artifact, found: Artifact) -> None:
    if found != artifact:
        raise WrongDigest(artifact, found.size, found.sha256, store.url)


def _describe_file(key: str, path: Path) -> Artifact:
    digest, size = hashlib.sha256(), 0
    with disk(f"read {path.name}", str(path.parent)), path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return Artifact(key=key, size=size, sha256=digest.hexdigest())

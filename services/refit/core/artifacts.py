"""Reading artifacts: nothing is used before its size and digest are those that a manifest names."""

import hashlib
from pathlib import Path

from refit.core.domain import Artifact
from refit.core.errors import ArtifactError
from refit.core.store import ObjectStore

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
        WrongDigest: it is another one.
    """
    body = store.get(artifact.key)
    found = describe(artifact.key, body)
    if found != artifact:
        raise WrongDigest(artifact, found.size, found.sha256, store.url)
    return body


def fetch(store: ObjectStore, artifact: Artifact, folder: Path) -> Path:
    """A local file with the artifact's bytes, verified; a copy in `folder` unless the store is itself a folder.

    A second fetch of the same artifact into the same folder returns the verified copy.

    Raises:
        NotFound: the object is gone.
        WrongDigest: it is another one.
    """
    copy = folder / artifact.sha256
    if copy.exists():
        return copy
    path = store.local_path(artifact.key)
    if path is None:
        path = folder / f"{artifact.sha256}.part"
        store.download(artifact.key, path)
        _verify(store, artifact, path)
        return path.rename(copy)
    _verify(store, artifact, path)
    return path


def _verify(store: ObjectStore, artifact: Artifact, path: Path) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        store.get(artifact.key)  # raises NotFound with the store's words
        raise
    if size != artifact.size or digest.hexdigest() != artifact.sha256:
        raise WrongDigest(artifact, size, digest.hexdigest(), store.url)

"""Nothing is used before its size and digest are those that a manifest names."""

from pathlib import Path

import pytest

from refit.core import artifacts
from refit.core.artifacts import WrongDigest, describe
from refit.core.local_store import LocalStore
from refit.core.store import NotFound


class Remote(LocalStore):
    """A folder that gives out no paths, and counts what it is asked for."""

    downloads = 0

    def local_path(self, key: str) -> Path:
        return None  # type: ignore[return-value]  # as a bucket does

    def download(self, key: str, target: Path) -> None:
        self.downloads += 1
        super().download(key, target)


@pytest.fixture
def folder(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "store")


def test_a_folders_artifact_is_verified_in_place(folder: LocalStore, tmp_path: Path) -> None:
    artifact = folder.put("a", b"whole")
    assert artifacts.read(folder, artifact) == b"whole"
    assert artifacts.fetch(folder, artifact, tmp_path) == folder.local_path("a")


def test_another_stores_artifact_is_copied_once(remote: Remote, tmp_path: Path) -> None:
    artifact = remote.put("a", b"whole")
    first = artifacts.fetch(remote, artifact, tmp_path)
    assert first.read_bytes() == b"whole"
    assert artifacts.fetch(remote, artifact, tmp_path) == first
    assert remote.downloads == 1


@pytest.mark.parametrize("body", [b"", b"whol", b"wholf", b"whole and more"], ids=["empty", "cut", "altered", "longer"])
def test_another_object_is_never_used(folder: LocalStore, remote: Remote, body: bytes, tmp_path: Path) -> None:
    artifact = describe("a", b"whole")
    folder.put("a", body)
    for store in (folder, remote):
        with pytest.raises(WrongDigest, match=f"expected 5 bytes with sha256 .*, found {len(body)} with") as caught:
            artifacts.read(store, artifact)
        assert caught.value.exit_code == 66
        with pytest.raises(WrongDigest):
            artifacts.fetch(store, artifact, tmp_path)
    assert not (tmp_path / artifact.sha256).exists()


def test_a_missing_artifact_is_named(folder: LocalStore, remote: Remote, tmp_path: Path) -> None:
    artifact = describe("runs/r/model.skops", b"whole")
    for store in (folder, remote):
        with pytest.raises(NotFound, match=r"runs/r/model\.skops is not in file://"):
            artifacts.read(store, artifact)
        with pytest.raises(NotFound):
            artifacts.fetch(store, artifact, tmp_path)

"""The object store in a folder of this machine."""

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final

from refit.core.addresses import BadKey, check_folder, check_key, file_url
from refit.core.artifacts import CHUNK_BYTES, describe
from refit.core.atomic_folder import LOCK, TEMPORARY, AtomicFolder, Staged
from refit.core.disk import disk, whole_file
from refit.core.domain import Artifact
from refit.core.effects import effect
from refit.core.errors import ConfigError
from refit.core.mounts import NETWORK_TYPES, file_system, mount_table
from refit.core.store import Conflict, Entry, Listed, NotFound
from refit.core.traffic import TRAFFIC
from refit.core.writer import ArtifactWriter

_ABSENT: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class NetworkFolder(ConfigError):
    """The folder lies on a file system that several machines share."""

    def __init__(self, url: str, kind: str) -> None:
        super().__init__(
            f"{url} lies on a network file system ({kind}), where writes of two machines are not kept in order",
            next="use a bucket (s3://BUCKET/PREFIX), or a folder on a disk of this machine",
        )


class LocalStore:
    """Objects as files below a folder, for the processes of one machine.

    A tag is the digest of the body; the bodies of refs/ hold a token, so that no two are equal.

    Args:
        root: The store's folder; made when something is written.
        prefix: Goes before each key; empty or ending in `/`.
        clock: Seconds since the epoch by the clock that stamps the files.
        table: The kernel's mounts; see `mounts`.

    Raises:
        NetworkFolder: the folder lies on a network file system.
    """

    def __init__(
        self,
        root: Path,
        prefix: str = "",
        *,
        clock: Callable[[], float] = time.time,
        table: Callable[[], str] = mount_table,
    ) -> None:
        self._root, self._prefix, self._clock, self._table = root, check_folder(prefix), clock, table
        self._folder = AtomicFolder(root)
        with disk("look at the folder", self.url):
            kind = file_system(root.resolve(), table())
        if kind in NETWORK_TYPES:
            raise NetworkFolder(self.url, kind)

    @property
    def url(self) -> str:
        return file_url(self._root / self._prefix)

    @property
    def endpoint(self) -> str:
        return ""

    def under(self, prefix: str) -> "LocalStore":
        return LocalStore(self._root, self._prefix + check_folder(prefix), clock=self._clock, table=self._table)

    def local_path(self, key: str) -> Path:
        return self._path(key)

    # --- reading ---

    def get(self, key: str) -> bytes:
        return self.entry(key).body

    def entry(self, key: str) -> Entry:
        with self._opened(key) as file:
            body, modified_at = file.read(), os.fstat(file.fileno()).st_mtime
        return Entry(body, _tag(body), max(0.0, self._clock() - modified_at))

    def download(self, key: str, target: Path) -> None:
        with self._opened(key) as file, whole_file(target) as copy:
            shutil.copyfileobj(file, copy, CHUNK_BYTES)

    @contextmanager
    def _opened(self, key: str) -> Iterator[IO[bytes]]:
        path = self._path(key)
        TRAFFIC.count(sent=1)
        with disk(f"read {key}", self.url):
            try:
                file = path.open("rb")
            except _ABSENT:
                raise NotFound(key, self.url) from None
            with file:
                yield file

    def exists(self, key: str) -> bool:
        TRAFFIC.count(sent=1)
        with disk(f"look at {key}", self.url):
            try:
                return stat.S_ISREG(self._path(key).stat().st_mode)
            except _ABSENT:
                return False

    def list(self, prefix: str) -> Iterator[Listed]:
        folder, slash, start = prefix.rpartition("/")
        yield from self._walk(check_folder(folder + slash), start)

    def list_folders(self, prefix: str) -> Iterator[str]:
        for entry in self._scan(check_folder(prefix)):
            if _is_folder(entry) and next(self._walk(f"{prefix}{entry.name}/", ""), None) is not None:
                yield entry.name

    def _walk(self, folder: str, start: str) -> Iterator[Listed]:
        for entry in self._scan(folder):
            if not entry.name.startswith(start):
                continue
            if _is_folder(entry):
                yield from self._walk(f"{folder}{entry.name}/", "")
            elif entry.is_file():
                with disk(f"look at {folder}{entry.name}", self.url):
                    try:
                        found = entry.stat()
                    except FileNotFoundError:
                        continue  # deleted meanwhile
                yield Listed(folder + entry.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def _scan(self, folder: str) -> Sequence["os.DirEntry[str]"]:
        """The folder's entries in key order, in which a folder's name ends in `/`."""
        whole = self._prefix + folder
        TRAFFIC.count(sent=1)
        with disk(f"list {folder}", self.url):
            try:
                with os.scandir(self._root / whole) as entries:
                    found = [entry for entry in entries if not _is_own(whole + entry.name)]
            except _ABSENT:
                return []
            return sorted(found, key=lambda entry: entry.name + "/" * _is_folder(entry))

    # --- writing ---

    def create(self, key: str, body: bytes) -> str:
        path = self._path(key)
        with self._staged(key) as staged:
            staged.write(body)
            with effect(f"create {key}"):
                while not self._folder.add(staged, path):
                    standing = _standing(path)
                    if standing is not None and standing != body:
                        raise Conflict(key)
                    if standing is not None:
                        break
        return _tag(body)

    def swap(self, key: str, body: bytes, tag: str | None) -> str:
        path = self._path(key)
        with self._staged(key) as staged:
            staged.write(body)
            staged.sync()
            with effect(f"swap {key}"), self._folder.locked():
                standing = _standing(path)
                if standing is not None and _tag(standing) == tag:
                    self._folder.replace(staged, path)
                elif standing is None and tag is None:
                    if not self._folder.add(staged, path):  # `create` takes no lock
                        raise Conflict(key)
                elif standing != body:
                    raise Conflict(key)
        return _tag(body)

    def put(self, key: str, body: bytes) -> Artifact:
        with self.writer(key) as writer:
            writer.write(body)
        return describe(key, body)

    @contextmanager
    def writer(self, key: str) -> Iterator[ArtifactWriter]:
        path = self._path(key)
        TRAFFIC.count(sent=1)
        with self._folder.staged() as staged, ArtifactWriter(key, staged.write) as writer:
            yield writer
            staged.sync()
            with effect(f"put {key}"), disk(f"write {key}", self.url), self._folder.locked():
                self._folder.replace(staged, path)

    def delete(self, key: str) -> None:
        path = self._path(key)
        if self.exists(key):
            with effect(f"delete {key}"), disk(f"delete {key}", self.url), self._folder.locked():
                self._folder.remove(path)

    def sweep(self, older_than: timedelta) -> int:
        TRAFFIC.count(sent=1)
        with disk("sweep", self.url):
            return self._folder.sweep(older_than, self._clock)

    @contextmanager
    def _staged(self, key: str) -> Iterator[Staged]:
        TRAFFIC.count(sent=1)
        with disk(f"write {key}", self.url), self._folder.staged() as staged:
            yield staged

    def _path(self, key: str) -> Path:
        whole = self._prefix + check_key(key)
        if _is_own(whole):
            raise BadKey(whole, "the store keeps that name for itself")
        return self._root / whole


def _is_own(whole: str) -> bool:
    """True for what the store keeps beside the objects, directly below its root."""
    return whole.partition("/")[0] in (TEMPORARY, LOCK)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False)  # a link upwards would never end


def _standing(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _tag(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()

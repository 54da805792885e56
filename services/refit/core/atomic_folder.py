"""A folder whose files appear and change only whole, for all processes of the machine, even when one is killed.

    <root>/.tmp/<random>     a file being written; worthless once its writer is gone
    <root>/.lock             flock(2) on it orders all changes of standing files; the kernel frees it with its holder
    <root>/…                 the files

A file is written beside the others, synced, and then linked (a new one) or renamed (a changed one) into place:
each is one step of the kernel, so that SIGKILL at any moment leaves the old state or the new one, and at worst a
file in .tmp. Readers take no lock: a file that they have opened never changes.
"""

import errno
import fcntl
import os
import random
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Final

from refit.core.disk import disk
from refit.core.effects import effect
from refit.core.errors import DependencyError

TEMPORARY: Final = ".tmp"
LOCK: Final = ".lock"
LOCK_SECONDS: Final = 30.0  # a change holds the lock for milliseconds; only a stopped process holds it longer
FOLDER_TRIES: Final = 100


class LockStuck(DependencyError):
    """Another process holds the store's lock and does not go on."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__(
            f"another process has held {path} for {seconds:.0f} s",
            next=f"look for a stopped process with: fuser -v {path}",
        )


@dataclass(frozen=True)
class Staged:
    """A file being written, not yet in its place."""

    path: Path
    file: IO[bytes]

    def write(self, chunk: bytes | memoryview) -> None:
        with disk("write a file", str(self.path.parent)):
            self.file.write(chunk)

    def sync(self) -> None:
        """All written so far outlives a power cut."""
        with disk("write a file", str(self.path.parent)):
            self.file.flush()
            os.fsync(self.file.fileno())


class AtomicFolder:
    """See the module.

    Args:
        root: Made when the first file is written.
        lock_seconds: How long to wait for another process's change.
    """

    def __init__(self, root: Path, lock_seconds: float = LOCK_SECONDS) -> None:
        self.root, self._lock_seconds = root, lock_seconds

    @contextmanager
    def staged(self) -> Iterator[Staged]:
        """A new file to write to; gone after the block unless it was put into its place."""
        folder = self.root / TEMPORARY
        path = folder / secrets.token_hex(16)
        with disk("write a file", str(self.root)):
            make_folders(folder)
            file = path.open("xb")
        try:
            yield Staged(path, file)
        finally:
            with suppress(OSError):  # what is put into its place was synced before; the rest is thrown away
                file.close()
            with disk("remove a temporary file", str(self.root)):
                path.unlink(missing_ok=True)

    def add(self, staged: Staged, target: Path) -> bool:
        """True when `target` is the staged file now; False when another one stood there."""
        staged.sync()
        try:
            _place(os.link, staged.path, target)
        except FileExistsError:
            return False
        return True

    def replace(self, staged: Staged, target: Path) -> None:
        """`target` is the staged file now, whatever stood there. The caller holds the lock."""
        _place(os.replace, staged.path, target)

    def remove(self, target: Path) -> None:
        """`target` is gone, with the folders that it leaves empty. The caller holds the lock."""
        target.unlink(missing_ok=True)
        if target.parent.exists():
            sync_folder(target.parent)
        for folder in target.parents:
            if folder == self.root:
                return
            try:
                folder.rmdir()
            except OSError:
                return

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other process or thread changes a standing file during the block.

        Raises:
            LockStuck: another one has held the lock for `lock_seconds`.
        """
        path = self.root / LOCK
        deadline = time.monotonic() + self._lock_seconds
        while True:
            make_folders(self.root)
            with path.open("ab") as file:
                if _flock(file) and _is_at(file, path):
                    yield
                    return
            if time.monotonic() >= deadline:
                raise LockStuck(path, self._lock_seconds)
            time.sleep(random.uniform(0.0005, 0.005))  # noqa: S311, no secret

    def sweep(self, older_than: timedelta, clock: Callable[[], float]) -> int:
        """Removes temporary files that no one has written to for so long, and counts them."""
        removed = 0
        folder = self.root / TEMPORARY
        for path in sorted(folder.iterdir()) if folder.exists() else ():
            with suppress(FileNotFoundError):
                if clock() - path.stat().st_mtime > older_than.total_seconds():
                    with effect(f"sweep {TEMPORARY}/{path.name}"):
                        path.unlink()
                    removed += 1
        return removed


def make_folders(folder: Path) -> None:
    """The folder and those above it exist and outlive a power cut.

    Raises:
        NotADirectoryError: a file stands at one of the names.
    """
    try:
        folder.mkdir()
    except FileNotFoundError:
        make_folders(folder.parent)
        make_folders(folder)
    except FileExistsError:
        if not folder.is_dir() and (folder.exists() or folder.is_symlink()):
            raise NotADirectoryError(errno.ENOTDIR, "a file stands where a folder should", str(folder)) from None
    else:
        with suppress(FileNotFoundError):  # a deletion took both away again; who writes into it finds out
            sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Names added to the folder or taken from it so far outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(step: Callable[[Path, Path], None], staged: Path, target: Path) -> None:
    for remaining in reversed(range(FOLDER_TRIES)):
        make_folders(target.parent)
        try:
            step(staged, target)
        except FileNotFoundError:
            if not remaining or not staged.exists():
                raise
            continue  # a deletion took the emptied folder away in between
        break
    with suppress(FileNotFoundError):  # deleted again already
        sync_folder(target.parent)


def _flock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    """False when someone removed the store and its lock file in between: others would lock another file."""
    held = os.fstat(file.fileno())
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and (held.st_dev, held.st_ino) == (found.st_dev, found.st_ino)

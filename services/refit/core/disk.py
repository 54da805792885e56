"""Where errors of the local disk become refit's own."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from refit.core.errors import AccessError, ConfigError, DiskError, RefitError

_DENIED: Final = {errno.EACCES, errno.EPERM, errno.EROFS}
_MISPLACED: Final = {errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def disk(doing: str, place: str) -> Iterator[None]:
    """The body works on local files; an OSError leaves it as a RefitError.

    Args:
        doing: For the message, as in `write runs/…/train.json`.
        place: The store or folder.

    Raises:
        AccessError: EACCES, EPERM, EROFS.
        ConfigError: a folder where a file should be, the reverse, or a name that the file system cannot hold.
        DiskError: the disk is full (ENOSPC, EDQUOT, EFBIG) or fails (all else).
    """
    try:
        yield
    except OSError as error:
        raise mapped(error, doing, place) from error


@contextmanager
def whole_file(target: Path) -> Iterator[IO[bytes]]:
    """A new file to write to; removed again when the block fails.

    Raises:
        AccessError, ConfigError, DiskError: as `disk`.
    """
    try:
        with disk(f"write {target.name}", str(target.parent)), target.open("wb") as file:
            yield file
    except BaseException:
        with suppress(OSError):
            target.unlink()
        raise


def mapped(error: OSError, doing: str, place: str) -> RefitError:
    """The RefitError that an OSError stands for."""
    code = error.errno or 0
    what = f"cannot {doing} in {place}: {os.strerror(code) if code else error}"
    if code in _DENIED:
        return AccessError(what, next=f"give user {os.geteuid()} access to it, or name another place")
    if code in _MISPLACED:
        return ConfigError(what, next="look at what stands there: a file, a folder or a link in the wrong place")
    if code in _FULL:
        return DiskError(what, next="make room, or name another place")
    return DiskError(what, next="look at the disk and the system's log")

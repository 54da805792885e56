"""Every error of the local disk becomes one that an operator can act on."""

import errno
from pathlib import Path

import pytest

from refit.core.disk import disk, whole_file
from refit.core.errors import AccessError, ConfigError, DiskError, RefitError


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, DiskError),
        (errno.EDQUOT, DiskError),
        (errno.EFBIG, DiskError),
        (errno.EIO, DiskError),
        (errno.EMFILE, DiskError),
        (errno.ENODEV, DiskError),
        (errno.EACCES, AccessError),
        (errno.EPERM, AccessError),
        (errno.EROFS, AccessError),
        (errno.ENOTDIR, ConfigError),
        (errno.EISDIR, ConfigError),
        (errno.ENAMETOOLONG, ConfigError),
        (errno.ELOOP, ConfigError),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else value.__name__,
)
def test_errors_are_sorted_by_what_can_be_done(code: int, kind: type[RefitError]) -> None:
    with pytest.raises(kind, match=r"cannot write a in file:///x: \S+") as caught, disk("write a", "file:///x"):
        raise OSError(code, "words")
    assert type(caught.value) is kind
    assert caught.value.next
    assert isinstance(caught.value.__cause__, OSError)


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), disk("write a", "file:///x"):
        raise ZeroDivisionError


def test_a_file_that_could_not_be_finished_is_removed(tmp_path: Path) -> None:
    def stop() -> None:
        with whole_file(tmp_path / "a") as file:
            file.write(b"1")
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(DiskError):
        stop()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_a_missing_folder_is_a_disk_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="No such file"), whole_file(tmp_path / "gone" / "a"):
        pytest.fail("the block must not run")

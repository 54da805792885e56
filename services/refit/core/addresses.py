"""What may stand in the address of a store, and in the name of an object within it. Pure.

s3://BUCKET[/PREFIX]      a bucket; server and credentials come from the standard AWS_* settings
file:///FOLDER            a folder of this machine; percent-encoding as in RFC 8089, spaces may stand as they are
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from refit.core.errors import ConfigError

MAX_KEY_BYTES: Final = 900  # S3 allows 1,024, the store's own prefix included
MAX_SEGMENT_BYTES: Final = 255  # a file's name on ext4, xfs and APFS
_KEY: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


class BadStoreUrl(ConfigError):
    """The address of a store cannot be used as it stands."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"{_without_password(url)[:200]!r} is no store: {why}",
            next="set REFIT_STORE to s3://BUCKET/PREFIX or file:///FOLDER",
        )


class BadKey(ConfigError):
    """A name that some store could not hold; keys are made from names that users choose."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key[:200]!r} cannot name an object: {why}")


@dataclass(frozen=True)
class Bucket:
    """A bucket and the prefix below which the store lies, empty or ending in `/`."""

    bucket: str
    prefix: str


def default_url(environ: Mapping[str, str], folder: Path) -> str:
    """The store's address: REFIT_STORE, else `.refit/store` below `folder`, the working directory."""
    return environ.get("REFIT_STORE") or file_url(folder / ".refit" / "store")


def file_url(folder: Path) -> str:
    """The address of a folder; `parse_url` reads it back as the same folder."""
    return "file://" + str(folder).replace("%", "%25")


def parse_url(url: str) -> Bucket | Path:
    """What a store's address means.

    Raises:
        BadStoreUrl: it is neither form above, or holds credentials.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "file":
        return _folder(url, rest)
    if separator and scheme == "s3":
        return _bucket(url, rest)
    hint = f"; perhaps {file_url(Path(url).absolute())}" if url and not separator else ""
    raise BadStoreUrl(url, f"it is neither an s3:// nor a file:// address{hint}")


def check_key(key: str) -> str:
    """The key, which can name an object in every store.

    Raises:
        BadKey: it has empty, `.` or `..` segments, control characters, or is too long.
    """
    segments = key.split("/")
    if not _KEY.fullmatch(key):
        raise BadKey(key, "it is empty or holds control characters")
    if any(segment in ("", ".", "..") for segment in segments):
        raise BadKey(key, "its parts stand between single slashes, and none is '.' or '..'")
    if len(key.encode()) > MAX_KEY_BYTES or any(len(segment.encode()) > MAX_SEGMENT_BYTES for segment in segments):
        raise BadKey(key, f"it is longer than {MAX_KEY_BYTES} bytes, or a part longer than {MAX_SEGMENT_BYTES}")
    return key


def check_folder(prefix: str) -> str:
    """The prefix, which names a folder: empty, or a key and a `/`.

    Raises:
        BadKey: it does not.
    """
    if prefix:
        if not prefix.endswith("/"):
            raise BadKey(prefix, "a folder's name ends in '/'")
        check_key(prefix[:-1])
    return prefix


def _folder(url: str, rest: str) -> Path:
    path = unquote(rest.removeprefix("localhost"))
    if not path.startswith("/"):
        raise BadStoreUrl(url, f"the path must be absolute; perhaps {file_url(Path(path).absolute())}")
    if not _KEY.fullmatch(path):
        raise BadStoreUrl(url, "the path holds control characters")
    if not path.strip("/"):
        raise BadStoreUrl(url, "the root of the file system is no place for a store; name a folder")
    return Path("/" + os.path.normpath(path).lstrip("/"))


def _bucket(url: str, rest: str) -> Bucket:
    bucket, _, prefix = rest.partition("/")
    if "@" in bucket or ":" in bucket:
        raise BadStoreUrl(url, "it holds credentials or a port; those belong into the AWS_* variables")
    if "?" in rest or "#" in rest:
        raise BadStoreUrl(url, "settings belong into AWS_ENDPOINT_URL_S3, AWS_DEFAULT_REGION and the like")
    if not _BUCKET.fullmatch(bucket):
        raise BadStoreUrl(url, "it needs the name of a bucket: 3 to 63 letters, digits, '-', '.' or '_'")
    prefix = prefix.strip("/")
    return Bucket(bucket, check_key(prefix) + "/" if prefix else "")


def _without_password(url: str) -> str:
    return re.sub(r"://[^/]*@", "://…@", url)

"""The object store in a bucket of an S3 server."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from refit.core.addresses import check_folder, check_key
from refit.core.artifacts import describe
from refit.core.disk import whole_file
from refit.core.domain import Artifact
from refit.core.effects import effect
from refit.core.s3_connection import Limits, S3Connection
from refit.core.s3_download import Download
from refit.core.s3_errors import StoreRefused, is_missing, is_refused, status_of
from refit.core.s3_writer import MultipartUpload
from refit.core.store import Conflict, Entry, Listed, NotFound
from refit.core.writer import ArtifactWriter

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

Result = TypeVar("Result")


class S3Store:
    """Objects in a bucket, for processes anywhere. A tag is the server's ETag.

    Server and credentials come from the standard AWS_* settings alone.

    Args:
        bucket: Its name.
        prefix: Goes before each key; empty or ending in `/`.
        limits: How long a call may take.
        connection: Shared with another store of the same server.
    """

    def __init__(
        self, bucket: str, prefix: str = "", *, limits: Limits | None = None, connection: S3Connection | None = None
    ) -> None:
        self._bucket, self._prefix = bucket, check_folder(prefix)
        self._connection = connection or S3Connection(self.url, limits or Limits())
        self._client = self._connection.client

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def endpoint(self) -> str:
        return self._connection.endpoint

    def under(self, prefix: str) -> "S3Store":
        return S3Store(self._bucket, self._prefix + check_folder(prefix), connection=self._connection)

    def local_path(self, key: str) -> None:
        check_key(key)

    # --- reading ---

    def get(self, key: str) -> bytes:
        return self.entry(key).body

    def entry(self, key: str) -> Entry:
        return self._found(key, lambda: self._entry(key))

    def exists(self, key: str) -> bool:
        """A HEAD would not tell a missing bucket from a missing object."""
        try:
            self._found(key, lambda: self._first_byte(key))
        except NotFound:
            return False
        return True

    def download(self, key: str, target: Path) -> None:
        path = self._path(key)
        with whole_file(target) as file:
            Download(self._connection, self.url, self._bucket, path, key, file).run()

    def list(self, prefix: str) -> Iterator[Listed]:
        folder, slash, _ = prefix.rpartition("/")
        check_folder(folder + slash)
        for page in self._pages(prefix):
            for found in page.get("Contents", ()):
                yield Listed(
                    found["Key"].removeprefix(self._prefix), found["Size"], found["LastModified"].astimezone(UTC)
                )

    def list_folders(self, prefix: str) -> Iterator[str]:
        for page in self._pages(check_folder(prefix), Delimiter="/"):
            for found in page.get("CommonPrefixes", ()):
                yield found["Prefix"].removeprefix(self._prefix + prefix)[:-1]

    def _pages(self, prefix: str, **options: Any) -> Iterator["ListObjectsV2OutputTypeDef"]:
        more: dict[str, Any] = {}

        def request() -> "ListObjectsV2OutputTypeDef":
            return self._client.list_objects_v2(
                Bucket=self._bucket,
                Prefix=self._prefix + prefix,
                MaxKeys=self._connection.limits.page_keys,
                **options,
                **more,
            )

        while True:
            page = self._call(f"list {prefix or 'all'}", request)
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _entry(self, key: str) -> Entry:
        answer = self._client.get_object(Bucket=self._bucket, Key=self._path(key))
        age = self._now(answer["ResponseMetadata"]["HTTPHeaders"]) - answer["LastModified"]
        return Entry(b"".join(self._connection.chunks(answer)), answer["ETag"], max(0.0, age.total_seconds()))

    def _first_byte(self, key: str) -> None:
        try:
            self._client.get_object(Bucket=self._bucket, Key=self._path(key), Range="bytes=0-0")["Body"].close()
        except ClientError as error:
            if status_of(error) != 416:  # an empty object has no first byte
                raise

    def _now(self, headers: Mapping[str, str]) -> datetime:
        """The server's clock, by the header that every origin server with a clock sends (RFC 9110, 6.6.1)."""
        try:
            return parsedate_to_datetime(headers["date"])
        except (KeyError, ValueError):
            raise StoreRefused(f"{self.url} at {self.endpoint} does not tell the time (header Date)") from None

    # --- writing ---

    def create(self, key: str, body: bytes) -> str:
        return self._conditional("create", key, body, IfNoneMatch="*")

    def swap(self, key: str, body: bytes, tag: str | None) -> str:
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        return self._conditional("swap", key, body, **condition)

    def put(self, key: str, body: bytes) -> Artifact:
        self._call(f"write {key}", lambda: self._write("put", key, body))
        return describe(key, body)

    @contextmanager
    def writer(self, key: str) -> Iterator[ArtifactWriter]:
        upload = MultipartUpload(self._connection, self.url, self._bucket, self._path(key), key)
        try:
            with ArtifactWriter(key, upload.write) as writer:
                yield writer
                upload.finish(lambda body: self.put(key, body))
        except BaseException:
            upload.abort()
            raise

    def delete(self, key: str) -> None:
        path = self._path(key)

        def request() -> None:
            with effect(f"delete {key}"):
                self._client.delete_object(Bucket=self._bucket, Key=path)

        self._call(f"delete {key}", request)

    def sweep(self, older_than: timedelta) -> int:
        """As the Protocol says. MinIO lists uploads by whole key only, and removes them itself after a day."""
        answer = self._call(
            "list uploads", lambda: self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=self._prefix)
        )
        now = self._now(answer["ResponseMetadata"]["HTTPHeaders"])
        old = [upload for upload in answer.get("Uploads", ()) if now - upload["Initiated"] > older_than]
        for upload in old:
            self._call("sweep uploads", partial(self._abort, upload["Key"], upload["UploadId"]))
        return len(old)

    def _abort(self, path: str, upload_id: str) -> None:
        with effect(f"sweep {path}"), suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=path, UploadId=upload_id)

    def _write(self, verb: str, key: str, body: bytes, **condition: Any) -> str:
        with effect(f"{verb} {key}"):
            answer = self._client.put_object(
                Bucket=self._bucket, Key=self._path(key), Body=self._connection.upload(body), **condition
            )
        return answer["ETag"]

    def _conditional(self, verb: str, key: str, body: bytes, **condition: Any) -> str:
        """The new tag. A refused write may be one's own, repeated here or by a proxy after its answer was lost."""

        def request() -> str:
            try:
                return self._write(verb, key, body, **condition)
            except ClientError as error:
                if not is_refused(error):
                    raise
                standing = self._standing(key)
                if standing is None or standing.body != body:
                    raise Conflict(key) from error
                return standing.tag

        return self._call(f"write {key}", request)

    def _standing(self, key: str) -> Entry | None:
        try:
            return self._entry(key)
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    # --- both ---

    def _path(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _call(self, doing: str, request: Callable[[], Result]) -> Result:
        return self._connection.call(doing, self.url, request)

    def _found(self, key: str, request: Callable[[], Result]) -> Result:
        """As `_call`, for requests that read one object."""

        def checked() -> Result:
            try:
                return request()
            except ClientError as error:
                if is_missing(error):
                    raise NotFound(key, self.url) from error
                raise

        return self._call(f"read {key}", checked)

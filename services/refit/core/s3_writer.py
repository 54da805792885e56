"""A stream into one S3 object with flat memory: a single request when it is small, else a multipart upload."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar, cast

from botocore.exceptions import ClientError

from refit.core.effects import effect
from refit.core.errors import ConfigError
from refit.core.s3_connection import S3Connection
from refit.core.s3_errors import BOTOCORE, code_of

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

Result = TypeVar("Result")

MAX_PARTS: Final = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
# AWS wants the checksum of each part that boto3 sent one for again at the end.
_SUMS: Final = ("ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256")


class TooLong(ConfigError):
    """The stream has more parts than S3 takes for one object."""

    def __init__(self, key: str, url: str, n_bytes: int) -> None:
        super().__init__(f"{key} in {url} is longer than one object may be here ({n_bytes >> 30} GiB)")


class MultipartUpload:
    """Parts collect on the server and show nothing until `finish`; `abort` removes them.

    A process killed before `finish` leaves parts that nobody sees; `sweep` of the store removes them.

    Args:
        bucket: Where the object will stand, at `path`, its whole key there.
        key: The object as hooks and messages name it.
    """

    def __init__(self, connection: S3Connection, url: str, bucket: str, path: str, key: str) -> None:
        self._connection, self._url, self._key = connection, url, key
        self._bucket, self._path = bucket, path
        self._upload_id: str | None = None
        self._buffer = bytearray()
        self._parts: list[CompletedPartTypeDef] = []
        self._sent_bytes = 0

    def write(self, chunk: bytes | memoryview) -> None:
        self._buffer += chunk
        size = self._connection.limits.part_bytes
        while len(self._buffer) > size:
            with memoryview(self._buffer) as view:
                part = bytes(view[:size])
            del self._buffer[:size]
            self._send(part)

    def finish(self, put: Callable[[bytes], object]) -> None:
        """The object stands, whole.

        Args:
            put: Stores a small object in one request.
        """
        if self._upload_id is None:
            put(bytes(self._buffer))
            return
        self._send(bytes(self._buffer))
        self._change("complete", self._complete)

    def abort(self) -> None:
        """Nothing of the stream is left, as far as the server answers."""
        if self._upload_id is not None:
            with suppress(*BOTOCORE), effect(f"abort {self._key}"):  # the error that led here counts
                self._connection.client.abort_multipart_upload(
                    Bucket=self._bucket, Key=self._path, UploadId=self._upload_id
                )

    def _send(self, part: bytes) -> None:
        if len(self._parts) == MAX_PARTS:
            raise TooLong(self._key, self._url, self._sent_bytes)
        upload_id, number = self._id(), len(self._parts) + 1
        answer = self._change(
            f"part {number} of",
            lambda: self._connection.client.upload_part(
                Bucket=self._bucket,
                Key=self._path,
                UploadId=upload_id,
                PartNumber=number,
                Body=self._connection.upload(part),
            ),
        )
        sums = {name: value for name, value in answer.items() if name in _SUMS}
        self._parts.append(cast("CompletedPartTypeDef", {"PartNumber": number, "ETag": answer["ETag"], **sums}))
        self._sent_bytes += len(part)

    def _complete(self) -> None:
        try:
            self._connection.client.complete_multipart_upload(
                Bucket=self._bucket, Key=self._path, UploadId=self._id(), MultipartUpload={"Parts": self._parts}
            )
        except ClientError as error:
            if code_of(error) != "NoSuchUpload" or not self._stands():  # else an answer was lost
                raise

    def _stands(self) -> bool:
        found = self._connection.client.head_object(Bucket=self._bucket, Key=self._path)
        return found["ContentLength"] == self._sent_bytes

    def _id(self) -> str:
        if self._upload_id is None:
            begun = self._change(
                "begin",
                lambda: self._connection.client.create_multipart_upload(Bucket=self._bucket, Key=self._path),
            )
            self._upload_id = begun["UploadId"]
        return self._upload_id

    def _change(self, verb: str, request: Callable[[], Result]) -> Result:
        def passing_the_hook() -> Result:
            with effect(f"{verb} {self._key}"):
                return request()

        return self._connection.call(f"write {self._key}", self._url, passing_the_hook)

"""An S3 object copied into a file with flat memory; a cut transfer goes on where it stopped."""

from typing import IO, TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from refit.core.s3_connection import S3Connection
from refit.core.s3_errors import StoreAway, is_missing, status_of
from refit.core.store import NotFound
from refit.core.traffic import TRAFFIC

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

PROGRESS_BYTES: Final = 1 << 20


class Download:
    """One object on its way into `file`.

    Args:
        bucket, path: Where the object stands.
        key, url: The same for messages.
    """

    def __init__(self, connection: S3Connection, url: str, bucket: str, path: str, key: str, file: IO[bytes]) -> None:
        self._connection, self._url, self._key = connection, url, key
        self._bucket, self._path, self._file = bucket, path, file
        self._received, self._etag = 0, ""

    def run(self) -> None:
        """The file holds the object.

        Raises:
            NotFound: nothing stands there.
            StoreAway: `call_seconds` passed without a megabyte of progress.
            OSError: the file cannot be written.
        """
        while True:
            before = self._received
            try:
                return self._connection.call(f"read {self._key}", self._url, self._receive)
            except StoreAway:
                if self._received - before < PROGRESS_BYTES:
                    raise
                TRAFFIC.count(repeated=1)

    def _receive(self) -> None:
        try:
            answer = self._request()
        except ClientError as error:
            if is_missing(error):
                raise NotFound(self._key, self._url) from error
            raise
        for chunk in self._connection.chunks(answer):
            self._file.write(chunk)
            self._received += len(chunk)

    def _request(self) -> "GetObjectOutputTypeDef":
        """The rest of the object, or all of it when it changed meanwhile or the server knows no ranges."""
        client = self._connection.client
        if self._received:
            try:
                answer = client.get_object(
                    Bucket=self._bucket, Key=self._path, Range=f"bytes={self._received}-", IfMatch=self._etag
                )
            except ClientError as error:
                if status_of(error) not in (412, 416, 501):
                    raise
            else:
                if answer.get("ContentRange", "").startswith(f"bytes {self._received}-"):
                    return answer
                answer["Body"].close()
            self._start_over()
        answer = client.get_object(Bucket=self._bucket, Key=self._path)
        self._etag = answer["ETag"]
        return answer

    def _start_over(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._received = 0

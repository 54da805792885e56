"""Requests to an S3 server, each repeated until it succeeds or its time is over, and bodies that keep moving."""

import io
import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import boto3.session
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError, ResponseStreamingError
from urllib3.exceptions import HTTPError

from refit.core.logs import logger
from refit.core.s3_errors import BOTOCORE, is_transient, mapped
from refit.core.traffic import TRAFFIC

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

Result = TypeVar("Result")

_READ_BYTES = 8192
_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_RACERS = 16


@dataclass(frozen=True)
class Limits:
    """How long a call may take.

    A call, repetitions included, ends within `call_seconds`, plus the time that its body may need at the slowest
    rate (architecture.md section 6: connection retries inside a step end within 30 s).

    Attributes:
        connect_seconds: Until the connection stands; also until each 16 KiB sent are taken.
        read_seconds: Between two packets of an answer.
        wait_seconds: The longest pause before a repetition.
        slowest_bytes_per_second: A body that moves more slowly counts as stuck, once `read_seconds` are over.
        part_bytes: Size of the parts of a streamed upload; S3 asks for 5 MiB at least.
        page_keys: How many names a listing asks for at once.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 12.0
    call_seconds: float = 30.0
    wait_seconds: float = 2.0
    slowest_bytes_per_second: int = 32 * 1024
    part_bytes: int = 8 << 20
    page_keys: int = 1000

    def pause(self, repetition: int) -> float:
        """Seconds to wait before a repetition: longer each time, and by chance, so that clients do not meet again."""
        longest = self.wait_seconds * min(1.0, 2.0 ** min(repetition, 10) / 16)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311, no secret

    def allows(self, n_bytes: int, seconds: float) -> bool:
        """True while a body that has moved so far in so many seconds may go on."""
        return seconds <= self.read_seconds + n_bytes / self.slowest_bytes_per_second


class S3Connection:
    """A client for one server, made from the standard AWS_* settings; threads may share it.

    Args:
        url: The store, for messages.
        clock, sleep: Seconds; for tests.

    Raises:
        StoreRefused: the AWS_* settings or the AWS config file cannot be right.
    """

    def __init__(
        self,
        url: str,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limits, self._clock, self._sleep = limits, clock, sleep
        try:
            self.client = _client(limits)
        except (*BOTOCORE, ValueError) as error:
            raise mapped(error, "connect", url, "its server") from error
        self.client.meta.events.register("before-send.s3", _count)  # once for each that goes out
        self.endpoint = _host(self.client.meta.endpoint_url)

    def call(self, doing: str, url: str, request: Callable[[], Result]) -> Result:
        """What `request` returns, once it succeeds.

        Args:
            doing: For the message, as in `read refs/champion.json`.
            url: The store, for the message.
            request: One request with all that belongs to it; repeated while its failure may pass and a further
                one can end in time. (stamina would bound when the last one begins.)

        Raises:
            AccessError, ConfigError, DependencyError: see `s3_errors`.
        """
        started = self._clock()
        for repetition in itertools.count():
            try:
                return request()
            except BOTOCORE as error:
                failure = mapped(error, doing, url, self.endpoint)
                pause = self.limits.pause(repetition)
                spent = self._clock() - started + pause + self.limits.read_seconds
                if not is_transient(error) or spent > self.limits.call_seconds:
                    raise failure from error
                TRAFFIC.count(repeated=1)
                if repetition:  # a single one is everyday life
                    logger().warning("the store is asked again", why=failure.message, repetition=repetition + 1)
                self._sleep(pause)
        raise AssertionError("unreachable: the loop has no end of its own")

    def chunks(self, answer: "GetObjectOutputTypeDef") -> Iterator[bytes]:
        """The body of an answer, in pieces.

        Raises:
            BotoCoreError: it is cut (its length is known), or too slow.
        """
        started, received = time.monotonic(), 0
        with closing(answer["Body"]) as body:
            try:
                while chunk := body.read(_READ_BYTES):
                    yield chunk
                    received += len(chunk)
                    if not self.limits.allows(received, time.monotonic() - started):
                        raise ReadTimeoutError(endpoint_url=self.endpoint)
            except HTTPError as error:
                raise ResponseStreamingError(error=error) from error

    def upload(self, body: bytes) -> "Upload":
        return Upload(body, self.limits, self.endpoint)


class Upload(io.BytesIO):
    """A request's body, sent in small blocks that each have `connect_seconds`, and as a whole no slower than allowed.

    Bytes as such would be handed to the socket at once, with `connect_seconds` for all of them.
    """

    def __init__(self, body: bytes, limits: Limits, endpoint: str) -> None:
        super().__init__(body)
        self._limits, self._endpoint, self._started = limits, endpoint, time.monotonic()

    def read(self, size: int | None = -1, /) -> bytes:
        if not self._limits.allows(self.tell(), time.monotonic() - self._started):
            raise ReadTimeoutError(endpoint_url=self._endpoint)
        return super().read(size)


def _count(**_: object) -> None:
    TRAFFIC.count(sent=1)


def _client(limits: Limits) -> "S3Client":
    config = Config(
        connect_timeout=limits.connect_seconds,
        read_timeout=limits.read_seconds,
        retries={"mode": "standard", "total_max_attempts": 1},  # `S3Connection.call` repeats, and knows that it does
        max_pool_connections=_RACERS,
    )
    session = boto3.session.Session()
    client = session.client("s3", config=config)
    if not _host(client.meta.endpoint_url).partition(":")[0].endswith(_AWS):
        # Other servers may refuse, or store as content, the checksums that boto3 sends since 1.36 (boto3#4398, #4435).
        needed = Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")
        client = session.client("s3", config=config.merge(needed))
    return client


def _host(endpoint_url: str) -> str:
    return urlsplit(endpoint_url).netloc.rpartition("@")[2]

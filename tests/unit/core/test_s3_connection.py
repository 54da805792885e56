"""A connection follows the standard AWS_* settings, and its limits."""

import os

import pytest
from botocore.exceptions import NoCredentialsError, ReadTimeoutError

from refit.core.errors import AccessError, ConfigError, DependencyError
from refit.core.s3_connection import Limits, S3Connection, Upload


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter22")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


def connect() -> S3Connection:
    return S3Connection("s3://models", Limits())


@pytest.mark.parametrize(
    ("variable", "value", "endpoint", "checksums"),
    [
        ("AWS_ENDPOINT_URL_S3", "http://minio:9000", "minio:9000", "when_required"),
        ("AWS_ENDPOINT_URL", "https://s3.example.org", "s3.example.org", "when_required"),
        ("AWS_ENDPOINT_URL_S3", "https://me:hunter22@minio", "minio", "when_required"),
        ("AWS_ENDPOINT_URL_S3", "https://amazonaws.com.example.org", "amazonaws.com.example.org", "when_required"),
        ("AWS_DEFAULT_REGION", "eu-central-1", "s3.eu-central-1.amazonaws.com", "when_supported"),
        ("AWS_DEFAULT_REGION", "cn-north-1", "s3.cn-north-1.amazonaws.com.cn", "when_supported"),
    ],
)
def test_only_amazon_is_sent_checksums_that_it_did_not_ask_for(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, endpoint: str, checksums: str
) -> None:
    monkeypatch.setenv(variable, value)
    connection = connect()
    assert connection.endpoint == endpoint
    config = connection.client.meta.config
    assert config.request_checksum_calculation == checksums  # type: ignore[attr-defined]
    assert config.response_checksum_validation == checksums  # type: ignore[attr-defined]


def test_buckets_of_other_servers_stand_in_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://minio:9000")
    url = connect().client.generate_presigned_url("get_object", Params={"Bucket": "models", "Key": "a"})
    assert url.startswith("http://minio:9000/models/a?")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("AWS_ENDPOINT_URL_S3", "minio:9000"), ("AWS_PROFILE", "no-such-profile"), ("AWS_DEFAULT_REGION", "not a region")],
)
def test_settings_that_cannot_be_right_are_a_config_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match="cannot connect in s3://models") as caught:
        connect()
    assert "AWS_" in caught.value.next


class Time:
    """A clock that only sleeping and requests move."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("takes", [0.0, 0.5, 5.0, 12.0], ids=lambda seconds: f"{seconds} s")
def test_a_call_ends_in_time_whatever_its_requests_take(takes: float) -> None:
    time, limits = Time(), Limits()
    begun: list[float] = []

    def fail() -> None:
        begun.append(time.now)
        time.sleep(takes)
        raise ReadTimeoutError(endpoint_url="x")

    connection = S3Connection("s3://models", limits, clock=time.clock, sleep=time.sleep)
    with pytest.raises(DependencyError, match="the answer takes too long"):
        connection.call("read a", "s3://models", fail)
    assert len(begun) >= 2
    assert begun[-1] + limits.read_seconds <= limits.call_seconds  # the last one could still have hung


def test_what_cannot_pass_is_not_repeated() -> None:
    begun: list[int] = []

    def fail() -> None:
        begun.append(1)
        raise NoCredentialsError

    with pytest.raises(AccessError):
        connect().call("read a", "s3://models", fail)
    assert len(begun) == 1


def test_pauses_grow_to_a_limit_and_differ() -> None:
    limits = Limits(wait_seconds=2)
    assert all(0.06 < limits.pause(0) <= 0.125 for _ in range(50))
    assert all(1 <= limits.pause(20) <= 2 for _ in range(50))
    assert len({limits.pause(5) for _ in range(20)}) > 1
    assert limits.pause(100_000) <= 2


def test_a_hang_and_its_repetition_fit_into_the_default_limits() -> None:
    limits = Limits()
    assert 2 * limits.read_seconds + limits.wait_seconds <= limits.call_seconds <= 30


def test_a_body_may_be_as_slow_as_its_length_allows() -> None:
    limits = Limits(read_seconds=10, slowest_bytes_per_second=1000)
    assert limits.allows(0, 9)
    assert not limits.allows(0, 11)
    assert limits.allows(60_000, 69)
    assert not limits.allows(60_000, 71)


def test_an_upload_can_be_read_again_from_its_start() -> None:
    body = Upload(b"abc", Limits(), "minio")
    assert body.read() == b"abc"
    body.seek(0)
    assert body.read(2) == b"ab"

"""Both stores, each empty and of the test's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from refit.core.local_store import LocalStore
from refit.core.s3_connection import S3Connection
from refit.core.s3_store import S3Store
from refit.core.store import ObjectStore
from tests.fixtures.proxy import Proxy
from tests.fixtures.s3 import HASTY, PATIENT, set_s3


@pytest.fixture
def folder_store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def bucket_store(bucket: str, s3_connection: S3Connection) -> S3Store:
    return S3Store(bucket, "some/prefix/", connection=s3_connection)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """An empty store, of either kind."""
    store = request.getfixturevalue(f"{request.param}_store")
    assert isinstance(store, ObjectStore)
    return store


@dataclass(frozen=True)
class Behind:
    """A proxy in front of the S3 server, and connections through it."""

    proxy: Proxy
    patient: S3Connection
    hasty: S3Connection


@pytest.fixture(scope="session")
def behind(s3_server: str) -> Iterator[Behind]:
    with Proxy(s3_server) as proxy, pytest.MonkeyPatch.context() as patch:
        set_s3(patch, proxy.address)
        yield Behind(proxy, S3Connection("s3://", PATIENT), S3Connection("s3://", HASTY))


@pytest.fixture
def proxy(behind: Behind, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    """The proxy without faults; stores that are opened from now on go through it."""
    behind.proxy.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", behind.proxy.address)
    return behind.proxy


@pytest.fixture
def patient_store(proxy: Proxy, behind: Behind, bucket: str) -> S3Store:
    """Through the proxy; repeats for 20 s."""
    return S3Store(bucket, connection=behind.patient)


@pytest.fixture
def hasty_store(proxy: Proxy, behind: Behind, bucket: str) -> S3Store:
    """Through the proxy; gives up after 0.6 s."""
    return S3Store(bucket, connection=behind.hasty)

"""Both stores, each empty and of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from refit.core.local_store import LocalStore
from refit.core.s3_connection import S3Connection
from refit.core.s3_store import S3Store
from refit.core.store import ObjectStore
from tests.fixtures.proxy import Proxy
from tests.fixtures.s3 import QUICK, bucket, s3_connection, s3_server

__all__ = ["bucket", "s3_connection", "s3_server"]


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


@pytest.fixture
def proxy(s3_server: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy in front of the S3 server; stores that are opened from now on go through it."""
    with Proxy(s3_server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.address)
        yield proxy


@pytest.fixture
def store_behind(proxy: Proxy, bucket: str) -> S3Store:
    """A store whose requests go through the proxy, and that gives up after 2.5 s."""
    return S3Store(bucket, limits=QUICK)

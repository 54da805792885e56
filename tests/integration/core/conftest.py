"""Stores of each kind, each empty and of the test's own: a folder, and buckets of moto's server and of a real MinIO."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from refit.core.local_store import LocalStore
from refit.core.s3_connection import S3Connection
from refit.core.s3_store import S3Store
from refit.core.store import ObjectStore
from tests.fixtures.proxy import Proxy
from tests.fixtures.s3 import HASTY, PATIENT, SERVERS, address_of, connection_to


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of any store runs on a folder and on each server; a test that names a bucket, on each server."""
    if "place" in metafunc.fixturenames:
        places = SERVERS if "s3_server" in metafunc.fixturenames else ["folder", *SERVERS]
        metafunc.parametrize("place", places)


@pytest.fixture
def s3_server(place: str, request: pytest.FixtureRequest) -> str:
    return address_of(place, request)


@pytest.fixture
def folder_store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def bucket_store(bucket: str, s3_connection: S3Connection) -> S3Store:
    return S3Store(bucket, "some/prefix/", connection=s3_connection)


@pytest.fixture
def store(place: str, request: pytest.FixtureRequest) -> ObjectStore:
    """An empty store, of any kind."""
    store = request.getfixturevalue("folder_store" if place == "folder" else "bucket_store")
    assert isinstance(store, ObjectStore)
    return store


@pytest.fixture(scope="session")
def proxy_before() -> Iterator[Callable[[str], Proxy]]:
    """Gives the proxy before a server."""
    with ExitStack() as stack:
        yield cache(lambda server: stack.enter_context(Proxy(server)))


@pytest.fixture
def proxy(s3_server: str, proxy_before: Callable[[str], Proxy], bucket: str, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    """A proxy without faults; stores that are opened from now on go through it."""
    proxy = proxy_before(s3_server)
    proxy.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.address)
    return proxy


@pytest.fixture
def patient_store(proxy: Proxy, bucket: str) -> S3Store:
    """Through the proxy; repeats for 20 s."""
    return S3Store(bucket, connection=connection_to(proxy.address, PATIENT))


@pytest.fixture
def hasty_store(proxy: Proxy, bucket: str) -> S3Store:
    """Through the proxy; gives up after 0.6 s."""
    return S3Store(bucket, connection=connection_to(proxy.address, HASTY))

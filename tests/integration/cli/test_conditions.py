"""A server that ignores the conditions of writes is refused by the commands, before anything of a pipeline is written.

The server is real, MinIO too; a proxy before it takes the conditions out of the requests.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from refit.core import keys
from refit.core.s3_connection import S3Connection
from refit.core.s3_store import S3Store
from tests.fixtures import loans
from tests.fixtures.proxy import Fault, Proxy, strip
from tests.fixtures.s3 import SERVERS, address_of

CONDITIONS = ("if-match", "if-none-match")


@pytest.fixture(params=SERVERS)
def s3_server(request: pytest.FixtureRequest) -> str:
    return address_of(request.param, request)


@pytest.fixture
def proxy(s3_server: str) -> Iterator[Proxy]:
    """In front of the server, which behind it knows no conditions."""
    with Proxy(s3_server) as proxy:
        for header in CONDITIONS:
            proxy.add(Fault(strip(*CONDITIONS), header=header, times=None))
        yield proxy


@pytest.mark.parametrize(
    "words",
    [("run", "refit.yaml"), ("check", "refit.yaml", "--fast", "--connect")],
    ids=["run", "check"],
)
def test_a_server_without_conditions_is_refused_and_holds_nothing_afterwards(
    words: tuple[str, ...],
    proxy: Proxy,
    bucket: str,
    s3_connection: S3Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "refit.yaml").write_bytes(loans.FILE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.address)
    monkeypatch.setenv("REFIT_STORE", f"s3://{bucket}/team")
    monkeypatch.setenv("REFIT_SOURCE_DSN", "postgresql://nobody@127.0.0.1:1/none")
    done = subprocess.run(
        [sys.executable, "-m", "refit.cli", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 64, done.stderr
    assert "does not honour conditional writes" in done.stderr
    assert "8 writers that raced to create the same object, 8 won" in done.stderr
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
    written = [path for method, path in proxy.requests if method in ("PUT", "POST")]
    assert len(written) == 8
    assert all(path.startswith(f"/{bucket}/team/{keys.PROBE}") for path in written)
    assert list(S3Store(bucket, connection=s3_connection).list("")) == []

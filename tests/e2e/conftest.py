"""Cases in a real cluster: `make e2e`. Needs KUBECONFIG, kubectl and helm, and the images in the cluster.

REFIT_TEST_TAG      the images' tag (dev)
REFIT_TEST_CONTROL  a command that ends and starts parts of the cluster: COMMAND kill kubelet, COMMAND start kubelet;
                    cases that need it are skipped without it
"""

import os
import secrets
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.kubectl import Kubectl, Object
from tests.e2e.release import Release
from tests.e2e.servers import Servers

CORE = 10
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(900))
    core = [item.nodeid for item in items if item.get_closest_marker("core")]
    if len(core) > CORE:
        raise pytest.UsageError(f"{len(core)} cases are marked as core, and .ci/run has time for {CORE}: {core}")


@pytest.fixture(scope="session")
def tag() -> str:
    return os.environ.get("REFIT_TEST_TAG", "dev")


@contextmanager
def _made(name: str) -> Iterator[Kubectl]:
    """A namespace that enforces Pod Security; removed, without waiting for it, in the end."""
    kubectl = Kubectl(name)
    try:
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
        yield kubectl
    finally:
        kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with _made(f"refit-e2e-{secrets.token_hex(3)}") as kubectl:
        servers = Servers(kubectl)
        try:
            servers.start()
            yield servers
        finally:
            servers.end()


@pytest.fixture
def namespace(servers: Servers) -> Iterator[Kubectl]:
    with _made(f"refit-e2e-{secrets.token_hex(3)}") as kubectl:
        yield kubectl


@pytest.fixture
def release(namespace: Kubectl, servers: Servers, tmp_path: Path, tag: str) -> Release:
    """Nothing is installed yet; database, bucket, users and Secrets stand."""
    users = servers.make_bucket(namespace.namespace, "loans")
    made = Release(namespace, servers, tmp_path, tag, users)
    servers.make_database(made.database)
    namespace.apply(
        _secret("warehouse", dsn=servers.reader_dsn(made.database)),
        *(
            _secret(f"store-{who}", AWS_ACCESS_KEY_ID=access, AWS_SECRET_ACCESS_KEY=secret)
            for who, (access, secret) in users.items()
        ),
    )
    return made


def _secret(name: str, **values: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


@pytest.fixture(scope="session")
def control() -> Callable[[str, str], None]:
    """Ends or starts a part of the cluster."""
    command = os.environ.get("REFIT_TEST_CONTROL")
    if not command:
        pytest.skip("no way to end parts of this cluster")

    def do(verb: str, part: str) -> None:
        done = subprocess.run([*shlex.split(command), verb, part], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return do

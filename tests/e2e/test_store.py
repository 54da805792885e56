"""MinIO in a pod keeps what a store promises."""

import os
import re
import subprocess
import sys

import pytest

from tests.e2e.servers import Servers
from tests.fixtures.scripts import ROOT

SUITE = [f"tests/integration/core/test_store_{name}.py" for name in ("contract", "agreement", "races")]


def test_minio_in_a_pod_passes_the_suite_of_all_stores_and_is_refused_where_conditions_are_lost(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.as_root(monkeypatch)
    named = os.environ | {"REFIT_TEST_S3": f"http://{servers.minio.address}"}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-rs", "--color=no", *SUITE]
    command += ["tests/integration/core/test_s3_faults.py::test_a_store_without_conditions_is_refused"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=named, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stdout
    print(done.stdout)
    assert "skipped" not in done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) > 50

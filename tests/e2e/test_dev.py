"""The servers to try refit with, and the pipeline on them."""

import os
import subprocess

import pytest

from tests.e2e.kubectl import Kubectl, until
from tests.fixtures.scripts import ROOT


def test_one_command_brings_up_servers_and_a_pipeline_that_promotes(tag: str) -> None:
    if tag != "dev":
        pytest.skip("k8s/dev names images with the tag dev")
    dev = Kubectl("refit-dev")
    if dev.get("namespace", "refit-dev"):
        pytest.skip("somebody uses the namespace refit-dev")
    try:
        command = ["make", "--no-print-directory", "-C", str(ROOT), "deploy-dev"]
        environment = os.environ | {"MAKEFLAGS": ""}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        said = done.stdout.splitlines()[-1]
        assert said.startswith("next: kubectl --namespace refit-dev create job")
        dev(*said.split()[4:])
        until(lambda: dev.ending("flight-delays-by-hand-1"), "end of the run", 300, 1)
        assert dev.ending("flight-delays-by-hand-1") == ("Complete", "CompletionsReached")
        log = dev("logs", "job/flight-delays-by-hand-1")
        assert "promoted" in log, log
    finally:
        dev.tried("delete", "namespace", "refit-dev", "--wait=false")

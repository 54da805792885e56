"""Parts of the cluster itself that go away in the middle of a run."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.kubectl import until
from tests.e2e.release import SLOW, Release, attempts
from tests.e2e.test_disruptions import ONCE

Control = Callable[[str, str], None]


@pytest.mark.parametrize(("part", "seconds"), [("kube-apiserver", 30), ("kubelet", 45)])
def test_a_run_waits_while_a_part_of_the_cluster_is_away(
    release: Release, control: Control, part: str, seconds: int
) -> None:
    release.install(model=SLOW)
    job = release.start()
    release.at_work(job, "train")
    try:
        control("kill", part)
        time.sleep(seconds)
    finally:
        control("start", part)
    until(lambda: release.kubectl.tried("get", "jobs").returncode == 0, "answer of the API server")
    outcome = release.as_expected(job, seconds=300)
    assert attempts(outcome) == ONCE
    assert release.generations == [outcome.version]

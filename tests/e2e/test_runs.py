"""Runs that a person starts, from inside and from outside, and what a person does with their models."""

import pytest

from tests.e2e.release import NAME, Release, id_of
from tests.e2e.servers import FIRST

IMPOSSIBLE = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"C": -1.0}}
POSSIBLE = {"estimator": "sklearn.linear_model.LogisticRegression"}


@pytest.mark.core
def test_a_failed_run_is_mended_by_an_upgrade_and_repeated_by_a_job(release: Release) -> None:
    release.install(model=IMPOSSIBLE)
    failed = release.failed(release.start(), 64, "config", "C")
    assert failed.error is not None
    assert failed.error.step == "train"
    release.upgrade(model=POSSIBLE)
    again = release.good(template=f"{NAME}-rerun")
    assert again.parent == failed.run_id
    assert release.record(again).reused.keys() == {"extract"}
    assert [job["metadata"]["name"] for job in release.jobs(again, "extract")] == []
    assert release.champion == again.version


def test_from_outside_runs_are_repeated_looked_at_and_taken_back(release: Release) -> None:
    release.install()
    first = release.good()
    release.arrive(FIRST, 63)
    second = release.good()

    again = release.refit("rerun", "loans", id_of(second), "--from", "evaluate", "--executor", "kubernetes")
    assert again.returncode == 0, again.stderr
    (third,) = {job["metadata"]["labels"]["refit.dev/run-id"] for job in release.kubectl.everything("jobs")
                if "refit.dev/run-id" in job["metadata"]["labels"]} - {first.run_id, second.run_id}  # fmt: skip
    steps = [job["metadata"]["labels"]["refit.dev/step"] for job in release.jobs(third)]
    assert sorted(steps) == ["evaluate", "publish"]
    assert release.record(third).parent == second.run_id

    status = release.refit("status", "loans")
    assert status.returncode == 0, status.stderr
    assert str(release.champion) in status.stdout
    logs = release.refit("logs", "loans", id_of(second), "train")
    assert logs.returncode == 0, logs.stderr
    assert id_of(second) in logs.stdout

    assert release.champion == second.version
    back = release.refit("rollback", "loans", "--reason", "a try")
    assert back.returncode == 0, back.stderr
    assert release.champion == first.version

"""Steps whose pods do not start."""

import pytest

from tests.e2e.release import Release, attempts

SECRET = ("steps.train.env[0].name=WORD", "steps.train.env[0].valueFrom.secretKeyRef.name=not-there",
          "steps.train.env[0].valueFrom.secretKeyRef.key=word")  # fmt: skip
VOLUME = (
    *("steps.train.extraVolumes[0].name=more", "steps.train.extraVolumes[0].secret.secretName=not-there"),
    *("steps.train.extraVolumeMounts[0].name=more", "steps.train.extraVolumeMounts[0].mountPath=/more"),
)
NO_START = "coordinator.startTimeoutSeconds=10"


@pytest.mark.parametrize(
    ("settings", "words", "code"),
    [
        pytest.param(("images.train.tag=not-there",), ("refit-train:not-there",), 75, id="no image"),
        pytest.param(
            SECRET,
            ("cannot get secrets not-there", "CreateContainerConfigError", "create the secret not-there"),
            77,
            id="no Secret for a variable",
            marks=pytest.mark.core,
        ),
        pytest.param(VOLUME, ("cannot get secrets not-there", "FailedMount"), 77, id="no Secret for a volume"),
        pytest.param(
            ("steps.train.nodeSelector.pool=not-there",), ("waits for a node", "didn't match"), 75, id="no node"
        ),
    ],
)
def test_a_step_that_does_not_start_ends_the_run_with_the_clusters_own_words(
    release: Release, settings: tuple[str, ...], words: tuple[str, ...], code: int
) -> None:
    release.install(NO_START, *settings)
    outcome = release.failed(release.start(), code, "start", *words, seconds=400)
    assert attempts(outcome) == {"extract": 1, "train": 3 if code == 75 else 1}
    assert release.place(outcome, "train").reason == "NotStarted"


def test_a_secret_that_comes_late_is_waited_for(release: Release) -> None:
    release.install("coordinator.startTimeoutSeconds=100", *SECRET)
    job = release.start()
    release.at_step(job, "train")
    release.kubectl("create", "secret", "generic", "not-there", "--from-literal=word=x")
    assert attempts(release.as_expected(job))["train"] == 1


def test_a_quota_that_takes_no_job_is_waited_for_and_then_told(release: Release) -> None:
    release.install(NO_START)
    job = release.start()
    release.at_step(job, "extract")
    hard = {"count/jobs.batch": "2"}  # the coordinator's, and the one of extract
    release.kubectl.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"}, "spec": {"hard": hard}}
    )
    outcome = release.failed(job, 75, "start", "exceeded quota", "count/jobs.batch")
    assert attempts(outcome) == {"extract": 1, "train": 3}
    release.kubectl("delete", "resourcequota", "tight")
    assert release.good(template="fd-rerun").version == release.champion

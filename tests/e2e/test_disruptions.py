"""Pods and Jobs that go away in the middle of a run."""

import json

import pytest

from refit.core.domain import StepName
from tests.e2e.kubectl import Object, until
from tests.e2e.release import SLOW, Release, attempts
from tests.e2e.servers import FIRST

ONCE = {"extract": 1, "train": 1, "evaluate": 1, "publish": 1}


@pytest.mark.parametrize(
    "step", ["extract", pytest.param("train", marks=pytest.mark.core), "evaluate", "publish"]
)  # fmt: skip
def test_a_coordinator_that_is_deleted_is_followed_by_one_that_goes_on(release: Release, step: StepName) -> None:
    release.install()
    job = release.start()
    release.at_step(job, step)
    (first,) = release.kubectl.pods_of(job)
    release.kubectl("delete", "pod", first["metadata"]["name"], "--wait=false")
    outcome = release.as_expected(job)
    assert attempts(outcome) == ONCE
    (second,) = release.kubectl.pods_of(job)
    assert names([second]) != names([first])
    assert release.generations == [outcome.version]


def test_a_coordinator_that_is_killed_is_followed_by_one_that_goes_on(release: Release) -> None:
    release.install(model=SLOW)
    job = release.start()
    release.at_work(job, "train")
    (pod,) = release.kubectl.pods_of(job)
    release.kubectl("delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0")
    outcome = release.as_expected(job)
    assert attempts(outcome) == ONCE
    assert release.generations == [outcome.version]


def test_a_step_job_that_is_deleted_is_made_again_as_the_next_attempt(release: Release) -> None:
    release.install(model=SLOW)
    job = release.start()
    release.at_work(job, "train")
    (step,) = release.jobs(release.run_id(job), "train")
    release.kubectl("delete", "job", step["metadata"]["name"], "--wait=false")
    outcome = release.as_expected(job)
    assert attempts(outcome) == ONCE | {"train": 2}
    assert release.place(outcome, "train", 1).reason == "JobGone"


def test_a_step_pod_that_is_deleted_is_an_attempt(release: Release) -> None:
    release.install(model=SLOW)
    job = release.start()
    pod = release.at_work(job, "train")
    release.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    outcome = release.as_expected(job)
    assert attempts(outcome) == ONCE | {"train": 2}


@pytest.mark.core
def test_a_step_pod_that_is_evicted_is_no_attempt(release: Release) -> None:
    release.install(model=SLOW)
    job = release.start()
    pod = release.at_work(job, "train")
    evict(release, pod)
    outcome = release.as_expected(job)
    assert attempts(outcome) == ONCE
    (step,) = release.jobs(outcome, "train")
    (after,) = release.kubectl.pods_of(step["metadata"]["name"])
    assert names([after]) != names([pod])


def test_a_drain_that_takes_step_and_coordinator_costs_no_attempt(release: Release) -> None:
    release.install(model=SLOW)
    job = release.start()
    step = release.at_work(job, "train")
    (coordinator,) = release.kubectl.pods_of(job)
    evict(release, step)
    evict(release, coordinator)
    outcome = release.as_expected(job)
    assert attempts(outcome) == ONCE
    assert release.generations == [outcome.version]


def evict(release: Release, pod: Object) -> None:
    """What `kubectl drain` asks for a pod."""
    (name,) = names([pod])
    asked = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    path = f"/api/v1/namespaces/{release.kubectl.namespace}/pods/{name}/eviction"
    release.kubectl("create", "--raw", path, "--filename", "-", given=json.dumps(asked))


def names(objects: list[Object]) -> list[str]:
    return [found["metadata"]["name"] for found in objects]


def test_of_two_runs_by_hand_and_a_scheduled_one_one_publishes(release: Release) -> None:
    release.install(schedule={"cron": "* * * * *", "timezone": "Etc/UTC"})
    scheduled = until(release.scheduled, "Job of the schedule", 90)
    jobs = [release.start(), release.start(), scheduled]
    release.upgrade("suspend=true")
    outcomes = [release.ended(job) for job in jobs]
    assert sorted(outcome.outcome for outcome in outcomes) == ["promoted", "skipped", "skipped"]
    assert len(release.generations) == 1
    release.arrive(FIRST, 63)
    last = release.good()
    assert release.generations == [*{outcome.version for outcome in outcomes} - {None}, last.version]

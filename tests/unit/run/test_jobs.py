"""Job documents, names and labels, as the API takes them."""

import copy
from typing import Any

import pytest

from refit.core.domain import STEPS
from refit.run.cluster import Job, job_of
from refit.run.executor import Attempt
from refit.run.jobs import (
    BadRelease,
    OtherRelease,
    Templates,
    check_release,
    job_name,
    newest_number,
    refuse_other,
    run_id_of,
    stamp,
    started_by,
    template_of,
)
from tests.fixtures.cluster import BEGIN, cron_job

RUN_ID = "20261120t070000-k3fw"
TRAIN = Attempt("s3://b", "flight-delays", RUN_ID, "train", 2)


def templates(release: str = "fd", **env: str) -> Templates:
    return Templates(release=release, steps={step: template_of(cron_job(step, release, **env)) for step in STEPS})


def test_a_job_is_its_template_with_name_labels_owner_and_annotations() -> None:
    job, template = stamp(templates(), TRAIN, BEGIN), cron_job("train")["spec"]["jobTemplate"]
    labels = {
        "refit.dev/run-id": RUN_ID,
        "refit.dev/step": "train",
        "refit.dev/pipeline": "flight-delays",
        "refit.dev/attempt": "2",
    }
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert job["metadata"] == {
        "name": "fd-train-20261120t070000-k3fw-2",
        "labels": {"app.kubernetes.io/name": "refit", **labels},
        "annotations": {"team": "data", "cronjob.kubernetes.io/instantiate": "manual"},
        "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "CronJob", "name": "fd-train", "uid": "uid-of-train", "controller": True}
        ],
    }
    spec = job["spec"]
    assert spec["template"]["metadata"].pop("labels") == labels
    assert spec["template"]["metadata"].pop("annotations") == {"refit.dev/asked-at": f"{BEGIN.timestamp():.3f}"}
    spec["template"]["metadata"]["labels"] = {"refit.dev/step": "train"}
    assert spec == template["spec"]


def test_a_template_without_labels_and_annotations_is_enough() -> None:
    bare = cron_job("train")
    del bare["spec"]["jobTemplate"]["metadata"]
    del bare["spec"]["jobTemplate"]["spec"]["template"]["metadata"]
    job = stamp(Templates(release="fd", steps={"train": template_of(bare)}), TRAIN, BEGIN)
    assert job["spec"]["template"]["metadata"]["labels"] == job["metadata"]["labels"]


def test_to_stamp_a_job_leaves_the_template_as_it_was() -> None:
    found = templates()
    before = copy.deepcopy(found)
    stamp(found, TRAIN, BEGIN)
    assert found == before


def test_templates_are_kept_as_they_are() -> None:
    kept = templates()
    assert Templates.from_json(kept.to_json(), "templates.json") == kept
    assert kept.images() == {step: f"refit-{step}:1" for step in STEPS}


def test_a_template_that_was_edited_to_name_no_image_tells_none() -> None:
    edited = cron_job("train")
    del edited["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert Templates(release="fd", steps={"train": template_of(edited)}).images() == {"train": ""}


def test_the_longest_names_have_room_for_an_index() -> None:
    name = job_name("r" * 28, Attempt("s3://b", "p", RUN_ID, "evaluate", 99))
    assert len(f"{name}-9") <= 63


@pytest.mark.parametrize("release", ["r" * 29, "Flights", "-fd", "fd-", "f_d", ""])
def test_a_release_that_cannot_name_jobs_is_refused(release: str) -> None:
    with pytest.raises(BadRelease):
        check_release(release)


@pytest.mark.parametrize(
    ("env", "fits"),
    [
        ({}, True),
        ({"REFIT_STORE": "s3://b/p/", "REFIT_PIPELINE": "loans"}, True),
        ({"REFIT_STORE": "s3://other/p"}, False),
        ({"REFIT_PIPELINE": "cars"}, False),
    ],
    ids=["silent", "same", "store", "pipeline"],
)
def test_templates_of_another_store_or_pipeline_are_refused(env: dict[str, str], fits: bool) -> None:
    if fits:
        refuse_other(templates(**env), "s3://b/p", "loans")
        return
    with pytest.raises(OtherRelease, match="fd-extract"):
        refuse_other(templates(**env), "s3://b/p", "loans")


def test_a_template_without_the_steps_container_is_refused() -> None:
    other = cron_job("train")
    other["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["name"] = "main"
    with pytest.raises(OtherRelease, match="no container 'step'"):
        Templates(release="fd", steps={"train": template_of(other)}).images()


def coordinator(**metadata: Any) -> Job:
    base = {"name": "fd-29381640", "uid": "0d0d3b0c-9a8e", "creationTimestamp": "2026-11-20T07:00:03Z"}
    return job_of({"metadata": base | metadata})


def test_the_runs_id_comes_from_the_coordinators_job_alone() -> None:
    first, again = run_id_of(coordinator()), run_id_of(coordinator(name="renamed"))
    assert first == again
    assert first.startswith("20261120t070003-")
    assert len(first) == 20
    assert run_id_of(coordinator(uid="another")) != first


OWNED = {"ownerReferences": [{"kind": "CronJob", "name": "fd"}]}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param(
            OWNED | {"annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-20T08:00:00+01:00"}},
            ("fd", "scheduled for 2026-11-20 07:00 UTC"),
            id="scheduled",
        ),
        pytest.param(OWNED, ("fd", "scheduled"), id="scheduled by an old cluster"),
        pytest.param(
            OWNED | {"name": "now", "annotations": {"cronjob.kubernetes.io/instantiate": "manual"}},
            ("now", "by hand: Job now from fd"),
            id="manual",
        ),
        pytest.param({"name": "own"}, ("own", "by hand: Job own"), id="without a CronJob"),
    ],
)
def test_who_started_a_run_is_read_from_the_job(metadata: dict[str, Any], expected: tuple[str, str]) -> None:
    assert started_by(coordinator(**metadata)) == expected


def test_the_newest_attempt_is_the_highest_number() -> None:
    found = [coordinator(labels={"refit.dev/attempt": number}) for number in ("2", "10", "3", "x")]
    assert (newest_number(found), newest_number([])) == (10, 0)

"""Step Jobs as documents: stamped from the templates of a run, the way `kubectl create job --from` does. Pure.

What is stamped differs from its template in name, labels, owner and annotations, never in env or args: pods read their
run, step and attempt from their labels.
"""

import base64
import copy
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from refit.core.domain import STEPS, Record, StepName, Value
from refit.core.errors import ConfigError
from refit.run.cluster import CONTAINER, Document, Job
from refit.run.executor import Attempt

PREFIX: Final = "refit.dev/"
RUN_ID, STEP, ATTEMPT, PIPELINE = (f"{PREFIX}{word}" for word in ("run-id", "step", "attempt", "pipeline"))
OWNER: Final = f"{PREFIX}owner"
"""The annotation of a template that says who runs the pipeline: REFIT_OWNER of the release's coordinator."""
ASKED_AT: Final = f"{PREFIX}asked-at"
"""The annotation of a pod that says when its attempt was asked for, in seconds since 1970."""
NOT_STARTED: Final = f"{PREFIX}not-started"
"""The annotation that says why a Job was ended before its step began."""
RELEASE_LIMIT: Final = 28
_GRACE_SECONDS: Final = 30
"""Where a pod names none (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination)."""
_RELEASE: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_MANUAL: Final = {"cronjob.kubernetes.io/instantiate": "manual"}
_SCHEDULED: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"


class BadRelease(ConfigError):
    """REFIT_RELEASE cannot name objects of a cluster."""

    def __init__(self, release: str) -> None:
        fault = (
            f"has {len(release)} characters, and at most {RELEASE_LIMIT} leave room for step, run and attempt in the "
            "names of Jobs"
            if len(release) > RELEASE_LIMIT
            else "is no name for objects of Kubernetes: small letters, digits and hyphens, first and last no hyphen"
        )
        super().__init__(f"REFIT_RELEASE {release[:80]!r} {fault}", next="install the chart under another name")


class OtherRelease(ConfigError):
    """The templates are those of another pipeline, or of another store."""


class StepTemplate(Value):
    """A step's CronJob, as far as Jobs are made from it."""

    name: str
    uid: str
    job: dict[str, Any]


class Templates(Record):
    """runs/<run_id>/templates.json: what all Jobs of the run are stamped from, whatever is installed meanwhile."""

    release: str
    steps: dict[StepName, StepTemplate]

    def images(self) -> dict[str, str]:
        """The image of each step, by the step's name; empty where a template was edited to name none."""
        return {step: _container(one).get("image", "") for step, one in self.steps.items()}

    def grace_seconds(self, step: StepName) -> float:
        """How long a pod of the step may take to end once it is asked to."""
        spec = self.steps[step].job["spec"]["template"]["spec"]
        return float(spec.get("terminationGracePeriodSeconds", _GRACE_SECONDS))


def check_release(release: str) -> str:
    """The release's name. Raises BadRelease."""
    if len(release) > RELEASE_LIMIT or not _RELEASE.fullmatch(release):
        raise BadRelease(release)
    return release


def template_name(release: str, step: StepName) -> str:
    return f"{release}-{step}"


def job_name(release: str, attempt: Attempt) -> str:
    """The Job of this attempt; to create it is to take it."""
    return f"{template_name(release, attempt.step)}-{attempt.run_id}-{attempt.number}"


def template_of(cron_job: Document) -> StepTemplate:
    """What is kept of a CronJob of batch/v1."""
    metadata = cron_job["metadata"]
    return StepTemplate(name=metadata["name"], uid=metadata["uid"], job=dict(cron_job["spec"]["jobTemplate"]))


def owner_of(cron_job: Document, namespace: str, release: str) -> str:
    """Who runs the pipeline of the release with this template, in and outside of the cluster."""
    told: str | None = (cron_job["metadata"].get("annotations") or {}).get(OWNER)
    return told or f"kubernetes/{namespace}/{release}"


def refuse_other(templates: Templates, store_url: str, pipeline: str) -> None:
    """The templates' own settings, where they are written out, are those of this run.

    Raises:
        OtherRelease: they name another store or another pipeline.
    """
    wanted = {"REFIT_STORE": store_url.rstrip("/"), "REFIT_PIPELINE": pipeline}
    for step in STEPS:
        for entry in _container(templates.steps[step]).get("env") or ():
            name, value = entry["name"], entry.get("value")
            if value and name in wanted and value.rstrip("/") != wanted[name]:
                raise OtherRelease(
                    f"{name} is {value} in the template {templates.steps[step].name}, and {wanted[name]} here",
                    next="name the release of this pipeline in REFIT_RELEASE, and its store in REFIT_STORE",
                )


def labels_of(attempt: Attempt) -> dict[str, str]:
    """What tells an attempt's Job and pods from others; the number comes last."""
    return {
        RUN_ID: attempt.run_id,
        STEP: attempt.step,
        PIPELINE: attempt.pipeline,
        ATTEMPT: str(attempt.number),
    }


def stamp(templates: Templates, attempt: Attempt, now: datetime) -> dict[str, Any]:
    """The Job of the attempt; its pods are told when it was asked for."""
    template = templates.steps[attempt.step]
    job, labels = copy.deepcopy(template.job), labels_of(attempt)
    metadata, inner = job.get("metadata") or {}, job["spec"]["template"].setdefault("metadata", {})
    inner["labels"] = (inner.get("labels") or {}) | labels
    inner["annotations"] = (inner.get("annotations") or {}) | {ASKED_AT: f"{now.timestamp():.3f}"}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": template.name,
        "uid": template.uid,
        "controller": True,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(templates.release, attempt),
            "labels": (metadata.get("labels") or {}) | labels,
            "annotations": (metadata.get("annotations") or {}) | _MANUAL,
            "ownerReferences": [owner],
        },
        "spec": job["spec"],
    }


def newest_number(jobs: Sequence[Job]) -> int:
    """The highest attempt of these Jobs; 0 without any."""
    return max((int(job.labels[ATTEMPT]) for job in jobs if job.labels.get(ATTEMPT, "").isdecimal()), default=0)


def run_id_of(job: Job) -> str:
    """The run that the coordinator's own Job is: the same for every pod of the Job."""
    letters = base64.b32encode(hashlib.sha256(job.uid.encode()).digest()).decode().lower()[:4]
    return f"{job.created_at.astimezone(UTC):%Y%m%dt%H%M%S}-{letters}"


def started_by(job: Job) -> tuple[str, str]:
    """Who started the coordinator's Job, and why: its CronJob at its time, or whoever made the Job by hand."""
    if job.owner and _MANUAL.items() <= job.told.items():
        return job.name, f"by hand: Job {job.name} from {job.owner}"
    if job.owner:
        return job.owner, _scheduled_for(job.told)
    return job.name, f"by hand: Job {job.name}"


def _scheduled_for(told: Mapping[str, str]) -> str:
    """The moment of the schedule, which the Job tells with an offset."""
    try:
        at = datetime.fromisoformat(told[_SCHEDULED])
    except (KeyError, ValueError):
        return "scheduled"
    return f"scheduled for {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _container(template: StepTemplate) -> Document:
    """The container that is the step. Raises OtherRelease."""
    containers: list[Document] = template.job["spec"]["template"]["spec"]["containers"]
    for container in containers:
        if container["name"] == CONTAINER:
            return container
    raise OtherRelease(
        f"the template {template.name} has no container {CONTAINER!r}", next="install the chart, or a newer one"
    )

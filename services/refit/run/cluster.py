"""What the coordinator asks of a Kubernetes cluster, and what it sees of Jobs, pods and events there.

`Cluster` has one implementation for real, run/kube.py, and one in the memory of tests. Documents are JSON as the API
gives and takes it; what is read of them is made here into values, in one place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from refit.core.errors import AccessError, ConfigError, DependencyError

Document = Mapping[str, Any]
CONTAINER: Final = "step"
"""The container of every step's pod that is the step."""


class NoTemplate(ConfigError):
    """The CronJob that is a step's template is not there."""

    def __init__(self, name: str, namespace: str) -> None:
        super().__init__(
            f"there is no CronJob {name} in namespace {namespace}",
            next="install the chart there, or name another place: REFIT_RELEASE, REFIT_NAMESPACE, KUBECONFIG",
        )


class ClusterAway(DependencyError):
    """The API server was away, or too slow, for longer than is waited."""


class NotAdmitted(DependencyError):
    """The API server takes no such object now: a quota is used up, or an admission webhook is away."""


class ClusterDenied(AccessError):
    """The API server refuses these credentials, or this kind of access, or is not the server it should be."""


class ClusterRefused(ConfigError):
    """The API server does not take what it was asked, and would not the next time."""


@dataclass(frozen=True)
class Ending:
    """A Job's condition Complete or Failed."""

    kind: str
    reason: str
    message: str
    at: datetime


@dataclass(frozen=True)
class Job:
    """A Job as far as the coordinator looks.

    Attributes:
        is_going: It is being deleted.
        is_failing: It will fail once its pods have ended.
        told: The annotations.
    """

    name: str
    uid: str
    created_at: datetime
    labels: Mapping[str, str]
    told: Mapping[str, str]
    owner: str
    is_going: bool
    ending: Ending | None
    is_failing: bool = False


@dataclass(frozen=True)
class Stopped:
    """How a container ended, and when, which is not known of one that its node has lost."""

    code: int
    reason: str
    message: str
    at: datetime | None


@dataclass(frozen=True)
class Pod:
    """A pod as far as the coordinator looks.

    Attributes:
        reason: Why it failed as a whole: Evicted, DeadlineExceeded.
        is_disrupted: It was evicted, preempted or drained: no attempt of the step.
        unschedulable: Why no node takes it; empty where one did.
        waiting: Reason and message of the container that cannot start yet.
        runs: The container has begun.
        stopped: How the container ended.
        memory: The container's limit, as 512Mi; empty without one.
    """

    name: str
    created_at: datetime
    phase: str
    reason: str = ""
    message: str = ""
    is_disrupted: bool = False
    unschedulable: str = ""
    waiting: tuple[str, str] | None = None
    runs: bool = False
    stopped: Stopped | None = None
    memory: str = ""


@dataclass(frozen=True)
class Event:
    """What a part of the cluster says of an object."""

    reason: str
    message: str
    is_warning: bool
    at: datetime | None


class Cluster(Protocol):
    """One namespace of a cluster.

    Raises of every method: ClusterAway (75) after outages were waited out, ClusterDenied (77), ClusterRefused (64).
    """

    @property
    def namespace(self) -> str: ...

    def template(self, name: str) -> Document:
        """The CronJob. Raises NoTemplate."""
        ...

    def job(self, name: str) -> Job | None:
        """The Job; None where there is none."""
        ...

    def jobs(self, labels: Mapping[str, str]) -> Sequence[Job]: ...

    def create(self, job: Document) -> bool:
        """The Job stands; False where one of its name stood already.

        Raises:
            NotAdmitted: a quota is used up, or a webhook is away; nothing stands.
        """
        ...

    def change(self, name: str, patch: Document, *, hurry: bool = False) -> None:
        """The Job is changed by a merge-patch, if it is there.

        Args:
            hurry: An outage is not waited out.
        """
        ...

    def pods(self, job: str) -> Sequence[Pod]:
        """The pods of the Job that are there, oldest first."""
        ...

    def events(self, name: str) -> Sequence[Event]:
        """What was said lately of the Job or pod of this name, oldest first."""
        ...

    def say(self, event: Document) -> None:
        """The event stands, unless one of its name does already; an outage is not waited out."""
        ...

    def log(self, pod: str, limit_bytes: int) -> bytes:
        """The end of what the step's container wrote; empty where nothing can be read."""
        ...

    def recent_log(self, pod: str, seconds: int | None) -> Sequence[str] | None:
        """The last lines that the step's container wrote, each after its time as the node's clock has it.

        None where they cannot be read now: that is known soon, and nothing is waited out. Raises nothing.

        Args:
            seconds: Lines of this last time only.
        """
        ...


def job_of(document: Document) -> Job:
    """A Job of batch/v1."""
    told = _without_nulls(document)
    metadata, status = told["metadata"], told.get("status", {})
    met = [each for each in status.get("conditions", ()) if each.get("status") == "True"]
    ends = [each for each in met if each.get("type") in ("Complete", "Failed")]
    at = status.get("completionTime", metadata["creationTimestamp"])  # for a condition without a time
    return Job(
        name=metadata["name"],
        uid=metadata["uid"],
        created_at=_time(metadata["creationTimestamp"]),
        labels=metadata.get("labels", {}),
        told=metadata.get("annotations", {}),
        owner=next((each["name"] for each in metadata.get("ownerReferences", ()) if each["kind"] == "CronJob"), ""),
        is_going="deletionTimestamp" in metadata,
        ending=_ending({"lastTransitionTime": at} | ends[0]) if ends else None,
        is_failing=any(each.get("type") == "FailureTarget" for each in met),
    )


def pod_of(document: Document) -> Pod:
    """A pod of v1 whose container `step` matters."""
    told = _without_nulls(document)
    metadata, status = told["metadata"], told.get("status", {})
    conditions = {each.get("type"): each for each in status.get("conditions", ())}
    scheduled = conditions.get("PodScheduled", {})
    found = [each for each in status.get("containerStatuses", ()) if each["name"] == CONTAINER]
    state = found[0].get("state", {}) if found else {}
    stopped, waiting = state.get("terminated"), state.get("waiting")
    limits = [
        each.get("resources", {}).get("limits", {}).get("memory", "")
        for each in told.get("spec", {}).get("containers", ())
        if each["name"] == CONTAINER
    ]
    return Pod(
        name=metadata["name"],
        created_at=_time(metadata["creationTimestamp"]),
        phase=status.get("phase", ""),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        is_disrupted=conditions.get("DisruptionTarget", {}).get("status") == "True",
        unschedulable=scheduled.get("message", "no node takes it") if scheduled.get("status") == "False" else "",
        waiting=(waiting.get("reason", ""), waiting.get("message", "")) if waiting else None,
        runs="running" in state,
        stopped=_stopped(stopped) if stopped else None,
        memory=limits[0] if limits else "",
    )


def event_of(document: Document) -> Event:
    """An event of v1; those of the scheduler have an eventTime only."""
    told = _without_nulls(document)
    at = told.get("lastTimestamp") or told.get("eventTime") or told["metadata"].get("creationTimestamp")
    return Event(
        reason=told.get("reason", ""),
        message=told.get("message", ""),
        is_warning=told.get("type") == "Warning",
        at=_time(at) if at else None,
    )


def _without_nulls(document: Any) -> Any:
    """The document without fields that are null: they mean what absent ones do."""
    if isinstance(document, Mapping):
        return {name: _without_nulls(value) for name, value in document.items() if value is not None}
    return [_without_nulls(value) for value in document] if isinstance(document, list) else document


def _stopped(state: Document) -> Stopped:
    return Stopped(
        code=state["exitCode"],
        reason=state.get("reason", ""),
        message=state.get("message", ""),
        at=_time(state["finishedAt"]) if "finishedAt" in state else None,
    )


def _ending(condition: Document) -> Ending:
    return Ending(
        kind=condition["type"],
        reason=condition.get("reason", ""),
        message=condition.get("message", ""),
        at=_time(condition["lastTransitionTime"]),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

"""What a Job's status, its pods and their events say of the attempt: it goes on, it ended, it is gone. Pure.

A Job's conditions decide that an attempt failed, never a count of pods; the newest pod that was not evicted tells how.
That one ended well its exit code alone tells: a step ends with 0 only once its manifest stands.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from refit.core.domain import Failure, StepName
from refit.core.step import more_memory
from refit.run.cluster import Event, Job, Pod, Stopped
from refit.run.jobs import NOT_STARTED

KILLED: Final = 137
"""Of a process that SIGKILL ended, the kernel's for want of memory included."""
TRANSIENT: Final = 75
ACCESS: Final = 77
DISK: Final = 74
_NO_NODE_YET: Final = "FailedScheduling"
_CODE_IN_MESSAGE: Final = re.compile(r"exit code (\d+)")
_ABSENT: Final = re.compile(r'\b(secret|configmap|serviceaccount) "([^"]+)" not found')
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)")


@dataclass(frozen=True)
class GoesOn:
    """The attempt is not over.

    Attributes:
        has_started: The step's own process has begun, now or before.
        is_ending: The step's process has ended, and the Job does not know it yet.
        is_failing: The Job waits for the end of its pod, which a node that is away never tells.
        is_unschedulable: No node takes its pod, which an autoscaler may mend.
        words: Where it is, or what it waits for.
        asks_for_events: Only the events of this object tell what it waits for.
        pod: The one that has a log.
    """

    has_started: bool
    words: str
    is_ending: bool = False
    is_failing: bool = False
    is_unschedulable: bool = False
    asks_for_events: str = ""
    pod: str = ""


@dataclass(frozen=True)
class Over:
    """The attempt is over.

    Attributes:
        exit_code: Of the step's process, as far as it is known.
        pod: The pod that can still be asked for its log; None where it is gone.
        seen: What went wrong beyond what the process itself can say.
        at: When, by the cluster's clock.
    """

    exit_code: int
    pod: Pod | None
    at: datetime
    reason: str = ""
    seen: Failure | None = None


@dataclass(frozen=True)
class Gone:
    """The Job is not there any more: only the store can say what came of the attempt."""


def judge(step: StepName, job: Job | None, pods: Sequence[Pod]) -> GoesOn | Over | Gone:
    """Where the attempt is.

    Args:
        job: As it is now; None where there is none.
        pods: Those of the Job that are there, oldest first.
    """
    if job is None or job.is_going:
        return Gone()
    own = [pod for pod in pods if not pod.is_disrupted]
    newest = own[-1] if own else None
    if newest and newest.stopped and newest.stopped.code == 0:  # the Job may know it later, or have met its deadline
        return Over(0, newest, job.ending.at if job.ending else newest.stopped.at or job.created_at)
    if job.ending is None:
        return replace(_under_way(job, newest), is_failing=job.is_failing)
    if job.ending.kind == "Complete":
        return Over(0, newest, job.ending.at)
    return _failed(step, job, newest)


def _under_way(job: Job, pod: Pod | None) -> GoesOn:
    if pod is None:
        return GoesOn(False, "waits for its pod", asks_for_events=job.name)
    if pod.stopped:
        return GoesOn(True, f"pod {pod.name} has ended", is_ending=True, pod=pod.name)
    if pod.runs:
        return GoesOn(True, f"pod {pod.name} runs", pod=pod.name)
    if pod.unschedulable:
        return GoesOn(False, f"pod {pod.name} waits for a node: {pod.unschedulable}", is_unschedulable=True)
    reason, message = pod.waiting or ("", "")
    if message:
        return GoesOn(False, f"pod {pod.name} cannot start: {reason}: {message}")
    return GoesOn(False, f"pod {pod.name} starts", asks_for_events=pod.name)


def _failed(step: StepName, job: Job, pod: Pod | None) -> Over:
    assert job.ending is not None
    at, reason = job.ending.at, job.ending.reason
    if why := job.told.get(NOT_STARTED):
        failure = not_started(step, why)
        return Over(failure.exit_code, None, at, failure.type, failure)
    if reason == "DeadlineExceeded" or (pod is not None and pod.reason == "DeadlineExceeded"):
        stopped = pod.stopped if pod else None
        return Over(stopped.code if stopped else KILLED, pod, at, "DeadlineExceeded", _timeout(step))
    if pod is None or pod.stopped is None:
        return _without_pod(step, job, pod)
    return Over(pod.stopped.code, pod, at, pod.reason or pod.stopped.reason, _seen(step, pod, pod.stopped))


def _without_pod(step: StepName, job: Job, pod: Pod | None) -> Over:
    """The pod is gone, or tells nothing: the Job may have kept the code."""
    assert job.ending is not None
    found = _CODE_IN_MESSAGE.search(job.ending.message) if job.ending.reason == "PodFailurePolicy" else None
    if found:
        return Over(int(found[1]), pod, job.ending.at, job.ending.reason)
    words = (
        "its pod was deleted" if pod is None else f"its pod {pod.name} ended: {pod.message or pod.reason or pod.phase}"
    )
    lost = Failure(
        error_class="killed",
        type="PodLost",
        step=step,
        exit_code=KILLED,
        message=f"{words}, and with it went what it said",
        next="run again: refit rerun NAME",
    )
    return Over(KILLED, pod, job.ending.at, job.ending.reason, lost)


def _seen(step: StepName, pod: Pod, stopped: Stopped) -> Failure | None:
    """What the cluster knows better than the process."""
    if stopped.reason == "OOMKilled":
        return _out_of_memory(step, pod)
    if pod.reason == "Evicted":  # not by a drain: the pod used more than it may
        is_disk = any(word in pod.message.lower() for word in ("emptydir", "ephemeral"))
        return Failure(
            error_class="disk" if is_disk else "killed",
            type="Evicted",
            step=step,
            exit_code=DISK if is_disk else KILLED,
            message=f"the pod was put off its node: {pod.message}",
            next=f"give it more of what the message names: steps.{step} of the chart's values",
        )
    if stopped.reason in ("StartError", "ContainerCannotRun"):
        return not_started(step, f"{stopped.reason}: {stopped.message}")
    return None


def not_started(step: StepName, why: str) -> Failure:
    """The step's own process never began.

    For an object that was not there all that time nobody waits three times: it is a right that the step lacks.
    """
    absent = _ABSENT.search(why)
    named = f"cannot get {absent[1]}s {absent[2]}: " if absent else ""
    return Failure(
        error_class="start",
        type="NotStarted",
        step=step,
        exit_code=ACCESS if absent else TRANSIENT,
        message=f"the step could not be started: {named}{why}",
        next=f"{f'create the {absent[1]} {absent[2]}' if absent else 'mend what the message names'}, "
        "then: refit rerun NAME",
    )


def _timeout(step: StepName) -> Failure:
    return Failure(
        error_class="timeout",
        type="DeadlineExceeded",
        step=step,
        exit_code=TRANSIENT,
        message=f"the step {step} took longer than its deadline",
        next=f"raise steps.{step}.deadlineSeconds of the chart, or shorten the window",
    )


def node_lost(step: StepName, job: str, at: datetime) -> Over:
    """The Job has failed as far as anybody can tell, for the node of its pod does not answer."""
    lost = Failure(
        error_class="timeout",
        type="NodeLost",
        step=step,
        exit_code=TRANSIENT,
        message=f"the Job {job} was ended, and its pod does not end: its node is away",
        next="look at it: kubectl get nodes; then run again: refit rerun NAME",
    )
    return Over(TRANSIENT, None, at, "NodeLost", lost)


def _out_of_memory(step: StepName, pod: Pod) -> Failure:
    more = doubled(pod.memory)
    had = f"the limit of {pod.memory}" if pod.memory else "the node's memory"
    return Failure(
        error_class="oom",
        type="OutOfMemory",
        step=step,
        exit_code=KILLED,
        message=f"the kernel ended a process of the step: {had} was used up",
        next=(f"set steps.{step}.resources.limits.memory of the chart to {more}: " if more else "") + more_memory(step),
    )


def doubled(quantity: str) -> str:
    """Twice an amount of memory as Kubernetes writes it; empty for what is none.

    Quantities: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    found = _QUANTITY.fullmatch(quantity)
    return f"{float(found[1]) * 2:.12g}{found[2]}" if found else ""


def why_waiting(state: GoesOn, events: Sequence[Event]) -> str:
    """What a step that has not started waits for, in the cluster's own words.

    Events are asked for only where a node was found, or needs none: that none was is over then.
    """
    warnings = [event for event in events if event.is_warning and event.reason != _NO_NODE_YET]
    return f"{state.words}: {warnings[-1].reason}: {warnings[-1].message}" if warnings else state.words

"""What Jobs, pods and events say, in the documents that a cluster gave."""

from typing import Any

import pytest

from refit.run.cluster import event_of, job_of, pod_of
from refit.run.jobs import NOT_STARTED
from refit.run.judgement import GoesOn, Gone, Over, doubled, judge, not_started, why_waiting

AT = "2026-11-20T07:05:00Z"
NAME = "fd-train-20261120t070000-k3fw-1"


def job(*conditions: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    base = {"name": NAME, "uid": "u", "creationTimestamp": "2026-11-20T07:00:00Z"}
    return {"metadata": base | metadata, "status": {"conditions": list(conditions)}}


def condition(kind: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": AT}


FAILED = condition("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
TARGET = condition("FailureTarget", "DeadlineExceeded")
OTHER_DEADLINE = condition("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")


def pod(state: dict[str, Any] | None = None, *conditions: dict[str, Any], **status: Any) -> dict[str, Any]:
    statuses = [{"name": "sidecar", "state": {"running": {}}}, {"name": "step", "state": state or {}}]
    return {
        "metadata": {"name": f"{NAME}-abcde", "creationTimestamp": "2026-11-20T07:00:01Z"},
        "spec": {"containers": [{"name": "step", "resources": {"limits": {"memory": "512Mi"}}}]},
        "status": {"conditions": list(conditions), "containerStatuses": statuses if state is not None else []} | status,
    }


def terminated(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {
        "terminated": {"exitCode": code, "reason": reason, "message": message, "finishedAt": "2026-11-20T07:01:00Z"}
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}
DISRUPTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}


def judged(found: dict[str, Any] | None, *pods: dict[str, Any]) -> GoesOn | Over | Gone:
    return judge("train", job_of(found) if found else None, [pod_of(each) for each in pods])


@pytest.mark.parametrize(
    ("pods", "started", "words"),
    [
        pytest.param([], False, "waits for its pod", id="no pod"),
        pytest.param([pod(waiting("ContainerCreating"))], False, "starts", id="being made"),
        pytest.param([pod(waiting("ErrImagePull", "not found"))], False, "ErrImagePull: not found", id="image"),
        pytest.param(
            [pod(waiting("CreateContainerConfigError", 'secret "x" not found'))], False, 'secret "x"', id="secret"
        ),
        pytest.param([pod(None, NO_NODE)], False, "waits for a node: 0/1 nodes", id="no node"),
        pytest.param([pod({"running": {}})], True, "runs", id="runs"),
        pytest.param([pod(terminated(75))], True, "has ended", id="the Job does not know yet"),
        pytest.param([pod(terminated(143), DISRUPTED)], False, "waits for its pod", id="evicted"),
        pytest.param([pod(terminated(143), DISRUPTED), pod({"running": {}})], True, "runs", id="replaced"),
    ],
)
def test_an_attempt_without_an_end_goes_on(pods: list[dict[str, Any]], started: bool, words: str) -> None:
    state = judged(job(), *pods)
    assert isinstance(state, GoesOn)
    assert state.has_started == started
    assert words in state.words


def test_only_an_end_ends_an_attempt() -> None:
    assert isinstance(judged(job(TARGET), pod(terminated(143))), GoesOn)
    unmet = FAILED | {"status": "False"}
    assert isinstance(judged(job(unmet), pod({"running": {}})), GoesOn)


@pytest.mark.parametrize("found", [None, job(deletionTimestamp=AT)], ids=["none", "being deleted"])
def test_a_job_that_is_not_there_or_goes_is_gone(found: dict[str, Any] | None) -> None:
    assert judged(found, pod({"running": {}})) == Gone()


def test_a_complete_job_ended_well() -> None:
    state = judged(job(condition("Complete")), pod(terminated(0, "Completed")))
    assert isinstance(state, Over)
    assert (state.exit_code, state.seen, state.at.isoformat()) == (0, None, "2026-11-20T07:05:00+00:00")


@pytest.mark.parametrize("found", [job(), job(TARGET)], ids=["goes on", "is about to fail"])
def test_a_pod_that_ended_well_did_so_whatever_its_job_says_yet(found: dict[str, Any]) -> None:
    state = judged(found, pod(terminated(0, "Completed")))
    assert isinstance(state, Over)
    assert (state.exit_code, state.seen, state.at.isoformat()) == (0, None, "2026-11-20T07:01:00+00:00")
    assert state.pod is not None


def test_a_container_that_its_node_has_lost_has_no_end() -> None:
    lost = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": None}}
    assert isinstance(judged(job(), pod(lost)), GoesOn)
    assert isinstance(judged(job(FAILED), pod(lost)), Over)


FITS = "Container step for pod ns/p failed with exit code 65 matching FailJob rule at index 1"


@pytest.mark.parametrize(
    ("ending", "pods", "code", "seen"),
    [
        pytest.param(condition("Failed", "PodFailurePolicy", FITS), [pod(terminated(65))], 65, None, id="65"),
        pytest.param(condition("Failed", "PodFailurePolicy", FITS), [], 65, None, id="65, pod removed"),
        pytest.param(FAILED, [pod(terminated(75))], 75, None, id="75"),
        pytest.param(FAILED, [pod(terminated(143))], 143, None, id="SIGTERM"),
        pytest.param(FAILED, [pod(terminated(137))], 137, None, id="SIGKILL"),
        pytest.param(FAILED, [pod(terminated(137, "OOMKilled"))], 137, "oom 137", id="OOM"),
        pytest.param(FAILED, [pod(terminated(75, "OOMKilled"))], 75, "oom 137", id="OOM of a child"),
        pytest.param(FAILED, [pod(terminated(128, "StartError", "no python"))], 128, "start 75", id="no program"),
        pytest.param(FAILED, [], 137, "killed 137", id="pod deleted"),
        pytest.param(OTHER_DEADLINE, [], 137, "timeout 75", id="deadline of the Job"),
        pytest.param(
            FAILED, [pod(terminated(143), reason="DeadlineExceeded")], 143, "timeout 75", id="deadline of the pod"
        ),
        pytest.param(
            FAILED,
            [pod(terminated(137), reason="Evicted", message='Usage of EmptyDir volume "tmp" exceeds the limit "2Gi"')],
            137,
            "disk 74",
            id="disk of the pod",
        ),
        pytest.param(
            FAILED,
            [pod(terminated(137), reason="Evicted", message="The node was low on resource: memory")],
            137,
            "killed 137",
            id="memory of the node",
        ),
        pytest.param(
            FAILED, [pod(terminated(143), DISRUPTED), pod(terminated(65))], 65, None, id="the newest pod counts"
        ),
    ],
)
def test_a_failed_job_says_how(ending: dict[str, Any], pods: list[dict[str, Any]], code: int, seen: str | None) -> None:
    state = judged(job(ending), *pods)
    assert isinstance(state, Over)
    assert state.exit_code == code
    assert (f"{state.seen.error_class} {state.seen.exit_code}" if state.seen else None) == seen


def test_out_of_memory_says_how_much_there_was_and_how_much_to_give() -> None:
    state = judged(job(FAILED), pod(terminated(137, "OOMKilled")))
    assert isinstance(state, Over)
    assert state.seen is not None
    assert "the limit of 512Mi was used up" in state.seen.message
    assert "steps.train.resources.limits.memory of the chart to 1024Mi" in state.seen.next


@pytest.mark.parametrize(
    ("why", "code", "named"),
    [
        ('CreateContainerConfigError: secret "x" not found', 77, "cannot get secrets x"),
        (
            'FailedMount: MountVolume.SetUp failed for "v": configmap "y" not found',
            77,
            "create the configmap y",
        ),
        ('FailedCreate: error looking up service account ns/z: serviceaccount "z" not found', 77, "serviceaccounts z"),
        ("ErrImagePull: not found", 75, "mend what the message names"),
        ('exceeded quota: tight, requested: secrets=1, "secret" not found', 75, "could not be started: exceeded quota"),
    ],
)
def test_an_object_that_is_not_there_is_a_right_that_is_missing(why: str, code: int, named: str) -> None:
    found = not_started("train", why)
    assert (found.error_class, found.exit_code) == ("start", code)
    assert named in f"{found.message}; {found.next}"
    assert why in found.message


def test_a_job_that_was_ended_before_it_started_says_why_to_every_coordinator() -> None:
    ended = job(OTHER_DEADLINE, annotations={"refit.dev/not-started": "ErrImagePull: not found"})
    state = judged(ended)
    assert isinstance(state, Over)
    assert state.seen is not None
    assert (state.seen.error_class, state.seen.exit_code) == ("start", 75)
    assert "ErrImagePull: not found" in state.seen.message


@pytest.mark.parametrize(
    ("pods", "asked"),
    [
        ([], NAME),
        ([pod(waiting("ContainerCreating"))], f"{NAME}-abcde"),
        ([pod(waiting("ErrImagePull", "not found"))], ""),
        ([pod({"running": {}})], ""),
    ],
    ids=["no pod: the Job's", "no words: the pod's", "own words", "runs"],
)
def test_events_are_asked_for_where_nothing_else_tells(pods: list[dict[str, Any]], asked: str) -> None:
    state = judged(job(), *pods)
    assert isinstance(state, GoesOn)
    assert state.asks_for_events == asked


def test_the_last_warning_tells_what_is_waited_for() -> None:
    state = judged(job())
    assert isinstance(state, GoesOn)
    quota = {"metadata": {}, "type": "Warning", "reason": "FailedCreate", "message": "exceeded quota", "eventTime": AT}
    made = {"metadata": {}, "type": "Normal", "reason": "SuccessfulCreate", "lastTimestamp": AT}
    assert why_waiting(state, [event_of(quota), event_of(made)]) == "waits for its pod: FailedCreate: exceeded quota"
    assert why_waiting(state, [event_of(made)]) == "waits for its pod"


def test_a_node_that_was_missing_is_not_what_a_pod_with_one_waits_for() -> None:
    state = judged(job(), pod(waiting("ContainerCreating")))
    assert isinstance(state, GoesOn)
    none, mount = (
        event_of({"metadata": {}, "type": "Warning", "reason": reason, "message": "m"})
        for reason in ("FailedScheduling", "FailedMount")
    )
    assert why_waiting(state, [mount, none]) == f"pod {NAME}-abcde starts: FailedMount: m"
    assert why_waiting(state, [none]) == f"pod {NAME}-abcde starts"


@pytest.mark.parametrize(
    "ending", [OTHER_DEADLINE, FAILED, condition("Complete")], ids=["deadline", "failed", "complete"]
)
@pytest.mark.parametrize("annotations", [{}, {NOT_STARTED: "too late"}], ids=["", "ended as not started"])
def test_a_step_that_ended_well_is_done_whatever_came_over_its_job(
    ending: dict[str, Any], annotations: dict[str, str]
) -> None:
    found = judged(job(ending, annotations=annotations), pod(terminated(0, "Completed"), reason="DeadlineExceeded"))
    assert isinstance(found, Over)
    assert (found.exit_code, found.seen) == (0, None)


@pytest.mark.parametrize(
    ("given", "twice"), [("512Mi", "1024Mi"), ("1.5Gi", "3Gi"), ("536870912", "1073741824"), ("", ""), ("?", "")]
)
def test_memory_is_doubled_in_its_own_unit(given: str, twice: str) -> None:
    assert doubled(given) == twice


def nulls(found: Any, *names: str) -> Any:
    """The document with these fields null, wherever they stand."""
    if isinstance(found, dict):
        return {name: None if name in names else nulls(value, *names) for name, value in found.items()}
    return [nulls(each, *names) for each in found] if isinstance(found, list) else found


def test_fields_that_are_null_are_as_good_as_none() -> None:
    odd = nulls(job(FAILED, {"status": "True"}), "reason", "message", "lastTransitionTime")
    odd["metadata"] |= {"labels": None, "annotations": None, "ownerReferences": None, "deletionTimestamp": None}
    bare = nulls(pod(terminated(143), {"type": None, "status": None}), "reason", "message", "finishedAt", "limits")
    state = bare["status"]["containerStatuses"][1]["state"]
    state |= {"running": None, "waiting": None}
    found = judged(odd, bare)
    assert isinstance(found, Over)
    assert (found.exit_code, found.reason, found.seen) == (143, "", None)
    assert found.at == job_of(odd).created_at
    assert judged(job() | {"status": None}, bare | {"status": None, "spec": None}) == judged(job(), pod())
    assert event_of({"metadata": {}, "lastTimestamp": None, "reason": None}).at is None

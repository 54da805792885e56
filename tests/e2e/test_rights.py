"""What each component may do, in the cluster and in the bucket."""

import json
from typing import Any

import pytest

from refit.core import keys
from refit.core.domain import STEPS
from tests.e2e.kubectl import until
from tests.e2e.release import NAME, Release, id_of

COORDINATOR = {
    *(("batch", "cronjobs", name, "get") for name in (NAME, *(f"{NAME}-{step}" for step in STEPS))),
    *(("batch", "jobs", "", verb) for verb in ("create", "get", "list", "patch")),
    ("", "pods", "", "list"),
    *(("", "events", "", verb) for verb in ("list", "create")),
    ("", "pods/log", "", "get"),
}
RIGHTS: dict[str, set[tuple[str, str, str, str]]] = {NAME: COORDINATOR, **{f"{NAME}-{step}": set() for step in STEPS}}
REFS: tuple[keys.RefName, ...] = ("champion", "snapshot", "lock")
OF_ALL = {"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"}
"""What a cluster lets everybody ask."""
WRITES = """
import json, os, sys
from refit.core.errors import AccessError
from refit.core.store import open_store
store = open_store(os.environ["REFIT_STORE"]).under("loans/")
answers = {}
for key in sys.argv[1:]:
    try:
        store.put(key, b"x")
        answers[key] = "written"
    except AccessError as error:
        answers[key] = "denied"
print(json.dumps(answers))
"""


@pytest.mark.core
def test_a_service_account_may_do_what_is_listed_and_nothing_else(release: Release) -> None:
    release.install()
    for name, expected in RIGHTS.items():
        assert _rights(release, name) == expected, name
    asked = ("auth", "can-i", "get", "pods", "--subresource=log")
    assert release.kubectl(*asked, f"--as=system:serviceaccount:{release.kubectl.namespace}:{NAME}") == "yes\n"


def test_a_right_that_is_missing_is_named_with_verb_and_resource(release: Release) -> None:
    release.install()
    release.kubectl("delete", "role", NAME)
    job = release.start()
    until(lambda: release.kubectl.ending(job), "end of the Job", tell=release.told)
    assert release.kubectl.ending(job) == ("Failed", "PodFailurePolicy")
    (pod,) = release.kubectl.pods_of(job)
    (status,) = pod["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 77
    said = release.kubectl("logs", f"job/{job}")
    assert "cannot get jobs" in said
    assert "the Role needs the verb get on jobs" in said


def _rights(release: Release, account: str) -> set[tuple[str, str, str, str]]:
    """Group, resource, name and verb of each thing that the account may do in its namespace."""
    namespace = release.kubectl.namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    who = f"--as=system:serviceaccount:{namespace}:{account}"
    answer = json.loads(
        release.kubectl(
            "create", "--validate=false", "--filename", "-", "--output", "json", who, given=json.dumps(review)
        )
    )
    assert not answer["status"].get("incomplete")
    found: set[tuple[str, str, str, str]] = set()
    for rule in answer["status"]["resourceRules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                names = rule.get("resourceNames") or [""]
                found |= {(group, resource, name, verb) for name in names for verb in rule["verbs"]}
    return {right for right in found if right[1] not in OF_ALL}


@pytest.mark.parametrize("step", STEPS)
def test_a_pod_writes_its_own_objects_and_no_others(release: Release, step: str) -> None:
    release.install()
    outcome = release.good()
    written: dict[str, str] = {other: keys.manifest(id_of(outcome), other) for other in STEPS}
    written |= {name: keys.ref(name) for name in REFS}
    written["version"] = keys.version(id_of(outcome))
    answers = _written(release, step, list(written.values()))
    own = {"extract": {"snapshot"}, "publish": {"champion", "version"}}.get(step, set()) | {step}
    assert {name for name, key in written.items() if answers[key] == "written"} == own


def _written(release: Release, step: str, wanted: list[str]) -> dict[str, str]:
    """What came of writing these keys, in a pod of the step."""
    job: Any = json.loads(release.kubectl(
        "create", "job", f"--from=cronjob/{NAME}-{step}", "tries", "--dry-run=client", "--output", "json"
    ))  # fmt: skip
    job["spec"]["template"]["spec"]["containers"][0]["command"] = ["python", "-c", WRITES, *wanted]
    release.kubectl.apply(job)
    until(lambda: release.kubectl.ending("tries"), "end of the tries", tell=release.told)
    found: dict[str, str] = json.loads(release.kubectl("logs", "job/tries").splitlines()[-1])
    return found

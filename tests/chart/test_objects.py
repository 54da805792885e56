"""What the chart renders, object by object: bare, with everything switched on, and at the limit of length."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refit.cli.main import refit
from refit.core.errors import RefitError
from refit.run.jobs import owner_of
from tests.fixtures.chart import (
    COMPONENTS,
    EVERYTHING,
    ROOT,
    STEPS,
    TELLING,
    Object,
    Refused,
    Rendered,
    environment,
    render,
    secrets_of,
)

LONGEST = "a2345678901234567890123456-b"
NEVER = "0 0 31 2 *"
RUN_ID = "20261120t070000-k3fw"


def bare() -> Rendered:
    return render()


def everything() -> Rendered:
    return render(values=EVERYTHING, needed=False, file=TELLING)


def longest() -> Rendered:
    return render(release=LONGEST)


WAYS = [
    pytest.param(bare, id="bare"),
    pytest.param(everything, id="everything"),
    pytest.param(longest, id="longest"),
]


def job_of(cronjob: Object) -> Object:
    spec: Object = cronjob["spec"]["jobTemplate"]["spec"]
    return spec


def test_a_bare_release_has_these_objects_and_no_others() -> None:
    named = {(found["kind"], found["metadata"]["name"]) for found in bare().objects}
    assert named == {
        *(("ServiceAccount", name) for name in ("fd", *(f"fd-{step}" for step in STEPS))),
        *(("CronJob", name) for name in ("fd", "fd-rerun", *(f"fd-{step}" for step in STEPS))),
        *(("Pod", name) for name in ("fd-check-extract", "fd-check-train")),
        ("ConfigMap", "fd-file"),
        ("Role", "fd"),
        ("RoleBinding", "fd"),
    }


@pytest.mark.parametrize("way", WAYS)
def test_every_pod_is_restricted(way: Any) -> None:
    for name, pod in way().pods():
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"], name
        assert container["resources"]["requests"]["memory"], name
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert volumes["tmp"]["emptyDir"]["sizeLimit"], name
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        assert not any("hostPath" in volume for volume in volumes.values())
        assert pod["restartPolicy"] == "Never"
        assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize("way", WAYS)
def test_only_the_coordinator_has_a_token(way: Any) -> None:
    rendered = way()
    for name, pod in rendered.pods():
        assert pod["automountServiceAccountToken"] is (pod["containers"][0]["name"] == "run"), name
    assert all(found["automountServiceAccountToken"] is False for found in rendered.of_kind("ServiceAccount").values())


@pytest.mark.parametrize("way", WAYS)
def test_each_component_has_an_account_of_its_own(way: Any) -> None:
    rendered = way()
    release = next(iter(rendered.of_kind("Role")))
    used = {name: pod["serviceAccountName"] for name, pod in rendered.pods()}
    accounts = {used[release], *(used[f"{release}-{step}"] for step in STEPS)}
    assert len(accounts) == 5
    assert set(used.values()) == accounts
    assert set(rendered.of_kind("ServiceAccount")) == accounts - {"shared-reader"}


@pytest.mark.parametrize("way", WAYS)
def test_names_fit(way: Any) -> None:
    rendered = way()
    for name, cronjob in rendered.of_kind("CronJob").items():
        assert len(name) <= 52
        for labels in (cronjob["metadata"]["labels"], job_of(cronjob)["template"]["metadata"]["labels"]):
            assert all(len(value) <= 63 for value in labels.values())
    assert len(f"{LONGEST}-evaluate-{RUN_ID}-9-99") <= 63


def test_a_longer_release_is_refused_with_the_limit() -> None:
    assert len(LONGEST) == 28
    with pytest.raises(Refused, match="has 29 characters; 28 is the limit"):
        render(release=f"{LONGEST}c")


@pytest.mark.parametrize("name", ["2026", "1e3", "true", "no", "null", "2026-11-22"])
def test_names_that_yaml_takes_for_something_else_stay_names(name: str, tmp_path: Path) -> None:
    path = tmp_path / "refit.yaml"
    path.write_text(f"name: '{name}'\nschedule: {{cron: 0 5 * * 1}}")
    rendered = render(release=name, file=path)
    for kind in ("CronJob", "ServiceAccount", "Role", "RoleBinding"):
        assert name in rendered.of_kind(kind)
    for found in rendered.objects:
        labels = found["metadata"]["labels"]
        assert (labels["app.kubernetes.io/instance"], labels["refit.dev/pipeline"]) == (name, name)
    assert all(isinstance(pod["serviceAccountName"], str) for _, pod in rendered.pods())


def test_a_release_with_a_dot_is_refused() -> None:
    with pytest.raises(Refused, match="has a dot"):
        render(release="flights.v2")


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_a_template_that_starts_nothing(step: str) -> None:
    spec = bare().of_kind("CronJob")[f"fd-{step}"]["spec"]
    assert (spec["schedule"], spec["suspend"], spec["startingDeadlineSeconds"]) == (NEVER, True, 60)
    assert (spec["concurrencyPolicy"], spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (
        "Forbid",
        3,
        7,
    )
    job = spec["jobTemplate"]["spec"]
    assert (job["backoffLimit"], job["podReplacementPolicy"]) == (0, "Failed")
    errors: list[type[RefitError]] = [RefitError, *RefitError.__subclasses__()]
    final = sorted({each.exit_code for each in errors if not each.retried} - {137, 143})
    assert job["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "step", "operator": "In", "values": final}},
    ]
    pod = job["template"]["spec"]
    assert pod["containers"][0]["command"] == ["python", "-m", f"refit.{step}"]
    assert (ROOT / "services" / "refit" / step / "__main__.py").exists()


@pytest.mark.parametrize(
    ("settings", "pod", "job"),
    [
        pytest.param((), 7200, 8400, id="default"),
        pytest.param(("coordinator.startTimeoutSeconds=10",), 7200, 7800, id="short start timeout"),
        pytest.param(("steps.train.deadlineSeconds=60",), 60, 1260, id="short deadline"),
    ],
)
def test_the_deadline_of_the_pod_comes_before_that_of_its_job(settings: tuple[str, ...], pod: int, job: int) -> None:
    """A Job's deadline deletes the pod, and its log with it."""
    spec = job_of(render(*settings).of_kind("CronJob")["fd-train"])
    assert (spec["template"]["spec"]["activeDeadlineSeconds"], spec["activeDeadlineSeconds"]) == (pod, job)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_has_what_the_coordinator_does_not_add(step: str) -> None:
    job = bare().of_kind("CronJob")[f"fd-{step}"]["spec"]["jobTemplate"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels == job["metadata"]["labels"]
    assert (labels["refit.dev/step"], labels["refit.dev/pipeline"]) == (step, "flight-delays")
    entries = environment(job["spec"]["template"]["spec"])
    fields = {name: entry["valueFrom"]["fieldRef"]["fieldPath"] for name, entry in entries.items() if _is_field(entry)}
    assert fields == {
        "REFIT_RUN_ID": "metadata.labels['refit.dev/run-id']",
        "REFIT_ATTEMPT": "metadata.labels['refit.dev/attempt']",
        "REFIT_ASKED_AT": "metadata.annotations['refit.dev/asked-at']",
        "REFIT_JOB": "metadata.labels['batch.kubernetes.io/job-name']",
        "REFIT_POD": "metadata.name",
    }
    plain = {name: entry["value"] for name, entry in entries.items() if "value" in entry}
    assert plain == {
        "HOME": "/tmp",  # noqa: S108  in the pod
        "USER": "refit",
        "MPLCONFIGDIR": "/tmp/mpl",  # noqa: S108  in the pod
        "JOBLIB_TEMP_FOLDER": "/tmp",  # noqa: S108  in the pod
        "OMP_WAIT_POLICY": "PASSIVE",
        "REFIT_LOG": "json",
        "REFIT_STORE": "s3://models/team",
        "REFIT_PIPELINE": "flight-delays",
    }
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        assert entries[name]["valueFrom"] == {"resourceFieldRef": {"resource": "limits.cpu"}}


def _is_field(entry: Object) -> bool:
    return "fieldRef" in entry.get("valueFrom", {})


@pytest.mark.parametrize("way", WAYS)
def test_secrets_reach_those_who_need_them_and_nobody_else(way: Any) -> None:
    for name, pod in way().pods():
        entries = environment(pod)
        assert ("REFIT_SOURCE_DSN" in entries) == ("extract" in name), name
        assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(entries)
        assert not any("value" in entry for key, entry in entries.items() if "KEY" in key or "DSN" in key)
        assert not any("secret" in volume for volume in pod["volumes"])


def test_each_component_may_be_somebody_else_for_the_store() -> None:
    secrets = {name: secrets_of(pod) - {"pushgateway"} for name, pod in everything().pods()}
    assert secrets["fd"] == secrets["fd-rerun"] == {"store-run", "channel"}
    assert secrets["fd-extract"] == secrets["fd-check-extract"] == {"store-extract", "warehouse"}
    assert secrets["fd-train"] == secrets["fd-check-train"] == {"store-train", "licence"}
    assert secrets["fd-evaluate"] == secrets["fd-publish"] == {"store"}


def test_with_identity_no_pod_has_credentials() -> None:
    rendered = render("store.credentials.kind=identity", "store.credentials.secret=")
    for name, pod in rendered.pods():
        assert secrets_of(pod) == ({"warehouse"} if "extract" in name else set())


def test_the_coordinator_knows_who_it_is() -> None:
    for name in ("fd", "fd-rerun"):
        pod = job_of(bare().of_kind("CronJob")[name])["template"]["spec"]
        entries = environment(pod)
        assert {key for key in entries if key.startswith("REFIT_")} == {
            "REFIT_LOG",
            "REFIT_STORE",
            "REFIT_RELEASE",
            "REFIT_NAMESPACE",
            "REFIT_JOB",
            "REFIT_POD",
            "REFIT_OWNER",
            "REFIT_START_TIMEOUT",
        }
        assert entries["REFIT_RELEASE"]["value"] == "fd"
        assert entries["REFIT_OWNER"]["value"] == "kubernetes/ml/fd"
        assert entries["REFIT_START_TIMEOUT"]["value"] == "120"
        assert entries["REFIT_NAMESPACE"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    owner = environment(dict(everything().pods())["fd"])["REFIT_OWNER"]["value"]
    assert owner == "prod-eu/ml/fd"


@pytest.mark.parametrize("way", WAYS)
def test_templates_tell_who_runs_the_pipeline_to_coordinators_outside(way: Callable[[], Rendered]) -> None:
    found = way().of_kind("CronJob")
    release = next(name for name in (LONGEST, "fd") if name in found)
    owner = environment(job_of(found[release])["template"]["spec"])["REFIT_OWNER"]["value"]
    assert {owner_of(found[f"{release}-{step}"], "elsewhere", "x") for step in STEPS} == {owner}


def test_the_coordinator_runs_by_the_schedule_of_the_file_and_reruns_by_hand() -> None:
    run, rerun = (bare().of_kind("CronJob")[name]["spec"] for name in ("fd", "fd-rerun"))
    assert (run["schedule"], run["timeZone"], run["suspend"]) == ("0 5 * * 1", "Etc/UTC", False)
    assert (rerun["schedule"], rerun["suspend"]) == (NEVER, True)
    for spec in (run, rerun):
        job = spec["jobTemplate"]["spec"]
        assert "activeDeadlineSeconds" not in job
        assert "activeDeadlineSeconds" not in job["template"]["spec"]
        assert job["backoffLimit"] == 3
        assert job["podFailurePolicy"]["rules"][1] == {
            "action": "FailJob",
            "onExitCodes": {"containerName": "run", "operator": "NotIn", "values": [0, 137, 143]},
        }


@pytest.mark.parametrize("name", ["fd", "fd-rerun", "fd-check-extract", "fd-check-train"])
def test_what_pods_call_is_a_command_with_these_options(name: str) -> None:
    command = dict(bare().pods())[name]["containers"][0]["command"]
    words = command[1:] if command[0] == "refit" else command[3:]
    assert command[0] == "refit" or command[:3] == ["python", "-m", "refit.cli"]
    found = refit.get_command(None, words[0])  # type: ignore[arg-type]  # the group asks nothing of its context
    assert found is not None
    known = {option for parameter in found.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_file_is_mounted_as_it_is() -> None:
    text = (ROOT / "services/refit/demo/flight-delays.yaml").read_text()
    assert bare().of_kind("ConfigMap")["fd-file"]["data"] == {"refit.yaml": text}
    mounted = {name for name, pod in bare().pods() if any("configMap" in volume for volume in pod["volumes"])}
    assert mounted == {"fd", "fd-rerun", "fd-check-extract", "fd-check-train"}, "steps take the run's own copy"


def test_the_coordinator_may_do_this_and_no_more() -> None:
    assert bare().of_kind("Role")["fd"]["rules"] == [
        {
            "apiGroups": ["batch"],
            "resources": ["cronjobs"],
            "resourceNames": ["fd", *(f"fd-{step}" for step in STEPS)],
            "verbs": ["get"],
        },
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "patch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["list", "create"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]
    binding = bare().of_kind("RoleBinding")["fd"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "fd", "namespace": "ml"}]
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "fd"}
    assert everything().of_kind("RoleBinding")["fd"]["subjects"][0]["name"] == "flights-run"


def test_an_image_is_named_by_registry_prefix_tag_and_digest() -> None:
    images = {name: pod["containers"][0]["image"] for name, pod in bare().pods()}
    assert images["fd"] == "refit-run:0.1.0"
    assert images["fd-check-extract"] == "refit-extract:0.1.0"
    images = {name: pod["containers"][0]["image"] for name, pod in everything().pods()}
    digest = "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    own = f"registry.example.com:5000/team/flights@{digest}"
    assert images == {
        "fd": f"registry.example.com:5000/team/refit-run@{digest}",
        "fd-rerun": f"registry.example.com:5000/team/refit-run@{digest}",
        "fd-extract": "mirror.example.com/refit-extract:patched",
        "fd-check-extract": "mirror.example.com/refit-extract:patched",
        "fd-train": own,
        "fd-evaluate": own,
        "fd-check-train": own,
        "fd-publish": "registry.example.com:5000/team/refit-publish:1.2.3",
    }


def test_a_component_takes_its_own_place_and_adds_to_what_all_share() -> None:
    pods = dict(everything().pods())
    assert pods["fd"]["nodeSelector"] == {"pool": "system"}
    assert pods["fd-train"]["nodeSelector"] == pods["fd-check-train"]["nodeSelector"] == {"pool": "large"}
    assert pods["fd-publish"]["nodeSelector"] == {"pool": "batch"}
    assert pods["fd-train"]["tolerations"] == [{"key": "large", "operator": "Exists"}]
    assert pods["fd"]["tolerations"] == [{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}]
    assert pods["fd-train"]["priorityClassName"] == "system-node-critical"
    assert pods["fd"]["priorityClassName"] == "system-cluster-critical"
    assert [volume["name"] for volume in pods["fd-train"]["volumes"]] == ["tmp", "ca", "cache"]
    assert {"AWS_CA_BUNDLE", "LICENCE"} <= set(environment(pods["fd-train"]))
    assert "LICENCE" not in environment(pods["fd-evaluate"])
    assert pods["fd-train"]["imagePullSecrets"] == [{"name": "registry-login"}]
    template = job_of(everything().of_kind("CronJob")["fd-train"])["template"]["metadata"]
    assert {"team": "data", "size": "large"}.items() <= template["labels"].items()
    assert template["annotations"] == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "note": "train"}
    assert pods["fd-train"]["containers"][0]["resources"]["limits"] == {
        "cpu": 4,
        "memory": "16Gi",
        "nvidia.com/gpu": 1,
    }
    assert pods["fd-train"]["terminationGracePeriodSeconds"] == 45


def test_what_values_give_to_pods_the_pods_of_helm_test_have_too() -> None:
    """Workload identity on Azure asks for a label of the pod, and meshes for an annotation."""
    found = everything().of_kind("Pod")["fd-check-train"]["metadata"]
    assert {"team": "data", "size": "large"}.items() <= found["labels"].items()
    assert {"note": "train", "helm.sh/hook": "test", "helm.sh/hook-weight": "1"}.items() <= found["annotations"].items()
    assert "refit.dev/step" not in found["labels"], "no step's pod"


def test_an_entry_of_a_components_own_env_replaces_the_shared_one() -> None:
    rendered = render(
        "pods.env[0].name=LEVEL,pods.env[0].value=low",
        "steps.train.env[0].name=LEVEL,steps.train.env[0].value=high",
    )
    levels = {name: environment(pod)["LEVEL"]["value"] for name, pod in rendered.pods()}
    assert (levels["fd-train"], levels["fd-evaluate"], levels["fd"]) == ("high", "low", "low")


def test_workload_identity_is_an_annotation_of_the_account() -> None:
    accounts = everything().of_kind("ServiceAccount")
    assert accounts["flights-run"]["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/run"
    }
    assert accounts["fd-train"]["metadata"]["annotations"] == {"iam.gke.io/gcp-service-account": "train@example.com"}


PUSHING = {"fd", "fd-rerun", "fd-extract", "fd-train", "fd-evaluate", "fd-publish"}


@pytest.mark.parametrize(
    ("settings", "entry"),
    [
        pytest.param((), None, id="nobody watches"),
        pytest.param(("metrics.pushgateway=http://push:9091",), {"value": "http://push:9091"}, id="an address"),
        pytest.param(
            ("metrics.secret=push",),
            {"valueFrom": {"secretKeyRef": {"name": "push", "key": "url", "optional": True}}},
            id="a Secret",
        ),
    ],
)
def test_the_pods_of_a_run_know_where_metrics_go(settings: tuple[str, ...], entry: Object | None) -> None:
    found = {name: environment(pod).get("REFIT_PUSHGATEWAY") for name, pod in render(*settings).pods()}
    given = None if entry is None else {"name": "REFIT_PUSHGATEWAY"} | entry
    assert found == {name: given if name in PUSHING else None for name in found}
    assert set(found) >= PUSHING


def test_only_the_coordinator_knows_whom_to_tell() -> None:
    found = {name: environment(pod).get("REFIT_WEBHOOK_URL") for name, pod in everything().pods()}
    entry = {
        "name": "REFIT_WEBHOOK_URL",
        "valueFrom": {"secretKeyRef": {"name": "channel", "key": "address", "optional": True}},
    }
    assert {name: one for name, one in found.items() if one} == {"fd": entry, "fd-rerun": entry}
    assert all("REFIT_WEBHOOK_URL" not in environment(pod) for _, pod in render(file=TELLING).pods())


def test_network_policies_name_no_pushgateway_where_nobody_watches() -> None:
    policies = render("networkPolicy.enabled=true").of_kind("NetworkPolicy")
    ports = {port["port"] for found in policies.values() for rule in found["spec"]["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 5432, 6443}


def test_network_policies_let_each_pod_reach_what_it_needs() -> None:
    policies = everything().of_kind("NetworkPolicy")
    assert set(policies) == {f"fd-{component}" for component in COMPONENTS}
    reached = {
        component: [port["port"] for rule in policies[f"fd-{component}"]["spec"]["egress"] for port in rule["ports"]]
        for component in COMPONENTS
    }
    assert reached == {
        "run": [53, 53, 9000, 6443, 9091, 8443, 3128],
        "extract": [53, 53, 9000, 5432, 6432, 9091, 3128],
        "train": [53, 53, 9000, 9091, 3128],
        "evaluate": [53, 53, 9000, 9091, 3128],
        "publish": [53, 53, 9000, 9091, 3128],
    }
    for policy in policies.values():
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert "ingress" not in policy["spec"]
        chosen = policy["spec"]["podSelector"]["matchLabels"]
        hit = [
            found["metadata"]["name"] for found in everything().objects if chosen.items() <= _pod_labels(found).items()
        ]
        assert hit, "the policy meets a pod"
    assert not bare().of_kind("NetworkPolicy")


def _pod_labels(found: Object) -> dict[str, str]:
    if found["kind"] == "CronJob":
        labels: dict[str, str] = job_of(found)["template"]["metadata"]["labels"]
        return labels
    return dict(found["metadata"]["labels"]) if found["kind"] == "Pod" else {}


def test_suspended_the_coordinator_waits_for_people() -> None:
    assert everything().of_kind("CronJob")["fd"]["spec"]["suspend"] is True


def test_a_test_pod_is_a_hook_and_no_run() -> None:
    for name, pod in bare().of_kind("Pod").items():
        assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test", name
        kept = pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert kept == "before-hook-creation", "helm test --logs asks for logs after the end"
        assert not {"REFIT_RUN_ID", "REFIT_ATTEMPT"} & set(environment(pod["spec"]))

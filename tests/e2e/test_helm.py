"""The chart in a cluster that enforces Pod Security: installed, tested, upgraded, removed."""

import json
import re
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
import yaml

from tests.e2e.kubectl import Kubectl, until
from tests.e2e.release import NAME, SLOW, Release
from tests.e2e.servers import FIRST
from tests.fixtures.chart import EVERYTHING, FILE, TELLING, render
from tests.fixtures.scripts import ROOT

LINEAR = {"estimator": "sklearn.linear_model.SGDClassifier", "params": {"loss": "log_loss"}}


@pytest.mark.parametrize(
    "values",
    [pytest.param(None, id="bare default"), pytest.param(EVERYTHING, id="everything on", marks=pytest.mark.core)],
)
def test_a_cluster_takes_all_that_the_chart_renders(namespace: Kubectl, values: Path | None) -> None:
    version = json.loads(namespace("version", "--output", "json"))["serverVersion"]["gitVersion"]
    objects = render(
        values=values,
        needed=values is None,
        release=NAME,
        file=TELLING if values else FILE,
        namespace=namespace.namespace,
        kubernetes=version,
    ).objects
    if "prometheusrules" not in namespace("api-resources", "--output", "name"):  # no Prometheus Operator is there
        objects = tuple(found for found in objects if found["kind"] != "PrometheusRule")
    for account in sorted({found["spec"]["serviceAccountName"] for found in objects if found["kind"] == "Pod"}):
        namespace(
            "create", "serviceaccount", "--save-config", account
        )  # a pod is refused where its account is not there
    taken(namespace, yaml.safe_dump_all(objects))


@pytest.mark.parametrize("folder", ["k8s/base", "k8s/dev"])
def test_a_cluster_takes_the_plain_manifests(namespace: Kubectl, folder: str) -> None:
    done = namespace.tried("kustomize", str(ROOT / folder))
    assert done.returncode == 0, done.stderr
    taken(namespace, re.sub(r"\bnamespace: [\w-]+", f"namespace: {namespace.namespace}", done.stdout))


def taken(namespace: Kubectl, objects: str) -> None:
    """The API server would take all of them, and has nothing to say of Pod Security."""
    done = namespace.tried("apply", "--dry-run=server", "--filename", "-", given=objects)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count(" (server dry run)") == len(re.findall(r"^kind: ", objects, re.MULTILINE))


def test_helm_test_says_that_all_is_right_or_what_is_not(release: Release) -> None:
    release.install()
    good = release.helm("test", "--logs")
    assert good.stdout.count("Phase:          Succeeded") == 2
    release.upgrade(target="gone", window={"kind": "rolling", "length": "42 parsecs"})
    bad = release.helm("test", "--logs", check=False)
    assert bad.returncode != 0
    assert "window.length: must be a duration" in bad.stdout
    release.upgrade(window={"kind": "rolling", "length": "42d"})
    absent = release.helm("test", "--logs", check=False)
    assert absent.returncode != 0
    assert "gone" in absent.stdout


def test_a_release_that_is_removed_leaves_the_pods_of_its_tests_and_secrets_alone(release: Release) -> None:
    release.install()
    release.helm("test")
    before = {found["metadata"]["name"] for found in release.kubectl.everything("secrets")}
    release.helm("uninstall", "--wait")
    left = [found["metadata"]["name"] for found in release.kubectl.everything("pods")]
    assert left == [f"{NAME}-check-extract", f"{NAME}-check-train"]
    release.kubectl("delete", "pods", "--selector", f"app.kubernetes.io/instance={NAME}")
    for kind in ("pods", "cronjobs", "jobs", "roles", "rolebindings"):
        assert release.kubectl.everything(kind) == [], kind
    own = {found["metadata"]["name"] for found in release.kubectl.everything("serviceaccounts")}
    assert own == {"default"}
    after = {found["metadata"]["name"] for found in release.kubectl.everything("secrets")}
    assert after == {name for name in before if not name.startswith("sh.helm.release.")}


def test_a_file_with_faults_ends_a_run_at_once_with_all_of_them(release: Release) -> None:
    release.install(window={"kind": "rolling", "length": "42 parsecs"}, task="sorting")
    job = release.start()
    until(lambda: release.kubectl.ending(job), "end of the Job")
    assert release.kubectl.ending(job) == ("Failed", "PodFailurePolicy")
    said = release.kubectl("logs", f"job/{job}")
    assert "window.length: must be a duration" in said
    assert "task: must be" in said
    assert release.jobs(release.run_id(job)) == []


@pytest.mark.core
def test_an_upgrade_in_the_middle_of_a_run_is_for_the_next_one(release: Release) -> None:
    release.install()
    job = release.start()
    release.at_step(job, "extract")
    release.upgrade("steps.train.resources.limits.memory=640Mi", "steps.publish.labels.new=yes", model=LINEAR)
    first = release.as_expected(job)
    (train,), (publish,) = release.jobs(first, "train"), release.jobs(first, "publish")
    assert _memory(train) == "512Mi"
    assert "new" not in publish["spec"]["template"]["metadata"]["labels"]
    assert "LogisticRegression" in release.kept_file(first)
    release.arrive(FIRST, 63)
    second = release.good()
    (train,) = release.jobs(second, "train")
    assert _memory(train) == "640Mi"
    assert "SGDClassifier" in release.kept_file(second)


def _memory(job: dict[str, object]) -> object:
    spec: dict[str, dict[str, dict[str, list[dict[str, dict[str, dict[str, object]]]]]]] = job["spec"]  # type: ignore[assignment]
    (container,) = spec["template"]["spec"]["containers"]
    return container["resources"]["limits"]["memory"]


def test_a_release_that_is_removed_in_the_middle_of_a_run_leaves_the_bucket_and_comes_back(release: Release) -> None:
    release.install(model=SLOW)
    first = release.good()
    release.arrive(FIRST, 63)
    job = release.start()
    run_id = release.run_id(job)
    release.at_work(job, "train")
    release.helm("uninstall", "--wait")
    until(lambda: release.kubectl.everything("pods") == [], "end of all pods", 60)
    assert release.champion == first.version
    release.install()
    again = release.good(template=f"{NAME}-rerun")
    assert again.parent == run_id
    cut = release.outcome(run_id)
    assert cut.outcome == "failed"
    assert cut.error is not None
    assert release.generations == [first.version, again.version]
    release.helm("uninstall", "--wait")
    assert release.champion == again.version


def test_a_release_of_the_chart_before_is_upgraded_and_goes_on(release: Release, tmp_path: Path) -> None:
    commits = _git("log", "-2", "--format=%H", "--", "helm/refit").split()
    if len(commits) < 2:
        pytest.skip("no earlier chart in this copy of the repository")
    with tarfile.open(fileobj=BytesIO(_git_bytes("archive", commits[1], "helm/refit"))) as archive:
        archive.extractall(tmp_path / "before", filter="data")
    release.install(chart=tmp_path / "before" / "helm" / "refit")
    first = release.good()
    release.arrive(FIRST, 63)
    release.upgrade()
    second = release.good()
    assert release.generations == [first.version, second.version]


def _git_bytes(*words: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=False).stdout


def _git(*words: str) -> str:
    return _git_bytes(*words).decode()

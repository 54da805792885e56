"""Where steps run and who coordinates, as the environment says; the cluster is one in memory."""

from pathlib import Path

import pytest

from refit.cli.executors import BadTimeout, NotReached, opened
from refit.cli.place import Place
from refit.core import keys
from refit.core.domain import STEPS
from refit.core.store import ObjectStore, open_store
from refit.run import executor, kube
from refit.run.cluster import NoTemplate
from refit.run.identity import Identity
from refit.run.jobs import BadRelease
from refit.run.kubernetes import KubernetesExecutor
from tests.fixtures.calls import Call
from tests.fixtures.cluster import FakeCluster, cron_job
from tests.fixtures.records import FILE, put_run, run_record


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    found = FakeCluster()
    found.cron_jobs |= {f"loans-{step}": cron_job(step, "loans") for step in STEPS}

    def connect(namespace: str | None = None, *, is_known: bool = False) -> FakeCluster:
        found.namespace = namespace or "of the context"
        return found

    monkeypatch.setattr(kube, "Kube", connect)
    for name in ("RELEASE", "NAMESPACE", "JOB", "OWNER", "START_TIMEOUT", "CREATED_BY"):
        monkeypatch.delenv(f"REFIT_{name}", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return found


@pytest.fixture
def place() -> Place:
    root = open_store("s3://bucket/p")
    return Place("loans", root, root.under("loans/"))


def opens(place: Place) -> tuple[KubernetesExecutor, Identity]:
    with opened("kubernetes", place) as (steps, identity):
        assert isinstance(steps, KubernetesExecutor)
        return steps, identity


def test_a_laptop_is_its_own_coordinator(cluster: FakeCluster, place: Place) -> None:
    steps, identity = opens(place)
    assert (steps.release, steps.start_seconds, steps.leaves_jobs) == ("loans", 120.0, False)
    assert (identity.run_id, cluster.namespace) == (None, "of the context")


def test_a_pod_has_the_identity_of_its_job(cluster: FakeCluster, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.put({"metadata": {"name": "fd-1", "ownerReferences": [{"kind": "CronJob", "name": "fd"}]}})
    settings = {"RELEASE": "fd", "NAMESPACE": "ns", "JOB": "fd-1", "START_TIMEOUT": "30", "OWNER": "eu/ns/fd"}
    for name, value in settings.items():
        monkeypatch.setenv(f"REFIT_{name}", value)
    steps, identity = opens(place)
    assert (steps.release, steps.start_seconds, steps.leaves_jobs) == ("fd", 30.0, True)
    assert (identity.created_by, identity.owner, cluster.namespace) == ("fd", "eu/ns/fd", "ns")
    assert identity.run_id is not None
    assert identity.run_id.startswith("20261120t070000-")
    monkeypatch.setenv("REFIT_CREATED_BY", "a person")
    assert opens(place)[1].created_by == "a person"


def test_a_laptop_runs_as_the_owner_that_the_release_has(
    cluster: FakeCluster, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFIT_NAMESPACE", "ns")
    cluster.cron_jobs["loans-extract"]["metadata"]["annotations"] = {"refit.dev/owner": "prod-eu/ns/loans"}
    assert opens(place)[1].owner == "prod-eu/ns/loans"
    monkeypatch.setenv("REFIT_OWNER", "me")
    assert opens(place)[1].owner == "me"


def test_templates_without_an_owner_belong_to_their_namespace(
    cluster: FakeCluster, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFIT_NAMESPACE", "ns")
    assert opens(place)[1].owner == "kubernetes/ns/loans"


def test_without_a_release_nobody_owns_the_pipeline(cluster: FakeCluster, place: Place) -> None:
    del cluster.cron_jobs["loans-extract"]
    with pytest.raises(NoTemplate, match="no CronJob loans-extract"):
        opens(place)


@pytest.mark.parametrize(("named", "owner"), [(None, "local"), ("lab", "lab")])
def test_runs_on_this_machine_belong_to_who_is_named(
    place: Place, monkeypatch: pytest.MonkeyPatch, named: str | None, owner: str
) -> None:
    monkeypatch.delenv("REFIT_OWNER", raising=False)
    if named:
        monkeypatch.setenv("REFIT_OWNER", named)
    with opened("local", place) as (_, identity):
        assert identity.owner == owner


@pytest.mark.parametrize("text", ["0", "-1", "1m", "1.5", "9" * 400, "9" * 5000], ids=lambda text: text[:4])
def test_a_time_to_start_that_is_none_is_refused(
    cluster: FakeCluster, place: Place, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("REFIT_START_TIMEOUT", text)
    with pytest.raises(BadTimeout, match="REFIT_START_TIMEOUT"):
        opens(place)


def test_a_folder_and_a_long_release_are_refused(
    cluster: FakeCluster, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = open_store(f"file://{tmp_path}")
    with pytest.raises(NotReached):
        opens(Place("loans", root, root.under("loans/")))
    monkeypatch.setenv("REFIT_RELEASE", "r" * 29)
    with pytest.raises(BadRelease, match="29 characters, and at most 28"):
        opens(place)


def test_check_refuses_a_release_that_is_too_long(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("refit.yaml").write_bytes(FILE)
    monkeypatch.setenv("REFIT_RELEASE", "r" * 28)
    assert call("check", "refit.yaml", "--fast").code == 0
    monkeypatch.setenv("REFIT_RELEASE", "r" * 29)
    called = call("check", "refit.yaml", "--fast", "--json")
    assert (called.code, called.document["valid"]) == (64, False)
    assert "at most 28" in called.document["error"]["message"]


def test_logs_name_the_pod_of_each_attempt(call: Call, store: ObjectStore) -> None:
    run = run_record("20261120t070000-aaaa")
    put_run(store, run)
    spot = executor.Place(job="fd-train-1", pod="fd-train-1-x", exit_code=75)
    store.create(keys.attempt_log(run.run_id, "train", 1), b"a line\n")
    store.create(keys.attempt_place(run.run_id, "train", 1), spot.to_json())
    store.create(keys.attempt_log(run.run_id, "train", 2), b"another\n")
    lines = call("logs", "loans", "@latest").out.splitlines()
    assert lines == ["-- train, attempt 1, pod fd-train-1-x", "a line", "-- train, attempt 2", "another"]
    (first, second) = call("logs", "loans", "@latest", "--json").document["logs"]
    assert (first["place"]["job"], "place" in second) == ("fd-train-1", False)

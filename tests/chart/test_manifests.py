"""Plain manifests, the development servers and the compose file say what they should."""

import json
import re
import shutil
import subprocess
import zipfile
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from refit.core.config import parse_pipeline
from tests.fixtures.chart import ROOT, find_helm
from tests.fixtures.scripts import script

DEV = ROOT / "k8s" / "dev"
BASE = ROOT / "k8s" / "base"
SERVERS = ("postgres.yaml", "minio.yaml", "pushgateway.yaml", "load-flights.yaml", "set-up-store.yaml")


def read_all(path: Path) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def test_the_manifests_are_fresh() -> None:
    find_helm()
    render = script("k8s/render.py")
    assert render.main(["--check"]) == 0


def test_without_helm_the_check_says_that_it_looked_at_nothing(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    render = script("k8s/render.py")
    monkeypatch.setattr(render, "find_helm", lambda: None)
    assert render.main(["--check"]) == 0
    assert "no helm here" in capsys.readouterr().err
    assert render.main([]) == 1


@pytest.mark.parametrize("folder", [BASE, DEV / "pipeline"], ids=["base", "dev"])
def test_a_kustomization_names_each_manifest_beside_it(folder: Path) -> None:
    named = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert named == sorted(path.name for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")


@pytest.mark.parametrize("folder", [BASE, DEV], ids=["base", "dev"])
def test_kubectl_builds_the_kustomization(folder: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on PATH")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=True)
    objects = [found for found in yaml.safe_load_all(done.stdout) if found]
    spaces = {found["metadata"].get("namespace") for found in objects if found["kind"] != "Namespace"}
    assert spaces == {"refit" if folder == BASE else "refit-dev"}
    names = {(found["kind"], found["metadata"]["name"]) for found in objects}
    wanted = {name for found in objects for name in _needed(found)}
    assert folder == BASE or wanted <= names, "every Secret and ConfigMap that a pod takes is there"


def _needed(found: Any) -> set[tuple[str, str]]:
    """Secrets and ConfigMaps that are named anywhere in an object."""
    if isinstance(found, list):
        return {each for inner in found for each in _needed(inner)}
    if not isinstance(found, dict):
        return set()
    kinds = {"secretKeyRef": "Secret", "configMap": "ConfigMap", "secret": "Secret"}
    here = {(kinds[key], inner["name"]) for key, inner in found.items() if key in kinds}
    return here | {each for inner in found.values() for each in _needed(inner)}


@pytest.mark.parametrize("name", SERVERS)
def test_pods_of_the_servers_are_restricted_and_small(name: str) -> None:
    """The namespace enforces "restricted"; nothing needs a volume that a cluster may not have."""
    (pod,) = (found["spec"]["template"]["spec"] for found in read_all(DEV / name) if found["kind"] != "Service")
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    assert not any("persistentVolumeClaim" in volume or "hostPath" in volume for volume in pod.get("volumes", ()))


def test_the_pipeline_of_the_servers_is_the_demo_on_flights_that_land_today() -> None:
    theirs = parse_pipeline((DEV / "refit.yaml").read_bytes(), "refit.yaml")
    demo = parse_pipeline((ROOT / "services/refit/demo/flight-delays.yaml").read_bytes(), "flight-delays.yaml")
    assert theirs.source.query.rstrip().endswith("FROM flights_now")
    assert theirs.model_copy(update={"source": demo.source}) == demo


def test_flights_are_moved_by_weeks_and_a_reader_may_only_read(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    loader = script("k8s/dev/scripts/load_flights.py")
    monkeypatch.setattr(loader, "load", _small_flights)
    monkeypatch.setenv("LOADER_DSN", database)
    monkeypatch.setenv("READER_PASSWORD", "it's a secret")
    loader.main()
    loader.main()
    assert "3 flights stand in the warehouse, 1 of them have landed" in capsys.readouterr().out
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), bool_and(extract(epoch FROM n.landed_at - f.landed_at) % 604800 = 0)"
            " FROM flights f JOIN flights_now n USING (flight_id)"
        )
        assert cursor.fetchone() == (3, True)
        cursor.execute(
            "SELECT has_table_privilege('reader', 'flights_now', 'SELECT'),"
            " has_table_privilege('reader', 'flights_now', 'INSERT')"
        )
        assert cursor.fetchone() == (True, False)
        cursor.execute("REVOKE ALL ON flights, flights_now FROM reader; DROP ROLE reader")
        connection.commit()


def _small_flights(dsn: str) -> int:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS flights (flight_id int PRIMARY KEY, landed_at timestamptz, carrier text,"
            " origin text, dest text, distance float, dep_hour int, temp float, wind_speed float, late bool)"
        )
        cursor.execute(
            "INSERT INTO flights SELECT n, timestamptz '2013-04-01' + n * interval '60 days'"
            " FROM generate_series(0, 2) n ON CONFLICT DO NOTHING"
        )
    return 3


def test_the_users_of_the_bucket_are_those_of_the_policies() -> None:
    (job,) = read_all(DEV / "set-up-store.yaml")
    (users,) = (
        volume["projected"] for volume in job["spec"]["template"]["spec"]["volumes"] if volume["name"] == "users"
    )
    secrets = {found["metadata"]["name"]: found["stringData"] for found in read_all(DEV / "secrets.yaml")}
    files = {
        item["path"]: secrets[source["secret"]["name"]][item["key"]]
        for source in users["sources"]
        for item in source["secret"]["items"]
    }
    names = sorted(name for name in files if not name.endswith(".key"))
    assert names == ["cleaner", "evaluate", "extract", "operator", "publish", "reader", "run", "train"]
    keys = {name: (files[name], files[f"{name}.key"]) for name in names}
    policies = {name: json.loads((DEV / "policies" / f"{name}.json").read_text()) for name in names}
    body = script("k8s/dev/scripts/set_up_store.py").archive(keys, policies)
    with zipfile.ZipFile(BytesIO(body)) as archive:
        read = {name: json.loads(archive.read(name)) for name in archive.namelist()}
    assert set(read) == {f"iam-assets/{name}.json" for name in ("policies", "users", "user_mappings")}
    mapped = {user: mapping["policy"] for user, mapping in read["iam-assets/user_mappings.json"].items()}
    assert mapped == {f"refit-{name}": f"refit-{name}" for name in names}
    assert set(read["iam-assets/users.json"]) == set(mapped)
    assert read["iam-assets/policies.json"]["refit-train"] == json.loads((DEV / "policies/train.json").read_text())


def test_the_compose_file_names_what_is_there() -> None:
    path = ROOT / "docker" / "compose.yaml"
    compose = yaml.safe_load(path.read_text())
    services = compose["services"]
    kept = {volume for service in services.values() for volume in service.get("volumes", ())}
    for volume in kept:
        source = volume.partition(":")[0]
        assert source in compose["volumes"] or (path.parent / source).exists(), volume
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
    images = {found["image"] for name in SERVERS for found in _containers(DEV / name)}
    built = {service["image"] for service in services.values() if "build" in service}
    watching = {services[name]["image"] for name in ("prometheus", "alertmanager", "grafana")}
    named = {service["image"] for service in services.values()}
    assert named - built - watching <= images, "laptop and cluster run the same"
    assert all(re.fullmatch(r"[\w./-]+:[\w.-]+", image) for image in named), "each has a tag"
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports), "nobody else's machine comes in"
    shell = services["refit"]["environment"]
    assert shell["REFIT_SOURCE_DSN"] == next(
        found["stringData"]["dsn"]
        for found in read_all(DEV / "secrets.yaml")
        if found["metadata"]["name"] == "warehouse"
    )


def _containers(path: Path) -> list[dict[str, Any]]:
    workloads = [found for found in read_all(path) if found["kind"] != "Service"]
    return [container for found in workloads for container in found["spec"]["template"]["spec"]["containers"]]


def test_docker_reads_the_compose_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no docker compose on this machine")
    command = [docker, "compose", "--file", str(ROOT / "docker" / "compose.yaml"), "--profile", "command", "config"]
    done = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

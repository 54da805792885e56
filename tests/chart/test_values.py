"""Values that cannot work are refused with their path, files with what they lack; and every value is documented."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures.chart import (
    CHART,
    EVERYTHING,
    FILE,
    KUBERNETES,
    ROOT,
    SCHEMA,
    Refused,
    find_helm,
    render,
    walk,
)

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        pytest.param("stroe.url=s3://b", "additional properties 'stroe' not allowed", id="unknown section"),
        pytest.param("steps.train.memory=1Gi", "/steps/train': additional properties 'memory'", id="unknown value"),
        pytest.param("store.url=https://b/p", "/store/url'", id="no bucket"),
        pytest.param("store.endpoint=minio:9000", "/store/endpoint'", id="endpoint without scheme"),
        pytest.param("store.credentials.kind=none", "/store/credentials/kind'", id="kind of credentials"),
        pytest.param("history.successful=0", "/history/successful': minimum: got 0, want 1", id="no history"),
        pytest.param("history.failed=4", "/history/failed': minimum: got 4, want 5", id="too little history"),
        pytest.param("suspend=later", "/suspend': got string, want boolean", id="no switch"),
        pytest.param("steps.train.deadlineSeconds=2h", "/steps/train/deadlineSeconds'", id="no number"),
        pytest.param("steps.train.resources.limits.memory=null", "missing property 'memory'", id="no limit"),
        pytest.param("steps.train.resources.limits.memory=4GB", "/limits/memory'", id="no quantity"),
        pytest.param("steps.train.tmpSize=much", "/steps/train/tmpSize'", id="no size"),
        pytest.param("steps.train.terminationGracePeriodSeconds=5", "want 15", id="too little grace"),
        pytest.param("steps.train.env[0].nam=x", "/steps/train/env/0'", id="env without name"),
        pytest.param("images.train.digest=sha256:1", "/images/train/digest'", id="no digest"),
        pytest.param("images.pullPolicy=Sometimes", "/images/pullPolicy'", id="pull policy"),
        pytest.param("networkPolicy.store.ports[0]=0", "/networkPolicy/store/ports/0'", id="no port"),
        pytest.param("coordinator.serviceAccount.annotations.a=1", "annotations/a': got number", id="annotation"),
        pytest.param(r"pods.labels.refit\.dev/run-id=x", "/pods/labels'", id="a label of refit's own"),
        pytest.param("pods.extraVolumes[0].name=tmp", "/pods/extraVolumes/0/name'", id="a volume of the chart's own"),
        pytest.param("source.dsn.secret=My_Secret", "/source/dsn/secret'", id="no name of a Secret"),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_its_path(setting: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        render(setting)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param(("store.url=",), "store.url is empty: it names where artifacts live", id="store"),
        pytest.param(("source.dsn.secret=",), "source.dsn.secret is empty", id="DSN"),
        pytest.param(
            ("store.credentials.secret=",), "no Secret with S3 credentials is named for", id="credentials of all"
        ),
        pytest.param(
            (
                "store.credentials.secret=",
                "coordinator.credentials.secret=a",
                "steps.extract.credentials.secret=a",
                "steps.evaluate.credentials.secret=a",
                "steps.publish.credentials.secret=a",
            ),
            "named for train: set store.credentials.secret or steps.train.credentials.secret, or",
            id="credentials of one step",
        ),
        pytest.param(
            ("steps.train.serviceAccount.create=false",),
            "steps.train.serviceAccount.name is needed where create is false",
            id="account",
        ),
        pytest.param(
            ("pods.env[0].name=REFIT_RUN_ID", "pods.env[0].value=x"),
            "env names REFIT_RUN_ID, which the chart sets by itself",
            id="a variable of the chart's own",
        ),
        pytest.param(
            ("steps.train.env[0].name=OMP_NUM_THREADS",), "env names OMP_NUM_THREADS, which the chart", id="threads"
        ),
    ],
)
def test_what_is_needed_and_not_named_is_refused_with_its_path(settings: tuple[str, ...], said: str) -> None:
    with pytest.raises(Refused) as refused:
        render(*settings)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "pipeline is empty: give the pipeline file with --set-file", id="empty"),
        pytest.param("name: [", "the pipeline file is no YAML mapping", id="no YAML"),
        pytest.param("- name: loans", "the pipeline file is no YAML mapping", id="a list"),
        pytest.param("task: binary", "the pipeline file has no name", id="no name"),
        pytest.param("name: 7", "the pipeline file has no name: it needs a text", id="a number for a name"),
        pytest.param(f"name: {'a' * 29}", "has 29 characters; 28 is the limit", id="long name"),
        pytest.param("name: My_Loans", "My_Loans may have lower-case letters, digits and hyphens", id="bad name"),
        pytest.param("name: loans", "has no schedule: add  schedule: {cron: ", id="no schedule"),
        pytest.param("name: loans\nschedule: daily", "schedule in the pipeline file is no mapping", id="no mapping"),
        pytest.param("name: loans\nschedule: {timezone: UTC}", "has no cron", id="no cron"),
        pytest.param("name: loans\nschedule: {cron: '0 5 * *'}", "needs 5 fields", id="a cron of four"),
        pytest.param(f"name: loans\n# {'x' * 900_000}", "takes 900000 at most", id="too long"),
    ],
)
def test_a_file_that_the_chart_cannot_read_is_refused_with_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "refit.yaml"
    path.write_text(text)
    with pytest.raises(Refused) as refused:
        render(file=path)
    assert said in str(refused.value)


def test_a_file_without_a_schedule_is_for_runs_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "refit.yaml"
    path.write_text("name: loans")
    spec = render("suspend=true", file=path).of_kind("CronJob")["fd"]["spec"]
    assert (spec["suspend"], spec["schedule"]) == (True, "0 0 31 2 *")


def test_the_zone_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "refit.yaml"
    path.write_text("name: loans\nschedule: {cron: '30  5 * * 1-5', timezone: Europe/Berlin}")
    spec = render(file=path).of_kind("CronJob")["fd"]["spec"]
    assert (spec["schedule"], spec["timeZone"]) == ("30  5 * * 1-5", "Europe/Berlin")


def test_helm_has_no_objection() -> None:
    command = [find_helm(), "lint", str(CHART), "--strict", "--kube-version", KUBERNETES, "--values", str(EVERYTHING)]
    done = subprocess.run([*command, "--set-file", f"pipeline={FILE}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_notes_say_what_to_type_next(tmp_path: Path) -> None:
    """helm prints notes only beside an installation, which needs a cluster; a template may include them."""
    chart = tmp_path / "refit"
    shutil.copytree(CHART, chart)
    (chart / "templates" / "notes.yaml").write_text('notes: {{ include "refit/templates/NOTES.txt" . | toJson }}\n')
    (rendered,) = (found for found in render(chart=chart).objects if "notes" in found)
    notes = rendered["notes"]
    for line in (
        'Pipeline flight-delays runs at "0 5 * * 1" in Etc/UTC.',
        "  helm test fd -n ml --logs",
        "  kubectl create job -n ml --from=cronjob/fd fd-by-hand-1",
        "  kubectl create job -n ml --from=cronjob/fd-rerun fd-again-1",
        "  export REFIT_STORE=s3://models/team",
        "  refit status flight-delays",
    ):
        assert line in notes.splitlines()


# --- documentation ------------------------------------------------------------


def test_every_value_has_a_type_and_a_description() -> None:
    for path, schema in walk(SCHEMA):
        assert schema.get("description"), path
        assert schema.get("type"), path


def test_no_value_is_unknown_but_in_objects_of_kubernetes() -> None:
    for path, schema in walk(SCHEMA):
        if "properties" in schema:
            assert schema["additionalProperties"] is False, path


def test_the_values_file_has_each_value_and_no_other() -> None:
    own = {path for path, schema in walk(SCHEMA) if "properties" in schema}
    open_ended = {path for path in own if path.endswith("resources")}

    def keys(values: Any, path: str = "") -> Iterator[str]:
        for name, inner in values.items():
            yield f"{path}{name}"
            if f"{path}{name}" in own - open_ended:
                yield from keys(inner, f"{path}{name}.")

    known = {path for path, _ in walk(SCHEMA) if not any(path.startswith(f"{each}.") for each in open_ended)}
    assert set(keys(VALUES)) == known - {"global"}


def test_the_table_of_values_is_fresh() -> None:
    command = [sys.executable, str(ROOT / "docs" / "values.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

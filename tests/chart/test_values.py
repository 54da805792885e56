"""Values that cannot work are refused with their path, files with what they lack; and every value is documented."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from refit.core.addresses import parse_url
from refit.core.cron import check_cron
from refit.core.errors import ConfigError
from tests.fixtures.chart import (
    CHART,
    EVERYTHING,
    FILE,
    KUBERNETES,
    ROOT,
    SCHEMA,
    TELLING,
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
        pytest.param("source.dsn.key=..", "/source/dsn/key'", id="no key of a Secret"),
        pytest.param("images.pullSecrets[0]=My_Secret", "/images/pullSecrets/0'", id="no name of a pull secret"),
        pytest.param("store.endpoint=https://me:secret@minio", "/store/endpoint'", id="credentials in an address"),
        pytest.param(
            "metrics.pushgateway=http://me:secret@push", "/metrics/pushgateway'", id="credentials in a gateway"
        ),
        pytest.param("store.region=eu west", "/store/region'", id="no region"),
        pytest.param("images.registry=https://reg.example.com", "/images/registry'", id="registry with scheme"),
        pytest.param("images.train.repository=reg/x:1", "/images/train/repository'", id="repository with tag"),
        pytest.param("images.own=Reg/Team/X:1", "/images/own'", id="image in capitals"),
        pytest.param("images.tag=20261122", "/images/tag': got number, want string", id="number for a tag"),
        pytest.param("steps.train.deadlineSeconds=0", "deadlineSeconds': minimum: got 0, want 30", id="no deadline"),
        pytest.param("steps.train.deadlineSeconds=9999999999", "deadlineSeconds': maximum", id="endless deadline"),
        pytest.param("coordinator.waitSeconds=-1", "/coordinator/waitSeconds': minimum", id="negative wait"),
        pytest.param("steps.train.resources.limits.memory=512m", "/limits/memory'", id="a thousandth of a byte"),
        pytest.param("steps.train.resources.limits.memory=512", "/limits/memory'", id="bytes without unit"),
        pytest.param("steps.train.tmpSize=0Gi", "/steps/train/tmpSize'", id="no room"),
        pytest.param("pods.labels.a b=x", "/pods/labels': additional properties 'a b'", id="no key of a label"),
        pytest.param("pods.labels.team=ü", "/pods/labels/team'", id="no value of a label"),
        pytest.param("pods.labels.job-name=x", "/pods/labels/job-name'", id="a label of Kubernetes' own"),
        pytest.param("pods.nodeSelector.gpu=true", "/pods/nodeSelector/gpu': got boolean", id="node label"),
        pytest.param(
            "pods.annotations.a b=x", "/pods/annotations': additional properties 'a b'", id="annotation's key"
        ),
        pytest.param("pods.priorityClassName=A b", "/pods/priorityClassName'", id="priority"),
        pytest.param(
            "pods.extraVolumeMounts[0].name=x,pods.extraVolumeMounts[0].mountPath=/tmp",
            "/pods/extraVolumeMounts/0/mountPath'",
            id="a mount over the chart's own",
        ),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_its_path(setting: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        render(setting)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("steps", "at '': missing property 'steps'"),
        ("steps.train.resources", "/steps/train': missing property 'resources'"),
        ("steps.train.terminationGracePeriodSeconds", "missing property 'terminationGracePeriodSeconds'"),
        ("steps.train.env", "/steps/train': missing property 'env'"),
        ("store.credentials.kind", "/store/credentials': missing property 'kind'"),
        ("history.failed", "/history': missing property 'failed'"),
        ("cluster", "at '': missing property 'cluster'"),
    ],
)
def test_a_value_that_is_taken_away_is_refused_with_its_path(path: str, said: str) -> None:
    """null removes a default in Helm: no history, no grace, no credentials, `<nil>` in names."""
    with pytest.raises(Refused) as refused:
        render(f"{path}=null")
    assert said in str(refused.value)


def test_nothing_that_has_a_default_may_be_taken_away() -> None:
    own = {path: schema for path, schema in walk(SCHEMA) if "properties" in schema}
    for path, schema in (own | {"": SCHEMA}).items():
        if not path.endswith(("resources", "resources.limits", "resources.requests")):
            assert set(schema["required"]) == set(schema["properties"]) - {"global"}, path


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param(("store.url=",), "store.url is empty: it names where artifacts live", id="store"),
        pytest.param(("source.dsn.secret=",), "source.dsn.secret is empty", id="DSN"),
        pytest.param(
            ("metrics.pushgateway=http://p", "metrics.secret=s"), "both name a Pushgateway", id="two gateways"
        ),
        pytest.param(
            ("notify.secret=s",), "the pipeline file names no variable for it: add  notify", id="nobody named"
        ),
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
        pytest.param(
            ("steps.train.env[0].name=A", "steps.train.env[1].name=A"), "steps.train.env names A twice", id="twice"
        ),
        pytest.param(
            ("steps.train.serviceAccount.name=fd-x", "steps.extract.serviceAccount.name=fd-x"),
            "steps.train.serviceAccount.name is fd-x, and so is that of extract: one creates it",
            id="an account that two create",
        ),
        pytest.param(
            (
                "coordinator.serviceAccount.create=false",
                "coordinator.serviceAccount.name=x",
                "coordinator.serviceAccount.annotations.a=b",
            ),
            "coordinator.serviceAccount.annotations have no effect where create is false",
            id="annotations of nothing",
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
        pytest.param("name: loans\nschedule: {}", "schedule in the pipeline file has no cron", id="nothing in it"),
        pytest.param("name: loans\n# schedule: {cron: '0 5 * * 1'}", "has no schedule", id="a comment"),
        pytest.param("name: loans\nschedule: {cron: '0 5 * *'}", "needs 5 fields", id="a cron of four"),
        pytest.param("name: loans\nschedule: {cron: '@daily'}", "needs 5 fields", id="a cron word"),
        pytest.param(
            "name: loans\nschedule: {cron: '60 5 * * 7'}",
            r'is "60 5 * * 7"; minute goes from 0 to 59, with , - / and *; day of the week goes from 0 (Sunday) to 6',
            id="a cron of other moments",
        ),
        pytest.param(
            "name: loans\nschedule: {cron: '0 5 * * 1', timezone: '+02:00'}",
            'schedule.timezone in the pipeline file is "+02:00"; it needs the name of an IANA zone',
            id="an offset for a zone",
        ),
        pytest.param("name: loans\nschedule:\n\tcron: '0 5 * * 1'", "is no YAML mapping", id="a tab"),
        pytest.param(f"name: loans\n# {'x' * 900_000}", "takes 900000 at most", id="too long"),
    ],
)
def test_a_file_that_the_chart_cannot_read_is_refused_with_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "refit.yaml"
    path.write_text(text)
    with pytest.raises(Refused) as refused:
        render(file=path)
    assert said in str(refused.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """helm would put other characters in the place of what is none, and the run would read these."""
    path = tmp_path / "refit.yaml"
    for body in ("name: loans".encode("utf-16"), "name: loans # Flüge".encode("latin-1")):
        path.write_bytes(body)
        with pytest.raises(Refused, match="the pipeline file is not valid UTF-8: refit check FILE shows"):
            render.__wrapped__(file=path)


CRON = "0 5 * * 1"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"name: loans\r\nschedule:\r\n  cron: '{CRON}'\r\n", id="lines of Windows"),
        pytest.param(f'"name": \'loans\'\n\'schedule\': {{"cron": "{CRON}"}}', id="quotes"),
        pytest.param(f"x: &a {{cron: {CRON}}}\nname: &n loans\nschedule: *a", id="anchors"),
        pytest.param(f"# schedule: {{cron: 1 1 1 1 1}}\nname: loans\nschedule: {{cron: {CRON}}}", id="a comment"),
        pytest.param(f"---\nname: loans # \U0001f6eb\nschedule: {{cron: {CRON}}}\nsql: '{{{{ .x }}}}'", id="signs"),
    ],
)
def test_a_file_is_read_as_yaml_and_passed_on_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "refit.yaml"
    path.write_bytes(text.encode())
    rendered = render(file=path)
    cronjob = rendered.of_kind("CronJob")["fd"]
    assert cronjob["spec"]["schedule"] == CRON
    assert cronjob["metadata"]["labels"]["refit.dev/pipeline"] == "loans"
    assert rendered.of_kind("ConfigMap")["fd-file"]["data"]["refit.yaml"] == text


@pytest.mark.parametrize(
    "line",
    [
        "*/15 0-23/2 1,15 JAN-mar Mon,FRI", "05 005 ? 12 ?", "5/10 * 31 2 sun", "59 23 31 12 6",
        "0 5 * * 7", "60 5 * * 1", "0 24 * * 1", "0 5 0 * 1", "0 5 * 13 1", "0 5 * * MONDAY", "*/0 5 * * 1",
        "0 5 L * *", "-1 5 * * 1", "0, 5 * * 1", "0 5 * * 1 *", "TZ=UTC 5 * * 1",
    ],
)  # fmt: skip
def test_the_chart_takes_the_schedules_that_the_file_may_have(tmp_path: Path, line: str) -> None:
    path = tmp_path / "refit.yaml"
    path.write_text(yaml.safe_dump({"name": "loans", "schedule": {"cron": line}}))
    assert _is_taken(lambda: render(file=path), Refused) == _is_taken(lambda: check_cron(line), ValueError)


@pytest.mark.parametrize(
    "url",
    [
        "s3://models", "s3://models/", "s3://models/a/b c/", "s3://models//team//", "s3://Models/flüge", "s3://a.b-c/..x/.y",
        "s3://models/a//b", "s3://models/../b", "s3://models/a/.", "s3://models/a\nb", "s3://models/a?b", "s3://me:x@models",
        "s3://minio:9000/models", "s3://ab", "S3://models", "gs://models", "models",
    ],
)  # fmt: skip
def test_the_chart_takes_the_buckets_that_refit_takes(tmp_path: Path, url: str) -> None:
    values = tmp_path / "values.yaml"
    needed = {"store": {"url": url, "credentials": {"secret": "store"}}, "source": {"dsn": {"secret": "warehouse"}}}
    values.write_text(yaml.safe_dump(needed))
    taken = _is_taken(lambda: render(values=values, needed=False), Refused)
    assert taken == _is_taken(lambda: parse_url(url), ConfigError)


def _is_taken(use: Callable[[], object], refused: type[Exception]) -> bool:
    try:
        use()
    except refused:
        return False
    return True


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


@pytest.mark.parametrize(
    "given",
    [
        pytest.param((), id="bare"),
        pytest.param(("--values", str(ROOT / "k8s" / "values.yaml"), "--set-file", f"pipeline={FILE}"), id="least"),
        pytest.param(("--values", str(EVERYTHING), "--set-file", f"pipeline={TELLING}"), id="everything"),
    ],
)
def test_helm_has_no_objection(given: tuple[str, ...]) -> None:
    """What has to be given has no default, so that of a bare chart helm notes what is missing, as no objection."""
    command = [find_helm(), "lint", str(CHART), "--strict", "--kube-version", KUBERNETES, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    noted = ["pipeline is empty", "store.url is empty", "no Secret with S3 credentials", "source.dsn.secret is empty"]
    assert [note for note in noted if note in done.stderr] == ([] if given else noted)


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

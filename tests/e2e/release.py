"""A release in a namespace of its own, with a database, a bucket and a user for each component; and what it does."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from refit.core import keys, registry
from refit.core.domain import STEPS, Outcome, RunRecord, StepName
from refit.core.runs import read_outcome
from refit.core.step import read_run
from refit.core.store import ObjectStore, open_store
from refit.run.cluster import job_of
from refit.run.executor import Place
from refit.run.jobs import run_id_of
from tests.e2e.kubectl import Kubectl, Object, until
from tests.e2e.servers import Servers
from tests.fixtures import invariants, loans
from tests.fixtures.chart import CHART, find_helm
from tests.fixtures.postgres import execute

NAME: Final = "fd"
NEVER: Final = "0 0 31 2 *"
RUN_SECONDS: Final = 180.0
FILE: Final[dict[str, Any]] = yaml.safe_load(loans.FILE) | {
    "schedule": {"cron": NEVER, "timezone": "Etc/UTC"},
    # What cannot be told apart is promoted: cases need champions that follow each other.
    "evaluate": {"gate": [{"score": "neg_log_loss", "max_loss": 0.1}]},
    "window": {"kind": "rolling", "length": "84d"},
    "source": {"query": "SELECT * FROM loans", "key": ["loan_id"], "cursor": "applied_at", "min_new_rows": 100},
}
SLOW: Final = {
    "estimator": "sklearn.linear_model.SGDClassifier",
    "params": {"loss": "log_loss", "alpha": 0.01, "max_iter": 100_000, "tol": None},
}
"""A model whose fit takes ten seconds, for what has to happen meanwhile."""
SMALL: Final = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}


@dataclass
class Release:
    """The chart, installed as NAME; `install` first."""

    kubectl: Kubectl
    servers: Servers
    scratch: Path
    tag: str
    users: dict[str, tuple[str, str]]
    settings: list[str] = field(default_factory=list)
    file: dict[str, Any] = field(default_factory=lambda: dict(FILE))
    _jobs: int = 0

    @property
    def bucket(self) -> str:
        return self.kubectl.namespace

    @property
    def database(self) -> str:
        return self.kubectl.namespace.replace("-", "_")

    @property
    def store(self) -> ObjectStore:
        """The pipeline's part of the bucket, as a user that may do anything; a new connection each time."""
        with pytest.MonkeyPatch.context() as patch:
            self.servers.as_root(patch)
            return open_store(f"s3://{self.bucket}").under("loans/")

    # --- helm

    def helm(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [find_helm(), words[0], NAME, "--namespace", self.kubectl.namespace, *words[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done

    def install(self, *settings: str, chart: Path = CHART, **sections: Any) -> None:
        """The release stands with these --set and sections of the file, which stay in upgrades."""
        self._place("install", chart, settings, sections)

    def upgrade(self, *settings: str, chart: Path = CHART, **sections: Any) -> None:
        self._place("upgrade", chart, settings, sections)

    def _place(self, verb: str, chart: Path, settings: tuple[str, ...], sections: dict[str, Any]) -> None:
        self.settings += settings
        self.file |= sections
        file, values = self.scratch / "refit.yaml", self.scratch / "values.yaml"
        file.write_text(yaml.safe_dump(self.file))
        values.write_text(yaml.safe_dump(self._values()))
        sets = [word for setting in self.settings for word in ("--set", setting)]
        self.helm(verb, str(chart), "--values", str(values), "--set-file", f"pipeline={file}", *sets)

    def _values(self) -> Object:
        def own(who: str) -> Object:
            return {"credentials": {"secret": f"store-{who}"}, "resources": SMALL}

        return {
            "store": {"url": f"s3://{self.bucket}", "endpoint": self.servers.endpoint, "region": "us-east-1"},
            "source": {"dsn": {"secret": "warehouse"}},
            "images": {"tag": self.tag},
            "coordinator": own("run") | {"resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {}}},
            "steps": {step: own(step) for step in STEPS},
        }

    # --- rows

    def arrive(self, first: float, last: float, *, flipped: bool = False) -> None:
        """The loans of these days of the table are there, as of this moment."""
        label = "NOT defaulted" if flipped else "defaulted"
        execute(
            self.servers.dsn(self.database),
            f"INSERT INTO loans SELECT loan_id, now() - interval '1 second', income, amount, region, {label} FROM later"
            f" WHERE applied_at >= timestamptz '{loans.at(first)}' AND applied_at < timestamptz '{loans.at(last)}'",
        )

    def sql(self, *statements: str) -> None:
        execute(self.servers.dsn(self.database), *statements)

    # --- runs

    def start(self, template: str = NAME) -> str:
        """The name of a coordinator's Job that was made as the documentation says."""
        self._jobs += 1
        job = f"by-hand-{self._jobs}"
        self.kubectl("create", "job", f"--from=cronjob/{template}", job)
        return job

    def scheduled(self) -> str | None:
        """The Job that the CronJob made by itself; None: it made none yet."""
        for job in self.kubectl.everything("jobs"):
            owners = [owner["name"] for owner in job["metadata"].get("ownerReferences", [])]
            by_hand = "cronjob.kubernetes.io/instantiate" in job["metadata"].get("annotations", {})
            if owners == [NAME] and not by_hand:
                return str(job["metadata"]["name"])
        return None

    def run_id(self, job: str) -> str:
        found = self.kubectl.get("job", job)
        assert found is not None, f"there is no Job {job}"
        return run_id_of(job_of(found))

    def outcome(self, run_id: str, seconds: float = RUN_SECONDS) -> Outcome:
        """The outcome of the run, once it stands."""
        store = self.store
        return until(lambda: read_outcome(store, run_id), f"outcome of {run_id}", seconds, 1, self.told)

    def ended(self, job: str, seconds: float = RUN_SECONDS) -> Outcome:
        """The outcome of the run of a coordinator's Job, once the Job has ended too."""
        run_id = self.run_id(job)
        until(lambda: self.kubectl.ending(job), f"end of {job}", seconds, 1, self.told)
        return self.outcome(run_id, 5)

    def good(self, expected: str = "promoted", template: str = NAME) -> Outcome:
        """A run by hand has ended as expected, and the bucket is whole."""
        return self.as_expected(self.start(template), expected)

    def as_expected(self, job: str, expected: str = "promoted", seconds: float = RUN_SECONDS) -> Outcome:
        outcome = self.ended(job, seconds)
        assert outcome.outcome == expected, (outcome, self.told())
        assert self.kubectl.ending(job) == (("Complete", "CompletionsReached") if outcome.exit_code == 0 else (
            "Failed", "PodFailurePolicy")), self.told()  # fmt: skip
        invariants.check(self.store)
        return outcome

    def failed(self, job: str, code: int, error_class: str, *words: str, seconds: float = RUN_SECONDS) -> Outcome:
        """A run has failed in this way, and said so in these words."""
        outcome = self.as_expected(job, "failed", seconds)
        assert outcome.error is not None
        assert (outcome.exit_code, outcome.error.error_class) == (code, error_class), outcome
        text = f"{outcome.error.message} {outcome.error.next}"
        for word in words:
            assert word in text, text
        return outcome

    def jobs(self, run: Outcome | str, step: str = "") -> list[Object]:
        """The step Jobs of the run that the cluster has, oldest first."""
        return self.kubectl.of_run("jobs", id_of(run), step)

    def at_step(self, job: str, step: StepName) -> Object:
        """The first pod of the step of this run, as soon as it is there."""
        run_id = self.run_id(job)
        pods = until(
            lambda: self.kubectl.of_run("pods", run_id, step) or None, f"pod of {step}", pause=0.1, tell=self.told
        )
        return pods[0]

    def at_work(self, job: str, step: StepName) -> Object:
        """The same once the step says that it works; before, a process of its kind is deaf to signals."""

        def works() -> bool:
            return '"progress"' in self.kubectl.tried("logs", name).stdout

        pod = self.at_step(job, step)
        name = pod["metadata"]["name"]
        until(works, f"work of {name}", pause=0.1, tell=self.told)
        return pod

    def record(self, run: Outcome | str) -> RunRecord:
        return read_run(self.store, id_of(run))

    def kept_file(self, run: Outcome | str) -> str:
        """The pipeline file that the run goes by."""
        return self.store.get(keys.pipeline_file(id_of(run))).decode()

    def place(self, run: Outcome | str, step: StepName, number: int = 1) -> Place:
        """What is kept of an attempt."""
        key = keys.attempt_place(id_of(run), step, number)
        return Place.from_json(self.store.get(key), key)

    @property
    def champion(self) -> str | None:
        found = registry.read_champion(self.store)
        return found[0].version if found else None

    @property
    def generations(self) -> list[str]:
        """The versions that were in production, in their order."""
        return [move.version for move in registry.read_history(self.store)]

    def refit(self, *words: str, file: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The command as a person calls it who has KUBECONFIG and a key of the bucket."""
        with pytest.MonkeyPatch.context() as patch:
            self.servers.as_user(patch, *self.users["operator"])
            environment = dict(os.environ) | {
                "REFIT_STORE": f"s3://{self.bucket}",
                "REFIT_NAMESPACE": self.kubectl.namespace,
                "REFIT_RELEASE": NAME,
                "NO_COLOR": "1",
            }
        command = [sys.executable, "-m", "refit.cli", *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, cwd=self.scratch, timeout=RUN_SECONDS
        )

    def told(self) -> str:
        """What the cluster shows of this namespace, for a test that fails."""
        parts = [self.kubectl.tried("get", "jobs,pods", "--show-labels").stdout]
        for pod in self.kubectl.everything("pods"):
            name = pod["metadata"]["name"]
            parts.append(f"--- {name}\n{self.kubectl.tried('logs', name, '--tail=30').stdout}")
        return "\n".join(parts)


def id_of(run: Outcome | str) -> str:
    """The run's id."""
    found = run if isinstance(run, str) else run.run_id
    assert found is not None
    return found


def attempts(outcome: Outcome) -> dict[str, int]:
    """How often each step was tried."""
    return {name: step.attempts for name, step in outcome.steps.items()}

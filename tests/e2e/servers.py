"""The servers that all cases share, in a namespace of their own: PostgreSQL with loans, and MinIO.

The tests come to them through `kubectl port-forward`, which any cluster has.
"""

import json
import re
import secrets
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import boto3
import psycopg2
import pytest

from refit.demo.postgres import on_database
from tests.e2e.kubectl import Kubectl, until
from tests.fixtures import loans
from tests.fixtures.minio import DEV, read_secrets
from tests.fixtures.postgres import execute
from tests.fixtures.s3 import set_s3
from tests.fixtures.scripts import script

USERS: Final = ("run", "extract", "train", "evaluate", "publish", "operator")
FIRST: Final = 42
"""So many days of loans are there when a case begins; the others arrive later."""


@dataclass
class Forward:
    """A port of this machine that leads to one of a Service, again and again: what ends it is begun anew."""

    kubectl: Kubectl
    service: str
    to: int
    _process: subprocess.Popen[str] | None = None
    _port: int = 0

    @property
    def address(self) -> str:
        if self._process is None or self._process.poll() is not None:
            self._port = until(self._begin, f"way to {self.service}", seconds=60, pause=1)
        return f"127.0.0.1:{self._port}"

    def _begin(self) -> int | None:
        self.end()
        command = ["kubectl", "--namespace", self.kubectl.namespace, "port-forward", "--address", "127.0.0.1"]
        command += [f"service/{self.service}", f":{self.to}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        found = re.search(r":(\d+) ->", self._process.stdout.readline())
        return int(found[1]) if found else None

    def end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None


@dataclass
class Servers:
    """PostgreSQL and MinIO, as the host and as pods come to them."""

    kubectl: Kubectl
    postgres: Forward = field(init=False)
    minio: Forward = field(init=False)
    passwords: dict[str, dict[str, str]] = field(default_factory=read_secrets)

    def __post_init__(self) -> None:
        self.postgres = Forward(self.kubectl, "postgres", 5432)
        self.minio = Forward(self.kubectl, "minio", 9000)

    def start(self) -> None:
        """Both run, with the loans of 70 days in the database that others are copied from."""
        files = [
            word for name in ("secrets", "postgres", "minio") for word in ("--filename", str(DEV / f"{name}.yaml"))
        ]
        self.kubectl("apply", *files)
        self.kubectl(
            "wait", "--for=condition=Available", "--timeout=180s", "deployment", "--all", "--request-timeout=0"
        )
        until(self._answers, "answer of PostgreSQL", seconds=90, pause=1)
        execute(self.dsn(), "CREATE DATABASE bank")
        bank = self.dsn("bank")
        loans.load(bank)
        moved = f"applied_at + (now() - timestamptz '{loans.at(FIRST)}')"
        password = self.passwords["warehouse"]["password"]
        execute(
            bank,
            "ALTER TABLE loans RENAME TO later",
            f"CREATE TABLE loans AS SELECT loan_id, {moved} AS applied_at, income, amount, region, defaulted"
            f" FROM later WHERE applied_at < timestamptz '{loans.at(FIRST)}'",
            f"CREATE ROLE reader LOGIN PASSWORD '{password}'",
            "GRANT SELECT ON loans TO reader",
        )

    def _answers(self) -> bool:
        with suppress(psycopg2.OperationalError):
            execute(self.dsn(), "SELECT 1")
            return True
        return False

    def end(self) -> None:
        self.postgres.end()
        self.minio.end()

    def dsn(self, database: str = "warehouse") -> str:
        """Of the user that may do anything, for the tests."""
        password = self.passwords["postgres"]["password"]
        return on_database(f"postgresql://loader:{password}@{self.postgres.address}/warehouse", database)

    def reader_dsn(self, database: str) -> str:
        """As pods have it."""
        password = self.passwords["warehouse"]["password"]
        return f"postgresql://reader:{password}@postgres.{self.kubectl.namespace}:5432/{database}"

    @property
    def endpoint(self) -> str:
        """Of MinIO, for pods."""
        return f"http://minio.{self.kubectl.namespace}:9000"

    def make_database(self, name: str) -> None:
        execute(self.dsn(), f"CREATE DATABASE {name} TEMPLATE bank STRATEGY file_copy")

    def as_user(self, patch: pytest.MonkeyPatch, access: str, secret: str) -> None:
        """The AWS_* settings of this process are those of a user."""
        set_s3(patch, f"http://{self.minio.address}")
        patch.setenv("AWS_ACCESS_KEY_ID", access)
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def as_root(self, patch: pytest.MonkeyPatch) -> None:
        self.as_user(patch, self.passwords["minio"]["user"], self.passwords["minio"]["password"])

    def make_bucket(self, bucket: str, pipeline: str) -> dict[str, tuple[str, str]]:
        """The bucket stands; returns the keys of the user of each component."""
        keys = {who: (f"{bucket}-{who}", secrets.token_hex(16)) for who in USERS}
        with pytest.MonkeyPatch.context() as patch:
            self.as_root(patch)
            boto3.session.Session().client("s3").create_bucket(Bucket=bucket)
            bodies = script("helm/policies.py").bodies("minio", bucket, "", pipeline)
            store = script("k8s/dev/scripts/set_up_store.py")
            store.import_iam(store.archive(keys, {who: json.loads(bodies[f"{who}.json"]) for who in keys}, bucket))
        return keys

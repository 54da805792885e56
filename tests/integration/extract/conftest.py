"""A table in a real PostgreSQL, and extracts of it as the step main would run them."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from refit.core import keys
from refit.core.addresses import file_url
from refit.core.config import Pipeline, parse_pipeline
from refit.core.context import Context
from refit.core.domain import ExtractManifest, RunRecord
from refit.core.store import ObjectStore, open_store
from refit.data.reader import SnapshotReader
from refit.extract.step import extract, settle
from tests.fixtures.postgres import execute

START = datetime(2020, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


@dataclass
class Bench:
    """One pipeline on one database: edit `file`, fill the table, extract."""

    dsn: str
    store: ObjectStore
    folder: Path
    file: dict[str, Any] = field(default_factory=dict)
    progress: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def pipeline(self) -> Pipeline:
        return parse_pipeline(yaml.safe_dump(self.file, sort_keys=False), "refit.yaml")

    def execute(self, *statements: str) -> None:
        execute(self.dsn, *statements)

    def insert(self, rows: Sequence[tuple[Any, ...]], table: str = "events") -> None:
        with closing(psycopg2.connect(self.dsn)) as connection, connection, connection.cursor() as cursor:
            marks = ", ".join(["%s"] * len(rows[0]))
            cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    def context(self, as_of: datetime, *, full_refresh: bool = False) -> Context:
        run_id = f"{as_of:%Y%m%dt%H%M%S}-{next(self._numbers):04x}"  # by chance, one test in two would meet a twin
        body = yaml.safe_dump(self.file, sort_keys=False).encode()
        run = RunRecord(
            run_id=run_id,
            pipeline="events",
            as_of=as_of,
            created_at=as_of,
            created_by="tests",
            full_refresh=full_refresh,
            file=self.store.put(keys.pipeline_file(run_id), body),
            environment={"python": "3"},
        )
        folder = self.folder / run_id
        folder.mkdir()
        return Context(
            store=self.store,
            pipeline=self.pipeline,
            run=run,
            step="extract",
            attempt=secrets.token_hex(4),
            number=1,
            folder=folder,
            started_at=as_of,
            report=self.progress.append,
        )

    def extract(self, as_of: datetime, *, full_refresh: bool = False, settles: bool = True) -> ExtractManifest:
        """One extract; its manifest stands, and the snapshot has moved."""
        manifest = extract(self.context(as_of, full_refresh=full_refresh))
        self.store.create(keys.manifest(manifest.run_id, "extract"), manifest.to_json())
        if settles:
            settle(self.store, manifest)
        return manifest

    def reader(self, manifest: ExtractManifest, as_of: datetime) -> SnapshotReader:
        assert manifest.snapshot is not None
        return SnapshotReader(manifest.snapshot, self.pipeline, as_of, self.context(as_of).fetch)

    def rows(self, manifest: ExtractManifest, as_of: datetime, *columns: str) -> list[tuple[Any, ...]]:
        """What stands in the window, unlabelled rows included."""
        found: list[tuple[Any, ...]] = []
        for batch in self.reader(manifest, as_of).rows(columns, "window", labelled=False):
            found += zip(*(column.to_pylist() for column in batch.table.columns), strict=True)
        return found


@pytest.fixture
def bench(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A table events (id, at, y, x) and a pipeline that reads all of it."""
    monkeypatch.setenv("REFIT_SOURCE_DSN", database)
    execute(database, "CREATE TABLE events (id bigint, at timestamptz, y boolean, x double precision)")
    store = open_store(file_url(tmp_path / "store")).under("events/")
    file = {
        "apiVersion": "refit/v1",
        "name": "events",
        "source": {"query": "SELECT * FROM events", "key": ["id"], "cursor": "at"},
        "target": "y",
        "task": "binary",
        "model": {"estimator": "sklearn.linear_model.LogisticRegression"},
    }
    folder = tmp_path / "work"
    folder.mkdir()
    return Bench(database, store, folder, file)

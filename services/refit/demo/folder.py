"""What the demo keeps, and where.

DIR/.refit/
    store/                    the object store, which `refit status` and its like find by themselves
    demo/
        flight-delays.yaml    the pipeline's file, to be played with
        next-week.csv         flights that land in the week after the last run, without their labels
        dsn                   while `refit demo --database` runs: the connection string; mode 0600
        cluster.json, …       the database: see cluster.py
"""

import os
import shutil
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Final

import psycopg2

from refit.core.addresses import file_url
from refit.core.effects import effect
from refit.demo.weeks import STEP

PIPELINE: Final = "flight-delays"
NEXT_WEEK: Final = """
COPY (
  SELECT flight_id, landed_at, carrier, origin, dest, distance, dep_hour, temp, wind_speed
  FROM flights WHERE landed_at > '{}' AND landed_at <= '{}' ORDER BY flight_id
) TO STDOUT (FORMAT csv, HEADER)
"""


@dataclass(frozen=True)
class Folder:
    """The demo's places below the folder that the user chose."""

    root: Path

    @property
    def kept(self) -> Path:
        return self.root / ".refit" / "demo"

    @property
    def store(self) -> Path:
        return self.root / ".refit" / "store"

    @property
    def store_url(self) -> str:
        return file_url(self.store.absolute())

    @property
    def file(self) -> Path:
        return self.kept / f"{PIPELINE}.yaml"

    @property
    def rows(self) -> Path:
        return self.kept / "next-week.csv"

    @property
    def dsn(self) -> Path:
        return self.kept / "dsn"

    def set_up(self, *, fresh: bool) -> None:
        """The pipeline's file stands; with `fresh` as refit ships it, and the pipeline's runs are gone.

        The database stays: its flights are the same.
        """
        self.kept.mkdir(parents=True, exist_ok=True)
        if fresh:
            with effect("delete the demo's runs"), suppress(FileNotFoundError):
                shutil.rmtree(self.store / PIPELINE)
        if fresh or not self.file.exists():
            self.file.write_bytes(resources.files("refit.demo").joinpath(f"{PIPELINE}.yaml").read_bytes())

    def write_dsn(self, dsn: str) -> None:
        """The connection string stands where only this user can read it."""
        self.dsn.unlink(missing_ok=True)
        with os.fdopen(os.open(self.dsn, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(dsn)

    def write_next_week(self, dsn: str, after: datetime) -> None:
        """The flights of the week after `after` stand as CSV, as `refit predict` takes them."""
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor, self.rows.open("w") as file:
            cursor.copy_expert(NEXT_WEEK.format(after.isoformat(), (after + STEP).isoformat()), file)

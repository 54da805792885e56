"""A test's own copy of a world with a champion, runs in it, and what must hold after a run that a fault has met."""

import shutil
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import psycopg2
import yaml

from refit.core import artifacts, hand, keys, registry
from refit.core.addresses import file_url
from refit.core.config import parse_pipeline
from refit.core.context import AnyManifest, read_manifest
from refit.core.domain import EvaluateManifest, ExtractManifest, Move, Outcome, StepName, TrainManifest
from refit.core.probe import Probed
from refit.core.runs import recorded_runs, run_ids
from refit.core.store import ObjectStore, open_store
from refit.data.reader import Side, SnapshotReader
from refit.run.rerun import Rerun
from tests.fixtures import commands, invariants, loans
from tests.fixtures.commands import Calling, Command
from tests.fixtures.forked import Done, Job, Started, start
from tests.fixtures.postgres import execute

FIRST, SECOND, THIRD = 42, 63, 70
"""Days of the loans' table at which runs have their now; the champion that cases begin with is of FIRST."""


@dataclass
class Case:
    """One pipeline on a database and a store of its own.

    Attributes:
        scratch: A folder for what the test itself writes.
        settings: Environment variables of all runs.
        harmed: Keys of artifacts that the test itself has broken; all others must be whole.
    """

    dsn: str
    url: str
    scratch: Path
    settings: dict[str, str] = field(default_factory=dict)
    harmed: set[str] = field(default_factory=set)
    _runs: int = 0

    def start(self, days: float | None = SECOND, file: bytes = loans.FILE, **how: Any) -> Started:
        """A run as of so many days goes on; `how` are further fields of the Job."""
        self._runs += 1
        self._passed.touch()
        as_of = loans.at(days) if days is not None else None
        return start(Job(**{"dsn": self.dsn, "settings": self.settings} | how, **self._place(file, as_of)))

    def _place(self, file: bytes, as_of: datetime | None) -> dict[str, Any]:
        return {"store_url": self.url, "file": file, "as_of": as_of, "passed": self._passed}

    def run(self, days: float | None = SECOND, file: bytes = loans.FILE, **how: Any) -> Done:
        """A run as of so many days has ended."""
        return self.start(days, file, **how).done()

    def calls(self, *words: str, **how: Any) -> Calling:
        """A command goes on, on this store; `how` are further fields of the Command."""
        self._runs += 1
        self._passed.touch()
        settings = {"REFIT_SOURCE_DSN": self.dsn}
        fields = {"dsn": self.dsn, "settings": settings} | how
        return commands.start(Command((*words, "--store", self.url), self._passed, **fields))

    def refused(self, code: int, kind: str, *words: str, **how: Any) -> Done:
        """A run has failed as told, said why in these words, and left production as it was.

        Args:
            kind: Class and type of the error, e.g. `data ColumnGone`.
        """
        before = self.champion_body
        done = self.run(**how)
        failed_as(done, code, kind, *words)
        assert self.champion_body == before
        if done.outcome is not None:
            assert (done.outcome.outcome, done.outcome.exit_code) == ("failed", code)
            assert done.outcome.version is None
        invariants.check(self.store, self.harmed)
        return done

    def start_again(
        self, run_id: str | None = None, start: StepName | None = None, file: bytes | None = None, **how: Any
    ) -> Started:
        """A rerun goes on."""
        return self.start(again=Rerun("loans", run_id, start, file), **how)

    def again(
        self, run_id: str | None = None, start: StepName | None = None, file: bytes | None = None, **how: Any
    ) -> Done:
        """A rerun has ended, and all of the store is whole."""
        done = self.start_again(run_id, start, file, **how).done()
        invariants.check(self.store, self.harmed)
        return done

    def good(self, expected: str = "promoted", **how: Any) -> Outcome:
        """A run has ended well, and all of the store is whole."""
        done = self.run(**how)
        assert done.code == 0, done
        assert done.outcome is not None
        assert done.outcome.outcome == expected, done.outcome
        invariants.check(self.store, self.harmed)
        return done.outcome

    def awaits(self, *words: str, **how: Any) -> Outcome:
        """A run has made a version that waits for a person, for a reason in these words; the champion stays."""
        before = self.champion_body
        outcome = self.good("awaiting_approval", **how)
        assert outcome.verdict is not None
        assert outcome.version == outcome.run_id
        for word in words:
            assert word in (outcome.verdict.needs_approval or ""), outcome.verdict
        assert self.champion_body == before
        return outcome

    def copied(self, name: str = "copied") -> "Case":
        """The same database, with a copy of the store as it stands."""
        scratch = self.scratch / name
        shutil.copytree(self.folder, scratch / "store" / "loans")
        trust(file_url(scratch / "store"))
        return Case(self.dsn, file_url(scratch / "store"), scratch, dict(self.settings))

    def promote(self, version: str | None) -> Move:
        """A person has promoted the version."""
        assert version is not None
        return hand.promote(self.store, version, who="a person", why="looked at it", now=datetime.now(UTC))

    def sql(self, *statements: str) -> None:
        execute(self.dsn, *statements)

    def sees(self, word: str) -> bool:
        """Whether the database runs a statement with this word now, other than this one."""
        with closing(psycopg2.connect(self.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
                " AND datname = current_database() AND query LIKE %s",
                (f"%{word}%",),
            )
            return cursor.fetchone() is not None

    def extract_of(self, outcome: Outcome) -> ExtractManifest:
        return self._manifest_of(outcome, "extract", ExtractManifest)

    def train_of(self, outcome: Outcome) -> TrainManifest:
        return self._manifest_of(outcome, "train", TrainManifest)

    def evaluate_of(self, outcome: Outcome) -> EvaluateManifest:
        return self._manifest_of(outcome, "evaluate", EvaluateManifest)

    def _manifest_of(self, outcome: Outcome, step: StepName, kind: type[AnyManifest]) -> AnyManifest:
        assert outcome.run_id is not None
        found = read_manifest(self.store, outcome.run_id, step, kind)
        assert found is not None
        return found

    def rows(
        self, outcome: Outcome, *columns: str, file: bytes = loans.FILE, side: Side = "window"
    ) -> list[tuple[Any, ...]]:
        """What stands in the window of a run, or on a side of it, unlabelled rows included."""
        snapshot = self.extract_of(outcome).snapshot
        assert snapshot is not None
        assert outcome.as_of is not None
        fetch = partial(artifacts.fetch, self.store, folder=self.scratch)
        reader = SnapshotReader(snapshot, parse_pipeline(file, "refit.yaml"), outcome.as_of, fetch)
        found: list[tuple[Any, ...]] = []
        for batch in reader.rows(columns, side, labelled=False):
            found += zip(*(column.to_pylist() for column in batch.table.columns), strict=True)
        return found

    @cached_property
    def store(self) -> ObjectStore:
        return open_store(self.url).under("loans/")

    @property
    def folder(self) -> Path:
        """Of the pipeline in a local store."""
        path = self.store.local_path("x")
        assert path is not None
        return path.parent

    @property
    def champion(self) -> Move:
        found = registry.read_champion(self.store)
        assert found is not None
        return found[0]

    @property
    def champion_body(self) -> bytes | None:
        key = keys.ref("champion")
        return self.store.get(key) if self.store.exists(key) else None

    @property
    def runs(self) -> list[str]:
        """All runs, the oldest first; ids alone do not tell the order of two that began in one second."""
        order = {run.run_id: -place for place, run in enumerate(recorded_runs(self.store))}
        return sorted(run_ids(self.store), key=lambda run_id: (run_id.partition("-")[0], order.get(run_id, 1)))

    @property
    def passed(self) -> list[str]:
        """The effects of the last run, each with its moment."""
        return self._passed.read_text().splitlines()

    @property
    def waits(self) -> Path:
        """A file that appears when another run is in the way of the last one."""
        return self._passed.with_suffix(".waits")

    @property
    def _passed(self) -> Path:
        return self.scratch / f"passed-{self._runs}"


def trust(url: str) -> None:
    """A store in a folder is known to honour conditions: the races that find out have tests of their own."""
    store = open_store(url)
    found = Probed(url=store.url, endpoint=store.endpoint, probed_at=datetime.now(UTC))
    store.put(f"{keys.PROBE}result.json", found.to_json())


def failed_as(done: Done, code: int, kind: str, *words: str) -> None:
    """The run, or the call that started none, failed as told and said why."""
    assert done.failure is not None, done
    assert f"{done.failure.error_class} {done.failure.type}" == kind, done.failure
    assert done.code == code
    told = f"{done.failure.message}\n{done.failure.next}"
    for word in words:
        assert word in told
    assert done.failure.next, "a failure says what to do next"


def edited(base: bytes = loans.FILE, **sections: Any) -> bytes:
    """The pipeline file with some sections changed: mappings key by key, all else as a whole; None takes one out."""
    document: dict[str, Any] = yaml.safe_load(base)
    for name, value in sections.items():
        if value is None:
            document.pop(name, None)
        elif isinstance(value, dict) and isinstance(document.get(name), dict):
            document[name] |= value
        else:
            document[name] = value
    return yaml.safe_dump(document, sort_keys=False).encode()

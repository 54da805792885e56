"""Histories of runs, refreshes, exclusions, windows, rollbacks and promotions by hand, in any order.

Whatever came before, the rows that a run counts as clean are exactly the held-out ones that none of the compared models
was trained on. What these were trained on is read from the Parquet files that their snapshots name, by the rules in
words; the champion, its anchor and which of a version's models is in production are what the registry made of it.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline

from refit.core import environment, exclusions, hand, keys, registry
from refit.core.config import Pipeline, parse_pipeline
from refit.core.context import Context
from refit.core.domain import (
    Batch,
    Column,
    Exclusion,
    ExtractManifest,
    FitOn,
    Move,
    Refit,
    Snapshot,
    StepName,
    VerdictRef,
)
from refit.core.errors import ConfigError
from refit.core.refs import read_ref
from refit.core.store import open_store
from refit.data import split
from refit.data.hashing import hash_rows
from refit.data.reader import SnapshotReader
from refit.evaluate.contender import Contender, Trained, clean_rows, the_candidate
from refit.evaluate.hearing import find_opponents
from refit.evaluate.version import stored_version
from refit.ml.persist import dump
from refit.publish.step import publish
from tests.fixtures.records import (
    evaluate_manifest,
    extract_manifest,
    put_manifest,
    run_record,
    train_manifest,
    verdict,
)
from tests.fixtures.shelf import EPOCH, SCHEMA, Shelf, at

HOUR = timedelta(hours=1)
OVERLAP = 2
MODEL = dump(make_pipeline(DummyClassifier()).fit(pd.DataFrame({"value": [0.0, 1.0]}), np.array([False, True])))
COLUMNS = tuple(Column(name=one.name, database_type=str(one.type), type=str(one.type)) for one in SCHEMA)
STORED = environment.versions()

SPLITS: list[dict[str, Any]] = [
    {"holdout": "6h"},
    {"holdout": "9h", "by": ["value"]},
    {"kind": "hash", "holdout": 0.4},
    {"kind": "hash", "holdout": 0.4, "by": ["value"], "salt": "pepper"},
]
WINDOWS: list[dict[str, Any]] = [{"kind": "expanding"}, {"kind": "rolling", "length": "14h"}]
CHANGES = st.lists(
    st.tuples(st.integers(0, 25), st.integers(0, 9), st.sampled_from([True, False, None]), st.integers(0, 9)),
    min_size=6,
    max_size=16,
)
seen_in_all: Counter[str] = Counter()
"""What the histories came by; a property of nothing is none."""


@dataclass(frozen=True)
class Row:
    """A row as it stands in a part; `order` counts over all parts of a snapshot."""

    id: int
    hour: float
    label: bool | None
    value: int
    order: int


@dataclass(frozen=True)
class Model:
    """What a run saw, and which of its rows its model was fitted on."""

    batches: tuple[Batch, ...]
    as_of: int
    pipeline: Pipeline
    excluded: tuple[Exclusion, ...]

    def standing(self, folder: Path) -> set[Row]:
        """The newest row of each key up to `as_of`, in the window, labelled, and not left out by hand."""
        newest: dict[int, Row] = {}
        for row in rows_of(self.batches, folder):
            old = newest.get(row.id)
            if row.hour <= self.as_of and (old is None or (row.hour, row.order) >= (old.hour, old.order)):
                newest[row.id] = row
        length = self.pipeline.window.length
        start = self.as_of - length / HOUR if length else -1.0
        return {
            row
            for row in newest.values()
            if row.hour > start and row.label is not None and not any(leaves_out(one, row) for one in self.excluded)
        }

    def fitted_on(self, folder: Path, fit_on: FitOn) -> set[Row]:
        return {row for row in self.standing(folder) if fit_on == "all" or not self.holds_out(row)}

    def held_out(self, folder: Path) -> set[Row]:
        """A time split leaves out keys that were first seen up to the cut."""
        cut = self.cut
        old = {row.id for row in rows_of(self.batches, folder) if cut is not None and row.hour <= cut}
        return {row for row in self.standing(folder) if self.holds_out(row) and row.id not in old}

    @property
    def cut(self) -> float | None:
        holdout = self.pipeline.split.holdout
        return self.as_of - holdout / HOUR if isinstance(holdout, timedelta) else None

    def holds_out(self, row: Row) -> bool:
        if self.cut is not None:
            return row.hour > self.cut
        names, salt = split.entity(self.pipeline)
        value = row.value if names == ("value",) else row.id
        fraction = split.hash_fraction(self.pipeline)
        assert fraction is not None
        return bool(split.is_held_out(hash_rows([pa.array([value], pa.int64())], salt), fraction)[0])


def rows_of(batches: Iterable[Batch], folder: Path) -> Iterator[Row]:
    order = 0
    for part in (part for batch in batches for part in batch.parts):
        for row in pq.read_table(folder / part.artifact.key).to_pylist():
            yield Row(row["id"], (row["at"] - EPOCH) / HOUR, row["y"], row["value"], order)
            order += 1


def leaves_out(exclusion: Exclusion, row: Row) -> bool:
    low, high = (datetime.fromisoformat(text) for text in exclusion.where.split("'")[1::2])
    return low <= at(row.hour) <= high


@dataclass(frozen=True)
class Week:
    """What happens between two runs, and the run that follows.

    Attributes:
        changes: Key, hours ago, label and owner of rows that come or change in the source.
        gone: A key that goes from it.
        by_hand: What a person does, with a number that chooses what it is done to.
        held, window, fit_on: What the file says.
        refresh: Whether the window is read afresh.
        accepted, falls_back: What the run comes to.
    """

    changes: list[tuple[int, int, bool | None, int]]
    gone: int
    by_hand: tuple[str, int]
    hours: int
    held: dict[str, Any]
    window: dict[str, Any]
    fit_on: FitOn
    refresh: bool
    accepted: bool
    falls_back: bool


WEEKS = st.builds(
    Week,
    changes=CHANGES,
    gone=st.integers(0, 60),
    by_hand=st.tuples(
        st.sampled_from(["promote", "exclude", "roll back", "promote evaluated", "release", "undo", "nothing"]),
        st.integers(0, 40),
    ),
    hours=st.integers(1, 8),
    held=st.sampled_from(SPLITS),
    window=st.sampled_from(WINDOWS),
    fit_on=st.sampled_from(["all", "evaluated", "all"]),
    refresh=st.sampled_from([False, False, True]),
    accepted=st.sampled_from([True, False]),
    falls_back=st.sampled_from([True, True, False]),
)


class History:
    """A source, a store, and all that people and runs do to them."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "loans"
        self.folder.mkdir()
        self.store = open_store(f"file://{root}").under("loans/")
        self.model = self.store.put("model", MODEL)
        self.source: dict[int, tuple[int, bool | None, int]] = {}
        self.now, self.watermark, self.lineages = 12, 0, 0
        self.shelf = Shelf(self.folder)
        self.window_start: int | None = None
        self.models: dict[str, Model] = {}

    def pass_by(self, week: Week) -> None:
        self.now += week.hours
        for key, ago, label, value in week.changes:
            self.source[key] = (max(0, self.now - ago), label, value)
        self.source.pop(week.gone, None)
        with suppress(ConfigError):  # what cannot be done is refused, and nothing happens
            self.a_person_does(*week.by_hand)
            seen_in_all[week.by_hand[0]] += 1
        self.a_run(week)

    def a_person_does(self, what: str, number: int) -> None:
        match what:
            case "exclude":
                low, high = at(self.now - number % 13), at(self.now - number % 13 + number % 4)
                where = f"at between '{low.isoformat()}' and '{high.isoformat()}'"
                exclusions.exclude(self.store, where, who="me", why="x", now=EPOCH)
            case "undo":
                exclusions.undo(self.store, None, who="me", why="x", now=EPOCH)
            case "promote" | "promote evaluated":
                version = sorted(self.models)[number % len(self.models)] if self.models else "none"
                fit_on: FitOn | None = "evaluated" if "evaluated" in what else None
                hand.promote(self.store, version, who="me", why="x", now=EPOCH, fit_on=fit_on)
            case "roll back":
                hand.rollback(self.store, None, who="me", why="x", now=EPOCH)
            case "release":
                hand.release(self.store, who="me", why="x", now=EPOCH)

    # --- a run ---

    def a_run(self, week: Week) -> None:
        file = file_of(week.held, week.window, week.fit_on)
        run_id = f"20260101t{len(self.models):06d}-aaaa"
        context = self.extracted(run_id, file, week.refresh)
        extract = context.manifest_of("extract", ExtractManifest)
        assert extract.snapshot is not None
        now = Model(extract.snapshot.batches, self.now, context.pipeline, extract.snapshot.exclusions)
        put_manifest(self.store, self.train(run_id))
        self.judge(context, extract.snapshot, now, self.champion)
        self.models[run_id] = now
        self.publish(context, accepted=week.accepted, falls_back=week.falls_back)
        moves = registry.read_history(self.store)
        assert [move.generation for move in moves] == list(range(1, len(moves) + 1))

    def extracted(self, run_id: str, file: bytes, refresh: bool) -> Context:
        """What extract leaves: on from the watermark with its overlap, or the whole window afresh."""
        run = run_record(run_id, as_of=at(self.now), created_at=at(self.now), file=self.store.put(f"f/{run_id}", file))
        self.store.create(keys.run_record(run_id), run.to_json())
        pipeline = parse_pipeline(file, "refit.yaml")
        length = pipeline.window.length
        start = self.now - int(length / HOUR) if length else None
        longer = self.window_start is not None and (start is None or start < self.window_start)
        if refresh or longer or not self.shelf.batches:
            self.lineages += 1
            self.shelf, self.window_start = Shelf(self.folder, prefix=f"l{self.lineages}-run"), start
            after = start if start is not None else -1
            seen_in_all["refresh"] += 1
        else:
            after = max(self.watermark - OVERLAP, start if start is not None else -1)
        found = [(key, at(hour), y, v) for key, (hour, y, v) in self.source.items() if after < hour <= self.now]
        if found:
            self.shelf.add(found, at(start) if start is not None else None)
        self.watermark = self.now
        snapshot = Snapshot(
            batches=tuple(self.shelf.batches),
            source_digest="d",
            refreshed_at=EPOCH,
            columns=COLUMNS,
            exclusions=exclusions.standing(self.store),
        )
        put_manifest(self.store, extract_manifest(run_id, snapshot=snapshot))
        return self.context(run_id, pipeline, "evaluate")

    def judge(self, context: Context, snapshot: Snapshot, now: Model, move: Move | None) -> None:
        """The clean rows of the comparison, and those on which a refit meets its twin."""
        reader = SnapshotReader(snapshot, context.pipeline, context.run.as_of, context.fetch)
        candidate = the_candidate(context, reader, self.train(context.run.run_id))
        opponents = find_opponents(context, move)
        assert opponents.unusable is None
        compared: list[tuple[Contender, set[Row]]] = [(candidate, now.fitted_on(self.folder, "evaluated"))]
        if move is not None:
            fit_on: FitOn = "evaluated" if context.pipeline.publish.fit_on == "all" else move.fit_on
            assert opponents.champion is not None
            assert opponents.champion.name == move.version
            compared.append((opponents.champion, self.models[move.version].fitted_on(self.folder, fit_on)))
            seen_in_all[f"champion {fit_on}"] += 1
        if opponents.anchor is not None:
            compared.append((opponents.anchor, self.models[opponents.anchor.name].fitted_on(self.folder, "evaluated")))
            seen_in_all["anchor"] += 1
        self.check(reader, compared, now.held_out(self.folder), None)
        if move is not None and move.fit_on == "all":
            of = self.models[move.version]
            sides: tuple[FitOn, ...] = ("all", "evaluated")
            twins = [(stored_version(context, move.version, one), of.fitted_on(self.folder, one)) for one in sides]
            until = max(twin.until for twin, _ in twins)
            newer = {row for row in now.standing(self.folder) if at(row.hour) > until}
            self.check(reader, twins, newer, until)

    def check(
        self,
        reader: SnapshotReader,
        compared: Sequence[tuple[Contender, set[Row]]],
        eligible: set[Row],
        newer_than: datetime | None,
    ) -> None:
        trained: list[Trained] = [known for contender, _ in compared for known in contender.seen]
        tables = clean_rows(reader, ["id", "value"], trained, newer_than)
        clean = sorted((row["id"], row["value"]) for table in tables for row in table.to_pylist())
        known = set().union(*(rows for _, rows in compared))
        ids, values = {row.id for row in known}, {row.value for row in known}
        by_value = split.entities(reader.pipeline) is not None
        unknown = {row for row in eligible if row.id not in ids and not (by_value and row.value in values)}
        assert clean == sorted((row.id, row.value) for row in unknown)
        seen_in_all["clean rows"] += len(clean)
        seen_in_all["held out and known"] += len(eligible) - len(clean)

    def publish(self, context: Context, *, accepted: bool, falls_back: bool) -> None:
        """The registry moves as publish makes it move."""
        run_id, move = context.run.run_id, self.champion
        last = read_ref(self.store, "verdict", VerdictRef)
        on_all = accepted and context.pipeline.publish.fit_on == "all"
        twins = verdict("rejected").checks[0] if falls_back and move is not None and move.fit_on == "all" else None
        evaluate = evaluate_manifest(
            run_id,
            champion_generation=move.generation if move else 0,
            verdict_generation=last[0].generation if last else 0,
            verdict=verdict("accepted" if accepted else "rejected"),
            anchor=run_id if move is None or len(self.models) % 2 else move.anchor,
            refit=self.refit() if on_all else None,
            twins=twins,
        )
        put_manifest(self.store, evaluate)
        done = publish(self.context(run_id, context.pipeline, "publish"))
        seen_in_all[done.outcome] += 1
        seen_in_all["fallback"] += done.fell_back

    # --- stored things ---

    def train(self, run_id: str) -> Any:
        return train_manifest(
            run_id,
            model=self.model,
            columns=("value",),
            classes=(False, True),
            target="y",
            environment=STORED,
            trained_until=at(self.now),
        )

    def refit(self) -> Refit:
        return Refit(
            model=self.model,
            rows=1,
            rows_there=1,
            trained_from=EPOCH,
            trained_until=at(self.now),
            score="neg_log_loss",
            value=0.0,
            predictions=self.store.put("said", b""),
        )

    def context(self, run_id: str, pipeline: Pipeline, step: StepName) -> Context:
        run = run_record(run_id, as_of=at(self.now), created_at=at(self.now))
        return Context(self.store, pipeline, run, step, "t", 1, self.root, EPOCH, lambda text: None)

    @property
    def champion(self) -> Move | None:
        found = registry.read_champion(self.store)
        return found[0] if found else None


def file_of(held: dict[str, Any], window: dict[str, Any], fit_on: FitOn) -> bytes:
    return yaml.safe_dump(
        {
            "apiVersion": "refit/v1",
            "name": "loans",
            "source": {"query": "SELECT 1", "key": ["id"], "cursor": "at"},
            "target": "y",
            "task": "binary",
            "model": {"estimator": "sklearn.dummy.DummyClassifier"},
            "split": held,
            "window": window,
            "publish": {"fit_on": fit_on},
        }
    ).encode()


@given(weeks=st.lists(WEEKS, min_size=5, max_size=8))
@settings(max_examples=25, derandomize=True, phases=[Phase.generate])  # to shrink one takes minutes
def over_any_history(weeks: list[Week]) -> None:
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        history = History(Path(folder))
        for week in weeks:
            history.pass_by(week)


def test_over_any_history_clean_rows_are_those_that_no_compared_model_was_trained_on() -> None:
    seen_in_all.clear()
    over_any_history()
    rare = ("exclude", "refresh", "promote", "promote evaluated", "roll back", "fallback", "anchor")
    for what in (*rare, "champion evaluated", "champion all"):
        assert seen_in_all[what] >= 2, seen_in_all
    assert seen_in_all["clean rows"] > 100, seen_in_all
    assert seen_in_all["held out and known"] > 100, seen_in_all

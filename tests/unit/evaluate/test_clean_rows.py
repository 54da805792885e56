"""Over random histories no clean row was in a model's training rows, checked against the rows as they were written."""

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from refit.core.config import Pipeline
from refit.data import split
from refit.data.clean import trained_on
from refit.data.hashing import hash_rows
from refit.data.reader import SnapshotReader
from refit.evaluate.contender import Trained, clean_rows
from tests.fixtures.shelf import EPOCH, Shelf, at, pipeline


@dataclass(frozen=True)
class Row:
    """One row as it was written; `order` counts over all extracts."""

    key: int
    hour: int
    label: bool | None
    owner: int
    order: int


@dataclass(frozen=True)
class Model:
    """What one run saw: of the first `extracts`, as of an hour, by its file, without the hours excluded.

    Attributes:
        on_all: It was fitted on all rows, held-out ones included.
    """

    extracts: int
    as_of: int
    file: dict[str, Any]
    excluded: tuple[int, int] | None
    on_all: bool = False

    @property
    def pipeline(self) -> Pipeline:
        return pipeline(**self.file)

    def reader(self, shelf: Shelf) -> SnapshotReader:
        start, end = (at(hour).isoformat() for hour in self.excluded or (0, 0))
        shelf.exclusions = [f"at between '{start}' and '{end}'"] if self.excluded else []
        whole = shelf.snapshot()
        snapshot = whole.model_copy(update={"batches": whole.batches[: self.extracts]})
        return SnapshotReader(snapshot, self.pipeline, at(self.as_of), shelf.fetch)

    def trained(self, rows: list[Row], cut: Any) -> set[Row]:
        """Its training rows by the rules in words, row by row."""
        length = self.pipeline.window.length
        start = self.as_of - length / timedelta(hours=1) if length else -1.0
        newest: dict[int, Row] = {}
        for row in rows:
            old = newest.get(row.key)
            if row.hour <= self.as_of and (old is None or (row.hour, row.order) >= (old.hour, old.order)):
                newest[row.key] = row
        low, high = self.excluded or (99, -1)
        kept = {row for row in newest.values() if row.hour > start and not low <= row.hour <= high}
        return {row for row in kept if row.label is not None and (self.on_all or not self.holds_out(row, cut))}

    def holds_out(self, row: Row, cut: Any) -> bool:
        fraction = split.hash_fraction(self.pipeline)
        if fraction is None:
            return bool(at(row.hour) > cut)
        names, salt = split.entity(self.pipeline)
        value = row.owner if names == ("value",) else row.key
        return bool(split.is_held_out(hash_rows([pa.array([value], pa.int64())], salt), fraction)[0])


ROWS = st.tuples(st.integers(0, 30), st.integers(0, 24), st.sampled_from([True, False, None]), st.integers(0, 15))
SPLITS = st.sampled_from(
    [
        {"holdout": "6h"},
        {"holdout": "9h", "by": ["value"]},
        {"kind": "hash", "holdout": 0.4},
        {"kind": "hash", "holdout": 0.4, "by": ["value"], "salt": "pepper"},
    ]
)
WINDOWS = st.sampled_from([{"kind": "expanding"}, {"kind": "rolling", "length": "14h"}])
FILES = st.fixed_dictionaries({"split": SPLITS, "window": WINDOWS})
EXCLUDED = st.none() | st.tuples(st.integers(0, 20), st.integers(0, 4)).map(lambda two: (two[0], sum(two)))


@given(
    extracts=st.lists(st.lists(ROWS, min_size=1, max_size=12), min_size=2, max_size=4),
    files=st.tuples(FILES, FILES),
    excluded=st.tuples(EXCLUDED, EXCLUDED),
    hours=st.tuples(st.integers(8, 24), st.integers(8, 24)),
    on_all=st.booleans(),
)
@settings(max_examples=80)
def test_no_clean_row_was_trained_on_by_key_or_by_entity(
    extracts: list[list[tuple[Any, ...]]],
    files: tuple[Any, Any],
    excluded: tuple[Any, Any],
    hours: tuple[int, int],
    on_all: bool,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf, rows = Shelf(Path(folder)), list[Row]()
        written = []
        for extract in extracts:
            shelf.add([(key, at(hour), label, owner) for key, hour, label, owner in extract])
            rows += [Row(key, hour, label, owner, len(rows) + n) for n, (key, hour, label, owner) in enumerate(extract)]
            written.append(len(rows))
        champion = Model(len(extracts) - 1, hours[0], files[0], excluded[0], on_all)
        candidate = Model(len(extracts), hours[1], files[1], excluded[1])
        by = split.entities(candidate.pipeline)
        trained, seen = list[Trained](), set[Row]()
        for model in (champion, candidate):
            reader = model.reader(shelf)
            names = [("id",), *([by] if by else [])]
            found = trained_on(reader, *names, side="window" if model.on_all else "train")
            trained += [Trained(tuple(name), hashes) for name, hashes in zip(names, found, strict=True)]
            known = model.trained(rows[: written[model.extracts - 1]], reader.cut)
            assert len(trained[-len(names)].hashes) == len(known)
            seen |= known
        tables = clean_rows(candidate.reader(shelf), ["id", "value", "at"], trained)
        clean = [row for table in tables for row in table.to_pylist()]
        assert not {row["id"] for row in clean} & {row.key for row in seen}
        if by:
            assert not {row["value"] for row in clean} & {row.owner for row in seen}
        low, high = candidate.excluded or (99, -1)
        assert not any(low <= (row["at"] - EPOCH) / timedelta(hours=1) <= high for row in clean)

"""Reading a snapshot: columns, sides, spans, pruning and flat memory."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refit.core.domain import Artifact
from refit.data import parts
from refit.data.clean import trained_on
from refit.data.reader import NoSuchColumn
from refit.data.standing import INSTANT
from tests.fixtures.shelf import SCHEMA, Shelf, at, first_part, pipeline, values


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Two extracts, hours 0 to 9 and 10 to 19; row n has the key and value n, every fourth is unlabelled."""
    made = Shelf(tmp_path)
    for start in (0, 10):
        made.add([(n, at(n), None if n % 4 == 0 else n % 2 == 0, n) for n in range(start, start + 10)])
    return made


def test_columns_come_in_the_order_asked_for_with_the_run_that_read_them(shelf: Shelf) -> None:
    batches = list(shelf.reader(at(19), pipeline()).rows(["value", "at", "id"], "window"))
    assert [batch.run_id for batch in batches] == ["run0", "run1"]
    assert batches[0].table.schema == pa.schema([("value", pa.int64()), ("at", INSTANT), ("id", pa.int64())])
    assert batches[0].table.column("at")[0].as_py() == at(1)


def test_unlabelled_rows_are_left_out_unless_asked_for(shelf: Shelf) -> None:
    reader = shelf.reader(at(19), pipeline())
    assert values(reader, "window", labelled=True) == [n for n in range(20) if n % 4]
    assert values(reader, "window") == list(range(20))
    assert (reader.count("window"), reader.count("window", labelled=False)) == (15, 20)


def test_time_split_cuts_between_train_and_holdout(shelf: Shelf) -> None:
    reader = shelf.reader(at(19), pipeline(split={"holdout": "6h"}))
    assert reader.cut == at(13)
    assert (values(reader, "train"), values(reader, "holdout")) == (list(range(14)), list(range(14, 20)))
    assert (reader.count("train"), reader.count("holdout")) == (10, 5)


def test_fraction_of_an_expanding_window_counts_from_the_first_row(shelf: Shelf) -> None:
    assert shelf.reader(at(20), pipeline(split={"holdout": 0.25})).cut == at(15)


def test_lag_hides_young_rows(shelf: Shelf) -> None:
    source = {"query": "SELECT 1", "key": ["id"], "cursor": "at", "lag": "3h"}
    assert values(shelf.reader(at(19), pipeline(source=source)), "window") == list(range(17))


def test_rolling_window_starts_after_its_length(shelf: Shelf) -> None:
    reader = shelf.reader(at(19), pipeline(window={"kind": "rolling", "length": "12h"}))
    assert values(reader, "window") == list(range(8, 20))
    assert reader.count("window", labelled=False) == 12


def test_after_and_until_narrow_the_span(shelf: Shelf) -> None:
    reader = shelf.reader(at(19), pipeline())
    assert values(reader, "window", after=at(3), until=at(6)) == [4, 5, 6]
    assert values(reader, "window", after=at(-9), until=at(99)) == list(range(20))


def test_hash_split_keeps_an_entity_on_its_side_in_every_run(shelf: Shelf) -> None:
    hashed = pipeline(split={"kind": "hash", "holdout": 0.3})
    held = values(shelf.reader(at(19), hashed), "holdout")
    assert held == [4, 5, 9, 18]
    assert values(shelf.reader(at(9), hashed), "holdout") == [4, 5, 9]
    assert sorted(held + values(shelf.reader(at(19), hashed), "train")) == list(range(20))
    shelf.add([(n, at(n + 30), True, n + 100) for n in range(20)])
    assert values(shelf.reader(at(60), hashed), "holdout") == [n + 100 for n in held]


def test_hash_split_keeps_all_rows_of_an_entity_on_one_side(tmp_path: Path) -> None:
    made = Shelf(tmp_path)
    made.add([(n, at(n), True, n % 12 if n % 12 else None) for n in range(100)])  # NULL is an entity too
    by_value = pipeline(split={"kind": "hash", "by": ["value"], "holdout": 0.3})
    reader = made.reader(at(100), by_value)
    held, trained = (values(reader, side) for side in ("holdout", "train"))
    assert not set(held) & set(trained)
    assert len(held) + len(trained) == 100
    assert held
    assert None in {*held, *trained}
    other = pipeline(split={"kind": "hash", "by": ["value"], "holdout": 0.3, "salt": "pepper"})
    assert set(values(made.reader(at(100), other), "holdout")) != set(held)


@pytest.mark.parametrize(
    ("type_", "cursors"),
    [
        pytest.param(pa.date32(), [date(2020, 1, n) for n in (1, 2, 3, 4)], id="date"),
        pytest.param(pa.timestamp("us"), [datetime(2020, 1, n) for n in (1, 2, 3, 4)], id="timestamp"),  # noqa: DTZ001
        pytest.param(INSTANT, [at(24 * n) for n in range(4)], id="timestamptz"),
    ],
)
def test_cursor_is_an_instant_in_utc_whatever_its_type(
    tmp_path: Path, type_: pa.DataType, cursors: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "GROUP_ROWS", 1)
    made = Shelf(tmp_path, SCHEMA.set(1, pa.field("at", type_)))
    made.add([(n, cursor, True, n) for n, cursor in enumerate(cursors)])
    assert (first_part(made).cursor_min, first_part(made).cursor_max) == (at(0), at(72))
    reader = made.reader(at(60), pipeline(split={"holdout": "24h"}))
    found = [instant for batch in reader.rows(["at"], "train") for instant in batch.table.column("at")]
    assert [(instant.type, instant.as_py()) for instant in found] == [(INSTANT, at(0)), (INSTANT, at(24))]


def test_only_parts_and_row_groups_of_the_span_are_read(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    reader = shelf.reader(at(19), pipeline())

    def fetch(artifact: Artifact) -> Path:
        fetched.append(artifact.key)
        return shelf.fetch(artifact)

    object.__setattr__(reader, "fetch", fetch)
    assert values(reader, "window", after=at(9)) == list(range(10, 20))
    assert fetched == ["run1-part-00000.parquet"]
    assert reader.count("window") == 15 and len(fetched) == 1  # whole parts are counted without reading


def test_row_groups_outside_the_span_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "GROUP_ROWS", 7)
    made = Shelf(tmp_path)
    made.add([(n, at(n), True, n) for n in range(50)])
    read: list[list[int]] = []
    iter_batches = pq.ParquetFile.iter_batches

    def spy(self: Any, size: int, row_groups: list[int], **options: Any) -> Any:
        read.append(row_groups)
        return iter_batches(self, size, row_groups=row_groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    assert values(made.reader(at(50), pipeline()), "window", after=at(15), until=at(29)) == list(range(16, 30))
    assert read == [[2], [3], [4]]


EXCLUSIONS = ["value in (3, 15)", "at between '2020-01-01T06:00' and '2020-01-01T08:00'", "y is null and value > 17"]


@pytest.mark.parametrize("split", [{"holdout": "6h"}, {"kind": "hash", "holdout": 0.3}], ids=["time", "hash"])
def test_excluded_rows_are_on_no_side_and_in_no_count(shelf: Shelf, split: dict[str, Any]) -> None:
    whole, gone = shelf.reader(at(19), pipeline(split=split)), {3, 15, 6, 7, 8}
    before = {side: values(whole, side) for side in ("window", "train", "holdout")}
    shelf.exclusions = EXCLUSIONS
    reader = shelf.reader(at(19), pipeline(split=split))
    for side, found in before.items():
        assert values(reader, side) == [value for value in found if value not in gone]
    assert reader.count("window", labelled=False) == 15
    assert reader.count("window") == len([n for n in range(20) if n % 4 and n not in gone])
    (trained,) = trained_on(reader, ["id"])
    assert len(trained) == len([n for n in before["train"] if n % 4 and n not in gone])


def test_an_excluded_row_does_not_bring_back_the_one_that_it_replaced(tmp_path: Path) -> None:
    made = Shelf(tmp_path)
    made.add([(1, at(1), True, 0), (2, at(1), True, 1)])
    made.add([(1, at(5), True, 2)])
    made.exclusions = ["at = '2020-01-01T05:00'"]
    assert values(made.reader(at(9), pipeline()), "window") == [1]
    assert made.reader(at(9), pipeline()).count("window") == 1


def test_parts_that_an_exclusion_cannot_touch_are_counted_without_reading(shelf: Shelf) -> None:
    fetched: list[str] = []
    shelf.exclusions = ["at >= '2020-01-01T12:00' and value = 14"]
    reader = shelf.reader(at(19), pipeline())

    def fetch(artifact: Artifact) -> Path:
        fetched.append(artifact.key)
        return shelf.fetch(artifact)

    object.__setattr__(reader, "fetch", fetch)
    assert reader.count("window", labelled=False) == 19
    assert fetched == ["run1-part-00000.parquet"]


def test_unknown_column_is_named_with_what_there_is(shelf: Shelf) -> None:
    with pytest.raises(NoSuchColumn, match="no column temp; it has id, at, y, value"):
        values(shelf.reader(at(19), pipeline(target="temp")), "train", labelled=True)


def test_empty_snapshot_has_no_rows(tmp_path: Path) -> None:
    reader = Shelf(tmp_path).reader(at(19), pipeline())
    assert values(reader, "window") == [] and reader.count("train") == 0

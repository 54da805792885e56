"""What is read: on from the watermark, or all afresh."""

from datetime import timedelta
from typing import Any

import pytest

from refit.core.config import source_digest
from refit.core.domain import Batch, Column, Decision, RunRecord, Snapshot, Stretch
from refit.extract.plan import Plan, plan
from refit.extract.query import Bounds
from tests.fixtures.records import run_record
from tests.fixtures.shelf import at, pipeline

COLUMNS = (
    Column(name="id", database_type="bigint", type="int64"),
    Column(name="at", database_type="date", type="date32"),
)
SOURCE = {"query": "SELECT 1", "key": ["id"], "cursor": "at"}
BATCH = Batch(run_id="r1", as_of=at(10), read=1, new=1)


def run(hours: float, **fields: Any) -> RunRecord:
    return run_record(as_of=at(hours), **fields)


def snapshot(**fields: Any) -> Snapshot:
    given: dict[str, Any] = {
        "batches": (BATCH,),
        "watermark": at(9),
        "source_digest": source_digest(pipeline()),
        "refreshed_at": at(10),
        "columns": COLUMNS,
    }
    return Snapshot(**given | fields)


def made(before: Snapshot | None, hours: float = 20, found: Any = COLUMNS, record: Any = None, **file: Any) -> Plan:
    return plan(pipeline(**file), run(hours, **(record or {})), before, found)


def test_the_first_extract_reads_the_whole_window_and_rows_without_cursor() -> None:
    found = made(None)
    assert found.fresh and found.fresh_reason == "the first extract"
    assert found.bounds == Bounds(None, at(20), without_cursor=True) and found.older == ()
    rolling = made(None, window={"kind": "rolling", "length": "5h"})
    assert rolling.bounds == Bounds(at(15), at(20), without_cursor=True) and rolling.window_start == at(15)


def test_a_snapshot_goes_on_from_its_watermark() -> None:
    found = made(snapshot())
    assert not found.fresh and found.bounds == Bounds(at(9), at(20)) and found.older == (BATCH,)
    assert found.refreshed_at == at(10)


def test_overlap_lag_and_window_move_the_bounds() -> None:
    assert made(snapshot(), source=SOURCE | {"overlap": "2h", "lag": "1h"}).bounds == Bounds(at(7), at(19))
    rolling = made(snapshot(), source=SOURCE | {"overlap": "8h"}, window={"kind": "rolling", "length": "15h"})
    assert rolling.bounds == Bounds(at(5), at(20)) and not rolling.fresh


@pytest.mark.parametrize("hours", [8, 9])
def test_a_run_as_of_before_the_watermark_reads_nothing(hours: int) -> None:
    found = made(snapshot(), hours)
    assert found.bounds is None and found.older == (BATCH,) and not found.fresh


def test_a_run_within_the_lag_of_the_watermark_reads_nothing() -> None:
    assert made(snapshot(), 9.5, source=SOURCE | {"lag": "1h"}).bounds is None


@pytest.mark.parametrize(
    ("before", "options", "reason"),
    [
        pytest.param({}, {"source": SOURCE | {"query": "SELECT 2"}}, "query, key, cursor or columns", id="query"),
        pytest.param({}, {"source": SOURCE | {"key": ["id", "x"]}}, "query, key, cursor or columns", id="key"),
        pytest.param({}, {"source": SOURCE | {"cursor": "x"}}, "query, key, cursor or columns", id="cursor"),
        pytest.param({}, {"columns": {"id": {"min": 1}}}, "query, key, cursor or columns", id="contract"),
        pytest.param({}, {"record": {"full_refresh": True}}, "--full-refresh", id="asked for"),
        pytest.param({"window_start": at(5)}, {}, "the window is longer", id="expanding now"),
        pytest.param(
            {"window_start": at(5)},
            {"window": {"kind": "rolling", "length": "16h"}},
            "the window is longer",
            id="longer",
        ),
        pytest.param({"refreshed_at": at(20) - timedelta(days=30)}, {}, "full_refresh is due", id="due"),
        pytest.param({"watermark": None}, {}, "the first extract", id="nothing read yet"),
        pytest.param({"columns": COLUMNS[:1]}, {}, "columns of the query's result changed", id="new column"),
    ],
)
def test_what_asks_for_a_fresh_start(before: dict[str, Any], options: dict[str, Any], reason: str) -> None:
    found = made(snapshot(**before), **options)
    assert reason in found.fresh_reason and found.older == () and found.bounds is not None
    assert found.bounds.without_cursor and found.refreshed_at == at(20)


@pytest.mark.parametrize(
    ("before", "options"),
    [
        pytest.param({}, {"target": "z"}, id="target"),
        pytest.param({}, {"source": SOURCE | {"lag": "1h", "min_new_rows": 9}}, id="lag"),
        pytest.param({"window_start": at(5)}, {"window": {"kind": "rolling", "length": "9h"}}, id="shorter window"),
        pytest.param({}, {"window": {"kind": "rolling", "length": "9h"}}, id="rolling now"),
        pytest.param(
            {"refreshed_at": at(0) - timedelta(days=99)}, {"source": SOURCE | {"full_refresh": "never"}}, id="never"
        ),
        pytest.param({"refreshed_at": at(0) - timedelta(days=99)}, {"hours": 9}, id="due, but as of the past"),
    ],
)
def test_what_does_not(before: dict[str, Any], options: dict[str, Any]) -> None:
    assert not made(snapshot(**before), **options).fresh


def release(run_id: str, *hours: tuple[float, float]) -> Decision:
    given = tuple(Stretch(start=at(start), end=at(end)) for start, end in hours)
    return Decision(run_id=run_id, action="release", rows=1, at=at(9), who="a person", why="mended", stretches=given)


def planned(before: Snapshot | None, *released: Decision, hours: float = 20, **file: Any) -> Plan:
    return plan(pipeline(**file), run(hours), before, COLUMNS, released)


def test_released_rows_are_read_again_within_the_window_and_once() -> None:
    asked = release("r0", (1, 3), (6, 7), (19, 30))
    found = planned(snapshot(), asked, window={"kind": "rolling", "length": "18h"}, source=SOURCE | {"lag": "1h"})
    assert found.bounds is not None
    just_after = at(2) + timedelta(microseconds=1)
    assert found.bounds.again == (
        Stretch(start=just_after, end=at(3)),
        Stretch(start=at(6), end=at(7)),
        Stretch(start=at(19), end=at(19)),
    )
    assert found.released == ("r0",)
    done = BATCH.model_copy(update={"released": ("r0",)})
    after = planned(snapshot(batches=(done,)), asked, release("r1", (4, 4)))
    assert after.bounds == Bounds(at(9), at(20), again=(Stretch(start=at(4), end=at(4)),))
    assert after.released == ("r1",)


def test_a_fresh_start_reads_released_rows_with_all_others() -> None:
    found = planned(None, release("r0", (1, 3)))
    assert found.bounds == Bounds(None, at(20), without_cursor=True)
    assert found.released == ("r0",)


def test_changes_of_columns_are_named() -> None:
    now = (
        COLUMNS[0].model_copy(update={"database_type": "text"}),
        Column(name="b", database_type="real", type="double"),
    )
    assert made(snapshot(), found=now).warnings[:3] == (
        'column "b" is new in the query\'s result (real)',
        'column "at" is gone from the query\'s result',
        'column "id" was bigint and is now text',
    )


@pytest.mark.parametrize(("delay", "warned"), [({}, True), ({"lag": "1d"}, False), ({"overlap": "2d"}, False)])
def test_a_date_as_cursor_without_lag_or_overlap_is_warned_of(delay: dict[str, str], warned: bool) -> None:
    found = made(None, source=SOURCE | delay).warnings
    assert ("set source.lag or source.overlap to 1d" in " ".join(found)) is warned

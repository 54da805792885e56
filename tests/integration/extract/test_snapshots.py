"""Snapshots over several extracts: what is read, what stands, what counts as new, where the refs go."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refit.core import keys
from refit.core.domain import ExtractManifest, SnapshotRef, VerdictRef
from refit.core.environment import digest
from refit.core.refs import move_ref, new_token, read_ref
from refit.core.store import open_store
from refit.extract.step import EmptySource, SnapshotGone, settle
from refit.extract.volume import LowVolume
from tests.integration.extract.conftest import Bench, day


def snapshot_ref(bench: Bench) -> SnapshotRef | None:
    found = read_ref(bench.store, "snapshot", SnapshotRef)
    return found[0] if found else None


def judge(bench: Bench, manifest: ExtractManifest, as_of: datetime, **fields: Any) -> None:
    """A verdict on this run stands, as publish would write it."""
    run = bench.context(as_of).run
    given: dict[str, Any] = {
        "token": new_token(),
        "generation": 1,
        "run_id": manifest.run_id,
        "as_of": as_of,
        "snapshot_run_id": manifest.run_id,
        "file_sha256": run.file.sha256,
        "environment_digest": digest(run.environment),
        "decided_at": as_of,
        "confirmed_at": None,
        "look_as_of": None,
    }
    found = read_ref(bench.store, "verdict", VerdictRef)
    move_ref(bench.store, "verdict", VerdictRef(**given | fields), found[1] if found else None)


def test_first_extract_reads_all_up_to_as_of(bench: Bench) -> None:
    bench.insert([(1, day(1), True, 1.0), (2, day(2), None, 2.0), (3, day(9), False, 3.0)])
    manifest = bench.extract(day(5))
    assert manifest.fresh
    assert (manifest.rows.read, manifest.rows.new, manifest.rows.snapshot, manifest.rows.unlabelled) == (2, 2, 2, 1)
    assert manifest.snapshot is not None and manifest.snapshot.watermark == day(2)
    assert bench.rows(manifest, day(5), "id", "at") == [(1, day(1)), (2, day(2))]
    ref = snapshot_ref(bench)
    assert ref is not None and (ref.run_id, ref.generation, ref.watermark) == (manifest.run_id, 1, day(2))
    assert bench.progress == [
        "asks for new rows",
        "2 rows read, which are looked for among older ones",
        "2 new rows, 2 in the window",
    ]


def test_later_extracts_read_on_from_the_watermark(bench: Bench) -> None:
    bench.insert([(1, day(1), True, 1.0)])
    bench.extract(day(1))
    bench.insert([(2, day(1), True, 2.0), (3, day(2), True, 3.0)])
    manifest = bench.extract(day(3))
    assert not manifest.fresh and manifest.rows.read == 1  # row 2 has the watermark's cursor and came late: no overlap
    assert bench.rows(manifest, day(3), "id") == [(1,), (3,)]
    assert [batch.read for batch in manifest.snapshot.batches] == [1, 1] if manifest.snapshot else False


def test_overlap_finds_late_rows_and_does_not_count_what_it_reads_again(bench: Bench) -> None:
    bench.file["source"]["overlap"] = "2d"
    bench.insert([(1, day(1), True, 1.0), (2, day(4), True, 2.0)])
    bench.extract(day(4))
    bench.insert([(3, day(3), True, 3.0), (4, day(5), True, 4.0)])
    bench.execute("UPDATE events SET x = 20 WHERE id = 2")  # a correction that does not move the cursor
    manifest = bench.extract(day(5))
    assert (manifest.rows.read, manifest.rows.new, manifest.replaced) == (3, 2, 1)
    assert sorted(bench.rows(manifest, day(5), "id", "x")) == [(1, 1.0), (2, 20.0), (3, 3.0), (4, 4.0)]


def test_updated_rows_replace_their_older_versions(bench: Bench) -> None:
    bench.insert([(1, day(1), None, 1.0), (2, day(1), True, 2.0)])
    bench.extract(day(2))
    bench.execute("UPDATE events SET y = true, at = '2020-01-04 00:00+00' WHERE id = 1")
    manifest = bench.extract(day(5))
    assert (manifest.rows.new, manifest.replaced, manifest.rows.unlabelled, manifest.rows.snapshot) == (1, 1, 0, 2)
    assert sorted(bench.rows(manifest, day(5), "id", "y")) == [(1, True), (2, True)]


def test_doubles_are_counted_and_the_newest_cursor_wins(bench: Bench) -> None:
    bench.insert([(1, day(2), True, 2.0), (1, day(3), True, 3.0), (1, day(1), True, 1.0), (2, day(1), True, 9.0)])
    manifest = bench.extract(day(5))
    assert (manifest.rows.read, manifest.rows.new, manifest.doubled, manifest.rows.snapshot) == (4, 2, 2, 2)
    assert sorted(bench.rows(manifest, day(5), "id", "x")) == [(1, 3.0), (2, 9.0)]


def test_rows_of_the_future_wait_and_are_read_once(bench: Bench) -> None:
    bench.file["source"]["lag"] = "1d"
    bench.insert([(n, day(n), True, 1.0) for n in range(1, 6)])
    first = bench.extract(day(4))
    assert first.rows.read == 3 and first.snapshot is not None and first.snapshot.watermark == day(3)
    second = bench.extract(day(6))
    assert second.rows.read == 2 and second.rows.snapshot == 5


def test_a_clock_change_moves_no_row(bench: Bench) -> None:
    """25 October 2020, 02:30 came twice in Berlin; the boundary row is read once."""
    bench.execute("ALTER TABLE events ALTER at TYPE text")
    bench.insert([(1, "2020-10-25 02:30:00+02", True, 1.0), (2, "2020-10-25 02:30:00+01", True, 2.0)])
    bench.file["source"]["query"] = "SELECT id, at::timestamptz AS at, y, x FROM events"
    first = bench.extract(datetime.fromisoformat("2020-10-25T00:30:00+00:00"))
    second = bench.extract(datetime.fromisoformat("2020-10-25T01:30:00+00:00"))
    assert (first.rows.read, second.rows.read, second.rows.snapshot) == (1, 1, 2)


@pytest.mark.parametrize("session_zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("type_", ["timestamp", "date"])
def test_cursors_without_zone_are_utc_whatever_the_database_thinks(bench: Bench, type_: str, session_zone: str) -> None:
    database = bench.dsn.rsplit("/", 1)[1].split("?")[0]
    bench.execute(
        f"ALTER DATABASE {database} SET timezone = '{session_zone}'", f"ALTER TABLE events ALTER at TYPE {type_}"
    )
    bench.insert([(n, f"2020-01-0{n}", True, 1.0) for n in (1, 2, 3)])
    first = bench.extract(day(1))  # 2 January, 00:00 UTC
    second = bench.extract(day(2))
    assert (first.rows.read, second.rows.read) == (2, 1)
    assert bench.rows(second, day(2), "id", "at") == [(1, day(0)), (2, day(1)), (3, day(2))]


def test_rolling_window_forgets_old_rows(bench: Bench) -> None:
    bench.file["window"] = {"kind": "rolling", "length": "3d"}
    bench.insert([(n, day(n), True, 1.0) for n in range(10)])
    first = bench.extract(day(5))
    assert (first.rows.read, first.rows.snapshot) == (3, 3)
    second = bench.extract(day(8))
    assert (second.rows.read, second.rows.snapshot) == (3, 3)
    assert bench.rows(second, day(8), "id") == [(6,), (7,), (8,)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"window": {"kind": "expanding"}}, "the window is longer", id="longer window"),
        pytest.param({"columns": {"x": {"max": 100}}}, "columns of the file changed", id="contract"),
    ],
)
def test_a_change_of_the_file_starts_afresh(bench: Bench, change: dict[str, Any], reason: str) -> None:
    bench.file["window"] = {"kind": "rolling", "length": "3d"}
    bench.insert([(n, day(n), True, 1.0) for n in range(6)])
    bench.extract(day(5))
    bench.file |= change
    manifest = bench.extract(day(6))
    assert reason in manifest.fresh_reason and manifest.snapshot is not None and len(manifest.snapshot.batches) == 1


def test_full_refresh_shows_deletions_when_asked_for_and_when_due(bench: Bench) -> None:
    bench.file["source"]["full_refresh"] = "10d"
    bench.insert([(n, day(n), True, 1.0) for n in range(4)])
    bench.extract(day(4))
    bench.execute("DELETE FROM events WHERE id = 1")
    assert bench.extract(day(5)).rows.snapshot == 4
    assert bench.extract(day(6), full_refresh=True).rows.snapshot == 3
    bench.execute("DELETE FROM events WHERE id = 2")
    due = bench.extract(day(16))
    assert "full_refresh is due" in due.fresh_reason and due.rows.snapshot == 2


def test_rows_that_a_due_refresh_reads_again_are_not_new(bench: Bench) -> None:
    bench.file["source"]["full_refresh"] = "10d"
    bench.insert([(n, day(n), True, 1.0) for n in range(4)])
    bench.extract(day(4))
    bench.insert([(9, day(9), True, 1.0)])
    bench.execute("UPDATE events SET at = at + interval '8 days' WHERE id = 2")
    due = bench.extract(day(15))
    assert (due.rows.read, due.rows.new, due.rows.snapshot) == (5, 2, 5)
    assert due.snapshot is not None
    for part in due.snapshot.batches[0].parts:
        bench.store.delete(part.artifact.key)
    assert bench.extract(day(26)).rows.new == 5, "what it could be held against is gone"


def test_new_and_vanished_columns_are_reported_and_ask_for_a_fresh_start(bench: Bench) -> None:
    bench.insert([(1, day(1), True, 1.0)])
    bench.extract(day(2))
    bench.execute("ALTER TABLE events ADD z text, DROP x")
    manifest = bench.extract(day(3))
    assert manifest.warnings == (
        'column "z" is new in the query\'s result (text)',
        'column "x" is gone from the query\'s result',
    )
    assert manifest.fresh and manifest.rows.snapshot == 1


def test_no_new_rows_and_nothing_changed_is_skipped_and_the_snapshot_stays(bench: Bench) -> None:
    bench.insert([(1, day(1), True, 1.0)])
    first = bench.extract(day(2))
    judge(bench, first, day(2))
    manifest = bench.extract(day(3))
    assert manifest.skipped and manifest.snapshot is None and manifest.profile is None
    assert (manifest.new_since_verdict, manifest.rows.new) == (0, 0)
    ref = snapshot_ref(bench)
    assert ref is not None and ref.run_id == first.run_id


def test_too_few_new_rows_are_skipped_and_counted_until_a_verdict(bench: Bench) -> None:
    bench.file["source"]["min_new_rows"] = 3
    bench.insert([(1, day(1), True, 1.0)])
    judge(bench, bench.extract(day(1)), day(1))
    bench.insert([(2, day(2), True, 1.0), (3, day(2), True, 1.0)])
    assert bench.extract(day(2)).skipped
    bench.insert([(4, day(3), True, 1.0)])
    third = bench.extract(day(3))
    assert not third.skipped and third.new_since_verdict == 3


def test_rows_stay_new_until_a_run_that_used_them_reached_a_verdict(bench: Bench) -> None:
    bench.insert([(1, day(1), True, 1.0)])
    judge(bench, bench.extract(day(1)), day(1))
    bench.insert([(2, day(2), True, 1.0)])
    assert not bench.extract(day(2)).skipped  # its later steps fail: no verdict
    again = bench.extract(day(3))
    assert (again.rows.read, again.new_since_verdict, again.skipped) == (0, 1, False)
    assert again.snapshot is not None and len(again.snapshot.batches) == 2


@pytest.mark.parametrize("fields", [{"file_sha256": "other"}, {"environment_digest": "other"}], ids=["file", "image"])
def test_a_changed_file_or_image_is_not_skipped(bench: Bench, fields: dict[str, str]) -> None:
    bench.insert([(1, day(1), True, 1.0)])
    judge(bench, bench.extract(day(1)), day(1), **fields)
    manifest = bench.extract(day(3))
    assert not manifest.skipped and manifest.rows.snapshot == 1


def test_a_run_as_of_the_past_reads_nothing_and_moves_nothing(bench: Bench) -> None:
    bench.insert([(n, day(n), True, 1.0) for n in range(5)])
    latest = bench.extract(day(5))
    bench.insert([(9, day(1), True, 1.0)])
    past = bench.extract(day(2))
    assert (past.rows.read, past.rows.snapshot) == (0, 3)
    assert bench.rows(past, day(2), "id") == [(0,), (1,), (2,)]
    ref = snapshot_ref(bench)
    assert ref is not None and ref.run_id == latest.run_id


def test_settle_is_repeatable_and_gives_way_to_another_run(bench: Bench) -> None:
    bench.insert([(1, day(1), True, 1.0)])
    first, rival = bench.extract(day(2), settles=False), bench.extract(day(3), settles=False)
    assert snapshot_ref(bench) is None
    settle(bench.store, rival)
    settle(bench.store, rival)
    settle(bench.store, first)
    ref = snapshot_ref(bench)
    assert ref is not None and (ref.run_id, ref.generation) == (rival.run_id, 1)


@pytest.mark.parametrize("what", ["manifest", "part"])
def test_a_snapshot_that_lost_an_object_is_refused_until_all_is_read_anew(bench: Bench, what: str) -> None:
    bench.insert([(1, day(1), True, 1.0)])
    first = bench.extract(day(2))
    assert first.snapshot is not None
    key = first.snapshot.batches[0].parts[0].artifact.key if what == "part" else keys.manifest(first.run_id, "extract")
    bench.store.delete(key)
    with pytest.raises(SnapshotGone, match="is missing") as caught:
        bench.extract(day(3))
    assert caught.value.exit_code == 66 and "--full-refresh" in caught.value.next
    again = bench.extract(day(3), full_refresh=True)
    assert again.rows.snapshot == 1
    ref = snapshot_ref(bench)
    assert ref is not None and ref.run_id == again.run_id


def test_an_empty_window_is_a_data_error(bench: Bench) -> None:
    bench.insert([(1, day(9), True, 1.0)])
    with pytest.raises(EmptySource, match="no usable row in the whole window: none with at up to 2020-01-03 00:00 UTC"):
        bench.extract(day(2))
    bench.file["window"] = {"kind": "rolling", "length": "2d"}
    with pytest.raises(EmptySource, match="after 2020-01-13 00:00 and up to 2020-01-15 00:00") as caught:
        bench.extract(day(14))
    assert caught.value.exit_code == 65 and snapshot_ref(bench) is None


def test_far_fewer_rows_than_usual_are_reported_or_refused(bench: Bench) -> None:
    bench.insert([(100 * n + k, day(n), True, 1.0) for n in range(5) for k in range(20)])
    for n in range(5):
        bench.extract(day(n))
    bench.insert([(999, day(5), True, 1.0)])
    assert bench.extract(day(5), settles=False).warnings == (
        "read 1 rows, less than a tenth of what is usual: 20 (median of the last 4)",
    )
    bench.file["source"]["low_volume"] = "fail"
    with pytest.raises(LowVolume) as caught:
        bench.extract(day(5))
    assert caught.value.exit_code == 65


def test_profile_is_stored_with_the_rows_read_now(bench: Bench) -> None:
    bench.insert([(1, day(1), True, 1.0), (2, day(1), None, None)])
    manifest = bench.extract(day(2))
    assert manifest.profile is not None
    body = bench.store.get(manifest.profile.key)
    assert b'"rows": 2' in body and manifest.profile.key.endswith("profile.json")


def fill(bench: Bench, days: range, x: float) -> None:
    """Twenty rows each day."""
    bench.insert([(20 * day_ + n, day(day_ + n / 20), n % 2 == 0, x + n) for day_ in days for n in range(20)])


def test_what_is_read_is_held_against_what_was_read_before(bench: Bench) -> None:
    fill(bench, range(10), x=100.0)
    assert bench.extract(day(10)).drift is None
    fill(bench, range(10, 20), x=100.0)
    same = bench.extract(day(20)).drift
    assert same is not None
    assert (same.rows, same.rows_before, same.reads) == (200, 200, 1)
    assert {one.column for one in same.columns} == {"x", "y"}
    assert all(one.index == one.nulls == 0 for one in same.columns)
    fill(bench, range(20, 30), x=200.0)
    bench.execute(f"UPDATE events SET y = NULL WHERE at >= '{day(20)}' AND id % 4 = 0")
    moved = bench.extract(day(30)).drift
    assert moved is not None
    assert (moved.rows, moved.rows_before, moved.reads) == (200, 400, 2)
    x, y = moved.columns
    assert (x.column, y.column, y.nulls) == ("x", "y", 0.25)
    assert x.index > 1 > 0.25 > y.index
    again = bench.extract(day(30.5), full_refresh=True)
    assert again.drift is None, "nothing of what stood was looked at"


def test_a_fresh_start_is_held_against_the_snapshot_that_it_replaces(bench: Bench) -> None:
    fill(bench, range(10), x=100.0)
    bench.extract(day(10))
    bench.file["source"]["query"] = "SELECT id, at, y, 2 * x AS x FROM events"
    found = bench.extract(day(10.5))
    assert found.fresh
    assert found.drift is not None
    assert found.drift.columns[0].column == "x"
    assert found.drift.columns[0].index > 1


def test_a_profile_that_is_gone_costs_the_drift_alone(bench: Bench) -> None:
    fill(bench, range(10), x=100.0)
    first = bench.extract(day(10))
    fill(bench, range(10, 20), x=100.0)
    second = bench.extract(day(20))
    assert first.profile is not None
    assert second.profile is not None
    bench.store.delete(first.profile.key)
    fill(bench, range(20, 30), x=100.0)
    third = bench.extract(day(30))
    assert third.drift is not None
    assert third.drift.reads == 1
    assert third.warnings == ("the drift is told without 1 of the earlier reads' profiles, which are gone or altered",)


STEP = st.lists(
    st.tuples(st.integers(0, 5), st.integers(-3, 1), st.booleans()),  # id, days from now, whether it is an insert
    max_size=6,
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=1, max_size=5), overlap=st.integers(0, 3))
def test_snapshot_equals_a_plain_recomputation(bench: Bench, steps: list[Any], overlap: int) -> None:
    """Late, updated, re-read, doubled and out-of-order rows, against a plain model of what each extract could see."""
    bench.execute("TRUNCATE events")
    bench.file["source"]["overlap"] = f"{overlap}d" if overlap else "0s"
    bench.store.delete(keys.ref("snapshot"))
    table: list[tuple[int, datetime, float]] = []
    seen: list[tuple[int, datetime, float]] = []
    watermark: datetime | None = None
    serial = 0.0
    bench.insert([(99, day(0), True, 0.5)])  # the window is never empty
    table.append((99, day(0), 0.5))
    for now, events in enumerate(steps, start=4):
        for key, shift, is_insert in events:
            serial += 1
            row = (key, day(now + shift), serial)
            if not is_insert:
                bench.execute(f"DELETE FROM events WHERE id = {key}")
                table = [one for one in table if one[0] != key]
            bench.insert([(row[0], row[1], True, row[2])])
            table.append(row)
        manifest = bench.extract(day(now))
        after = watermark - (day(overlap) - day(0)) if watermark else None
        read = [row for row in table if row[1] <= day(now) and (after is None or row[1] > after)]
        assert manifest.rows.read == len(read)
        held = {key: max(at for k, at, _ in seen if k == key) for key, _, _ in seen}
        fresh = {key for key, at, _ in read if key not in held or at > held[key]}
        assert manifest.rows.new == len(fresh)
        seen += read
        watermark = max([row[1] for row in read] + ([watermark] if watermark else []))
        newest = {key: max(((at, n) for n, (k, at, _) in enumerate(seen) if k == key)) for key, _, _ in seen}
        expected = sorted((key, seen[n][2]) for key, (_, n) in newest.items())
        assert sorted(bench.rows(manifest, day(now), "id", "x")) == expected
        assert manifest.rows.snapshot == len(expected)


def test_a_bucket_holds_the_same_as_a_folder(bench: Bench, bucket: str) -> None:
    bench.file["source"]["overlap"] = "2d"
    bench.store = open_store(f"s3://{bucket}/prefix").under("events/")
    bench.insert([(n, day(n % 4), True, float(n)) for n in range(2000)])
    first = bench.extract(day(4))
    bench.execute("UPDATE events SET at = '2020-01-06 00:00+00', x = -1 WHERE id = 7")
    second = bench.extract(day(6))
    assert (first.rows.new, second.rows.new, second.replaced, second.rows.snapshot) == (2000, 1, 1000, 2000)
    rows = dict(bench.rows(second, day(6), "id", "x"))
    assert rows == {n: -1.0 if n == 7 else float(n) for n in range(2000)}

"""`refit status`: what is in production, since when, and what comes next."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from refit.cli.overview import read_overview
from refit.cli.past import Held, read_lock
from refit.cli.status import lines
from refit.core import hand, keys, registry
from refit.core.artifacts import describe
from refit.core.domain import Failure, Holder, LockRef, Pause
from refit.core.local_store import LocalStore
from refit.core.lock import this_process
from refit.core.refs import move_ref
from refit.core.runs import run_ids
from refit.core.store import ObjectStore
from tests.fixtures.calls import Call
from tests.fixtures.past_runs import (
    FIRST,
    SECOND,
    THIRD,
    put_awaiting,
    put_failed,
    put_promoted,
    put_rejected,
)
from tests.fixtures.records import FILE, NOW, file, put_run, put_version, run_record

WEEK = timedelta(days=7)
LATER = NOW + timedelta(hours=3)


def held_by(store: ObjectStore, holder: Holder, ttl_seconds: int = 60) -> None:
    move_ref(store, "lock", LockRef(token="t", generation=1, holder=holder, ttl_seconds=ttl_seconds), None)


def gone(run_id: str) -> Holder:
    """A holder whose process number belongs to another process by now."""
    return this_process(run_id).model_copy(update={"process_started": "1"})


def test_the_document_is_the_one_of_cli_md(store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST, NOW - 2 * WEEK)
    put_promoted(store, SECOND, NOW - WEEK)
    document = call("status", "loans", "--json").document
    assert set(document) == {
        "format",
        "pipeline",
        "champion",
        "hold",
        "watermark",
        "last_run",
        "objective",
        "waits",
        "lock",
    }
    assert set(document["champion"]) == {
        "version",
        "generation",
        "fit_on",
        "promoted_at",
        "confirmed_at",
        "age_seconds",
        "scores",
    }
    assert (document["format"], document["pipeline"]) == (1, "loans")
    assert document["champion"]["version"] == SECOND
    assert document["champion"]["generation"] == 2
    assert document["champion"]["promoted_at"] == "2026-11-13T07:00:00Z"
    assert document["champion"]["scores"] == {"neg_log_loss": -0.41, "roc_auc": 0.713}
    assert document["watermark"] == "2026-11-13T07:00:00Z"
    assert (document["last_run"]["run_id"], document["last_run"]["outcome"]) == (SECOND, "promoted")
    assert document["hold"] is None and document["lock"] is None


def test_a_pipeline_that_never_promoted_has_no_champion(store: ObjectStore, call: Call) -> None:
    put_failed(store, FIRST)
    document = call("status", "loans", "--json").document
    assert document["champion"] is None and document["watermark"] is None
    assert document["last_run"]["error"]["exit_code"] == 65
    assert "none yet" in call("status", "loans").out


def test_the_age_counts_from_the_last_confirmation(store: ObjectStore) -> None:
    put_promoted(store, FIRST, NOW - 5 * WEEK)
    put_rejected(store, SECOND, NOW - WEEK)
    champion = read_overview(store, "loans", NOW).champion
    assert champion is not None
    assert champion.promoted_at == NOW - 5 * WEEK
    assert champion.confirmed_at == NOW - WEEK
    assert champion.age_seconds(NOW) == WEEK.total_seconds()


def test_a_confirmation_of_an_earlier_champion_does_not_count(store: ObjectStore) -> None:
    put_promoted(store, FIRST, NOW - 5 * WEEK)
    put_promoted(store, SECOND, NOW - 4 * WEEK)
    hand.rollback(store, None, who="me", why="bad", now=NOW - WEEK)
    champion = read_overview(store, "loans", NOW).champion
    assert champion is not None and champion.move.version == FIRST
    assert champion.confirmed_at is None
    assert champion.age_seconds(NOW) == WEEK.total_seconds()


def test_a_release_does_not_make_the_champion_younger(store: ObjectStore) -> None:
    put_promoted(store, FIRST, NOW - 5 * WEEK)
    put_promoted(store, SECOND, NOW - 4 * WEEK)
    hand.rollback(store, None, who="me", why="bad", now=NOW - 2 * WEEK)
    hand.release(store, who="me", why="mended", now=NOW - WEEK)
    champion = read_overview(store, "loans", NOW).champion
    assert champion is not None
    assert champion.promoted_at == NOW - 2 * WEEK


def test_a_champion_whose_document_is_gone_is_still_shown(store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    store.delete(keys.version(FIRST))
    assert call("status", "loans", "--json").document["champion"]["scores"] == {}
    assert "gone or malformed" in call("status", "loans").out


def test_a_lost_champion_is_told_with_the_way_to_repair_it(store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    store.delete(keys.ref("champion"))
    called = call("status", "loans")
    assert called.code == 66
    assert f"refit rollback loans --to {FIRST}" in called.err


# --- what comes next ----------------------------------------------------------


def test_next_after_a_failure_is_a_rerun(store: ObjectStore) -> None:
    put_promoted(store, FIRST)
    put_failed(store, SECOND)
    assert read_overview(store, "loans", LATER).next() == f"refit rerun loans {SECOND}"


def test_next_after_a_failure_that_a_newer_model_has_overtaken_is_nothing(store: ObjectStore) -> None:
    put_promoted(store, FIRST, NOW)
    put_failed(store, SECOND, NOW - WEEK)
    assert read_overview(store, "loans", LATER).next() == ""


def test_next_on_hold_is_release(store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST, NOW - 2 * WEEK)
    put_promoted(store, SECOND, NOW - WEEK)
    hand.rollback(store, None, who="me", why="late flights are missed", now=NOW)
    assert read_overview(store, "loans", LATER).next() == "refit release loans --reason '…'"
    assert call("status", "loans", "--json").document["hold"] == {
        "since": "2026-11-20T07:00:00Z",
        "who": "me",
        "why": "late flights are missed",
    }
    assert f"barred     {SECOND}" in call("status", "loans").out


def test_next_of_a_run_that_waits_is_promote_until_a_person_moved_the_champion(store: ObjectStore) -> None:
    put_promoted(store, FIRST, NOW - WEEK)
    put_awaiting(store, SECOND, NOW)
    assert read_overview(store, "loans", LATER).next() == f"refit promote loans {SECOND} --reason '…'"
    hand.promote(store, SECOND, who="me", why="a true break", now=NOW + timedelta(hours=1))
    assert read_overview(store, "loans", LATER).next() == ""


def test_next_is_the_scheduled_time_where_the_file_has_one(store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    scheduled = FILE + b'schedule: {cron: "0 5 * * 1"}\n'
    run = run_record(THIRD, file=describe(keys.pipeline_file(THIRD), scheduled))
    store.put(run.file.key, scheduled)
    store.create(keys.run_record(THIRD), run.to_json())
    held_by(store, this_process(THIRD))
    overview = read_overview(store, "loans", NOW)  # a Friday, 07:00
    assert overview.due() == "in 2 d"
    assert overview.next() == f"{THIRD} is running"
    assert "0 5 * * 1 (Etc/UTC), next in" in call("status", "loans").out


def test_a_file_that_this_version_cannot_read_has_no_schedule(store: ObjectStore) -> None:
    put_promoted(store, FIRST)
    run = run_record(SECOND, file=describe(keys.pipeline_file(SECOND), b"apiVersion: refit/v9\n"))
    store.put(run.file.key, b"apiVersion: refit/v9\n")
    store.create(keys.run_record(SECOND), run.to_json())
    assert read_overview(store, "loans", LATER).schedule is None


# --- runs without an outcome --------------------------------------------------


@pytest.mark.parametrize("alive", [True, False], ids=["alive", "gone"])
def test_a_run_without_outcome_goes_on_or_is_dead(store: ObjectStore, call: Call, alive: bool) -> None:
    put_run(store, run_record(FIRST))
    held_by(store, this_process(FIRST) if alive else gone(FIRST))
    document = call("status", "loans", "--json").document
    assert document["last_run"]["outcome"] == ("running" if alive else "dead")
    assert (document["lock"] is not None) is alive
    if alive:
        assert document["lock"]["run_id"] == FIRST
        left = datetime.fromisoformat(document["lock"]["expires_at"]) - datetime.now(UTC)
        assert timedelta(seconds=30) < left <= timedelta(seconds=60)


def test_a_lock_that_aged_holds_nothing(store: ObjectStore, call: Call) -> None:
    put_run(store, run_record(FIRST))
    elsewhere = Holder(run_id=FIRST, host="another machine", process=1, process_started="1")
    held_by(store, elsewhere, ttl_seconds=-1)
    assert call("status", "loans", "--json").document["last_run"]["outcome"] == "dead"


def test_a_run_that_begins_while_status_is_read_goes_on(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(store: ObjectStore) -> Iterator[str]:
        held_by(store, this_process(FIRST))
        put_run(store, run_record(FIRST))
        yield from run_ids(store)

    monkeypatch.setattr("refit.cli.overview.run_ids", listed)
    found = read_overview(store, "loans", LATER)
    assert found.last_run is not None
    assert found.last_run.state == "running"


def test_a_run_that_ends_while_status_is_read_is_not_dead(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put_run(store, run_record(FIRST))

    def looked(store: ObjectStore, now: datetime) -> Held | None:
        put_rejected(store, FIRST)  # it had the lock until just now
        return read_lock(store, now)

    monkeypatch.setattr("refit.cli.past.read_lock", looked)
    found = read_overview(store, "loans", LATER)
    assert found.last_run is not None
    assert (found.last_run.state, found.last_run.outcome is not None) == ("rejected", True)


def with_objective(store: ObjectStore, run_id: str, max_age: str) -> None:
    """The run that stands keeps a file with this objective."""
    text = file(slo={"max_age": max_age})
    key = keys.pipeline_file(run_id)
    store.put(key, text)
    record = run_record(run_id, file=describe(key, text), created_at=NOW)
    store.put(keys.run_record(run_id), record.to_json())


@pytest.mark.parametrize(
    ("max_age", "cell", "line", "share"),
    [
        ("10d", "10 d  ok", "confirmed within 10 days: ok, 95.2 % of the last 28 days", 20 / 21),
        ("5d", "5 d  OLD", "confirmed within 5 days: OLD, 47.6 % of the last 28 days", 10 / 21),
    ],
    ids=["met", "broken"],
)
def test_the_objective_is_told_with_how_long_it_was_met(
    store: ObjectStore, max_age: str, cell: str, line: str, share: float
) -> None:
    put_promoted(store, FIRST, NOW - 3 * WEEK)
    put_rejected(store, SECOND, NOW - WEEK - timedelta(days=3))
    with_objective(store, SECOND, max_age)
    overview = read_overview(store, "loans", NOW)
    assert overview.objective() == cell
    assert f"  objective  {line}" in list(lines(overview, local=False))
    document = overview.document()["objective"]
    assert document["is_met"] is cell.endswith("ok")
    assert document["fresh_share_28d"] == pytest.approx(share, abs=1e-3)


def test_a_run_that_waits_for_its_next_attempt_says_so(store: ObjectStore) -> None:
    put_run(store, run_record(FIRST))
    held_by(store, this_process(FIRST))
    failure = Failure(error_class="dependency", type="X", exit_code=75, message="the database is away")
    until = NOW + timedelta(hours=5)
    pause = Pause(step="extract", number=8, failure=failure, until=until)
    store.put(keys.pause(FIRST), pause.to_json())
    overview = read_overview(store, "loans", NOW)
    assert overview.next() == f"{FIRST} waits: extract has failed 8 times (dependency), again in 5 h"
    assert overview.document()["waits"]["until"] == "2026-11-20T12:00:00Z"
    assert overview.document()["waits"]["error"]["message"] == "the database is away"
    later = read_overview(store, "loans", until)
    assert (later.next(), later.document()["waits"]) == (f"{FIRST} is running", None)


def test_an_objective_counts_from_the_first_champion(store: ObjectStore) -> None:
    put_failed(store, FIRST, NOW)
    with_objective(store, FIRST, "10d")
    overview = read_overview(store, "loans", NOW)
    assert overview.objective() == "10 d"
    assert overview.document()["objective"] == {
        "max_age_seconds": 864000.0,
        "is_met": None,
        "breaks_at": None,
        "fresh_share_28d": None,
    }
    assert "counts from the first champion" in "\n".join(lines(overview, local=False))


def test_without_an_objective_there_is_none_to_tell(store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    assert call("status", "loans", "--json").document["objective"] is None
    assert "objective" not in call("status", "loans").out


# --- all pipelines ------------------------------------------------------------


def test_without_a_name_every_pipeline_has_a_line(root: ObjectStore, store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    put_failed(root.under("churn/"), FIRST)
    called = call("status")
    lines = called.out.splitlines()
    assert called.code == 0
    assert lines[0].split() == ["PIPELINE", "CHAMPION", "AGE", "OBJECTIVE", "SCORE", "LAST", "RUN", "NEXT"]
    assert lines[1].startswith("churn     none yet") and lines[1].endswith(f"refit rerun churn {FIRST}")
    assert lines[2].startswith(f"loans     {FIRST}") and "neg_log_loss -0.410" in lines[2]
    document = call("status", "--json").document
    assert [one["pipeline"] for one in document["pipelines"]] == ["churn", "loans"]


def test_one_broken_pipeline_does_not_hide_the_others(root: ObjectStore, store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    put_promoted(root.under("churn/"), FIRST)
    root.delete("churn/refs/champion.json")
    put_promoted(root.under("sales/"), FIRST)
    called = call("status")
    assert called.code == 66
    assert [line.split()[:2] for line in called.out.splitlines()[1:]] == [
        ["churn", "broken"],
        ["loans", FIRST],
        ["sales", FIRST],
    ]
    assert called.out.splitlines()[1].endswith("refit status churn")
    assert "churn is broken: refs/champion.json is gone" in called.err
    assert f"refit rollback churn --to {FIRST}" in called.err
    called = call("status", "--json")
    churn, loans, sales = called.document["pipelines"]
    assert (called.code, churn["pipeline"], churn["error"]["class"]) == (66, "churn", "artifact")
    assert (loans["champion"]["version"], sales["champion"]["version"]) == (FIRST, FIRST)


def test_what_is_read_of_a_pipeline_does_not_grow_with_its_history(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    for name in ("get", "entry", "exists", "list", "list_folders"):
        method = getattr(LocalStore, name)

        def counted(self: LocalStore, key: str, method: Any = method) -> Any:
            reads.append(key)
            return method(self, key)

        monkeypatch.setattr(LocalStore, name, counted)
    counts = []
    for weeks in range(1, 31):
        at = NOW + weeks * WEEK
        put_promoted(store, f"{at:%Y%m%dt%H%M%S}-aaaa", at)
        reads.clear()
        assert read_overview(store, "loans", at).champion is not None
        counts.append(len(reads))
    assert counts[-1] == counts[1] <= 2 * 12  # a get of a folder is an entry too


def test_a_version_whose_other_model_is_back_is_not_younger(store: ObjectStore) -> None:
    put_promoted(store, FIRST, NOW - 5 * WEEK)
    put_promoted(store, SECOND, NOW - 4 * WEEK)
    current = registry.read_champion(store)
    assert current is not None
    move = registry.fall_back(current[0], THIRD, who="me", why="worse", now=NOW - WEEK)
    registry.move_champion(store, current, move)
    champion = read_overview(store, "loans", NOW).champion
    assert champion is not None
    assert champion.promoted_at == NOW - 4 * WEEK


def test_an_empty_store_says_how_to_begin(call: Call) -> None:
    called = call("status")
    assert (called.code, called.out) == (0, "")
    assert "refit run FILE" in called.err
    assert call("status", "--json").document == {"format": 1, "pipelines": []}


def test_a_version_promoted_by_hand_is_the_champion(store: ObjectStore) -> None:
    put_version(store, THIRD, "rejected")
    hand.promote(store, THIRD, who="me", why="agreed", now=NOW)
    overview = read_overview(store, "loans", LATER)
    assert overview.champion is not None and overview.champion.headline() == "neg_log_loss -0.410"
    assert overview.last_run is None and overview.next() == ""

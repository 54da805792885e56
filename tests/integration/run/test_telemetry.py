"""Who tells how an attempt ended: its own process, or the coordinator where that knew less or told nothing."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from refit.core import effects, hand
from refit.core.domain import Failure, Termination
from refit.core.effects import Moment
from refit.core.errors import AccessError, ConfigError, DependencyError, RefitError, SupersededError, TerminatedError
from refit.core.metrics import DONE
from refit.core.pushgateway import Pushgateway
from refit.core.store import ConditionsIgnored, open_store
from refit.run.executor import Ended
from refit.run.telemetry import Telemetry
from tests.fixtures.past_runs import FIRST, SECOND, put_awaiting, put_promoted
from tests.fixtures.pushgateway import Gateway, Labels
from tests.fixtures.records import NOW, put_run, run_record


def failure(kind: str, code: int) -> Failure:
    return Failure(error_class=kind, type="X", step="train", exit_code=code, message="it broke")


NONE: Labels = frozenset()
WEEK = timedelta(days=7)
DATA, TERMINATED, TIMEOUT = failure("data", 65), failure("killed", 143), failure("timeout", 75)
KILLED, START = failure("killed", 137), failure("start", 75)


def said(found: Failure | None, **fields: Any) -> Termination:
    given = {"step": "train", "run_id": "r", "attempt": "t", "number": 1, "seconds": 1.0, "max_rss_bytes": 7}
    return Termination(**given | {"failure": found} | fields)


@pytest.mark.parametrize(
    ("code", "words", "failed", "told"),
    [
        (0, said(None), None, None),
        (65, said(DATA), DATA, None),
        (143, said(TERMINATED), TIMEOUT, ("timeout", 75)),
        (137, said(None, progress="fits"), KILLED, ("killed", 137)),
        (75, None, START, ("start", 75)),
        (0, None, None, (DONE, 0)),
        (137, said(DATA), DATA, ("data", 65)),
        (137, said(None), None, (DONE, 0)),
    ],
    ids=[
        "ended well",
        "failed and said so",
        "its deadline",
        "killed on its way",
        "never started",
        "its pod is gone",
        "killed as it told a failure",
        "killed as it told that all was well",
    ],
)
def test_the_coordinator_tells_what_the_process_could_not(
    gateway: Gateway,
    request: pytest.FixtureRequest,
    code: int,
    words: Termination | None,
    failed: Failure | None,
    told: tuple[str, int] | None,
) -> None:
    pipeline = f"p{abs(hash(request.node.name))}"
    telemetry = Telemetry(Pushgateway(gateway.url, pipeline))
    telemetry.attempt_ended("train", Ended(code, words, b""), failed)
    found = gateway.series(pipeline, "train").get("refit_step_last_exit_code", {})
    assert found == ({} if told is None else {frozenset({("class", told[0])}): told[1]})
    assert telemetry.attempts == {failed.error_class if failed else DONE: 1}
    assert telemetry.warnings == ()


def test_what_was_not_pushed_is_a_line_for_each_reason_and_a_later_try_mends_it() -> None:
    telemetry = Telemetry(Pushgateway("http://127.0.0.1:9", "loans"))
    telemetry.attempt_ended("extract", Ended(0, said(None, unpushed="late"), b""), None)
    telemetry.attempt_ended("train", Ended(65, said(DATA, unpushed="refused"), b""), DATA)
    telemetry.attempt_ended("train", Ended(0, said(None), b""), None)
    telemetry.attempt_ended("evaluate", Ended(0, said(None, unpushed="late"), b""), None)
    telemetry.attempt_ended("publish", Ended(0, said(None, unpushed="gone"), b""), None)
    assert telemetry.warnings == (
        "the metrics of extract, evaluate were not pushed: late",
        "the metrics of publish were not pushed: gone",
    )


def test_without_a_gateway_nothing_is_pushed_and_nothing_is_missed() -> None:
    telemetry = Telemetry(None)
    telemetry.attempt_ended("train", Ended(137, None, b""), KILLED)
    assert telemetry.warnings == ()


@pytest.mark.parametrize(
    ("error", "begun", "told"),
    [
        (AccessError("no right"), False, {"class": "permission", "conditions": None}),
        (ConditionsIgnored("s3://b", "both won"), False, {"class": "config", "conditions": 0.0}),
        (DependencyError("no answer"), False, {"class": "dependency", "conditions": None}),
        (ConfigError("as_of lies in the future"), False, None),
        (SupersededError("another run goes on"), False, None),
        (TerminatedError("asked to end"), False, None),
        (DependencyError("no answer"), True, None),
    ],
    ids=["no right", "conditions ignored", "away", "a word of the call", "overtaken", "asked to end", "it had begun"],
)
def test_a_run_that_could_not_begin_is_told_as_a_failed_one(
    gateway: Gateway, request: pytest.FixtureRequest, error: RefitError, told: dict[str, Any] | None, *, begun: bool
) -> None:
    pipeline = f"p{abs(hash(request.node.name))}"
    telemetry = Telemetry(Pushgateway(gateway.url, pipeline), has_begun=begun)
    with pytest.raises(type(error)), telemetry.watching():
        raise error
    found = gateway.series(pipeline, "run")
    if told is None:
        assert found == {}
        return
    assert found["refit_run_last_exit_code"] == {frozenset({("class", told["class"])}): error.exit_code}
    assert found["refit_run_last_outcome"][frozenset({("outcome", "failed")})] == 1
    assert found["refit_run_last_failure_timestamp_seconds"][frozenset()] <= time.time()
    assert found.get("refit_store_conditions", {}).get(frozenset()) == told["conditions"]


def test_a_store_that_goes_away_after_a_run_has_ended_costs_only_what_it_would_have_told(
    gateway: Gateway, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    store = open_store(f"file://{folder}").under("away/")
    outcome = put_promoted(store, FIRST)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(folder)
    telemetry = Telemetry(Pushgateway(gateway.url, "away"))
    telemetry.begun(store, run_record(FIRST))
    assert telemetry.run_ended(store, run_record(FIRST), outcome) == ""
    found = gateway.series("away", "run")
    assert found["refit_run_last_exit_code"] == {frozenset({("class", "done")}): 0}
    silenced = {"refit_run_next_timestamp_seconds", "refit_slo_max_age_seconds", "refit_awaiting_approval"}
    assert not silenced & set(found)


def test_a_move_by_hand_while_a_run_pushes_its_end_is_what_stands(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"file://{tmp_path}").under("moved/")
    put_promoted(store, FIRST, NOW)
    outcome = put_awaiting(store, SECOND, NOW + WEEK)

    def promote_now(moment: Moment, name: str) -> None:
        if (moment, name) == ("before", "push run"):
            monkeypatch.setattr(effects, "hook", lambda _moment, _name: None)
            hand.promote(store, SECOND, who="tests", why="agreed", now=datetime.now(UTC) + WEEK)

    monkeypatch.setattr(effects, "hook", promote_now)
    telemetry = Telemetry(Pushgateway(gateway.url, "moved"))
    assert telemetry.run_ended(store, run_record(SECOND, created_at=NOW + WEEK), outcome) == ""
    found = gateway.series("moved", "run")
    assert found["refit_awaiting_approval"][NONE] == 0
    assert found["refit_champion_generation"][NONE] == 2


def test_a_run_that_begins_while_another_pushes_its_end_goes_on(gateway: Gateway, tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}").under("next/")
    outcome = put_promoted(store, FIRST, NOW)
    put_run(store, run_record(SECOND, created_at=NOW + WEEK))
    telemetry = Telemetry(Pushgateway(gateway.url, "next"))
    assert telemetry.run_ended(store, run_record(FIRST, created_at=NOW), outcome) == ""
    found = gateway.series("next", "run")
    assert found["refit_run_last_start_timestamp_seconds"][NONE] == (NOW + WEEK).timestamp()
    assert found["refit_run_last_success_timestamp_seconds"][NONE] == outcome.finished_at.timestamp()
    assert found["refit_run_duration_seconds"][NONE] == (outcome.finished_at - NOW).total_seconds() > 0

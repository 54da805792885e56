"""What whole runs push to a real Pushgateway, and what becomes of runs whose Pushgateway fails."""

import os
import signal
import socket
import time
from datetime import UTC, datetime
from functools import partial
from math import isnan
from pathlib import Path

import pytest

from refit.core import keys
from refit.core.effects import Moment
from refit.core.metrics import METRICS
from refit.run.telemetry import Unpushed
from tests.faults.case import SECOND, THIRD, Case, edited
from tests.fixtures import loans
from tests.fixtures.pushgateway import Gateway, Labels, served

SCHEDULED = edited(schedule={"cron": "0 5 * * *"})
NONE: Labels = frozenset()
GROUPS = ("extract", "train", "evaluate", "publish", "run")


def of(**labels: str) -> Labels:
    return frozenset(labels.items())


def classed(name: str) -> Labels:
    return of(**{"class": name})


@pytest.fixture
def watched(case: Case, gateway: Gateway) -> Case:
    """A case whose runs push."""
    case.settings["REFIT_PUSHGATEWAY"] = gateway.url
    return case


def kill_first(place: Path, event: str, moment: Moment, name: str) -> None:
    """The first process that comes to this effect is killed, and leaves a file there."""
    if moment == "before" and name.endswith(event) and not place.exists():
        place.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_that_promotes_tells_all_there_is(watched: Case, gateway: Gateway) -> None:
    outcome = watched.good(file=SCHEDULED)
    held = {group: gateway.series("loans", group) for group in GROUPS}
    for group, found in held.items():
        assert {metric.name for metric in METRICS if group in metric.groups} >= set(found), group
    untold = {metric.name for metric in METRICS} - {name for found in held.values() for name in found}
    assert untold == {"refit_step_last_failure_timestamp_seconds", "refit_run_last_failure_timestamp_seconds"}

    assert held["extract"]["refit_rows"][of(kind="read")] == outcome.rows.read
    assert held["train"]["refit_rows"] == {of(kind="train"): outcome.rows.train}
    assert held["evaluate"]["refit_rows"][of(kind="clean")] == outcome.rows.clean
    scores = {
        of(model=model, score=name): value for model, of_it in outcome.scores.items() for name, value in of_it.items()
    }
    assert held["evaluate"]["refit_score"] == scores
    assert outcome.verdict is not None
    check = next(check for check in outcome.verdict.checks if check.line == "min_gain")
    assert check.interval is not None
    assert held["evaluate"]["refit_gate_gain_lower"][of(check=check.name)] == check.interval[0]
    assert held["evaluate"]["refit_gate_margin"][of(check=check.name)] == check.interval[0] - check.limit > 0

    run, ended = held["run"], outcome.finished_at.timestamp()
    assert [labels for labels, value in run["refit_run_last_outcome"].items() if value] == [of(outcome="promoted")]
    assert run["refit_run_last_exit_code"] == {classed("done"): 0}
    assert run["refit_run_attempts"] == {classed("done"): 4}
    assert run["refit_run_last_success_timestamp_seconds"][NONE] == ended
    assert ended < run["refit_run_next_timestamp_seconds"][NONE] <= ended + 86400
    assert run["refit_champion_generation"][NONE] == watched.champion.generation == 2
    assert run["refit_champion_promoted_timestamp_seconds"][NONE] == watched.champion.at.timestamp()
    assert run["refit_champion_confirmed_timestamp_seconds"][NONE] >= watched.champion.at.timestamp()
    assert run["refit_watermark_timestamp_seconds"][NONE] <= loans.at(SECOND).timestamp()
    assert run["refit_hold"][NONE] == 0


def test_a_run_tells_of_its_columns_scores_and_requests_and_its_report_shows_them(
    watched: Case, gateway: Gateway
) -> None:
    outcome = watched.good()
    extract, evaluate = (gateway.series("loans", step) for step in ("extract", "evaluate"))
    drift = watched.extract_of(outcome).drift
    assert drift is not None
    assert {one.column for one in drift.columns} == {"income", "amount", "region", "defaulted"}
    assert extract["refit_column_drift"] == {of(column=one.column): one.index for one in drift.columns}
    assert extract["refit_column_null_ratio"] == {of(column=one.column): one.nulls for one in drift.columns}

    manifest = watched.evaluate_of(outcome)
    assert set(manifest.intervals) == {"candidate", "baseline"}
    for model, of_model in manifest.intervals.items():
        for name, (low, high) in of_model.items():
            labels = of(model=model, score=name)
            lower, value, upper = (evaluate[f"refit_score{end}"][labels] for end in ("_lower", "", "_upper"))
            assert (lower, upper) == (low, high)
            assert lower < value < upper
    assert (
        evaluate["refit_score"].keys() == evaluate["refit_score_lower"].keys() == evaluate["refit_score_upper"].keys()
    )

    report = watched.store.get(manifest.report.key).decode()
    assert "<h2>Drift of the columns</h2>" in report
    assert f"<tr><td>{drift.columns[0].column}</td>" in report
    low, high = manifest.intervals["candidate"]["neg_log_loss"]
    assert f"<small>[{low:.4g}, {high:.4g}]</small>" in report
    assert extract["refit_step_store_requests"][NONE] > 5
    assert evaluate["refit_step_store_retries"][NONE] == 0


def test_a_failed_run_keeps_the_last_success_and_a_restarted_pushgateway_learns_it(
    watched: Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    good = watched.good(file=SCHEDULED)
    with served(tmp_path_factory.mktemp("pushgateway")) as fresh:
        watched.settings["REFIT_PUSHGATEWAY"] = fresh.url
        done = watched.run(THIRD, edited(source={"query": "SELECT * FROM nothing"}))
        run, extract = fresh.series("loans", "run"), fresh.series("loans", "extract")
    assert done.outcome is not None
    assert done.outcome.error is not None
    kind = done.outcome.error.error_class
    assert run["refit_run_last_success_timestamp_seconds"][NONE] == good.finished_at.timestamp()
    assert run["refit_run_last_failure_timestamp_seconds"][NONE] == done.outcome.finished_at.timestamp()
    assert run["refit_run_last_exit_code"] == {classed(kind): done.code}
    assert run["refit_run_last_outcome"][of(outcome="failed")] == 1
    assert isnan(run["refit_run_next_timestamp_seconds"][NONE])
    assert run["refit_champion_generation"][NONE] == 2
    assert extract["refit_step_last_exit_code"] == {classed(kind): done.code}


@pytest.mark.parametrize(
    ("where", "kind", "code", "outcome"),
    [("/train.json", "killed", 137, "failed"), ("push train", "done", 0, "promoted")],
    ids=["before its manifest", "while it pushes"],
)
def test_a_step_that_was_killed_is_told_by_the_coordinator(
    case: Case, tmp_path: Path, where: str, kind: str, code: int, outcome: str
) -> None:
    before = time.time()
    with served(tmp_path) as gateway:
        case.settings["REFIT_PUSHGATEWAY"] = gateway.url
        done = case.run(inject=partial(kill_first, tmp_path / "killed", where), retry_seconds=())
        train, run = gateway.series("loans", "train"), gateway.series("loans", "run")
    word = "success" if kind == "done" else "failure"
    assert done.outcome is not None
    assert done.outcome.outcome == outcome
    assert train["refit_step_last_exit_code"] == {classed(kind): code}
    assert before < train[f"refit_step_last_{word}_timestamp_seconds"][NONE] <= time.time()
    assert train["refit_step_max_rss_bytes"][NONE] > 1 << 20
    attempts = {classed("done"): 4} if kind == "done" else {classed("done"): 1, classed("killed"): 1}
    assert run["refit_run_attempts"] == attempts


def test_a_pushgateway_that_is_away_changes_nothing_but_the_record(case: Case) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        case.settings["REFIT_PUSHGATEWAY"] = f"http://me:hunter22@127.0.0.1:{free.getsockname()[1]}"
        outcome = case.good()
    assert outcome.exit_code == 0
    warned = [text for text in outcome.warnings if "were not pushed" in text]
    assert len(warned) == 1
    assert warned[0].startswith("the metrics of extract, train, evaluate, publish were not pushed: ")
    assert "Connection refused" in warned[0]
    assert outcome.run_id is not None
    kept = Unpushed.from_json(case.store.get(keys.unpushed(outcome.run_id)), "push.json")
    assert "Connection refused" in kept.reason
    assert kept.at <= datetime.now(UTC)
    assert not any(b"hunter22" in path.read_bytes() for path in case.folder.rglob("*") if path.is_file())

"""`refit plan`: says what the next run then does, and changes nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from refit.core import environment, keys
from refit.core.domain import LockRef, VerdictRef
from refit.core.lock import this_process
from refit.core.refs import move_ref, read_ref
from refit.core.step import read_run
from refit.core.store import open_store
from refit.run.kubernetes import KubernetesExecutor
from tests.faults.case import FIRST, SECOND, Case, edited
from tests.fixtures import loans
from tests.fixtures.calls import Called, call
from tests.fixtures.cluster import FakeCluster

ROWS = loans.ROWS_PER_DAY


@pytest.fixture(autouse=True)
def _settings(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFIT_SOURCE_DSN", case.dsn)
    monkeypatch.chdir(tmp_path)
    case.sql("ANALYZE loans")


def plan(case: Case, *words: str, days: float = SECOND, file: bytes = loans.FILE) -> Called:
    Path("refit.yaml").write_bytes(file)
    as_of = loans.at(days).isoformat()
    before = sorted(str(listed) for listed in case.store.list(""))
    called = call("plan", "refit.yaml", "--store", case.url, "--as-of", as_of, *words)
    assert sorted(str(listed) for listed in case.store.list("")) == before
    return called


def test_a_plan_tells_what_the_run_then_does(case: Case) -> None:
    document = plan(case, "--json").document
    outcome = case.good()
    assert document["read"]["rows"] == pytest.approx(outcome.rows.read, rel=0.1)
    assert document["rows"]["window"] == pytest.approx(outcome.rows.snapshot, rel=0.1)
    assert document["rows"]["clean"] == pytest.approx(outcome.rows.clean, rel=0.1)
    assert (document["read"]["after"], document["fresh_reason"]) == ("2026-02-12T00:00:00Z", None)
    assert document["window"] == {"after": "2026-01-22T00:00:00Z", "until": "2026-03-05T00:00:00Z"}
    assert document["champion"] == {"version": outcome.previous_champion, "as_of": "2026-02-12T00:00:00Z"}
    assert document["may_be_skipped"] is False
    assert set(document["steps"]) == {"extract", "train", "evaluate", "publish"}
    assert document["measured_runs"] == 1


def test_a_plan_tells_the_gain_that_the_rows_would_find(case: Case) -> None:
    outcome = case.good()
    assert outcome.verdict is not None
    found = outcome.verdict.checks[0].detectable
    document = plan(case, "--json", days=SECOND + 7).document
    assert document["gate"] == [
        {"score": "neg_log_loss", "line": "min_gain", "limit": 0.0, "detectable": pytest.approx(found, rel=0.1)}
    ]


def test_the_lines_of_a_plan(case: Case) -> None:
    case.good()
    called = plan(case, days=SECOND + 7)
    assert called.code == 0
    told = {line[:13].strip(): line[13:] for line in called.out.splitlines()[1:] if line[:13].strip()}
    assert list(told) == ["window", "reads", "compares", "gate", "then", "takes", "on failure", "next"]
    assert "by EXPLAIN, with applied_at after 2026-03-05 00:00 UTC and up to 2026-03-12 00:00 UTC" in told["reads"]
    assert f"the snapshot of {case.champion.version} goes on: then about 1," in called.out
    assert told["compares"].startswith(f"with {case.champion.version}, as of 2026-03-05 00:00 UTC, on about ")
    assert "is found 4 times in 5" in called.out
    assert told["then"] == "an accepted candidate is promoted"
    assert told["takes"].endswith("by the last 2 whole runs")
    assert told["next"] == "refit run refit.yaml"


def test_a_plan_tells_how_often_a_step_is_tried_and_until_when(case: Case) -> None:
    case.good()
    file = edited(slo={"max_age": "3d"})
    told = plan(case, "--json", days=SECOND + 7, file=file).document["on_failure"]
    assert (told["action"], told["max_age_seconds"], told["ends"]) == ("retry", 259200.0, "objective")
    assert told["attempts"] == len(told["pauses_seconds"]) + 1 == 19
    assert told["until"] < told["ends_at"]
    out = plan(case, days=SECOND + 7, file=file).out
    assert "a step is tried up to 19 times until 20" in out
    assert "before the objective (3d) breaks, at 20" in out


def test_a_plan_tells_how_long_a_search_may_take(case: Case) -> None:
    search = {"n_iter": 9, "cv": 3, "time_budget": "10m", "space": {"C": {"loguniform": [0.1, 9.0]}}}
    file = edited(model={"search": search})
    assert plan(case, "--json", file=file).document["search"] == {
        "combinations": 10,
        "folds": 3,
        "time_budget_seconds": 600.0,
    }
    assert "train searches C: 10 combinations on 3 folds, 10m at most" in plan(case, file=file).out
    endless = edited(model={"search": {"space": {"C": [1, 2]}}})
    assert "train searches C: 3 combinations on 5 folds, no time_budget" in plan(case, file=endless).out
    assert plan(case, "--json").document["search"] is None


@pytest.mark.parametrize(
    ("file", "words", "reason"),
    [
        (edited(source={"overlap": "1d", "query": "SELECT *, 1 AS one FROM loans"}), [], "query, key, cursor"),
        (loans.FILE, ["--full-refresh"], "--full-refresh"),
        (edited(window={"length": "70d"}), [], "the window is longer"),
    ],
    ids=["query", "asked", "window"],
)
def test_a_fresh_start_is_told_with_its_reason(case: Case, file: bytes, words: list[str], reason: str) -> None:
    document = plan(case, "--json", *words, file=file).document
    assert reason in document["fresh_reason"]
    assert document["snapshot"] is None
    assert document["read"]["rows"] == pytest.approx((63 if b"70d" in file else 42) * ROWS, rel=0.15)
    assert f"afresh: {document['fresh_reason']}" in plan(case, *words, file=file).out


def test_before_the_first_run_the_opponent_is_a_dummy(empty: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFIT_SOURCE_DSN", empty.dsn)
    empty.store.delete(keys.ref("champion"))
    bare = Case(empty.dsn, f"{empty.url}-bare", empty.scratch)
    document = plan(bare, "--json", days=FIRST).document
    assert (document["champion"], document["fresh_reason"]) == (None, "the first extract")
    assert (document["rows"]["clean"], document["steps"], document["measured_runs"]) == (None, {}, 0)
    out = plan(bare, days=FIRST).out
    assert "with a dummy" in out
    assert "not known before a first whole run" in out


def test_nothing_new_is_told_as_a_skip(case: Case) -> None:
    outcome = case.good("skipped", days=FIRST)
    document = plan(case, "--json", days=FIRST).document
    assert (document["may_be_skipped"], document["read"]) == (True, None)
    assert outcome.rows.read == 0
    out = plan(case, days=FIRST).out
    assert "reads      nothing" in out
    assert "the run is skipped unless 1 new row came" in out
    assert document["images_assumed"] is False
    assert "image" not in out


def on_a_cluster(case: Case, image: str) -> None:
    """The last verdict is made one of a run whose steps ran as Jobs."""
    found = read_ref(case.store, "verdict", VerdictRef)
    assert found is not None
    run = read_run(case.store, found[0].run_id)
    cluster = FakeCluster()
    container = cluster.cron_jobs["fd-train"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    container["image"] = image
    with TemporaryDirectory() as folder:
        executor = KubernetesExecutor(cluster, open_store(f"file://{folder}"), "fd")
        images = executor.environment("loans", run.run_id)
    case.store.put(keys.run_record(run.run_id), run.model_copy(update={"environment": images}).to_json())
    ref = found[0].model_copy(update={"token": "t", "environment_digest": environment.digest(images)})
    move_ref(case.store, "verdict", ref, found[1])


def test_a_pipeline_of_a_cluster_is_planned_for_with_the_images_of_its_last_verdict(case: Case) -> None:
    on_a_cluster(case, "refit-train:7")
    document = plan(case, "--json", days=FIRST).document
    assert (document["may_be_skipped"], document["images_assumed"]) == (True, True)
    out = plan(case, days=FIRST).out
    assert "the run is skipped unless 1 new row came" in out
    assert "whether an image of the release changed is seen when the run begins" in out
    assert out.rstrip().endswith(".yaml --executor kubernetes")
    other = plan(case, "--json", days=FIRST, file=edited(evaluate={"max_shift": 0.4})).document
    assert (other["may_be_skipped"], other["images_assumed"]) == (False, True)


def test_a_verdict_whose_run_is_gone_is_one_of_this_machine(case: Case) -> None:
    on_a_cluster(case, "refit-train:7")
    found = read_ref(case.store, "verdict", VerdictRef)
    assert found is not None
    case.store.delete(keys.run_record(found[0].run_id))
    document = plan(case, "--json", days=FIRST).document
    assert (document["may_be_skipped"], document["images_assumed"]) == (False, False)


def test_a_hold_and_a_run_that_goes_on_are_told(case: Case) -> None:
    case.good()
    call("rollback", "loans", "--store", case.url, "--reason", "late")
    found = read_ref(case.store, "lock", LockRef)
    assert found is not None
    lock = LockRef(token="t", generation=9, holder=this_process("20260101t000000-busy"), ttl_seconds=60)
    move_ref(case.store, "lock", lock, found[1])
    document = plan(case, "--json").document
    assert "on hold" in document["approval"]
    assert document["lock"] == "20260101t000000-busy"
    assert "this one would wait for it" in plan(case).out


def test_a_pipeline_of_another_owner_cannot_be_planned_for(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFIT_OWNER", "prod/ml/loans")
    assert plan(case, "--json").document["error"]["type"] == "OtherOwner"


@pytest.mark.parametrize(("owner", "end"), [("eu/flights/fd", " --executor kubernetes"), ("blue", "")])
def test_what_a_release_owns_is_run_on_its_cluster(
    case: Case, monkeypatch: pytest.MonkeyPatch, owner: str, end: str
) -> None:
    case.store.delete(keys.ref("owner"))
    monkeypatch.setenv("REFIT_OWNER", owner)
    last = plan(case).out.splitlines()[-1]
    assert last.startswith("  next")
    assert last.endswith(f".yaml{end}")


def test_a_time_to_come_cannot_be_planned_for(case: Case) -> None:
    called = plan(case, "--json", days=99_999)
    assert (called.code, called.document["error"]["class"]) == (64, "config")


@pytest.mark.parametrize(
    ("words", "file", "code"),
    [
        ("ALTER TABLE loans DROP COLUMN defaulted", loans.FILE, 65),
        ("SELECT 1", edited(source={"query": "SELECT * FROM loans WHERE"}), 64),
    ],
    ids=["column-gone", "syntax"],
)
def test_what_a_run_would_fail_of_fails_the_plan(case: Case, words: str, file: bytes, code: int) -> None:
    case.sql(words)
    assert plan(case, "--json", file=file).code == code

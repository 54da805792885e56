"""`refit run` before and after the runner: what it refuses, how it tells how a run ended."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from refit.cli import executors
from refit.core import hand
from refit.core.domain import Failure, LockRef, Manifest, StepName, Termination
from refit.core.errors import TerminatedError
from refit.core.lock import this_process
from refit.core.refs import move_ref
from refit.core.runs import read_outcome, run_ids
from refit.core.store import ObjectStore
from refit.run.executor import Attempt, Ended, OfThisMachine
from tests.fixtures.calls import Call
from tests.fixtures.past_runs import FIRST, put_promoted
from tests.fixtures.records import (
    FILE,
    NOW,
    evaluate_manifest,
    extract_manifest,
    publish_manifest,
    put_manifest,
    put_version,
    train_manifest,
    verdict,
)

OUTCOME_KEYS = {
    "format",
    "pipeline",
    "run_id",
    "parent",
    "outcome",
    "as_of",
    "version",
    "champion",
    "previous_champion",
    "fell_back",
    "confirmed",
    "attempts",
    "rows",
    "verdict",
    "scores",
    "steps",
    "report",
    "warnings",
    "error",
    "exit_code",
    "finished_at",
}

Makers = dict[StepName, Callable[[str], Manifest]]
MAKERS: Makers = {
    "extract": extract_manifest,
    "train": train_manifest,
    "evaluate": evaluate_manifest,
    "publish": publish_manifest,
}


class Acted(OfThisMachine):
    """An executor whose steps write these manifests, but for one that ends otherwise."""

    def __init__(
        self, root: ObjectStore, makers: Makers, step: StepName | None, end: Callable[[], Ended] | None
    ) -> None:
        self._root, self._makers, self._step, self._end = root, MAKERS | makers, step, end

    def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
        tell(json.dumps({"event": "progress", "text": "half way"}))
        if attempt.step == self._step and self._end:
            return self._end()
        put_manifest(self._root.under(f"{attempt.pipeline}/"), self._makers[attempt.step](attempt.run_id))
        return Ended(0, None, b"")

    def close(self) -> None:
        pass


Act = Callable[..., None]


@pytest.fixture
def act(root: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Act:
    """Sets what the steps of the next run do; the file refit.yaml stands."""
    Path("refit.yaml").write_bytes(FILE)

    def sets(step: StepName | None = None, end: Callable[[], Ended] | None = None, **makers: object) -> None:
        monkeypatch.setattr(executors, "LocalExecutor", lambda: Acted(root, makers, step, end))  # type: ignore[arg-type]

    sets()
    return sets


def failed(code: int, error_class: str, **fields: str) -> Callable[[], Ended]:
    given = {"type": "ColumnGone", "message": 'column "temp" is gone', "next": "add the column"} | fields
    failure = Failure(error_class=error_class, exit_code=code, step="extract", **given)
    words = Termination(
        step="extract", run_id="r", attempt="t", number=1, failure=failure, seconds=0.0, max_rss_bytes=0
    )
    return lambda: Ended(code, words, b"")


def test_a_promotion_is_answered_in_one_line_and_told_step_by_step(act: Act, call: Call) -> None:
    called = call("run", "refit.yaml", "--as-of", "2013-02-01")
    assert called.code == 0
    assert called.out.startswith("promoted in ") and called.out.endswith("store/loans/report\n")
    told = [line.split()[0] for line in called.err.splitlines()]
    assert told == ["loans", "extract", "train", "evaluate", "neg_log_loss", "publish"]
    assert "as of 2013-02-01 00:00 UTC" in called.err


def test_the_document_of_a_run_is_the_one_of_cli_md(act: Act, root: ObjectStore, call: Call) -> None:
    document = call("run", "refit.yaml", "--as-of", "2013-02-01", "--json").document
    assert set(document) == OUTCOME_KEYS
    assert document["outcome"] == "promoted" and document["as_of"] == "2013-02-01T00:00:00Z"
    assert set(document["rows"]) == {
        "read",
        "new",
        "quarantined",
        "snapshot",
        "unlabelled",
        "train",
        "holdout",
        "clean",
        "refit",
    }
    assert set(document["steps"]) == {"extract", "train", "evaluate", "publish"}
    assert {"seconds", "attempts", "max_rss_bytes"} <= set(document["steps"]["train"])
    check = document["verdict"]["checks"][0]
    assert {"name", "result", "candidate", "baseline", "gain", "interval", "reason"} <= set(check)
    stored = read_outcome(root.under("loans/"), document["run_id"])
    assert stored is not None and stored.model_dump(mode="json", by_alias=True) == document


@pytest.mark.parametrize(
    ("makers", "answer"),
    [
        (
            {
                "evaluate": lambda run: evaluate_manifest(run, verdict=verdict("rejected", reason="no gain.")),
                "publish": lambda run: publish_manifest(run, outcome="rejected", champion=FIRST),
            },
            "rejected: no gain; production stays as it is",
        ),
        (
            {"extract": lambda run: extract_manifest(run, skipped=True, snapshot=None)},
            "skipped: too few new rows since the last verdict, and nothing else changed; production stays as it is",
        ),
        (
            {
                "evaluate": lambda run: evaluate_manifest(run, verdict=verdict(needs_approval="labels shifted")),
                "publish": lambda run: publish_manifest(run, outcome="awaiting_approval", champion=FIRST),
            },
            "awaiting approval: labels shifted; production stays as it is",
        ),
    ],
    ids=["rejected", "skipped", "awaiting"],
)
def test_other_good_ends_are_exit_0(
    makers: dict[str, object], answer: str, act: Act, store: ObjectStore, call: Call
) -> None:
    put_promoted(store, FIRST)
    act(**makers)
    called = call("run", "refit.yaml")
    assert called.code == 0
    assert called.out.splitlines()[0] == answer


def test_a_wait_for_approval_names_the_hold(act: Act, store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    put_version(store, "20261113t070000-bbbb")
    hand.rollback(store, "20261113t070000-bbbb", who="me", why="late flights are missed", now=NOW)
    act(publish=lambda run: publish_manifest(run, outcome="awaiting_approval", champion=FIRST))
    out = call("run", "refit.yaml").out.splitlines()
    assert "promotions are on hold: late flights are missed" in out[0]
    assert out[1].startswith("to promote it:  refit promote loans ")


def test_a_failure_ends_with_its_block_and_its_code(act: Act, store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    act("extract", failed(65, "data"))
    called = call("run", "refit.yaml")
    assert (called.code, called.out) == (65, "")
    block = called.err.splitlines()[1:]
    run_id = list(run_ids(store))[-1]
    assert block[0] == 'failed in extract: column "temp" is gone'
    assert block[1].startswith(f"  champion  {FIRST} stays in production, ")
    assert block[2:] == [
        f"  next      add the column, then:  refit rerun loans {run_id} --file refit.yaml",
        "exit 65 (the data breaks its contract, not retried)",
    ]


def test_a_failure_in_json_is_the_same_document_with_the_error(act: Act, call: Call) -> None:
    act("extract", failed(65, "data"))
    document = call("run", "refit.yaml", "--json").document
    assert set(document) == OUTCOME_KEYS
    assert (document["outcome"], document["exit_code"]) == ("failed", 65)
    assert document["error"] == {
        "class": "data",
        "type": "ColumnGone",
        "step": "extract",
        "exit_code": 65,
        "message": 'column "temp" is gone',
        "next": f"add the column, then:  refit rerun loans {document['run_id']} --file refit.yaml",
    }


def test_a_superseded_run_is_79(act: Act, call: Call) -> None:
    act("publish", failed(79, "superseded", message="the champion was moved", next="run again"))
    called = call("run", "refit.yaml", "--json")
    assert (called.code, called.document["outcome"]) == (79, "superseded")
    assert called.err.splitlines()[-3].startswith("superseded in extract: the champion was moved")


def test_a_run_of_another_owner_is_64_until_it_adopts_the_pipeline(
    act: Act, root: ObjectStore, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", "refit.yaml").code == 0
    monkeypatch.setenv("REFIT_OWNER", "green")
    refused = call("run", "refit.yaml", "--json")
    assert (refused.code, refused.document["run_id"], refused.document["error"]["type"]) == (64, None, "OtherOwner")
    assert call("run", "refit.yaml", "--adopt").code == 0
    assert call("run", "refit.yaml").code == 0
    monkeypatch.delenv("REFIT_OWNER")
    assert call("run", "refit.yaml").code == 64


def test_a_run_that_is_asked_to_end_is_143_and_its_outcome_stands(act: Act, store: ObjectStore, call: Call) -> None:
    def ended() -> Ended:
        raise TerminatedError("ended by SIGTERM")

    act("train", ended)
    called = call("run", "refit.yaml", "--json")
    assert called.code == 143
    document = called.document
    assert (document["outcome"], document["error"]["class"], document["exit_code"]) == ("failed", "killed", 143)
    assert document["error"]["step"] == "train"
    assert called.err.splitlines()[-1].startswith("exit 143 (")
    assert read_outcome(store, document["run_id"]) is not None


def test_ctrl_c_is_143_too(act: Act, call: Call) -> None:
    def interrupted() -> Ended:
        raise KeyboardInterrupt

    act("train", interrupted)
    assert call("run", "refit.yaml").code == 143


def test_without_the_lock_no_run_is_recorded_and_the_end_is_79(act: Act, store: ObjectStore, call: Call) -> None:
    lock = LockRef(token="t", generation=1, holder=this_process(FIRST), ttl_seconds=60)
    move_ref(store, "lock", lock, None)
    called = call("run", "refit.yaml", "--wait", "0", "--json")
    assert called.code == 79
    document = called.document
    assert set(document) == OUTCOME_KEYS
    assert (document["run_id"], document["outcome"], document["error"]["class"]) == (None, "failed", "superseded")
    assert document["pipeline"] == "loans"
    assert "--wait" in document["error"]["next"]
    assert list(run_ids(store)) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "refit.yaml", "--executor", "kubernetes"], "which steps in pods cannot reach"),
        (["run", "gone.yaml"], "there is no file gone.yaml"),
        (["run", "."], "is a folder"),
        (["run", "bad.yaml"], "bad.yaml"),
        (["run", "refit.yaml", "--as-of", "2999-01-01"], "lies in the future"),
        (["run", "refit.yaml", "--store", "ftp://x"], "ftp"),
    ],
    ids=["kubernetes", "gone", "folder", "faults", "future", "store"],
)
def test_what_cannot_run_is_refused_with_64_and_nothing_is_recorded(
    words: list[str], said: str, act: Act, store: ObjectStore, call: Call
) -> None:
    Path("bad.yaml").write_text("apiVersion: refit/v1\nname: x\nsuorce: {}\n")
    called = call(*words, "--json")
    assert called.code == 64
    assert said in called.document["error"]["message"] + called.document["error"]["next"]
    assert called.document["outcome"] == "failed"
    assert list(run_ids(store)) == []


def test_every_fault_of_the_file_is_in_the_block(act: Act, call: Call) -> None:
    Path("bad.yaml").write_text("apiVersion: refit/v1\nname: Bad Name\nsuorce: {}\ntask: binray\n")
    err = call("run", "bad.yaml").err
    assert "suorce" in err and "binray" in err and "DNS label" in err

"""`refit rerun` as it is called and told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from refit.cli import executors
from refit.core.domain import LockRef, StepName
from refit.core.lock import this_process
from refit.core.refs import move_ref
from refit.core.runs import run_ids
from refit.core.store import ObjectStore
from tests.fixtures.calls import Call
from tests.fixtures.past_runs import FIRST, SECOND, put_failed, put_promoted
from tests.fixtures.records import FILE, NOW, extract_manifest, file, put_manifest, put_run, run_record
from tests.unit.cli.test_run import OUTCOME_KEYS, Acted, failed


@pytest.fixture
def act(root: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def sets(step: StepName | None = None, code: int = 75) -> None:
        end = failed(code, "dependency", next="look at the bucket") if step else None
        monkeypatch.setattr(executors, "LocalExecutor", lambda: Acted(root, {}, step, end))

    sets()
    return sets


def put_failed_in_train(store: ObjectStore, run_id: str) -> None:
    """A run that left its extract, and was settled as killed."""
    put_run(store, run_record(run_id))
    put_manifest(store, extract_manifest(run_id))


def test_a_rerun_says_what_it_repeats_and_takes_over(act: Callable[..., None], store: ObjectStore, call: Call) -> None:
    put_failed_in_train(store, FIRST)
    called = call("rerun", "loans", "--reason", "more memory")
    assert called.code == 0
    assert called.out.startswith("promoted in ")
    told = called.err.splitlines()
    assert told[1] == f"  repeats {FIRST}"
    assert told[2] == f"  extract    taken over from {FIRST}"
    shown = call("show", "loans", "@latest").out
    assert f"repeats    {FIRST}, whose extract it takes over" in shown
    assert f"extract    done by {FIRST}" in shown
    assert "more memory" in shown


def test_the_log_of_a_step_that_was_taken_over_is_found(
    act: Callable[..., None], store: ObjectStore, call: Call
) -> None:
    put_failed_in_train(store, FIRST)
    call("rerun", "loans")
    assert f"refit logs loans {FIRST} extract" in call("logs", "loans", "@latest", "extract").err


def test_a_rerun_answers_as_a_run_does_and_names_its_parent(
    act: Callable[..., None], store: ObjectStore, call: Call
) -> None:
    put_failed_in_train(store, FIRST)
    document = call("rerun", "loans", "--json").document
    assert set(document) == OUTCOME_KEYS
    assert (document["parent"], document["outcome"]) == (FIRST, "promoted")
    assert document["steps"]["extract"] == {"seconds": 0, "attempts": 0, "max_rss_bytes": 0, "reused_from": FIRST}
    assert call("runs", "loans", "--json").document["runs"][0]["parent"] == FIRST


def test_a_rerun_that_fails_again_names_itself_as_what_to_repeat(
    act: Callable[..., None], store: ObjectStore, call: Call
) -> None:
    put_failed_in_train(store, FIRST)
    act("train", 64)
    called = call("rerun", "loans", "--json")
    again = list(run_ids(store))[-1]
    assert called.code == 64
    assert called.document["error"]["next"] == f"look at the bucket, then:  refit rerun loans {again}"


def test_a_changed_file_is_taken_and_what_that_means_is_told(
    act: Callable[..., None], store: ObjectStore, call: Call
) -> None:
    put_failed_in_train(store, FIRST)
    Path("new.yaml").write_bytes(file(window={"kind": "rolling", "length": "9d"}))
    err = call("rerun", "loans", "--file", "new.yaml").err
    assert "extract and all after it are done again: window changed in the file  note" in err
    assert "taken over" not in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lones"], 64, "did you mean loans?"),
        (["loans", "20261113t070000-bbbc"], 64, "did you mean 20261113t070000-bbbb?"),
        (["loans", "--from", "predict"], 64, "extract"),
        (["loans", "--file", "gone.yaml"], 64, "there is no file gone.yaml"),
        (["loans", "--file", "cars.yaml"], 64, "pipeline cars"),
        (["loans", "--executor", "kubernetes"], 64, "which steps in pods cannot reach"),
        (["loans"], 64, "refit runs loans --failed"),
    ],
    ids=["name", "run", "step", "no-file", "other-file", "executor", "nothing-failed"],
)
def test_what_cannot_be_repeated_is_refused_and_nothing_is_recorded(
    words: list[str], code: int, said: str, act: Callable[..., None], store: ObjectStore, call: Call
) -> None:
    put_failed(store, FIRST)
    put_promoted(store, SECOND)
    Path("cars.yaml").write_bytes(FILE.replace(b"name: loans", b"name: cars"))
    called = call("rerun", *words, "--json")
    assert called.code == code
    assert said in called.document["error"]["message"] + called.document["error"]["next"]
    assert list(run_ids(store)) == [FIRST, SECOND]


def test_a_run_that_goes_on_is_not_repeated(act: Callable[..., None], store: ObjectStore, call: Call) -> None:
    put_run(store, run_record(FIRST, created_at=NOW))
    move_ref(store, "lock", LockRef(token="t", generation=1, holder=this_process(FIRST), ttl_seconds=60), None)
    called = call("rerun", "loans", FIRST, "--json")
    assert (called.code, called.document["error"]["class"]) == (79, "superseded")
    assert f"run {FIRST} is going on" in called.document["error"]["message"]

"""`refit runs`, `show`, `logs`, `history`: what was."""

import json

import pytest

from refit.core import hand, keys
from refit.core.domain import STEPS
from refit.core.store import ObjectStore
from tests.fixtures.calls import Call
from tests.fixtures.past_runs import FIRST, SECOND, THIRD, put_awaiting, put_failed, put_promoted, put_rejected
from tests.fixtures.records import NOW, put_manifest, put_run, run_record, searched, train_manifest


@pytest.fixture
def three(store: ObjectStore) -> ObjectStore:
    """A promoted run, a refused one, a failed one."""
    put_promoted(store, FIRST)
    put_rejected(store, SECOND)
    put_failed(store, THIRD)
    return store


# --- runs ---------------------------------------------------------------------


def test_runs_are_listed_newest_first_with_outcome_and_reason(three: ObjectStore, call: Call) -> None:
    lines = call("runs", "loans").out.splitlines()
    assert [line.split()[0] for line in lines] == ["RUN", THIRD, SECOND, FIRST]
    assert "failed" in lines[1] and 'extract: column "temp" is gone' in lines[1]
    assert "rejected" in lines[2] and "0.006 worse" in lines[2]
    assert "promoted" in lines[3] and "5.9 s" in lines[3] and "2026-11-20 07:00 UTC" in lines[3]


def test_failed_and_limit_choose(three: ObjectStore, call: Call) -> None:
    put_run(three, run_record("20261121t070000-dddd"))
    assert [one["outcome"] for one in call("runs", "loans", "--failed", "--json").document["runs"]] == [
        "dead",
        "failed",
    ]
    assert [one["run_id"] for one in call("runs", "loans", "--limit", "2", "--json").document["runs"]][1] == THIRD
    assert len(call("runs", "loans", "--limit", "0", "--json").document["runs"]) == 4
    assert "settles it" in call("runs", "loans").err


def log_of(store: ObjectStore, run_id: str, number: int, *entries: dict[str, object] | str) -> None:
    """The attempt of extract logged these lines."""
    told = [
        entry if isinstance(entry, str) else json.dumps({"timestamp": "2026-11-20T07:00:01Z"} | entry)
        for entry in entries
    ]
    store.create(keys.attempt_log(run_id, "extract", number), "\n".join(told).encode())


def test_failed_runs_are_told_with_class_message_log_and_next_command(three: ObjectStore, call: Call) -> None:
    log_of(three, THIRD, 1, {"event": "an earlier try"})
    noise: list[dict[str, object] | str] = [{"event": f"line {number}"} for number in range(20)]
    log_of(three, THIRD, 2, *noise, {"event": "failed", "level": "error", "exception": "Traceback\n  boom"}, "x" * 900)
    called = call("runs", "loans", "--failed")
    lines = called.out.splitlines()
    assert called.code == 0
    assert lines[0] == f"{THIRD}  failed  2026-11-20 07:00 UTC  data: the data breaks its contract"
    assert lines[1] == '  extract: column "temp" is gone from the query\'s result'
    assert lines[2] == "  log of extract, attempt 2, its end:"
    assert len(lines[3:-1]) == 10
    assert lines[-3:-1] == ["      boom", f"    {'x' * 400}…"]
    assert lines[-1].startswith("  next  add the column or take it out of the file, then:  refit rerun loans 2026")
    assert "an earlier try" not in called.out and "line 0" not in called.out


def test_failed_runs_in_json_have_the_same(three: ObjectStore, call: Call) -> None:
    log_of(three, THIRD, 1, {"event": "failed"}, "plain")
    put_run(three, run_record("20261121t070000-dddd"))
    dead, failed = call("runs", "loans", "--failed", "--json").document["runs"]
    assert (dead["class"], dead["log"], dead["next"]) == ("killed", None, "refit rerun loans 20261121t070000-dddd")
    assert (failed["class"], failed["error"]["message"]) == ("data", 'column "temp" is gone from the query\'s result')
    assert failed["log"] == {
        "step": "extract",
        "attempt": 1,
        "lines": [{"timestamp": "2026-11-20T07:00:01Z", "event": "failed"}, "plain"],
    }
    assert failed["next"].endswith(f"refit rerun loans {THIRD}")
    assert set(failed) == set(call("runs", "loans", "--json").document["runs"][1]) | {"class", "next", "log"}


def test_a_run_in_json_has_these_keys(three: ObjectStore, call: Call) -> None:
    document = call("runs", "loans", "--json").document
    assert set(document) == {"format", "pipeline", "runs"}
    assert set(document["runs"][0]) == {
        "run_id",
        "outcome",
        "parent",
        "as_of",
        "created_at",
        "created_by",
        "finished_at",
        "exit_code",
        "new_rows",
        "reason",
        "error",
    }


def test_a_run_that_was_killed_before_its_record_is_listed_too(store: ObjectStore, call: Call) -> None:
    store.put(keys.pipeline_file(FIRST), b"x")
    called = call("runs", "loans")
    assert called.code == 0
    assert called.out.splitlines()[1].split()[:3] == [FIRST, "-", "dead"]


def test_a_pipeline_without_failed_runs_says_so(store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    called = call("runs", "loans", "--failed")
    assert (called.code, called.out) == (0, "")
    assert "no failed run of loans" in called.err


# --- show ---------------------------------------------------------------------


def test_show_tells_verdict_reasons_rows_steps_report_and_files(three: ObjectStore, call: Call) -> None:
    shown = call("show", "loans", FIRST).out
    for expected in (
        f"loans  run {FIRST}  promoted",
        "started    2026-11-20 07:00 UTC by tests",
        "verdict    accepted: neg_log_loss is 0.02 better",
        "gain 0.020 [0.012, 0.028]  better",
        "10 read, 10 new",
        "train      1 attempt",
        "store/loans/report",
        "file       model",
    ):
        assert expected in shown


def test_show_tells_what_a_search_chose_and_where_it_is_told(three: ObjectStore, call: Call) -> None:
    key = keys.manifest(FIRST, "train")
    three.delete(key)
    put_manifest(three, train_manifest(FIRST, search=searched()))
    shown = call("show", "loans", FIRST).out
    assert "  search     C = 0.05, solver = saga, neg_log_loss -0.412" in shown
    assert f"  file       {searched().table.key}  " in shown


def test_show_says_what_a_person_must_decide(store: ObjectStore, call: Call) -> None:
    put_awaiting(store, FIRST)
    shown = call("show", "loans", "@latest").out
    assert "awaiting approval" in shown and "a person decides: the new labels contradict the old" in shown


def test_show_of_a_failed_run_ends_with_its_block(three: ObjectStore, call: Call) -> None:
    called = call("show", "loans", "@latest")
    assert called.code == 0
    assert 'failed in extract: column "temp" is gone' in called.out
    assert called.out.rstrip().endswith("exit 65 (the data breaks its contract, not retried)")


def test_show_in_json_has_record_outcome_and_manifests(three: ObjectStore, call: Call) -> None:
    document = call("show", "loans", FIRST, "--json").document
    assert set(document) == {"format", "pipeline", "run_id", "state", "run", "outcome", "manifests"}
    assert tuple(document["manifests"]) == STEPS
    assert document["outcome"]["verdict"]["checks"][0]["interval"] == [0.012, 0.028]
    assert document["run"]["as_of"] == "2026-11-20T07:00:00Z"


def test_show_of_an_unknown_run_is_64(three: ObjectStore, call: Call) -> None:
    called = call("show", "loans", "x")
    assert (called.code, called.out) == (64, "")


# --- logs ---------------------------------------------------------------------


@pytest.fixture
def logged(three: ObjectStore) -> ObjectStore:
    """Logs of two attempts of extract, and one of train."""

    def line(**fields: object) -> str:
        return json.dumps({"timestamp": "2026-11-20T07:00:01Z", "level": "info", "run_id": FIRST} | fields) + "\n"

    for step, number, text in (
        ("extract", 1, line(event="failed", level="error", exception="Traceback\n  boom")),
        ("extract", 2, line(event="progress", text="10,000 rows") + "plain words\n"),
        ("extract", 10, line(event="x", rows=5)),
        ("train", 1, line(event="done")),
    ):
        three.create(keys.attempt_log(FIRST, step, number), text.encode())
    return three


def test_logs_are_told_in_the_order_of_steps_and_attempts(logged: ObjectStore, call: Call) -> None:
    out = call("logs", "loans", FIRST).out.splitlines()
    assert [line for line in out if line.startswith("--")] == [
        "-- extract, attempt 1",
        "-- extract, attempt 2",
        "-- extract, attempt 10",
        "-- train, attempt 1",
    ]
    assert out[1:4] == ["07:00:01  error   failed", "Traceback", "  boom"]
    assert out[5:7] == ["07:00:01  info    10,000 rows", "plain words"]
    assert out[8] == "07:00:01  info    x  rows=5"


def test_logs_of_one_step(logged: ObjectStore, call: Call) -> None:
    assert call("logs", "loans", FIRST, "train").out.splitlines() == ["-- train, attempt 1", "07:00:01  info    done"]


def test_logs_in_json_keep_each_line(logged: ObjectStore, call: Call) -> None:
    document = call("logs", "loans", FIRST, "extract", "--json").document
    assert set(document) == {"format", "pipeline", "run_id", "logs"}
    assert [(log["step"], log["attempt"]) for log in document["logs"]] == [
        ("extract", 1),
        ("extract", 2),
        ("extract", 10),
    ]
    assert document["logs"][1]["lines"][1] == "plain words"
    assert document["logs"][1]["lines"][0]["text"] == "10,000 rows"


def test_a_run_without_logs_says_so(three: ObjectStore, call: Call) -> None:
    called = call("logs", "loans", "@latest")
    assert (called.code, called.out, called.err) == (0, "", "no log is stored\n")


# --- history ------------------------------------------------------------------


def test_history_tells_every_move_oldest_first(store: ObjectStore, call: Call) -> None:
    put_promoted(store, FIRST)
    put_promoted(store, SECOND)
    hand.rollback(store, None, who="ada", why="late flights are missed", now=NOW)
    lines = call("history", "loans").out.splitlines()
    assert lines[0].split() == ["MOVE", "WHEN", "HOW", "FROM", "TO", "WHO", "WHY"]
    assert lines[3].split(maxsplit=8)[4:] == ["rollback", SECOND, FIRST, "ada", "late flights are missed"]
    entries = call("history", "loans", "--json").document["history"]
    assert [(one["generation"], one["kind"], one["from"], one["to"]) for one in entries] == [
        (1, "publish", None, FIRST),
        (2, "publish", FIRST, SECOND),
        (3, "rollback", SECOND, FIRST),
    ]


def test_history_of_nothing_is_calm(store: ObjectStore, call: Call) -> None:
    put_failed(store, FIRST)
    assert call("history", "loans", "--json").document == {"format": 1, "pipeline": "loans", "history": []}
    assert "nothing of loans was promoted yet" in call("history", "loans").err

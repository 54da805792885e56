"""A run in lines: what each step's line says, and how a run's end is worded."""

from datetime import timedelta
from typing import Any

import pytest

from refit.cli import story
from refit.core.domain import Check, Failure, Holder, Manifest, Move, Opponent, Outcome, Rows, Verdict
from refit.run.events import StepFailed, Waiting
from tests.fixtures.records import (
    NOW,
    evaluate_manifest,
    extract_manifest,
    publish_manifest,
    run_record,
    searched,
    train_manifest,
    verdict,
)

RUN = "20261120t070000-aaaa"


def told(manifest: Manifest) -> list[str]:
    return [f"{line.text}  {line.word}".rstrip() for line in story.done(manifest)]


def test_the_head_names_pipeline_run_and_as_of() -> None:
    assert story.started(run_record(), local=False).text == f"loans  run {RUN}  as of 2026-11-20 07:00 UTC"


def test_extract_counts_new_quarantined_and_window_rows_and_its_seconds() -> None:
    rows = Rows(read=5460, new=5213, quarantined=3, snapshot=41822)
    (line,) = told(extract_manifest(RUN, rows=rows, finished_at=NOW + timedelta(seconds=1.23)))
    assert line == f"  {'extract':11}{'5,213 new rows (3 quarantined), 41,822 in the window':62}    1.2 s"


def test_extract_says_why_it_read_the_window_afresh() -> None:
    lines = told(extract_manifest(RUN, fresh=True, fresh_reason="the query changed"))
    assert lines[1].strip() == "read afresh: the query changed"
    assert "10 new rows, 10 in the window" in lines[0]


def test_a_skipped_extract_says_how_few_rows_there_were() -> None:
    (line,) = told(extract_manifest(RUN, skipped=True, new_since_verdict=1, snapshot=None))
    assert "1 new row since the last verdict: too few" in line


def test_train_names_the_estimator_shortly_and_its_rows() -> None:
    assert "LogisticRegression on 33,410 rows" in told(train_manifest(RUN, rows=33410))[0]


def test_train_tells_what_its_search_chose() -> None:
    lines = told(train_manifest(RUN, search=searched()))
    assert lines[1].strip().startswith("search: C = 0.05, solver = saga, neg_log_loss -0.412")


def test_warnings_of_a_step_stand_below_it() -> None:
    lines = told(train_manifest(RUN, warnings=("did not converge",)))
    assert lines[1].strip() == "did not converge  warning"


def check(**fields: object) -> Check:
    given: dict[str, object] = {"name": "x", "result": "accepted", "reason": "r", "candidate": -0.412, "limit": 0.0}
    return Check(**given | fields)


GAIN = check(
    score="neg_log_loss", line="min_gain", against="champion", baseline=-0.43, gain=0.018, interval=(0.012, 0.024)
)
FLOOR = check(score="roc_auc", line="min", limit=0.6, candidate=0.7131)


def test_checks_stand_in_columns_with_interval_and_result() -> None:
    manifest = evaluate_manifest(RUN, baseline="v0", rows_clean=8412, verdict=verdict(checks=(GAIN, FLOOR)))
    lines = told(manifest)
    assert "8,412 rows that neither model has seen" in lines[0]
    assert " ".join(lines[1].split()) == "neg_log_loss -0.412 champion -0.430 gain 0.018 [0.012, 0.024] better"
    assert " ".join(lines[2].split()) == "roc_auc 0.713 (at least 0.600) ok"
    assert lines[1].index("-0.412") == lines[2].index("0.713")


def test_the_first_model_meets_a_dummy() -> None:
    assert "a first model meets a dummy" in told(evaluate_manifest(RUN))[0]
    lost = Opponent(version="v0", role="champion", state="unusable", reason="x")
    assert "without a champion to compare it meets a dummy" in told(evaluate_manifest(RUN, opponents=(lost,)))[0]


def test_hints_of_a_check_stand_below_it() -> None:
    lines = told(evaluate_manifest(RUN, verdict=verdict(checks=(GAIN.model_copy(update={"hints": ("block: week",)}),))))
    assert lines[2].strip() == "block: week"


def test_a_check_without_figures_still_has_a_line() -> None:
    bare = check(score="roc_auc", line="min_gain", against="champion", result="inconclusive", candidate=None)
    assert told(evaluate_manifest(RUN, verdict=verdict(checks=(bare,))))[1].endswith("not proven better")


@pytest.mark.parametrize(
    ("line", "limit", "result", "word"),
    [
        ("min", 0.6, "accepted", "ok"),
        ("min", 0.6, "rejected", "too low"),
        ("max", 0.6, "rejected", "too high"),
        ("min_gain", 0.0, "accepted", "better"),
        ("min_gain", 0.0, "rejected", "worse"),
        ("min_gain", 0.01, "rejected", "too small"),
        ("min_gain", 0.0, "inconclusive", "not proven better"),
        ("max_loss", 0.01, "accepted", "no worse"),
        ("max_loss", 0.01, "rejected", "worse"),
        ("max_loss", 0.01, "inconclusive", "not proven"),
    ],
)
def test_a_result_is_a_word(line: str, limit: float, result: str, word: str) -> None:
    assert story.check_word(check(score="s", line=line, limit=limit, result=result)) == word


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"outcome": "promoted", "champion": RUN, "previous_champion": "v0"}, f"champion is now {RUN} (was v0)"),
        ({"outcome": "promoted", "champion": RUN}, f"champion is now {RUN}, the first"),
        ({"outcome": "rejected", "champion": "v0"}, "champion stays v0"),
        ({"outcome": "rejected", "champion": None}, "there is no champion yet"),
        ({"outcome": "awaiting_approval", "champion": "v0"}, "version waits for approval; champion stays v0"),
    ],
    ids=["moved", "first", "stays", "none", "waits"],
)
def test_publish_says_what_the_champion_is_now(fields: dict[str, object], text: str) -> None:
    assert text in told(publish_manifest(RUN, **fields))[0]


def test_an_attempt_that_is_repeated_says_when_and_the_last_one_says_nothing() -> None:
    failure = Failure(error_class="dependency", type="X", step="extract", exit_code=75, message="no answer\nfrom db")
    line = story.tried(StepFailed("extract", 1, failure, 5.0))
    assert line is not None and line.text.endswith("no answer from db; again in 5.0 s")
    assert story.tried(StepFailed("extract", 3, failure, None)) is None


def test_waiting_names_the_run_that_goes_on() -> None:
    holder = Holder(run_id="r1", host="h", process=1, process_started="0")
    assert story.waiting(Waiting(holder, 120.0)).text == "run r1 is going on; waiting up to 2 min 0 s for it to end"


# --- the end ------------------------------------------------------------------


def outcome(**fields: object) -> Outcome:
    given: dict[str, object] = {
        "pipeline": "loans",
        "run_id": RUN,
        "outcome": "promoted",
        "as_of": NOW,
        "version": RUN,
        "champion": "v0",
        "finished_at": NOW,
    }
    return Outcome(**given | fields)


def ended(of: Outcome, report: str | None = "r.html", why: str = "a person decides") -> list[str]:
    return [line.text for line in story.ending(of, 5.94, report, why)]


def test_a_promotion_is_one_line_with_time_and_report() -> None:
    assert ended(outcome()) == ["promoted in 5.9 s   report: r.html"]


def test_a_refusal_says_why_in_one_sentence_and_that_production_stays() -> None:
    verdict = Verdict(result="rejected", reason="neg_log_loss is 0.006 worse than the champion's [-0.011, -0.001].")
    assert ended(outcome(outcome="rejected", verdict=verdict)) == [
        "rejected: neg_log_loss is 0.006 worse than the champion's [-0.011, -0.001]; production stays as it is",
        "report: r.html",
    ]


def test_a_refused_first_candidate_leaves_no_champion() -> None:
    refused = outcome(outcome="rejected", verdict=Verdict(result="rejected", reason="no gain"), champion=None)
    assert ended(refused, report=None) == ["rejected: no gain; there is no champion yet"]


def test_a_skipped_run_says_why() -> None:
    (line,) = ended(outcome(outcome="skipped", version=None), report=None)
    assert line.startswith("skipped: too few new rows") and line.endswith("production stays as it is")


@pytest.mark.parametrize(
    ("needs", "why", "said"),
    [("the new labels contradict the old", "x", "the new labels contradict the old"), (None, "on hold", "on hold")],
    ids=["verdict", "people"],
)
def test_awaiting_approval_says_why_and_how_to_promote(needs: str | None, why: str, said: str) -> None:
    verdict = Verdict(result="accepted", reason="better", needs_approval=needs)
    lines = ended(outcome(outcome="awaiting_approval", verdict=verdict), report=None, why=why)
    assert lines == [
        f"awaiting approval: {said}; production stays as it is",
        f"to promote it:  refit promote loans {RUN} --reason '…'",
    ]


def test_why_it_waits_names_the_hold_before_the_setting() -> None:
    hold = {"since": NOW, "who": "me", "why": "late flights are missed"}
    move = Move.model_validate(
        {
            "token": "t",
            "generation": 2,
            "kind": "rollback",
            "from": "b",
            "to": "a",
            "at": NOW,
            "who": "me",
            "why": "w",
            "as_of": NOW,
            "anchor": "a",
            "hold": hold,
        }
    )
    assert "late flights are missed" in story.why_waiting(move, "manual", "loans")
    assert "refit release loans" in story.why_waiting(move, "auto", "loans")
    assert "manual" in story.why_waiting(None, "manual", "loans")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"state": "stored"}, "v0", id="as it was"),
        pytest.param(
            {"state": "stored", "changes": ("numpy was 1 and is 2", "x"), "asked_rows": 200},
            "v0: numpy was 1 and is 2; x; of 200 rows it says what it said",
            id="asked again",
        ),
        pytest.param(
            {"state": "rebuilt", "without": ("temp", "wind"), "reason": "y"},
            "v0, by a stand-in rebuilt from its snapshot without temp, wind",
            id="rebuilt",
        ),
        pytest.param({"state": "unusable", "reason": "y"}, "v0, which cannot be compared", id="unusable"),
    ],
)
def test_how_an_opponent_took_part_is_told(fields: dict[str, Any], expected: str) -> None:
    assert story.opponent_words(Opponent(version="v0", role="champion", **fields)) == expected


def test_a_champion_of_other_libraries_stands_below_the_checks() -> None:
    changed = Opponent(version="v0", role="champion", state="stored", changes=("numpy was 1 and is 2",), asked_rows=9)
    lines = told(evaluate_manifest(RUN, opponents=(changed,)))
    assert lines[-1].strip() == "the champion v0: numpy was 1 and is 2; of 9 rows it says what it said"
    assert len(told(evaluate_manifest(RUN, opponents=(changed.model_copy(update={"changes": ()}),)))) == len(lines) - 1

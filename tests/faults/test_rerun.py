"""`refit rerun`: a new run from where another one stopped, on what that one left, verified (faults 58 and 59)."""

import shutil
import signal
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from refit.core import hand, keys
from refit.core.addresses import file_url
from refit.core.domain import (
    STEPS,
    LockRef,
    Outcome,
    SnapshotRef,
    StepName,
)
from refit.core.refs import read_ref
from refit.core.runs import doer, read_outcome
from refit.core.step import read_run
from tests.faults.case import SECOND, THIRD, Case, edited, failed_as
from tests.faults.gates import Gate, wait_until
from tests.faults.test_crash import champion_facts, moments
from tests.faults.test_killed import INSIDE, signalled
from tests.faults.test_retention import age
from tests.fixtures import invariants, loans
from tests.fixtures.calls import call

OTHER_MODEL = edited(model={"params": {"C": 0.5}})


def failed_in(case: Case, step: StepName) -> str:
    """A run that failed because each try of the step was killed."""
    done = case.run(inject=partial(signalled, INSIDE[step], signal.SIGKILL, None), retry_seconds=())
    assert done.code == 75
    assert done.outcome is not None
    assert done.outcome.error is not None
    assert done.outcome.error.step == step
    return str(done.outcome.run_id)


def ended(case: Case, outcome: Outcome | None, expected: str, parent: str) -> Outcome:
    assert outcome is not None
    assert (outcome.outcome, outcome.parent) == (expected, parent), outcome
    assert outcome.run_id not in (None, parent)
    assert LockRef.from_json(case.store.get(keys.ref("lock")), "lock").holder is None
    return outcome


def reused(outcome: Outcome) -> list[str]:
    return [step for step, took in outcome.steps.items() if took.reused_from]


@pytest.mark.parametrize("step", STEPS)
def test_a_rerun_goes_on_from_the_step_that_failed_and_ends_as_the_run_would_have(case: Case, step: StepName) -> None:
    whole = case.copied()
    parent = failed_in(case, step)
    outcome = ended(case, case.again().outcome, "promoted", parent)
    assert outcome.run_id is not None
    before = list(STEPS[: STEPS.index(step)])
    assert reused(outcome) == before
    assert all(outcome.steps[name].reused_from == parent for name in before)
    assert not {moment for moment in case.passed if "sql" in moment and step != "extract"}
    run = read_run(case.store, outcome.run_id)
    assert (run.as_of, run.parent) == (loans.at(SECOND), parent)
    assert case.champion.version == case.champion.anchor == outcome.version == outcome.run_id
    if step == "publish":
        whole.good()
        assert champion_facts(case.store) == champion_facts(whole.store)


def test_the_run_after_a_rerun_reads_on_and_compares_with_its_model(case: Case) -> None:
    failed_in(case, "evaluate")
    repaired = case.again().outcome
    assert repaired is not None
    assert repaired.run_id is not None
    later = case.good(days=THIRD)
    assert (later.previous_champion, later.rows.new) == (repaired.run_id, (THIRD - SECOND) * loans.ROWS_PER_DAY - 1)
    extract = case.extract_of(repaired)
    assert doer(extract) != repaired.run_id
    found = read_ref(case.store, "snapshot", SnapshotRef)
    assert found is not None
    assert found[0].run_id == later.run_id


def test_of_two_reruns_at_once_one_goes_on_and_one_gives_way(case: Case) -> None:
    parent = failed_in(case, "evaluate")
    before = set(case.runs)
    gate = Gate(case.scratch, "before create versions/")
    first = case.start_again(inject=gate.inject)
    gate.wait_until_reached()
    runs = case.runs
    (going_on,) = set(runs) - before
    failed_as(case.start_again(wait_seconds=0.0).done(), 79, "superseded LockBusy", going_on, "--wait")
    patient = case.start_again()
    wait_until(case.waits.exists, "another rerun waits")
    gate.open()
    outcome = first.done().outcome
    failed_as(patient.done(), 64, "config NothingFailed", going_on, "promoted", "refit rerun NAME RUN_ID")
    ended(case, outcome, "promoted", parent)  # now that nobody holds the lock any more
    assert case.runs == runs
    assert case.champion.generation == 2
    invariants.check(case.store)


@pytest.mark.parametrize(
    ("failed", "asked", "file", "taken", "note"),
    [
        pytest.param("evaluate", None, edited(schedule={"cron": "0 5 * * 1"}), ["extract", "train"], "", id="unread"),
        pytest.param("evaluate", None, OTHER_MODEL, ["extract"], "train and all after it", id="model"),
        pytest.param("publish", None, edited(source={"overlap": "1d"}), [], "extract and all after it", id="source"),
        pytest.param("train", None, OTHER_MODEL, ["extract"], "", id="only-of-the-step-itself"),
        pytest.param("publish", "train", loans.FILE, ["extract"], "", id="asked"),
    ],
)
def test_a_step_is_taken_over_only_where_the_file_says_the_same_to_it(
    case: Case, failed: StepName, asked: StepName | None, file: bytes, taken: list[str], note: str
) -> None:
    parent = failed_in(case, failed)
    outcome = ended(case, case.again(None, asked, file).outcome, "promoted", parent)
    assert outcome.run_id is not None
    assert reused(outcome) == taken
    run = read_run(case.store, outcome.run_id)
    assert case.store.get(run.file.key) == file
    assert [text for text in run.notes if note not in text or not note] == []
    assert outcome.warnings[: len(run.notes)] == run.notes
    assert case.train_of(outcome).params == ({"C": 0.5} if file == OTHER_MODEL else {})


def test_a_verdict_on_a_champion_that_was_moved_since_is_reached_again(case: Case) -> None:
    parent = failed_in(case, "publish")
    first = case.champion
    case.promote(parent) if case.store.exists(keys.version(parent)) else case.good("promoted", days=SECOND - 7)
    assert case.champion.generation > first.generation
    outcome = case.again(parent).outcome
    assert outcome is not None
    assert reused(outcome) == ["extract", "train"]
    assert any("another one since" in text for text in outcome.warnings)
    assert outcome.outcome in ("promoted", "rejected")
    assert case.evaluate_of(outcome).champion_generation == first.generation + 1


@pytest.mark.parametrize(
    ("start", "expected"), [(None, "superseded"), ("extract", "skipped")], ids=["from-where-it-failed", "from-extract"]
)
def test_a_rerun_of_a_run_that_a_newer_model_has_overtaken_moves_nothing(
    case: Case, start: StepName | None, expected: str
) -> None:
    parent = failed_in(case, "train")
    case.good(days=THIRD)
    standing = {name: case.store.get(keys.ref(name)) for name in ("champion", "verdict", "snapshot")}
    done = case.again(parent, start)
    outcome = ended(case, done.outcome, expected, parent)
    assert outcome.as_of == loans.at(SECOND)
    if expected == "superseded":
        failed_as(done, 79, "superseded Superseded", "newer as_of")
    assert standing == {name: case.store.get(keys.ref(name)) for name in ("champion", "verdict", "snapshot")}
    assert case.extract_of(outcome).rows.snapshot == 42 * loans.ROWS_PER_DAY


def test_a_run_that_ended_well_is_repeated_when_it_is_named_and_proves_nothing_twice(case: Case) -> None:
    promoted = case.good()
    assert promoted.run_id is not None
    failed_as(case.again(), 64, "config NothingFailed", promoted.run_id)
    again = ended(case, case.again(promoted.run_id, "train").outcome, "rejected", promoted.run_id)
    assert again.verdict is not None
    assert again.verdict.result == "inconclusive"
    assert case.champion.version == promoted.run_id


@pytest.mark.parametrize(
    ("failed", "lost", "start", "harm"),
    [
        ("train", "runs/{}/extract.json", "extract", "gone"),
        ("train", "data/{}/*/part-*.parquet", "extract", "gone"),
        ("train", "data/{}/*/part-*.parquet", "extract", "altered"),
        ("evaluate", "runs/{}/train/*/model.skops", "train", "altered"),
        ("publish", "runs/{}/evaluate/*/report.html", "evaluate", "gone"),
    ],
    ids=["manifest-gone", "part-gone", "part-altered", "model-altered", "report-gone"],
)
def test_what_the_parent_left_must_be_there_unaltered(
    case: Case, failed: StepName, lost: str, start: StepName, harm: str
) -> None:
    parent = failed_in(case, failed)
    path = next(case.folder.glob(lost.format(parent)))
    case.harmed.add(str(path.relative_to(case.folder)))
    if harm == "gone":
        path.unlink()
    else:
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-9] + b"otherwise")
    runs = case.runs
    done = case.start_again().done()
    if harm == "altered" and lost.startswith("data/"):  # found when the rows are read
        failed_as(done, 66, "artifact WrongDigest")
        return
    again = f"refit rerun NAME {parent} --from {start}" if start != "extract" else "refit run FILE --full-refresh"
    failed_as(done, 66, "artifact NotReusable", parent, again)
    assert case.runs == runs
    assert LockRef.from_json(case.store.get(keys.ref("lock")), "lock").holder is None
    if start == "extract":
        case.good(full_refresh=True)
    else:
        ended(case, case.again(parent, start).outcome, "promoted", parent)


def test_a_manifest_must_be_the_one_that_the_version_names(case: Case) -> None:
    gate = Gate(case.scratch, "before swap refs/champion.json")
    first = case.start(inject=gate.inject)
    gate.wait_until_reached()
    parent = case.runs[-1]
    first.process.kill()
    first.done()
    manifest = case.folder / keys.manifest(parent, "train")
    manifest.chmod(0o600)
    manifest.write_bytes(manifest.read_bytes() + b" ")
    failed_as(case.again(), 66, "artifact NotReusable", f"{parent}/train.json", f"{parent} --from train")


@pytest.mark.parametrize(
    ("run_id", "file", "kind", "words"),
    [
        pytest.param("20260101t000000-none", None, "RunUnknown", "20260101t000000-none", id="unknown-run"),
        pytest.param(None, None, "NothingFailed", "ended well (promoted)", id="nothing-failed"),
        pytest.param(None, b"name: loans", "InvalidFile", "apiVersion", id="bad-file"),
        pytest.param("@", edited(name="cars"), "OtherPipeline", "pipeline cars", id="file-of-another"),
    ],
)
def test_what_cannot_be_repeated_starts_no_run_and_frees_the_lock(
    case: Case, run_id: str | None, file: bytes | None, kind: str, words: str
) -> None:
    runs = case.runs
    if kind == "InvalidFile":
        run_id = runs[0]
    done = case.again(runs[0] if run_id == "@" else run_id, None, file)
    failed_as(done, 64, f"config {kind}", words)
    assert (done.outcome, case.runs) == (None, runs)
    assert LockRef.from_json(case.store.get(keys.ref("lock")), "lock").holder is None


def test_a_run_whose_coordinator_was_killed_is_settled_and_repeated(case: Case) -> None:
    gate = Gate(case.scratch, "before swap refs/champion.json")
    first = case.start(inject=gate.inject)
    gate.wait_until_reached()
    dead = case.runs[-1]
    first.process.kill()
    first.done()
    outcome = ended(case, case.again().outcome, "promoted", dead)
    assert reused(outcome) == ["extract", "train", "evaluate"]
    settled = read_outcome(case.store, dead)
    assert settled is not None
    assert (settled.outcome, settled.exit_code) == ("failed", 75)


@pytest.mark.parametrize("after", ["promoted", "rolled back"])
def test_a_person_who_moves_the_champion_during_a_rerun_comes_first(case: Case, after: str) -> None:
    old = case.champion.version
    newer = case.good(days=SECOND - 7).run_id
    parent = failed_in(case, "publish")
    gate = Gate(case.scratch, "before create versions/")
    going_on = case.start_again(inject=gate.inject)
    gate.wait_until_reached()
    if after == "promoted":
        case.promote(old)
    else:
        hand.rollback(case.store, None, who="a person", why="looked at it", now=datetime.now(UTC))
    gate.open()
    done = going_on.done()
    failed_as(done, 79, "superseded Superseded", "the champion was moved", "refit rerun NAME")
    superseded = ended(case, done.outcome, "superseded", parent).run_id
    assert (case.champion.version, case.champion.generation) == (old, 3)
    assert newer != old
    again = case.again().outcome  # the newest run did not end well
    assert again is not None
    assert (again.parent, reused(again)) == (superseded, ["extract", "train"])
    assert again.outcome == ("promoted" if after == "promoted" else "awaiting_approval")
    invariants.check(case.store)


def test_gc_gives_way_to_a_rerun(case: Case) -> None:
    failed_in(case, "evaluate")
    gate = Gate(case.scratch, "before create versions/")
    going_on = case.start_again(inject=gate.inject)
    gate.wait_until_reached()
    refused = call("gc", "loans", "--store", case.url, "--json", "--wait", "0")
    gate.open()
    assert refused.code == 79
    assert going_on.done().code == 0
    assert call("gc", "loans", "--store", case.url, "--json").code == 0
    invariants.check(case.store)


def test_gc_keeps_what_a_rerun_took_over(case: Case) -> None:
    parent = failed_in(case, "publish")
    outcome = ended(case, case.again().outcome, "promoted", parent)
    case.good(days=THIRD)
    age(case, 365)
    collected = call("gc", "loans", "--store", case.url, "--json")
    assert collected.code == 0
    assert keys.run_record(parent) not in {listed.key for listed in case.store.list(keys.RUNS)}
    invariants.check(case.store)
    back = hand.rollback(case.store, None, who="a person", why="looked at it", now=datetime.now(UTC))
    assert back.version == outcome.run_id
    assert case.store.exists(case.extract_of(outcome).reused.key)  # type: ignore[union-attr]


@pytest.mark.timeout(300)
def test_a_rerun_killed_at_any_effect_is_made_good_by_the_next(case: Case, tmp_path: Path) -> None:
    parent = failed_in(case, "publish")
    before = tmp_path / "before"
    shutil.copytree(tmp_path / "store", before)
    ended(case, case.again().outcome, "promoted", parent)
    passed, facts = tuple(case.passed), champion_facts(case.store)
    assert {moment for moment in passed if "create runs/" in moment and "extract.json" in moment}
    for number in moments(passed):
        folder = tmp_path / f"killed-{number}"
        shutil.copytree(before, folder / "store")
        copy = Case(case.dsn, file_url(folder / "store"), folder)
        told = f"killed {passed[number]} (effect {number})"
        copy.start_again(kill_at=number).done()
        next_one = copy.start_again().done()
        settled = next_one.failure is not None and next_one.failure.type == "NothingFailed"  # it had made its move
        assert next_one.code == 0 or settled, (told, next_one)
        invariants.check(copy.store)
        assert champion_facts(copy.store) == facts, told
        shutil.rmtree(folder)

"""`refit exclude`: what it takes, says, lists and refuses."""

from datetime import timedelta

import pytest

from refit.core import exclusions, keys
from refit.core.domain import Artifact, Batch, Column, Part, Snapshot
from refit.core.store import ObjectStore
from tests.fixtures.calls import Call
from tests.fixtures.past_runs import FIRST, put_watermark
from tests.fixtures.records import NOW, extract_manifest, put_manifest, put_run, run_record

COLUMNS = (
    Column(name="loan_id", database_type="bigint", type="int64"),
    Column(name="applied_at", database_type="timestamp with time zone", type="timestamp[us, tz=UTC]"),
)
WHERE = "applied_at between '2026-02-19' and '2026-02-26'"


@pytest.fixture
def read(store: ObjectStore) -> ObjectStore:
    """A run has read rows of two columns."""
    put_run(store, run_record(FIRST))
    snapshot = Snapshot(source_digest="d", refreshed_at=NOW, watermark=NOW, columns=COLUMNS)
    put_manifest(store, extract_manifest(FIRST, snapshot=snapshot))
    put_watermark(store, FIRST, NOW)
    return store


def test_rows_are_left_out_with_who_and_why_and_how_to_take_it_back(read: ObjectStore, call: Call) -> None:
    called = call("exclude", "loans", "--where", WHERE, "--reason", "a broken join")
    assert called.code == 0
    assert called.out == "exclusion 1 leaves 0 of the 0 rows in the window out of loans from the next run on\n"
    assert "refit exclude loans --undo 1 --reason" in called.err
    (made,) = exclusions.standing(read)
    assert (made.where, made.who, made.why) == (WHERE, "tests", "a broken join")


def test_an_exclusion_in_json_is_the_exclusion(read: ObjectStore, call: Call) -> None:
    document = call("exclude", "loans", "--where", WHERE, "--reason", "a broken join", "--json").document
    assert set(document) == {"format", "pipeline", "exclusion", "rows"}
    assert document["exclusion"] == exclusions.standing(read)[0].model_dump(mode="json")
    assert document["rows"] == {"window": 0, "excluded": 0}


def test_the_newest_or_the_named_one_is_taken_back(read: ObjectStore, call: Call) -> None:
    for number in (1, 2, 3):
        call("exclude", "loans", "--where", f"loan_id = {number}", "--reason", "odd")
    newest = call("exclude", "loans", "--undo", "--reason", "right after all")
    assert newest.out == "exclusion 3 of loans is taken back: loan_id = 3\n"
    document = call("exclude", "loans", "--undo", "1", "--reason", "right after all", "--json").document
    assert document["exclusion"]["undone"]["why"] == "right after all"
    assert [one.number for one in exclusions.standing(read)] == [2]


def test_all_are_listed_with_what_became_of_them(read: ObjectStore, call: Call) -> None:
    assert call("exclude", "loans").err == "nothing of loans is excluded\n"
    call("exclude", "loans", "--where", "loan_id = 1", "--reason", "odd")
    call("exclude", "loans", "--where", "loan_id = 2", "--reason", "odd too")
    call("exclude", "loans", "--undo", "1", "--reason", "right after all")
    head, first, second = call("exclude", "loans").out.splitlines()
    assert head.split() == ["NO", "STANDS", "WHEN", "WHO", "ROWS", "WHY"]
    assert first.startswith("1   no") and "odd; taken back by tests: right after all" in first
    assert second.startswith("2   yes") and second.endswith("loan_id = 2  odd too")
    document = call("exclude", "loans", "--json").document
    assert [entry["number"] for entry in document["exclusions"]] == [1, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--where", "landed = 1", "--reason", "r"], '"landed" is no column of the rows (character 1'),
        (["--where", "loan_id = 'a'", "--reason", "r"], "is compared with a number"),
        (["--where", "loan_id = 1 or loan_id = 2", "--reason", "r"], "joined by and alone (character 13"),
        (["--where", WHERE], "say why: --reason TEXT"),
        (["--where", WHERE, "--reason", "  "], "say why in a few words"),
        (["--undo"], "say why: --reason TEXT"),
        (["--undo", "--reason", "r"], "no exclusion stands"),
        (["--undo", "x", "--reason", "r"], "'x' is not a valid integer"),
        (["--where", WHERE, "--undo", "--reason", "r"], "do not go together"),
        (["--reason", "r"], "--reason goes with --where or --undo"),
    ],
    ids=["column", "type", "or", "why", "blank", "why-undo", "none", "number", "both", "reason"],
)
def test_what_makes_no_sense_is_64_and_changes_nothing(
    words: list[str], said: str, read: ObjectStore, call: Call
) -> None:
    called = call("exclude", "loans", *words)
    assert called.code == 64
    assert said in called.err
    assert not read.exists(keys.ref("exclusions"))


def test_without_rows_there_are_no_columns_to_speak_of(store: ObjectStore, call: Call) -> None:
    put_run(store, run_record(FIRST))
    called = call("exclude", "loans", "--where", WHERE, "--reason", "r")
    assert called.code == 64
    assert "no run of loans has read rows" in called.err


def test_rows_that_cannot_be_counted_are_left_out_all_the_same(store: ObjectStore, call: Call) -> None:
    put_run(store, run_record(FIRST))
    lost = Artifact(key="data/lost.parquet", size=1, sha256="0" * 64)
    part = Part(artifact=lost, rows=3, cursor_min=NOW - timedelta(days=9), cursor_max=NOW - timedelta(days=1))
    batch = Batch(run_id=FIRST, as_of=NOW, read=3, new=3, parts=(part,))
    snapshot = Snapshot(source_digest="d", refreshed_at=NOW, watermark=NOW, columns=COLUMNS, batches=(batch,))
    put_manifest(store, extract_manifest(FIRST, snapshot=snapshot))
    put_watermark(store, FIRST, NOW)
    called = call("exclude", "loans", "--where", "loan_id = 1", "--reason", "odd", "--json")
    assert (called.code, called.document["rows"]) == (0, None)
    assert "the rows cannot be counted: data/lost.parquet is not in" in called.err
    assert len(exclusions.standing(store)) == 1

"""`refit diff`: two runs side by side."""

import pyarrow as pa
import pytest

from refit.core import keys
from refit.core.artifacts import describe
from refit.core.domain import Rows
from refit.core.environment import of_images
from refit.core.step import read_run
from refit.core.store import ObjectStore
from refit.data.profiler import Profiler
from tests.fixtures.calls import Call
from tests.fixtures.past_runs import FIRST, SECOND, THIRD, put_failed
from tests.fixtures.records import (
    FILE,
    NOW,
    evaluate_manifest,
    extract_manifest,
    file,
    put_manifest,
    put_run,
    run_record,
    train_manifest,
)

EDITED = file(window={"kind": "rolling", "length": "9d"})


def put(store: ObjectStore, run_id: str, body: bytes, table: pa.Table, new: int, auc: float, **versions: str) -> None:
    """A run that scored its candidate, with the profile of what it read."""
    kept = describe(keys.pipeline_file(run_id), body)
    put_run(store, run_record(run_id, file=kept, environment={"python": "3.11.7", "numpy": "2.0"} | versions))
    store.put(kept.key, body)
    profiler = Profiler(table.schema)
    for batch in table.to_batches():
        profiler.add(batch)
    profile = store.put(f"data/{run_id}/t/profile.json", profiler.profile().to_json())
    put_manifest(store, extract_manifest(run_id, rows=Rows(read=new, new=new, snapshot=90), profile=profile))
    put_manifest(store, train_manifest(run_id))
    put_manifest(store, evaluate_manifest(run_id, scores={"candidate": {"roc_auc": auc}}))


@pytest.fixture
def two(store: ObjectStore) -> ObjectStore:
    before = pa.table({"income": [1.0, 2.0, 3.0, 4.0], "region": ["N", "N", "S", "S"], "old": [1, 2, 3, 4]})
    after = pa.table({"income": [1.0, 20.0, 30.0, None], "region": ["N", "N", "S", "S"], "late": [1, 2, 3, 4]})
    put(store, FIRST, FILE, before, 4, 0.71)
    put(store, SECOND, EDITED, after, 5, 0.73, numpy="2.1", polars="1")
    return store


def test_two_runs_are_told_side_by_side_with_the_largest_changes_first(two: ObjectStore, call: Call) -> None:
    called = call("diff", "loans", FIRST, "@latest")
    assert called.code == 0
    assert called.out.splitlines() == [
        "loans",
        f"  A          {FIRST}  dead  as of 2026-11-20 07:00 UTC",
        f"  B          {SECOND}  dead  as of 2026-11-20 07:00 UTC",
        "  file       @@ -10,2 +10,5 @@",
        "              target: defaulted",
        "              task: binary",
        "             +window:",
        "             +  kind: rolling",
        "             +  length: 9d",
        "  rows       read 4 → 5, new 4 → 5, snapshot 90, train 8, holdout 2, clean 2",
        "  columns    COLUMN  CHANGE  NULL            VALUES",
        "             old     went                    int64",
        "             late    came                    int64",
        "             income  0.67    0.0 % → 25.0 %  mean 2.500 → 17.00, median 2.065 → 20.33",
        "             and 1 column that changed less: --json has them all",
        "  scores     MODEL      SCORE    A → B          GAIN",
        "             candidate  roc_auc  0.710 → 0.730  +0.020",
        "             each run scores on its own clean rows: the gate alone compares on the same ones",
        "  versions   numpy 2.0 → 2.1",
        "             polars none → 1",
    ]


def test_the_document_has_all_of_it_and_nothing_of_bins(two: ObjectStore, call: Call) -> None:
    document = call("diff", "loans", FIRST, SECOND, "--json").document
    assert set(document) == {
        "format",
        "pipeline",
        "a",
        "b",
        "file",
        "rows",
        "columns",
        "params",
        "scores",
        "versions",
    }
    assert (document["a"]["run_id"], document["b"]["run_id"]) == (FIRST, SECOND)
    assert document["file"]["same"] is False
    assert "+  length: 9d" in document["file"]["diff"]
    assert document["rows"]["new"] == [4, 5]
    assert [one["name"] for one in document["columns"]] == ["old", "late", "income", "region"]
    income = document["columns"][2]
    assert (income["state"], income["a"]["mean"], income["b"]["nulls"]) == ("stays", 2.5, 1)
    assert "bins" not in income["a"]
    assert document["params"] == {}
    assert document["scores"] == {"candidate": {"roc_auc": [0.71, 0.73]}}
    assert document["versions"] == {"numpy": ["2.0", "2.1"], "polars": [None, "1"]}


def test_parameters_that_a_search_chose_otherwise_are_told(two: ObjectStore, call: Call) -> None:
    for run_id, params in ((FIRST, {"C": 0.5, "tol": 0.1}), (SECOND, {"C": 0.05, "tol": 0.1, "solver": "saga"})):
        two.delete(keys.manifest(run_id, "train"))
        put_manifest(two, train_manifest(run_id, params=params))
    document = call("diff", "loans", FIRST, SECOND, "--json").document
    assert document["params"] == {"C": [0.5, 0.05], "solver": [None, "saga"]}
    out = call("diff", "loans", FIRST, SECOND).out
    assert "  params     C 0.5 → 0.05\n             solver default → saga\n" in out


def in_images(store: ObjectStore, run_id: str, train: str, **inside: str) -> None:
    """The run is made one whose steps ran as Jobs, with these libraries inside."""
    kept = read_run(store, run_id)
    images = of_images({"extract": "refit-extract:1", "train": train})
    store.put(keys.run_record(run_id), kept.model_copy(update={"environment": images}).to_json())
    store.delete(keys.manifest(run_id, "train"))
    put_manifest(store, train_manifest(run_id, environment=inside))


def test_runs_in_images_are_told_apart_by_images_and_what_is_in_them(two: ObjectStore, call: Call) -> None:
    in_images(two, FIRST, "refit-train:1", numpy="2.0", pandas="2.3")
    in_images(two, SECOND, "refit-train:2", numpy="2.1", pandas="2.3")
    document = call("diff", "loans", FIRST, SECOND, "--json").document
    assert document["versions"] == {"image of train": ["refit-train:1", "refit-train:2"], "numpy": ["2.0", "2.1"]}


@pytest.mark.parametrize("inside", [FIRST, SECOND])
def test_a_run_in_images_and_one_of_a_machine_are_compared_by_what_both_tell(
    two: ObjectStore, call: Call, inside: str
) -> None:
    in_images(two, inside, "refit-train:1", numpy="1.26", machine="riscv")
    was, is_ = ("1.26", "2.1") if inside == FIRST else ("2.0", "1.26")
    assert call("diff", "loans", FIRST, SECOND, "--json").document["versions"] == {"numpy": [was, is_]}


def test_a_run_against_itself_has_no_difference(two: ObjectStore, call: Call) -> None:
    out = call("diff", "loans", SECOND, SECOND).out
    for words in ("file       the same", "columns    no column changed", "the same Python and libraries", "+0.000"):
        assert words in out


def test_a_run_that_read_nothing_is_compared_in_all_else(two: ObjectStore, call: Call) -> None:
    put_failed(two, THIRD)
    called = call("diff", "loans", SECOND, THIRD)
    assert called.code == 0
    assert f"not compared: {THIRD} read no rows, or the profile is gone" in called.out
    document = call("diff", "loans", SECOND, THIRD, "--json").document
    assert document["columns"] is None
    assert document["scores"]["candidate"]["roc_auc"] == [0.73, None]


def test_a_profile_or_file_that_is_gone_hides_nothing_else(two: ObjectStore, call: Call) -> None:
    two.delete(f"data/{FIRST}/t/profile.json")
    two.delete(keys.pipeline_file(FIRST))
    out = call("diff", "loans", FIRST, SECOND).out
    assert "one of the two is gone" in out
    assert f"not compared: {FIRST}" in out
    assert "0.710 → 0.730" in out


@pytest.mark.parametrize("words", [["loans", FIRST, "20990101t000000-none"], ["loans", FIRST], ["cars", FIRST, SECOND]])
def test_what_is_not_there_is_64(words: list[str], two: ObjectStore, call: Call) -> None:
    assert call("diff", *words, "--json").code == 64


def test_times_are_told_by_their_last(store: ObjectStore, call: Call) -> None:
    put(store, FIRST, FILE, pa.table({"at": [NOW, None]}), 2, 0.7)
    put(store, SECOND, FILE, pa.table({"at": [NOW, NOW]}), 2, 0.7)
    assert "at      0.50    50.0 % → 0.0 %  2026-11-20T07:00:00+00:00" in call("diff", "loans", FIRST, SECOND).out

"""A champion that cannot be compared makes a person decide; what merely keeps it from being read does not."""

import importlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from refit.core.errors import AccessError, DependencyError, DiskError
from tests.faults.case import FIRST, SECOND, THIRD, Case, edited
from tests.fixtures import loans

FAILS_WITH = {
    "away": DependencyError("the bucket is away"),
    "full": DiskError("the disk is full"),
    "denied": AccessError("the bucket denies it"),
}


def the_champion_is_out_of_reach() -> None:
    """Reading the champion fails, once in the whole run."""
    registry = importlib.import_module("refit.core.registry")
    real, flag = registry.read_version, Path(os.environ["TESTS_FLAG"])

    def read_version(*given: Any) -> Any:
        if not flag.exists():
            flag.touch()
            raise FAILS_WITH[os.environ["TESTS_FAILURE"]]
        return real(*given)

    vars(registry)["read_version"] = read_version


def unreachable(case: Case, failure: str) -> dict[str, Any]:
    settings = {"TESTS_FLAG": str(case.scratch / "flag"), "TESTS_FAILURE": failure}
    return {"begin": the_champion_is_out_of_reach, "settings": settings}


@pytest.mark.parametrize("failure", ["away", "full"])
def test_a_champion_out_of_reach_for_a_moment_is_read_again(case: Case, failure: str) -> None:
    assert case.good(**unreachable(case, failure)).steps["evaluate"].attempts == 2


def test_a_champion_that_may_not_be_read_fails_the_run(case: Case) -> None:
    done = case.run(**unreachable(case, "denied"))
    assert done.code == 77
    assert case.good().outcome == "promoted"


def the_champion_says_nan_of_new_rows() -> None:
    newcomers = importlib.import_module("refit.evaluate.newcomers")
    real = newcomers.collect

    def collect(*given: Any) -> Any:
        said = real(*given)
        said.predict_proba[0] = float("nan")
        return said

    vars(newcomers)["collect"] = collect


def test_a_champion_that_says_nan_of_new_rows_makes_a_person_decide(case: Case) -> None:
    case.awaits("says NaN or infinity for 1 rows", begin=the_champion_says_nan_of_new_rows)
    case.good(days=THIRD)


def test_a_candidate_that_cannot_take_the_held_out_rows_is_a_data_error(case: Case) -> None:
    case.sql(f"UPDATE loans SET income = 'Infinity' WHERE applied_at > '{loans.at(SECOND - 1)}'")
    case.refused(65, "data UnscorableModel", "the candidate cannot be scored", "infinity")


def test_a_champion_that_knows_other_classes_makes_a_person_decide(case: Case) -> None:
    case.sql("ALTER TABLE loans ALTER defaulted TYPE text USING CASE WHEN defaulted THEN 'yes' ELSE 'no' END")
    waiting = case.awaits("the classes of defaulted were False, True, and are now 'no', 'yes'")
    case.promote(waiting.version)
    case.good(days=THIRD)


def test_a_champion_without_the_probabilities_that_the_gate_now_asks_for_makes_a_person_decide(empty: Case) -> None:
    ranked = edited(
        model={"estimator": "sklearn.svm.LinearSVC"}, evaluate={"gate": [{"score": "roc_auc", "min_gain": 0.0}]}
    )
    empty.good(days=FIRST, file=ranked)
    waiting = empty.awaits("cannot be compared", "neg_log_loss", file=loans.FILE)
    empty.promote(waiting.version)
    empty.good(days=THIRD)


LONG_HOLDOUT = edited(split={"kind": "time", "holdout": "39d"})  # reaches back into what the champion was trained on
NUMBERED = edited(source={"key": ["number"]})


def test_rows_that_the_champion_was_trained_on_stay_unclean_under_another_key(case: Case) -> None:
    shutil.copytree(case.folder, case.scratch / "before")
    rows = case.good(file=LONG_HOLDOUT).rows
    assert rows.clean is not None
    assert rows.holdout is not None
    assert rows.clean < rows.holdout
    shutil.rmtree(case.folder)
    shutil.copytree(case.scratch / "before", case.folder)
    again = case.good(file=edited(LONG_HOLDOUT, source={"key": ["loan_id", "region"]})).rows
    assert (again.clean, again.holdout) == (rows.clean, rows.holdout)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE loans RENAME loan_id TO number",
        "ALTER TABLE loans ALTER loan_id TYPE text; ALTER TABLE loans ADD number bigint GENERATED ALWAYS AS IDENTITY",
    ],
    ids=["gone", "of another type"],
)
def test_a_champion_whose_key_cannot_be_found_in_the_rows_makes_a_person_decide(case: Case, change: str) -> None:
    case.sql(change)
    waiting = case.awaits("the key column loan_id is gone or of another type", file=NUMBERED)
    case.promote(waiting.version)
    case.good(days=THIRD, file=NUMBERED)

"""task: multiclass: whole runs on three classes, and classes that are new, missing or shuffled."""

from typing import Any

import pandas as pd
import pytest

import refit
from tests.faults.case import FIRST, SECOND, THIRD, Case, edited
from tests.fixtures import loans

STATUSES = """\
CREATE TABLE statuses AS SELECT loan_id, applied_at, income, amount, region,
  CASE WHEN defaulted THEN 'default' WHEN income + hashint8(loan_id) / 2e9 < 0 THEN 'late' ELSE 'paid' END AS status
FROM loans"""
FILE = edited(source={"query": "SELECT * FROM statuses"}, target="status", task="multiclass")
HOLDOUT = f"applied_at > '{loans.at(SECOND - 14)}'"
TRAINING = f"applied_at <= '{loans.at(SECOND - 14)}'"


@pytest.fixture
def statuses(empty: Case) -> Case:
    """A table of loans with three classes, and nothing run yet."""
    empty.sql(STATUSES)
    return empty


@pytest.mark.parametrize(
    ("labels", "classes"),
    [("status", ("default", "late", "paid")), ("array_position(ARRAY['default', 'late', 'paid'], status)", (1, 2, 3))],
    ids=["text", "integers"],
)
def test_three_classes_are_learned_judged_and_replaced_by_a_better_model(
    statuses: Case, labels: str, classes: tuple[Any, ...]
) -> None:
    query = f"SELECT loan_id, applied_at, income, amount, region, {labels} AS status FROM statuses"
    file = edited(FILE, source={"query": query})
    first = statuses.good(days=FIRST, file=file)
    second = statuses.good(file=file)
    assert second.previous_champion == first.version
    assert statuses.train_of(second).classes == classes
    manifest = statuses.evaluate_of(second)
    assert [check.name for check in manifest.verdict.checks] == ["neg_log_loss min_gain against champion"]
    assert set(manifest.scores["candidate"]) == {"neg_log_loss", "roc_auc_ovr"}
    assert 0.7 < (manifest.scores["candidate"]["roc_auc_ovr"] or 0) < 1
    assert manifest.reference is not None
    assert manifest.reference.value == pytest.approx(manifest.scores["candidate"]["roc_auc_ovr"])
    assert [check.shifted for check in manifest.shift] == [False]
    assert (manifest.shift[0].value or 0) > 0.7
    report = statuses.store.get(manifest.report.key).decode()
    assert all(f"<td>{label}</td>" in report for label in classes)


def test_the_champion_of_three_classes_is_loaded_with_a_probability_for_each(statuses: Case) -> None:
    statuses.good(days=FIRST, file=FILE)
    model = refit.load("loans", store=statuses.url)
    assert model.classes_.tolist() == ["default", "late", "paid"]
    rows = pd.DataFrame({"income": [3.0, -3.0], "amount": [-3.0, 3.0], "region": ["N", "S"]})
    assert model.predict(rows).tolist() == ["paid", "default"]
    assert model.predict_proba(rows).shape == (2, 3)


def test_a_class_that_only_the_holdout_has_is_left_out_of_the_comparison_and_told(statuses: Case) -> None:
    statuses.good(days=FIRST, file=FILE)
    statuses.sql(f"UPDATE statuses SET status = 'sold' WHERE {HOLDOUT} AND loan_id % 20 = 7")
    outcome = statuses.good(file=FILE)
    manifest = statuses.evaluate_of(outcome)
    (warning,) = manifest.warnings
    assert "28 held-out rows have classes of status that no training row has: 'sold' (28)" in warning
    assert manifest.rows_clean == manifest.rows_holdout - 28
    assert warning.replace("'", "&#39;") in statuses.store.get(manifest.report.key).decode()
    later = statuses.awaits(
        "the classes of status were 'default', 'late', 'paid', and are now 'default', 'late', 'paid', 'sold'",
        days=THIRD,
        file=FILE,
    )
    statuses.promote(later.version)


def test_a_holdout_of_other_classes_alone_is_a_data_error(statuses: Case) -> None:
    statuses.sql(f"UPDATE statuses SET status = upper(status) WHERE {HOLDOUT}")
    words = ("no held-out row has a class that a training row has", "'PAID'")
    statuses.refused(65, "data NoCleanRows", *words, file=FILE)


def test_a_third_class_in_the_holdout_of_a_binary_task_is_a_data_error(statuses: Case) -> None:
    statuses.sql(f"DELETE FROM statuses WHERE status = 'late' AND {TRAINING}")
    words = ('"status"', "it has 3 classes: 'default', 'paid', 'late'", "task: multiclass")
    statuses.refused(65, "data BadTarget", *words, file=edited(FILE, task="binary"))


def test_a_class_that_the_holdout_lacks_spoils_no_score_that_can_do_without_it(statuses: Case) -> None:
    statuses.good(days=FIRST, file=FILE)
    statuses.sql(f"DELETE FROM statuses WHERE status = 'late' AND {HOLDOUT}")
    manifest = statuses.evaluate_of(statuses.good(file=FILE))
    assert manifest.verdict.result == "accepted"
    assert manifest.scores["candidate"]["neg_log_loss"] is not None
    assert manifest.scores["candidate"]["roc_auc_ovr"] is None


def test_a_gate_that_needs_every_class_proves_nothing_without_one(statuses: Case) -> None:
    file = edited(FILE, evaluate={"gate": [{"score": "roc_auc_ovr", "max_loss": 0.05}]})
    statuses.good(days=FIRST, file=file)
    statuses.sql(f"DELETE FROM statuses WHERE status = 'late' AND {HOLDOUT}")
    refused = statuses.good("rejected", file=file)
    assert refused.verdict is not None
    assert refused.verdict.result == "inconclusive"
    assert "clean rows has the class 'late', and roc_auc_ovr needs every class" in refused.verdict.reason


def test_a_class_that_training_rows_no_longer_have_makes_a_person_decide(statuses: Case) -> None:
    statuses.good(days=FIRST, file=FILE)
    statuses.sql(f"DELETE FROM statuses WHERE status = 'late' AND applied_at > '{loans.at(21)}'")
    statuses.awaits("and are now 'default', 'paid'", file=FILE, full_refresh=True)


def test_shuffled_labels_make_a_person_decide(statuses: Case) -> None:
    statuses.good(days=FIRST, file=FILE)
    turned = "CASE status WHEN 'paid' THEN 'default' WHEN 'default' THEN 'late' ELSE 'paid' END"
    statuses.sql(f"UPDATE statuses SET status = {turned} WHERE applied_at > '{loans.at(FIRST)}'")
    statuses.awaits("contradict the older ones", file=FILE)


def test_an_estimator_of_two_classes_is_a_config_error(statuses: Case) -> None:
    model = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"solver": "liblinear"}}
    statuses.refused(
        64, "config UnknownEstimator", "two classes", "OneVsRestClassifier", file=edited(FILE, model=model)
    )


@pytest.mark.parametrize(
    ("model", "score"),
    [({"class_weight": "balanced"}, "roc_auc_ovr"), ({"estimator": "sklearn.svm.LinearSVC"}, "balanced_accuracy")],
    ids=["weights", "no probabilities"],
)
def test_models_whose_probabilities_say_nothing_are_judged_by_another_score(
    statuses: Case, model: dict[str, Any], score: str
) -> None:
    outcome = statuses.good(days=FIRST, file=edited(FILE, model=model))
    assert outcome.verdict is not None
    assert [check.score for check in outcome.verdict.checks] == [score]

"""Labels that are missing, impossible, one-sided or contradict the older ones."""

import pytest

from tests.faults.case import FIRST, SECOND, THIRD, Case, edited
from tests.fixtures import loans

QUANTITY = """\
SELECT loan_id, applied_at, income, amount, region,
  income - amount + (applied_at::date - date '2026-01-01') * amount / 80 + hashint8(loan_id) / 2e9 AS loss
FROM loans"""
REGRESSION = edited(
    source={"query": "SELECT * FROM losses"},
    target="loss", task="regression", model={"estimator": "sklearn.linear_model.LinearRegression"},
)  # fmt: skip
FLIP = "UPDATE loans SET defaulted = NOT defaulted"


@pytest.mark.parametrize("value", [True, False])
def test_one_class_is_refused_before_the_fit_and_named(empty: Case, value: bool) -> None:
    empty.sql("CREATE TABLE kept AS SELECT * FROM loans", f"UPDATE loans SET defaulted = {value}")
    empty.refused(65, "data BadTarget", '"defaulted"', "all 1,120 training rows", f"class {value}", "two classes")
    empty.sql("TRUNCATE loans", "INSERT INTO loans SELECT * FROM kept")
    empty.good(days=THIRD, full_refresh=True)


def test_one_class_in_the_holdout_proves_nothing_about_a_ranking(case: Case) -> None:
    file = edited(evaluate={"gate": [{"score": "roc_auc", "max_loss": 0.05}]})
    case.sql(f"UPDATE loans SET defaulted = false WHERE applied_at > '{loans.at(FIRST)}'")
    refused = case.good("rejected", file=file)
    assert refused.verdict is not None
    assert (refused.verdict.result, refused.champion) == ("inconclusive", case.champion.version)
    assert "all 560 clean rows have the label False" in refused.verdict.reason
    case.sql("DROP TABLE loans")
    loans.load(case.dsn)
    case.good(days=THIRD, file=file, full_refresh=True)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_target_that_is_no_number_ends_the_run_with_its_count_and_first_keys(empty: Case, value: str) -> None:
    empty.sql(f"CREATE TABLE losses AS {QUANTITY}", "CREATE TABLE kept AS SELECT * FROM losses")
    empty.good(days=FIRST, file=REGRESSION)
    empty.sql(f"UPDATE losses SET loss = '{value}' WHERE loan_id % 100 = 7")
    words = ('"loss" is NaN or infinite in 9 rows', "1707, 1807, 1907, 2007, 2107", "NULLIF")
    done = empty.refused(65, "data TargetNotFinite", *words, file=REGRESSION)
    assert "2207" not in repr(done)
    empty.sql("UPDATE losses SET loss = NULL WHERE loan_id % 100 = 7")
    assert empty.good(file=REGRESSION).rows.unlabelled == 9


def test_rows_without_a_label_are_counted_and_kept_out(case: Case) -> None:
    case.sql("UPDATE loans SET defaulted = NULL WHERE loan_id % 10 = 3")
    rows = case.good().rows
    new, older = (SECOND - FIRST) * loans.ROWS_PER_DAY, (FIRST - 21) * loans.ROWS_PER_DAY
    assert (rows.unlabelled, rows.quarantined, rows.snapshot) == (new // 10, 0, new + older)
    assert (rows.train or 0) + (rows.holdout or 0) == new + older - new // 10


def test_labels_that_never_come_leave_nothing_to_train_on(empty: Case) -> None:
    empty.sql("CREATE TABLE kept AS SELECT * FROM loans", "UPDATE loans SET defaulted = NULL")
    empty.refused(65, "data NoTrainingRows", "defaulted is NULL in all 1,120", "source.lag")
    empty.sql("TRUNCATE loans", "INSERT INTO loans SELECT * FROM kept")
    empty.good(days=THIRD, full_refresh=True)


def test_flipped_labels_make_a_person_decide_and_later_runs_wait_too(case: Case) -> None:
    champion = case.champion.version
    case.sql(f"{FLIP} WHERE applied_at > '{loans.at(49)}'")
    for days in (56, SECOND):
        outcome = case.awaits("contradict the older ones", "flipped labels", days=days)
        assert outcome.champion == champion
        assert outcome.exit_code == 0
    case.promote(outcome.version)  # the person says that the world did change
    assert case.champion.version == outcome.version
    assert case.good(days=THIRD).previous_champion == outcome.version


def test_flipped_labels_that_were_a_mistake_are_read_again_after_they_are_mended(case: Case) -> None:
    case.sql(f"{FLIP} WHERE applied_at > '{loans.at(49)}'")
    case.awaits("contradict the older ones")
    case.sql(f"{FLIP} WHERE applied_at > '{loans.at(49)}'")
    case.awaits("contradict the older ones", days=THIRD - 1)  # what was read stays
    assert case.good(days=THIRD, full_refresh=True).rows.new == 42 * loans.ROWS_PER_DAY - 1


def test_a_flipped_week_does_not_drown_in_the_whole_window_read_again(case: Case) -> None:
    case.sql(f"{FLIP} WHERE applied_at > '{loans.at(49)}' AND applied_at <= '{loans.at(56)}'")
    case.awaits("contradict the older ones", days=56)
    case.awaits("contradict the older ones", days=THIRD, full_refresh=True)


def test_a_few_wrong_labels_are_noise(case: Case) -> None:
    case.sql(f"{FLIP} WHERE loan_id % 40 = 1")
    case.good()

"""model.sample: a part of the training rows is trained on, and what is clean stays what it was."""

from tests.faults.case import SECOND, Case, edited
from tests.fixtures import loans

SAMPLED = edited(model={"sample": {"rows": 400}})
LONG_HOLDOUT = edited(split={"kind": "time", "holdout": "39d"})  # reaches back into what the champion was trained on


def test_a_part_of_the_training_rows_makes_a_champion(case: Case) -> None:
    outcome = case.good(file=SAMPLED)
    manifest = case.train_of(outcome)
    assert (manifest.rows, manifest.rows_there) == (400, 28 * loans.ROWS_PER_DAY)
    assert outcome.rows.train == 400
    assert outcome.rows.clean == 14 * loans.ROWS_PER_DAY


def test_rows_that_a_champion_left_out_are_not_clean_either(empty: Case) -> None:
    before = empty.good(days=SECOND - 21, file=SAMPLED)
    sampled = empty.good(file=LONG_HOLDOUT, days=SECOND)
    assert sampled.rows.clean is not None
    assert before.as_of is not None
    newer = [row for row in empty.rows(sampled, "applied_at") if row[0] > loans.at(SECOND - 21 - 14)]
    assert sampled.rows.clean == len(newer)

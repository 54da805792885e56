"""A candidate that wins on the whole and loses on a part of the rows does not go into production."""

from tests.faults.case import SECOND, Case, edited
from tests.fixtures import loans

GATE = [{"score": "neg_log_loss", "max_loss": 1.0}]
FILE = edited(evaluate={"gate": GATE, "slices": ["region"], "min_slice_rows": 100, "max_shift": "none"})


def test_a_region_on_which_the_candidate_is_proven_worse_blocks_it(case: Case) -> None:
    case.sql(
        "UPDATE loans SET defaulted = true WHERE region = 'N'"
        f" AND applied_at > '{loans.at(21)}' AND applied_at <= '{loans.at(49)}'"
    )  # mended before the rows that it is judged on
    outcome = case.good("rejected", file=FILE, days=SECOND, full_refresh=True)
    assert outcome.verdict is not None
    assert [check.result for check in outcome.verdict.checks] == ["accepted"]
    blocking = [check for check in outcome.verdict.slices if check.blocks]
    assert [(check.column, check.value) for check in blocking] == [("region", "N")]
    assert outcome.verdict.reason == blocking[0].reason
    assert len(outcome.verdict.slices) == 4
    assert outcome.report is not None
    assert "blocks: proven worse" in case.store.get(outcome.report).decode()


def test_without_harm_no_region_blocks(case: Case) -> None:
    outcome = case.good("promoted", file=FILE, days=SECOND)
    assert outcome.verdict is not None
    assert len(outcome.verdict.slices) == 4
    assert not any(check.blocks for check in outcome.verdict.slices)


def test_a_slice_that_the_query_does_not_give_is_65(case: Case) -> None:
    wrong = edited(evaluate={"slices": ["country"]})
    case.refused(65, "data ColumnGone", 'column "country" is gone', file=wrong)

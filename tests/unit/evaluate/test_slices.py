"""A sub-population only blocks, when its loss is proven among all that were looked at."""

import numpy as np
import pyarrow as pa
import pytest

from refit.core.domain import SliceCheck, Verdict
from refit.evaluate.rows import CleanRows
from refit.evaluate.slices import SliceSettings, holm, judge_slices, with_slices
from refit.ml.scores import Responses

ROWS = 3000
HOW = SliceSettings("neg_log_loss", 0.0, 200)
LABELS = np.array([0, 1])


def world(harm: float = 0.0) -> tuple[CleanRows, dict[str, pa.ChunkedArray], Responses, Responses]:
    """Two models with noise of their own; on the rows of carrier AA the candidate leans `harm` to the wrong side."""
    rng = np.random.default_rng(5)
    logit = rng.normal(size=ROWS) * 1.5
    y = (rng.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(int)
    carrier = np.array(["AA", "BB", "CC", None], dtype=object)[rng.choice(4, ROWS, p=[0.3, 0.3, 0.36, 0.04])]
    wrong = harm * (carrier == "AA") * (1 - 2 * y)

    def model(noise: float, lean: np.ndarray) -> Responses:
        said = logit + noise * rng.normal(size=ROWS) + lean
        p = 1 / (1 + np.exp(-said))
        return Responses(LABELS, (p > 0.5).astype(int), np.column_stack([1 - p, p]))

    rows = CleanRows(y, rng.integers(0, 2**63, ROWS, dtype=np.uint64))
    table = {"carrier": pa.chunked_array([carrier[:1000], carrier[1000:]]), "odd": pa.chunked_array([y == 2])}
    return rows, table, model(0.3, wrong), model(0.3, np.zeros(ROWS))


def by_value(checks: tuple[SliceCheck, ...]) -> dict[tuple[str, str], SliceCheck]:
    return {(check.column, check.value): check for check in checks}


def test_equal_models_are_not_blocked_and_every_value_with_enough_rows_is_looked_at() -> None:
    rows, table, candidate, champion = world()
    checks = by_value(judge_slices(table, rows, candidate, champion, HOW))
    assert set(checks) == {("carrier", "AA"), ("carrier", "BB"), ("carrier", "CC"), ("odd", "False")}
    assert not any(check.blocks for check in checks.values())
    assert sum(check.rows for (column, _), check in checks.items() if column == "odd") == ROWS


def test_a_slice_on_which_the_candidate_loses_blocks_and_comes_first() -> None:
    rows, table, candidate, champion = world(harm=0.4)
    checks = judge_slices(table, rows, candidate, champion, HOW)
    assert (checks[0].column, checks[0].value, checks[0].blocks) == ("carrier", "AA", True)
    assert [check.blocks for check in checks if check.column == "carrier"] == [True, False, False]
    assert checks[0].reason.startswith("where carrier is AA, neg_log_loss is 0.")
    assert "worse than the champion's" in checks[0].reason
    verdict = with_slices(Verdict(result="accepted", reason="better"), checks)
    assert (verdict.result, verdict.slices) == ("rejected", checks)
    assert verdict.reason == "; ".join(check.reason for check in checks if check.blocks)


def test_a_loss_that_is_allowed_does_not_block() -> None:
    rows, table, candidate, champion = world(harm=0.4)
    how = SliceSettings("neg_log_loss", 0.5, 200)
    assert not any(check.blocks for check in judge_slices(table, rows, candidate, champion, how))


def test_null_is_a_slice_and_few_rows_are_none() -> None:
    rows, table, candidate, champion = world()
    how = SliceSettings("neg_log_loss", 0.0, 50)
    assert ("carrier", "NULL") in by_value(judge_slices(table, rows, candidate, champion, how))


@pytest.mark.parametrize("score", ["roc_auc", "accuracy"])
def test_a_slice_of_one_label_or_without_a_difference_cannot_tell(score: str) -> None:
    rows, table, candidate, champion = world()
    table = {"label": pa.chunked_array([rows.y])}
    how = SliceSettings(score, 0.0, 200)
    checks = judge_slices(table, rows, candidate, champion if score == "roc_auc" else candidate, how)
    assert len(checks) == 2
    assert not any(check.blocks for check in checks)
    assert {check.p for check in checks} == ({None} if score == "roc_auc" else {1.0})


def test_holms_steps() -> None:
    assert holm([0.04, 0.001, 0.02], 0.05) == [1, 2, 0]
    assert holm([0.06, 0.001, 0.02], 0.05) == [1, 2]
    assert holm([0.03, 0.03], 0.05) == []
    assert holm([], 0.05) == []


def test_permuted_rows_give_the_same_checks() -> None:
    rows, table, candidate, champion = world(harm=0.2)
    order = np.random.default_rng(1).permutation(ROWS)
    moved = {name: pa.chunked_array([values.combine_chunks().take(pa.array(order))]) for name, values in table.items()}
    once = judge_slices(table, rows, candidate, champion, HOW)
    assert judge_slices(moved, rows.take(order), candidate.take(order), champion.take(order), HOW) == once

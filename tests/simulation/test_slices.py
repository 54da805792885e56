"""Slices of an equal candidate block in one run of twenty, and a truly harmed one is found (gate.md section 2)."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import ndtr

from refit.evaluate.rows import CleanRows
from refit.evaluate.slices import LEVEL, SliceSettings, holm, judge_slices
from tests.simulation.worlds import decisions

RUNS, SLICES, ROWS = 400, 10, 4000
HOW = SliceSettings("neg_log_loss", 0.0, ROWS // SLICES)


def test_an_equal_candidate_is_blocked_in_one_run_of_twenty_and_uncorrected_in_two_of_five() -> None:
    labels = np.arange(ROWS) % SLICES
    table = {"carrier": pa.chunked_array([pa.array(labels)])}
    blocked = uncorrected = 0
    for one in decisions(RUNS, ROWS, seed=7):
        rows = CleanRows(one.sample.y, np.arange(ROWS, dtype=np.uint64))
        checks = judge_slices(table, rows, one.candidate, one.champion, HOW)
        assert len(checks) == SLICES
        blocked += any(check.blocks for check in checks)
        uncorrected += any(check.p is not None and check.p <= LEVEL for check in checks)
    three_se = 3 * np.sqrt(LEVEL * (1 - LEVEL) / RUNS)
    assert blocked / RUNS < LEVEL + three_se
    assert blocked > 0
    assert uncorrected / RUNS > 0.30


@pytest.mark.parametrize(("slices", "expected"), [(10, 0.92), (50, 0.82)])
def test_a_slice_that_loses_four_of_its_standard_errors_is_found_as_often_as_told(slices: int, expected: float) -> None:
    runs, found, false = 4000, 0, 0
    draws = np.random.default_rng(11).normal(size=(runs, slices))
    draws[:, 0] -= 4
    for ps in ndtr(draws):
        blocked = holm(ps.tolist())
        found += 0 in blocked
        false += any(place != 0 for place in blocked)
    assert found / runs == pytest.approx(expected, abs=0.02)
    assert false / runs < LEVEL + 0.012

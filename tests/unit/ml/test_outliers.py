"""3 sigma, learned where it is fitted and nowhere else."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from refit.ml.outliers import ThreeSigmaClipper, bounds, inside


def test_the_clipper_passes_scikit_learns_own_checks() -> None:
    results = check_estimator(ThreeSigmaClipper(), on_skip=None)
    assert sum(result["status"] == "passed" for result in results) > 40


def test_bounds_are_three_population_deviations_around_the_mean() -> None:
    values = np.array([[0.0], [2.0], [4.0], [6.0]])
    lower, upper = bounds(values)
    assert lower == pytest.approx(3 - 3 * np.sqrt(5))
    assert upper == pytest.approx(3 + 3 * np.sqrt(5))


def test_bounds_come_from_the_rows_that_were_fitted() -> None:
    clipper = ThreeSigmaClipper().fit(np.array([[0.0], [2.0]]))
    assert clipper.transform(np.array([[100.0], [-100.0], [1.5]])).ravel().tolist() == [4.0, -2.0, 1.5]


def test_null_neither_counts_nor_changes() -> None:
    clipper = ThreeSigmaClipper().fit(np.array([[0.0], [np.nan], [2.0]]))
    assert clipper.transform(np.array([[np.nan], [9.0]])).ravel().tolist()[1] == 4.0
    assert np.isnan(clipper.transform(np.array([[np.nan]]))[0, 0])


def test_a_column_without_values_clips_nothing_later() -> None:
    clipper = ThreeSigmaClipper().fit(np.array([[np.nan], [np.nan]]))
    assert clipper.transform(np.array([[1e9]])).item() == 1e9


def test_a_constant_column_keeps_its_rows() -> None:
    assert inside(np.full((50, 1), 7.25)).all()


def test_a_row_is_outside_when_any_column_is() -> None:
    values = np.zeros((200, 2))
    values[:, 1] = np.nan
    values[::2, 0] = 1.0
    values[7] = [50.0, np.nan]
    assert np.flatnonzero(~inside(values)).tolist() == [7]


def test_the_clipper_can_be_cloned_unfitted() -> None:
    assert not hasattr(clone(ThreeSigmaClipper().fit(np.zeros((3, 1)))), "lower_")

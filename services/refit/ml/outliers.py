"""Values beyond 3 standard deviations of the mean (the empirical rule: 0.27 % of a normal distribution).

Mean and standard deviation are those of the training rows' values that are there: NULL counts for nothing.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

SIGMAS: Final = 3.0

Floats = npt.NDArray[np.float64]


def bounds(values: Floats) -> tuple[Floats, Floats]:
    """Lowest and highest value that is no outlier, per column of `values` (rows, columns); infinite if unknown."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / count
        spread = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count)
    lower = np.where(count > 0, mean - SIGMAS * spread, -np.inf)
    upper = np.where(count > 0, mean + SIGMAS * spread, np.inf)
    return lower, upper


def inside(values: Floats) -> npt.NDArray[np.bool_]:
    """Which rows of `values` (rows, columns) have no outlier in any column; NaN is none."""
    return between(values, *bounds(values))


def between(values: Floats, lower: Floats, upper: Floats) -> npt.NDArray[np.bool_]:
    """Which rows of `values` (rows, columns) lie within the bounds in every column; NaN does."""
    return np.asarray(((values < lower) | (values > upper)).any(axis=1) == 0)


class ThreeSigmaClipper(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # no types
    """Clips each column to mean ± 3 standard deviations of the rows it was fitted on; NaN stays NaN.

    Attributes:
        lower_, upper_: The bounds, shape (n_features,).
    """

    def fit(self, X: Any, y: Any = None) -> "ThreeSigmaClipper":
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        self.lower_, self.upper_ = bounds(X)
        return self

    def transform(self, X: Any) -> Floats:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return np.asarray(np.clip(X, self.lower_, self.upper_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

"""A first step for a loaded model: a user's own rows become what the model was trained on."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from refit.core.errors import DataError
from refit.ml.frame import Array, Kind, from_pandas


class RawRows(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Picks the model's columns out of a DataFrame and gives them training's dtypes; learns nothing.

    Args:
        kinds: Column name → kind, in the model's order.
    """

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self.kinds = kinds

    @property
    def feature_names_in_(self) -> Array:
        return pd.Index(self.kinds, dtype=object).to_numpy()

    @property
    def n_features_in_(self) -> int:
        return len(self.kinds)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any = None) -> "RawRows":
        return self

    def transform(self, X: Any) -> pd.DataFrame:
        """The rows as the model takes them.

        Raises:
            ColumnsMissing: the frame lacks columns.
            DataError: it is no DataFrame, or a column has values of another kind.
        """
        if not isinstance(X, pd.DataFrame):
            raise DataError(
                f"the model takes rows as a DataFrame with named columns, not a {type(X).__name__}",
                next=f"its columns are {', '.join(list(self.kinds)[:40])}",
            )
        return from_pandas(X, self.kinds)

"""What a model said is kept beside it, and a model that is asked again says it or not."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from refit.ml.predictions import TOLERANCE, CannotBeAsked, SaysOtherwise, ask_again, sample

ROWS = 300
RNG = np.random.default_rng(0)
X = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS)})
SUM = X["a"] - X["b"] + RNG.normal(size=ROWS)
TARGETS: dict[str, Any] = {
    "number": SUM * 1e6,
    "bool": (SUM > 0).to_numpy(),
    "integer": np.digitize(SUM, [-1, 1]),
    "text": np.array(["low", "high"], dtype=object)[(SUM > 0).astype(int)],
}


def fitted(target: str, estimator: Any = None) -> Any:
    final = estimator or (Ridge() if target == "number" else LogisticRegression())
    return make_pipeline(StandardScaler(), final).fit(X, TARGETS[target])


def stored(estimator: Any, rows: pd.DataFrame = X) -> bytes:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    return sample(table.to_batches(max_chunksize=70), np.arange(len(rows), dtype=np.uint64), estimator)


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_model_says_the_same_of_200_rows(target: str) -> None:
    estimator = fitted(target)
    assert ask_again(stored(estimator), estimator, ["a", "b"]) == 200


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("change", "same"), [(TOLERANCE / 100, True), (0.02, False)], ids=["rounding", "another model"]
)
def test_what_rounding_makes_is_the_same_and_what_another_model_says_is_not(
    target: str, change: float, same: bool
) -> None:
    estimator = fitted(target)
    body = stored(estimator)
    estimator[-1].coef_ = estimator[-1].coef_ * (1 + change)
    if same:
        assert ask_again(body, estimator, ["a", "b"]) == 200
    else:
        with pytest.raises(SaysOtherwise, match=r"says something else of \d+ of 200"):
            ask_again(body, estimator, ["a", "b"])


def test_a_model_without_probabilities_is_held_to_its_labels() -> None:
    estimator = fitted("text", LinearSVC())
    body = stored(estimator)
    assert ask_again(body, estimator, ["a", "b"]) == 200
    estimator[-1].coef_ = -estimator[-1].coef_
    with pytest.raises(SaysOtherwise):
        ask_again(body, estimator, ["a", "b"])


def test_a_label_where_two_classes_are_equally_probable_may_differ() -> None:
    rows = pd.DataFrame({"a": np.zeros(5), "b": np.zeros(5)})
    estimator = fitted("bool")
    estimator[0].mean_ = np.zeros(2)
    estimator[-1].intercept_ = np.array([1e-12])
    body = stored(estimator, rows)
    estimator[-1].intercept_ = np.array([-1e-12])
    assert ask_again(body, estimator, ["a", "b"]) == 5
    estimator[-1].intercept_ = np.array([-0.1])
    with pytest.raises(SaysOtherwise, match="5 of 5"):
        ask_again(body, estimator, ["a", "b"])


def test_other_classes_are_something_else() -> None:
    with pytest.raises(SaysOtherwise, match="200 of 200"):
        ask_again(stored(fitted("bool")), fitted("integer"), ["a", "b"])


def test_a_model_that_fails_says_something_else() -> None:
    estimator = fitted("bool")
    body = stored(estimator)
    del estimator[-1].coef_
    with pytest.raises(SaysOtherwise, match=r"fails: AttributeError: .*coef_"):
        ask_again(body, estimator, ["a", "b"])


def test_a_model_that_says_nan_says_something_else() -> None:
    estimator = fitted("number")
    body = stored(estimator)
    estimator[-1].coef_ = estimator[-1].coef_ * np.nan
    with pytest.raises(SaysOtherwise):
        ask_again(body, estimator, ["a", "b"])


def test_a_column_may_be_named_like_what_is_said() -> None:
    rows = X.rename(columns={"a": "prediction", "b": "probability_1"})
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, TARGETS["bool"])
    assert ask_again(stored(estimator, rows), estimator, list(rows.columns)) == 200


@pytest.mark.parametrize(
    ("body", "columns", "words"),
    [
        pytest.param(b"", ["a", "b"], "cannot be read", id="empty"),
        pytest.param(b"PAR1 and no more PAR1", ["a", "b"], "cannot be read", id="broken"),
        pytest.param(stored(fitted("bool")), ["a", "b", "c"], "not of the columns", id="a column less"),
        pytest.param(stored(fitted("bool")), ["b", "a"], "not of the columns", id="another order"),
    ],
)
def test_rows_that_are_not_what_the_model_takes_ask_nothing(body: bytes, columns: list[str], words: str) -> None:
    with pytest.raises(CannotBeAsked, match=words):
        ask_again(body, fitted("bool"), columns)


def test_no_rows_ask_nothing() -> None:
    table = pq.read_table(io.BytesIO(stored(fitted("bool")))).slice(0, 0)
    sink = io.BytesIO()
    pq.write_table(table, sink)
    with pytest.raises(CannotBeAsked):
        ask_again(sink.getvalue(), fitted("bool"), ["a", "b"])

"""The features of a file, as plans and as fitted transformers."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse as sp

from refit.core.domain import Column
from refit.ml.features import FeatureGone, NoFeatures, NotNumeric, SensitiveClasses, plan, transformer, without
from refit.ml.frame import NoFeature
from tests.unit.ml.files import COLUMNS, pipeline


def fitted(features: Any, rows: pd.DataFrame, *, sparse: bool = False, takes_nan: bool = False) -> Any:
    return transformer(plan(pipeline(features=features), COLUMNS), sparse=sparse, takes_nan=takes_nan).fit(rows)


def texts(*values: Any) -> pd.DataFrame:
    return pd.DataFrame({"city": pd.Series(values, dtype=object)})


# --- auto ---------------------------------------------------------------------


def test_auto_takes_numbers_text_and_bools_and_leaves_out_key_cursor_target_and_times() -> None:
    chosen = plan(pipeline(), COLUMNS)
    assert chosen.numeric is not None
    assert chosen.categorical is not None
    assert chosen.numeric.columns == ("amount", "age")
    assert chosen.categorical.columns == ("city",)
    assert chosen.bools == ("owner",)
    assert chosen.columns == ("amount", "age", "city", "owner")


def test_auto_leaves_out_sensitive_columns() -> None:
    hidden = {name: {"sensitive": True} for name in ("age", "city", "owner")}
    assert plan(pipeline(columns=hidden), COLUMNS).columns == ("amount",)


def test_a_sensitive_number_may_be_named_as_a_feature_and_text_may_not() -> None:
    columns = {"age": {"sensitive": True}, "city": {"sensitive": True}}
    named = pipeline(columns=columns, features={"numeric": {"columns": ["age"]}})
    assert plan(named, COLUMNS).columns == ("age",)
    with pytest.raises(SensitiveClasses, match='"city", which is sensitive'):
        plan(pipeline(columns=columns, features={"passthrough": {"columns": ["city"]}}), COLUMNS)


def test_auto_has_the_documented_settings() -> None:
    chosen = plan(pipeline(), COLUMNS)
    assert chosen.numeric is not None
    assert chosen.categorical is not None
    assert (chosen.numeric.impute, chosen.numeric.outliers, chosen.numeric.scale) == ("median", "none", "standard")
    assert (chosen.categorical.encode, chosen.categorical.min_frequency) == ("onehot", 20)


def test_auto_warns_of_a_date_that_it_leaves_out() -> None:
    (warning,) = plan(pipeline(), COLUMNS).warnings
    assert '"opened_on", a date' in warning


def test_auto_without_a_usable_column_is_a_data_error() -> None:
    reserved = [column for column in COLUMNS if column.name in ("loan_id", "applied_at", "defaulted", "opened_on")]
    with pytest.raises(NoFeatures) as caught:
        plan(pipeline(), reserved)
    assert caught.value.exit_code == 65


def test_auto_leaves_bools_as_they_are_and_fills_a_gap_only_for_an_estimator_that_takes_no_nan() -> None:
    rows = pd.DataFrame({"owner": [1.0, 1.0, 0.0, np.nan]})
    chosen = plan(pipeline(), [column for column in COLUMNS if column.name in ("owner", "defaulted")])
    kept = transformer(chosen, sparse=False, takes_nan=True).fit_transform(rows)
    np.testing.assert_array_equal(kept.ravel(), [1.0, 1.0, 0.0, np.nan])
    filled = transformer(chosen, sparse=False, takes_nan=False).fit_transform(rows)
    np.testing.assert_array_equal(filled.ravel(), [1.0, 1.0, 0.0, 1.0])


# --- the block ----------------------------------------------------------------


def test_columns_that_the_block_does_not_name_are_no_features() -> None:
    chosen = plan(pipeline(features={"passthrough": {"columns": ["age"]}}), COLUMNS)
    assert chosen.columns == ("age",)
    assert chosen.warnings == ()


def test_a_feature_that_the_query_lacks_is_named() -> None:
    with pytest.raises(FeatureGone, match="lacks income, which the features name") as caught:
        plan(pipeline(features={"numeric": {"columns": ["age", "income"]}}), COLUMNS)
    assert caught.value.exit_code == 65


def test_text_among_the_numbers_is_refused_by_column_and_type() -> None:
    with pytest.raises(NotNumeric, match=r'features.numeric names "city", which is text \(text\)') as caught:
        plan(pipeline(features={"numeric": {"columns": ["city"]}}), COLUMNS)
    assert caught.value.exit_code == 65


@pytest.mark.parametrize("block", ["numeric", "categorical", "passthrough"])
def test_a_date_is_refused_in_every_block(block: str) -> None:
    with pytest.raises((NotNumeric, NoFeature), match='"opened_on"'):
        plan(pipeline(features={block: {"columns": ["opened_on"]}}), COLUMNS)


def test_bools_may_be_numbers_and_numbers_may_be_classes() -> None:
    features = {"numeric": {"columns": ["owner"]}, "categorical": {"columns": ["age"]}}
    assert plan(pipeline(features=features), COLUMNS).columns == ("owner", "age")


# --- numbers ------------------------------------------------------------------

TRAINED = pd.DataFrame({"age": [1.0, 2.0, 3.0, 10.0, np.nan]})


@pytest.mark.parametrize(
    ("impute", "scale", "expected"),
    [
        ("median", "none", 2.5),
        ("mean", "none", 4.0),
        ("median", "standard", (2.5 - 3.7) / np.std([1, 2, 3, 10, 2.5])),
        ("mean", "minmax", 3 / 9),
        ("none", "minmax", np.nan),
        ("none", "standard", np.nan),
        ("none", "none", np.nan),
    ],
)
def test_a_gap_is_filled_and_scaled_by_what_training_rows_taught(impute: str, scale: str, expected: float) -> None:
    block = {"numeric": {"columns": ["age"], "impute": impute, "scale": scale}}
    seen = fitted(block, TRAINED).transform(pd.DataFrame({"age": [np.nan]}))
    np.testing.assert_allclose(seen, [[expected]])


def test_outliers_are_clipped_by_measured_values_before_gaps_are_filled() -> None:
    rows = pd.DataFrame({"age": [0.0] * 50 + [2.0] * 50 + [np.nan] * 20})
    block = {"numeric": {"columns": ["age"], "impute": "mean", "outliers": "clip_3sigma", "scale": "none"}}
    seen = fitted(block, rows).transform(pd.DataFrame({"age": [1000.0, -1000.0, np.nan]}))
    np.testing.assert_allclose(seen.ravel(), [4.0, -2.0, 1.0])


def test_dropping_outliers_changes_no_row_that_is_scored() -> None:
    block = {"numeric": {"columns": ["age"], "outliers": "drop_3sigma", "scale": "none"}}
    assert fitted(block, TRAINED).transform(pd.DataFrame({"age": [1e6]})).item() == 1e6


def test_a_column_without_any_value_becomes_zero() -> None:
    rows = pd.DataFrame({"age": [np.nan, np.nan]})
    assert fitted({"numeric": {"columns": ["age"]}}, rows).transform(rows).tolist() == [[0.0], [0.0]]


# --- classes ------------------------------------------------------------------


def test_onehot_takes_rare_and_unknown_classes_together() -> None:
    block = {"categorical": {"columns": ["city"], "min_frequency": 3}}
    encoder = fitted(block, texts(*["Rome"] * 4, *["Oslo"] * 3, "Bern", "Bonn"))
    seen = encoder.transform(texts("Rome", "Oslo", "Bern", "Atlantis"))
    assert seen.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_onehot_has_a_class_for_null_apart_from_the_empty_string() -> None:
    block = {"categorical": {"columns": ["city"], "min_frequency": 1}}
    encoder = fitted(block, texts("", "Rome", np.nan))
    assert encoder.transform(texts("", np.nan)).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_an_unknown_class_without_infrequent_ones_is_none_of_the_known() -> None:
    block = {"categorical": {"columns": ["city"], "min_frequency": 1}}
    assert fitted(block, texts("Rome", "Oslo")).transform(texts("Bern")).tolist() == [[0, 0]]


@pytest.mark.parametrize(("takes_nan", "null"), [(True, np.nan), (False, -2.0)], ids=["NaN taken", "NaN refused"])
def test_ordinal_tells_unknown_rare_and_null_apart(takes_nan: bool, null: float) -> None:
    block = {"categorical": {"columns": ["city"], "encode": "ordinal", "min_frequency": 2}}
    encoder = fitted(block, texts("Oslo", "Oslo", "Rome", "Rome", "Bern", np.nan, np.nan), takes_nan=takes_nan)
    seen = encoder.transform(texts("Oslo", "Rome", "Bern", "Atlantis", np.nan)).ravel()
    np.testing.assert_array_equal(seen, [0, 1, 2, -1, null])


def test_integer_classes_are_known_again() -> None:
    block = {"categorical": {"columns": ["age"], "min_frequency": 1}}
    encoder = fitted(block, pd.DataFrame({"age": [1.0, 2.0, np.nan]}))
    assert encoder.transform(pd.DataFrame({"age": [2, 1]})).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_encode_none_and_passthrough_change_nothing() -> None:
    block = {"categorical": {"columns": ["city"], "encode": "none"}, "passthrough": {"columns": ["age"]}}
    rows = texts("Rome", "Oslo").assign(age=[1.0, np.nan])
    assert fitted(block, rows).transform(rows)[0].tolist() == ["Rome", 1.0]


def test_output_is_sparse_only_for_an_estimator_that_takes_it() -> None:
    block = {"categorical": {"columns": ["city"], "min_frequency": 1}}
    rows = texts(*(f"city {number}" for number in range(20)))
    assert sp.issparse(fitted(block, rows, sparse=True).transform(rows))
    assert isinstance(fitted(block, rows, sparse=False).transform(rows), np.ndarray)


def test_the_fitted_features_name_their_outputs() -> None:
    block = {"numeric": {"columns": ["age"]}, "categorical": {"columns": ["city"], "min_frequency": 1}}
    rows = texts("Rome", np.nan).assign(age=[1.0, 2.0])
    assert fitted(block, rows).get_feature_names_out().tolist() == [
        "numeric__age",
        "categorical__city_Rome",
        "categorical__city_nan",
    ]


def test_columns_of_a_snapshot_may_have_any_order() -> None:
    shuffled: list[Column] = list(reversed(COLUMNS))
    assert set(plan(pipeline(), shuffled).columns) == set(plan(pipeline(), COLUMNS).columns)


def test_a_file_without_some_columns_names_the_others() -> None:
    block = {"numeric": {"columns": ["amount", "age"], "scale": "none"}, "categorical": {"columns": ["city"]}}
    less = without(pipeline(features=block), {"city", "age", "owner"})
    assert plan(less, COLUMNS).columns == ("amount",)
    numeric = plan(less, COLUMNS).numeric
    assert numeric is not None
    assert numeric.scale == "none"
    with pytest.raises(NoFeatures):
        plan(without(less, {"amount"}), COLUMNS)
    assert without(pipeline(), {"city"}) == pipeline()

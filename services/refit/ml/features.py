"""The `features` of a pipeline file as a scikit-learn ColumnTransformer; all it learns, it learns from fit's rows.

Order in a numeric column: outliers are clipped, then gaps are filled, then the column is scaled. So the bounds of
3 sigma come from measured values alone, and an outlier does not move the mean that fills a gap.

| file | stands for |
|---|---|
| impute median, mean | SimpleImputer; a column without any value in the training rows becomes 0 |
| outliers clip_3sigma | ThreeSigmaClipper |
| outliers drop_3sigma | nothing here: train drops the rows before it fits |
| scale standard, minmax | StandardScaler, MinMaxScaler |
| encode onehot | OneHotEncoder; NULL is a class of its own, an unknown class counts as infrequent |
| encode ordinal | OrdinalEncoder; unknown is -1; NULL is NaN where the estimator takes it, else -2 |
| passthrough, encode none | the column as it is |
| {transformer: f} | what the user's own function returns (own.py); the plan says only which columns it gets |
| auto | numbers: median, standard; text: onehot, min_frequency 20; bools: as they are; no sensitive column |
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline as Steps
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from refit.core.config import Pipeline
from refit.core.config_sections import (
    AutoFeatures,
    CategoricalFeatures,
    FeatureBlock,
    NumericFeatures,
    OwnTransformer,
    PassthroughFeatures,
)
from refit.core.domain import Column
from refit.core.errors import ConfigError, DataError
from refit.ml.frame import Kind, NoFeature, kind_of
from refit.ml.outliers import ThreeSigmaClipper

UNKNOWN_CLASS: Final = -1
NULL_CLASS: Final = -2


class FeatureGone(DataError):
    """The file names feature columns that the snapshot does not have."""

    def __init__(self, missing: Sequence[str], found: Sequence[str]) -> None:
        super().__init__(
            f"the query's result lacks {', '.join(missing)}, which the features name; it has {', '.join(found)}",
            next="add the column to the query, or take it out of the features",
        )


class NotNumeric(DataError):
    """A column of the numeric features holds no numbers."""

    def __init__(self, column: Column) -> None:
        kind = "text" if kind_of(column.type) == "text" else column.type
        super().__init__(
            f'features.numeric names "{column.name}", which is {kind} ({column.database_type})',
            next="move it to features.categorical, or derive a number in the query",
        )


class SensitiveClasses(ConfigError):
    """A sensitive column of text is named as a feature."""

    def __init__(self, column: str) -> None:
        super().__init__(
            f'features name "{column}", which is sensitive and text: a model keeps the classes that it has seen',
            next="take it out of the features, or derive a number in the query",
        )


class NoFeatures(DataError):
    """No column is left to learn from."""

    def __init__(self) -> None:
        super().__init__(
            "no column is left to learn from: key, cursor, target, split.by, sensitive columns, timestamps and dates "
            "are left out",
            next="add columns of numbers, bools or text to the query",
        )


@dataclass(frozen=True)
class Plan:
    """Which raw columns become features, and how.

    Attributes:
        bools: Columns that auto takes as they are; a gap is filled only for an estimator that takes no NaN.
        raw: Columns that a transformer of the user's own takes.
        warnings: What was left out, in words.
    """

    numeric: NumericFeatures | None = None
    categorical: CategoricalFeatures | None = None
    passthrough: PassthroughFeatures | None = None
    bools: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that the model takes, in order, each once."""
        blocks = (self.numeric, self.categorical, self.passthrough)
        named = [name for block in blocks if block for name in block.columns]
        return tuple(dict.fromkeys([*named, *self.bools, *self.raw]))


def plan(pipeline: Pipeline, columns: Sequence[Column]) -> Plan:
    """The features of the file, checked against the snapshot's columns.

    Raises:
        FeatureGone, NotNumeric, NoFeature, NoFeatures: the columns do not allow it.
        SensitiveClasses: the file does not.
    """
    match pipeline.features:
        case AutoFeatures():
            return _auto(pipeline, columns)
        case FeatureBlock() as block:
            return _block(block, columns, pipeline.sensitive)
        case OwnTransformer():
            return _raw(pipeline, columns)
        case other:
            assert_never(other)


def without(pipeline: Pipeline, gone: Collection[str]) -> Pipeline:
    """The file, less these columns where its features name them; what auto or a transformer takes is not named."""
    block = pipeline.features
    if not isinstance(block, FeatureBlock):
        return pipeline
    kept = {name: tuple(column for column in columns if column not in gone) for name, columns in block.blocks().items()}
    parts = {
        name: getattr(block, name).model_copy(update={"columns": columns}) if columns else None
        for name, columns in kept.items()
    }
    return pipeline.model_copy(update={"features": block.model_copy(update=parts)})


def transformer(plan: Plan, *, sparse: bool, takes_nan: bool) -> ColumnTransformer:
    """The unfitted features.

    Args:
        sparse: The estimator takes sparse matrices.
        takes_nan: The estimator takes NaN.
    """
    blocks: list[tuple[str, Any, list[str]]] = []
    if plan.numeric:
        blocks.append(("numeric", _numeric(plan.numeric), list(plan.numeric.columns)))
    if plan.categorical:
        encoder = _categorical(plan.categorical, sparse=sparse, takes_nan=takes_nan)
        blocks.append(("categorical", encoder, list(plan.categorical.columns)))
    if plan.bools:
        filled = SimpleImputer(strategy="median", keep_empty_features=True)  # of 0 and 1: the more frequent
        blocks.append(("bool", "passthrough" if takes_nan else filled, list(plan.bools)))
    if plan.passthrough:
        blocks.append(("passthrough", "passthrough", list(plan.passthrough.columns)))
    return ColumnTransformer(blocks, sparse_threshold=0.3 if sparse else 0.0)


def _auto(pipeline: Pipeline, columns: Sequence[Column]) -> Plan:
    named, warnings = _by_kind(pipeline, columns)
    return Plan(
        numeric=NumericFeatures(columns=tuple(named["number"])) if named["number"] else None,
        categorical=CategoricalFeatures(columns=tuple(named["text"])) if named["text"] else None,
        bools=tuple(named["bool"]),
        warnings=warnings,
    )


def _raw(pipeline: Pipeline, columns: Sequence[Column]) -> Plan:
    """All columns that auto would take, in the query's order."""
    named, warnings = _by_kind(pipeline, columns)
    taken = {*named["number"], *named["text"], *named["bool"]}
    return Plan(raw=tuple(column.name for column in columns if column.name in taken), warnings=warnings)


def _by_kind(pipeline: Pipeline, columns: Sequence[Column]) -> tuple[dict[Kind, list[str]], tuple[str, ...]]:
    """The columns that are not key, cursor, target or split.by, by what they hold; a warning for each of no use."""
    by = pipeline.split.by or ()
    reserved = {*pipeline.source.key, pipeline.source.cursor, pipeline.target, *by, *pipeline.sensitive}
    free = [column for column in columns if column.name not in reserved]
    named: dict[Kind, list[str]] = {"number": [], "text": [], "bool": [], "time": [], "other": []}
    for column in free:
        named[kind_of(column.type)].append(column.name)
    if not (named["number"] or named["text"] or named["bool"]):
        raise NoFeatures
    left_out = [column for column in free if kind_of(column.type) in ("time", "other")]
    return named, tuple(
        f'features: {pipeline.features.kind} leaves out "{column.name}", a {column.database_type}: '
        "derive a number in the query"
        for column in left_out
    )


def _block(block: FeatureBlock, columns: Sequence[Column], sensitive: Collection[str]) -> Plan:
    found = {column.name: column for column in columns}
    chosen = Plan(block.numeric, block.categorical, block.passthrough)
    if not chosen.columns:
        raise NoFeatures
    if missing := [name for name in chosen.columns if name not in found]:
        raise FeatureGone(missing, list(found))
    for name in block.numeric.columns if block.numeric else ():
        if kind_of(found[name].type) not in ("number", "bool"):
            raise NotNumeric(found[name])
    for name in chosen.columns:
        if kind_of(found[name].type) in ("time", "other"):
            raise NoFeature(name, found[name].database_type)
        if name in sensitive and kind_of(found[name].type) == "text":
            raise SensitiveClasses(name)
    return chosen


def _numeric(block: NumericFeatures) -> Any:
    steps: list[tuple[str, Any]] = []
    if block.outliers == "clip_3sigma":
        steps.append(("outliers", ThreeSigmaClipper()))
    if block.impute != "none":
        steps.append(("impute", SimpleImputer(strategy=block.impute, keep_empty_features=True)))
    if block.scale != "none":
        steps.append(("scale", StandardScaler() if block.scale == "standard" else MinMaxScaler()))
    return Steps(steps) if steps else "passthrough"


def _categorical(block: CategoricalFeatures, *, sparse: bool, takes_nan: bool) -> Any:
    match block.encode:
        case "onehot":
            return OneHotEncoder(
                min_frequency=block.min_frequency, handle_unknown="infrequent_if_exist", sparse_output=sparse
            )
        case "ordinal":
            return OrdinalEncoder(
                min_frequency=block.min_frequency,
                handle_unknown="use_encoded_value",
                unknown_value=UNKNOWN_CLASS,
                encoded_missing_value=np.nan if takes_nan else NULL_CLASS,
            )
        case "none":
            return "passthrough"

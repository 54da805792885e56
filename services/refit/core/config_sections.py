"""The parts of the pipeline file that say which rows there are, and what a model sees of them.

The rest, and the file as a whole, is config.py. Field names are the file's own; the docstring under a field is its
reference and its description in the JSON schema.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from refit.core.config_rules import block_rules, contract_rules
from refit.core.config_types import (
    Bound,
    ColumnName,
    Columns,
    Cron,
    Duration,
    DurationOrNever,
    Fraction,
    Function,
    Holdout,
    ListAsTuple,
    PositiveDuration,
    RegularExpression,
    Scalar,
    Text,
    Timeout,
    Zone,
    not_built,
    refuse,
)
from refit.core.cron import next_time

ColumnType = Literal["string", "integer", "float", "decimal", "bool", "timestamp", "date"]


LENGTH_IF_ROLLING: Final[JsonDict] = {
    "if": {"required": ["kind"], "properties": {"kind": {"const": "rolling"}}},
    "then": {"required": ["length"], "properties": {"length": {"type": "string"}}},
    "else": {"properties": {"length": {"type": "null"}}},
}


class Section(BaseModel):
    """A part of the file: frozen, and strict about keys and types."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


# --- where rows come from -----------------------------------------------------


class Schedule(Section):
    """When the pipeline runs by itself; without it, it runs by hand."""

    cron: Cron
    """Minute, hour, day of the month, month, day of the week (0 is Sunday)."""
    timezone: Zone = "Etc/UTC"
    """IANA zone in which the cron line is read."""

    def next_after(self, moment: datetime) -> datetime | None:
        """The first moment that it names after this one; None: it never comes."""
        return next_time(self.cron, self.timezone, moment)


class Source(Section):
    """The query that rows come from, and how it is read."""

    kind: Literal["postgres"] = "postgres"
    """The connection string comes from REFIT_SOURCE_DSN or REFIT_SOURCE_DSN_FILE, never from this file."""
    query: Text
    """A SELECT without bounds on the cursor; refit adds them."""
    key: Columns
    """Columns that identify one row; of rows with equal keys the one with the newest cursor wins."""
    cursor: ColumnName
    """Column by which rows are new: timestamptz, timestamp (read as UTC) or date."""
    overlap: Duration = timedelta(0)
    """Every run reads this far back again, for rows that arrived late."""
    lag: Duration = timedelta(0)
    """Rows younger than this are never read."""
    min_new_rows: Annotated[int, Field(ge=0)] = 1
    """With fewer new rows since the last verdict, an unchanged pipeline skips the run."""
    full_refresh: DurationOrNever = timedelta(days=30)
    """How often the whole window is read again, which also shows deletions; or never."""
    statement_timeout: Timeout = timedelta(minutes=30)
    """The database ends a statement that takes longer."""
    max_row_bytes: Annotated[int, Field(gt=0)] = 1_000_000
    """Larger rows go to quarantine."""
    shards: Annotated[int, Field(gt=0), not_built(1)] = 1
    """Parallel readers. More than 1 is not built yet."""
    low_volume: Literal["warn", "fail"] = "warn"
    """What happens when a run reads under a tenth of the median of the last five: a warning, or a data error."""


class Window(Section):
    """Which rows a model sees: all up to now, or a stretch of fixed length."""

    model_config = ConfigDict(json_schema_extra=LENGTH_IF_ROLLING)

    kind: Literal["expanding", "rolling"] = "expanding"
    """expanding: all rows up to now; rolling: a stretch of fixed length."""
    length: PositiveDuration | None = None
    """Length of a rolling window, back from the run's as_of."""

    @model_validator(mode="after")
    def _length_fits_kind(self) -> "Window":
        if self.kind == "rolling" and self.length is None:
            raise ValueError("a rolling window needs length, like {kind: rolling, length: 56d}")
        if self.kind == "expanding" and self.length is not None:
            raise ValueError("length is for kind: rolling; an expanding window has none")
        return self


class ColumnContract(Section):
    """What a column promises; a row that breaks it goes to quarantine."""

    type: ColumnType | None = None
    """The type that PostgreSQL must give; unset: any."""
    nullable: bool = True
    """Whether NULL may occur."""
    min: Bound | None = None
    """Least value: a number; for timestamp and date ISO 8601 text."""
    max: Bound | None = None
    """Greatest value: a number; for timestamp and date ISO 8601 text."""
    max_length: Annotated[int, Field(ge=0)] | None = None
    """Most characters of a string."""
    values: Annotated[tuple[Scalar, ...], Field(min_length=1), ListAsTuple] | None = None
    """The values that may occur; NULL is a matter of nullable."""
    pattern: RegularExpression | None = None
    """A regular expression that the whole of a string must match."""
    sensitive: bool = False
    """No value of it leaves the parts: not into profiles, quarantine, reports, failure messages, logs or stored
    predictions. features: auto leaves it out; a number may be named as a feature, and the model then keeps what its
    estimator learns of it (some, like nearest neighbours, keep the rows)."""

    @model_validator(mode="after")
    def _can_be_kept(self) -> "ColumnContract":
        refuse(contract_rules(self))
        return self


class OnBadRow(Section):
    """What happens to rows that break the contract of columns."""

    action: Literal["quarantine", "fail"] = "quarantine"
    """quarantine: keep them apart and go on; fail: end the run with a data error."""
    max_fraction: Annotated[float, Field(ge=0, le=1)] = 0.01
    """More bad rows than this share of the rows read now end the run with a data error."""


# --- how rows are held out ----------------------------------------------------


class TimeSplit(Section):
    """The newest rows are held out."""

    kind: Literal["time"] = "time"
    """The newest rows are held out; the default."""
    holdout: Holdout = 0.25
    """A duration back from as_of, or a fraction of the window."""
    by: Columns | None = None
    """Columns that name an entity, like a customer; default: the key. Held-out rows of an entity that a model was
    trained on judge nothing. NULL counts as a value of its own."""
    salt: Text | None = None
    """Has a meaning for kind: hash alone."""
    stratify: bool = False
    """Is for kind: hash; which rows are the newest follows from their time alone."""


class HashSplit(Section):
    """The same entities are held out in every run, chosen by a keyed hash."""

    kind: Literal["hash"]
    """The same entities are held out in every run, chosen by a keyed hash."""
    holdout: Fraction = 0.2
    """Fraction of the entities."""
    by: Columns | None = None
    """Columns that name an entity, like a customer, whose rows all stay on one side; default: the key. NULL counts as
    a value of its own."""
    salt: Text | None = None
    """Text that the hash is keyed with; default: the name. Another one chooses other entities, most of which the
    champion was trained on: they judge nothing until there are newer ones."""
    stratify: bool = False
    """For classes: each is held out with the same probability, entity by entity, and a run warns where chance or a few
    large entities made a class's share less than half, or more than one and a half, of what holdout asks for."""


def _split_kind(value: Any) -> str:
    kind = value.get("kind", "time") if isinstance(value, dict) else getattr(value, "kind", "time")
    return "<hash>" if kind == "hash" else "<time>"


Split = Annotated[Annotated[TimeSplit, Tag("<time>")] | Annotated[HashSplit, Tag("<hash>")], Discriminator(_split_kind)]


# --- what the model sees ------------------------------------------------------


class NumericFeatures(Section):
    """Columns of numbers; all that is learned is learned on training rows only."""

    columns: Columns
    """Columns of the query."""
    impute: Literal["median", "mean", "none"] = "median"
    """What stands in for NULL and NaN."""
    outliers: Literal["none", "clip_3sigma", "drop_3sigma"] = "none"
    """Values beyond 3 standard deviations of the mean: kept, clipped, or their training rows dropped."""
    scale: Literal["standard", "minmax", "none"] = "standard"
    """standard: mean 0 and standard deviation 1; minmax: 0 to 1."""


class CategoricalFeatures(Section):
    """Columns of classes, as text, integers or bools."""

    columns: Columns
    """Columns of the query."""
    encode: Literal["onehot", "ordinal", "none"] = "onehot"
    """onehot: a column per class; ordinal: a number per class; none: as it is."""
    min_frequency: Annotated[int, Field(ge=1)] = 20
    """Classes with fewer training rows are taken together."""


class PassthroughFeatures(Section):
    """Columns that the estimator takes as they are."""

    columns: Columns
    """Columns of the query."""


class AutoFeatures(Section):
    """Numbers, strings and bools by their type; key, cursor, target, split.by and sensitive columns are left out."""

    kind: ClassVar[Literal["auto"]] = "auto"


class FeatureBlock(Section):
    """Features column by column; columns not named are not used."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    kind: ClassVar[Literal["block"]] = "block"
    numeric: NumericFeatures | None = None
    """Columns of numbers."""
    categorical: CategoricalFeatures | None = None
    """Columns of classes."""
    passthrough: PassthroughFeatures | None = None
    """Columns taken as they are."""

    @model_validator(mode="after")
    def _names_a_column(self) -> "FeatureBlock":
        if self.numeric is None and self.categorical is None and self.passthrough is None:
            raise ValueError("names no column; write numeric, categorical or passthrough, or features: auto")
        refuse(block_rules(self.blocks()))
        return self

    def blocks(self) -> dict[str, tuple[str, ...]]:
        """The columns of each block that the file writes, in the order numeric, categorical, passthrough."""
        blocks = {"numeric": self.numeric, "categorical": self.categorical, "passthrough": self.passthrough}
        return {name: block.columns for name, block in blocks.items() if block is not None}


class OwnTransformer(Section):
    """Features by a function of your own."""

    kind: ClassVar[Literal["transformer"]] = "transformer"
    transformer: Function
    """package.module:function that is called without arguments and returns a scikit-learn transformer; it gets all
    columns of numbers, bools and text but key, cursor and target, as a DataFrame."""


def _auto(value: Any) -> Any:
    if isinstance(value, str) and value != "auto":
        raise ValueError("must be auto or a mapping of numeric, categorical and passthrough")
    return AutoFeatures() if value == "auto" else value


def _features_kind(value: Any) -> str:
    if isinstance(value, AutoFeatures):
        return "<auto>"
    own = "transformer" in value if isinstance(value, dict) else isinstance(value, OwnTransformer)
    return "<transformer>" if own else "<block>"


Features = Annotated[
    Annotated[AutoFeatures, WithJsonSchema({"const": "auto"}), Tag("<auto>")]
    | Annotated[FeatureBlock, Tag("<block>")]
    | Annotated[OwnTransformer, Tag("<transformer>")],
    Discriminator(_features_kind),
    BeforeValidator(_auto),
]

"""The pipeline file: one typed, frozen model, parsed once at the edge.

`parse_pipeline` is the only way in. It reads YAML 1.2 (yaml_file.py), checks each section by the models below,
then what spans sections (config_rules.py), and reports every fault at once (config_faults.py). Field names are the
file's own; the docstring under a field is its reference and its description in the JSON schema.

To add a key: a field here with a default and a docstring, a rule in config_rules.py if it depends on other
sections, and its row in the tests.
"""

import hashlib
import json
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, cast, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from refit.core.config_faults import InvalidFile, fault_at, model_faults
from refit.core.config_rules import Sections, block_rules, broken_rules, contract_rules, gate_rules
from refit.core.config_types import (
    Bound,
    ClassWeight,
    ColumnName,
    Columns,
    Cron,
    Duration,
    DurationOrNever,
    Estimator,
    Fraction,
    Function,
    Holdout,
    ListAsTuple,
    NumberOrNone,
    PipelineName,
    PositiveDuration,
    RegularExpression,
    Scalar,
    Scores,
    Text,
    Timeout,
    Zone,
    not_built,
    not_built_choice,
    refuse,
)
from refit.core.yaml_file import Fault, Place, read_yaml

API_VERSION: Final = "refit/v1"

Task = Literal["binary", "multiclass", "regression"]
ColumnType = Literal["string", "integer", "float", "decimal", "bool", "timestamp", "date"]
LineName = Literal["min", "max", "min_gain", "max_loss"]


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
    full_refresh: Annotated[DurationOrNever, not_built(timedelta(days=30), None)] = timedelta(days=30)
    """How often the whole window is read again, which also shows deletions; or never.
    Today no run refreshes by itself, and other durations are not built yet."""
    statement_timeout: Timeout = timedelta(minutes=30)
    """The database ends a statement that takes longer."""
    max_row_bytes: Annotated[int, Field(gt=0)] = 1_000_000
    """Larger rows go to quarantine."""
    shards: Annotated[int, Field(gt=0), not_built(1)] = 1
    """Parallel readers. More than 1 is not built yet."""
    low_volume: Annotated[Literal["warn", "fail"], not_built_choice("fail")] = "warn"
    """What happens when a run reads under a tenth of the median of the last five. fail is not built yet."""


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
    sensitive: Annotated[bool, not_built(False)] = False
    """No value of it leaves the parts: not into profiles, quarantine lists or reports. Not built yet."""

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
    """Columns whose equal rows stay on one side; default: the key. Others are not built yet."""
    salt: Text | None = None
    """Text that the hash is keyed with; default: the name. Others are not built yet."""
    stratify: Annotated[bool, not_built(False)] = False
    """Equal shares of the classes on both sides. Not built yet."""


class HashSplit(Section):
    """The same entities are held out in every run, chosen by a keyed hash."""

    kind: Literal["hash"]
    """The same entities are held out in every run, chosen by a keyed hash."""
    holdout: Fraction = 0.2
    """Fraction of the entities."""
    by: Columns | None = None
    """Columns whose equal rows stay on one side; default: the key. Others are not built yet."""
    salt: Text | None = None
    """Text that the hash is keyed with; default: the name. Others are not built yet."""
    stratify: Annotated[bool, not_built(False)] = False
    """Equal shares of the classes on both sides. Not built yet."""


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
    """Features by type: numbers, strings and bools; key, cursor and target are left out."""

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
    transformer: Annotated[Function, not_built(None)]
    """package.module:function that returns a scikit-learn transformer. Not built yet."""


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


# --- the model and its judgement ----------------------------------------------


class Sample(Section):
    """A random part of the training rows."""

    rows: Annotated[int, Field(gt=0)]
    """How many."""


class Model(Section):
    """The estimator and how it is built."""

    estimator: Estimator
    """A scikit-learn compatible class by its full name."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the estimator."""
    class_weight: ClassWeight | None = None
    """balanced, or a mapping of class to weight; for classification."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """random_state of all that draws."""
    incremental: Annotated[bool, not_built(False)] = False
    """Fit by partial_fit over batches. Not built yet."""
    sample: Annotated[Sample | None, not_built(None)] = None
    """Train on a random part of the rows. Not built yet."""
    search: Annotated[dict[str, Any] | None, not_built(None)] = None
    """Search for parameters. Not built yet."""


class GateLine(Section):
    """One line of the gate: a score and exactly one of four lines."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [line]} for line in get_args(LineName)]})

    score: Text
    """Name of a scikit-learn scorer; greater is better."""
    min: float | None = None
    """A floor: the candidate's score is at least this."""
    max: float | None = None
    """A ceiling: the candidate's score is at most this."""
    min_gain: Annotated[float, Field(ge=0)] | None = None
    """Against the champion: the gain is proven to be above this."""
    max_loss: Annotated[float, Field(ge=0)] | None = None
    """Against the champion and the last proven model: the loss is proven to be below this."""
    against: Literal["champion"] = "champion"
    """May be written with min_gain and max_loss."""

    @model_validator(mode="after")
    def _one_line(self) -> "GateLine":
        if len(self._written()) != 1:
            raise ValueError("needs exactly one of min, max, min_gain and max_loss")
        if self.line in ("min", "max") and "against" in self.model_fields_set:
            raise ValueError(f"{self.line} is a bound of its own; against goes with min_gain or max_loss")
        return self

    def _written(self) -> dict[LineName, float]:
        values: dict[LineName, float | None] = {
            "min": self.min,
            "max": self.max,
            "min_gain": self.min_gain,
            "max_loss": self.max_loss,
        }
        return {name: value for name, value in values.items() if value is not None}

    @property
    def line(self) -> LineName:
        """Which of the four lines it is."""
        return next(iter(self._written()))

    @property
    def limit(self) -> float:
        """The number written on that line."""
        return next(iter(self._written().values()))


class Evaluate(Section):
    """How a candidate is judged ."""

    gate: Annotated[tuple[GateLine, ...], Field(min_length=1), ListAsTuple] = ()
    """All lines must hold. Default: {score: neg_log_loss, min_gain: 0.0}; with class weights, or an estimator without
    probabilities, roc_auc; for regression neg_root_mean_squared_error."""
    scores: Scores = ()
    """Scorers of the report. Default: the gate's, and roc_auc; for regression r2."""
    false_promotions_per_year: Annotated[float, Field(gt=0)] = 1.0
    """Expected promotions a year without a true gain, however often the pipeline runs."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """Least confidence of a single look."""
    block: Literal["day", "week"] = "day"
    """Rows of one block may win or lose together."""
    min_clean_rows: Annotated[int, Field(ge=1)] = 200
    """Fewer rows that neither model has seen are too little data."""
    max_slice_loss: Annotated[float, Field(ge=0), not_built(0.0)] = 0.0
    """A slice proven worse than this blocks. Not built yet."""
    slices: Annotated[Columns, not_built(())] = ()
    """Columns whose values are sub-populations to look at. Not built yet."""
    min_slice_rows: Annotated[int, Field(ge=1), not_built(500)] = 500
    """Smaller slices are not judged. Not built yet."""
    max_shift: NumberOrNone = None
    """Drop of the champion's ROC AUC (regression: R²) on new rows that stops a run; or none.
    Default: 0.10, for regression 0.20."""

    @model_validator(mode="after")
    def _gate_can_be_passed(self) -> "Evaluate":
        refuse(gate_rules(self.gate))
        return self


class Publish(Section):
    """How an accepted candidate goes into production."""

    approval: Literal["auto", "manual"] = "auto"
    """manual: an accepted candidate waits for `refit promote`."""
    fit_on: Annotated[Literal["evaluated", "all"], not_built("evaluated")] = "evaluated"
    """Rows that the published model is fitted on. all is not built yet."""


# --- read, and refused when set: later parts of refit -------------------------


class Predict(Section):
    """Batch predictions into a table."""

    query: Annotated[Text | None, not_built(None)] = None
    """SELECT of the rows to predict. Not built yet."""
    table: Annotated[Text | None, not_built(None)] = None
    """Table that takes the predictions. Not built yet."""


class Slo(Section):
    """How old the last confirmed champion may be."""

    max_age: Annotated[PositiveDuration | None, not_built(None)] = None
    """Age that counts as too old. Not built yet."""
    on_failure: Annotated[Literal["retry", "alert", "record"], not_built_choice("alert", "record")] = "retry"
    """What a failed run does. alert and record are not built yet."""


class Retention(Section):
    """How long runs and versions are kept."""

    runs: Annotated[PositiveDuration, not_built(timedelta(days=90))] = timedelta(days=90)
    """How long runs are kept. Not built yet."""
    versions: Annotated[int, Field(ge=1), not_built(20)] = 20
    """How many versions are kept. Not built yet."""


class Notify(Section):
    """Who is told."""

    webhook_env: Annotated[Text | None, not_built(None)] = None
    """Name of the environment variable that holds the address. Not built yet."""


class Pipeline(Section):
    """One model's definition: the whole contract between a data scientist and refit."""

    api_version: Annotated[Literal["refit/v1"], Field(alias="apiVersion")]
    """Format of the file."""
    name: PipelineName
    """Becomes Job names, metric labels and the prefix of every object key."""
    schedule: Schedule | None = None
    """When the pipeline runs by itself; default: by hand."""
    source: Source
    """The query that rows come from, and how it is read."""
    window: Window = Window()
    """Which rows a model sees."""
    columns: dict[ColumnName, ColumnContract] = Field(default_factory=dict)
    """A column that is not named has the type that PostgreSQL gives, is nullable and has no limits."""
    on_bad_row: OnBadRow = OnBadRow()
    """What happens to rows that break the contract of columns."""
    target: ColumnName
    """The column to predict; rows where it is NULL are unlabelled."""
    task: Annotated[Task, not_built_choice("multiclass")]
    """What is predicted: one of two classes, or a number. multiclass is not built yet."""
    split: Split = TimeSplit()
    """How rows are held out for judging."""
    features: Features = AutoFeatures()
    """A block, auto, or a function of your own."""
    model: Model
    """The estimator and how it is built."""
    evaluate: Evaluate = Evaluate()
    """How a candidate is judged."""
    publish: Publish = Publish()
    """How an accepted candidate goes into production."""
    predict: Predict = Predict()
    """Batch predictions into a table. Not built yet."""
    slo: Slo = Slo()
    """How old the last confirmed champion may be. Not built yet."""
    retention: Retention = Retention()
    """How long runs and versions are kept. Not built yet."""
    notify: Notify = Notify()
    """Who is told. Not built yet."""

    @field_validator("*")
    @classmethod
    def _is_valid_alone(cls, value: Any, info: ValidationInfo) -> Any:
        """Notes the valid parts in the context, so that rules across them run beside faults elsewhere."""
        if info.context is not None and info.field_name is not None:
            info.context[info.field_name] = value
        return value


def parse_pipeline(text: bytes | str, source: str) -> Pipeline:
    """The pipeline that a file defines, all defaults resolved.

    Args:
        text: The file as read; bytes are UTF-8.
        source: Its name in messages.

    Raises:
        InvalidFile: the file has faults; names all of them, each with line and column.
    """
    document = read_yaml(text)
    if document.value is None:
        raise InvalidFile(source, document.faults or [Fault(Place(), "", "the file is empty")])
    sections: dict[str, Any] = {}
    faults = list(document.faults)
    try:
        pipeline = Pipeline.model_validate(document.value, context=sections)
    except ValidationError as error:
        faults.extend(model_faults(error, document, Pipeline))
    if isinstance(document.value, dict):
        broken = broken_rules(_with_defaults(sections, document.value))
        faults.extend(fault_at(document, path, message) for path, message in broken)
    if faults:
        raise InvalidFile(source, faults)
    return pipeline.model_copy(update={"evaluate": evaluation(pipeline)})


def _with_defaults(sections: dict[str, Any], written: dict[Any, Any]) -> Sections:
    absent = {
        name: field.get_default(call_default_factory=True)
        for name, field in Pipeline.model_fields.items()
        if name not in written and not field.is_required()
    }
    return cast(Sections, absent | sections)


def evaluation(pipeline: Pipeline, *, probabilities: bool = True) -> Evaluate:
    """The pipeline's `evaluate` with its defaults resolved (gate.md section 7, config.md).

    Whether an estimator gives probabilities is seen only when it is built: `pipeline.evaluate` supposes that it
    does; a caller who knows better passes `probabilities=False`, and a gate left to default becomes roc_auc.
    """
    written, classes = pipeline.evaluate.model_fields_set, pipeline.task != "regression"
    weighted = pipeline.model.class_weight is not None or pipeline.model.params.get("class_weight") is not None
    score = "neg_root_mean_squared_error"
    if classes:
        score = "roc_auc" if weighted or not probabilities else "neg_log_loss"
    values = dict(pipeline.evaluate)
    if "gate" not in written:
        values["gate"] = (GateLine(score=score, min_gain=0.0),)
    if "scores" not in written:
        judged = [line.score for line in values["gate"]]
        values["scores"] = tuple(dict.fromkeys([*judged, "roc_auc" if classes else "r2"]))
    if "max_shift" not in written:
        values["max_shift"] = 0.10 if classes else 0.20
    return Evaluate.model_construct(_fields_set=set(written), **values)


def source_digest(pipeline: Pipeline) -> str:
    """SHA-256 in hex of what rows are read: query, key, cursor and columns, and nothing else.

    Keys of a contract that are left at their defaults do not count, so that a key added to refit later changes no
    digest.
    """
    source = pipeline.source
    read = {
        "query": source.query,
        "key": source.key,
        "cursor": source.cursor,
        "columns": {name: column.model_dump(exclude_defaults=True) for name, column in pipeline.columns.items()},
    }
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()

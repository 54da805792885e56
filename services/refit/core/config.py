"""The pipeline file: one typed, frozen model, parsed once at the edge.

`parse_pipeline` is the only way in. It reads YAML 1.2 (yaml_file.py), checks each section by its model,
then what spans sections (config_rules.py), and reports every fault at once (config_faults.py). Field names are the
file's own; the docstring under a field is its reference and its description in the JSON schema.

To add a key: a field here or in config_sections.py with a default and a docstring, a rule in config_rules.py if it
depends on other sections, and its row in the tests.
"""

import hashlib
import json
from datetime import timedelta
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from refit.core.config_faults import InvalidFile, fault_at, model_faults
from refit.core.config_rules import Sections, broken_rules, gate_rules
from refit.core.config_search import Search
from refit.core.config_sections import (
    AutoFeatures,
    ColumnContract,
    Features,
    OnBadRow,
    Schedule,
    Section,
    Source,
    Split,
    TimeSplit,
    Window,
)
from refit.core.config_types import (
    ClassWeight,
    ColumnName,
    Columns,
    Estimator,
    ListAsTuple,
    NumberOrNone,
    PipelineName,
    PositiveDuration,
    Scores,
    Text,
    Variable,
    not_built,
    refuse,
)
from refit.core.yaml_file import Fault, Place, read_yaml

Task = Literal["binary", "multiclass", "regression"]
LineName = Literal["min", "max", "min_gain", "max_loss"]


# --- the model and its judgement ----------------------------------------------


class Sample(Section):
    """A random part of the training rows, chosen by a hash of key and seed: the same rows give the same part."""

    rows: Annotated[int, Field(gt=0)]
    """How many training rows are kept; all, where there are no more."""


class Batches(Section):
    """Fitting by partial_fit: batch after batch of all training rows, in a random order that follows from the seed."""

    passes: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How often each training row is learned from. Default: as often as it takes to show the estimator a million rows,
    at least once and at most 100 times; once where it has no max_iter, like naive Bayes, which counts."""
    batch_rows: Annotated[int, Field(ge=1)] = 16_384
    """Rows of one call of partial_fit, at most."""
    checkpoint_rows: Annotated[int, Field(ge=1)] = 1_000_000
    """After so many rows the state of the fit is kept; the attempt after one that was killed goes on from there."""


def _batches_kind(value: Any) -> str:
    return "<mapping>" if isinstance(value, dict | Batches) else "<switch>"


class Model(Section):
    """The estimator and how it is built."""

    estimator: Estimator
    """A scikit-learn compatible class by its full name, or package.module:function, a function of your own that returns
    an estimator."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the class or function."""
    class_weight: ClassWeight | None = None
    """balanced, or a mapping of class to weight; for classification."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """random_state of all that draws."""
    incremental: Annotated[
        Annotated[bool, Tag("<switch>")] | Annotated[Batches, Tag("<mapping>")], Discriminator(_batches_kind)
    ] = False
    """true, or a mapping: fit by partial_fit over shuffled batches, with memory that does not grow with the rows."""
    sample: Sample | None = None
    """Train on a random part of the training rows; the holdout stays whole."""
    search: Search | None = None
    """Parameters that are searched for, on the training rows alone."""

    @property
    def batches(self) -> Batches | None:
        """How it is fitted batch by batch; None: on all rows at once."""
        return Batches() if self.incremental is True else self.incremental or None


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
    probabilities, roc_auc; for several classes roc_auc_ovr with weights, balanced_accuracy without probabilities; for
    regression neg_root_mean_squared_error."""
    scores: Scores = ()
    """Scorers of the report. Default: the gate's, and roc_auc; for several classes roc_auc_ovr; for regression r2."""
    false_promotions_per_year: Annotated[float, Field(gt=0)] = 1.0
    """Expected promotions a year without a true gain, however often the pipeline runs."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """Least confidence of a single look."""
    block: Literal["day", "week"] = "day"
    """Rows of one block may win or lose together."""
    min_clean_rows: Annotated[int, Field(ge=1)] = 200
    """Fewer rows that neither model has seen are too little data."""
    max_slice_loss: Annotated[float, Field(ge=0)] = 0.0
    """A slice on which the candidate is proven to lose more than this, by the gate's first comparing score, blocks."""
    slices: Columns = ()
    """Columns whose values are sub-populations to look at."""
    min_slice_rows: Annotated[int, Field(ge=1)] = 500
    """Slices with fewer clean rows are not judged."""
    max_shift: NumberOrNone = None
    """Drop of the champion's ROC AUC (several classes: mean of each against the rest; regression: R²) on new rows that
    stops a run; or none. Default: 0.10, for regression 0.20."""

    @model_validator(mode="after")
    def _gate_can_be_passed(self) -> "Evaluate":
        refuse(gate_rules(self.gate))
        return self


class Publish(Section):
    """How an accepted candidate goes into production."""

    approval: Literal["auto", "manual"] = "auto"
    """manual: an accepted candidate waits for `refit promote`."""
    fit_on: Literal["evaluated", "all"] = "evaluated"
    """all: an accepted candidate is fitted again on all rows of the window, and that model goes out; the gate compares
    what was evaluated."""


# --- read, and refused when set: later parts of refit -------------------------


class Predict(Section):
    """Batch predictions into a table."""

    query: Annotated[Text | None, not_built(None)] = None
    """SELECT of the rows to predict. Not built yet."""
    table: Annotated[Text | None, not_built(None)] = None
    """Table that takes the predictions. Not built yet."""


class Slo(Section):
    """How old the last confirmed champion may be."""

    max_age: PositiveDuration | None = None
    """Age that counts as too old, from the verdict that last confirmed or replaced the champion."""
    on_failure: Literal["retry", "alert", "record"] = "retry"
    """What a step does that fails of what may pass by itself. retry: it is tried again, with max_age for as long as a
    run still fits before the objective breaks; alert: once more, then the run fails; record: the run fails at once,
    and the webhook is not called for it."""


class Retention(Section):
    """What `refit gc` keeps, with all that it was built from; nothing younger than a week goes."""

    runs: PositiveDuration = timedelta(days=90)
    """Runs that are younger are kept."""
    versions: Annotated[int, Field(ge=1)] = 20
    """So many of the newest versions are kept, and of the earlier champions, however old."""


class Notify(Section):
    """Who is told."""

    webhook_env: Variable | None = None
    """Name of the environment variable that holds the address of a webhook: it gets a message at each change of
    state."""


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
    task: Task
    """What is predicted: one of two classes, one of several, or a number."""
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
    """How old the last confirmed champion may be, and what a run does about it."""
    retention: Retention = Retention()
    """What `refit gc` keeps."""
    notify: Notify = Notify()
    """Who is told."""

    @property
    def sensitive(self) -> frozenset[str]:
        """The columns of which no value leaves the parts."""
        return frozenset(name for name, column in self.columns.items() if column.sensitive)

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
    does; a caller who knows better passes `probabilities=False`, and a gate left to default takes a score without.
    """
    written, classes = pipeline.evaluate.model_fields_set, pipeline.task != "regression"
    ranking = _ranking_score(pipeline.task, probabilities=probabilities)
    values = dict(pipeline.evaluate)
    if "gate" not in written:
        values["gate"] = (GateLine(score=default_score(pipeline, probabilities=probabilities), min_gain=0.0),)
    if "scores" not in written:
        judged = [line.score for line in values["gate"]]
        values["scores"] = tuple(dict.fromkeys([*judged, ranking]))
    if "max_shift" not in written:
        values["max_shift"] = 0.10 if classes else 0.20
    return Evaluate.model_construct(_fields_set=set(written), **values)


def default_score(pipeline: Pipeline, *, probabilities: bool) -> str:
    """What models are judged by where the file does not say: by the gate, and by a search."""
    if pipeline.task == "regression":
        return "neg_root_mean_squared_error"
    weighted = pipeline.model.class_weight is not None or pipeline.model.params.get("class_weight") is not None
    if weighted or not probabilities:
        return _ranking_score(pipeline.task, probabilities=probabilities)
    return "neg_log_loss"


def _ranking_score(task: Task, *, probabilities: bool) -> str:
    """The score that tells how well a model ranks, or comes nearest to it: a scorer for several classes that ranks
    needs probabilities."""
    if task == "multiclass":
        return "roc_auc_ovr" if probabilities else "balanced_accuracy"
    return "r2" if task == "regression" else "roc_auc"


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

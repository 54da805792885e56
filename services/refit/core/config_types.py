"""The kinds of value that a pipeline file holds: what each one accepts, and its JSON schema.

Every check raises ValueError with the words that follow `file:line:column: key: ` in a fault. The Python value is
what steps use: a duration is a timedelta, a list a tuple.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from refit.core.cron import check_cron
from refit.core.yaml_file import Path

DURATION_PATTERN: Final = r"^[0-9]+[smhdw]$"
NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
VARIABLE_PATTERN: Final = "^[A-Za-z_][A-Za-z0-9_]*$"
DOTTED_PATTERN: Final = r"^[^\W\d]\w*(\.[^\W\d]\w*)+$"
FUNCTION_PATTERN: Final = r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*$"
NAME_LIMIT: Final = 28  # room for what Kubernetes appends: a CronJob's name has 52 characters, a Job's 63
COLUMN_LIMIT: Final = 63  # bytes; PostgreSQL cuts longer names (NAMEDATALEN)
LONGEST: Final = timedelta(days=36_500)
LONGEST_TIMEOUT: Final = timedelta(days=24)  # PostgreSQL's statement_timeout is an int32 of milliseconds

_UNITS: Final = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


# --- durations ----------------------------------------------------------------


def parse_duration(value: object) -> timedelta:
    """The duration that `30m`, `56d` or the like names; a timedelta passes.

    Raises:
        ValueError: anything else, or more than 36,500 days.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(DURATION_PATTERN[1:-1], value):
        raise ValueError("must be a duration: an integer and s, m, h, d or w, like 30m or 56d")
    unit = timedelta(**{_UNITS[value[-1]]: 1})
    if len(value) > 12 or int(value[:-1]) > LONGEST // unit:  # a product could be more than a timedelta holds
        raise ValueError("is longer than 36500d")
    return int(value[:-1]) * unit


def duration_text(value: timedelta) -> str:
    """The duration as a file writes it, in the largest unit below weeks that holds it whole."""
    seconds = int(value.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return value


def _timeout(value: timedelta) -> timedelta:
    if value > LONGEST_TIMEOUT:
        raise ValueError("is longer than 24d, the most that PostgreSQL takes")
    return value


def _as_text(value: Any) -> Any:
    return duration_text(value) if isinstance(value, timedelta) else value


_DURATION_SCHEMA: Final = {"type": "string", "pattern": DURATION_PATTERN, "examples": ["30m", "56d"]}
_FRACTION_SCHEMA: Final = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
_WRITTEN: Final = PlainSerializer(_as_text, when_used="json")

Duration = Annotated[timedelta, BeforeValidator(parse_duration), _WRITTEN, WithJsonSchema(_DURATION_SCHEMA)]
PositiveDuration = Annotated[
    timedelta, BeforeValidator(parse_duration), AfterValidator(_positive), _WRITTEN, WithJsonSchema(_DURATION_SCHEMA)
]
Timeout = Annotated[PositiveDuration, AfterValidator(_timeout)]


def _fraction(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError("must be a fraction between 0 and 1, like 0.2")
    return float(value)


def _holdout(value: object) -> timedelta | float:
    if isinstance(value, str | timedelta):
        try:
            return _positive(parse_duration(value))
        except ValueError as error:
            raise ValueError(f"{error}; or a fraction of the window between 0 and 1") from None
    try:
        return _fraction(value)
    except ValueError as error:
        raise ValueError(f"{error}, or a duration, like 14d") from None


def _duration_or_never(value: object) -> timedelta | None:
    if value is None or value == "never":
        return None
    try:
        return _positive(parse_duration(value))
    except ValueError as error:
        raise ValueError(f"{error}; or never") from None


def _number_or_none(value: object) -> float | None:
    if value is None or value == "none":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError("must be a number between 0 and 1, like 0.10, or none")
    return float(value)


Fraction = Annotated[float, BeforeValidator(_fraction), WithJsonSchema(_FRACTION_SCHEMA)]
Holdout = Annotated[
    timedelta | float,
    BeforeValidator(_holdout),
    _WRITTEN,
    WithJsonSchema({"anyOf": [_DURATION_SCHEMA, _FRACTION_SCHEMA]}),
]
DurationOrNever = Annotated[
    timedelta | None,
    BeforeValidator(_duration_or_never),
    _WRITTEN,
    WithJsonSchema({"anyOf": [_DURATION_SCHEMA, {"const": "never"}]}),
]
NumberOrNone = Annotated[
    float | None,
    BeforeValidator(_number_or_none),
    WithJsonSchema({"anyOf": [_FRACTION_SCHEMA, {"const": "none"}]}),
]


# --- names --------------------------------------------------------------------


def _pipeline_name(value: str) -> str:
    if len(value) > NAME_LIMIT:
        raise ValueError(f"has {len(value)} characters; a name has at most {NAME_LIMIT}")
    if not re.fullmatch(NAME_PATTERN[1:-1], value):
        raise ValueError("must be a DNS label: lower-case letters, digits and inner hyphens")
    return value


def _variable(value: str) -> str:
    if "://" in value:
        raise ValueError("is an address; write the name of an environment variable that holds it")
    if not re.fullmatch(VARIABLE_PATTERN[1:-1], value):
        raise ValueError("must be the name of an environment variable: letters, digits and _, like REFIT_WEBHOOK_URL")
    return value


def _column(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if len(value.encode()) > COLUMN_LIMIT:
        raise ValueError(f"is longer than {COLUMN_LIMIT} bytes, the most that PostgreSQL keeps of a name")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _list(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f"must be a list: [{value}]" if value.isidentifier() and len(value) < 40 else "must be a list")
    return tuple(value) if isinstance(value, list) else value


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if doubled := [value for value, count in Counter(values).items() if count > 1]:
        raise ValueError(f"names {', '.join(doubled[:5])} twice")
    return values


PipelineName = Annotated[
    str,
    AfterValidator(_pipeline_name),
    WithJsonSchema({"type": "string", "pattern": NAME_PATTERN, "maxLength": NAME_LIMIT}),
]
Text = Annotated[str, AfterValidator(_not_blank), WithJsonSchema({"type": "string", "minLength": 1})]
Variable = Annotated[
    str,
    AfterValidator(_variable),
    WithJsonSchema({"type": "string", "pattern": VARIABLE_PATTERN}),
]
ColumnName = Annotated[
    str, AfterValidator(_column), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": COLUMN_LIMIT})
]
Columns = Annotated[
    tuple[ColumnName, ...],
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
    BeforeValidator(_list),
    AfterValidator(_distinct),
]
Scores = Annotated[
    tuple[Text, ...],
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
    BeforeValidator(_list),
    AfterValidator(_distinct),
]
ListAsTuple = BeforeValidator(_list)


# --- code, patterns, schedules ------------------------------------------------


def _estimator(value: str) -> str:
    if not re.fullmatch(DOTTED_PATTERN[1:-1], value) and not re.fullmatch(FUNCTION_PATTERN[1:-1], value):
        raise ValueError(
            "must be a class by its full name, like sklearn.linear_model.LogisticRegression, "
            "or a function of your own, like package.module:function"
        )
    return value


def _function(value: str) -> str:
    if not re.fullmatch(FUNCTION_PATTERN[1:-1], value):
        raise ValueError("must name a function, like package.module:function")
    return value


def _regular_expression(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression: {str(error)[:200]}") from error
    return value


def _zone(value: str) -> str:
    if value in ("UTC", "Etc/UTC"):  # holds on a system without a zone database too
        return value
    try:
        ZoneInfo(value)
    except (ValueError, OSError, LookupError) as error:  # ZoneInfoNotFoundError is a KeyError; a folder is an OSError
        raise ValueError("is no time zone of the IANA database, like Europe/Berlin") from error
    return value


Estimator = Annotated[
    str,
    AfterValidator(_estimator),
    WithJsonSchema({"type": "string", "anyOf": [{"pattern": DOTTED_PATTERN}, {"pattern": FUNCTION_PATTERN}]}),
]
Function = Annotated[str, AfterValidator(_function), WithJsonSchema({"type": "string", "pattern": FUNCTION_PATTERN})]
RegularExpression = Annotated[
    str, AfterValidator(_regular_expression), WithJsonSchema({"type": "string", "format": "regex"})
]
Cron = Annotated[str, AfterValidator(check_cron), WithJsonSchema({"type": "string", "examples": ["0 5 * * 1"]})]
Zone = Annotated[str, AfterValidator(_zone), WithJsonSchema({"type": "string", "examples": ["Etc/UTC"]})]


# --- values of more than one type ---------------------------------------------


def _scalar(value: object) -> object:
    if not isinstance(value, str | int | float) or not _is_finite(value):
        raise ValueError("must be a text, a number or a bool")
    return value


def _bound(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not _is_finite(value):
        raise ValueError("must be a number, or a date or time as text")
    return value


def _is_finite(value: object) -> bool:
    return value == value and value not in (math.inf, -math.inf)


def _class_weight(value: object) -> object:
    if value in (None, "none"):
        return None
    if value == "balanced":
        return value
    if not isinstance(value, dict) or not value:
        raise ValueError("must be balanced or a mapping of class to weight, like {0: 1, 1: 5}")
    for label, weight in value.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise ValueError(f"the weight of class {str(label)[:40]} must be a number from 0 on")
        if label is None or isinstance(label, float):
            raise ValueError(f"{label} is no class; classes are text, integers or bools")
    return {label: float(weight) for label, weight in value.items()}


Scalar = Annotated[Any, BeforeValidator(_scalar), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Bound = Annotated[Any, BeforeValidator(_bound), WithJsonSchema({"type": ["string", "number"]})]
ClassWeight = Annotated[
    Any,
    BeforeValidator(_class_weight),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["balanced", "none"]},
                {"type": "object", "minProperties": 1, "additionalProperties": {"type": "number", "minimum": 0}},
            ]
        }
    ),
]


# --- what is read but does nothing yet ----------------------------------------


def not_built(*built: object) -> AfterValidator:
    """Refuses a key set to anything but the built values: what does nothing is never silently ignored."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if value not in built:
            raise ValueError(f"{info.field_name} is not built yet; leave it out")
        return value

    return AfterValidator(check)


# --- rules of a section -------------------------------------------------------

BROKEN: Final = "broken_rules"


def refuse(faults: Iterable[tuple[Path, str]]) -> None:
    """Raises one error that carries all faults of a section, each with its path below the section."""
    if found := list(faults):
        raise PydanticCustomError(BROKEN, "breaks its rules", {"faults": found})

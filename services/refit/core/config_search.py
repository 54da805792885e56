"""`model.search` of the pipeline file: which parameters are tried, how they are judged, and for how long."""

import json
import math
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from refit.core.config_sections import Section
from refit.core.config_types import PositiveDuration, Text, refuse
from refit.core.yaml_file import Path

RANGES: Final = ("uniform", "loguniform", "integer", "log_integer")
LARGEST_INTEGER: Final = 2**53  # a float holds integers whole up to here
_APART: Final = {
    "random_state": "is model.seed: another seed is no better parameter",
    "class_weight": "decides what the gate judges by; it stands in model.class_weight alone",
}
_EXACTLY_ONE: Final[JsonDict] = {"oneOf": [{"required": [name]} for name in RANGES]}


def _ends(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("must be the least and the greatest value, like [0.01, 0.3]")
    return tuple(value)


def _values(value: object) -> object:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("must be a range, like {loguniform: [0.01, 0.3]}, or a list of values to choose from")
    return tuple(value)


_NUMBERS: Final = WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})
_INTEGERS: Final = WithJsonSchema({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2})
Ends = Annotated[tuple[float, float], BeforeValidator(_ends), _NUMBERS]
WholeEnds = Annotated[tuple[int, int], BeforeValidator(_ends), _INTEGERS]


class Range(Section):
    """The values between two ends, by exactly one of four distributions."""

    model_config = ConfigDict(json_schema_extra=_EXACTLY_ONE)

    uniform: Ends | None = None
    """Numbers from the first to the second, each as likely."""
    loguniform: Ends | None = None
    """Numbers from the first to the second, both above 0, each order of magnitude as likely."""
    integer: WholeEnds | None = None
    """Integers from the first to the second, both included, each as likely."""
    log_integer: WholeEnds | None = None
    """Integers from the first to the second, both above 0 and included, each order of magnitude as likely."""

    @model_validator(mode="after")
    def _is_one_range(self) -> "Range":
        refuse(_range_rules(self))
        return self

    @property
    def kind(self) -> str:
        """The one of the four that is written."""
        return next(name for name in RANGES if name in self.model_fields_set)

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest value."""
        ends: tuple[float, float] = getattr(self, self.kind)
        return ends


Choice = Annotated[tuple[Any, ...], BeforeValidator(_values), WithJsonSchema({"type": "array", "minItems": 1})]


def _values_kind(value: Any) -> str:
    return "<range>" if isinstance(value, dict | Range) else "<choice>"


Values = Annotated[Annotated[Range, Tag("<range>")] | Annotated[Choice, Tag("<choice>")], Discriminator(_values_kind)]


class Search(Section):
    """Parameters are drawn from a space, and those that do best on folds of the training rows are taken."""

    n_iter: Annotated[int, Field(ge=1, le=10_000)] = 20
    """How many combinations are drawn; params as the file writes them are tried beside these."""
    cv: Annotated[int, Field(ge=2, le=100)] = 5
    """How many folds. Of a time split: each later than the rows that it is trained on; else an entity lies in one."""
    scoring: Text | None = None
    """Scorer that a combination is judged by. Default: what the gate judges by where the file names no gate."""
    time_budget: PositiveDuration | None = None
    """When it is over, what runs is cut off and the best so far is taken; such a run cannot be repeated bit by bit.
    Default: all combinations are tried."""
    space: Annotated[dict[str, Values], Field(min_length=1)]
    """Argument of the class or function, as in params, to a range or to a list of values to choose from."""

    @model_validator(mode="after")
    def _can_be_drawn(self) -> "Search":
        refuse(_space_rules(self.space))
        return self


def most(search: Search) -> int:
    """How many combinations are tried at most, the file's own params among them."""
    sizes = [len(values) for values in search.space.values() if isinstance(values, tuple)]
    whole = math.prod(sizes) if len(sizes) == len(search.space) else search.n_iter
    return 1 + min(search.n_iter, whole)


def _range_rules(range_: Range) -> Iterator[tuple[Path, str]]:
    written = [name for name in RANGES if name in range_.model_fields_set]
    if len(written) != 1 or getattr(range_, written[0]) is None:
        yield (), f"needs exactly one of {', '.join(RANGES[:-1])} and {RANGES[-1]}, or is a list of values"
        return
    kind, (low, high) = written[0], range_.ends
    if low >= high:
        yield (kind,), "the least value must be below the greatest"
    elif kind.startswith("log") and low <= 0:
        yield (kind, 0), "must be above 0, as logarithms are"
    elif ("integer" in kind and max(-low, high) > LARGEST_INTEGER) or not math.isfinite(high - low):
        yield (kind,), "is too wide"


def _space_rules(space: "dict[str, Any]") -> Iterator[tuple[Path, str]]:
    for name, values in space.items():
        if name in _APART:
            yield ("space", name), _APART[name]
        if isinstance(values, Range):
            continue
        seen = set[str]()
        for index, value in enumerate(values):
            if not _can_be_kept(value):
                yield ("space", name, index), "must be finite, and the keys of a mapping text"
            elif (written := json.dumps(value)) in seen:  # 1, 1.0 and true are other parameters, and other JSON
                yield ("space", name, index), "stands there already"
            else:
                seen.add(written)


def _can_be_kept(value: Any) -> bool:
    """Whether the manifest, which is JSON, gives back the very same value."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _can_be_kept(below) for key, below in value.items())
    if isinstance(value, list):
        return all(_can_be_kept(below) for below in value)
    return not isinstance(value, float) or math.isfinite(value)

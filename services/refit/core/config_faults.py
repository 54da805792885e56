"""Faults of a pipeline file in words: where, which key, what is wrong, and what was probably meant."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from refit.core.config_types import BROKEN
from refit.core.errors import ConfigError
from refit.core.yaml_file import Document, Fault, Path, path_text

SHOWN_FAULTS: Final = 200
SHOWN_CHARACTERS: Final = 40
_SECRETS: Final = frozenset(
    {"dsn", "url", "uri", "host", "port", "user", "username", "password", "database", "connection"}
)

_KINDS: Final = {
    "string_type": "text",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}


class InvalidFile(ConfigError):
    """The pipeline file has faults.

    Attributes:
        source: The file's name.
        faults: All of them in the file's order, at most 200.
        lines: One `file:line:column: key: message` for each.
    """

    def __init__(self, source: str, faults: Iterable[Fault]) -> None:
        found = sorted(set(faults))
        self.source = source
        self.faults = tuple(found[:SHOWN_FAULTS])
        self.lines = tuple(f"{source}:{fault}" for fault in self.faults)
        if len(found) > SHOWN_FAULTS:
            self.lines += (f"{source}: and more",)
        more = "more than " if len(found) > SHOWN_FAULTS else ""
        count = f"{more}{len(self.faults)} fault{'s' if len(self.faults) > 1 else ''}"
        super().__init__("\n".join([f"{source} has {count}", *self.lines]), next=f"refit check {source}")


def fault_at(document: Document, path: Path, message: str, *, of_key: bool = False) -> Fault:
    """A fault of the value at `path`, or of its key."""
    return Fault(document.place(path, of_key=of_key), path_text(path), message)


def model_faults(error: ValidationError, document: Document, root: type[BaseModel]) -> Iterator[Fault]:
    """What a model found wrong with the document, in the file's own words and places."""
    for found in error.errors(include_url=False)[: 2 * SHOWN_FAULTS]:  # what is more is not told
        path = _path(found["loc"], document.value)
        if found["type"] == "too_short" and found["input"]:  # all its items have faults of their own
            continue
        if found["type"] == BROKEN:
            for below, message in found["ctx"]["faults"]:
                yield fault_at(document, (*path, *below), message)
            continue
        of_key = found["type"] in ("extra_forbidden", "invalid_key") or found["loc"][-1:] == ("[key]",)
        yield fault_at(document, path, _message(found, path, root), of_key=of_key)


def _path(location: tuple[int | str, ...], value: Any) -> Path:
    """pydantic's location less the marks that are no keys of the file (a union's tag, `[key]`)."""
    path: Path = ()
    for part in location:
        if isinstance(value, dict):
            keys = [key for key in value if key == part or str(key) == part]
            if keys:
                path, value = (*path, keys[0]), value[keys[0]]
                continue
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            path, value = (*path, part), value[part]
            continue
        if isinstance(part, str) and part.startswith(("<", "[")):
            continue
        return (*path, part)
    return path


def _message(found: Mapping[str, Any], path: Path, root: type[BaseModel]) -> str:
    kind, value, context = found["type"], found["input"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(path, root)
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(context["error"])
    if kind == "invalid_key":
        return "a key must be text; quote it"
    if value is None:
        return "has no value; write one or leave the key out"
    if kind == "literal_error":
        return _not_a_choice(value, _choices(path, root))
    if kind in _KINDS:
        if not path:
            return "the file must be a mapping of keys to values, beginning with apiVersion: refit/v1"
        return f"must be {_KINDS[kind]}, not {_described(value)}"
    return _limit(kind, context) or str(found["msg"])


def _limit(kind: str, context: Mapping[str, Any]) -> str:
    bounds = {
        "greater_than": "greater than",
        "greater_than_equal": "at least",
        "less_than": "less than",
        "less_than_equal": "at most",
    }
    if kind in bounds:
        bound = next(context[name] for name in ("gt", "ge", "lt", "le") if name in context)
        return f"must be {bounds[kind]} {bound}"
    return {
        "too_short": "must not be empty",
        "finite_number": "must be a finite number",
        "int_parsing_size": "is too large",
    }.get(kind, "")


def _not_a_choice(value: Any, choices: list[str]) -> str:
    if len(choices) == 1:
        return f"must be {choices[0]}, not {_described(value)}"
    listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return f"must be {listed}, not {_described(value)}{_meant(value, choices)}"


def _unknown_key(path: Path, root: type[BaseModel]) -> str:
    key, known = path[-1], known_keys(path[:-1], root)
    if meant := _meant(key, known):
        return f"unknown key{meant}"
    if str(key).lower() in _SECRETS:
        return "unknown key; the connection string comes from REFIT_SOURCE_DSN, never from this file"
    return f"unknown key; known here: {', '.join(known)}"


def _meant(value: Any, choices: Iterable[str]) -> str:
    if not isinstance(value, str) or len(value) > SHOWN_CHARACTERS:
        return ""
    folded = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(value.lower(), folded, n=1)
    return f"; did you mean {folded[close[0]]}?" if close else ""


def _described(value: Any) -> str:
    """The value, or its kind when it is long or may hold a credential."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        plain = len(value) <= SHOWN_CHARACTERS and "://" not in value and "=" not in value and value.isprintable()
        return f"{value!r}" if plain else "this text"
    return "a mapping" if isinstance(value, dict) else "a list"


def known_keys(path: Path, root: type[BaseModel]) -> list[str]:
    """The keys that the file may hold below `path`, in the model's order."""
    models = [root] if not path else [model for field in _fields(path, root) for model in _models(field.annotation)]
    return list(dict.fromkeys(field.alias or name for model in models for name, field in model.model_fields.items()))


def _choices(path: Path, root: type[BaseModel]) -> list[str]:
    """The words that the value at `path` may be, of every kind of section that may stand there."""
    return list(dict.fromkeys(word for field in _fields(path, root) for word in _words(field.annotation)))


def _fields(path: Path, root: type[BaseModel]) -> list[FieldInfo]:
    """The fields that the last key of `path` may mean: a union of sections has several."""
    models, fields, skip = [root], list[FieldInfo](), False
    for part in path:
        if isinstance(part, int) or skip:  # a list's item, or a name that the file chose
            skip = False
            continue
        pairs = [pair for model in models for pair in model.model_fields.items()]
        fields = [field for name, field in pairs if part in (field.alias, name)]
        models = [model for field in fields for model in _models(field.annotation)]
        skip = any(get_origin(field.annotation) is dict for field in fields)
    return fields


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _words(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for argument in get_args(annotation) for word in _words(argument)]

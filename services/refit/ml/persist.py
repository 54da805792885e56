"""A fitted estimator as bytes, and back; nothing is built that is not allowed.

The bytes are a skops file (zip of schema.json and arrays) in one normal form: members are numbered in the order in
which the schema names them, their times are fixed, and the memory addresses that skops uses as ids are renumbered.
So equal models have equal bytes, and a digest compares models.
"""

import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MethodType
from typing import Any, Final

import skops.io
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from refit.core.errors import ArtifactError, ConfigError
from refit.core.logs import foreign
from refit.ml.trees import check_trees, parts
from refit.ml.trust import BUILT_IN, allowed

_SCHEMA: Final = "schema.json"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can tell
MAX_WARNINGS: Final = 5
_LEVEL: Final = 1  # zlib's fastest: schemas of forests shrink to a tenth

# What a cut, altered or foreign file makes zipfile, json, numpy, skops and scikit-learn raise.
_FILE_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)


class ForbiddenType(ArtifactError):
    """A model file holds types that the loader does not build; nothing of it was built."""

    def __init__(self, types: Sequence[str]) -> None:
        shown = ", ".join(types[:10]) + (", …" if len(types) > 10 else "")
        super().__init__(
            f"the model file holds {'types that are' if len(types) > 1 else 'a type that is'} not allowed: {shown}",
            next="restore the model from the bucket's versions or a backup; refit never writes such a file",
        )
        self.types = tuple(types)


class BrokenModel(ArtifactError):
    """The bytes are no model that can be loaded here."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the model file cannot be loaded: {reason}"[:600],
            next="restore it from the bucket's versions or a backup; a model of another version of a library needs "
            "that version",
        )


class CannotSave(ConfigError):
    """The estimator holds something that no file can keep safely."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the model cannot be saved: {reason}",
            next="use importable functions and classes, of scikit-learn or of the packages that the file names",
        )


def dump(estimator: Any) -> bytes:
    """The estimator's bytes; equal models give equal bytes.

    Raises:
        CannotSave: it holds a lambda, a local function or a type that skops does not save.
    """
    _forget_own_methods(estimator)
    try:
        body = skops.io.dumps(estimator)
    except (UnsupportedTypeException, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CannotSave(foreign(error)[:400]) from error
    schema, members = _open(body)
    for name in _functions(schema):
        if "<lambda>" in name or "<locals>" in name or name.startswith("__main__."):
            raise CannotSave(f"{name} is a lambda or a local function, which other processes cannot import")
    return _normal(schema, members)


def types_held(body: bytes) -> tuple[str, ...]:
    """The types in a model file that skops does not trust by itself, sorted; nothing is built.

    Raises:
        BrokenModel: the bytes are no model file.
    """
    if not body:
        raise BrokenModel("it is empty")
    with _mapped():
        return tuple(sorted(set(skops.io.get_untrusted_types(data=body))))


def types_beyond(body: bytes) -> tuple[str, ...]:
    """The types in a model file that no built-in list allows, sorted.

    Raises:
        BrokenModel: the bytes are no model file.
    """
    return tuple(name for name in types_held(body) if name not in BUILT_IN)


@dataclass(frozen=True, eq=False)
class Loaded:
    """A fitted estimator, and what the libraries warned of while it was built, each sentence once."""

    estimator: Any
    warnings: tuple[str, ...]


def load(body: bytes, trusted: Sequence[str] = ()) -> Any:
    """The fitted estimator of a file that the libraries that are here have written. Raises as `read_back` does."""
    return read_back(body, trusted).estimator


def read_back(body: bytes, trusted: Sequence[str] = ()) -> Loaded:
    """The fitted estimator, checked before use.

    Args:
        body: Bytes whose digest the caller has compared with a manifest's.
        trusted: Types beyond the built-in list, as the train manifest names them.

    Raises:
        ForbiddenType: it holds another type; nothing was built.
        BrokenModel: the bytes are cut, altered or foreign, or need a library that is not here.
        BrokenTree: a tree points outside itself.
    """
    allowed_types = allowed(trusted)
    with warnings.catch_warnings(record=True) as caught, _mapped():
        warnings.simplefilter("always")
        try:
            estimator = skops.io.loads(body, trusted=sorted(allowed_types))  # refuses before it builds
        except UntrustedTypesFoundException as error:
            raise ForbiddenType([name for name in types_held(body) if name not in allowed_types]) from error
        if not hasattr(estimator, "predict"):
            raise ValueError(f"it holds a {type(estimator).__name__}, not a model")
        check_is_fitted(estimator)
    check_trees(estimator)
    return Loaded(estimator, tuple(dict.fromkeys(_said(warning.message) for warning in caught))[:MAX_WARNINGS])


def _said(warning: Warning | str) -> str:
    if isinstance(warning, InconsistentVersionWarning):  # one for each estimator in the model, in many words
        return (
            f"scikit-learn {warning.original_sklearn_version} saved it, and here is {warning.current_sklearn_version}"
        )
    lines = str(warning).strip().splitlines()
    return f"{type(warning).__name__}: {foreign(warning, lines[0][:300] if lines else '')}"


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise BrokenModel(f"it needs {error.name or error}, which is not installed here") from error
    except _FILE_ERRORS as error:
        raise BrokenModel(f"{type(error).__name__}: {foreign(error)}") from error


def _forget_own_methods(model: Any) -> None:
    """No estimator in the model holds a method of its own as an attribute: skops would follow it in a circle.

    HistGradientBoosting leaves such a `_raw_predict` behind when it stops early by a scorer (scikit-learn 1.9); the
    class has the same method.
    """
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, BaseEstimator):
            for name, value in list(vars(item).items()):
                if isinstance(value, MethodType) and value.__self__ is item and value.__name__ == name:
                    delattr(item, name)
        waiting += parts(item)


def _open(body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(body)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    return json.loads(members.pop(_SCHEMA)), members


def _normal(schema: dict[str, Any], members: dict[str, bytes]) -> bytes:
    """The file with ids and member names in order of appearance, and no times."""
    ids: dict[int, int] = {}
    names: dict[str, str] = {}
    for node in _nodes(schema):
        if node["__loader__"] == "SetNode":  # in the order of this process's hashes
            node["content"].sort(key=lambda member: str(member.get("content")))
        if node["__loader__"] == "JsonNode":
            node.pop("__id__", None)  # a constant: whether two of them are one object means nothing
        elif "__id__" in node:
            node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
        if isinstance(node.get("file"), str):
            file = node["file"]
            node["file"] = names.setdefault(file, f"{len(names):06d}{PurePosixPath(file).suffix}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        _add(target, _SCHEMA, json.dumps(schema, separators=(",", ":")).encode())
        for old, new in names.items():
            _add(target, new, members[old])
    return buffer.getvalue()


def _add(target: zipfile.ZipFile, name: str, body: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = 0o644 << 16
    target.writestr(info, body, zipfile.ZIP_DEFLATED, _LEVEL)


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object node of a schema, in the order of the document."""
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "__loader__" in item:
                yield item
            waiting += reversed(item.values())
        elif isinstance(item, list):
            waiting += reversed(item)


def _functions(schema: Any) -> Iterator[str]:
    for node in _nodes(schema):
        if node["__loader__"] in ("FunctionNode", "TypeNode", "MethodNode", "ObjectNode"):
            yield f"{node['__module__']}.{node['__class__']}"

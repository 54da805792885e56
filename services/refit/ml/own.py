"""Code of the user's own: what the file names as package.module:function, or as a class of another package.

It is found on the Python path, called, and checked before anything is fitted: that it gives what scikit-learn takes,
and that a file can keep it. Whatever it raises is told as its own failure, with the place. The model loader builds
types of the packages that the file names and, beside the built-in list, of no others (trust.py).
"""

import errno
import hashlib
import importlib
import importlib.util
import inspect
import signal
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from joblib.externals.loky.process_executor import TerminatedWorkerError

from refit.core.config import Pipeline
from refit.core.config_sections import OwnTransformer
from refit.core.disk import disk
from refit.core.errors import ConfigError, RefitError, Sigint
from refit.core.logs import foreign
from refit.ml.persist import CannotSave, dump, types_beyond
from refit.ml.trust import BUILT_IN, CLOSED, package_of

TRANSFORMER_KEY: Final = "features.transformer"
_LIBRARIES: Final = frozenset(package_of(name) for name in BUILT_IN)
_DISK_ERRNOS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class NoFunction(ConfigError):
    """The file names a function that is not there, or that is not one of the user's own."""


class OwnCodeFails(ConfigError):
    """A function or class of the user's own raises what it should not."""

    def __init__(self, what: str, error: BaseException, place: str) -> None:
        where = f" at {place}" if place else ""
        super().__init__(
            f"{what} fails{where}: {type(error).__name__}: {foreign(error, _first_line(error))}",
            next="mend it, then try it with refit check FILE",
        )


class NoTransformer(ConfigError):
    """The file's function gives no transformer."""


class OwnCode:
    """Within it, what code of `packages` raises becomes OwnCodeFails; all else passes.

    Args:
        called: The key and the name of the code that is called here: whatever it raises is its own.
    """

    def __init__(self, packages: Collection[str], *, called: str = "") -> None:
        self._packages, self._called = packages, called

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> None:
        if error is None or not fails_by_itself(error) or isinstance(error, RefitError | TerminatedWorkerError):
            return
        found = place(error, self._packages)
        if found or self._called:
            raise OwnCodeFails(self._called or f"code of {', '.join(sorted(self._packages))}", error, found) from error


def fails_by_itself(error: BaseException) -> bool:
    """Whether the code that raised it is at fault: memory and disk sufficed, and no signal ended it.

    Code that takes itself for a program exits, or interrupts. In a step Ctrl-C raises Sigint, and a search's workers do
    not hear of it; elsewhere Python raises what code may raise too.
    """
    if isinstance(error, MemoryError | Sigint) or (isinstance(error, OSError) and error.errno in _DISK_ERRNOS):
        return False
    if isinstance(error, KeyboardInterrupt):
        return signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    return isinstance(error, Exception | SystemExit)


def place(error: BaseException, packages: Collection[str]) -> str:
    """File and line of the innermost code of `packages` that the error came through; empty when there is none."""
    found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if package_of(frame.f_globals.get("__name__", "")) in packages:
            found = f"{Path(frame.f_code.co_filename).name} line {line}"
    return found


def packages(pipeline: Pipeline) -> frozenset[str]:
    """The packages beside scikit-learn and its kin whose code the file names."""
    names = [pipeline.model.estimator]
    if isinstance(pipeline.features, OwnTransformer):
        names.append(pipeline.features.transformer)
    return frozenset(package_of(name) for name in names) - CLOSED


def digests(packages: Collection[str]) -> dict[str, str]:
    """Package → digest over the names and contents of its source files, for those that are installed here.

    Libraries whose types are on the built-in list are left out: their versions tell all that matters.
    """
    return {name: found for name in sorted(set(packages) - _LIBRARIES) if (found := _digest(name)) is not None}


def changes(then: Mapping[str, str], packages: Collection[str]) -> tuple[str, ...]:
    """What differs here from the digests that a manifest tells, a sentence per package."""
    here = digests(packages)
    return tuple(
        f"the code of {name} is not what it was" if name in then else f"nothing tells what the code of {name} was"
        for name in sorted(set(packages) - _LIBRARIES)
        if name not in then or then[name] != here.get(name)
    )


def _digest(package: str) -> str | None:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    roots = [Path(place) for place in spec.submodule_search_locations or ()]
    sources = {f"{path.relative_to(root)}": path for root in roots for path in root.rglob("*.py")}
    if spec.origin is not None and not sources:
        sources = {Path(spec.origin).name: Path(spec.origin)}
    found = hashlib.sha256()
    for name, path in sorted(sources.items()):
        with disk("read", str(path)):
            found.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def named(pipeline: Pipeline, trusted: Iterable[str]) -> tuple[str, ...]:
    """Those of a manifest's types that the file allows: a manifest alone widens nothing."""
    allowed = packages(pipeline)
    return tuple(name for name in trusted if package_of(name) in allowed)


def is_function(name: str) -> bool:
    """Whether the name is written as package.module:function."""
    return ":" in name


def find(key: str, name: str) -> Callable[..., Any]:
    """The function or class that package.module:function names.

    Raises:
        NoFunction: it is not there, or belongs to Python or to scikit-learn and its kin.
        OwnCodeFails: its module fails on import.
    """
    module_name, _, function_name = name.partition(":")
    if package_of(name) in CLOSED:
        raise NoFunction(
            f"{key}: {name} is no code of your own",
            next=f"name a class of {package_of(name)} by its full name, without a colon, or write a function around it",
        )
    module = import_own(key, module_name)
    found = getattr(module, function_name, None)
    if not callable(found):
        what = "has no" if found is None else "has no function"
        raise NoFunction(f"{key}: {module_name} {what} {function_name}", next="correct the name")
    return found  # type: ignore[no-any-return]  # checked by callable


def import_own(key: str, module_name: str) -> Any:
    """The module.

    Raises:
        NoFunction: there is none of this name, or one that it needs is not installed.
        OwnCodeFails: it fails on import in another way.
    """
    with OwnCode({package_of(module_name)}, called=f"{key}: importing {module_name}"):
        try:
            return importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise NoFunction(
                f"{key}: there is no module {error.name} here",
                next="correct the name, or install the package where refit runs, or name its folder in PYTHONPATH; on "
                "Kubernetes, in the image that trains and evaluates",
            ) from error


def call(key: str, name: str, function: Callable[..., Any], **params: Any) -> Any:
    """What the function returns.

    Raises:
        TypeError: it does not take these params; it was not called.
        OwnCodeFails: it raised anything.
    """
    inspect.signature(function).bind(**params)
    with OwnCode({package_of(name)}, called=f"{key}: {name}"):
        return function(**params)


def transformer(name: str) -> Any:
    """The unfitted transformer that the function returns.

    Raises:
        NoFunction, OwnCodeFails, NoTransformer: it does not.
    """
    function = find(TRANSFORMER_KEY, name)
    try:
        made = call(TRANSFORMER_KEY, name, function)
    except TypeError as error:
        raise NoTransformer(f"{TRANSFORMER_KEY}: {name} is called without arguments: {_first_line(error)}") from error
    if inspect.isclass(made) or not (hasattr(made, "fit") and hasattr(made, "transform")):
        what = f"the class {made.__name__}" if inspect.isclass(made) else f"a {type(made).__name__}"
        raise NoTransformer(
            f"{TRANSFORMER_KEY}: {name} returns {what}, no transformer",
            next="return an object with fit and transform, like a ColumnTransformer or a FunctionTransformer",
        )
    return made


def trusted_types(body: bytes, packages: Collection[str]) -> tuple[str, ...]:
    """Types beyond the built-in list that a model file holds, all of packages that the pipeline's file names.

    Raises:
        CannotSave: it holds types of other packages.
    """
    beyond = types_beyond(body)
    if others := [name for name in beyond if package_of(name) not in packages]:
        raise CannotSave(f"it holds {', '.join(others[:5])}, which the loader does not build")
    return beyond


def check_can_be_saved(unfitted: Any, packages: Collection[str]) -> None:
    """A file can keep the unfitted estimator or transformer: what it holds by then needs no fit to be refused.

    Raises:
        CannotSave: it holds a lambda, a local function, or types of packages that the file does not name.
    """
    trusted_types(dump(unfitted), packages)


def _first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else "it says no more"

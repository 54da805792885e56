"""What code runs here: versions of Python and packages, and their digest."""

import functools
import getpass
import hashlib
import json
import os
import platform
import socket
import sys
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, distributions, version

from refit.core.about import __version__

MAIN_PACKAGES = (
    "numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "skops", "joblib", "lightgbm", "xgboost-cpu", "xgboost",
    "psycopg2-binary", "boto3",
)  # fmt: skip

MODEL_PACKAGES = ("refit", "python", "machine", "scikit-learn", "numpy", "scipy", "pandas", "skops")

_IMAGE = "image of "


@functools.cache
def versions(names: tuple[str, ...] = MAIN_PACKAGES) -> dict[str, str]:
    """Versions of refit, Python and those of `names` that are installed."""
    found = {"refit": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def changes(then: Mapping[str, str], packages: Collection[str] = ()) -> tuple[str, ...]:
    """What differs here from the versions that a manifest tells, of all that a model's answers may depend on.

    Args:
        packages: Those beside scikit-learn and its kin that the model's file names.
    """
    if not then:
        return ("nothing tells which versions fitted it",)
    here = versions()
    names = [*MODEL_PACKAGES, *(name for name in MAIN_PACKAGES if name.removesuffix("-cpu") in packages)]
    return tuple(
        f"{name} was {then.get(name, 'not there')} and is {here.get(name, 'not here')}"
        for name in names
        if then.get(name) != here.get(name)
    )


def of_images(images: Mapping[str, str]) -> dict[str, str]:
    """What a run depends on whose steps run in images, by the step: these, and the refit that coordinates."""
    return {"refit": __version__, **{f"{_IMAGE}{step}": image for step, image in images.items()}}


def tells_images(environment: Mapping[str, str]) -> bool:
    """Whether a run's environment names images, and not what is installed in them."""
    return any(name.startswith(_IMAGE) for name in environment)


@functools.cache
def installed() -> dict[str, str]:
    """Versions of Python and of every installed package: what a run on this machine depends on."""
    packages = {found.name: found.version for found in distributions() if found.name}
    return {"python": sys.version.split()[0], "machine": platform.machine(), **dict(sorted(packages.items()))}


def digest(environment: dict[str, str]) -> str:
    """One word for an environment; equal words mean equal code."""
    return hashlib.sha256(json.dumps(environment, sort_keys=True).encode()).hexdigest()


def created_by() -> str:
    """Who starts things here: REFIT_CREATED_BY, else user@host."""
    if name := os.environ.get("REFIT_CREATED_BY"):
        return name
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user number in this container; KeyError before Python 3.13
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"

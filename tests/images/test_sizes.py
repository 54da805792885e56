"""What the README says of the images is what they weigh."""

import importlib.util
from types import ModuleType

import pytest

from tests.images.containers import IMAGES, ROOT, named

TOLERANCE = 0.1


@pytest.fixture(scope="module")
def sizes() -> ModuleType:
    """The script that `make images` prints them with."""
    spec = importlib.util.spec_from_file_location("sizes", ROOT / "docker" / "sizes.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def documented() -> dict[str, tuple[int, int]]:
    """MB beyond the base, and MB that others share, of each image in the README's table."""
    readme = (ROOT / "README.md").read_text()
    lines = readme[readme.index("| image |") :].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: (int(row[2]), int(row[3])) for row in rows}


def test_the_table_of_the_readme_has_each_image_with_its_size(sizes: ModuleType) -> None:
    found = sizes.weights({image: sizes.layers(named(image)) for image in IMAGES})
    told = documented()
    assert list(told) == list(found)
    for image, (weight, shared) in found.items():
        assert told[image][0] == pytest.approx(weight / 1e6, rel=TOLERANCE), image
        assert told[image][1] == pytest.approx(shared / 1e6, rel=TOLERANCE), image

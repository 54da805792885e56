"""The images that `make images` has built, started as a cluster starts them: no root, no network, nothing to write to.

Collected by `make smoke` alone; REFIT_TEST_TAG says which tag.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
TAG: Final = os.environ.get("REFIT_TEST_TAG") or "dev"
DOCKER: Final = os.environ.get("DOCKER") or "docker"
LOCKED: Final = {
    "refit-run": "run",
    "refit-extract": "extract",
    "refit-train": "train",
    "refit-evaluate": "evaluate",
    "refit-publish": "publish",
    "refit-demo": "flights",
}
"""The file of locked packages that each image is made of."""
IMAGES: Final = tuple(LOCKED)
ALONE: Final = (
    *("--rm", "--pull", "never", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--user", "65532:65532"),  # noqa: S108
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
)

Done = subprocess.CompletedProcess[str]


def named(image: str) -> str:
    return f"{image}:{TAG}"


def start(
    image: str, *command: str, mounts: Mapping[Path, str] | None = None, settings: Mapping[str, str] | None = None
) -> Done:
    """The command has ended in a container of its own."""
    options = [part for folder, place in (mounts or {}).items() for part in ("--volume", f"{folder}:{place}")]
    options += [part for name, value in (settings or {}).items() for part in ("--env", f"{name}={value}")]
    return docker("run", *ALONE, *options, named(image), *command)


def python(image: str, code: str) -> Any:
    """What the code, run alone in the image, prints as JSON."""
    done = start(image, "python", "-c", code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def docker(*words: str) -> Done:
    return subprocess.run([DOCKER, *words], capture_output=True, text=True, timeout=170, check=False)


def inspected(image: str) -> dict[str, Any]:
    done = docker("image", "inspect", named(image))
    assert done.returncode == 0, f"{done.stderr}: make images builds it"
    (found,) = json.loads(done.stdout)
    return dict(found)

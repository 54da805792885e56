"""`requirements/lock.py --check` sees what does not fit any more."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "requirements"
PROJECT = {
    "requires-python": ">=3.11",
    "dependencies": ["click>=8"],
    "optional-dependencies": {"dev": ["refit[run]", "pytest>=8"], "run": ["boto3>=1.40"]},
}


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a folder of its own that fits PROJECT."""
    spec = importlib.util.spec_from_file_location("lock", FOLDER / "lock.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    for extra in ("dev", "run"):
        pin = "boto3==1.40.1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\nclick==8.1 \\\n    --hash=sha256:22\n"
        (tmp_path / f"{extra}.txt").write_text(f"# {module._digest(extra, PROJECT)}\n{pin}")
    return module


def faults(lock: ModuleType, project: dict[str, Any] = PROJECT) -> list[str]:
    return [fault for extra in ("dev", "run") for fault in lock._faults(extra, project)]


def test_files_that_fit_have_no_fault(lock: ModuleType) -> None:
    assert faults(lock) == []


def test_new_dependency_makes_the_files_of_its_extra_and_of_those_that_hold_it_old(lock: ModuleType) -> None:
    changed = PROJECT | {"optional-dependencies": {"dev": ["refit[run]", "pytest>=8"], "run": ["boto3>=1.41"]}}
    assert faults(lock, changed) == [
        f"{name}.txt is older than the dependencies of pyproject.toml" for name in ("dev", "run")
    ]


@pytest.mark.parametrize(
    ("alter", "fault"),
    [
        pytest.param(lambda t: t.replace(" \\\n    --hash=sha256:22", ""), "click==8.1 has no hash", id="no hash"),
        pytest.param(lambda t: t + "--index-url x\n", "holds the address of an index", id="an index"),
        pytest.param(lambda t: t + "# https://host/\n", "holds the address of an index", id="an address"),
    ],
)
def test_altered_file_is_a_fault(lock: ModuleType, alter: Callable[[str], str], fault: str) -> None:
    path = lock.FOLDER / "run.txt"
    path.write_text(alter(path.read_text()))
    assert fault in " ".join(faults(lock))


def test_file_of_no_extra_is_a_stranger(lock: ModuleType) -> None:
    (lock.FOLDER / "serve.txt").touch()
    assert [path.name for path in lock._strangers(PROJECT)] == ["serve.txt"]

"""Locks the packages of each extra: `python requirements/lock.py`, and `--check` that the files still fit.

One file per image extra, with hashes, without the address of an index, for Python 3.11 and newer on any platform.
All files agree with dev.txt, so that what is tested is what runs. A file's first line is the digest of the
dependencies that it was made from; `--check` needs no network.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parent / "pyproject.toml"
ALL = "dev"


def main(arguments: list[str]) -> int:
    project = tomllib.loads(PROJECT.read_text())["project"]
    if arguments == ["--check"]:
        faults = [fault for extra in _extras(project) for fault in _faults(extra, project)]
        faults += [f"{path.name} belongs to no extra" for path in _strangers(project)]
        print(*(f"requirements: {fault}; run make lock" for fault in faults), sep="\n", end="\n" if faults else "")
        return 1 if faults else 0
    for extra in _extras(project):
        _compile(extra, project, upgrade=arguments == ["--upgrade"])
    return 0


def _extras(project: dict[str, Any]) -> list[str]:
    """All extras, the one that holds all others first: the others are locked to its versions."""
    return sorted(project["optional-dependencies"], key=lambda extra: extra != ALL)


def _digest(extra: str, project: dict[str, Any]) -> str:
    """Of the dependencies that the extra brings, those of the extras that it names included."""
    seen: set[str] = set()
    waiting = [extra]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for requirement in project["optional-dependencies"][name]:
            if inner := re.fullmatch(r"refit\[(.*)\]", requirement):
                waiting += inner[1].split(",")
    extras = {name: project["optional-dependencies"][name] for name in seen}
    wanted = [project["requires-python"], project["dependencies"], extras]
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def _compile(extra: str, project: dict[str, Any], *, upgrade: bool) -> None:
    path = FOLDER / f"{extra}.txt"
    command = [
        str(Path(sys.executable).with_name("uv")), "pip", "compile", str(PROJECT), "--extra", extra, "--universal",
        "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url",
        "--no-emit-find-links", "--quiet", "--output-file", str(path),
    ]  # fmt: skip
    if extra != ALL:
        path.unlink(missing_ok=True)
        command += ["--constraint", str(FOLDER / f"{ALL}.txt")]
    elif upgrade:
        command.append("--upgrade")
    subprocess.run(command, check=True)  # noqa: S603
    path.write_text(f"# {_digest(extra, project)}\n{path.read_text()}")


def _faults(extra: str, project: dict[str, Any]) -> list[str]:
    path = FOLDER / f"{extra}.txt"
    if not path.is_file():
        return [f"{path.name} is missing"]
    text = path.read_text()
    faults = []
    if text.partition("\n")[0] != f"# {_digest(extra, project)}":
        faults.append(f"{path.name} is older than the dependencies of pyproject.toml")
    if "://" in text or "index-url" in text or "find-links" in text:
        faults.append(f"{path.name} holds the address of an index")
    pinned = re.split(r"\n(?=\S)", text.partition("\n")[2].strip())
    faults += [f"{path.name}: {entry.split()[0]} has no hash" for entry in pinned if "--hash=sha256:" not in entry]
    return faults


def _strangers(project: dict[str, Any]) -> list[Path]:
    return [path for path in FOLDER.glob("*.txt") if path.stem not in project["optional-dependencies"]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

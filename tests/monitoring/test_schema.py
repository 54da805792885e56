"""The dashboards pass Grafana's own types, and a dashboard with a fault does not."""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Final

import pytest

from monitoring import reading
from monitoring.dashboards import boards
from monitoring.panels import Json
from tests.fixtures.programs import program

SCHEMA: Final = Path(__file__).with_name("schema")
BOARDS: Final = {board.uid: board.json() for board in boards()}
Fault = Callable[[Json, Json], object]
FAULTS: Final[dict[str, Fault]] = {
    "unknown setting of a panel": lambda _, graph: graph.update(tittle="x"),
    "unknown option": lambda _, graph: graph["options"].update(legendary=True),
    "no such display of a legend": lambda _, graph: graph["options"]["legend"].update(displayMode="tables"),
    "no such kind of panel": lambda _, graph: graph.update(type="graphs"),
    "option of another kind": lambda _, graph: graph["options"].update(textMode="value"),
    "place in words": lambda _, graph: graph["gridPos"].update(x="left"),
    "no id": lambda _, graph: graph.pop("id"),
    "no description": lambda _, graph: graph.pop("description"),
    "query without name": lambda _, graph: graph["targets"][0].pop("refId"),
    "query of another source": lambda _, graph: graph["targets"][0].update(datasource="Prometheus"),
    "unit that is no text": lambda _, graph: graph["fieldConfig"]["defaults"].update(unit=1),
    "threshold without colour": lambda _, graph: graph["fieldConfig"]["defaults"]["thresholds"].update(
        steps=[{"value": None}]
    ),
    "no such line": lambda _, graph: graph["fieldConfig"]["defaults"]["custom"].update(drawStyle="dots"),
    "no such mode of a tooltip": lambda board, _: board.update(graphTooltip=7),
    "unknown kind of variable": lambda board, _: board["templating"]["list"][0].update(type="choice"),
    "mark without colour": lambda board, _: board["annotations"]["list"][0].pop("iconColor"),
    "unknown setting of the dashboard": lambda board, _: board.update(refreshing="1m"),
    "no version of the schema": lambda board, _: board.pop("schemaVersion"),
}


def _faulty(fault: Fault) -> Json:
    board = deepcopy(BOARDS["refit-pipeline"])
    graph = next(panel for panel in reading.panels(board) if panel["type"] == "timeseries")
    fault(board, graph)
    return board


def _installed() -> Path:
    """The packages that package-lock.json names, compiler and types; installed once for each version of that."""
    npm = shutil.which("npm") if program("node") else None
    if npm is None:
        pytest.skip("no node on PATH")
    lock = SCHEMA / "package-lock.json"
    folder = Path(sys.prefix) / "node" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                for path in (SCHEMA / "package.json", lock, SCHEMA / ".npmrc"):
                    shutil.copy(path, scratch)
                asked = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
                done = subprocess.run(asked, cwd=scratch, capture_output=True, timeout=120, check=False)
                if done.returncode != 0:
                    pytest.skip("npm cannot install Grafana's types here")
                shutil.move(Path(scratch) / "node_modules", folder)
    return folder


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the compiler says of each dashboard, whole or with a fault."""
    installed, folder = _installed(), tmp_path_factory.mktemp("schema")
    (folder / "node_modules").symlink_to(installed)
    for path in (SCHEMA / "dashboard.ts", SCHEMA / "tsconfig.json"):
        shutil.copy(path, folder)
    names = {f"board{place}": name for place, name in enumerate((*BOARDS, *FAULTS))}
    for file, name in names.items():
        board = BOARDS[name] if name in BOARDS else _faulty(FAULTS[name])
        text = (
            f'import type {{ Dashboard }} from "./dashboard";\nexport const board: Dashboard = {json.dumps(board)};\n'
        )
        (folder / f"{file}.ts").write_text(text)
    compiler = [program("node"), str(installed / "typescript" / "bin" / "tsc"), "--project", "."]
    done = subprocess.run(compiler, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert all(".ts(" in line and "error TS" in line for line in lines), done.stdout
    found: dict[str, list[str]] = {name: [] for name in names.values()}
    for line in lines:
        found[names[line.partition(".ts(")[0]]].append(line)
    return found


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_passes_the_types_of_grafana(told: dict[str, list[str]], name: str) -> None:
    assert told[name] == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_does_not_pass(told: dict[str, list[str]], name: str) -> None:
    assert told[name]


def test_the_lock_holds_digests_and_no_address() -> None:
    text = (SCHEMA / "package-lock.json").read_text()
    assert "://" not in text
    packages = {name: each for name, each in json.loads(text)["packages"].items() if name}
    assert set(packages) >= {"node_modules/@grafana/schema", "node_modules/typescript"}
    assert all(each["integrity"].startswith("sha512-") for each in packages.values())

"""A process that forks attempts of the steps it has loaded."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from refit.core.context import Context
from refit.core.domain import TrainManifest
from refit.core.errors import DataError
from refit.core.step import Step
from refit.core.store import open_store
from refit.run.forkserver import Request, send
from tests.fixtures.records import put_run, run_record

RUN_ID = "20261120t070000-aaaa"
SAYS = """
import socket, sys
from tests.unit.run.test_forkserver import STEP
from refit.run.forkserver import Forkserver
Forkserver({"train": STEP}, socket.socket(fileno=0), forks=sys.argv[1] == "forks").serve()
"""


def facts(context: Context) -> TrainManifest:
    """Tells of its process in the words of its failure."""
    if naps := os.environ.get("NAPS"):
        Path(naps).touch()
        time.sleep(60)
    drawn = float(np.random.random())
    found = {"process": os.getpid(), "drawn": drawn, "folder": tempfile.gettempdir()}
    print("a word of its own", file=sys.stderr)
    raise DataError(json.dumps(found))


STEP = Step("train", facts, TrainManifest)


class Server:
    """One that a test asks."""

    def __init__(self, folder: Path, how: str) -> None:
        self.folder = folder
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen([sys.executable, "-c", SAYS, how], stdin=theirs.fileno())

    def ask(self, **settings: str) -> Path:
        """An attempt goes on; where it writes its stderr."""
        words, log = self.folder / "words", self.folder / "log"
        words.write_bytes(b"")
        base = {
            "REFIT_STORE": f"file://{self.folder}/store",
            "REFIT_PIPELINE": "loans",
            "REFIT_RUN_ID": RUN_ID,
            "REFIT_TERMINATION": str(words),
            "TMPDIR": str(self.folder),
        }
        with log.open("wb") as stderr:
            send(self.socket, Request("train", base | settings, stderr.fileno()))
        return log

    def facts(self) -> dict[str, Any]:
        """What an attempt has found."""
        log = self.ask()
        assert self.socket.recv(16) == b"65\n"
        assert "a word of its own" in log.read_text()
        found: dict[str, Any] = json.loads(json.loads((self.folder / "words").read_bytes())["failure"]["message"])
        return found


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    """Starts a server that forks, or one that makes one attempt itself."""
    put_run(open_store(f"file://{tmp_path}/store").under("loans/"), run_record(RUN_ID))
    servers: list[Server] = []

    def start(how: str) -> Server:
        servers.append(Server(tmp_path, how))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait()
        server.socket.close()


def test_each_attempt_is_a_process_of_its_own_with_its_own_settings(
    started: Callable[[str], Server],
) -> None:
    server = started("forks")
    first, second = server.facts(), server.facts()
    assert len({first["process"], second["process"], server.process.pid}) == 3
    assert first["drawn"] != second["drawn"]
    assert first["folder"] == second["folder"] == str(server.folder)
    assert psutil.Process(server.process.pid).children() == []


def test_a_process_that_may_not_fork_makes_the_attempt_itself_and_ends_with_its_code(
    started: Callable[[str], Server],
) -> None:
    server = started("once")
    log = server.ask()
    assert server.socket.recv(16) == b""
    assert server.process.wait() == 65
    assert "a word of its own" in log.read_text()
    last_words = json.loads((server.folder / "words").read_bytes())
    assert json.loads(last_words["failure"]["message"])["process"] == server.process.pid


def test_sigterm_goes_to_the_attempt_and_the_server_stays(started: Callable[[str], Server]) -> None:
    server = started("forks")
    child = napping(server)
    server.process.terminate()
    assert server.socket.recv(16) == b"143\n"
    assert not child.is_running()
    assert server.facts()["process"] != child.pid


def test_an_attempt_that_is_killed_is_told_by_its_signal(started: Callable[[str], Server]) -> None:
    server = started("forks")
    napping(server).kill()
    assert server.socket.recv(16) == b"-9\n"


def test_the_attempt_dies_with_the_server(started: Callable[[str], Server]) -> None:
    server = started("forks")
    child = napping(server)
    server.process.kill()
    assert server.socket.recv(16) == b""
    assert psutil.wait_procs([child], timeout=10)[1] == []


def test_ctrl_c_is_the_attempts_own(started: Callable[[str], Server]) -> None:
    server = started("forks")
    child = napping(server)
    for process in (server.process.pid, child.pid):  # a terminal sends it to both
        os.kill(process, signal.SIGINT)
    assert server.socket.recv(16) == b"143\n"
    assert server.facts()["process"] != child.pid


@pytest.mark.parametrize("way", ["closed", "terminated"])
def test_a_server_that_is_not_needed_any_more_ends(started: Callable[[str], Server], way: str) -> None:
    server = started("forks")
    server.facts()
    if way == "closed":
        server.socket.close()
    else:
        server.process.terminate()
    assert server.process.wait(10) == (0 if way == "closed" else 143)


def napping(server: Server) -> psutil.Process:
    """An attempt that goes on for long."""
    naps = server.folder / "naps"
    server.ask(NAPS=str(naps))
    deadline = time.monotonic() + 30
    while not naps.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (child,) = psutil.Process(server.process.pid).children()
    return child

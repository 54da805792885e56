"""Attempts as processes of this machine."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from refit.core.errors import DiskError
from refit.run import local
from refit.run.executor import Attempt
from refit.run.local import LocalExecutor
from tests.fixtures.memory_limit import memory_limit

PUBLISH = Attempt("file:///nowhere", "loans", "20261120t070000-aaaa", "publish", 1)
EXTRACT = Attempt("file:///nowhere", "loans", "20261120t070000-aaaa", "extract", 1)


def test_no_temporary_folder_is_a_fault_of_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", full)
    with pytest.raises(DiskError, match="no temporary folder takes files for extract: No usable temporary"):
        LocalExecutor().execute(EXTRACT, print)


def test_a_process_that_waits_is_gone_at_once_also_when_it_ignores_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "END_SECONDS", 120.0)  # longer than a test may take
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as a shell may hand it down
    try:
        executor = LocalExecutor()
        executor.execute(EXTRACT, print)
    finally:
        signal.signal(signal.SIGTERM, before)
    executor.close()


def held() -> tuple[int, str]:
    """Open files, and children, dead ones included."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return len(os.listdir("/proc/self/fd")), children


def test_attempts_leave_no_open_file_folder_or_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    executor, before = LocalExecutor(), held()
    for _ in range(2):
        assert executor.execute(EXTRACT, lambda line: None).exit_code == 64  # there is no such run
    executor.close()
    assert held() == before
    assert list(tmp_path.iterdir()) == []


def servers() -> list[psutil.Process]:
    """The processes that executors of this one have started."""
    return [child for child in psutil.Process().children() if "refit.run.forkserver" in " ".join(child.cmdline())]


def test_libraries_are_loaded_once_for_as_many_attempts_as_there_are() -> None:
    with closing(LocalExecutor()) as executor:
        executor.execute(PUBLISH, print)
        first = servers()
        executor.execute(PUBLISH, print)
        assert servers() == first != []


def test_a_process_that_died_while_it_waited_is_replaced() -> None:
    with closing(LocalExecutor()) as executor:
        executor.execute(PUBLISH, print)
        (server,) = servers()
        server.kill()
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        assert executor.execute(PUBLISH, print).exit_code == 64


def test_a_step_that_cannot_be_loaded_leaves_its_words(tmp_path: Path) -> None:
    (tmp_path / "refit").mkdir()
    (tmp_path / "refit" / "__init__.py").write_text("raise ImportError('half an installation')")
    told: list[str] = []
    with closing(LocalExecutor(os.environ | {"PYTHONPATH": str(tmp_path)})) as executor:
        ended = executor.execute(PUBLISH, told.append)
    assert (ended.exit_code, ended.last_words) == (1, None)
    assert b"half an installation" in ended.log
    assert any("half an installation" in line for line in told)


def test_where_forks_are_not_safe_each_attempt_has_an_interpreter_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    once = "from refit.run import forkserver; forkserver.FORKS = False; forkserver.main(*sys.argv[1:])"
    monkeypatch.setattr(local, "SERVE", ("-c", f"import sys; {once}"))
    with closing(LocalExecutor()) as executor:
        for _ in range(2):
            assert executor.execute(PUBLISH, print).exit_code == 64
            assert servers() == []


def test_an_attempt_that_the_kernel_ends_for_want_of_memory_is_said_to_have_starved() -> None:
    code = (
        "from dataclasses import replace\n"
        "from refit.run.local import LocalExecutor\n"
        "from tests.unit.run.test_local import EXTRACT\n"
        "ended = LocalExecutor().execute(replace(EXTRACT, step='evaluate'), lambda line: None)\n"
        "print(ended.exit_code, ended.starved)"
    )
    with memory_limit(96 << 20) as join:  # enough for this process, and too little for what evaluate imports
        done = subprocess.run([sys.executable, "-c", code], preexec_fn=join, capture_output=True, text=True, check=True)
    assert done.stdout == "137 True\n"

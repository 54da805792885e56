"""LocalExecutor: each attempt is a subprocess through the same main that a pod starts, and dies with the runner."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from refit.core.domain import Termination
from refit.core.errors import ArtifactError
from refit.core.logs import redact
from refit.run.executor import Attempt, Ended

LOG_LIMIT_BYTES: Final = 256 * 1024
END_SECONDS: Final = 15.0


class LocalExecutor:
    """Starts `python -m refit.<step>` with the settings of this process.

    Args:
        environment: What the steps inherit; default this process's environment.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)

    def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
        with tempfile.TemporaryDirectory(prefix=f"refit-{attempt.step}-", ignore_cleanup_errors=True) as scratch:
            last_words = Path(scratch, "termination")
            last_words.touch()
            process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-P", "-m", f"refit.{attempt.step}"],
                env=self._environment | threads(self._environment) | _settings(attempt, scratch, last_words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            assert process.stderr is not None
            try:
                log = _follow(process.stderr, tell)
                process.wait()
            finally:
                _end(process)
            code = process.returncode
            return Ended(128 - code if code < 0 else code, _read(last_words), log)


def _settings(attempt: Attempt, scratch: str, last_words: Path) -> dict[str, str]:
    return {
        "REFIT_STORE": attempt.store_url,
        "REFIT_PIPELINE": attempt.pipeline,
        "REFIT_RUN_ID": attempt.run_id,
        "REFIT_ATTEMPT": str(attempt.number),
        "REFIT_PARENT": str(os.getpid()),
        "REFIT_TERMINATION": str(last_words),
        "REFIT_LOG": "json",
        "TMPDIR": scratch,
    }


def threads(environment: Mapping[str, str]) -> dict[str, str]:
    """Thread settings that must stand before Python starts; what the user set wins.

    Two fits at once on two cores are otherwise up to 25 times slower: their OpenMP threads spin.
    """
    count = str(cores())
    defaults = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
    return {name: environment.get(name, value) for name, value in defaults.items()}


def cores() -> int:
    """The processors that this process may use: its affinity, and the quota of its control group, rounded up."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count, max(1, -(-int(quota) // int(period))))
    return count


def _follow(stream: IO[bytes], tell: Callable[[str], None]) -> bytes:
    """Passes on each line as it comes; returns the redacted tail."""
    tail: list[bytes] = []
    size = 0
    while raw := stream.readline(LOG_LIMIT_BYTES):
        text = redact(raw.decode(errors="replace"))
        tell(text.rstrip("\n"))
        tail.append(text.encode(errors="replace"))
        size += len(tail[-1])
        while size > LOG_LIMIT_BYTES and len(tail) > 1:
            size -= len(tail.pop(0))
    return b"".join(tail)


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process has ended: asked first, then made to."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stderr:
        process.stderr.close()


def _read(path: Path) -> Termination | None:
    body = path.read_bytes()
    with suppress(ArtifactError):
        return Termination.from_json(body, path.name)
    return None

"""LocalExecutor: each attempt is a subprocess through the same main that a pod starts, and dies with the runner."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from refit.core.cores import cores
from refit.core.disk import disk
from refit.core.domain import STEPS, Termination
from refit.core.errors import ArtifactError
from refit.core.logs import redact
from refit.core.step import BEGIN, scratch
from refit.run.executor import Attempt, Ended
from refit.run.memory import oom_kills

LOG_LIMIT_BYTES: Final = 256 * 1024
END_SECONDS: Final = 15.0


@dataclass(frozen=True)
class _Started:
    """A process that has loaded its step, or is about to, and waits for the word to begin."""

    attempt: Attempt
    process: subprocess.Popen[bytes]
    scratch: tempfile.TemporaryDirectory[str]

    @property
    def last_words(self) -> Path:
        return Path(self.scratch.name, "termination")

    def begin(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it died already, and its exit code will say so
            self.process.stdin.write(BEGIN)
            self.process.stdin.close()

    def drop(self) -> None:
        """The process, which waits and has nothing to lose, is gone with its folder."""
        self.process.kill()
        self.end()

    def end(self) -> None:
        """The process has ended, asked first and then made to, and its folder is gone."""
        process = self.process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self.scratch.cleanup()


class LocalExecutor:
    """Starts `python -m refit.<step>` with the settings of this process.

    It looks ahead: while a step runs, the process of the next one loads its libraries, which takes longer than many a
    step, and waits. One that is not needed is ended by `close`, by the next run, or by this process's own end.

    Args:
        environment: What the steps inherit; default this process's environment.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._ready: _Started | None = None

    def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
        started = self._take(attempt)
        try:
            kills = oom_kills()
            started.begin()
            self._look_ahead(attempt)
            assert started.process.stderr is not None
            log = _follow(started.process.stderr, tell)
            code = started.process.wait()
            starved = kills is not None and oom_kills() != kills
            return Ended(128 - code if code < 0 else code, _read(started.last_words), log, starved)
        finally:
            started.end()

    def close(self) -> None:
        """No process waits any more."""
        if self._ready is not None:
            self._ready.drop()
            self._ready = None

    def _take(self, attempt: Attempt) -> _Started:
        ready, self._ready = self._ready, None
        if ready is not None and ready.attempt == attempt:
            return ready
        if ready is not None:
            ready.drop()
        return self._start(attempt)

    def _look_ahead(self, attempt: Attempt) -> None:
        following = STEPS[STEPS.index(attempt.step) + 1 :]
        if following:
            self._ready = self._start(replace(attempt, step=following[0], number=1))

    def _start(self, attempt: Attempt) -> _Started:
        folder = scratch(attempt.step)
        last_words = Path(folder.name, "termination")
        with disk("make a file", folder.name):
            last_words.touch()
        process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            [sys.executable, "-P", "-m", f"refit.{attempt.step}"],
            env=self._environment | threads(self._environment) | _settings(attempt, folder.name, last_words),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        return _Started(attempt, process, folder)


def _settings(attempt: Attempt, scratch: str, last_words: Path) -> dict[str, str]:
    return {
        "REFIT_STORE": attempt.store_url,
        "REFIT_PIPELINE": attempt.pipeline,
        "REFIT_RUN_ID": attempt.run_id,
        "REFIT_ATTEMPT": str(attempt.number),
        "REFIT_PARENT": str(os.getpid()),
        "REFIT_TERMINATION": str(last_words),
        "REFIT_WAIT": "1",
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


def _read(path: Path) -> Termination | None:
    body = path.read_bytes()
    with suppress(ArtifactError):
        return Termination.from_json(body, path.name)
    return None

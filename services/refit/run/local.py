"""LocalExecutor: each attempt is a process forked from one that has loaded its step, and dies with the runner."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from refit.core.cores import cores
from refit.core.disk import disk
from refit.core.domain import STEPS, StepName
from refit.core.logs import redact
from refit.core.step import scratch
from refit.run.executor import LOG_LIMIT_BYTES, Attempt, Ended, OfThisMachine, read_last_words
from refit.run.forkserver import Request, send
from refit.run.memory import oom_kills

END_SECONDS: Final = 15.0
SERVE: Final = ("-m", "refit.run.forkserver")
SERVED: Final[tuple[tuple[StepName, ...], ...]] = (("extract", "publish"), ("train", "evaluate"))
"""Steps with libraries in common: the first two need a third of the memory of the others."""


class _Server:
    """A process that has loaded some steps, or is about to, and makes one attempt at a time.

    Attributes:
        words: What it says itself, as when it cannot load a step.
    """

    def __init__(self, steps: tuple[StepName, ...], environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        self._is_busy = False
        with disk("make a file", tempfile.gettempdir()), theirs:
            self.words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by close
            self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-P", *SERVE, str(os.getpid()), *steps],
                env=environment,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self.words,
            )

    @property
    def is_ready(self) -> bool:
        """Whether it can be asked for an attempt: it lives, and makes none."""
        return not self._is_busy and self._process.poll() is None

    def begin(self, step: StepName, settings: Mapping[str, str]) -> IO[bytes]:
        """The attempt goes on; what it writes to stderr."""
        read, write = os.pipe()
        self._is_busy = True
        try:
            with suppress(OSError):  # it died already, and its exit code will say so
                send(self._socket, Request(step, settings, write))
        finally:
            os.close(write)
        return os.fdopen(read, "rb")

    def code(self) -> int:
        """The attempt has ended; its exit code, or -n where signal n ended it."""
        answer = b""
        while not answer.endswith(b"\n"):
            part = b""
            with suppress(ConnectionError):  # it died before it took the request
                part = self._socket.recv(16)
            if not part:
                return self._process.wait()
            answer += part
        self._is_busy = False
        return int(answer)

    def end(self) -> None:
        """The attempt, if there still is one, has ended: asked first, and then made to."""
        if not self._is_busy or self._process.poll() is not None:
            return
        self._process.terminate()
        self._socket.settimeout(END_SECONDS)
        try:
            self.code()
        except TimeoutError:
            self._process.kill()
            self._process.wait()
        finally:
            self._socket.settimeout(None)

    def close(self) -> None:
        """It is gone; when it makes no attempt, it has nothing to lose."""
        self.end()
        self._process.kill()
        self._process.wait()
        self._socket.close()
        self.words.close()


class LocalExecutor(OfThisMachine):
    """Makes attempts as processes of this machine, with the settings of this process.

    It looks ahead: while a step runs, the libraries of the next one are loaded, which takes longer than many a step.
    They are loaded once, for as many attempts and runs as there are until `close` or this process's own end.

    Args:
        environment: What the steps inherit; default this process's environment.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._servers: dict[tuple[StepName, ...], _Server] = {}

    def execute(self, attempt: Attempt, tell: Callable[[str], None]) -> Ended:
        with scratch(attempt.step) as folder:
            last_words = Path(folder, "termination")
            with disk("make a file", folder):
                last_words.touch()
            kills = oom_kills()
            server = self._server(attempt.step)
            with server.begin(attempt.step, _settings(attempt, folder, last_words)) as stream:
                try:
                    self._look_ahead(attempt.step)
                    log = _follow(stream, tell)
                    code = server.code()
                finally:
                    server.end()
            if not server.is_ready:
                server.words.seek(0)
                log += _follow(server.words, tell)
            starved = kills is not None and oom_kills() != kills
            words = read_last_words(last_words.read_bytes(), last_words.name)
            return Ended(128 - code if code < 0 else code, words, log, starved)

    def close(self) -> None:
        """No process waits any more."""
        while self._servers:
            self._servers.popitem()[1].close()

    def _server(self, step: StepName) -> _Server:
        steps = next(steps for steps in SERVED if step in steps)
        server = self._servers.get(steps)
        if server is not None and server.is_ready:
            return server
        if server is not None:
            self._servers.pop(steps).close()
        server = self._servers[steps] = _Server(steps, self._environment | threads(self._environment))
        return server

    def _look_ahead(self, step: StepName) -> None:
        following = STEPS[STEPS.index(step) + 1 :]
        if following and following[0] not in next(steps for steps in SERVED if step in steps):
            self._server(following[0])


def _settings(attempt: Attempt, scratch: str, last_words: Path) -> dict[str, str]:
    return {
        "REFIT_STORE": attempt.store_url,
        "REFIT_PIPELINE": attempt.pipeline,
        "REFIT_RUN_ID": attempt.run_id,
        "REFIT_ATTEMPT": str(attempt.number),
        "REFIT_ASKED_AT": f"{time.time():.3f}",
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

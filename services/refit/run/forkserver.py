"""The process that LocalExecutor starts: it loads steps once, and forks one process for each attempt of them.

    python -m refit.run.forkserver PARENT train evaluate

To load the libraries of a step takes longer than many a step. Nothing but a load happens here, so that what is forked
is what a pod's process is after its imports. The socket that is stdin brings requests, one at a time: a line of JSON
with the attempt's settings, and the file that takes its stderr. A line with the exit code answers each. When the
socket is closed the process ends.

Where a fork without exec is not safe (macOS: caution in the documentation of os.fork) the process does one attempt
itself and ends with its code.
"""

import gc
import importlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import Final, NamedTuple, NoReturn

from refit.core.parent import die_with_parent
from refit.core.step import Step
from refit.core.step import main as step_main

FORKS: Final = sys.platform.startswith("linux")
REQUEST_BYTES: Final = 65536
LATER: Final = ("structlog", "pyarrow.pandas_compat")
"""What each step imports only when it needs it, and each fork would import anew."""


class Request(NamedTuple):
    """One attempt to make.

    Attributes:
        settings: Environment variables of the attempt alone.
        stderr: An open file.
    """

    step: str
    settings: Mapping[str, str]
    stderr: int


def send(requests: socket.socket, request: Request) -> None:
    """The server has been asked. Raises OSError where it is gone."""
    body = json.dumps({"step": request.step, "settings": dict(request.settings)}).encode()
    socket.send_fds(requests, [body + b"\n"], [request.stderr])


def receive(requests: socket.socket) -> Request | None:
    """The next request; None when none will come."""
    body, files, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 1)
    while body and not body.endswith(b"\n"):
        more = requests.recv(REQUEST_BYTES)
        body = body + more if more else b""
    if not body:
        return None
    asked = json.loads(body)
    return Request(asked["step"], asked["settings"], files[0])


class Forkserver:
    """Answers requests for attempts of these steps."""

    def __init__(self, steps: Mapping[str, Step], requests: socket.socket, *, forks: bool) -> None:
        self._steps, self._requests, self._forks = steps, requests, forks
        self._child = 0
        self._on_interrupt = signal.getsignal(signal.SIGINT)

    def serve(self) -> None:
        """The socket was closed from the other side."""
        signal.signal(signal.SIGTERM, self._end)
        if self._on_interrupt is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, lambda _number, _frame: None)  # Ctrl-C is for the attempt, which has it too
        gc.freeze()  # else each fork's first collection copies all pages
        while (request := receive(self._requests)) is not None:
            code = self._do(request) if self._forks else self._become(request)
            self._requests.sendall(f"{code}\n".encode())

    def _do(self, request: Request) -> int:
        """The attempt has ended; its exit code, or -n where signal n ended it."""
        asked = {signal.SIGTERM}
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, asked)
        self._child = os.fork()
        if self._child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, self._on_interrupt)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, asked)
            die_with_parent(parent)
            self._become(request)
        os.close(request.stderr)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, asked)
        os.waitid(os.P_PID, self._child, os.WEXITED | os.WNOWAIT)
        signal.pthread_sigmask(signal.SIG_BLOCK, asked)  # or the number might be another process's
        _, status = os.waitpid(self._child, 0)
        self._child = 0
        signal.pthread_sigmask(signal.SIG_UNBLOCK, asked)
        return os.waitstatus_to_exitcode(status)

    def _become(self, request: Request) -> NoReturn:
        """This process makes the attempt, and ends with its code."""
        self._requests.close()
        os.dup2(request.stderr, sys.stderr.fileno())
        os.close(request.stderr)
        os.environ.update(request.settings)
        tempfile.tempdir = None  # was asked for before TMPDIR was set
        if random := sys.modules.get("numpy.random"):
            random.seed()  # else all forks draw the same numbers
        step_main(self._steps[request.step])

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        if not self._child:
            os._exit(128 + signal.SIGTERM)
        os.kill(self._child, signal.SIGTERM)


def main(parent: str, *names: str) -> None:
    """Serves what stdin asks for until it is closed."""
    die_with_parent(int(parent))
    requests = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    steps = {name: importlib.import_module(f"refit.{name}.step").STEP for name in names}
    for name in LATER:
        with suppress(ImportError):
            importlib.import_module(name)
    Forkserver(steps, requests, forks=FORKS).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])

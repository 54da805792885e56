"""Worker processes that try combinations, a core for each; none of them outlives this process or its `with` block.

The pool is joblib's own (loky), without its layer for loops, which can neither stop in time nor cut off what runs. Each
worker has one thread, so that a score does not depend on the number of cores. A worker that is killed ends the search
with TerminatedWorkerError, which core/step.py knows.
"""

import ctypes
import os
import signal
import sys
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from joblib.externals.loky import ProcessPoolExecutor

from refit.ml.trial import Answer, Ground, Trial, attempt_stored, store

_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
ONE_THREAD: Final = dict.fromkeys(_THREADS, "1")
_ORPHAN: Final = 137


class Workers:
    """So many processes that share a ground through a file in `folder`."""

    def __init__(self, ground: Ground, count: int, folder: Path) -> None:
        self._path = folder / "search.joblib"
        store(ground, self._path)
        self._pool = ProcessPoolExecutor(count, initializer=_begin, initargs=(os.getpid(),), env=ONE_THREAD)

    def submit(self, trial: Trial) -> "Future[Answer]":
        future: Future[Answer] = self._pool.submit(attempt_stored, self._path, trial)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """All workers are killed, whatever they do."""
        self._pool.shutdown(wait=True, kill_workers=True)
        self._path.unlink(missing_ok=True)


def _begin(parent: int) -> None:
    """The kernel kills this process with the one that began it (Linux; prctl(2), PR_SET_PDEATHSIG)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the step, which ends its workers
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(_ORPHAN)

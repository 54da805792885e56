"""Worker processes that try combinations, a core for each; none of them outlives this process or its `with` block.

Python's own pool of processes, each a fresh interpreter: a fork of a process that has threads may hang. Each worker has
one thread, so that a score does not depend on the number of cores. joblib's pool can do no more here, and kills its
workers by programs that a slim image does not have.
"""

import multiprocessing
import os
import signal
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from refit.core.errors import WorkerKilled
from refit.core.parent import die_with_parent
from refit.ml.trial import Answer, Ground, Trial, attempt_stored, store

# The last one is what n_jobs: -1 counts.
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
ONE_THREAD: Final = dict.fromkeys(_THREADS, "1")


class Workers:
    """So many processes that share a ground through a file in `folder`.

    Raises:
        WorkerKilled: in the place of what its `with` block raises, where one was killed.
    """

    def __init__(self, ground: Ground, count: int, folder: Path) -> None:
        self._path = folder / "search.joblib"
        store(ground, self._path)
        self._before = set(multiprocessing.active_children())
        self._environment = {name: os.environ.get(name) for name in ONE_THREAD}
        self._pool = ProcessPoolExecutor(
            count, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
        )

    def submit(self, trial: Trial) -> "Future[Answer]":
        return self._pool.submit(attempt_stored, self._path, trial)

    def __enter__(self) -> Self:
        os.environ.update(ONE_THREAD)  # for the workers, which start when there is something to do
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """All workers are killed, whatever they do."""
        for worker in set(multiprocessing.active_children()) - self._before:
            worker.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._path.unlink(missing_ok=True)
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if isinstance(error, BrokenProcessPool):
            raise WorkerKilled(
                "a worker process of the search was killed",
                next="give the step more memory, or shorten the window; a further attempt has half as many workers",
            ) from error


def _begin(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the step, which ends its workers
    die_with_parent(parent)
